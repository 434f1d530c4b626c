"""Sealed files of arrays in the form of safetensors, which others read too.

What a file is and says of itself stands as JSON in its metadata, and with it
the SHA-256 of the whole file (as it is with 64 zeros in that place): a flipped
bit, a lost tail or an edit is an error and not a number.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lstm_jax.lab.store import files, seal
from lstm_jax.lab.store.faults import Corrupt, printable

LARGEST = 2**31  # bytes of a file
_HEADER = 2**24  # and of what it says before its arrays
_START = b'{"__metadata__"'
_KEY, _NOTHING = 'lstm_jax', b'0' * 64
_DIGEST = re.compile('[0-9a-f]{64}')


def sealed(
  kind: str, facts: Mapping[str, object], arrays: Mapping[str, np.ndarray]
) -> bytes:
  """The bytes of a file.

  Args:
    kind: what it is, as 'net'.
    facts: plain values by name.
    arrays: name -> array.
  """
  from safetensors import numpy as safetensors

  head = {
    'format': f'lstm_jax {kind}',
    'schema': seal.schema_of(kind),
    'sha256': _NOTHING.decode(),
    'names': list(arrays),
    **facts,
  }
  data = safetensors.save(
    {name: np.ascontiguousarray(array) for name, array in arrays.items()},
    {_KEY: json.dumps(head, allow_nan=False)},
  )
  digest = hashlib.sha256(data).hexdigest()
  return data.replace(_NOTHING, digest.encode(), 1)


def read(path: str | Path) -> bytes:
  """The bytes of such a file; its first ones are looked at before the rest.

  Raises:
    FileNotFoundError, Corrupt, Unusable, StorageError: as `files.read` does.
  """
  return files.read(path, LARGEST, start=_START, skip=8)


def unsealed(
  kind: str, data: bytes, path: str | Path
) -> tuple[dict[str, object], dict[str, np.ndarray]]:
  """`(facts, arrays)` of `sealed`; any other byte than it wrote is an error.

  Args:
    kind: what the file is.
    data: its bytes.
    path: of the file, for messages.

  Raises:
    Corrupt: the file was damaged or edited, or says what cannot be.
    Refused: the file is whole, but of another schema version.
  """
  name = printable(path)
  size = int.from_bytes(data[:8], 'little')
  if not 0 < size <= min(_HEADER, len(data) - 8):
    raise Corrupt(f'{name}: not a {kind} of lstm_jax: cut short, or no header')
  try:
    facts = json.loads(json.loads(data[8 : 8 + size])['__metadata__'][_KEY])
    digest = facts.pop('sha256')
    kinds, schema = facts.pop('format'), facts.pop('schema')
    if not _DIGEST.fullmatch(digest) or not isinstance(schema, int):
      raise ValueError('no checksum, or no schema')
    if kinds != f'lstm_jax {kind}':
      raise ValueError(f'format {kinds!r}')
  except (
    ValueError, KeyError, TypeError, AttributeError, RecursionError
  ) as error:  # fmt: skip
    raise Corrupt(f'{name}: not a {kind} of lstm_jax: {error!r}') from error
  as_written = data.replace(digest.encode(), _NOTHING, 1)
  if hashlib.sha256(as_written).hexdigest() != digest:
    raise Corrupt(f'{name}: the checksum does not match: damaged or edited')
  seal.check_schema(schema, seal.schema_of(kind), name)
  return facts, _arrays(data, facts.pop('names', None), name)


def _arrays(data, names, path):
  """Name -> array, in the order in which they were given."""
  import safetensors
  from safetensors.numpy import load

  try:
    tensors = load(data)
    if not isinstance(names, list) or sorted(names) != sorted(tensors):
      raise ValueError('its names are not those of its arrays')
    arrays = {name: tensors[name] for name in names}
    for name, array in arrays.items():
      if array.dtype != np.float32:
        raise ValueError(f'{name} has dtype {array.dtype}')
      if not np.isfinite(array).all():
        raise ValueError(f'{name} holds what is no finite number')
  except (
    safetensors.SafetensorError, ValueError, KeyError, TypeError
  ) as error:  # fmt: skip
    raise Corrupt(f'{path}: not written by lstm_jax: {error}') from error
  return arrays
