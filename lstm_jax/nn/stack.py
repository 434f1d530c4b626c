"""Several layers: one above the other, in one direction or in both."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from lstm_jax.choices import one_of
from lstm_jax.nn._values import renamed
from lstm_jax.nn.equations import output_size
from lstm_jax.nn.layer import Run, layer
from lstm_jax.ops.initial import check_numbers
from lstm_jax.types import Array, Cell

_WIRINGS = ('each_layer', 'independent')


class Stack(NamedTuple):
  """Layers from the input up; cells only, no weights.

  Attributes:
    forward: cells of the layers that run from the first step on.
    backward: cells of those that run from the last step of each sequence back;
      none, or as many.
    wiring: what a layer above the first reads where there are both directions:
      'each_layer', both directions of the layer below side by side (torch,
      Keras), or 'independent', its own direction only.
  """

  forward: tuple[Cell, ...]
  backward: tuple[Cell, ...] = ()
  wiring: Literal['each_layer', 'independent'] = 'each_layer'


class StackParams(NamedTuple):
  """Weights of a `Stack`, or anything else of which each layer has one."""

  forward: tuple[object, ...]
  backward: tuple[object, ...] = ()


class StackRun(NamedTuple):
  """Outputs and states of a stack.

  Attributes:
    ys: `[T, B, C]` outputs of the last layer; of both directions `[T, B, 2 C]`,
      forward first; None if not asked for.
    last: a `StackParams` of the layers' last states.
    states: a `StackParams` of their states after every step; None if not asked
      for.
    gates: a `StackParams` of their gates; None if not asked for.
  """

  ys: Array | None
  last: StackParams
  states: StackParams | None = None
  gates: StackParams | None = None


def make_stack(
  cell: Callable[..., Cell],
  num_inputs: int,
  *,
  layers: int,
  bidirectional: bool = False,
  wiring: Literal['each_layer', 'independent'] = 'each_layer',
  **options: object,
) -> Stack:
  """A stack of layers of one kind and size.

  Args:
    cell: the factory of a cell, as `cells.lstm.lstm`.
    num_inputs: I of the first layer.
    layers: how many.
    bidirectional, wiring: see `Stack`.
    **options: of the factory, as `hidden=30`.

  Returns:
    The `Stack`, cells without output units.

  Raises:
    ValueError: fewer than one layer, an unknown wiring, what the factory
      raises.

  Example:
    >>> import lstm_jax as lj
    >>> stack = lj.make_stack(lj.gru, 3, layers=2, bidirectional=True, hidden=8)
    >>> [cell.num_inputs for cell in stack.forward]
    [3, 16]
  """
  if not isinstance(layers, int) or layers < 1:
    raise ValueError(f'layers={layers} must be at least 1')
  first = cell(num_inputs, 0, **options)
  size = output_size(first)
  if bidirectional and wiring == 'each_layer':
    size *= 2
  cells = (first, *(cell(size, 0, **options) for _ in range(layers - 1)))
  stack = Stack(cells, cells if bidirectional else (), wiring)
  check_stack(stack)
  return stack


def init_stack(
  stack: Stack,
  key: Array,
  numbers: Mapping[str, ArrayLike | None] | None = None,
) -> StackParams:
  """Initial weights of every layer, each from a key of its own.

  Args:
    stack: the stack.
    key: one key.
    numbers: name -> value for all layers, as `{'init_range': 0.2}`; others have
      the cell's defaults.

  Returns:
    A `StackParams`, weights as each cell has them.

  Raises:
    ValueError: a number that a cell has not, or that does not fit.

  Example:
    >>> import jax, lstm_jax as lj
    >>> stack = lj.make_stack(lj.srn, 3, layers=2, hidden=8)
    >>> params = lj.init_stack(stack, jax.random.key(0), {'init_range': 0.2})
    >>> [layer.w_x.shape for layer in params.forward]
    [(8, 3), (8, 8)]
  """
  check_stack(stack)

  def init(cells, key):
    keys = jax.random.split(key, max(len(cells), 1))
    return tuple(
      cell.init(cell_key, check_numbers(numbers, cell.numbers))
      for cell, cell_key in zip(cells, keys, strict=False)
    )

  first, second = jax.random.split(key)
  return StackParams(init(stack.forward, first), init(stack.backward, second))


@renamed(window='cut_every')
def run_stack(
  stack: Stack,
  params: StackParams,
  xs: ArrayLike,
  *,
  lengths: ArrayLike | None = None,
  state: StackParams | None = None,
  initial: StackParams | None = None,
  reset: ArrayLike | None = None,
  reverse: bool = False,
  noise: StackParams | None = None,
  cut_every: int | None = None,
  outputs: bool = True,
  states: bool = False,
  gates: bool = False,
  checkpoint_every: int | None = None,
  backward: str = 'products',
  kernel: str = 'xla',
  batch_first: bool = False,
) -> StackRun:
  """Runs a stack over a batch of sequences.

  Args:
    stack: the stack.
    params: of `init_stack`.
    xs, lengths, reset: as in `layer`.
    state: a `StackParams` of states, as `StackRun.last`; None: initial ones.
    initial: a `StackParams` of the states that layers start with, or None for
      each layer.
    reverse: every layer from the last step of each sequence to its first; only
      where the stack has one direction.
    noise: a `StackParams` with a `Noise` or None for each layer; that of the
      inputs of a layer above the first is dropout between layers.
    outputs: whether to keep the outputs of the last layer.
    states, gates: whether to keep those of every layer and step.
    cut_every, checkpoint_every, backward, kernel, batch_first: of `layer`,
      for every layer.

  Returns:
    A `StackRun`.

  Raises:
    ValueError: parts of `params`, `state`, `initial` or `noise` that do not
      match the layers; `reverse` of a stack with both directions; what
      `layer` raises, with the layer's name.

  Example:
    >>> import jax, jax.numpy as jnp, lstm_jax as lj
    >>> stack = lj.make_stack(lj.srn, 3, layers=1, bidirectional=True, hidden=8)
    >>> params = lj.init_stack(stack, jax.random.key(0))
    >>> run = lj.run_stack(stack, params, jnp.ones((5, 2, 3)), lengths=[5, 4])
    >>> run.ys.shape
    (5, 2, 16)
  """
  check_stack(stack)
  check_parts(
    stack, params=params, state=state, initial=initial, noise=noise
  )  # fmt: skip
  if reverse and stack.backward:
    raise ValueError('reverse=True: the stack runs in both directions already')

  def run_layer(way, i, xs):
    pick = lambda part: None if part is None else getattr(part, way)[i]
    top = i == len(stack.forward) - 1
    try:
      return layer(
        getattr(stack, way)[i], getattr(params, way)[i], xs,
        lengths=lengths, reset=reset,
        state=pick(state), initial=pick(initial), noise=pick(noise),
        reverse=True if way == 'backward' else reverse,
        cut_every=cut_every, outputs=outputs if top else True, states=states,
        gates=gates, checkpoint_every=checkpoint_every, backward=backward,
        kernel=kernel, batch_first=batch_first,
      )  # fmt: skip
    except ValueError as error:
      raise ValueError(f'layer {way}[{i}]: {error}') from None

  ways = [way for way in StackParams._fields if getattr(stack, way)]
  runs: dict[str, list[Run]] = {way: [] for way in StackParams._fields}
  ys = dict.fromkeys(ways, xs)
  for i in range(len(stack.forward)):
    for way in ways:
      runs[way].append(run_layer(way, i, ys[way]))
    ys = {way: y for way in ways if (y := runs[way][i].ys) is not None}
    ys_joined = jnp.concatenate(tuple(ys.values()), axis=-1) if ys else None
    if stack.wiring == 'each_layer' and ys_joined is not None:
      ys = dict.fromkeys(ways, ys_joined)
  of_each = lambda name: StackParams(
    *(
      tuple(getattr(a_run, name) for a_run in runs_of_way)
      for runs_of_way in runs.values()
    )
  )
  return StackRun(
    ys_joined,
    of_each('last'),
    of_each('states') if states else None,
    of_each('gates') if gates else None,
  )


def check_parts(stack: Stack, **parts: StackParams | None) -> None:
  """Checks that what is given for each layer has one part for each."""
  for name, part in parts.items():
    if part is None and name != 'params':
      continue
    if not isinstance(part, StackParams):
      raise ValueError(
        f'{name} is of type {type(part).__name__}; must be a StackParams: one '
        'part for each layer'
      )
    for way, layers in part._asdict().items():
      if not isinstance(layers, tuple | list):
        raise ValueError(f'{name}.{way} must be a tuple, one part a layer')
      want = len(getattr(stack, way))
      if len(layers) != want:
        raise ValueError(
          f'{name}.{way} has {len(layers)} layers; must be {want}'
        )


def check_stack(stack: Stack) -> None:
  """Raises ValueError for what is no `Stack`, or none that can run."""
  if not isinstance(stack, Stack):
    raise ValueError(
      f'stack is of type {type(stack).__name__}; must be a Stack, as '
      'make_stack(lstm, 3, layers=2) makes it'
    )
  if stack.wiring not in _WIRINGS:
    raise ValueError(f'wiring={stack.wiring!r} {one_of(_WIRINGS)}')
  if not stack.forward:
    raise ValueError('a stack needs at least one layer forward')
  if stack.backward and len(stack.backward) != len(stack.forward):
    raise ValueError(
      f'a stack of {len(stack.forward)} layers forward has '
      f'{len(stack.backward)} backward; must be 0 or as many'
    )
