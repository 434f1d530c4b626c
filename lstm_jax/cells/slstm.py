"""LSTM with exponential gates: the sLSTM of xLSTM.

Beck, Poeppel, Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter &
Hochreiter, "xLSTM: extended long short-term memory", NeurIPS 2024,
arXiv:2405.04517.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cells import _build
from lstm_jax.ops.activations import logistic, tanh
from lstm_jax.types import Array, Cell, Connection, Equations

PROVIDES = ('readout',)

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
  'forget_gate': ['logistic', 'exponential'],
}

# Below every logarithm of a gate, and finite: a state that holds nothing.
_NOTHING = -1e30


class Params(NamedTuple):
  """Weights, rows of the hidden layer in the order i, f, z, o.

  A weight that does not exist is 0 here and in the cell's mask.
  """

  w_x: Array  # [4C, I, *] from the input lines
  w_h: Array  # [4C, C, *] from the hidden states one step ago
  b: Array  # [4C, *]
  w_out: Array  # [K, C, *] output units from the hidden states of now
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  c: Array  # [C, *] cell states, over exp(m)
  n: Array  # [C, *] normalisers, over exp(m)
  m: Array  # [C, *] stabilisers
  h: Array  # [C, *] hidden states


@_build.cell_factory
def slstm(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  forget_gate: Literal['logistic', 'exponential'] = 'logistic',
  output_bias: bool = True,
) -> Cell:
  r"""sLSTM: gates that may exceed 1, and a running mean in place of a sum.

    z(t) = tanh(W_z x(t) + R_z h(t-1) + b_z)                            (11)
    log i(t) = W_i x(t) + R_i h(t-1) + b_i                              (12)
    log f(t) = net_f(t) or log 1/(1+e^-net_f(t)),                       (13)
               net_f(t) = W_f x(t) + R_f h(t-1) + b_f
    o(t) = 1/(1+e^-net_o(t)),  net_o(t) = W_o x(t) + R_o h(t-1) + b_o   (14)
    m(t) = max(log f(t) + m(t-1), log i(t))                             (15)
    i'(t) = exp(log i(t) - m(t))                                        (16)
    f'(t) = exp(log f(t) + m(t-1) - m(t))                               (17)
    c(t) = f'(t) c(t-1) + i'(t) z(t)                                     (8)
    n(t) = f'(t) n(t-1) + i'(t)                                          (9)
    h(t) = o(t) c(t) / n(t),  c(0) = n(0) = h(0) = 0                    (10)
    net_k(t) = W_out h(t) + b_out

  The numbers are the paper's. c / n is a mean of the z so far, each weighted by
  its input gate and the forget gates since, so that a late gate of any size can
  outweigh all before it. m only keeps the exponentials in range: c / n is the
  same whatever it is, and no error is sent through it. It starts at a number
  below every log i, so that n is 1 after the first step and never below.

  There is one head: every hidden state acts on all units, as in `lstm`. (The
  paper's heads are blocks of R.) The blocks around the layer (normalisation,
  convolution, projections) are no part of it.

  There is no internal state that keeps its error: c, n and m act on each other
  within the step.

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: cells (C).
    forget_gate: which of the paper's two forget gates. Where exponential gates
      stay above 1, m grows without bound, and float32 loses the last digits of
      log i beside it.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r];
  `input_gate_bias`, `forget_bias`, `output_gate_bias` `[C]` set the initial
  biases of the gates; nan: drawn like the others. A `forget_bias` of 3 to 6
  with a logistic gate forgets in 20 to 400 steps; an exponential gate keeps the
  past at full weight at 0, and gives the past more weight than the present
  above.

  Returns:
    The cell. Its carry is `Carry`, its params `Params`.

  Raises:
    ValueError: a size or an option that is outside its choices.

  Source: Beck et al. (2024), section 2.2, eqs. (8)-(17).

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.slstm(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((32, 3),
     ['forget_bias', 'init_range', 'input_gate_bias', 'output_gate_bias'])
  """
  rows = 4 * hidden
  mask = Params(
    w_x=_build.ones(rows, num_inputs),
    w_h=_build.ones(rows, hidden),
    b=_build.ones(rows),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  def advance(extra, carry_tm1, net):
    del extra
    log_i, net_f, net_z, net_o = jnp.split(net, 4)
    log_f = jax.nn.log_sigmoid(net_f) if forget_gate == 'logistic' else net_f
    kept = log_f + carry_tm1.m
    # What is read, c / n, has no derivative by it.
    m = jax.lax.stop_gradient(jnp.maximum(kept, log_i))
    y_in, y_f = jnp.exp(log_i - m), jnp.exp(kept - m)
    y_out = logistic(net_o)
    c = y_f * carry_tm1.c + y_in * tanh(net_z)
    n = y_f * carry_tm1.n + y_in
    gates = {'y_in': y_in, 'y_f': y_f, 'y_out': y_out}
    return Carry(c, n, m, y_out * (c / n)), gates

  equations = Equations(
    advance, output='h', recurrent=(Connection('w_h', 'h'),)
  )
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry,
    dict.fromkeys(Carry._fields, hidden), equations,
    NUMBERS, biases=hidden, start={'m': _NOTHING}, place=_build.gate_biases,
  )  # fmt: skip
