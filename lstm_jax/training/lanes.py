"""Trials on-line, side by side in the lanes of compiled programs.

A trial that has ended is tested and handed over, and its lane may be given to
another one. Where few are left, the lanes move to a narrower program. Which
lane, width or device a trial has does not change it.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar, cast

import jax
import numpy as np

from lstm_jax.ops import prng
from lstm_jax.training import kept_networks, learning_curve, online
from lstm_jax.training.loop import (
  Advanced,
  FreshScore,
  Job,
  Loop,
  Outcome,
  TrialState,
  named,
)

# Lane widths that get compiled. On CPU 16 lanes are one vector, and all that
# the step of a small net touches stays in the first cache. Where a net carries
# many numbers from step to step that is so no more: at 64 of them (an LSTM of
# 32 units, an SRN of 64) one trial after another takes half the time.
CPU_WIDTH = 16
CPU_LARGE = 64
ACCELERATOR_WIDTHS = (16, 64, 256, 1024, 4096)
TEST_SEQUENCES = 2560
_TEST_LANES = 32
# Compiling a narrower width costs seconds; it has to be earned first.
NARROW_AFTER_SECONDS = 60.0


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

  def loop(
    self,
    name: str,
    compiled: 'Compiled',
    widths: tuple[int, ...],
    tests: int = TEST_SEQUENCES,
  ) -> Loop:
    """The `Loop` of trials of this program, see `loop_of`."""
    return loop_of(name, self, compiled, widths, tests)


def widths_of(device: jax.Device, carried: int = 0) -> tuple[int, ...]:
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


def width_for(widths: tuple[int, ...], count: int) -> int:
  """The smallest of the ascending `widths` that holds `count` lanes."""
  return next((w for w in widths if w >= count), widths[-1])


def columns_of(
  trials: online.Trials, seconds: Iterable[float]
) -> list[TrialState]:
  """The lanes of `trials`, one `TrialState` for each entry of `seconds`."""
  leaves = [(name, np.asarray(x)) for name, x in named(trials)]
  return [
    TrialState({name: np.array(x[..., i]) for name, x in leaves}, spent)
    for i, spent in enumerate(seconds)
  ]


def stack(
  columns: Sequence[TrialState], structure: online.Trials, width: int
) -> online.Trials:
  """`Trials` of `width` lanes from columns; lanes to spare are idle copies.

  Args:
    columns: at most `width` columns.
    structure: `Trials` of the same program, for its tree.
    width: lanes.

  Raises:
    ValueError: a column of another program.
  """
  names = [name for name, _ in named(structure)]
  for column in columns:
    if set(column.leaves) != set(names):
      raise ValueError('a column does not have the arrays of this program')
  spare = [columns[0]] * (width - len(columns))
  leaves = [
    np.stack([column.leaves[name] for column in (*columns, *spare)], axis=-1)
    for name in names
  ]
  trials = jax.tree.unflatten(jax.tree.structure(structure), leaves)
  trials.status[len(columns) :] = online.IDLE
  return trials


Result = TypeVar('Result')


class Compiled:
  """The programs of one device, compiled when first called.

  Args:
    device: where they run.
    on_compile: called with True before and False after a compilation.
  """

  def __init__(
    self,
    device: jax.Device,
    on_compile: Callable[[bool], None] = lambda compiling: None,
  ) -> None:
    self.device = device
    self._on_compile = on_compile
    self._programs: dict[object, jax.stages.Compiled] = {}

  def __call__(
    self, name: str, function: Callable[..., Result], *args: object
  ) -> tuple[Result, bool]:
    """Calls `function` compiled for the shapes of `args`.

    Returns:
      `(result, fresh)`: fresh where this call had to compile.
    """
    args = jax.device_put(args, self.device)
    key = (name, function.__name__, jax.tree.leaves(args)[0].shape)
    fresh = key not in self._programs
    if fresh:
      self._on_compile(True)
      try:
        self._programs[key] = jax.jit(function).lower(*args).compile()
      finally:
        self._on_compile(False)
    return self._programs[key](*args), fresh


def start(
  compiled: Compiled, name: str, build: Build, jobs: Sequence[Job], width: int
) -> tuple[list[TrialState], online.Trials]:
  """The first `Trials` of jobs, `width` at a time.

  Returns:
    `(columns, trials)`: a column a job, and one of the `Trials`.
  """
  columns = []
  for at in range(0, len(jobs), width):
    some = jobs[at : at + width]
    padded = [*some, *[some[-1]] * (width - len(some))]
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


def test(
  compiled: Compiled,
  name: str,
  build: Build,
  column: TrialState,
  structure: online.Trials,
  sequences: int,
) -> FreshScore:
  """The test of a column's network on at least `sequences` fresh sequences."""
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
  return FreshScore(
    total - int(np.sum(np.asarray(judged.right))),
    total,
    float(np.mean(np.asarray(judged.absolute), dtype=np.float64)),
    float(np.mean(np.asarray(judged.squared), dtype=np.float64)),
  )


