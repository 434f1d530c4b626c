"""A net in cascade: each hidden unit hears itself and the units before it.

The architecture of Recurrent Cascade-Correlation, Fahlman, "The recurrent
cascade-correlation architecture", NIPS 3, 1991; without the self links it is
that of Fahlman & Lebiere, "The cascade-correlation learning architecture",
NIPS 2, 1990. The units, not the learning rule: any rule may train the net.
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops import activations
from lstm_jax.ops.arrays import spread
from lstm_jax.ops.checked import checked
from lstm_jax.types import Array, Cell, Recurrence

PROVIDES = ('cascade', 'readout')
# Traced numbers and their defaults.
NUMBERS = {'init_range': 1.0}

_ACTIVATIONS = {
  'symmetric': lambda x: 0.5 * activations.half_tanh(x),
  'logistic': activations.logistic_of_lanes,
  'tanh': activations.tanh,
}


class Params(NamedTuple):
  """Weights; one that does not exist is 0 here and in the cell's mask.

  A rule that adds unit after unit finds the weights of unit i in row i of the
  first four, and what it does to the output units in column i of `w_out`.
  """

  w_x: Array  # [C, I, *] from the input lines
  w_h: Array  # [C, C, *] from the units before it now, below the diagonal
  w_s: Array  # [C, *] from itself one step ago
  b: Array  # [C, *]
  w_out: Array  # [K, C, *] output units from the hidden units of now
  w_out_x: Array  # [K, I, *] output units from the input lines
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  h: Array  # [C, *] activations V of the hidden units


@_build.shared
@checked
def cascaded(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  activation: Literal['symmetric', 'logistic', 'tanh'] = 'symmetric',
  hidden_bias: bool = True,
  output_bias: bool = True,
) -> Cell:
  r"""Hidden units in cascade, each with one self link (Fahlman 1991).

    V_i(t) = f(sum_k w_ik x_k(t) + sum_{j<i} w_ij V_j(t) + w_si V_i(t-1) + b_i)
    net_k(t) = sum_i w_ki V_i(t) + sum_l w_kl x_l(t) + b_k,  V(0) = 0

  A step takes as many stages as there are units. A unit whose weights are all 0
  and that no output unit hears is as good as absent.

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: hidden units (C).
    activation: f of the hidden units: 'symmetric' is Fahlman's, logistic
      from -1/2 to 1/2; 'logistic' runs from 0 to 1, 'tanh' from -1 to 1.
    hidden_bias: whether hidden units have a bias weight.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r].

  Returns:
    The cell. Its carry is `Carry`, its params `Params`; it has no split.

  Raises:
    ValueError: a size or an option that is outside its choices.
  """
  _build.check_sizes(
    num_inputs=num_inputs, num_outputs=num_outputs, hidden=hidden
  )
  f = _ACTIVATIONS[activation]
  mask = Params(
    w_x=np.ones((hidden, num_inputs), np.float32),
    w_h=np.tril(np.ones((hidden, hidden), np.float32), -1),
    w_s=np.ones(hidden, np.float32),
    b=np.full(hidden, hidden_bias, np.float32),
    w_out=np.ones((num_outputs, hidden), np.float32),
    w_out_x=np.ones((num_outputs, num_inputs), np.float32),
    b_out=np.full(num_outputs, output_bias, np.float32),
  )

  def init(key, numbers):
    return _build.draw_weights(key, mask, numbers['init_range'])

  def initial_carry(lanes=(), dtype=jnp.float32):
    return Carry(jnp.zeros((hidden, *lanes), dtype))

  def cascade(w_h, w_s, h_tm1, net):
    net = net + spread(w_s, net) * h_tm1
    values = []
    for i in range(hidden):
      # A unit tells those after it, which have not been computed yet.
      values.append(f(net[:1]))
      net = net[1:] + spread(w_h[i + 1 :, i], net) * values[-1]
    return jnp.concatenate(values)

  def advance(rest, carry_tm1, net_x, net_h):
    del net_h  # The self link is all that a unit hears of the step before.
    return Carry(cascade(*rest, carry_tm1.h, net_x)), {}

  def step(params, carry_tm1, x_t):
    net = _build.net_input((params.w_x,), (x_t,), params.b)
    h_t = cascade(params.w_h, params.w_s, carry_tm1.h, net)
    w, z = (params.w_out, params.w_out_x), (h_t, x_t)
    return Carry(h_t), _build.net_input(w, z, params.b_out)

  recurrence = Recurrence(
    output='h',
    inputs=lambda params: (params.w_x, params.b),
    recurrent=lambda params: params.w_h[:0, :0],
    heard=lambda carry: carry.h[:0],
    rest=lambda params: (params.w_h, params.w_s),
    advance=advance,
    joint=False,
  )
  numbers = {name: np.float32(value) for name, value in NUMBERS.items()}
  return Cell(
    num_inputs, num_outputs, _build.checked(init, numbers), initial_carry, step,
    mask, numbers,
    recurrence=recurrence,
  )  # fmt: skip
