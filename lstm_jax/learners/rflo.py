"""Random feedback local online learning, for leaky units.

Murray, "Local online learning in recurrent networks with random feedback",
eLife 8:e43299, 2019.
"""

from typing import Literal

from lstm_jax.learners._forward import local_trace
from lstm_jax.learners._optimizer import Optimizer
from lstm_jax.ops.checked import checked
from lstm_jax.types import Cell, Learner, Task

NEEDS = {
  'readout': 'errors come to the units by a feedback of the output units, '
  'and this cell has no such units of its own',
  'constant_leak': 'it is a rule of units h(t) = (1 - a) h(t-1) + a f(net(t)), '
  'and this cell has others; of gated ones it is eprop with feedback=random',
}
NUMBERS = {'learning_rate': 0.1}


@checked
def rflo(
  cell: Cell,
  task: Task,
  *,
  feedback: Literal['symmetric', 'random'] = 'random',
  update: Literal['every_step', 'sequence'] = 'every_step',
  optimizer: Optimizer = 'sgd',
) -> Learner:
  """RFLO: a leaky trace for each weight, and errors by random feedback.

  For units h(t) = (1 - a) h(t-1) + a f(net(t)) real-time recurrent learning
  without the recurrent weights in its derivative, and with random weights B in
  place of the transposed output weights:

    p_ab(t) = (1 - a) p_ab(t-1) + a f'(net_a(t)) z_b,  p_ab(0) = 0
    dw_ab ~ sum_t [B e(t)]_a p_ab(t)

  with z the sources of the weight (inputs of now, units of one step ago, 1 of a
  bias) and e_k(t) = -dE(t)/dnet_k of the output units, which learn from it as
  ever. With the a = 1 of a plain `srn` the trace is the derivative of the
  current step: give it a `leak`. With 'symmetric' feedback nothing is left out
  but the recurrent weights: exact where they are 0, Elman's rule with a = 1. In
  these units e-prop's traces are the same, so that `eprop` with random
  feedback is this rule. A step costs O(W) time and memory.

  Args:
    cell: one with output units outside a layer of leaky units: `srn`.
    task: the task, for its error and its sequences.
    feedback: 'random': B is drawn from the trial's key, uniform in [-1, 1] /
      sqrt(K), and never learns; it is part of the state. 'symmetric': B is the
      transposed output weights.
    update: when the weights move: after every scored step, or once with the
      sum over the sequence. The same where only the last step is scored.
    optimizer: what turns the gradient into an update: a name, or a
      transformation of optax with a learning rate of its own.

  Returns:
    The learner.

  Raises:
    ValueError: an unknown `feedback`, `update` or optimizer, a cell that it
      cannot train.

  Source: Murray (2019), eqs. (1)-(5), with the inputs of now.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding()
    >>> cell = lj.srn(2, 1, hidden=4, leak=0.1)
    >>> learner = lj.rflo(cell, task)
    >>> sorted(learner._fields)
    ['extra_weights', 'foreign', 'init', 'judge', 'update']
  """
  return local_trace.learner(cell, task, feedback, update, optimizer)