def net_of(
  column: TrialState, structure: online.Trials
) -> dict[str, np.ndarray]:
  """A column's weights: path in the params -> array."""
  found = named(_trial_of(column, structure).learner.params)
  return {name: np.asarray(leaf) for name, leaf in found}


def _trial_of(column, structure):
  """`Trials` of one column, without lanes."""
  values = [column.leaves[name] for name, _ in named(structure)]
  return jax.tree.unflatten(jax.tree.structure(structure), values)


def _net_in(trials, lane):
  """The weights of a lane: path in the params -> array."""
  return {
    name: np.array(np.asarray(leaf)[..., lane])
    for name, leaf in named(trials.learner.params)
  }


class Lanes(NamedTuple):
  """Trials between two updates.

  Attributes:
    jobs: of the trials, in the order of their lanes.
    columns: of each; None while they are on the device.
    trials: `online.Trials` of `width` lanes on the device; None while they are
      columns.
    structure: an `online.Trials`, for its tree.
    networks: of each, those kept along its way; () where none are.
    seconds: `[n]` device time of each.
    ended: `[n]` bool.
    width: lanes of the program that runs.
    spent: device time since the start.
  """

  jobs: tuple[Job, ...]
  columns: tuple[TrialState, ...] | None
  trials: online.Trials | None
  structure: online.Trials | None
  networks: tuple[kept_networks.Networks, ...]
  seconds: np.ndarray
  ended: np.ndarray
  width: int
  spent: float


def loop_of(
  name: str,
  build: Build,
  compiled: Compiled,
  widths: tuple[int, ...],
  tests: int = TEST_SEQUENCES,
) -> Loop:
  """Trials of one program and one length, as a `Loop`.

  Args:
    name: of the program.
    build: its `Build`.
    compiled: the `Compiled` of the device.
    widths: lane widths that may be compiled, ascending.
    tests: fresh sequences of the test after success, at least; 0: none.
  """
  some = functools.partial(_join, name, build, compiled, widths)
  nothing = Lanes(
    (), (), None, None, (), np.zeros(0), np.zeros(0, bool), 0, 0.0
  )
  return Loop(
    start=functools.partial(some, nothing),
    advance=functools.partial(_advance, name, build, compiled, widths),
    charge=_charge,
    snapshot=_snapshot,
    results=functools.partial(_results, name, build, compiled, tests),
    free=_free,
    join=some,
    first=16,
  )


def _free(lanes):
  return max(lanes.width - len(lanes.jobs), 0)


def _snapshot(lanes):
  """Job id -> `TrialState`, with the networks that are kept."""
  return {
    job.id: _with_networks(column, kept)
    for job, column, kept in zip(
      lanes.jobs, _columns(lanes), lanes.networks, strict=True
    )
  }


def _with_networks(column, kept):
  return column._replace(leaves=column.leaves | kept_networks.leaves_of(kept))


def _going_on(leaves):
  """The leaves of a trial; one that has now more budget than it spent runs."""
  if leaves['status'] == online.BUDGET and leaves['seen'] < leaves['budget']:
    return leaves | {'status': np.full_like(leaves['status'], online.RUNNING)}
  return leaves


def _columns(lanes):
  if lanes.columns is not None:
    return lanes.columns
  return tuple(columns_of(lanes.trials, lanes.seconds))


def _join(name, build, compiled, widths, lanes, jobs, begun):
  """More trials: those that go on from `begun`, the others from the start."""
  columns, structure = start(compiled, name, build, jobs, widths[-1])
  networks = [
    kept_networks.first(net_of(column, structure)) if job.keep else ()
    for job, column in zip(jobs, columns, strict=True)
  ]
  for i, job in enumerate(jobs):
    if job.id in begun:
      leaves, networks[i] = kept_networks.taken_from(begun[job.id].leaves)
      columns[i] = begun[job.id]._replace(leaves=_going_on(leaves))
  spent = np.array([column.seconds for column in columns])
  return lanes._replace(
    jobs=(*lanes.jobs, *jobs),
    columns=(*_columns(lanes), *columns),
    trials=None,
    structure=structure,
    networks=(*lanes.networks, *networks),
    seconds=np.concatenate((lanes.seconds, spent)),
    ended=np.concatenate((lanes.ended, np.zeros(len(jobs), bool))),
  )


