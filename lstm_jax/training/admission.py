"""Looks at code of others before it is trained: refused in a line, or right.

What this package has made is held to its promises by its tests.
"""

from collections.abc import Callable, Mapping

from jax.typing import ArrayLike

from lstm_jax.testing.broken import Broken
from lstm_jax.testing.cells import admit_cell
from lstm_jax.testing.learners import admit_learner
from lstm_jax.testing.tasks import admit_task
from lstm_jax.types import Cell, Learner, StopRule, Task

_OURS = __name__.partition('.')[0] + '.'


def admit_parts(
  cell_name: str, cell: Cell, task_name: str, task: Task, length: int
) -> None:
  """Looks at a cell and a task.

  Args:
    cell_name, task_name: for messages.
    cell, task: the cell and the task.
    length: T.

  Raises:
    Broken: what either does not keep of its promises.
    Exception: of their code, with a note that says which.
  """
  if not isinstance(task.stop_rule, StopRule) or not _is_ours(task):
    _look('task', task_name, admit_task, task, length)
  if not _is_ours(cell):
    _look('cell', cell_name, admit_cell, cell)


def admit_rule(
  name: str,
  learner: Learner,
  cell: Cell,
  task: Task,
  numbers: Mapping[str, ArrayLike],
) -> None:
  """Looks at a learner that was made for a cell and a task.

  Args:
    name: for messages.
    learner: the learner.
    cell, task: what it was made for.
    numbers: name -> value of what its `init` reads.

  Raises:
    Broken: what it does not keep of its promises.
    Exception: of its code, with a note that says so.
  """
  if not _is_ours(learner):
    _look('learner', name, admit_learner, learner, cell, task, numbers)


def _is_ours(value: tuple[object, ...]) -> bool:
  """Tells whether all functions of a cell, task or learner are of this code."""
  return all(
    _is_ours(part)
    if isinstance(part, tuple)
    else getattr(part, '__module__', '').startswith(_OURS)
    for part in value
    if callable(part) or isinstance(part, tuple)
  )


def _look(
  role: str, name: str, check: Callable[..., None], *args: object
) -> None:
  try:
    check(name, *args)
  except Broken:
    raise
  except Exception as error:
    error.add_note(
      f'{role} {name} was looked at before training; all that it promises: '
      f'lstm_jax.testing.check_{role}'
    )
    raise
