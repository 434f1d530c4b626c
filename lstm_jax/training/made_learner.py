"""Learners that come made already: whether they are of this cell and task.

A `Learner` is functions and does not say what it was made for; one of another
cell would train that cell, and one for shorter sequences would see no error.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.learners._judge import judge_forward
from lstm_jax.ops import prng
from lstm_jax.ops.initial import initial_params
from lstm_jax.types import Cell, Key, Learner, Task

_ADVICE = 'give its factory, or make it for them'
_SLOW = 1e-12  # a rate at which a rule that learns within a sequence stands


def check_made_for(
  learner: Learner,
  cell: Cell,
  task: Task,
  length: int,
  numbers: Mapping[str, np.ndarray],
) -> None:
  """Refuses a learner whose network or judgement is of something else.

  Args:
    learner: the learner, made already.
    cell, task, length: what it should have been made for.
    numbers: name -> default of what its `init` reads; nan: no default.

  Raises:
    ValueError: another network, another task, a length that it cannot see.
  """
  key = jax.random.key(0, impl='threefry2x32')
  values = {
    name: np.full_like(value, _SLOW) if name == 'learning_rate' else value
    for name, value in numbers.items()
  }
  state = learner.init(key, values)
  shapes, must = (_shapes(tree) for tree in (state.params, cell.mask))
  if shapes != must:
    raise ValueError(
      f'learner was made for another cell: its network has {shapes}, that of '
      f'this cell {must}; {_ADVICE}'
    )
  # Its own weights need not be finite: a number may have no default.
  state = _with_params(state, initial_params(cell, key, cell.numbers))

  @jax.jit
  def judgements(state, key, t):
    episode = task.draw(key, t, task.prepare(key, t))
    _, by_update = learner.update(state, episode)
    by_judge = learner.judge(state.params, episode)
    return judge_forward(cell, task, state.params, episode), by_judge, by_update

  words = Key(*map(jnp.asarray, prng.key_of(0)))
  try:
    direct, by_judge, by_update = judgements(state, words, jnp.int32(length))
  except (AttributeError, LookupError, TypeError, ValueError) as error:
    why = str(error).partition('\n')[0]
    raise ValueError(
      'learner was made for another cell or task, it fails on a sequence of '
      f'this one: {type(error).__name__}: {why}; {_ADVICE}'
    ) from error
  if not _agree(direct, by_judge):
    raise ValueError(
      'learner was made for another cell or task: it judges a sequence of this '
      f'one otherwise than they do; {_ADVICE}'
    )
  # A rule that learns within a sequence judges what it has learned by then.
  stands = 'learning_rate' in numbers or not np.any(by_update.absolute)
  if stands and not _agree(direct, by_update):
    raise ValueError(
      f'learner was made for another length: of a sequence of length={length} '
      f'it learns from another error than there is; {_ADVICE}'
    )


def _with_params(state, params):
  return state._replace(params=params)


def _shapes(tree):
  """The shapes of a network by their names, in words."""
  leaves, _ = jax.tree.flatten_with_path(tree)
  return ', '.join(
    f'{jax.tree_util.keystr(path).lstrip(".")} {np.shape(leaf)}'
    for path, leaf in leaves
  )


def _agree(judgement, other):
  """Tells whether two judgements are one, but for rounding, where finite."""
  return all(
    np.allclose(a, b, rtol=1e-3, atol=1e-5)
    for a, b in (
      (judgement.absolute, other.absolute),
      (judgement.squared, other.squared),
    )
    if np.all(np.isfinite([a, b]))
  )
