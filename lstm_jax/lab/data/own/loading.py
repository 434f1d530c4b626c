"""Reads a file of one's own once, however often a plan and a run ask for it."""

import functools
import os
from pathlib import Path

from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.own import arrays, prepared_set, table
from lstm_jax.lab.data.own.sequences import Sequences
from lstm_jax.lab.store import files

READERS = {'.npz': arrays.read, '.csv': table.read}


def load(path: Path) -> Sequences:
  """The sequences of a `.npz`, a `.csv`, or a folder that TFDS has prepared.

  A file that has not changed since is not read again.

  Raises:
    BadData: file and reason.
  """
  path = Path(path)
  try:
    file_names = files.names(path) if path.is_dir() else ()
    marks = (path, *(path / name for name in file_names))
    facts = [os.stat(stat) for stat in marks]
  except OSError as error:
    raise BadData(f'{path}: {error.strerror}') from error
  stamp = tuple(
    (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in facts
  )
  return _loaded(path, stamp)


@functools.lru_cache(maxsize=2)
def _loaded(path, stamp):
  del stamp
  if path.is_dir():
    return prepared_set.read(path)
  return READERS[path.suffix.lower()](path)
