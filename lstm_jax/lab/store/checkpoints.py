"""Checkpoints: named dicts of arrays, the last two generations kept.

A file `checkpoints/<name>.<generation>` is sealed (see `seal`) and holds

  length of the header (8 bytes) | header (JSON) | arrays, one after another,

where the header says the name, the generation, the plan it belongs to, the
caller's `meta`, and key, dtype and shape of every array. Arrays are raw bytes,
little-endian, row by row. Nothing is executed and nothing is allocated beyond
the bytes of the file.
"""

import contextlib
import json
import math
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from lstm_jax.lab.store import faults, files, seal, shape
from lstm_jax.lab.store.documents import Meta
from lstm_jax.lab.store.folder import Folder

_LENGTH = struct.Struct('<Q')
# (name, meta, arrays)
Checkpoint = tuple[str, Meta, dict[str, np.ndarray]]
GENERATIONS = 2
_AXES = 32


class SavedTrial(NamedTuple):
  """A trial that had begun when a checkpoint was written.

  Attributes:
    checkpoint: name of the checkpoint.
    meta: its note.
    trial: id of the trial.
    seconds: that it has taken.
    leaves: name -> array of its state; views of the checkpoint's arrays.
  """

  checkpoint: str
  meta: Meta
  trial: str
  seconds: float
  leaves: dict[str, np.ndarray]


def save(
  folder: Folder,
  name: str,
  arrays: Mapping[str, np.ndarray],
  meta: Meta,
) -> None:
  """Publishes the next generation of checkpoint `name`.

  Args:
    folder: the run folder.
    name: letters, digits, - and _.
    arrays: dict of str -> array of bools, integers, floats or complex numbers;
      nested state is flattened to names like 'state/params/w_x'.
    meta: dict of plain values.

  Raises:
    ValueError: the name, a key, an array or `meta` cannot be stored.
    StorageError, Unusable: the disk refused; earlier generations are intact.
  """
  seal.check_name(name, 'checkpoint')
  generations = _generations(folder).get(name, [])
  bad_generations = _generations(folder, is_bad=True).get(name, [])
  generation = 1 + max([0, *generations, *bad_generations])
  data = _encode(folder, name, generation, arrays, meta)
  path = _path(folder, name, generation)
  files.publish(path, data, disk=folder.disk)
  for old in generations[: 1 - GENERATIONS]:
    _remove(folder, name, old)


def load(
  folder: Folder, *, repair: bool = True, names: Collection[str] | None = None
) -> tuple[list[Checkpoint], list[str]]:
  """The newest whole generation of every checkpoint.

  A generation that is damaged is renamed to `*.bad` and the one before it is
  used; where none is left the work starts again from its beginning.

  Args:
    folder: the run folder.
    repair: False for who only looks: nothing is renamed.
    names: of the checkpoints; None: all.

  Returns:
    (found, problems): a list of (name, meta, dict of str -> numpy array)
    sorted by name, and a list of lines that say what was set aside and why.

  Raises:
    Refused: a checkpoint is whole, but of another schema version.
  """
  loaded, problems = [], []
  for name, generations in sorted(_generations(folder).items()):
    if names is not None and name not in names:
      continue
    for generation in reversed(generations):
      path = _path(folder, name, generation)
      try:
        meta, arrays = _decode(
          folder, name, generation, files.read(path, start=seal.MAGIC)
        )
        loaded.append((name, meta, arrays))
        break
      except faults.Corrupt as error:
        line = str(error)
        if repair:
          bad_path = files.set_aside(path, folder.disk)
          line = f'{line}; set aside as {bad_path.name}'
        problems.append(line)
      except FileNotFoundError:
        pass  # its process has saved a newer one and dropped this one
  return loaded, problems


def trials(saved: Iterable[Checkpoint]) -> Iterator[SavedTrial]:
  """The trials of checkpoints, one by one.

  Args:
    saved: of `load`.
  """
  for checkpoint, meta, arrays in saved:
    for key, lanes in meta.get('programs', {}).items():
      of_program = {
        name.removeprefix(f'{key}/'): array
        for name, array in arrays.items()
        if name.startswith(f'{key}/')
      }
      for i, (trial, seconds) in enumerate(lanes):
        leaves = {name: array[..., i] for name, array in of_program.items()}
        yield SavedTrial(checkpoint, meta, trial, seconds, leaves)


def drop(folder: Folder, name: str) -> None:
  """Removes every generation of checkpoint `name`; none is fine."""
  for generation in _generations(folder).get(name, []):
    _remove(folder, name, generation)


