"""Fully recurrent network: one layer in which some units are the outputs.

Williams & Zipser, "A learning algorithm for continually running fully recurrent
neural networks", Neural Computation 1(2), 1989: the network of the rows of RTRL
in Table 1 of the 1997 paper.
"""

from typing import NamedTuple

from lstm_jax.cells import _build
from lstm_jax.ops import activations
from lstm_jax.types import Array, Cell, Connection, Equations

PROVIDES = ('constant_leak', 'local_state')
# Traced numbers and their defaults.
NUMBERS = {'init_range': 0.1}
RANGES = {'init_range': (0.03, 1.0, 'log')}


class Params(NamedTuple):
  """Weights of the U = K + C units, the output units first.

  One that does not exist is 0 here and in the cell's mask.
  """

  w_x: Array  # [U, I, *] from the input lines
  w_y: Array  # [U, U, *] from all units one step ago
  b: Array  # [U, *]


class Carry(NamedTuple):
  """State between steps."""

  y: Array  # [U, *] activations of all units, the output units first


@_build.cell_factory
def fully_recurrent(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 3,
  bias: bool = False,
) -> Cell:
  r"""Fully recurrent network: logistic units, each connected to all.

    net(t) = W_x x(t) + W_y y(t-1) [+ b],  y(t) = f(net(t)),  y(0) = 0

  The first K units are the output units, `net_k` is their part of `net`; what
  the hidden units make of an input reaches them one step later. f is logistic
  for all units: what the layer reads of its output units is f(net_k), so that
  a task should have logistic output units too (`output=logistic`).

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: units that are not outputs (C).
    bias: whether units have a bias weight. The weights counted in the paper,
      170 for C = 3 and 494 for C = 12 with I = K = 7, leave no room for any.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r].

  Returns:
    The cell. Its carry is `Carry`, its params `Params`.

  Raises:
    ValueError: a size that is no integer of at least 1.

  Source: Williams & Zipser (1989), eqs. (1)-(3), with x(t) instead of x(t-1),
  as in the three-phase step of Hochreiter & Schmidhuber (1997), section 4.

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.fully_recurrent(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((9, 3), ['init_range'])
  """
  units = num_outputs + hidden
  mask = Params(
    w_x=_build.ones(units, num_inputs),
    w_y=_build.ones(units, units),
    b=_build.ones(units, exist=bias),
  )
  equations = Equations(
    lambda extra, carry_tm1, net: (
      Carry(activations.logistic_of_lanes(net)),
      {},
    ),
    output='y',
    recurrent=(Connection('w_y', 'y'),),
  )
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry, {'y': units}, equations, NUMBERS,
  )  # fmt: skip
