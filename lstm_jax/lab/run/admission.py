"""Checks what is to be trained once, before a folder is opened.

What a cell, a task or a data set does not keep of its promises is a refusal in
one line. Where its code fails with an error of its own, it fails in its trials
too, which say so in their records. What a run found right, later ones may take
as known: see `admitted`.
"""

import hashlib
from collections.abc import Callable, Hashable, Mapping

from jax.typing import ArrayLike

from lstm_jax.dataset import Dataset
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.store.setting import Setting
from lstm_jax.testing import (
  Broken,
  admit_cell,
  admit_dataset,
  admit_learner,
  admit_task,
)
from lstm_jax.types import Cell, Learner, Task


def admit(
  looks: dict[str, bool],
  key: Hashable,
  check: Callable[..., None],
  *args: object,
) -> None:
  """Calls a check of `testing`, once for a key.

  Args:
    looks: name of a look -> whether it found nothing wrong; added to.
    key: what is looked at, of plain values.
    check: the function.
    *args: its arguments.

  Raises:
    Broken: the reason.
  """
  look = hashlib.sha256(repr(key).encode()).hexdigest()
  if look in looks:
    return
  looks[look] = False
  try:
    check(*args)
  except Broken:
    raise
  except SystemExit as error:
    # The process would end here, with that code and without a word.
    name = args[0] if args else check.__name__
    raise Broken(f'{name}: its code ends the process (SystemExit)') from error
  except Exception:  # of the code that is looked at, or no memory for a look
    return
  looks[look] = True


def of_task(
  looks: dict[str, bool], setting: Setting, task: Task, cell: Cell
) -> None:
  """Looks at the task and the cell of a setting; see `admit`."""
  of = setting.task, setting.task_options
  admit(looks, of, admit_task, setting.task, task, setting.length or 1)
  of = setting.cell, setting.cell_options, cell.num_inputs, cell.num_outputs
  admit(looks, of, admit_cell, setting.cell, cell)


def of_rule(
  looks: dict[str, bool],
  setting: Setting,
  learner: Learner,
  cell: Cell,
  task: Task,
  numbers: Mapping[str, ArrayLike],
) -> None:
  """Looks at the learner of a setting; see `admit`.

  Args:
    looks: of `admit`.
    setting: what it is of.
    learner: the learner, made for the cell and the task.
    cell, task: what it trains.
    numbers: name -> value of what its `init` reads.
  """
  # At one length: a learner's state and judgements have the same shapes at all.
  of = (
    setting.learner, setting.learner_options, setting.cell,
    setting.cell_options, setting.task, setting.task_options,
  )  # fmt: skip
  admit(looks, of, admit_learner, setting.learner, learner, cell, task, numbers)


def of_layer(looks: dict[str, bool], setting: Setting, cell: Cell) -> None:
  """Looks at a cell that is to run as a layer; see `admit`."""
  of = setting.cell, setting.cell_options, cell.num_inputs
  admit(looks, of, admit_cell, setting.cell, cell, True)


def of_dataset(
  looks: dict[str, bool],
  setting: Setting,
  dataset: Dataset,
  seeds: tuple[int, ...],
) -> None:
  """Looks at the data set of a setting for some seeds.

  Raises:
    BadData: the reason.
  """
  of = setting.task, id(dataset), seeds
  try:
    admit(looks, of, admit_dataset, setting.task, dataset, seeds)
  except Broken as error:
    raise BadData(str(error)) from error
