"""The programs that are compiled for devices that are not there.

Those of trials are what a sweep compiles: `start` and `advance` of
`training.online.Program`. Those of layers are its run and its gradient.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from lstm_jax.lab.plan import catalog
from lstm_jax.lab.plan.programs import steps
from lstm_jax.lab.run import builds
from lstm_jax.lab.store.setting import Setting
from tests.accelerators import covering

if TYPE_CHECKING:
  import jax

LANES = 256
# Cells of layers, and the sizes of what is run: T, B, I, H.
LAYERS = ('lstm', 'gru', 'srn')
SIZES = (64, 32, 16, 32)
# Programs of layers: forward and gradient of each.
MOST_TRIALS = covering.MOST - 2 * len(LAYERS)


class Program(NamedTuple):
  """A program to be compiled.

  Attributes:
    name: of the program.
    parts: device -> (name of a function, it, lowered for the device); of trials
      also with the platform whose loops it has, where that is another.
    lane_steps: time steps of all its lanes, or of its batch.
  """

  name: str
  parts: 'Callable[..., Iterator[tuple[str, jax.stages.Lowered]]]'
  lane_steps: float


def every(
  possible: Mapping[covering.Triple, Setting] | None = None,
) -> list[Program]:
  """All of them: of trials, then of layers.

  Args:
    possible: of `covering.possible`; None: it is asked.
  """
  possible = covering.possible() if possible is None else possible
  chosen = covering.covering(
    possible, MOST_TRIALS, lambda key: covering.can_be_built(possible[key])
  )
  # A new entry of the catalog is in it by itself.
  return [
    *(of_trials(' '.join(key), possible[key]) for key in chosen),
    *(of_layer(cell, is_backward) for cell in LAYERS for is_backward in (0, 1)),
  ]


def of_trials(name: str, setting: Setting, lanes: int = LANES) -> Program:
  """The programs of trials of a setting, side by side.

  Args:
    name: of the program.
    setting: the setting.
    lanes: trials.
  """
  parts = functools.partial(_parts_of_trials, setting, lanes)
  return Program(name, parts, steps(setting) * lanes)


def _parts_of_trials(setting, lanes, device, platform=None):
  import jax
  import jax.numpy as jnp

  shape = _shape_on(device)
  build = builds.build(setting, platform=platform or device.platform)
  numbers = {
    name: shape((*value.shape, lanes), jnp.float32)
    for name, value in build.numbers.items()
  }
  word, count = shape((lanes,), jnp.uint32), shape((lanes,), jnp.int32)
  given = ((word, word), numbers, count, count)
  yield 'start', jax.jit(build.program.start).lower(*given)
  trials = jax.tree.map(
    lambda a: shape(a.shape, a.dtype),
    jax.eval_shape(build.program.start, *given),
  )
  few = shape((), jnp.int32)
  yield 'advance', jax.jit(build.program.advance).lower(trials, few)


def of_layer(cell: str, is_backward: int) -> Program:
  """A layer's run, or the gradient of a sum of its outputs.

  Args:
    cell: its cell.
    is_backward: whether it is the gradient.
  """
  words = 'gradient' if is_backward else 'forward'
  parts = functools.partial(_parts_of_layer, cell, words)
  return Program(f'layer {cell} {words}', parts, SIZES[0] * SIZES[1])


def _parts_of_layer(name, words, device):
  import jax
  import jax.numpy as jnp

  from lstm_jax.nn.layer import layer

  shape = _shape_on(device)
  length, batch, inputs, hidden = SIZES
  cell = catalog.build('cells', name, inputs, 0, hidden=hidden)
  params = jax.tree.map(lambda mask: shape(mask.shape, jnp.float32), cell.mask)
  xs = shape((length, batch, inputs), jnp.float32)

  def forward(params, xs):
    return layer(cell, params, xs).ys

  def gradient(params, xs):
    return jax.grad(lambda p: jnp.sum(forward(p, xs) ** 2))(params)

  function = gradient if words == 'gradient' else forward
  yield words, jax.jit(function).lower(params, xs)


def wrong(
  device: 'jax.Device',
) -> 'dict[str, Callable[[], jax.stages.Lowered]]':
  """Programs that an accelerator must not have: each guard is to show one.

  Args:
    device: which they are lowered for.
  """
  import jax
  import jax.numpy as jnp

  shape = _shape_on(device)

  def telling(x):
    jax.debug.callback(lambda value: None, x)
    return x + 1

  def in_float64():
    with jax.enable_x64(True):
      return jax.jit(lambda x: x * 2).lower(shape((8,), jnp.float64))

  return {
    'callback': lambda: jax.jit(telling).lower(shape((8,), jnp.float32)),
    'float64': in_float64,
  }


def _shape_on(device):
  """(shape, dtype) -> what stands for an array on a device."""
  import jax

  where = jax.sharding.SingleDeviceSharding(device)
  return functools.partial(jax.ShapeDtypeStruct, sharding=where)
