"""JANET: an LSTM with nothing but a forget gate, and biases for a time scale.

Van der Westhuizen & Lasenby, "The unreasonable effectiveness of the forget
gate", 2018 (arXiv:1804.04849); its initial biases: Tallec & Ollivier, "Can
recurrent neural networks warp time?", ICLR 2018 (arXiv:1804.11188).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops.activations import logistic, tanh
from lstm_jax.ops.checked import Positive
from lstm_jax.types import Array, Cell, Connection, Equations, InternalState

PROVIDES = ('internal_state', 'local_state', 'readout')

# Traced numbers and their defaults; None: drawn by t_max.
NUMBERS = {'init_range': 0.1, 'forget_bias': None, 't_max': 100.0}
RANGES = {
  'init_range': (0.03, 1.0, 'log'),
  't_max': (2.0, 10_000.0, 'log'),
}


class Params(NamedTuple):
  """Weights, rows of the hidden layer in the order y_f, g."""

  w_x: Array  # [2C, I, *] from the input lines
  w_h: Array  # [2C, C, *] from the cell outputs one step ago
  b: Array  # [2C, *]
  w_out: Array  # [K, C, *] output units from the cell outputs of now
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps.

  The two are equal, and what they pass on is not: `s_c` to itself, `y_c` to the
  net inputs.
  """

  s_c: Array  # [C, *] internal states
  y_c: Array  # [C, *] cell outputs


@_build.cell_factory
def janet(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  beta: Positive | None = 1.0,
  output_bias: bool = True,
) -> Cell:
  r"""JANET: a forget gate alone, whose complement lets the input in.

    s(t)   = W_f x(t) + R_f y_c(t-1) + b_f
    g(t)   = tanh(W_g x(t) + R_g y_c(t-1) + b_g)
    s_c(t) = f(s(t)) s_c(t-1) + (1 - f(s(t) - beta)) g(t),  s_c(0) = 0
    y_c(t) = s_c(t)
    net_k(t) = W_out y_c(t) + b_out

  with f(x) = 1/(1+e^-x). s_c, y_c and g are the paper's c, h and c with a
  tilde. A gate that forgets a part of the state lets in as much and more of
  what is new: with beta = 0 as much, y_c stays between -1 and 1; with beta a
  state that is mostly kept is written to by up to e^beta as much as it forgets.

  The chrono biases give each unit a time scale from the start: a unit whose
  gate is y_f forgets over 1/(1 - y_f) = 1 + e^b_f steps, and b_f = log u with u
  uniform in (1, t_max - 1) makes all scales up to `t_max` equally likely.

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: memory cells (C), each with its own gate.
    beta: how much further the input is let in; None: not at all (0); 1 in the
      paper. Sensible: up to 2.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and biases but b_f uniform in
  [-r, r]; `t_max`, the longest lag that is expected, from 2 (every b_f is 0) to
  the length of the sequences; `forget_bias` `[C]` sets the initial b_f (nan:
  the chrono biases of t_max).

  Returns:
    The cell. Its carry is `Carry`, its params `Params`. Its internal state is
    `s_c`.

  Raises:
    ValueError: a size that is no integer of at least 1, a beta that is not
      above 0.

  Source: van der Westhuizen & Lasenby (2018), section 3, with beta; the biases:
  Tallec & Ollivier (2018), section 2. (The first paper starts all other biases
  at 0; its program draws u in (1, t_max).)

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.janet(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((16, 3), ['forget_bias', 'init_range', 't_max'])
  """
  mask = Params(
    w_x=_build.ones(2 * hidden, num_inputs),
    w_h=_build.ones(2 * hidden, hidden),
    b=_build.ones(2 * hidden),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  shift = beta or 0.0

  def advance(extra, carry_tm1, net):
    s, g = net[:hidden], tanh(net[hidden:])
    y_f, y_in = logistic(s), logistic(shift - s)
    s_c = y_f * carry_tm1.s_c + y_in * g
    return Carry(s_c, s_c), {'y_f': y_f, 'y_in': y_in, 'g': g}

  def place(params, numbers):
    part = _build.fraction(params.b[:hidden], numbers['init_range'])
    longest = jnp.maximum(numbers['t_max'], 2)
    chrono = jnp.log1p((longest - 2) * part).astype(params.b.dtype)
    b = jnp.concatenate([chrono, params.b[hidden:]])
    b = _build.set_biases(b, numbers['forget_bias'], hidden)
    return params._replace(b=b)

  row = np.arange(hidden)
  equations = Equations(
    advance, output='y_c', recurrent=(Connection('w_h', 'y_c'),)
  )
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry, {'s_c': hidden, 'y_c': hidden},
    equations, NUMBERS, biases=hidden, place=place,
    internal=InternalState('s_c', {'y_f': row, 'g': row + hidden}),
  )  # fmt: skip
