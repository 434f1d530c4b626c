"""The memory-cell blocks of 1997: constant error carousel, no forget gate.

Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8),
1997, section 4 and appendix A.1.
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops.activations import half_tanh
from lstm_jax.ops.activations import logistic_of_lanes as logistic
from lstm_jax.ops.arrays import add_exactly
from lstm_jax.types import (
  Array,
  Cell,
  CompiledRule,
  Connection,
  Equations,
  InternalState,
)

PROVIDES = {
  'internal_state': {},
  'compiled_rule': {'state_sum': 'plain'},
  'inputs_to_outputs': {'outputs_see_inputs': True},
  'local_state': {},
  'readout': {},
}

# Traced numbers and their defaults; None: drawn like every other weight.
NUMBERS = {
  'init_range': 0.1,
  'input_gate_bias': None,
  'output_gate_bias': None,
}
RANGES = {
  'init_range': (0.03, 1.0, 'log'),
  'input_gate_bias': (-6.0, 0.0, 'linear'),
  'output_gate_bias': (-3.0, 0.0, 'linear'),
}
LATER = ('state_sum',)
REFUSES = (
  ({'input_gates': False, 'input_gate_bias': ...}, 'has no input gates'),
  ({'output_gates': False, 'output_gate_bias': ...}, 'has no output gates'),
  ({'bias': 'none', 'input_gate_bias': ...}, 'no unit has a bias weight'),
  ({'bias': 'none', 'output_gate_bias': ...}, 'no unit has a bias weight'),
)


class Params(NamedTuple):
  """Weights, rows of the hidden layer in the order y_in, y_out, net_c.

  G gates, C cells, U = G + C rows. A connection that does not exist is 0 here
  and in the cell's mask.
  """

  w_x: Array  # [U, I, *] from the input lines
  w_gates: Array  # [U, G, *] from the gate activations one step ago
  w_cells: Array  # [U, C, *] from the cell outputs one step ago
  b: Array  # [U, *]
  w_out: Array  # [K, C, *] output units from the cell outputs of now
  w_out_x: Array  # [K, I, *] output units from the input lines
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps.

  `s_c` keeps its error (the carousel); the activations `y_gates` and `y_c` are
  what the 1997 rule cuts.
  """

  s_c: Array  # [C, *] internal states
  y_c: Array  # [C, *] cell outputs
  y_gates: Array  # [G, *] gate activations, input gates first


class CompensatedCarry(NamedTuple):
  """`Carry` of a cell whose states are summed with compensation."""

  s_c: Array  # [C, *]
  y_c: Array  # [C, *]
  y_gates: Array  # [G, *]
  s_rest: Array  # [C, *] what rounding has taken from the internal states


