"""LSTM with layer normalisation of its net inputs and its internal state.

Ba, Kiros & Hinton, "Layer normalization", arXiv:1607.06450, 2016.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cells import _build
from lstm_jax.ops.activations import logistic, tanh
from lstm_jax.ops.arrays import spread
from lstm_jax.ops.checked import Positive
from lstm_jax.types import Array, Cell, Connection, Equations

PROVIDES = {'local_state': {'norm': 'separate'}, 'readout': {}}

# Traced numbers and their defaults; None: drawn like every other weight.
NUMBERS = {
  'init_range': 0.1,
  'input_gate_bias': None,
  'forget_bias': 1.0,
  'output_gate_bias': None,
}
RANGES = {
  'init_range': (0.03, 1.0, 'log'),
  'input_gate_bias': (-6.0, 0.0, 'linear'),
  'forget_bias': (0.0, 6.0, 'linear'),
}
REFUSES = (({'hidden': 1}, 'one state is its own mean: nothing of it is left'),)


class Params(NamedTuple):
  """Weights, rows of the hidden layer in the order y_in, y_f, g, y_out.

  A weight that does not exist is 0 here and in the cell's mask. Gains and
  biases of the norms have the paper's names and numbers.
  """

  w_x: Array  # [4C, I, *] from the input lines
  w_h: Array  # [4C, C, *] from the cell outputs one step ago
  b: Array  # [4C, *]
  alpha_1: Array  # [4C, *] gain of W_h y_c(t-1), 'per_gate': of the sum
  alpha_2: Array  # [4C, *] gain of W_x x(t) (norm 'separate')
  alpha_3: Array  # [C, *] gain of the internal state
  beta_3: Array  # [C, *] its bias
  w_out: Array  # [K, C, *] output units from the cell outputs of now
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  s_c: Array  # [C, *] internal states (norm 'per_gate': normalised)
  y_c: Array  # [C, *] cell outputs


@_build.cell_factory
def lstm_layernorm(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  norm: Literal['separate', 'per_gate'] = 'separate',
  epsilon: Positive = 1e-5,
  output_bias: bool = True,
) -> Cell:
  r"""Layer-normalised LSTM: net inputs and state lose their mean and scale.

    LN(z; a) = a (z - m) / sqrt(v + epsilon),  m, v mean and variance of z
    y_in(t), y_f(t), y_out(t) = f(net(t)),  g(t) = tanh(net_g(t))

  with f(x) = 1/(1+e^-x), rows of net in the order y_in, y_f, g, y_out. m
  and v are those of one network at one step, over units. What is normalised
  together, and where, differs between published forms (a_1, a_2, a_3, b_3 are
  `alpha_1`, `alpha_2`, `alpha_3`, `beta_3`):

    'separate'  net(t) = LN(W_h y_c(t-1); a_1) + LN(W_x x(t); a_2) + b
                s_c(t) = y_f(t) s_c(t-1) + y_in(t) g(t),  s_c(0) = 0
                y_c(t) = y_out(t) tanh(LN(s_c(t); a_3) + b_3),  y_c(0) = 0
    'per_gate'  net_j(t) = LN(W_hj y_c(t-1) + W_xj x(t); a_1j) + b_j
                s_c(t) = LN(y_f(t) s_c(t-1) + y_in(t) g(t); a_3) + b_3
                y_c(t) = y_out(t) tanh(s_c(t))

  'separate' is the paper's: each product by itself, over all 4C rows together;
  the state that goes on is the plain one. 'per_gate' is the form of
  TensorFlow's `contrib.rnn.LayerNormBasicLSTMCell`: for each j of y_in, y_f, g,
  y_out the sum of both products, over its C rows; the state that goes on is the
  normalised one, so that what is kept is rescaled at every step.

  A norm takes the size of an input with it: with one input line 'separate' sees
  the sign of x(t) and nothing else of it.

  One bias a row, after the norms. The paper's beta_1, beta_2 and b act by their
  sum alone, and so do the biases of TensorFlow's four norms and its constant
  forget bias: b is that sum. Neither form has a bias before a norm. (The
  definition of LN in the paper has alpha for the gain and beta for the bias, as
  here; the sentence below eq. (22) exchanges the two.)

  There is no internal state that keeps its error: through m and v every cell
  acts on every other within the step, so that no recurrence is elementwise.

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: memory cells (C). With one cell the normalised state is b_3 whatever
      the state was: such a network remembers nothing, and plans refuse it.
    norm: where the norms are, see above.
    epsilon: added to each variance. Above 0, since W_h y_c(0) = 0 has none.
      (The paper writes no epsilon; TensorFlow's form has 1e-12 in float32.)
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and b uniform in [-r, r];
  `input_gate_bias`, `forget_bias`, `output_gate_bias` `[C]` set the initial b
  of the gates; nan: drawn like the others. Gains start at 1, b_3 at 0.

  Returns:
    The cell. Its carry is `Carry`, its params `Params`.

  Raises:
    ValueError: a size or an option outside its choices, an `epsilon` that
      is not above 0.

  Source: Ba, Kiros & Hinton (2016), supplementary material, eqs. (20)-(22).

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.lstm_layernorm(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((32, 3),
     ['forget_bias', 'init_range', 'input_gate_bias', 'output_gate_bias'])
  """
  rows = 4 * hidden
  mask = Params(
    w_x=_build.ones(rows, num_inputs),
    w_h=_build.ones(rows, hidden),
    b=_build.ones(rows),
    alpha_1=_build.ones(rows),
    alpha_2=_build.ones(rows, exist=norm == 'separate'),
    alpha_3=_build.ones(hidden),
    beta_3=_build.ones(hidden),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  def place(params, numbers):
    gain = lambda exists: jnp.asarray(exists, params.b.dtype)
    return _build.gate_biases(params, numbers)._replace(
      alpha_1=gain(mask.alpha_1),
      alpha_2=gain(mask.alpha_2),
      alpha_3=gain(mask.alpha_3),
      beta_3=jnp.zeros_like(params.beta_3),
    )

  def scale(z, gain, parts=1):
    z = _normalised(z, parts, epsilon)
    return spread(gain, z) * z

  def extra(params):
    norms = params.alpha_1, params.alpha_2, params.alpha_3, params.beta_3
    return params.b, *norms

  def advance(extra, carry_tm1, *nets):
    b, alpha_1, alpha_2, alpha_3, beta_3 = extra
    if norm == 'separate':
      net_x, net_h = nets
      net = scale(net_h, alpha_1) + scale(net_x, alpha_2)
    else:
      (net_sum,) = nets
      net = scale(net_sum, alpha_1, parts=4)
    i, f, g, o = jnp.split(net + spread(b, net), 4)
    y_in, y_f, g, y_out = logistic(i), logistic(f), tanh(g), logistic(o)
    s_c = y_f * carry_tm1.s_c + y_in * g
    s_norm = scale(s_c, alpha_3)
    s_norm = s_norm + spread(beta_3, s_norm)
    if norm == 'per_gate':
      s_c = s_norm
    gates = {'y_in': y_in, 'y_f': y_f, 'g': g, 'y_out': y_out}
    return Carry(s_c, y_out * tanh(s_norm)), gates

  equations = Equations(
    advance,
    output='y_c',
    recurrent=(Connection('w_h', 'y_c'),),
    extra=extra,
    bias=False,  # It comes after the norm.
    separate_nets=norm == 'separate',
  )
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry,
    {'s_c': hidden, 'y_c': hidden}, equations,
    NUMBERS, biases=hidden, place=place,
  )  # fmt: skip


def _normalised(z, parts, epsilon):
  """`z` `[R, *]` with mean 0 and variance 1 over each of `parts` equal parts.

  Up to `epsilon`, added to the variance.
  """
  centred = z.reshape(parts, -1, *z.shape[1:])
  centred = centred - jnp.mean(centred, axis=1, keepdims=True)
  variance = jnp.mean(centred * centred, axis=1, keepdims=True)
  return (centred * jax.lax.rsqrt(variance + epsilon)).reshape(z.shape)
