"""Arrays that take long to make, made once a machine.

They lie in `$XDG_CACHE_HOME/lstm_jax/features`, or under `~/.cache`, under a
name that follows from what they were made of and how. The list of a set of
arrays, sealed, is written after them, so that a set is there wholly or not at
all; one that is damaged, be it the bytes or what the list says of them, is made
again. Nothing of value is here: the folder may be deleted at any time.
"""

import hashlib
import json
import math
import os
import stat
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict, cast

import numpy as np

from lstm_jax.lab.store import files, messages, places, seal
from lstm_jax.lab.store.faults import StoreError

_LONGEST = 2**20  # bytes of a list


def folder() -> Path:
  """Returns the folder where the arrays lie.

  Raises:
    Unusable: there is no home folder.
  """
  return places.cache() / 'features'


class _Array(TypedDict):
  dtype: str
  shape: list[int]
  crc32: int


class _Held(TypedDict):
  settings: dict[str, object]
  arrays: dict[str, _Array]


def cached(
  name: str,
  settings: Mapping[str, object],
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
  settings = dict(settings)
  key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
  try:
    stem = folder() / f'{name}-{key.hexdigest()[:20]}'
  except StoreError as fault:
    return _not_kept(name, make(), fault)
  stored_arrays = _load(stem, settings)
  if stored_arrays is not None:
    return stored_arrays
  arrays = {
    name_of: np.ascontiguousarray(array) for name_of, array in make().items()
  }
  try:
    _store(stem, arrays, settings)
  except StoreError as fault:
    return _not_kept(name, arrays, fault)
  del arrays  # the mapped ones need no memory
  return _load(stem, settings) or dict(make())


def _not_kept(name, arrays, fault):
  messages.tell(f'{name}: made, but not kept for next time: {fault}')
  return dict(arrays)


def _load(stem, settings):
  """The arrays under a name; None unless all are there, whole."""
  path = Path(f'{stem}.json')
  try:
    document = cast(
      _Held, seal.unseal_json('features', files.read(path, _LONGEST), path)
    )
    if document['settings'] != seal.to_plain(settings):
      return None
    arrays = {}
    for name_of, facts in document['arrays'].items():
      array = _mapped(Path(f'{stem}.{name_of}'), facts['dtype'], facts['shape'])
      if zlib.crc32(array) != facts['crc32']:
        return None
      arrays[name_of] = array
    return arrays
  except (StoreError, OSError, ValueError, KeyError, TypeError, AttributeError):
    return None


def _mapped(path, dtype, shape):
  """The array in a file, mapped.

  Raises:
    ValueError: it is no regular file of just this array's bytes.
  """
  dtype = np.dtype(dtype)
  facts = os.stat(path)  # opened only then: a FIFO would wait for a writer
  size = dtype.itemsize * math.prod(shape)
  if dtype.kind not in 'biuf' or not stat.S_ISREG(facts.st_mode):
    raise ValueError(f'{path}: {dtype} is not stored, or it is no file')
  if facts.st_size != size or min(shape, default=1) < 1:
    raise ValueError(f'{path}: {facts.st_size} bytes, not {size}')
  return np.asarray(np.memmap(path, dtype, 'r', shape=tuple(shape)))


def _store(stem, arrays, settings):
  files.make_directory(stem.parent)
  files.remove_temporary(stem.parent)
  entries = {}
  for name_of, array in arrays.items():
    data = memoryview(array.reshape(-1)).cast('B')
    files.publish(f'{stem}.{name_of}', data, overwrite=True)
    entries[name_of] = {
      'dtype': array.dtype.str,
      'shape': list(array.shape),
      'crc32': zlib.crc32(data),
    }
  document = {'settings': seal.to_plain(settings), 'arrays': entries}
  files.publish(
    f'{stem}.json', seal.seal_json('features', document), overwrite=True
  )