def drop_all(folder: Folder, but: str = '') -> None:
  """Removes every generation of every checkpoint: nothing is under way.

  Args:
    folder: the run folder.
    but: how the names begin of those that stay; '' for none.
  """
  for name in _generations(folder):
    if not (but and name.startswith(but)):
      drop(folder, name)


def _path(folder, name, generation):
  return folder.path / 'checkpoints' / f'{name}.{generation}'


def _remove(folder, name, generation):
  path = _path(folder, name, generation)
  with files.storage(path), contextlib.suppress(FileNotFoundError):
    folder.disk.unlink(path)


def _generations(folder, is_bad=False):
  """name -> generations on disk, ascending; of `*.bad` files if `is_bad`."""
  by_name: dict[str, list[int]] = {}
  for name in files.names(folder.path / 'checkpoints'):
    name, _, ending_ = name.partition('.')
    number, _, ending = ending_.partition('.')
    if name and number.isdecimal() and ending.startswith('bad') == is_bad:
      by_name.setdefault(name, []).append(int(number))
  return {name: sorted(numbers) for name, numbers in by_name.items()}


def _encode(folder, name, generation, arrays, meta):
  header = {
    'name': name,
    'generation': generation,
    'plan': folder.identity,
    'meta': seal.to_plain(meta),
    'arrays': [],
  }
  body = []
  for key, value in arrays.items():
    if not isinstance(key, str):
      raise ValueError(f'checkpoint {name}: key {key!r} is not a string')
    value = np.asarray(value)
    _dtype(value.dtype.str, f'checkpoint {name}: {key}', ValueError)
    little = value.astype(value.dtype.newbyteorder('<'), copy=False)
    header['arrays'].append([key, little.dtype.str, list(value.shape)])
    body.append(little.tobytes())
  text = json.dumps(header, allow_nan=False).encode()
  return seal.seal(b''.join([_LENGTH.pack(len(text)), text, *body]))


def _decode(folder, name, generation, data):
  path = _path(folder, name, generation)
  payload = seal.unseal(data, path)
  try:
    (length,) = _LENGTH.unpack_from(payload)
    at = _LENGTH.size + length
    header = json.loads(payload[_LENGTH.size : at])
    kinds = [
      (key, _dtype(dtype, f'{path}: {key}', faults.Corrupt), tuple(sizes))
      for key, dtype, sizes in header['arrays']
    ]
    # Of an empty array a length can be any: no larger than a file's.
    is_size = lambda n: type(n) is int and 0 <= n <= files.LARGEST
    sizes_fit = (
      all(
        isinstance(key, str)
        and len(sizes) <= _AXES
        and all(map(is_size, sizes))
        for key, _, sizes in kinds
      )
      and sum(kind.itemsize * math.prod(sizes) for _, kind, sizes in kinds)
      == len(payload) - at
    )
    whose = [header[key] for key in ('name', 'generation', 'plan')]
    meta = header['meta']
  except (
    ValueError, KeyError, TypeError, struct.error, RecursionError
  ) as error:  # fmt: skip
    raise faults.Corrupt(f'{path}: not a checkpoint: {error!r}') from error
  if whose != [name, generation, folder.identity]:
    raise faults.Corrupt(f'{path}: holds checkpoint {whose}, misplaced here')
  if not sizes_fit or len({key for key, _, _ in kinds}) != len(kinds):
    raise faults.Corrupt(f'{path}: its arrays do not fit its {len(data)} bytes')
  shape.check_checkpoint(meta, {key: sizes for key, _, sizes in kinds}, path)
  arrays = {}
  for key, dtype, sizes in kinds:
    count = math.prod(sizes)
    values = np.frombuffer(payload, dtype, count, at)
    # The copy is aligned, writable and does not keep the whole file alive.
    try:
      arrays[key] = values.astype(dtype.newbyteorder('=')).reshape(sizes)
    except ValueError as error:  # an empty array of more than numpy counts to
      raise faults.Corrupt(f'{path}: {key}: {error}') from error
    at += dtype.itemsize * count
  return meta, arrays


def _dtype(name, subject, error):
  """The numpy dtype of this name if arrays of it are plain numbers."""
  if not isinstance(name, str) or len(name) > 1000:
    raise error(f'{subject}: names no dtype')
  try:
    dtype = np.dtype(name)
  except (TypeError, ValueError, SyntaxError) as reason:
    raise error(f'{subject}: {reason}') from reason
  if dtype.kind not in 'biufc':
    raise error(
      f'{subject}: dtype {dtype} is not stored; allowed are bool, int, uint,'
      ' float and complex'
    )
  return dtype
