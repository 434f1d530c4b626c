"""A network in cascade: each hidden unit reads itself and the units before it.

The architecture of Recurrent Cascade-Correlation, Fahlman, "The recurrent
cascade-correlation architecture", NIPS 3, 1991; without the self links it is
that of Fahlman & Lebiere, "The cascade-correlation learning architecture",
NIPS 2, 1990. The units, not the learning rule: any rule may train the network.
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops import activations
from lstm_jax.ops.arrays import spread
from lstm_jax.types import Array, Cell, Equations

PROVIDES = ('cascade', 'inputs_to_outputs', 'readout')
# Traced numbers and their defaults.
NUMBERS = {'init_range': 1.0}
RANGES = {'init_range': (0.1, 3.0, 'log')}

_ACTIVATIONS = {
  'symmetric': lambda x: 0.5 * activations.half_tanh(x),
  'logistic': activations.logistic_of_lanes,
  'tanh': activations.tanh,
}


class Params(NamedTuple):
  """Weights; one that does not exist is 0 here and in the cell's mask.

  A rule that adds unit after unit finds the weights of unit i in row i of the
  first four, and what it does to the output units in column i of `w_out`.
  """

  w_x: Array  # [C, I, *] from the input lines
  w_h: Array  # [C, C, *] from the units before it now, below the diagonal
  w_s: Array  # [C, *] from itself one step ago
  b: Array  # [C, *]
  w_out: Array  # [K, C, *] output units from the hidden units of now
  w_out_x: Array  # [K, I, *] output units from the input lines
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  h: Array  # [C, *] activations V of the hidden units


@_build.cell_factory
def cascaded(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  activation: Literal['symmetric', 'logistic', 'tanh'] = 'symmetric',
  hidden_bias: bool = True,
  output_bias: bool = True,
) -> Cell:
  r"""Hidden units in cascade, each with one self link (Fahlman 1991).

    V_i(t) = f(sum_k w_ik x_k(t) + sum_{j<i} w_ij V_j(t) + w_si V_i(t-1) + b_i)
    net_k(t) = sum_i w_ki V_i(t) + sum_l w_kl x_l(t) + b_k,  V(0) = 0

  A step takes as many stages as there are units. A unit whose weights are all 0
  and that no output unit reads is as good as absent.

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: hidden units (C).
    activation: f of the hidden units: 'symmetric' is Fahlman's, logistic
      from -1/2 to 1/2; 'logistic' runs from 0 to 1, 'tanh' from -1 to 1.
    hidden_bias: whether hidden units have a bias weight.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r].

  Returns:
    The cell. Its carry is `Carry`, its params `Params`.

  Raises:
    ValueError: a size or an option that is outside its choices.

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.cascaded(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((8, 3), ['init_range'])
  """
  f = _ACTIVATIONS[activation]
  mask = Params(
    w_x=_build.ones(hidden, num_inputs),
    w_h=_build.ones(hidden, hidden, exist=np.tri(hidden, k=-1)),
    w_s=_build.ones(hidden),
    b=_build.ones(hidden, exist=hidden_bias),
    w_out=_build.ones(num_outputs, hidden),
    w_out_x=_build.ones(num_outputs, num_inputs),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  def advance(extra, carry_tm1, net):
    w_h, w_s = extra
    net = net + spread(w_s, net) * carry_tm1.h
    values = []
    for i in range(hidden):
      # A unit tells those after it, which have not been computed yet.
      values.append(f(net[:1]))
      net = net[1:] + spread(w_h[i + 1 :, i], net) * values[-1]
    return Carry(jnp.concatenate(values)), {}

  def extra(params):
    return params.w_h, params.w_s

  equations = Equations(advance, output='h', extra=extra)
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry, {'h': hidden}, equations, NUMBERS,
  )  # fmt: skip
