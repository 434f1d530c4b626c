"""Gated recurrent unit.

Cho et al., "Learning phrase representations using RNN encoder-decoder for
statistical machine translation", EMNLP 2014, section 2.3.
"""

from typing import Literal, NamedTuple

from lstm_jax.cells import _build
from lstm_jax.ops import activations
from lstm_jax.ops.arrays import affine, spread
from lstm_jax.types import Array, Cell, Connection, Equations

# Traced numbers and their defaults.
PROVIDES = {'local_state': {'reset': 'after'}, 'readout': {}}
NUMBERS = {'init_range': 0.1}
RANGES = {'init_range': (0.03, 1.0, 'log')}


class Params(NamedTuple):
  """Weights, rows of the hidden layer in the order r, z, n.

  A weight that does not exist is 0 here and in the cell's mask.
  """

  w_x: Array  # [3C, I, *] from the input lines
  w_h: Array  # [3C, C, *] from the hidden units one step ago
  b: Array  # [3C, *]
  b_hn: Array  # [C, *] inside the reset gate's product (reset 'after')
  w_out: Array  # [K, C, *] output units from the hidden units of now
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  h: Array  # [C, *] activations of the hidden units


@_build.cell_factory
def gru(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  reset: Literal['after', 'before'] = 'after',
  output_bias: bool = True,
) -> Cell:
  r"""Gated recurrent unit: reset gate r, update gate z, candidate n.

    r(t) = f(W_xr x(t) + W_hr h(t-1) + b_r),  f(x) = 1/(1+e^-x)
    z(t) = f(W_xz x(t) + W_hz h(t-1) + b_z)
    h(t) = (1 - z(t)) n(t) + z(t) h(t-1),  h(0) = 0
    net_k(t) = W_out h(t) + b_out

  and the candidate, where the two published forms differ:

    'after'   n(t) = tanh(W_xn x(t) + b_n + r(t) (W_hn h(t-1) + b_hn))
    'before'  n(t) = tanh(W_xn x(t) + b_n + W_hn (r(t) h(t-1)))

  'after' resets after the recurrent product, with a bias of its own: the form
  of flax's and torch's `GRUCell` and of cuDNN. 'before' is the form of the 2014
  paper (there without biases); it needs a second product after the gate.

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: hidden units (C), each with its own two gates.
    reset: whether the reset gate acts after or before the recurrent product.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r].

  Returns:
    The cell. Its carry is `Carry`, its params `Params`.

  Raises:
    ValueError: a size or an option that is outside its choices.

  Source: Cho et al. (2014), eqs. (5)-(8).

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.gru(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((24, 3), ['init_range'])
  """
  rows, gates = 3 * hidden, 2 * hidden
  mask = Params(
    w_x=_build.ones(rows, num_inputs),
    w_h=_build.ones(rows, hidden),
    b=_build.ones(rows),
    b_hn=_build.ones(hidden, exist=reset == 'after'),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  def extra(params):
    return (params.b_hn if reset == 'after' else params.w_h[gates:],)

  def advance(extra, carry_tm1, net_x, net_h):
    h_tm1 = carry_tm1.h
    r, z = _halves(activations.logistic(net_x[:gates] + net_h[:gates]))
    if reset == 'after':
      net_hn = net_h[gates:]
      net_hn = r * (net_hn + spread(extra[0], net_hn))
    else:
      net_hn = affine(extra[0], r * h_tm1)
    n = activations.tanh(net_x[gates:] + net_hn)
    return Carry((1 - z) * n + z * h_tm1), {'r': r, 'z': z, 'n': n}

  equations = Equations(
    advance,
    output='h',
    recurrent=(Connection('w_h', 'h', rows if reset == 'after' else gates),),
    extra=extra,
    separate_nets=True,
    compiled_loop='gru' if reset == 'after' else None,
  )
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry, {'h': hidden}, equations, NUMBERS,
  )  # fmt: skip


def _halves(rows):
  """The first and the second half of the rows `[2C, *]`."""
  half = len(rows) // 2
  return rows[:half], rows[half:]
