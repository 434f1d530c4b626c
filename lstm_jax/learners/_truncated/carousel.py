"""Pieces of the truncated rule: how weights act on a cell's internal state.

An internal state s_c obeys s_c(t) = J(t) s_c(t-1) + ..., elementwise, and a
hidden unit u acts on it through its net input alone: ds_c/dw_um = F_cu z_m.
`InternalState.unit_of_cell` says which unit of each kind acts on which cell, so
that F is one number a cell and kind.
"""

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops import step
from lstm_jax.ops.arrays import add_outer, spread, to_dense
from lstm_jax.types import (
  Array,
  Carry,
  Cell,
  Equations,
  InternalState,
  OneHot,
  Source,
  Task,
)

# Like `step.Weights`, None for what is left out.
Part = tuple[tuple[Array | None, ...], Array | None]
Total = TypeVar('Total', step.Weights, Part)


class Errors(NamedTuple):
  """The error of one step, sent back no further than its net inputs."""

  e_k: Array  # [K, *] dE/dnet_k, eq. (19) with the sign turned
  e_net: Array  # [U, *] dE/dnet of the hidden units at this step
  e_s: Array  # [C, *] dE/ds_c(t-1)
  z_k: tuple[Source, ...]  # [S_i, *] the sources of the output units
  net_k: Array  # [K, *]


def parts_of(cell: Cell) -> tuple[Equations, InternalState]:
  """The equations of a cell and its internal state.

  Raises:
    ValueError: the cell has none.
  """
  if cell.equations is None or cell.internal is None:
    raise ValueError('the cell has no Equations, or no internal state')
  return cell.equations, cell.internal


def errors(
  cell: Cell,
  task: Task,
  output_weights: step.Weights,
  carry_tm1: Carry,
  net: Array,
  x_t: Source,
  target: Array,
  weight: Array,
) -> Errors:
  """The `Errors` of a step.

  Args:
    cell, task: the cell, the task.
    output_weights: of `step.output_weights`.
    carry_tm1, net, x_t: the carry before the step, its net inputs, its input.
    target: `[K, *]`.
    weight: `[*]`, factor on the error: 0 where the step is not scored.
  """
  equations, (field, *_) = parts_of(cell)

  def outputs(net, s_tm1):
    carry = carry_tm1._replace(**{field: s_tm1})
    carry_t = step.advance(equations, carry, net)
    z_k = step.output_sources(equations, carry_t, x_t)
    return step.net_input(output_weights, z_k), z_k

  s_tm1 = getattr(carry_tm1, field)
  net_k, back, z_k = jax.vjp(outputs, net, s_tm1, has_aux=True)
  e_k = jax.grad(lambda n: jnp.sum(weight * task.loss(n, target)))(net_k)
  e_net, e_s = back(e_k)
  return Errors(e_k, e_net, e_s, z_k, net_k)


def plus_products(
  total: step.Weights, error: Array, z: tuple[Source, ...]
) -> step.Weights:
  """`total + error z`: dE/dw of rows with errors `[R, *]` and sources z.

  Args:
    total: `(tuple of [R, S_i, *], bias [R, *])`.
    error: `[R, *]`.
    z: tuple of `[S_i, *]` or `OneHot`; the bias has the source 1.
  """
  w, b = total
  w = tuple(add_outer(p, error, s) for p, s in zip(w, z, strict=True))
  return w, b + error


def products(error: Array, z: tuple[Source, ...]) -> Part:
  """dE/dw of rows with errors `[R, *]`: None for a `OneHot`, see below."""
  w = tuple(
    None if isinstance(s, OneHot) else error[:, None] * s[None] for s in z
  )
  return w, error


def plus_columns(
  total: step.Weights,
  error: Array,
  z: tuple[Source, ...],
  in_place: bool = True,
) -> step.Weights:
  """`total` with what `products` leaves out: a column for each `OneHot`.

  Args:
    total, error, z: as in `plus_products`.
    in_place: `total` is the carry of a loop, and only the columns are touched.
      False: it is read as a whole next, and gets them on the way.
  """

  def add(p, s):
    if not isinstance(s, OneHot):
      return p
    if in_place:
      return add_outer(p, error, s)
    return p + jnp.where(to_dense(s, bool)[None], error[:, None], 0)

  w, b = total
  return tuple(map(add, w, z)), b


def plus(total: Total, part: Part) -> Total:
  """`total + part`, where `part` is None `total`."""
  (w, b), (w_part, b_part) = total, part
  add = lambda x, y: x if y is None else x + y
  return tuple(map(add, w, w_part)), add(b, b_part)


def eligibility(
  cell: Cell, carry_tm1: Carry, net: Array
) -> tuple[Carry, dict[str, Array], Array | None]:
  """One step of the cell with the local derivatives of its internal state.

  Returns:
    `(carry_t, factors, decay)`: `factors[kind]` `[C, *]` is ds_c/dnet of the
    unit of that kind that serves the cell; `decay` `[C, *]` is J, or None for
    a carousel, where it is the constant 1.
  """
  equations, (field, units, carousel, _) = parts_of(cell)

  def internal(s_tm1, net):
    carry = carry_tm1._replace(**{field: s_tm1})
    return getattr(step.advance(equations, carry, net), field)

  s_tm1 = getattr(carry_tm1, field)
  factors = {}
  for kind, rows in units.items():
    # Each cell has one unit of a kind: pushing all of them at once keeps the
    # derivatives apart.
    push = np.zeros(len(net))
    push[rows] = 1
    push = jnp.broadcast_to(spread(push, net), net.shape).astype(net.dtype)
    _, factors[kind] = jax.jvp(lambda n: internal(s_tm1, n), (net,), (push,))
  decay = None
  if not carousel:
    ones = jnp.ones_like(s_tm1)
    _, decay = jax.jvp(lambda s: internal(s, net), (s_tm1,), (ones,))
  return step.advance(equations, carry_tm1, net), factors, decay


def to_units(
  internal: InternalState, kind: str, per_cell: Array, num_units: int
) -> Array:
  """Sums `[C, ..., *]` over the cells that a unit serves: `[U, ..., *]`."""
  rows = np.asarray(internal.unit_of_cell[kind])
  shared = len(rows) // len(np.unique(rows))
  first = rows[0]
  if np.array_equal(rows, first + np.arange(len(rows)) // shared):
    # Units in a row, each with as many cells in a row.
    blocks = len(rows) // shared
    blocks_of = per_cell.reshape(blocks, shared, *per_cell.shape[1:])
    sums = jnp.sum(blocks_of, axis=1) if shared > 1 else per_cell
    padding = ((first, num_units - first - len(sums)),)
    return jnp.pad(sums, padding + ((0, 0),) * (per_cell.ndim - 1))
  links = (np.arange(num_units)[:, None] == rows).astype(per_cell.dtype)
  # A product and a sum rather than a scatter, which XLA:CPU runs one by one.
  return jnp.sum(spread(links, per_cell[None]) * per_cell[None], axis=1)
