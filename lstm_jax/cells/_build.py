"""Parts that the factories of cells share: sizes, carries, initial weights."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import ParamSpec, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from lstm_jax.ops.checked import checked
from lstm_jax.ops.initial import check_numbers
from lstm_jax.ops.step import step_of
from lstm_jax.types import Array, Carry, Cell, Equations, InternalState, Params

Options = ParamSpec('Options')


def cell_factory(make: Callable[Options, Cell]) -> Callable[Options, Cell]:
  """Decorates what makes a cell: its arguments are checked, its cells shared.

  Sizes (what is annotated as `int`) are at least 1, `num_outputs` may be 0: a
  layer without output units. Words are held to their annotations (`checked`),
  numbers of `init` to what it reads; those left out have their defaults.

  Cells of the same sizes and options share their functions: JAX knows a program
  by the functions that it was made of, and a layer whose cell is made at every
  call, as a module of flax makes it, would else be compiled every time. Numbers
  are each cell's own.

  Args:
    make: `(num_inputs, num_outputs, *, options) -> Cell`, annotated.

  Returns:
    The factory.

  Example:
    >>> import lstm_jax as lj
    >>> @lj.cell_factory
    ... def wide(num_inputs: int, num_outputs: int, *, half: int = 4):
    ...   return lj.srn(num_inputs, num_outputs, hidden=2 * half)
    >>> wide(3, 1, half=2).mask.b.shape
    (4,)
  """
  make = checked(_sized(make))
  remembered = functools.lru_cache(maxsize=64, typed=True)(make)

  @functools.wraps(make)
  def cell(*sizes, **options):
    try:
      hash((sizes, *options.values()))
    except TypeError:
      return make(*sizes, **options)  # says itself what is wrong with it
    result = remembered(*sizes, **options)
    return result._replace(
      numbers={name: np.copy(value) for name, value in result.numbers.items()}
    )

  return cell


def _sized(make):
  """`make`, whose arguments that are annotated as `int` are sizes."""
  signature = inspect.signature(make, eval_str=True)
  names = [n for n, p in signature.parameters.items() if p.annotation is int]

  @functools.wraps(make)
  def cell(*args, **options):
    arguments = signature.bind(*args, **options).arguments
    for name in names:
      if name in arguments:
        _check_size(name, arguments[name])
    result = make(*args, **options)
    result.step.__qualname__ = f'{make.__qualname__}.step'  # for messages
    return result._replace(init=_checked_init(result))

  return cell


def _checked_init(cell):
  """`init` of a cell, whose numbers are checked and filled up first."""
  # One program: what it does one thing after another would each be compiled for
  # every new size.
  init_program, defaults = jax.jit(cell.init), cell.numbers

  def init(key: Array, numbers: Mapping[str, ArrayLike] | None = None):
    return init_program(key, check_numbers(numbers, defaults))

  return init


def _check_size(name, size):
  minimum = 0 if name == 'num_outputs' else 1
  if isinstance(size, bool) or not isinstance(size, int | np.integer):
    raise ValueError(f'{name}={size!r} must be an integer, at least {minimum}')
  if size < minimum:
    raise ValueError(f'{name}={size} must be at least {minimum}')


def build_cell(
  num_inputs: int,
  num_outputs: int,
  mask: Params,
  carry: Callable[..., Carry],
  sizes: Mapping[str, int],
  equations: Equations,
  numbers: Mapping[str, float | None],
  *,
  biases: int = 1,
  start: Mapping[str, float] | None = None,
  place: Callable[..., Params] | None = None,
  internal: InternalState | None = None,
) -> Cell:
  """The cell of some equations.

  Args:
    num_inputs: I.
    num_outputs: K.
    mask: the params, arrays of numpy: 1 where a weight exists.
    carry: the NamedTuple of the state between steps.
    sizes: field of the carry -> its size.
    equations: the `Equations`; their `readout` follows from the mask.
    numbers: name -> default of the numbers of `init`; None: drawn like every
      other weight.
    biases: entries of a number whose name ends in `_bias`.
    start: field -> value of those of the carry that do not start at 0.
    place: `(drawn params, numbers) -> params` with the numbers in their places;
      None: all params are as drawn.
    internal: the `InternalState`, or None.

  Returns:
    The `Cell`.

  Example:
    >>> import collections, jax, numpy as np, lstm_jax as lj
    >>> Params = collections.namedtuple('Params', 'w_x w_h b w_out b_out')
    >>> Carry = collections.namedtuple('Carry', 'h')
    >>> shapes = (4, 3), (4, 4), (4,), (2, 4), (2,)
    >>> equations = lj.Equations(
    ...   lambda extra, carry_tm1, net: (Carry(jax.nn.relu(net)), {}),
    ...   output='h', recurrent=(lj.Connection('w_h', 'h'),))
    >>> cell = lj.build_cell(
    ...   3, 2, Params(*map(np.ones, shapes)), Carry, {'h': 4}, equations,
    ...   {'init_range': 0.1})
    >>> lj.testing.admit_cell('mine', cell)
  """
  masks = mask._asdict()
  readout = tuple(
    name
    for name in ('w_out', 'w_out_x')
    if name in masks and (name == 'w_out' or np.any(masks[name]))
  )
  equations = equations._replace(readout=readout)
  defaults = {
    name: np.full(
      biases if name.endswith('_bias') else (),
      np.nan if v is None else v,
      np.float32,
    )
    for name, v in numbers.items()
  }

  def init(key, numbers):
    params = draw_weights(key, mask, numbers['init_range'])
    return params if place is None else place(params, numbers)

  def initial_carry(lanes=(), dtype=jnp.float32):
    fields = {n: jnp.zeros((size, *lanes), dtype) for n, size in sizes.items()}
    for name, value in (start or {}).items():
      fields[name] = jnp.full_like(fields[name], value)
    return carry(**fields)

  return Cell(
    num_inputs, num_outputs, init, initial_carry,
    step_of(equations, num_outputs), mask, defaults, equations, internal,
  )  # fmt: skip


def ones(*shape: int, exist: ArrayLike = True) -> Array:
  """A part of a mask: weights that all exist, or those that `exist` says.

  An array of numpy. To the type checker it is one of JAX, as in params: a mask
  is a NamedTuple of the type of the params.
  """
  return cast(Array, np.full(shape, exist, np.float32))


def draw_weights(key: Array, mask: Params, init_range: ArrayLike) -> Params:
  """Initial weights of one network, uniform in [-r, r].

  Args:
    key: one key. All weights are slices of one draw: the generator, which is
      most of what there is to compile here, is then compiled once.
    mask: pytree of numpy arrays, 1 where a weight exists.
    init_range: r, a traced scalar; its dtype is that of the weights.

  Returns:
    A pytree like `mask`, 0 where no weight exists.

  Example:
    >>> import jax, numpy as np, lstm_jax as lj
    >>> lj.draw_weights(jax.random.key(0), np.eye(2), 0.0).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
  """
  arrays, structure = jax.tree.flatten(mask)
  r = jnp.asarray(init_range)
  ends = np.cumsum([exists.size for exists in arrays])
  values = jax.random.uniform(key, (ends[-1],), r.dtype, -r, r)
  weights = (
    values[end - exists.size : end].reshape(exists.shape)
    * jnp.asarray(exists, r.dtype)
    for end, exists in zip(ends, arrays, strict=True)
  )
  return jax.tree.unflatten(structure, weights)


def fraction(weights: Array, init_range: ArrayLike) -> Array:
  """Places of drawn weights between -r and r: uniform numbers in [0, 1].

  For what starts in a range of its own, without a second draw.

  Args:
    weights: of `draw_weights`.
    init_range: r, as there; where it is 0, all are in the middle.
  """
  r = jnp.asarray(init_range)
  return jnp.where(r > 0, 0.5 + 0.5 * weights / jnp.where(r > 0, r, 1), 0.5)


def set_biases(biases: Array, *parts: Array | np.ndarray | int) -> Array:
  """Biases `[U]`: random ones, with numbers in their places.

  A nan stands for the random one. It is put aside before anything is computed:
  JAX's search for nan (`jax_debug_nans`) must not find a mark.

  Args:
    biases: `[U]`.
    *parts: one behind the other, numbers `[n]`, or how many stay random.
  """
  pieces, at = [], 0
  for part in parts:
    if isinstance(part, int):
      pieces.append(biases[at : at + part])
    else:
      rows = biases[at : at + len(part)]
      np_ = np if isinstance(part, np.ndarray) else jnp
      is_set = np_.logical_not(np_.isnan(part))
      number = np_.where(is_set, part, 0).astype(biases.dtype)
      pieces.append(jnp.where(is_set, number, rows))
    at += len(pieces[-1])
  return jnp.concatenate(pieces)


def gate_biases(
  params: Params, numbers: Mapping[str, Array | np.ndarray]
) -> Params:
  """Params whose `b` `[4C]`, rows y_in, y_f, g, y_out, has numbers in it.

  `input_gate_bias`, `forget_bias`, `output_gate_bias` `[C]`; g keeps the drawn.
  """
  biases = params._asdict()['b']
  b = set_biases(
    biases,
    numbers['input_gate_bias'],
    numbers['forget_bias'],
    len(biases) // 4,
    numbers['output_gate_bias'],
  )
  return params._replace(b=b)
