"""Run folders as they are named: there, or refused with those there are."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from lstm_jax.choices import unknown
from lstm_jax.lab.plan import values
from lstm_jax.lab.store import faults, files, rounds

ARGUMENT = 'FOLDER'
_DEFAULT_PARENT = Path('runs')
_PARTS = ('plan.json', 'records')  # a run has the first, a damaged one either
_MOST_LISTED = 8


def paths_of(
  words: Sequence[str], may_be_empty: bool = False, may_be_tuned: bool = False
) -> list[str]:
  """The paths of run folders, each once.

  Args:
    words: as they stand on a command line.
    may_be_empty: whether a folder that holds nothing yet will do.
    may_be_tuned: whether one that holds rounds of its search alone will do.

  Raises:
    Refused: there is no word; there is no such folder, or no run in it.
    Unusable, StorageError: a folder cannot be looked into.
  """
  if not words:
    raise values.Refused('no folder: give one run folder or more, or --help')
  paths: dict[str, str] = {}
  for word in words:
    path = path_of(word, may_be_empty=may_be_empty, may_be_tuned=may_be_tuned)
    paths.setdefault(os.path.realpath(path), path)
  return [*paths.values()]


def path_of(
  word: str,
  source: str = ARGUMENT,
  may_be_empty: bool = False,
  may_be_tuned: bool = False,
) -> str:
  """The path of a run folder.

  Args:
    word: as somebody has written it.
    source: the argument that it is of.
    may_be_empty, may_be_tuned: as of `paths_of`.

  Raises:
    Refused: there is no such folder, or no run in it; says which runs there
      are.
    Unusable, StorageError: it cannot be looked into.
  """
  path = Path(values.place(word, source))
  try:
    is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    reason = 'it has no plan.json' if is_folder else 'it is no folder'
  except (FileNotFoundError, NotADirectoryError):
    is_folder, reason = False, 'there is no such folder'
  except OSError as error:
    raise files.fault(error, path) from error
  names = files.names(path) if is_folder else []
  if {*names} & {*_PARTS} or (is_folder and may_be_empty and not names):
    return str(path)
  if (current_round := rounds.current(path)) != path:
    if may_be_tuned:
      return str(path)
    raise values.Refused(
      f'{source}={word}: its run has not begun, it is being tuned; {ARGUMENT}='
      f'{current_round} is how far it is'
    )
  raise values.Refused(
    f'{source}={word}: no run here, {reason}; '
    + unknown(str(path), _runs_near(path), 'run', _MOST_LISTED)
  )


def _runs_near(path):
  """Paths of runs in a folder, else beside it, else where sweeps put them."""
  for parent in (path, path.parent, _DEFAULT_PARENT):
    runs = []
    try:
      for name in files.names(parent):
        plan = parent / name / _PARTS[0]
        if plan.is_file():
          runs.append((-plan.stat().st_mtime, str(parent / name)))
    except (OSError, faults.StoreError):
      continue
    if runs:
      return [name for _, name in sorted(runs)]
  return []
