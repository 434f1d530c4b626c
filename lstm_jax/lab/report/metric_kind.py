"""Which run folders hold comparisons."""

from collections.abc import Mapping
from typing import Any

from lstm_jax.lab.plan import catalog
from lstm_jax.lab.store import faults


def is_comparison(entry: Mapping[str, Any]) -> bool:
  """Whether a trial of a plan trains on a data set."""
  return entry.get('learner') in catalog.names('trainers')


def all_comparisons(folders) -> bool:
  """Whether the trials of some run folders are comparisons.

  Args:
    folders: of `folder.open_folder`.

  Raises:
    Refused: some are and some are not.
  """
  kinds = {}
  for opened in folders:
    for entry in opened.trials.values():
      kinds.setdefault(is_comparison(entry), (opened.path, entry['row']))
  if len(kinds) > 1:
    (data, row), (path, other) = kinds[True], kinds[False]
    raise faults.Refused(
      f'{data}: row {row!r} is trained on a data set, row {other!r} of {path} '
      'is not; report them apart'
    )
  return True in kinds
