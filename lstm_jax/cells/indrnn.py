"""Independently recurrent network: every unit hears itself and no other.

Li, Li, Cook, Zhu & Gao, "Independently recurrent neural network (IndRNN):
building a longer and deeper RNN", CVPR 2018 (arXiv:1803.04831).
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cells import _build
from lstm_jax.ops import activations
from lstm_jax.ops.arrays import spread
from lstm_jax.ops.checked import Positive
from lstm_jax.types import Array, Cell, Equations

PROVIDES = ('local_state', 'readout')

# Traced numbers and their defaults.
NUMBERS = {'init_range': 0.1, 'recurrent_low': 0.0, 'recurrent_high': 1.0}
RANGES = {
  'init_range': (0.03, 1.0, 'log'),
  'recurrent_low': (0.0, 1.0, 'linear'),
}

_ACTIVATIONS = {
  'relu': jax.nn.relu,
  'tanh': activations.tanh,
}


class Params(NamedTuple):
  """Weights; one that does not exist is 0 here and in the cell's mask."""

  w_x: Array  # [C, I, *] from the input lines
  u: Array  # [C, *] of each hidden unit from itself one step ago
  b: Array  # [C, *]
  w_out: Array  # [K, C, *] output units from the hidden units of now
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  h: Array  # [C, *] activations of the hidden units


@_build.cell_factory
def indrnn(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  activation: Literal['relu', 'tanh'] = 'relu',
  recurrent_bound: Positive | None = None,
  output_bias: bool = True,
) -> Cell:
  r"""IndRNN: one recurrent weight a unit, from its own state.

    h(t) = f(W_x x(t) + u h(t-1) + b),  h(0) = 0                          (2)
    net_k(t) = W_out h(t) + b_out

  u h is elementwise. Over q steps the error of a unit is multiplied by u^q and
  by q derivatives of f, eq. (4), of which relu's are 1 or 0: what a unit
  remembers is read from its u, and a bound on |u| is one on the gradient. Units
  meet in the next layer alone (`lj.make_stack`); with `recurrence=self` of
  `srn` the weights are the same, and start in the range of all others.

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: hidden units (C).
    activation: f of the hidden units.
    recurrent_bound: the largest |u|; None: none. The paper has gamma^(1/T) for
      a gradient of at most gamma after T steps, gamma = 2: from 1 (no growth
      ever, what the authors advise for long sequences) to 2^(1/T), 1.07 for ten
      steps and 1.007 for a hundred. The authors cut u off after every update.
      A cell sees no update, and a cut within a step would have no gradient:
      here a weight that a learner takes past the bound comes back by as much,
      as from a mirror.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and biases but u uniform in
  [-r, r]; `recurrent_low` and `recurrent_high`, between which u is uniform.
  From 0 to 1 (the default, or to the bound) units of all lags are there; where
  the last output alone counts, a last layer of long ones from 2^(-1/T) to
  2^(1/T) (0.993 to 1.007 for T = 100). Sensible: 0 to 1 and 1 to 2^(1/T).

  Returns:
    The cell. Its carry is `Carry`, its params `Params`.

  Raises:
    ValueError: a size or an option that is outside its choices, a bound that is
      not above 0.

  Source: Li et al. (2018), eq. (2); the bound: sections 3.1 and 5.1; the ranges
  of u: section 5 and the authors' program for the adding problem.

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.indrnn(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.u.shape, sorted(cell.numbers)
    ((8,), ['init_range', 'recurrent_high', 'recurrent_low'])
  """
  f = _ACTIVATIONS[activation]
  mask = Params(
    w_x=_build.ones(hidden, num_inputs),
    u=_build.ones(hidden),
    b=_build.ones(hidden),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  def extra(params):
    if recurrent_bound is None:
      return (params.u,)
    return (_mirrored(params.u, recurrent_bound),)

  def advance(extra, carry_tm1, net):
    (u,) = extra
    return Carry(f(net + spread(u, net) * carry_tm1.h)), {}

  def place(params, numbers):
    low, high = numbers['recurrent_low'], numbers['recurrent_high']
    part = _build.fraction(params.u, numbers['init_range'])
    u = (low + (high - low) * part).astype(params.u.dtype)
    return params._replace(u=u)

  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry, {'h': hidden},
    Equations(advance, output='h', extra=extra), NUMBERS, place=place,
  )  # fmt: skip


def _mirrored(u, bound):
  """`u` within [-bound, bound], thrown back at both ends."""
  folded = bound - jnp.abs(jnp.remainder(u + bound, 4 * bound) - 2 * bound)
  return jnp.where(jnp.abs(u) <= bound, u, folded)
