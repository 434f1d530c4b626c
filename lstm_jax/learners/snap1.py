"""Sparse approximation of real-time recurrent learning, SnAp-1 and SnAp-n.

Menick, Elsen, Evci, Osindero, Simonyan & Graves, "A practical sparse
approximation for real time recurrent learning", ICLR 2021.
"""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.learners._forward import influence_matrix, loop, sparsity
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
  O(n W) for D, O(m W) for I and O(m^2 W) for S, n and W as in `rtrl`.

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
  """The `Rule` that carries the entries of S where `entries` `[n, W]` holds.

  Rows that share no weight make a group, so that a weight has one entry in a
  group at most, and one pass backwards a group gives I. Weights of one unit
  have the same rows, and links D between them, taken once for all of them.
  """
  group = sparsity.groups(entries)
  num_groups = max(group, default=0) + 1
  # The row of each weight in each group, and whether it has one.
  of_group = entries & (group == np.arange(num_groups)[:, None])[..., None]
  has_row = np.any(of_group, axis=1)
  rows, kind = _kinds(np.where(has_row, np.argmax(of_group, axis=1), -1))
  blocks = _blocks(kind)
  ends = np.cumsum([math.prod(block.shape) for block in blocks])
  masks = [
    mask.reshape(num_groups, *block.shape)
    for block, mask in zip(
      blocks, np.split(has_row, ends[:-1], axis=1), strict=True
    )
  ]

  def start(lanes, dtype):
    return tuple(jnp.zeros((*mask.shape, *lanes), dtype) for mask in masks)

  def advance(params, carry_tm1, x_t, t, influence):
    del t
    carry_t, by_carry, columns = influence_matrix.jacobians_by_group(
      past, params, carry_tm1, x_t, group
    )
    links = by_carry[rows[:, None], rows[None]]
    moved = []
    for block, mask, part, at_once in zip(
      blocks,
      masks,
      influence,
      jnp.split(columns, ends[:-1], axis=1),
      strict=True,
    ):
      of_block = links[:, :, None, block.kinds, None]
      part = jnp.sum(of_block * part[None], axis=1)
      part += at_once.reshape(part.shape)
      is_kept = mask.reshape(*mask.shape, *(1,) * (part.ndim - mask.ndim))
      moved.append(jnp.where(is_kept, part, 0))
    return carry_t, tuple(moved)

  def credit(influence, e):
    e = e[rows]
    parts = [
      jnp.sum(e[:, None, block.kinds, None] * part, axis=0)
      for block, part in zip(blocks, influence, strict=True)
    ]
    return jnp.concatenate([p.reshape(-1, *p.shape[3:]) for p in parts])

  return influence_matrix.Rule(start, advance, credit)


def _kinds(row):
  """Weights of a kind have the same rows, as far as they have one, -1 if not.

  Args:
    row: `[groups, W]`.

  Returns:
    `(rows [groups, kinds], kind [W])`.
  """
  kinds, kind = np.unique(row, axis=1, return_inverse=True)
  fits = np.all(
    (kinds[..., None] < 0) | (kinds[..., None] == kinds[:, None]), 0
  )
  # That with most rows: an output gate's weights have no state of their own.
  num_rows = np.sum(kinds >= 0, axis=0)
  widest, kind = np.unique(
    np.argmax(fits * (1 + num_rows), axis=1)[kind.ravel()], return_inverse=True
  )
  return np.maximum(kinds[:, widest], 0), kind.ravel()


class _Block(NamedTuple):
  """Weights that follow each other: some kinds, `width` of each, again.

  Attributes:
    kinds: of the weights, `[k]`.
    shape: `(times, k, width)`.
  """

  kinds: np.ndarray
  shape: tuple[int, int, int]


def _blocks(kind):
  """The weights, by their kinds `[W]`, in runs of runs of one length."""
  starts = np.flatnonzero(np.diff(kind, prepend=-1))
  widths = np.diff(starts, append=kind.size)
  bounds = np.flatnonzero(np.diff(widths, prepend=-1))
  blocks = []
  for first, last in zip(bounds, [*bounds[1:], len(starts)], strict=True):
    kinds = kind[starts[first:last]]
    # A gate after the other has the same units again.
    size = next(
      k
      for k in range(1, kinds.size + 1)
      if kinds.size % k == 0 and np.all(kinds.reshape(-1, k) == kinds[:k])
    )
    shape = kinds.size // size, size, int(widths[first])
    blocks.append(_Block(kinds[:size], shape))
  return blocks
