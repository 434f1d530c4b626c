"""Long expressive memory: two time scales, a second product inside the step.

Rusch, Mishra, Erichson & Mahoney, "Long expressive memory for sequence
modeling", ICLR 2022 (arXiv:2110.04744), eq. (3) with Delta t = 1.
"""

from typing import NamedTuple

import jax.numpy as jnp

from lstm_jax.cells import _build
from lstm_jax.ops.activations import logistic, tanh
from lstm_jax.ops.arrays import affine
from lstm_jax.types import Array, Cell, Connection, Equations

PROVIDES = ('readout',)
NUMBERS = {'init_range': 0.1}


class Params(NamedTuple):
  """Weights, rows of the hidden layer in the order dt_z, dt_y, z, y."""

  w_x: Array  # [4C, I, *]
  w_h: Array  # [3C, C, *] of dt_z, dt_y, z, from y one step ago
  w_z: Array  # [C, C, *] of y, from z of now
  b: Array  # [4C, *]
  w_out: Array  # [K, C, *]
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  z: Array  # [C, *]
  y: Array  # [C, *]


@_build.cell_factory
def lem(num_inputs: int, num_outputs: int, *, hidden: int = 3) -> Cell:
  """Long expressive memory: two states, each with a time scale of its own."""
  mask = Params(
    w_x=_build.ones(4 * hidden, num_inputs),
    w_h=_build.ones(3 * hidden, hidden),
    w_z=_build.ones(hidden, hidden),
    b=_build.ones(4 * hidden),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs),
  )

  def advance(extra, carry_tm1, net_x, net_h):
    (w_z,) = extra
    of_y = net_x[3 * hidden :]
    dt_z, dt_y, z = jnp.split(net_x[: 3 * hidden] + net_h, 3)
    dt_z, dt_y = logistic(dt_z), logistic(dt_y)
    z = (1 - dt_z) * carry_tm1.z + dt_z * tanh(z)
    y = (1 - dt_y) * carry_tm1.y + dt_y * tanh(affine(w_z, z) + of_y)
    return Carry(z, y), {'dt_z': dt_z, 'dt_y': dt_y}

  equations = Equations(
    advance,
    output='y',
    recurrent=(Connection('w_h', 'y'),),
    extra=lambda params: (params.w_z,),
    separate_nets=True,
  )
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry, {'z': hidden, 'y': hidden},
    equations, NUMBERS,
  )  # fmt: skip
