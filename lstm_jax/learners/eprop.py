"""E-prop: eligibility traces of each unit's own past, and a learning signal.

Bellec, Scherr, Subramoney, Hajek, Salaj, Legenstein & Maass, "A solution to the
learning dilemma for recurrent networks of spiking neurons", Nature
Communications 11, 3625, 2020.
"""

from typing import Literal

from lstm_jax.learners._forward import local_trace
from lstm_jax.learners._optimizer import Optimizer
from lstm_jax.ops.checked import checked
from lstm_jax.types import Cell, Learner, Task

NEEDS = {
  'readout': 'errors come to the units by their links to output units, '
  'and this cell has no such units of its own',
  'local_state': 'it follows each unit through its own state, '
  'and states of this cell act on each other',
}
NUMBERS = {'learning_rate': 0.1}


@checked
def eprop(
  cell: Cell,
  task: Task,
  *,
  feedback: Literal['symmetric', 'random'] = 'symmetric',
  update: Literal['every_step', 'sequence'] = 'every_step',
  optimizer: Optimizer = 'sgd',
) -> Learner:
  """E-prop: a weight's influence on the units' own states, and the error now.

  The gradient without the paths from one unit to another through time. What
  units send each other is a constant of the derivatives (the explicit
  recurrence, also of a unit to itself); what a unit's state c_j makes of itself
  is not (the implicit one). The eligibility vector and the gradient are

    eps_ji(t) = dc_j(t)/dc_j(t-1) eps_ji(t-1) + dc_j(t)/dw_ji,  eps_ji(0) = 0
    dE/dw_ji = sum_t L_j(t) dy_j(t)/dc_j(t) eps_ji(t) + ...

  with the weights' part in y_j(t) that does not go through c_j as the rest, and
  the learning signal L_j(t) = sum_k B_jk dE(t)/dnet_k(t). Output units learn
  from their error as ever. With 'symmetric' feedback B_jk = w_kj, and with one
  update a sequence the rule is back-propagation through time with that cut: the
  truncated rule of 1997 for `lstm1997` and `lstm`, Elman's rule for `srn`,
  whose units keep nothing but what they send. It is exact where no unit hears
  another. A step costs O(W) time and memory (a weight counts as often as it
  acts on a state within a step: twice an input gate of two cells).

  Args:
    cell: one with output units outside the recurrent layer, in which a unit's
      state acts on itself alone at constant recurrent input: not
      `fully_recurrent`, `cascaded`, `lem`, `gru` with reset=before,
      `lstm_layernorm` with norm=per_gate.
    task: the task, for its error and its sequences.
    feedback: 'symmetric', or 'random': B is drawn from the trial's key, uniform
      in [-1, 1] / sqrt(K), and never learns. It is part of the state.
    update: when the weights move: after every scored step, or once with the
      sum over the sequence. The same where only the last step is scored.
    optimizer: what turns the gradient into an update: a name, or a
      transformation of optax with a learning rate of its own.

  Returns:
    The learner.

  Raises:
    ValueError: an unknown `feedback`, `update` or optimizer, a cell that it
      cannot train.

  Source: Bellec et al. (2020), eqs. (1)-(4), (13), (14), for units without
  spikes and output units without a leak (kappa = 0); the paper draws B from a
  normal distribution.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding()
    >>> cell = lj.lstm(2, 1, hidden=4)
    >>> learner = lj.eprop(cell, task, feedback='random')
    >>> sorted(learner._fields)
    ['extra_weights', 'foreign', 'init', 'judge', 'update']
  """
  return local_trace.learner(cell, task, feedback, update, optimizer)
