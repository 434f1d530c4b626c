"""A network in a file of its own: its weights, and the trial that made it.

The file needs no run folder beside it: it says which cell, task and options it
is of. It is sealed like all files (`tensors`), and a few kilobytes small.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from lstm_jax.lab.store import faults, files, tensors
from lstm_jax.lab.store.documents import Entry
from lstm_jax.lab.store.setting import Setting, entry_of, setting_of

ENDING = '.safetensors'
_KIND = 'network'


class NetworkFile(NamedTuple):
  """The content of such a file.

  Attributes:
    setting: of the trial.
    metrics: of the trial's record; {} where it had none.
    params: path -> array.
  """

  setting: Setting
  metrics: dict[str, object]
  params: dict[str, np.ndarray]


def save(
  path: str | Path,
  setting: Setting,
  metrics: Mapping[str, object],
  params: Mapping[str, np.ndarray],
) -> None:
  """Writes the network of a trial of ours.

  Args:
    path: the file; its name ends in `.safetensors`.
    setting: of the trial, whose cell and task are in the catalog.
    metrics: of its record.
    params: path -> array.

  Raises:
    ValueError: another ending, a cell or a task of somebody else's, which the
      file could not bring along.
  """
  if not str(path).endswith(ENDING):
    raise ValueError(f'{path}: the name must end in {ENDING}')
  if setting.outside:
    raise ValueError(
      f'{path}: {", ".join(sorted(setting.outside))} of row {setting.row} is '
      'code of others, which the file cannot bring along'
    )
  facts = {'setting': entry_of(setting), 'metrics': dict(metrics)}
  arrays = {name: np.asarray(w, np.float32) for name, w in params.items()}
  files.write(path, tensors.sealed(_KIND, facts, arrays))


def load(path: str | Path) -> NetworkFile:
  """Reads the network of a file.

  Raises:
    FileNotFoundError, Corrupt, Unusable, StorageError: as `tensors.read` does.
    Refused: of another schema version.
  """
  facts, params = tensors.unsealed(_KIND, tensors.read(path), path)
  try:
    setting = setting_of(cast(Entry, facts['setting']))
    metrics = dict(cast(Mapping[str, object], facts['metrics']))
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise faults.Corrupt(
      f'{faults.printable(path)}: not written by lstm_jax: {error!r}'
    ) from error
  return NetworkFile(setting, metrics, params)
