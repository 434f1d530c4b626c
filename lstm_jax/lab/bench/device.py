"""Times trials and layers of a small size on a device, within a given time."""

import functools
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lstm_jax.lab.bench import rows
from lstm_jax.lab.plan import catalog, from_values, plan

if TYPE_CHECKING:
  import jax

# Learner and cell of trials on the adding problem, its T, and numbers of them.
TRIALS = (
  ('truncated1997', 'lstm1997'),
  ('bptt', 'lstm'),
  ('elman', 'srn'),
)
LENGTH = 100
LANES = (16, 256, 4096)
# Cells of layers; T, B, I and H.
LAYERS = ('lstm', 'gru', 'srn')
SIZES = ((128, 32, 32, 32), (128, 64, 128, 256))
KERNELS = ('xla', 'auto')


class Case(NamedTuple):
  """A thing to be timed.

  Attributes:
    name: as progress is told.
    time: returns its figure.
  """

  name: str
  time: Callable[[], rows.Figure]


def trials(
  device: 'jax.Device',
  pace: rows.Pace,
  length: int = LENGTH,
  lanes: tuple[int, ...] = LANES,
) -> Iterator[Case]:
  """Trials side by side, in the programs that a sweep runs there.

  Args:
    device: where.
    pace: a `rows.Pace`.
    length: T.
    lanes: numbers of trials.

  Yields:
    Cases whose figures have `us_a_step`, of all lanes, and `ns_a_lane_step`.
  """
  for width in lanes:
    for learner, cell in TRIALS:
      yield Case(
        f'{width} trials of {learner}, {cell}',
        functools.partial(
          _time_trials, device, pace, learner, cell, length, width
        ),
      )


def _time_trials(device, pace, learner, cell, length, width):
  import jax

  axes = {'task': 'adding', 'cell': cell, 'learner': learner, 'length': length}
  (setting,) = plan.expand(from_values.request_of(axes, {}, seeds=1)).trials
  build, state = rows.begin(setting, device, width)
  began = time.monotonic()
  advance = jax.jit(build.program.advance).lower(state, np.int32(1)).compile()
  compile_s = time.monotonic() - began
  count, state = rows.warm(advance, state, pace)
  best = float('inf')
  for _ in range(pace.repeats):
    began = time.monotonic()
    _, work = jax.block_until_ready(advance(state, np.int32(count)))
    best = min(best, (time.monotonic() - began) / float(work.executed))
  return {
    'learner': learner,
    'cell': cell,
    'length': length,
    'lanes': width,
    'us_a_step': best * width * 1e6,
    'ns_a_lane_step': best * 1e9,
    'compile_s': compile_s,
  }


def layers(
  device: 'jax.Device',
  pace: rows.Pace,
  sizes: tuple[tuple[int, int, int, int], ...] = SIZES,
) -> Iterator[Case]:
  """Layers, forward and with the gradient of their weights.

  Args:
    device: where.
    pace: a `rows.Pace`.
    sizes: T, B, I and H of each.

  Yields:
    Cases whose figures have `forward_ms` and `gradient_ms`, and which kernel
    ran.
  """
  for size in sizes:
    for name in LAYERS:
      for kernel in KERNELS:
        words = ', '.join(f'{k}={n}' for k, n in zip('TBIH', size, strict=True))
        yield Case(
          f'{name} layer, {kernel}, {words}',
          functools.partial(_time_layer, device, pace, name, kernel, size),
        )


def _time_layer(device, pace, name, kernel, size):
  import jax
  import jax.numpy as jnp

  from lstm_jax.nn.layer import layer, which_kernel

  length, batch, inputs, hidden = size
  cell = catalog.build('cells', name, inputs, 0, hidden=hidden)
  params, xs = jax.device_put(
    (
      cell.init(jax.random.key(0)),
      jax.random.normal(jax.random.key(1), (length, batch, inputs)),
    ),
    device,
  )

  def forward(params, xs):
    return layer(cell, params, xs, kernel=kernel).ys

  def gradient(params, xs):
    return jax.grad(lambda p: jnp.sum(forward(p, xs) ** 2))(params)

  return {
    'cell': name,
    'size': dict(zip(('T', 'B', 'I', 'H'), size, strict=True)),
    'asked': kernel,
    'kernel': which_kernel(cell, params, xs, kernel=kernel).kernel,
    'forward_ms': 1e3 * _best(jax.jit(forward), (params, xs), pace),
    'gradient_ms': 1e3 * _best(jax.jit(gradient), (params, xs), pace),
  }


def _best(function, args, pace):
  """The least seconds of a call, compiled before."""
  import jax

  jax.block_until_ready(function(*args))
  best, end = float('inf'), time.monotonic() + pace.repeats * pace.seconds
  while True:
    began = time.monotonic()
    jax.block_until_ready(function(*args))
    best = min(best, time.monotonic() - began)
    if time.monotonic() > end:
      return best
