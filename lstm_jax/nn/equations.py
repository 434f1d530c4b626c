"""The hidden layer of any cell, also of one that gives no `Equations`.

A cell needs a step and nothing else. Where it does not say which products its
step is made of, a layer scans the step itself.
"""

import functools

import jax
import jax.numpy as jnp

from lstm_jax.choices import type_words
from lstm_jax.types import Carry, Cell, Equations

# Fields that a layer outputs, where a cell has several and does not say.
_OUTPUTS = ('h', 'y', 'y_c')


def equations_of(cell: Cell) -> Equations:
  """The equations of a cell; of one that gives none, its step.

  Then there are no products: `advance` takes all params, the carry and the
  input, one sequence at a time under `jax.vmap`.

  Raises:
    ValueError: not a `Cell`; a carry of several fields, none of them called h,
      y or y_c, or one that is no NamedTuple, by the name of the cell.
  """
  if not isinstance(cell, Cell):
    raise ValueError(
      f'cell is {type_words(cell)}; must be a Cell, as lstm(3, 0, hidden=8) '
      'makes it'
    )
  if cell.equations is not None:
    return cell.equations
  name = name_of(cell)
  carry = state_of(cell)
  fields = getattr(carry, '_fields', None)
  if not fields:
    raise ValueError(
      f'cell {name}: its carry is {type_words(carry)}; must be a '
      'NamedTuple of arrays'
    )
  output_fields = [field for field in _OUTPUTS if field in fields]
  if len(fields) > 1 and len(output_fields) != 1:
    raise ValueError(
      f'cell {name} does not say which field of its carry ({", ".join(fields)})'
      ' a layer puts out: give it Equations, or call one of them y'
    )
  output = output_fields[0] if output_fields else fields[0]
  return _by_step(cell.step, output)


def name_of(cell: Cell) -> str:
  """The name of the function that has made a cell, for messages."""
  return getattr(cell.step, '__qualname__', 'cell').partition('.')[0]


def state_of(cell: Cell) -> Carry:
  """The carry of one sequence, as shapes."""
  return _shapes(cell.initial_carry)


# Kept, since a layer asks at every call.
@functools.lru_cache(maxsize=64)
def _shapes(initial_carry):
  return jax.eval_shape(lambda: initial_carry((), jnp.float32))


def output_size(cell: Cell) -> int:
  """C, the size of a layer's outputs."""
  return getattr(state_of(cell), equations_of(cell).output).shape[0]


# Kept, since JAX knows a program by the functions that it was made of.
@functools.lru_cache(maxsize=64)
def _by_step(step, output):
  """`Equations` that are a cell's step, the same for the same step."""

  def advance(params, carry, x):
    next_carry = lambda carry, x: step(params, carry, x)[0]
    for _ in range(x.ndim - 1):
      next_carry = jax.vmap(next_carry, in_axes=-1, out_axes=-1)
    keep_dtype = lambda new, old: new.astype(old.dtype)
    return jax.tree.map(keep_dtype, next_carry(carry, x), carry), {}

  return Equations(advance, output, products=False)
