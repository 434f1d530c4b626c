"""Searches as studies of Optuna, in a file that its own tools open.

A study a row, named as the row is. Its trials are the settings in the order of
drawing: an intermediate value at each budget that a setting had, `scores` says
of what, and pruned are those that did not go on. The records of the run folder
are the truth; this is a copy that nobody here reads.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lstm_jax.lab.plan import tuning
from lstm_jax.lab.store import files
from lstm_jax.lab.tune import scores, search, study
from lstm_jax.lab.tune.search import Search

if TYPE_CHECKING:
  import optuna


def write(searches: Iterable[Search], path: Path) -> None:
  """Writes a new SQLite file, `sqlite:///PATH` to Optuna.

  Args:
    searches: that have ended.
    path: of the file, which comes into being whole.

  Raises:
    StorageError, Unusable: it cannot be written.
  """
  part = path.with_name(f'{path.name}.{os.getpid()}.part')
  with files.storage(path), study.quiet() as optuna:
    files.make_directory(path.parent)
    # SQLite's own error would not say what is wrong with the place.
    files.write(part, b'')
    try:
      storage = optuna.storages.RDBStorage(f'sqlite:///{part}')
      try:
        for one in searches:
          _add(optuna, one, storage)
      finally:
        storage.remove_session()
        storage.engine.dispose()
      part.replace(path)
    finally:
      part.unlink(missing_ok=True)


def study_of(one: Search) -> 'optuna.Study':
  """The study of a search that has ended, in memory."""
  with study.quiet() as optuna:
    return _add(optuna, one, None)


def _add(optuna, one, storage):
  """The study of a search, in a storage."""
  study_made = optuna.create_study(
    study_name=one.row.point.label, storage=storage
  )
  attributes = {
    'settings': one.tuning.settings,
    'seeds': list(one.tuning.seed_list),
    'budget': one.budget,
    'unit': one.unit,
    'chosen': search.ranked(one)[0],
  }
  for name, value in attributes.items():
    study_made.set_user_attr(name, value)
  short, full = search.short_scores(one), search.full_scores(one)
  budget = tuning.short_budget(one.budget)
  for place, draw in enumerate(one.draws):
    values = {budget: short[place]}
    if place in full:
      values[one.budget] = full[place]
    records = one.full.get(place, one.short[place])
    study_made.add_trial(
      optuna.trial.create_trial(
        state=optuna.trial.TrialState.COMPLETE
        if place in full
        else optuna.trial.TrialState.PRUNED,
        value=[*values.values()][-1],
        params=dict(draw.values),
        distributions={
          name: study.distribution(of)
          for name, of in draw.space.items()
          if name in draw.values
        },
        intermediate_values=values,
        user_attrs={
          'solved': sum(r['status'] == 'solved' for r in records),
          'error': _finite(scores.error_of(records, one.unit)),
        },
      )
    )
  return study_made


def _finite(error):
  """An error, None where nobody knows it: JSON has no infinity."""
  return error if error < float('inf') else None
