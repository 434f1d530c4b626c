"""A network that is shown one symbol a step.

Of the weights from the input lines, the column of the symbol alone counts. A
net is given here as what is left of it then: the same cell with one input line,
always 1 (`column`). Its derivatives are small however large the alphabet.

The names of a cell's weights are the contract: a field that ends in `_x`
multiplies the input lines; one that begins with `w_out` or `b_out` belongs to
the output units, a row each.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.arrays import add_outer, spread
from lstm_jax.types import Array, Carry, Cell, OneHot

# Field of the params -> array.
Weights = dict[str, Array]


class Moment(NamedTuple):
  """A step of a network and its derivative.

  Attributes:
    carry_t: the carry after the step.
    net_k: `[R, *]` net inputs of the output units.
    back: `error [R, *] -> (direct, e)`: of E with dE/dnet_k = error, dE/dw at
      constant carry, like the weights of `step`, and dE/dcarry(t-1).
  """

  carry_t: Carry
  net_k: Array
  back: Callable[[Array], tuple[Weights, Carry]]


def of_outputs(name: str) -> bool:
  """Tells whether a field of the params belongs to the output units."""
  return name.startswith(('w_out', 'b_out'))


def of_inputs(name: str) -> bool:
  """Tells whether a field of the params multiplies the input lines."""
  return name.endswith('_x')


def without_direct_links(cell: Cell) -> Cell:
  """The cell with no weights from input lines to output units in its mask."""
  zeros = {
    name: np.zeros_like(exists)
    for name, exists in cell.mask._asdict().items()
    if of_outputs(name) and of_inputs(name)
  }
  return cell._replace(mask=cell.mask._replace(**zeros))


def column(weights: Mapping[str, Array], index: Array) -> Weights:
  """`weights`, field -> array, with the column `index` `[*]` of input weights.

  An input weight `[U, I, *]` becomes `[U, 1, *]`.
  """

  def take(w):
    if w.ndim == 2:
      return jnp.take(w, index[None], axis=1, mode='clip')
    at = jnp.broadcast_to(index[None, None], (len(w), 1, *index.shape))
    return jnp.take_along_axis(w, at, axis=1, mode='clip')

  return {k: take(w) if of_inputs(k) else w for k, w in weights.items()}


def wider(weights: Weights, rows: Weights) -> Weights:
  """`weights` with more output units: field -> rows below its own."""
  return weights | {
    name: jnp.concatenate((weights[name], rows_below))
    for name, rows_below in rows.items()
  }


def step(cell: Cell, weights: Weights, carry_tm1: Carry) -> Moment:
  """One step of a network and its derivative.

  Args:
    cell: the cell.
    weights: field -> array, from `column`; the output units may be more than
      the cell's.
    carry_tm1: the carry before the step.

  Returns:
    The `Moment`.
  """
  bias_input = jnp.ones((1, *carry_tm1[0].shape[1:]), carry_tm1[0].dtype)

  def forward(weights, carry_tm1):
    params = cell.mask._replace(**weights)
    carry_t, net_k = cell.step(params, carry_tm1, bias_input)
    return net_k, carry_t

  net_k, back, carry_t = jax.vjp(forward, weights, carry_tm1, has_aux=True)
  return Moment(carry_t, net_k, back)


def plus(
  cell: Cell,
  total: Weights,
  direct: Weights,
  index: Array,
  factor: Array,
  past: Weights | None = None,
) -> Weights:
  """`total + factor dE/dw`, weights that do not exist left out.

  Args:
    cell: whose mask says which weights exist.
    total: field -> `[..., *]`.
    direct: the gradient of a `Moment`, like `total` but for one column.
    index: `[*]`, the symbol of the step.
    factor: `[*]`.
    past: the gradient through earlier steps, like `total`, of such fields as
      have one.
  """

  def plus_direct(name, w):
    exists = getattr(cell.mask, name)
    if of_outputs(name):
      # Output units beside the cell's own have the weights that those have.
      exists = np.broadcast_to(exists[:1], (len(w), *exists.shape[1:]))
    scale = factor.reshape((1,) * (w.ndim - factor.ndim) + factor.shape)
    if past and name in past:
      w = w + scale * past[name]
    change = scale * direct[name]
    if not of_inputs(name):
      return w + change * spread(exists, w)
    change = change[:, 0]
    if not np.all(exists):
      change = change * jnp.take(exists, index, axis=1, mode='clip')
    return add_outer(jnp.asarray(w), change, OneHot(index, w.shape[1]))

  return {name: plus_direct(name, w) for name, w in total.items()}
