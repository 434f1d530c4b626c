"""Rows that a program takes or puts at places which its values choose.

`take(values, argmax(x))` shows one of the rows, and any other might have been
taken: all of them count, see `spoiling`.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn

from lstm_jax.learners._forward.spoiled import Value, bound, is_spoiled, spoil
from lstm_jax.types import Array


def results_anywhere(
  program: Jaxpr, equation: JaxprEqn, operands: Sequence[Value]
) -> tuple[list[Array], list[Array]] | None:
  """`(clean, spoiled)` of an equation, whatever places its values choose.

  Args:
    program: that the equation is of.
    equation: any one.
    operands: of it.

  Returns:
    None: its values choose no place.
  """
  axes = _chosen_axes(equation, operands)
  if not axes:
    return None
  before = bound(program, equation, [operand.clean for operand in operands])
  if equation.primitive.name in ('gather', 'dynamic_slice'):
    where = _taken(program, equation, operands, axes)
  else:
    where = _put(equation, operands, axes)
  return before, [spoil(before[0], where)]


def _chosen_axes(equation, operands):
  """Axes along which values choose the place of what is taken or put."""
  name, params = equation.primitive.name, equation.params
  if not operands:  # a count from 0 on
    return []
  shape = jnp.shape(operands[0].clean)
  if name == 'gather':
    starts, sizes = operands[1:2] * len(shape), params['slice_sizes']
    axes = params['dimension_numbers'].start_index_map
  elif name.startswith('scatter'):
    numbers = params['dimension_numbers']
    starts = operands[1:2] * len(shape)
    axes = numbers.scatter_dims_to_operand_dims
    single = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    rows = jnp.shape(operands[2].clean)
    window = iter(rows[axis] for axis in numbers.update_window_dims)
    sizes = [1 if a in single else next(window) for a in range(len(shape))]
  elif name == 'dynamic_slice':
    starts, sizes = operands[1:], params['slice_sizes']
    axes = range(len(shape))
  elif name == 'dynamic_update_slice':
    starts, sizes = operands[2:], jnp.shape(operands[1].clean)
    axes = range(len(shape))
  else:
    return []
  # Of what is as long as the axis there is one place.
  return [
    axis
    for axis in axes
    if not starts[axis].is_fixed and sizes[axis] < shape[axis]
  ]


def _at_first(place):
  """A place that is chosen: the first, which is always there."""
  return place.clean if place.is_fixed else jnp.zeros_like(place.clean)


def _anywhere(where, axes):
  """Marks of a place, at any place along axes."""
  some = jnp.any(where, axis=tuple(axes), keepdims=True)
  return jnp.broadcast_to(some, where.shape)


def _taken(program, equation, operands, axes):
  """Marks rows that are taken from any place."""
  operand, *starts = operands
  marks = spoil(
    jnp.zeros_like(operand.clean), _anywhere(is_spoiled(operand), axes)
  )
  (rows,) = bound(program, equation, [marks, *map(_at_first, starts)])
  return is_spoiled(Value(jnp.zeros_like(rows), rows, is_fixed=False))


def _put(equation, operands, axes):
  """Marks rows that are put to any place, and those that may stay."""
  operand, *others = operands
  counts = jnp.zeros(jnp.shape(operand.clean))
  if equation.primitive.name == 'dynamic_update_slice':
    rows, *starts = others
    counts = jax.lax.dynamic_update_slice(
      counts, is_spoiled(rows) * 1.0, [_at_first(start) for start in starts]
    )
  else:
    place, rows = others
    numbers = equation.params['dimension_numbers']
    counts = jax.lax.scatter_add(
      counts, _at_first(place), is_spoiled(rows) * 1.0, numbers, mode='clip'
    )
  return is_spoiled(operand) | _anywhere(counts > 0, axes)
