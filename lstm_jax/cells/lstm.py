"""LSTM with a forget gate, the network that later work calls LSTM.

Gers, Schmidhuber & Cummins, "Learning to forget: continual prediction with
LSTM", Neural Computation 12(10), 2000; peepholes: Gers & Schmidhuber,
"Recurrent nets that time and count", IJCNN 2000.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops.activations import logistic, tanh
from lstm_jax.ops.arrays import spread
from lstm_jax.types import (
  Array,
  Cell,
  CompiledRule,
  Connection,
  Equations,
  InternalState,
)

PROVIDES = {
  'internal_state': {'peepholes': False},
  'compiled_rule': {'peepholes': False},
  'local_state': {},
  'readout': {},
}

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


class Params(NamedTuple):
  """Weights, rows of the hidden layer in the order y_in, y_f, g, y_out.

  A weight that does not exist is 0 here and in the cell's mask.
  """

  w_x: Array  # [4C, I, *] from the input lines
  w_h: Array  # [4C, C, *] from the cell outputs one step ago
  b: Array  # [4C, *]
  w_peep_in: Array  # [C, *] input gate from s_c(t-1)
  w_peep_f: Array  # [C, *] forget gate from s_c(t-1)
  w_peep_out: Array  # [C, *] output gate from s_c(t)
  w_out: Array  # [K, C, *] output units from the cell outputs of now
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  s_c: Array  # [C, *] internal states
  y_c: Array  # [C, *] cell outputs


@_build.cell_factory
def lstm(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  peepholes: bool = False,
  output_bias: bool = True,
) -> Cell:
  r"""LSTM with forget gate: every cell has three gates of its own.

    y_in(t)  = f(W_in x(t) + R_in y_c(t-1) [+ p_in s_c(t-1)] + b_in)
    y_f(t)   = f(W_f x(t) + R_f y_c(t-1) [+ p_f s_c(t-1)] + b_f)
    g(t)     = tanh(W_g x(t) + R_g y_c(t-1) + b_g)
    s_c(t)   = y_f(t) s_c(t-1) + y_in(t) g(t),  s_c(0) = 0
    y_out(t) = f(W_o x(t) + R_o y_c(t-1) [+ p_out s_c(t)] + b_o)
    y_c(t)   = y_out(t) tanh(s_c(t)),  y_c(0) = 0
    net_k(t) = W_out y_c(t) + b_out

  with f(x) = 1/(1+e^-x) and W, R the rows of `w_x`, `w_h`. One bias a row; the
  order of the rows is that of flax's and torch's `LSTMCell` (i, f, g, o).

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: memory cells (C).
    peepholes: connections from a cell's internal state to its gates: of one
      step ago to input and forget gate, of now to the output gate. The internal
      state then also recurs through the gates: none keeps its error.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r];
  `input_gate_bias`, `forget_bias`, `output_gate_bias` `[C]` set the initial
  biases of the gates; nan: drawn like the others.

  Returns:
    The cell. Its carry is `Carry`, its params `Params`. Its internal state
    (without peepholes) is `s_c`.

  Raises:
    ValueError: a size that is no integer of at least 1.

  Source: Gers, Schmidhuber & Cummins (2000), section 3, with tanh for the
  squashing functions g and h as is now usual; Gers & Schmidhuber (2000).

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.lstm(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((32, 3),
     ['forget_bias', 'init_range', 'input_gate_bias', 'output_gate_bias'])
  """
  rows = 4 * hidden
  mask = Params(
    w_x=_build.ones(rows, num_inputs),
    w_h=_build.ones(rows, hidden),
    b=_build.ones(rows),
    w_peep_in=_build.ones(hidden, exist=peepholes),
    w_peep_f=_build.ones(hidden, exist=peepholes),
    w_peep_out=_build.ones(hidden, exist=peepholes),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  def extra(params):
    if not peepholes:
      return ()
    return params.w_peep_in, params.w_peep_f, params.w_peep_out

  equations = Equations(
    _advance,
    output='y_c',
    recurrent=(Connection('w_h', 'y_c'),),
    extra=extra,
    compiled_loop=None if peepholes else 'lstm',
  )
  row = np.arange(hidden)
  units = {'y_in': row, 'y_f': row + hidden, 'g': row + 2 * hidden}
  compiled = CompiledRule(forgets=True)
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry,
    {'s_c': hidden, 'y_c': hidden}, equations,
    NUMBERS, biases=hidden, place=_build.gate_biases,
    internal=(
      None if peepholes else InternalState('s_c', units, compiled=compiled)
    ),
  )  # fmt: skip


def _advance(peepholes, carry_tm1, net):
  """`(carry_t, gates)`; `peepholes` is () or the three weights `[C, *]`."""
  s_tm1 = carry_tm1.s_c
  if peepholes:
    w_in, w_f, w_out = peepholes
    i, f, g, o = jnp.split(net, 4)
    i = i + spread(w_in, i) * s_tm1
    f = f + spread(w_f, f) * s_tm1
    y_in, y_f, g = _activate(jnp.concatenate((i, f, g)), 'ifg')
    s_c = y_f * s_tm1 + y_in * g
    (y_out,) = _activate(o + spread(w_out, o) * s_c, 'o')
  else:
    y_in, y_f, g, y_out = _activate(net, 'ifgo')
    s_c = y_f * s_tm1 + y_in * g
  gates = {'y_in': y_in, 'y_f': y_f, 'g': g, 'y_out': y_out}
  return Carry(s_c, y_out * tanh(s_c)), gates


def _activate(net, kinds):
  """Activations of stacked rows: tanh for 'g', logistic for gates.

  Args:
    net: `[len(kinds) C, *]`.
    kinds: a letter for each C rows.

  Returns:
    A list of `[C, *]`, one a kind.
  """
  parts = zip(kinds, jnp.split(net, len(kinds)), strict=True)
  return [tanh(x) if kind == 'g' else logistic(x) for kind, x in parts]
