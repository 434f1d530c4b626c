"""Defaults of a plan made of flags alone, for what they do not say.

The defaults of cells and learners are those of the paper, whose nets want tens
of thousands of sequences at rates chosen for each task. These are chosen for
somebody's first try instead: with them every cell learns the adding problem
under its default learner, by the stop criterion of 1997, within the default
budget (tried over seeds 1000 and up, which no plan here has; tests hold it for
others). Grids do not see them.
"""

from collections.abc import Mapping

from lstm_jax.lab.plan import catalog, own_data
from lstm_jax.lab.store.documents import Value

Name = str | catalog.Reference | catalog.Entry

SEEDS, BUDGET = 10, 100_000
# Where the task is a data set.
TRAINER_SEEDS, EPOCHS = 5, 10
OPTIMIZER, RATE = 'adam', 0.003
HIDDEN = 8
# Where it is data of one's own: enough to learn something from a hundred
# sequences, which are few updates an epoch.
OWN_EPOCHS, OWN_HIDDEN = 50, 32
# Lags that a cell learns to bridge within the budget.
LENGTH = 10
_LENGTHS = {
  'lstm1997': 20,
  **dict.fromkeys(
    'srn fully_recurrent cascaded indrnn mingru minlstm cornn lru'.split(), 5
  ),
}
_INIT_RANGES = {'cascaded': 0.5}


def budget_of(collected: bool, is_own_data: bool) -> int:
  """The budget of a plan made of flags alone.

  Args:
    collected: whether its tasks are data sets.
    is_own_data: whether they are data of one's own.
  """
  if is_own_data:
    return OWN_EPOCHS
  return EPOCHS if collected else BUDGET


def of(
  task: Name,
  cell: Name,
  learner: Name,
  flag_values: Mapping[str, object] | None = None,
) -> dict[str, Value]:
  """Dotted name -> value of what flags do not say.

  Args:
    task: name in the catalog, or what that has under it.
    cell: likewise.
    learner: likewise.
    flag_values: dotted name -> value of what flags say.

  Returns:
    Those that the three have and flags do not say; for a published data set
    none.
  """
  flag_values = flag_values or {}
  entries = [
    name if isinstance(name, catalog.Entry) else catalog.find(role, name)
    for role, name in zip(catalog.ROLES, (task, cell, learner), strict=True)
  ]
  if own_data.factory_of(entries[0].name):
    values_of_row: dict[str, Value] = {
      'cell.hidden': OWN_HIDDEN, 'learner.learning_rate': RATE
    }  # fmt: skip
    return {
      name: value
      for name, value in values_of_row.items()
      if name not in flag_values
      and (name != 'cell.hidden' or 'hidden' in entries[1].options)
    }
  task, cell = (entry.name for entry in entries[:2])
  if entries[0].kind == 'datasets':
    return {}
  presets: dict[str, Value] = {}
  if 'length' in entries[0].numbers:
    length = _LENGTHS.get(cell, LENGTH)
    presets['task.length'] = max(length, entries[0].shortest)
    if task == 'first_symbol' and 'task.length' not in flag_values:
      presets['task.symbols'] = presets['task.length']  # its middle is fixed
  if 'hidden' in entries[1].options:
    presets['cell.hidden'] = HIDDEN
  if cell in _INIT_RANGES:
    presets['cell.init_range'] = _INIT_RANGES[cell]
  # A rate belongs to its optimizer: with another one it is the catalog's.
  if 'optimizer' in entries[2].options:
    presets['learner.optimizer'] = OPTIMIZER
    if flag_values.get('learner.optimizer', OPTIMIZER) == OPTIMIZER:
      presets['learner.learning_rate'] = RATE
  return {
    name: value for name, value in presets.items() if name not in flag_values
  }
