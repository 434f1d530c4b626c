"""Paths of the rounds of a run that is tuned: run folders inside its own."""

import re
from pathlib import Path

from lstm_jax.lab.store import faults, files

_FOLDER = 'tuning'
_NAME = re.compile(r'round-([1-9]\d*)')


def path_of(path: Path, number: int) -> Path:
  """The run folder of a round.

  Args:
    path: of the run that is tuned.
    number: of the round, from 1.

  Example:
    >>> path_of(Path('runs/mine'), 2).as_posix()
    'runs/mine/tuning/round-2'
  """
  return path / _FOLDER / f'round-{number}'


def is_round(path: Path) -> bool:
  """Tells whether a path is that of a round.

  Example:
    >>> is_round(Path('runs/mine/tuning/round-2')), is_round(Path('round-2'))
    (True, False)
  """
  return path.parent.name == _FOLDER and bool(_NAME.fullmatch(path.name))


def current(path: Path) -> Path:
  """The folder of a run that shows how far it is.

  Args:
    path: of a run, which need not be there.

  Returns:
    The last round that has a plan, while the run has none of its own; `path`
    where there is none, or it cannot be seen.
  """
  try:
    if 'plan.json' in files.names(path):
      return path
    names = files.names(path / _FOLDER)
  except (faults.StoreError, OSError):
    return path
  numbers = [
    int(found[1]) for name in names if (found := _NAME.fullmatch(name))
  ]
  for number in sorted(numbers, reverse=True):
    if (path_of(path, number) / 'plan.json').is_file():
      return path_of(path, number)
  return path
