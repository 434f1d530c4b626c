"""Checks what a learner promises by its shapes: see `types.Learner`."""

from collections.abc import Mapping

import jax
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from lstm_jax.choices import type_words
from lstm_jax.ops.prng import Key
from lstm_jax.testing.broken import Broken, must_be, must_be_pair, same
from lstm_jax.testing.numeric import key_of, structs
from lstm_jax.types import Cell, Judgement, Learner, Task

_LANES = (3,)


def admit_learner(
  name: str,
  learner: Learner,
  cell: Cell,
  task: Task,
  numbers: Mapping[str, ArrayLike],
) -> None:
  """Checks a learner by its shapes; nothing is computed.

  Args:
    name: for messages.
    learner: what its factory has made.
    cell, task: what it was made for.
    numbers: name -> value of what its `init` reads; of the learner, the cell.

  Raises:
    Broken: a state without the params of the cell, one that an update changes
      in structure, shape or dtype, a judgement that is none.
  """
  try:
    must_be('it', learner, Learner)
    check_shapes(learner, cell, task, numbers, _LANES, np.float32)
  except Broken as error:
    reason = str(error).removeprefix('it: ')
    raise Broken(f'learner {name}: {reason}') from error


def check_shapes(
  learner: Learner,
  cell: Cell,
  task: Task,
  numbers: Mapping[str, ArrayLike],
  lanes: tuple[int, ...],
  dtype: DTypeLike,
) -> None:
  """Checks structure, shapes and dtypes of one network, or of lanes.

  Args:
    learner, cell, task: the learner, and what it was made for.
    numbers: name -> value of what `init` reads, of one network.
    lanes: of the state.
    dtype: of the numbers, and so of the weights.

  Raises:
    Broken: what is another one.
  """
  init = learner.init
  for _ in lanes:
    init = jax.vmap(init, in_axes=-1, out_axes=-1)
  key = jax.ShapeDtypeStruct(lanes, key_of(0).dtype)
  try:
    state = jax.eval_shape(init, key, structs(dict(numbers), lanes, dtype))
  except KeyError as error:
    raise Broken(
      f'init reads a number {error} that NUMBERS does not name'
    ) from error
  if not hasattr(state, 'params'):
    raise Broken(
      f'init gives {type_words(state)} without params, the weights that are '
      'judged'
    )
  words = f'with {np.dtype(dtype)} and lanes {lanes}'
  like = structs(cell.mask, lanes, dtype)
  same(f'init {words}', 'params', state.params, "the cell's mask", like)
  word = jax.ShapeDtypeStruct(lanes, np.uint32)
  length = jax.ShapeDtypeStruct(lanes, np.int32)
  episode = jax.eval_shape(task.fresh, _key(word, word), length)
  outcome = jax.eval_shape(learner.update, state, episode)
  must_be_pair('update', outcome, '(state, judgement)')
  after, judged = outcome
  same(f'update {words}', 'state', after, 'init', state)
  alone = jax.eval_shape(learner.judge, state.params, episode)
  number = jax.ShapeDtypeStruct(lanes, dtype)
  right = _judgement(jax.ShapeDtypeStruct(lanes, bool), number, number)
  for what, judgement in (('update', judged), ('judge', alone)):
    must_be(f'{what}: judgement', judgement, Judgement)
    same(f'{what} {words}', 'judgement', judgement, 'types.Judgement', right)


def _key(*words):
  """A key of arrays of whatever kind."""
  return Key(*words)


def _judgement(*values):
  """A judgement of arrays of whatever kind."""
  return Judgement(*values)
