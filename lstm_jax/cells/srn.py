"""Simple recurrent net: one layer of units that hear each other.

Elman, "Finding structure in time", Cognitive Science 14, 1990. The nets that
the 1997 paper trains by RTRL, BPTT and Elman's rule are instances of it.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops import activations
from lstm_jax.ops.checked import checked
from lstm_jax.types import Array, Cell, Recurrence

PROVIDES = ('readout',)

# Traced numbers and their defaults.
NUMBERS = {'init_range': 0.1}

_ACTIVATIONS = {
  'tanh': activations.tanh,
  'logistic': activations.logistic,
  'relu': jax.nn.relu,
}


class Params(NamedTuple):
  """Weights; one that does not exist is 0 here and in the cell's mask."""

  w_x: Array  # [C, I, *] from the input lines
  w_h: Array  # [C, C, *] from the hidden units one step ago
  b: Array  # [C, *]
  w_out: Array  # [K, C, *] output units from the hidden units of now
  w_out_x: Array  # [K, I, *] output units from the input lines
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  h: Array  # [C, *] activations of the hidden units


@_build.shared
@checked
def srn(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  activation: Literal['tanh', 'logistic', 'relu'] = 'tanh',
  recurrence: Literal['full', 'self', 'none'] = 'full',
  outputs_see_inputs: bool = False,
  hidden_bias: bool = True,
  output_bias: bool = True,
) -> Cell:
  r"""Simple recurrent net: hidden units that hear each other.

    h(t) = f(W_x x(t) + W_h h(t-1) + b),  h(0) = 0
    net_k(t) = W_out h(t) [+ W_out_x x(t)] + b_out

  The recurrent layer is fully recurrent; the output units are outside it and
  feed nothing. (A net in which they are units of the recurrent layer, as in the
  paper's Experiment 1 with RTRL, needs the activation of the output unit, which
  here belongs to the task, not to the cell.)

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: hidden units (C).
    activation: f of the hidden units.
    recurrence: who a hidden unit hears one step ago: 'full' all hidden units,
      'self' itself (Experiment 2a with RTRL and BPTT), 'none' nobody.
    outputs_see_inputs: direct connections from input lines to output units.
    hidden_bias: whether hidden units have a bias weight.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r].

  Returns:
    The cell. Its carry is `Carry`, its params `Params`; it has no split.

  Raises:
    ValueError: a size or an option that is outside its choices.

  Source: Elman (1990); Hochreiter & Schmidhuber (1997), sections 5.1 and 5.2.
  """
  _build.check_sizes(
    num_inputs=num_inputs, num_outputs=num_outputs, hidden=hidden
  )
  hears = {
    'full': np.ones((hidden, hidden), np.float32),
    'self': np.eye(hidden, dtype=np.float32),
    'none': np.zeros((hidden, hidden), np.float32),
  }
  f = _ACTIVATIONS[activation]
  mask = Params(
    w_x=np.ones((hidden, num_inputs), np.float32),
    w_h=hears[recurrence],
    b=np.full(hidden, hidden_bias, np.float32),
    w_out=np.ones((num_outputs, hidden), np.float32),
    w_out_x=np.full((num_outputs, num_inputs), outputs_see_inputs, np.float32),
    b_out=np.full(num_outputs, output_bias, np.float32),
  )

  def init(key, numbers):
    return _build.draw_weights(key, mask, numbers['init_range'])

  def initial_carry(lanes=(), dtype=jnp.float32):
    return Carry(jnp.zeros((hidden, *lanes), dtype))

  def step(params, carry_tm1, x_t):
    w, z = (params.w_x,), (x_t,)
    if recurrence != 'none':
      w, z = (*w, params.w_h), (*z, carry_tm1.h)
    h_t = f(_build.net_input(w, z, params.b))
    w, z = (params.w_out,), (h_t,)
    if outputs_see_inputs:
      w, z = (*w, params.w_out_x), (*z, x_t)
    return Carry(h_t), _build.net_input(w, z, params.b_out)

  recurrence = Recurrence(
    output='h',
    inputs=lambda params: (params.w_x, params.b),
    recurrent=lambda params: params.w_h,
    heard=lambda carry: carry.h,
    rest=lambda params: (),
    advance=lambda rest, carry, net_x, net_h: (Carry(f(net_x + net_h)), {}),
    fused=f'srn_{activation}' if recurrence == 'full' else None,
  )
  numbers = {name: np.float32(value) for name, value in NUMBERS.items()}
  return Cell(
    num_inputs, num_outputs, _build.checked(init, numbers), initial_carry, step,
    mask, numbers,
    recurrence=recurrence,
  )  # fmt: skip
