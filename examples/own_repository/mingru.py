"""Minimal gated recurrent unit: gates that see the inputs alone.

Feng, Tung, Ahmed, Bengio & Hajimirsadegh, "Were RNNs all we needed?", 2024
(arXiv:2410.01201).
"""

from typing import NamedTuple

import jax
import numpy as np

import lstm_jax as lj

# Numbers that `init` reads, and their defaults.
NUMBERS = {'init_range': 0.5}
# For rules that keep the error inside a state, or read the output weights.
PROVIDES = ('internal_state', 'readout')


class Params(NamedTuple):
  """Weights; rows of the hidden layer in the order z, candidate."""

  w_x: jax.Array  # [2C, I, *]
  b: jax.Array  # [2C, *]
  w_out: jax.Array  # [K, C, *]
  b_out: jax.Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  h: jax.Array  # [C, *]


@lj.cell_factory
def mingru(num_inputs: int, num_outputs: int, *, hidden: int = 4) -> lj.Cell:
  """Minimal gated recurrent unit, whose gates see the inputs alone.

    h(t) = (1 - z) h(t-1) + z W_h x(t),  z = sigmoid(W_z x(t))

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: C.
  """
  mask = Params(
    w_x=np.ones((2 * hidden, num_inputs), np.float32),
    b=np.ones(2 * hidden, np.float32),
    w_out=np.ones((num_outputs, hidden), np.float32),
    b_out=np.ones(num_outputs, np.float32),
  )

  def advance(extra, carry_tm1, net):
    z = jax.nn.sigmoid(net[:hidden])
    return Carry((1 - z) * carry_tm1.h + z * net[hidden:]), {'z': z}

  rows = np.arange(hidden)
  return lj.build_cell(
    num_inputs,
    num_outputs,
    mask,
    Carry,
    {'h': hidden},
    lj.Equations(advance, output='h'),
    NUMBERS,
    internal=lj.InternalState('h', {'z': rows, 'candidate': rows + hidden}),
  )
