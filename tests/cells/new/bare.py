"""A cell with none of the optional parts: a step, and nothing else is known."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops.arrays import affine, spread
from lstm_jax.types import Array, Cell

NUMBERS = {'init_range': 0.1}


class Params(NamedTuple):
  """Weights; the names are nobody's but the step's, but for `w_x`."""

  w_x: Array  # [C, I, *]
  mixing: Array  # [C, C, *]
  above: Array  # [K, C, *]
  offset: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  s: Array  # [C, *]


@_build.cell_factory
def bare(num_inputs: int, num_outputs: int, *, hidden: int = 3) -> Cell:
  """Units that hear each other; outputs see the square of their states."""
  shapes = (
    (hidden, num_inputs),
    (hidden, hidden),
    (num_outputs, hidden),
    (num_outputs,),
  )
  mask = Params(*(np.ones(shape, np.float32) for shape in shapes))

  def init(key, numbers):
    return _build.draw_weights(key, mask, numbers['init_range'])

  def initial_carry(lanes=(), dtype=jnp.float32):
    return Carry(jnp.zeros((hidden, *lanes), dtype))

  def step(params, carry_tm1, x_t):
    net = affine(params.w_x, x_t) + affine(params.mixing, carry_tm1.s)
    s_t = jnp.tanh(net)
    net_k = affine(params.above, s_t + s_t**2)
    return Carry(s_t), net_k + spread(params.offset, net_k)

  numbers = {name: np.float32(value) for name, value in NUMBERS.items()}
  return Cell(num_inputs, num_outputs, init, initial_carry, step, mask, numbers)
