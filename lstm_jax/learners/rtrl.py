"""Real-time recurrent learning: the exact gradient, carried forwards.

Robinson & Fallside (1987); Williams & Zipser, "A learning algorithm for
continually running fully recurrent neural networks", Neural Computation 1(2),
1989.
"""

from typing import Literal

from lstm_jax.learners._forward import influence_matrix, loop
from lstm_jax.learners._optimizer import Optimizer
from lstm_jax.ops.checked import checked
from lstm_jax.types import Cell, Learner, Task

NEEDS = {
  'internal_state': (
    'cut=activations keeps the error inside an internal state, '
    'and this cell has none',
    {'cut': 'activations'},
  ),
}
PROVIDES = {
  'exact_gradient': {'update': 'sequence', 'cut': 'none', 'optimizer': 'sgd'}
}
NUMBERS = {'learning_rate': 0.1}


@checked
def rtrl(
  cell: Cell,
  task: Task,
  *,
  update: Literal['every_step', 'sequence'] = 'every_step',
  cut: Literal['none', 'activations'] = 'none',
  optimizer: Optimizer = 'sgd',
) -> Learner:
  """Real-time recurrent learning: exact, at a cost that does not depend on T.

  Carries S(t) = d carry(t)/dw along with the carry:

    S(t) = D(t) S(t-1) + I(t),  S(0) = 0,

  D the step's derivative by the carry, I its derivative by the weights; for a
  plain recurrent net Williams & Zipser's p_ij^k(t) = f'(net_k) [sum_l w_kl
  p_ij^l(t-1) + delta_ik z_j]. The error of step t has the gradient
  dE/d carry S plus what the weights do at step t itself.

  With n entries of the carry that later steps read and W weights that reach
  them, a step costs O(n^2 W) time and O(n W) memory: n^4 and n^3 for a fully
  recurrent layer, however long the sequence is; a network of one self-recurrent
  unit that sees p + 1 input lines has W = p + 2 or p + 3 sensitivities, however
  many output units read it.

  S starts at 0 with every sequence. With `update='every_step'` the weights move
  while it grows, so that it mixes derivatives under earlier weights, as in the
  papers; with 'sequence' the gradient is that of back-propagation through time.

  Args:
    cell: any cell.
    task: the task, for its error and its sequences.
    update: when the weights move: after every scored step, or once with the
      sum over the sequence. The same where only the last step is scored.
    cut: 'none' is exact; 'activations' passes errors back through the cell's
      internal state alone (`Cell.internal`): the truncated rule of 1997.
    optimizer: what turns the gradient into an update: a name, or a
      transformation of optax with a learning rate of its own.

  Returns:
    The learner.

  Raises:
    ValueError: an unknown `update`, `cut` or optimizer, activations to be cut
      of a cell without an internal state, a network so large that its
      derivatives (2^31 numbers) fit into no memory.

  Source: Williams & Zipser (1989), section 2, and section 3 for `every_step`.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding()
    >>> cell = lj.srn(2, 1, hidden=4)
    >>> learner = lj.rtrl(cell, task)
    >>> sorted(learner._fields)
    ['extra_weights', 'foreign', 'init', 'judge', 'update']
  """
  fields: tuple[str, ...] = ()
  if cut == 'activations' and cell.internal is not None:  # see NEEDS
    names = cell.initial_carry()._fields
    fields = tuple(name for name in names if name != cell.internal.field)
  past = influence_matrix.past(cell, fields)
  rule = influence_matrix.full(past)
  init, learn, judge = loop.descend(cell, task, past, update, optimizer)

  def update_state(state, episode):
    return learn(state, episode, rule)

  return Learner(init, update_state, judge)
