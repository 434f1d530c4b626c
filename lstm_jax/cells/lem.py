"""Long expressive memory: two states, each entry with a time step of its own.

Rusch, Mishra, Erichson & Mahoney, "Long expressive memory for sequence
modeling", ICLR 2022, arXiv:2110.04744.
"""

from typing import NamedTuple

import jax.numpy as jnp

from lstm_jax.cells import _build
from lstm_jax.ops.activations import logistic, tanh
from lstm_jax.ops.arrays import affine
from lstm_jax.ops.checked import Positive
from lstm_jax.types import Array, Cell, Connection, Equations

PROVIDES = ('readout',)

# Traced numbers and their defaults.
NUMBERS = {'init_range': 0.1}
RANGES = {'init_range': (0.03, 1.0, 'log'), 'dt': (0.01, 1.0, 'log')}


class Params(NamedTuple):
  """Weights, rows of the hidden layer in the order 1, 2, z, y of the paper.

  A weight that does not exist is 0 here and in the cell's mask.
  """

  w_x: Array  # [4C, I, *] V_1, V_2, V_z, V_y: from the input lines
  w_h: Array  # [3C, C, *] W_1, W_2, W_z: from y one step ago
  w_y: Array  # [C, C, *] W_y: from z of now
  b: Array  # [4C, *]
  w_out: Array  # [K, C, *] output units from y of now
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  z: Array  # [C, *]
  y: Array  # [C, *] what the readout and the recurrent weights read


@_build.cell_factory
def lem(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  dt: Positive = 1.0,
  output_bias: bool = True,
) -> Cell:
  r"""Long expressive memory: states z and y with learned time steps.

    dt_n = dt f(W_1 y(n-1) + V_1 x(n) + b_1),  f(x) = 1/(1+e^-x)
    dt_bar_n = dt f(W_2 y(n-1) + V_2 x(n) + b_2)
    z(n) = (1 - dt_n) z(n-1) + dt_n tanh(W_z y(n-1) + V_z x(n) + b_z)
    y(n) = (1 - dt_bar_n) y(n-1) + dt_bar_n tanh(W_y z(n) + V_y x(n) + b_y)

  eq. (3) of the paper, from z(0) = y(0) = 0, and a linear readout of y:

    net_k(n) = W_out y(n) + b_out

  Each entry of z and of y has a time step of its own, between 0 and dt. It has
  as many weights as `lstm` of the same size. Neither state is an internal
  state that keeps its error: z acts on y within the step through W_y, and y on
  z through the recurrent weights.

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: entries of each of the two states (C).
    dt: the largest time step, in (0, 1]: the states then stay in [-1, 1]. 1
      suits most tasks, less suits long lags, whose entries then forget more
      slowly at first: the authors take 0.0242 for the adding problem of 10,000
      steps.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r];
  the authors' r is 1 / sqrt(C).

  Returns:
    The cell. Its carry is `Carry`, its params `Params`.

  Raises:
    ValueError: a size or an option that is outside its choices, a `dt` that is
      not above 0.

  Source: Rusch et al. (2022), eq. (3).

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.lem(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((32, 3), ['init_range'])
  """
  heard = 3 * hidden
  mask = Params(
    w_x=_build.ones(4 * hidden, num_inputs),
    w_h=_build.ones(heard, hidden),
    w_y=_build.ones(hidden, hidden),
    b=_build.ones(4 * hidden),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  def extra(params):
    return (params.w_y,)

  def advance(extra, carry_tm1, net_x, net_h):
    (w_y,) = extra
    step, step_bar, net_z = jnp.split(net_x[:heard] + net_h, 3)
    step, step_bar = dt * logistic(step), dt * logistic(step_bar)
    z = (1 - step) * carry_tm1.z + step * tanh(net_z)
    net_y = affine(w_y, z) + net_x[heard:]
    y = (1 - step_bar) * carry_tm1.y + step_bar * tanh(net_y)
    return Carry(z, y), {'dt': step, 'dt_bar': step_bar}

  equations = Equations(
    advance,
    output='y',
    recurrent=(Connection('w_h', 'y'),),
    extra=extra,
    separate_nets=True,
  )
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry, {'z': hidden, 'y': hidden},
    equations, NUMBERS,
  )  # fmt: skip
