"""Fully recurrent net: one layer in which some units are the outputs.

Williams & Zipser, "A learning algorithm for continually running fully recurrent
neural networks", Neural Computation 1(2), 1989: the net of the rows of RTRL in
Table 1 of the 1997 paper.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops import activations
from lstm_jax.ops.checked import checked
from lstm_jax.types import Array, Cell, Recurrence

# Traced numbers and their defaults.
NUMBERS = {'init_range': 0.1}


class Params(NamedTuple):
  """Weights of the U = K + C units, the output units first.

  One that does not exist is 0 here and in the cell's mask.
  """

  w_x: Array  # [U, I, *] from the input lines
  w_y: Array  # [U, U, *] from all units one step ago
  b: Array  # [U, *]


class Carry(NamedTuple):
  """State between steps."""

  y: Array  # [U, *] activations of all units, the output units first


@_build.shared
@checked
def fully_recurrent(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 3,
  bias: bool = False,
) -> Cell:
  r"""Fully recurrent net: logistic units that all hear each other.

    net(t) = W_x x(t) + W_y y(t-1) [+ b],  y(t) = f(net(t)),  y(0) = 0

  The first K units are the output units, `net_k` is their part of `net`; what
  the hidden units make of an input reaches them one step later. f is logistic
  for all units: what the layer hears of its output units is f(net_k), so that
  a task should have logistic output units too (`output=logistic`).

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: units that are not outputs (C).
    bias: whether units have a bias weight. The weights counted in the paper,
      170 for C = 3 and 494 for C = 12 with I = K = 7, leave no room for any.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r].

  Returns:
    The cell. Its carry is `Carry`, its params `Params`; it has no split.

  Raises:
    ValueError: a size that is no integer of at least 1.

  Source: Williams & Zipser (1989), eqs. (1)-(3), with x(t) instead of x(t-1),
  as in the three-phase step of Hochreiter & Schmidhuber (1997), section 4.
  """
  _build.check_sizes(
    num_inputs=num_inputs, num_outputs=num_outputs, hidden=hidden
  )
  units = num_outputs + hidden
  mask = Params(
    w_x=np.ones((units, num_inputs), np.float32),
    w_y=np.ones((units, units), np.float32),
    b=np.full(units, bias, np.float32),
  )

  def init(key, numbers):
    return _build.draw_weights(key, mask, numbers['init_range'])

  def initial_carry(lanes=(), dtype=jnp.float32):
    return Carry(jnp.zeros((units, *lanes), dtype))

  def step(params, carry_tm1, x_t):
    net = _build.net_input(
      (params.w_x, params.w_y), (x_t, carry_tm1.y), params.b
    )
    return Carry(activations.logistic_of_lanes(net)), net[:num_outputs]

  def advance(rest, carry_tm1, net_x, net_h):
    del rest, carry_tm1
    return Carry(activations.logistic_of_lanes(net_x + net_h)), {}

  recurrence = Recurrence(
    output='y',
    inputs=lambda params: (params.w_x, params.b),
    recurrent=lambda params: params.w_y,
    heard=lambda carry: carry.y,
    rest=lambda params: (),
    advance=advance,
  )
  numbers = {name: np.float32(value) for name, value in NUMBERS.items()}
  return Cell(
    num_inputs, num_outputs, _build.checked(init, numbers), initial_carry, step,
    mask, numbers,
    recurrence=recurrence,
  )  # fmt: skip
