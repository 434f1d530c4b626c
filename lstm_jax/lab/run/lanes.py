"""Lanes on a device: trials as columns, in and out of compiled programs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_jax.ops import prng
from lstm_jax.training import online

# Lane widths that get compiled. On CPU 16 lanes are one vector, and all that
# the step of a small net touches stays in the first cache. Where a net carries
# many numbers from step to step that is so no more: at 64 of them (an LSTM of
# 32 units, an SRN of 64) one trial after another takes half the time.
CPU_WIDTH = 16
CPU_LARGE = 64
ACCELERATOR_WIDTHS = (16, 64, 256, 1024, 4096)
TEST_SEQUENCES = 2560
_TEST_LANES = 32


class Job(NamedTuple):
  """A trial to run.

  Attributes:
    id: its stable id.
    program: name of the program it runs in.
    seed: of its key.
    numbers: name -> float or array: the learning rate and the cell's numbers;
      those left out have their defaults.
    length: the task's T.
    budget: training sequences it may see.
  """

  id: str
  program: str
  seed: int
  numbers: Mapping[str, Any]
  length: int
  budget: int


class Column(NamedTuple):
  """A trial between two chunks: one lane of `trial.Trials`.

  Attributes:
    leaves: path in `Trials` -> numpy array without the lane axis.
    seconds: device time so far, shared with the lanes beside it.
  """

  leaves: dict[str, np.ndarray]
  seconds: float


class Test(NamedTuple):
  """A net on fresh sequences: how many wrong of how many, mean errors."""

  wrong: int
  total: int
  absolute: float
  squared: float


class Build(NamedTuple):
  """A program, and what is the same for its trials.

  Attributes:
    program: the program.
    numbers: name -> default of the numbers of one trial.
    weights: weights that a net has and that are trained.
    carried: numbers that a net carries from step to step.
  """

  program: online.Program
  numbers: Mapping[str, np.ndarray]
  weights: int | None = None
  carried: int = 0


def widths_of(device, carried=0):
  """The lane widths at which a program may run.

  On a CPU there is one, which follows from the program: the compiler adds in
  another order for another width, and a trial must not end with other bits
  because it was stopped, moved to another shard, left over as the last, or
  planned with other seeds.

  Args:
    device: of the kind that runs it.
    carried: numbers that a net of the program carries from step to step.

  Returns:
    Widths, ascending.
  """
  if device.platform != 'cpu':
    return ACCELERATOR_WIDTHS
  return (1,) if carried >= CPU_LARGE else (CPU_WIDTH,)


def width_for(widths, count):
  """The smallest of the ascending `widths` that holds `count` lanes."""
  return next((w for w in widths if w >= count), widths[-1])


def columns_of(trials, seconds):
  """The lanes of `trials`, one `Column` for each entry of `seconds`."""
  leaves = [(_name(p), np.asarray(x)) for p, x in _paths(trials)]
  return [
    Column({name: np.array(x[..., i]) for name, x in leaves}, spent)
    for i, spent in enumerate(seconds)
  ]


def stack(columns, structure, width):
  """`Trials` of `width` lanes from columns; lanes to spare are idle copies.

  Args:
    columns: at most `width` columns.
    structure: `Trials` of the same program, for its tree.
    width: lanes.

  Raises:
    ValueError: a column of another program.
  """
  names = [_name(path) for path, _ in _paths(structure)]
  for column in columns:
    if set(column.leaves) != set(names):
      raise ValueError('a column does not have the arrays of this program')
  spare = [columns[0]] * (width - len(columns))
  leaves = [
    np.stack([column.leaves[name] for column in columns + spare], axis=-1)
    for name in names
  ]
  trials = jax.tree.unflatten(jax.tree.structure(structure), leaves)
  trials.status[len(columns) :] = online.IDLE
  return trials


class Compiled:
  """The programs of one device, compiled when first called.

  Args:
    device: where they run.
    on_compile: called with True before and False after a compilation.
  """

  def __init__(self, device, on_compile=lambda compiling: None):
    self._device = device
    self._on_compile = on_compile
    self._programs = {}

  def __call__(self, name, function, *args):
    """Calls `function` compiled for the shapes of `args`.

    Returns:
      `(result, fresh)`: fresh where this call had to compile.
    """
    args = jax.device_put(args, self._device)
    key = (name, function.__name__, jax.tree.leaves(args)[0].shape)
    fresh = key not in self._programs
    if fresh:
      self._on_compile(True)
      try:
        self._programs[key] = jax.jit(function).lower(*args).compile()
      finally:
        self._on_compile(False)
    return self._programs[key](*args), fresh


def start(compiled, name, build, jobs, width):
  """The first `Trials` of jobs, `width` at a time.

  Returns:
    `(columns, trials)`: a column a job, and one of the `Trials`.
  """
  columns = []
  for at in range(0, len(jobs), width):
    some = jobs[at : at + width]
    padded = some + [some[-1]] * (width - len(some))
    numbers = {
      number: np.stack(
        [
          np.broadcast_to(job.numbers.get(number, default), default.shape)
          for job in padded
        ],
        axis=-1,
      ).astype(np.float32)
      for number, default in build.numbers.items()
    }
    high, low = zip(*(prng.key_of(job.seed) for job in padded), strict=True)
    trials, _ = compiled(
      name,
      build.program.start,
      (np.array(high), np.array(low)),
      numbers,
      np.array([job.length for job in padded], np.int32),
      np.array([job.budget for job in padded], np.int32),
    )
    columns += columns_of(trials, [0.0] * len(some))
  return columns, trials


def test(compiled, name, build, column, structure, sequences):
  """The test of a column's net on at least `sequences` fresh sequences."""
  one = stack([column], structure, 1)
  wide = lambda x: np.repeat(x, _TEST_LANES, axis=-1)
  rounds = -(-sequences // _TEST_LANES)
  judged, _ = compiled(
    name,
    build.program.test,
    wide(one.length),
    jax.tree.map(wide, one.key),
    jax.tree.map(wide, one.learner.params),
    np.int32(rounds),
  )
  total = rounds * _TEST_LANES
  return Test(
    total - int(np.sum(np.asarray(judged.right))),
    total,
    float(np.mean(np.asarray(judged.absolute), dtype=np.float64)),
    float(np.mean(np.asarray(judged.squared), dtype=np.float64)),
  )


def net_of(column, structure):
  """A column's weights: path in the params -> array."""
  names = [_name(path) for path, _ in _paths(structure)]
  values = [column.leaves[name] for name in names]
  one = jax.tree.unflatten(jax.tree.structure(structure), values)
  return {_name(path): leaf for path, leaf in _paths(one.learner.params)}


def _paths(trials):
  return jax.tree_util.tree_flatten_with_path(trials)[0]


def _name(path):
  return jax.tree_util.keystr(path, simple=True, separator='/')
