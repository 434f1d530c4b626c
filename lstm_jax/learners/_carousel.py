"""Pieces of the truncated rule: how weights act on a cell's internal state.

An internal state s_c obeys s_c(t) = J(t) s_c(t-1) + ..., elementwise, and a
hidden unit u acts on it through its net input alone: ds_c/dw_um = F_cu z_m.
`Split.serves` says which unit of each kind acts on which cell, so that F is one
number a cell and kind.
"""

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.unroll import affine, spread


def net_of(weights, z):
  """Net inputs `[U, *]` of the hidden units from sources `z`."""
  w, b = weights
  net = sum(map(affine, w, z))
  return net + spread(b, net)


def eligibility(split, carry_tm1, net):
  """One step of the cell with the local derivatives of its internal state.

  Returns:
    `(carry_t, factors, decay)`: `factors[kind]` `[C, *]` is ds_c/dnet of the
    unit of that kind that serves the cell; `decay` `[C, *]` is J, or None for
    a carousel, where it is the constant 1.
  """

  def internal(s_tm1, net):
    carry = carry_tm1._replace(**{split.internal: s_tm1})
    return getattr(split.advance(carry, net), split.internal)

  s_tm1 = getattr(carry_tm1, split.internal)
  factors = {}
  for kind, rows in split.serves.items():
    # Each cell has one unit of a kind: pushing all of them at once keeps the
    # derivatives apart.
    push = np.zeros(len(net))
    push[rows] = 1
    push = jnp.broadcast_to(spread(push, net), net.shape).astype(net.dtype)
    _, factors[kind] = jax.jvp(lambda n: internal(s_tm1, n), (net,), (push,))
  decay = None
  if not split.carousel:
    ones = jnp.ones_like(s_tm1)
    _, decay = jax.jvp(lambda s: internal(s, net), (s_tm1,), (ones,))
  return split.advance(carry_tm1, net), factors, decay


def to_units(split, kind, per_cell, num_units):
  """Sums `[C, ..., *]` over the cells that a unit serves: `[U, ..., *]`."""
  rows = split.serves[kind]
  serves = (np.arange(num_units)[:, None] == rows).astype(per_cell.dtype)
  # A product and a sum rather than a scatter, which XLA:CPU runs one by one.
  return jnp.sum(spread(serves, per_cell[None]) * per_cell[None], axis=1)
