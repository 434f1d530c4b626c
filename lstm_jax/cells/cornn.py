"""Coupled oscillatory network: a damped, driven oscillator for every unit.

Rusch & Mishra, "Coupled oscillatory recurrent neural network (coRNN): an
accurate and (gradient) stable architecture for learning long time
dependencies", ICLR 2021, arXiv:2010.00951.
"""

from typing import NamedTuple

from lstm_jax.cells import _build
from lstm_jax.ops.activations import tanh
from lstm_jax.ops.checked import Positive
from lstm_jax.types import Array, Cell, Connection, Equations

PROVIDES = ('readout',)

# Traced numbers and their defaults.
NUMBERS = {'init_range': 0.1}
RANGES = {
  'init_range': (0.03, 1.0, 'log'),
  'dt': (0.01, 0.1, 'log'),
  'gamma': (0.1, 100.0, 'log'),
  'epsilon': (1.0, 15.0, 'log'),
}


class Params(NamedTuple):
  """Weights; one that does not exist is 0 here and in the cell's mask."""

  w_x: Array  # [C, I, *] V: from the input lines
  w_y: Array  # [C, C, *] W: from the positions one step ago
  w_z: Array  # [C, C, *] the paper's second W: from the velocities
  b: Array  # [C, *]
  w_out: Array  # [K, C, *] output units from the positions of now
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  y: Array  # [C, *] positions of the oscillators
  z: Array  # [C, *] their velocities


@_build.cell_factory
def cornn(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  dt: Positive = 0.1,
  gamma: Positive = 0.2,
  epsilon: Positive = 6.4,
  output_bias: bool = True,
) -> Cell:
  r"""Coupled oscillatory network: positions y and velocities z.

    z(n) = z(n-1) + dt (tanh(W_y y(n-1) + W_z z(n-1) + V x(n) + b)
                        - gamma y(n-1) - epsilon z(n-1))
    y(n) = y(n-1) + dt z(n),  y(0) = z(0) = 0
    net_k(n) = W_out y(n) + b_out

  eq. (3) of the paper with damping by the velocity of one step ago (its n-bar
  is n - 1, the explicit form), as the authors' code has it: the velocity is
  advanced explicitly, and the position by the new velocity. The paper's other
  form has -epsilon z(n) in place of -epsilon z(n-1).

  An oscillator by itself comes to rest where dt^2 gamma + 2 dt epsilon < 4 (the
  eigenvalues of a step are then below 1); others are refused.

  Neither state is an internal state that keeps its error: each acts on the
  other within a step, and on all units through W_y and W_z.

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: oscillators (C).
    dt: the time step, far below 1: the authors' networks have 0.034 to 0.1.
    gamma: the square of the frequency of an oscillator left to itself. The
      authors' networks have 0.2 to 66.
    epsilon: the damping. Where epsilon^2 > 4 gamma, as in all of the authors'
      networks (4.7 to 15), an oscillator creeps back to rest and does not
      swing: a position fades by about dt gamma / epsilon a step, which says
      what lags the network bridges. With the defaults, those of the authors for
      human activities (HAR-2), that is 1/320 a step.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r].

  Returns:
    The cell. Its carry is `Carry`, its params `Params`.

  Raises:
    ValueError: a size or an option that is outside its choices, a `dt`, `gamma`
      or `epsilon` that is not above 0, or the three of them where an oscillator
      left to itself grows without bound.

  Source: Rusch & Mishra (2021), eq. (3).

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.cornn(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((8, 3), ['init_range'])
  """
  if not dt**2 * gamma + 2 * dt * epsilon < 4:
    raise ValueError(
      f'dt={dt} with gamma={gamma} and epsilon={epsilon}: a position grows '
      'without bound; dt^2 gamma + 2 dt epsilon must be below 4'
    )
  mask = Params(
    w_x=_build.ones(hidden, num_inputs),
    w_y=_build.ones(hidden, hidden),
    w_z=_build.ones(hidden, hidden),
    b=_build.ones(hidden),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  def advance(extra, carry_tm1, net):
    del extra
    y_tm1, z_tm1 = carry_tm1.y, carry_tm1.z
    z = z_tm1 + dt * (tanh(net) - gamma * y_tm1 - epsilon * z_tm1)
    return Carry(y_tm1 + dt * z, z), {}

  equations = Equations(
    advance,
    output='y',
    recurrent=(Connection('w_y', 'y'), Connection('w_z', 'z')),
  )
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry, {'y': hidden, 'z': hidden},
    equations, NUMBERS,
  )  # fmt: skip
