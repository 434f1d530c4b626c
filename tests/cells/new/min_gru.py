"""Minimal gated unit: gates that hear the inputs alone.

Feng, Tung, Ahmed, Bengio & Hajimirsadegh, "Were RNNs all we needed?", 2024
(arXiv:2410.01201).
"""

from typing import NamedTuple

import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops.activations import logistic
from lstm_jax.types import Array, Cell, Equations, InternalState

PROVIDES = ('internal_state', 'readout')
NUMBERS = {'init_range': 0.1}


class Params(NamedTuple):
  """Weights, rows of the hidden layer in the order z, candidate."""

  w_x: Array  # [2C, I, *]
  b: Array  # [2C, *]
  w_out: Array  # [K, C, *]
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  h: Array  # [C, *]


@_build.cell_factory
def min_gru(num_inputs: int, num_outputs: int, *, hidden: int = 3) -> Cell:
  """Minimal gated unit: no weight hears the step before."""
  mask = Params(
    w_x=_build.ones(2 * hidden, num_inputs),
    b=_build.ones(2 * hidden),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs),
  )

  def advance(extra, carry_tm1, net):
    z = logistic(net[:hidden])
    return Carry((1 - z) * carry_tm1.h + z * net[hidden:]), {'z': z}

  row = np.arange(hidden)
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry, {'h': hidden},
    Equations(advance, output='h'), NUMBERS,
    internal=InternalState('h', {'z': row, 'candidate': row + hidden}),
  )  # fmt: skip
