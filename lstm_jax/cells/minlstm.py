"""Minimal LSTM: its gates see the inputs alone, and there is no output gate.

Feng, Tung, Ahmed, Bengio & Hajimirsadegh, "Were RNNs all we needed?", 2024
(arXiv:2410.01201).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops.activations import logistic
from lstm_jax.types import Array, Cell, Equations, InternalState

PROVIDES = ('internal_state', 'local_state', 'readout')

# Traced numbers and their defaults; None: drawn like every other weight.
NUMBERS = {'init_range': 0.1, 'input_gate_bias': None, 'forget_bias': None}
RANGES = {
  'init_range': (0.03, 1.0, 'log'),
  'input_gate_bias': (-6.0, 0.0, 'linear'),
  'forget_bias': (0.0, 6.0, 'linear'),
}


class Params(NamedTuple):
  """Weights, rows of the hidden layer in the order y_in, y_f, g."""

  w_x: Array  # [3C, I, *] from the input lines
  b: Array  # [3C, *]
  w_out: Array  # [K, C, *] output units from the hidden units of now
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  h: Array  # [C, *] activations of the hidden units


@_build.cell_factory
def minlstm(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  normalised_gates: bool = True,
  output_bias: bool = True,
) -> Cell:
  r"""minLSTM: an LSTM without output gate, tanh and recurrent weights.

    i(t) = f(W_i x(t) + b_i),  f(x) = 1/(1+e^-x)
    o(t) = f(W_f x(t) + b_f)
    g(t) = W_g x(t) + b_g
    y_in(t), y_f(t) = i(t) / (i(t) + o(t)), o(t) / (i(t) + o(t))
    h(t) = y_f(t) h(t-1) + y_in(t) g(t),  h(0) = 0
    net_k(t) = W_out h(t) + b_out

  g is the paper's candidate state (h with a tilde), i and o its gates before
  and y_in, y_f those after they are made to sum to 1, so that the size of the
  state does not depend on the length. Without `normalised_gates` y_in and y_f
  are i and o themselves. A unit hears no unit, itself neither: the only link
  between steps is the state, linear in itself, and the rule that keeps the
  error inside it (`truncated1997`) is exact. This is the sequential form on
  plain numbers; the form of the paper in logarithms, which holds candidates
  above 0, is another network.

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: hidden units (C), each with its own two gates.
    normalised_gates: whether the gates of a unit are divided by their sum.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r];
  `input_gate_bias` and `forget_bias` `[C]` set the initial b_i and b_f (nan:
  drawn like the others). A unit forgets over 1/(1 - y_f) steps: for a lag of q
  steps a difference b_f - b_i of some log q, from 0 to log of the longest lag.

  Returns:
    The cell. Its carry is `Carry`, its params `Params`. Its internal state is
    `h`.

  Raises:
    ValueError: a size or an option that is outside its choices.

  Source: Feng et al. (2024), section 3.2 (minLSTM), sequential mode; the gates
  are normalised by differences of their logarithms, as its appendix does: a sum
  of two gates that are shut is 0 in float32.

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.minlstm(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((24, 3), ['forget_bias', 'init_range', 'input_gate_bias'])
  """
  mask = Params(
    w_x=_build.ones(3 * hidden, num_inputs),
    b=_build.ones(3 * hidden),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  def advance(extra, carry_tm1, net):
    net_in, net_f, g = jnp.split(net, 3)
    if normalised_gates:
      # log i(t) - log o(t).
      net_in = jax.nn.softplus(-net_f) - jax.nn.softplus(-net_in)
      net_f = -net_in
    y_in, y_f = logistic(net_in), logistic(net_f)
    h = y_f * carry_tm1.h + y_in * g
    return Carry(h), {'y_in': y_in, 'y_f': y_f, 'g': g}

  def place(params, numbers):
    b = _build.set_biases(
      params.b, numbers['input_gate_bias'], numbers['forget_bias'], hidden
    )
    return params._replace(b=b)

  row = np.arange(hidden)
  units = {'y_in': row, 'y_f': row + hidden, 'g': row + 2 * hidden}
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry, {'h': hidden},
    Equations(advance, output='h'), NUMBERS, biases=hidden, place=place,
    internal=InternalState('h', units),
  )  # fmt: skip
