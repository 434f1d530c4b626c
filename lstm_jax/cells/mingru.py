"""Minimal gated recurrent unit: its update gate sees the inputs alone.

Feng, Tung, Ahmed, Bengio & Hajimirsadeghi, "Were RNNs all we needed?", 2024
(arXiv:2410.01201).
"""

from typing import NamedTuple

import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops.activations import logistic
from lstm_jax.types import Array, Cell, Equations, InternalState

PROVIDES = ('internal_state', 'local_state', 'readout')

# Traced numbers and their defaults; None: drawn like every other weight.
NUMBERS = {'init_range': 0.1, 'update_gate_bias': None}
RANGES = {
  'init_range': (0.03, 1.0, 'log'),
  'update_gate_bias': (-6.0, 0.0, 'linear'),
}


class Params(NamedTuple):
  """Weights, rows of the hidden layer in the order z, n."""

  w_x: Array  # [2C, I, *] from the input lines
  b: Array  # [2C, *]
  w_out: Array  # [K, C, *] output units from the hidden units of now
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  h: Array  # [C, *] activations of the hidden units


@_build.cell_factory
def mingru(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  output_bias: bool = True,
) -> Cell:
  r"""minGRU: a GRU without reset gate, tanh and recurrent weights.

    z(t) = f(W_z x(t) + b_z),  f(x) = 1/(1+e^-x)
    n(t) = W_n x(t) + b_n
    h(t) = (1 - z(t)) h(t-1) + z(t) n(t),  h(0) = 0
    net_k(t) = W_out h(t) + b_out

  n is the paper's candidate state (h with a tilde), z its update gate: here 1
  lets the candidate in, where in `gru` 1 keeps the state. A unit hears no unit,
  itself neither: the only link between steps is the state, linear in itself,
  and the rule that keeps the error inside it (`truncated1997`) is exact. This
  is the sequential form on plain numbers; the form of the paper in logarithms,
  which holds candidates above 0, is another network.

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: hidden units (C), each with its own gate.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r];
  `update_gate_bias` `[C]` sets the initial b_z (nan: drawn like the others). A
  unit with gate z forgets over 1/z steps: for a lag of q steps a b_z of some
  -log q, from 0 to -log of the longest lag.

  Returns:
    The cell. Its carry is `Carry`, its params `Params`. Its internal state is
    `h`.

  Raises:
    ValueError: a size that is no integer of at least 1.

  Source: Feng et al. (2024), section 3.1 (minGRU), sequential mode.

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.mingru(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((16, 3), ['init_range', 'update_gate_bias'])
  """
  mask = Params(
    w_x=_build.ones(2 * hidden, num_inputs),
    b=_build.ones(2 * hidden),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  def advance(extra, carry_tm1, net):
    z, n = logistic(net[:hidden]), net[hidden:]
    return Carry((1 - z) * carry_tm1.h + z * n), {'z': z, 'n': n}

  def place(params, numbers):
    b = _build.set_biases(params.b, numbers['update_gate_bias'], hidden)
    return params._replace(b=b)

  row = np.arange(hidden)
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry, {'h': hidden},
    Equations(advance, output='h'), NUMBERS, biases=hidden, place=place,
    internal=InternalState('h', {'z': row, 'n': row + hidden}),
  )  # fmt: skip
