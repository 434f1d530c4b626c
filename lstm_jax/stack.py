"""Several layers: one above the other, in one direction or in both."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.layer import run
from lstm_jax.types import Array, Cell


class Stack(NamedTuple):
  """Layers from the input up; cells only, no weights.

  Attributes:
    forward: cells of the layers that run from the first step on.
    backward: cells of those that run from the last step of each sequence back;
      none, or as many.
    wiring: what a layer above the first hears where there are both directions:
      'each_layer', both directions of the layer below side by side (torch,
      Keras), or 'independent', its own direction only.
  """

  forward: tuple[Cell, ...]
  backward: tuple[Cell, ...] = ()
  wiring: Literal['each_layer', 'independent'] = 'each_layer'


class StackParams(NamedTuple):
  """Weights of a `Stack`, or anything else of which each layer has one."""

  forward: tuple
  backward: tuple = ()


class StackRun(NamedTuple):
  """What a stack made of its inputs.

  Attributes:
    ys: `[T, B, C]` outputs of the last layer; of both directions `[T, B, 2 C]`,
      forward first.
    last: a `StackParams` of the layers' last states.
  """

  ys: Array
  last: StackParams


def make_stack(
  cell,
  num_inputs: int,
  *,
  layers: int,
  bidirectional: bool = False,
  wiring: Literal['each_layer', 'independent'] = 'each_layer',
  **options,
) -> Stack:
  """A stack of layers of one kind and size.

  Args:
    cell: the factory of a cell, as `cells.lstm.lstm`.
    num_inputs: I of the first layer.
    layers: how many.
    bidirectional, wiring: see `Stack`.
    **options: of the factory, as `hidden=30`.

  Raises:
    ValueError: fewer than one layer, an unknown wiring, what the factory
      raises.
  """
  if layers < 1:
    raise ValueError(f'layers={layers} must be at least 1')
  first = cell(num_inputs, 0, **options)
  size = _size(first)
  if bidirectional and wiring == 'each_layer':
    size *= 2
  cells = (first, *(cell(size, 0, **options) for _ in range(layers - 1)))
  stack = Stack(cells, cells if bidirectional else (), wiring)
  _check(stack)
  return stack


def init_stack(stack: Stack, key, numbers=None) -> StackParams:
  """Initial weights of every layer, each from a key of its own.

  Args:
    stack: the stack.
    key: one key.
    numbers: name -> value for all layers, as `{'init_range': 0.2}`; others have
      the cell's defaults.
  """
  numbers = numbers or {}

  def init(cells, key):
    keys = jax.random.split(key, max(len(cells), 1))
    return tuple(
      cell.init(own, {**cell.numbers, **numbers})
      for cell, own in zip(cells, keys, strict=False)
    )

  there, back = jax.random.split(key)
  return StackParams(init(stack.forward, there), init(stack.backward, back))


def run_stack(
  stack: Stack,
  params: StackParams,
  xs,
  *,
  lengths=None,
  state: StackParams | None = None,
  reset=None,
  noise: StackParams | None = None,
  **how,
) -> StackRun:
  """Runs a stack over a batch of sequences.

  Args:
    stack: the stack.
    params: of `init_stack`.
    xs, lengths, reset: as in `layer.run`.
    state: a `StackParams` of states, as `StackRun.last`; None: initial ones.
    noise: a `StackParams` with a `Noise` or None for each layer; that of the
      inputs of a layer above the first is dropout between layers.
    **how: `window`, `checkpoint_every` and `backward` of `layer.run`.

  Returns:
    A `StackRun`.

  Raises:
    ValueError: parts of `params`, `state` or `noise` that do not match the
      layers; what `layer.run` raises.
  """
  _check(stack)
  parts = {'params': params, 'state': state, 'noise': noise}
  for name, part in parts.items():
    for way in StackParams._fields:
      have, want = len(getattr(part or (), way, ())), len(getattr(stack, way))
      if part is not None and have != want:
        raise ValueError(f'{name}.{way} has {have} layers; must be {want}')

  def layer(way, i, xs):
    pick = lambda part: None if part is None else getattr(part, way)[i]
    return run(
      getattr(stack, way)[i], pick(params), xs, lengths=lengths, reset=reset,
      state=pick(state), noise=pick(noise), reverse=way == 'backward', **how,
    )  # fmt: skip

  last = {'forward': [], 'backward': []}
  ways = [way for way in StackParams._fields if getattr(stack, way)]
  ys = dict.fromkeys(ways, xs)
  for i in range(len(stack.forward)):
    made = {way: layer(way, i, ys[way]) for way in ways}
    for way in ways:
      last[way].append(made[way].last)
    ys = {way: made[way].ys for way in ways}
    joined = jnp.concatenate([ys[way] for way in ways], axis=-1)
    if stack.wiring == 'each_layer':
      ys = dict.fromkeys(ways, joined)
  return StackRun(joined, StackParams(*map(tuple, last.values())))


def _size(cell):
  """C, entries of what a layer of the cell puts out."""
  carry = jax.eval_shape(cell.initial_carry)
  return getattr(carry, cell.recurrence.output).shape[0]


def _check(stack):
  if stack.wiring not in ('each_layer', 'independent'):
    raise ValueError(
      f'wiring={stack.wiring!r} must be one of each_layer, independent'
    )
  if not stack.forward:
    raise ValueError('a stack needs at least one layer forward')
  if stack.backward and len(stack.backward) != len(stack.forward):
    raise ValueError(
      f'a stack of {len(stack.forward)} layers forward has '
      f'{len(stack.backward)} backward; must be 0 or as many'
    )