def _advance(name, build, compiled, widths, lanes, updates):
  """At most so many training sequences of each trial."""
  count, width, trials = len(lanes.jobs), lanes.width, lanes.trials
  # A program of another width is compiled: that has to be earned.
  if lanes.spent > NARROW_AFTER_SECONDS or count > width:
    width = width_for(widths, count)
  if trials is None or width != lanes.width:
    trials = stack(_columns(lanes), lanes.structure, width)
  (trials, work), fresh = compiled(
    name, build.program.advance, trials, np.int32(updates)
  )
  ended = np.asarray(trials.status)[:count] != online.RUNNING
  seen = np.asarray(trials.seen)[:count].tolist()
  networks = tuple(
    kept
    if done or not kept_networks.is_due(kept, n)
    else kept_networks.with_network(kept, n, _net_in(trials, i))
    for i, (kept, n, done) in enumerate(
      zip(lanes.networks, seen, ended, strict=True)
    )
  )
  lanes = lanes._replace(
    columns=None, trials=trials, networks=networks, ended=ended, width=width
  )
  return lanes, Advanced(
    seen={job.id: n for job, n in zip(lanes.jobs, seen, strict=True)},
    ended=bool(ended.any()),
    whole=not ended.any(),
    fresh=fresh,
    sequences=float(work.sequences),
    useful=float(work.useful),
    executed=float(work.executed),
  )


def _charge(lanes, seconds):
  each = seconds / max(len(lanes.jobs), 1)
  return lanes._replace(
    seconds=lanes.seconds + each, spent=lanes.spent + seconds
  )


def errors_of(state: object) -> dict[str, float]:
  """Job id -> mean absolute error of its last training sequences.

  Args:
    state: of a `Loop` of this module.
  """
  lanes = cast(Lanes, state)
  if lanes.trials is not None:
    errors = np.asarray(lanes.trials.error.absolute)
  else:
    trials = (_trial_of(column, lanes.structure) for column in _columns(lanes))
    errors = np.array([trial.error.absolute for trial in trials])
  return {job.id: float(e) for job, e in zip(lanes.jobs, errors, strict=False)}


def outcomes_now(loop: Loop, state: object) -> list[Outcome]:
  """The outcomes of trials as if they had ended; 'running' is their status.

  Args:
    loop: of this module.
    state: its state.
  """
  lanes = cast(Lanes, state)
  ended = np.ones(len(lanes.jobs), bool)
  return loop.results(lanes._replace(ended=ended))[1]


def _results(name, build, compiled, tests, lanes):
  """Takes out the trials that have ended, tested where they are solved."""
  columns = _columns(lanes)
  outcome_of = functools.partial(
    _outcome, name, build, compiled, tests, lanes.structure
  )
  outcomes = [
    outcome_of(lanes.jobs[i], columns[i], lanes.networks[i])
    for i in np.flatnonzero(lanes.ended)
  ]
  stay = np.flatnonzero(~lanes.ended)
  lanes = lanes._replace(
    jobs=tuple(lanes.jobs[i] for i in stay),
    columns=tuple(columns[i] for i in stay),
    trials=None,
    networks=tuple(lanes.networks[i] for i in stay),
    seconds=lanes.seconds[stay],
    ended=lanes.ended[stay],
  )
  return lanes, outcomes


def _outcome(name, build, compiled, tests, structure, job, column, kept):
  """The outcome of a trial that has ended, with its test if it was solved."""
  trial = _trial_of(column, structure)
  status, seen = online.STATUS[int(trial.status)], int(trial.seen)
  net = {path: np.asarray(w) for path, w in named(trial.learner.params)}
  tested = None
  if status == 'solved' and tests:
    tested = test(compiled, name, build, column, structure, tests)
  metrics = {
    'weights': build.weights,
    'sequences_to_success': seen if status == 'solved' else None,
    'sequences_seen': seen,
    'first_passed': int(trial.first_passed) or None,
    'train_absolute': float(trial.error.absolute),
  }
  if tested:
    metrics |= {f'test_{k}': value for k, value in tested._asdict().items()}
  return Outcome(
    job.id,
    status,
    seen,
    column.seconds,
    metrics,
    learning_curve.lists(trial.curve),
    net=net,
    networks=kept_networks.with_last(kept, seen, net),
    spent=_with_networks(column, kept) if status == 'budget' else None,
  )
