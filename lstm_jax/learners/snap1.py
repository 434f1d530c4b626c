"""Sparse approximation of real-time recurrent learning, SnAp-1 and SnAp-n.

Menick, Elsen, Evci, Osindero, Simonyan & Graves, "A practical sparse
approximation for real time recurrent learning", ICLR 2021.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.learners._forward import influence_matrix, loop
from lstm_jax.learners._optimizer import Optimizer
from lstm_jax.ops.checked import Count, checked
from lstm_jax.types import Cell, Learner, Task

NUMBERS = {'learning_rate': 0.1}
# Random nets at which a derivative is looked at: one that is 0 at all of them
# is 0 by structure (a rectified unit is silent at half of them).
_POINTS = 64


@checked
def snap1(
  cell: Cell,
  task: Task,
  *,
  reach: Count = 1,
  update: Literal['every_step', 'sequence'] = 'every_step',
  optimizer: Optimizer = 'sgd',
) -> Learner:
  """SnAp-1: a weight's influence on the carry entries it touches in one step.

  Real-time recurrent learning in which the influence S = d carry/dw keeps the
  entries that can be other than 0 `reach` steps after S = 0,

    S(t) = M (D(t) S(t-1) + I(t)),  elementwise M of 0 and 1,

  and drops the rest after every step. With `reach=1` that is the pattern of
  I = d carry(t)/dw at constant carry: in a plain recurrent net a weight is
  followed in its own unit, through that unit's link to itself. In a cell with
  an internal state it is followed in all that its unit acts on within the step:
  the state, the output, the gate. Exact where no influence leaves the pattern
  (units connected to themselves alone) or where `reach` fills it.

  S is stored by weight: m entries each, where m is the most that any weight
  has (1 in a plain recurrent net), so that memory is O(m W) and a step costs
  O(n W) for the derivatives and O(m^2 W) for S, n and W as in `rtrl`.

  Args:
    cell: any cell.
    task: the task, for its error and its sequences.
    reach: steps for which the pattern may fill, n of SnAp-n.
    update: when the weights move: after every scored step, or once with the
      sum over the sequence. The same where only the last step is scored.
    optimizer: what turns the gradient into an update: a name, or a
      transformation of optax with a learning rate of its own.

  Returns:
    The learner.

  Raises:
    ValueError: a `reach` below 1, an unknown `update` or optimizer.

  Source: Menick et al. (2021), section 3.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding()
    >>> cell = lj.srn(2, 1, hidden=4)
    >>> learner = lj.snap1(cell, task)
    >>> sorted(learner._fields)
    ['extra_weights', 'foreign', 'init', 'judge', 'update']
  """
  past = influence_matrix.past(cell)
  init, learn, judge = loop.descend(cell, task, past, update, optimizer)
  rule = sparse_rule(past, pattern(cell, past, reach))

  def update_once(state, episode):
    return learn(state, episode, rule)

  return Learner(init, update_once, judge)


def pattern(cell: Cell, past: influence_matrix.Past, reach: int) -> np.ndarray:
  """Marks where the influence can be other than 0 after `reach` steps.

  Returns:
    `[n, W]` bool, numpy.
  """
  rng = np.random.default_rng(0)
  draw = lambda like, size: np.asarray(
    size * rng.normal(size=(*np.shape(like), _POINTS)), np.float32
  )
  params = jax.tree.map(lambda m: draw(m, 0.3) * m[..., None], cell.mask)
  carry = jax.tree.map(lambda c: draw(c, 1.0), cell.initial_carry())
  x_t = draw(np.zeros(cell.num_inputs), 1.0)
  # Also where the learner is made while something else is being traced.
  with jax.ensure_compile_time_eval():
    _, by_carry, by_weights = jax.jit(
      lambda *step: influence_matrix.jacobians(past, *step)
    )(params, carry, x_t)
  moves, touches = (
    np.any(np.asarray(a) != 0, axis=-1) for a in (by_carry, by_weights)
  )
  entries = touches
  for _ in range(min(reach, past.size) - 1):
    entries = touches | (moves.astype(int) @ entries > 0)
  return entries


def sparse_rule(
  past: influence_matrix.Past, entries: np.ndarray
) -> influence_matrix.Rule:
  """The `Rule` that carries the entries of S where `entries` `[n, W]` holds."""
  # Row a of `rows` holds each weight's a-th entry; weights that have fewer
  # repeat one, which then counts for nothing.
  m = max(int(np.max(np.sum(entries, axis=0))), 1)
  rows = np.argsort(~entries, axis=0, kind='stable')[:m]
  column = np.arange(past.weights.size)
  counts = entries[rows, column]

  def start(lanes, dtype):
    return jnp.zeros((*rows.shape, *lanes), dtype)

  def advance(params, carry_tm1, x_t, t, influence):
    del t
    carry_t, by_carry, by_weights = influence_matrix.jacobians(
      past, params, carry_tm1, x_t
    )
    links = by_carry[rows[:, None], rows[None]]
    entries_t = (
      jnp.sum(links * influence[None], axis=1) + by_weights[rows, column]
    )
    is_kept = counts.reshape(*rows.shape, *(1,) * (entries_t.ndim - 2))
    return carry_t, jnp.where(is_kept, entries_t, 0)

  def credit(influence, e):
    return jnp.sum(e[rows] * influence, axis=0)

  return influence_matrix.Rule(start, advance, credit)
