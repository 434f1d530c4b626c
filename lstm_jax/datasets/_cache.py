"""Arrays that take long to make, made once a machine.

They lie in `$XDG_CACHE_HOME/lstm_jax/features`, or under `~/.cache`, under a
name that follows from what they were made of and how. The list of a set of
arrays is written after them, so that a set is there wholly or not at all; one
that is damaged is made again. Nothing of value is here: the folder may be
deleted at any time.
"""

import hashlib
import json
import os
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.store import files
from lstm_jax.store.faults import StoreError


def folder() -> Path:
  """Where the arrays lie."""
  root = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
  return Path(root) / 'lstm_jax' / 'features'


def cached(
  name: str,
  settings: Mapping[str, Any],
  make: Callable[[], Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
  """The arrays of `make()`, from the disk where they were made before.

  Args:
    name: first part of the files' names.
    settings: plain values that decide what is made: options, the checksum of
      the data, a number that changes with the code.
    make: makes the arrays, none of them empty.

  Returns:
    name -> array. What was stored is mapped, not read: it cannot be written to.
    Where the disk refuses to keep the arrays, a line on stderr says so.
  """
  text = json.dumps(dict(settings), sort_keys=True)
  key = hashlib.sha256(text.encode()).hexdigest()[:20]
  stem = folder() / f'{name}-{key}'
  found = _stored(stem)
  if found is not None:
    return found
  made = {each: np.ascontiguousarray(array) for each, array in make().items()}
  try:
    _store(stem, made, text)
  except StoreError as fault:
    print(f'{name}: made, but not kept for next time: {fault}', file=sys.stderr)
    return made
  del made
  return _stored(stem)


def _stored(stem):
  """The arrays under a name; None unless all are there, whole."""
  try:
    listed = json.loads(Path(f'{stem}.json').read_bytes())['arrays']
    arrays = {}
    for each, (dtype, shape, checksum) in listed.items():
      array = np.memmap(f'{stem}.{each}', np.dtype(dtype), 'r')
      if zlib.crc32(array) != checksum:
        return None
      arrays[each] = np.asarray(array.reshape(shape))
    return arrays
  except (OSError, ValueError, KeyError, TypeError, AttributeError):
    return None


def _store(stem, arrays, settings):
  with files.storage(stem.parent):
    stem.parent.mkdir(parents=True, exist_ok=True)
  files.clean(stem.parent)
  listed = {}
  for each, array in arrays.items():
    data = memoryview(array.reshape(-1)).cast('B')
    files.publish(f'{stem}.{each}', data, overwrite=True)
    listed[each] = array.dtype.str, array.shape, zlib.crc32(data)
  whole = json.dumps({'settings': json.loads(settings), 'arrays': listed})
  files.publish(f'{stem}.json', whole.encode(), overwrite=True)