@_build.cell_factory
def lstm1997(
  num_inputs: int,
  num_outputs: int,
  *,
  blocks: int = 2,
  block_size: int = 2,
  input_gates: bool = True,
  output_gates: bool = True,
  cells_hear: Literal['all', 'cells', 'nothing'] = 'all',
  gates_hear: Literal['all', 'cells', 'nothing'] = 'all',
  bias: Literal['all', 'hidden', 'gates', 'gates_outputs', 'none'] = 'all',
  g: Literal['[-2,2]', '[-1,1]', '[0,1]'] = '[-2,2]',
  h: Literal['[-1,1]', '[-2,2]', 'identity'] = '[-1,1]',
  outputs_see_inputs: bool = False,
  reset_gates_to: Literal['zero', 'half'] = 'zero',
  state_sum: Literal['plain', 'compensated'] = 'plain',
) -> Cell:
  r"""Memory-cell blocks of 1997: shared gates, no forget gate.

  Block j of size S has one input gate and one output gate for its S cells:

    y_in = f(net_in),  y_out = f(net_out),  f(x) = 1/(1+e^-x)
    s_c(t) = s_c(t-1) + y_in(t) g(net_c(t)),  s_c(0) = 0
    y_c(t) = y_out(t) h(s_c(t))
    net_k(t) = sum_c w_kc y_c(t) [+ w_kx x(t)] + b_k

  with g(x) = 4 f(x) - 2 and h(x) = 2 f(x) - 1. Every gate and cell receives the
  input of now and the activations of one step ago (the experiments' order of
  phases; the appendix writes t-1 throughout). The output units see cells of
  now and never gates.

  Args:
    num_inputs: I.
    num_outputs: K.
    blocks: memory-cell blocks.
    block_size: cells a block (S), sharing the block's gates.
    input_gates: False leaves them out (y_in = 1).
    output_gates: False leaves them out (y_out = 1), as in Experiments 2a, 2b.
    cells_hear: recurrent sources of the cells' net inputs: cell outputs and
      gates ('all', the paper's text), cell outputs only, or nothing.
    gates_hear: the same for the gates.
    bias: who has a bias weight: all non-input units, the hidden units (gates
      and cells), the gates only, or none (Table 10: all, b1, ga, none);
      'gates_outputs' is all but the cells.
    g: range of the cell input's squashing function ('[0,1]': logistic, 2a/2b).
    h: range of the cell output's squashing function (2a/2b: identity). The
      caption of Table 10 has g in [-1,1] and h in [-2,2].
    outputs_see_inputs: direct connections from input lines to output units
      ("B" of Table 10).
    reset_gates_to: gate activations before the first step: 'zero' as the text
      says of all activations, or 'half' = f(0).
    state_sum: 'compensated' hands what the rounding of s_c has lost on to the
      next step: over a million steps of float32 a gate that lets through less
      than half a unit in the last place of the state, which a plain sum loses
      whole, counts as its value says. Not of the compiled form of the rule.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r];
  `input_gate_bias` and `output_gate_bias` `[blocks]` set the initial biases of
  the gates; nan: drawn like the others.

  Returns:
    The cell. Its carry is `Carry` (`CompensatedCarry`), its params `Params`.

  Raises:
    ValueError: a size or an option that is outside its choices.

  Source: section 4, eqs. (4)-(9); connectivity and biases: Table 10. Its
  caption swaps the ranges of g and h; the experiments' text is followed.

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.lstm1997(3, 1, blocks=2, block_size=2)  # 3 inputs, 1 output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((8, 3), ['init_range', 'input_gate_bias', 'output_gate_bias'])
  """
  num_in = blocks if input_gates else 0
  num_gates = num_in + (blocks if output_gates else 0)
  num_cells = blocks * block_size

  mask = _mask(
    num_inputs, num_outputs, num_gates, num_cells,
    cells_hear, gates_hear, bias, outputs_see_inputs,
  )  # fmt: skip

  def place(params, numbers):
    b = _build.set_biases(
      params.b,
      *[numbers['input_gate_bias']] * input_gates,
      *[numbers['output_gate_bias']] * output_gates,
      num_cells,
    )
    return params._replace(b=b * mask.b)

  compensated = state_sum == 'compensated'

  def per_cell(gates):
    """`[blocks, *]` to `[C, *]`: each cell has its block's gate."""
    return jnp.repeat(gates, block_size, axis=0)

  def advance(extra, carry_tm1, net):
    y_gates = logistic(net[:num_gates])
    g_c = (logistic if g == '[0,1]' else half_tanh)(net[num_gates:])
    if g == '[-2,2]':
      g_c = 2 * g_c
    if input_gates:
      g_c = per_cell(y_gates[:num_in]) * g_c
    if compensated:
      s_c, rest = add_exactly(carry_tm1.s_c, carry_tm1.s_rest, g_c)
    else:
      s_c = carry_tm1.s_c + g_c
    y_c = s_c if h == 'identity' else half_tanh(s_c)
    if h == '[-2,2]':
      y_c = 2 * y_c
    if output_gates:
      y_c = per_cell(y_gates[num_in:]) * y_c
    gates = {'y_in': y_gates[:num_in]} if input_gates else {}
    gates |= {'y_out': y_gates[num_in:]} if output_gates else {}
    if compensated:
      return CompensatedCarry(s_c, y_c, y_gates, rest), gates
    return Carry(s_c, y_c, y_gates), gates

  units = {'g': num_gates + np.arange(num_cells)}
  if input_gates:
    units['y_in'] = np.repeat(np.arange(blocks), block_size)
  compiled = CompiledRule(
    False, num_in, num_gates - num_in, block_size,
    ('[-2,2]', '[-1,1]', '[0,1]').index(g),
    ('[-1,1]', '[-2,2]', 'identity').index(h),
  )  # fmt: skip
  equations = Equations(
    advance,
    output='y_c',
    recurrent=(Connection('w_gates', 'y_gates'), Connection('w_cells', 'y_c')),
  )
  return _build.build_cell(
    num_inputs, num_outputs, mask,
    CompensatedCarry if compensated else Carry,
    {'s_c': num_cells, 'y_c': num_cells, 'y_gates': num_gates}
    | ({'s_rest': num_cells} if compensated else {}), equations,
    NUMBERS, biases=blocks,
    start={'y_gates': 0.5 if reset_gates_to == 'half' else 0.0}, place=place,
    internal=InternalState(
      's_c', units, carousel=True, compiled=None if compensated else compiled
    ),
  )  # fmt: skip


def _mask(
  num_inputs, num_outputs, num_gates, num_cells,
  cells_hear, gates_hear, bias, outputs_see_inputs,
):  # fmt: skip
  """1 where the connectivity has a weight, as `Params` of numpy arrays."""
  rows = np.arange(num_gates + num_cells)[:, None]
  is_gate = rows < num_gates
  hears_gates = np.where(is_gate, gates_hear == 'all', cells_hear == 'all')
  hears_cells = np.where(
    is_gate, gates_hear != 'nothing', cells_hear != 'nothing'
  )
  biased = np.where(is_gate, bias != 'none', bias in ('all', 'hidden'))

  def block(columns, exists):
    return _build.ones(len(rows), columns, exist=exists)

  return Params(
    w_x=block(num_inputs, True),
    w_gates=block(num_gates, hears_gates),
    w_cells=block(num_cells, hears_cells),
    b=_build.ones(len(rows), exist=biased[:, 0]),
    w_out=_build.ones(num_outputs, num_cells),
    w_out_x=_build.ones(num_outputs, num_inputs, exist=outputs_see_inputs),
    b_out=_build.ones(num_outputs, exist=bias in ('all', 'gates_outputs')),
  )
