"""The arrays of a `.npz`, read one by one and never unpickled.

A file is believed only where it bears it out: a head that promises more or less
than follows, an array of objects, a name without a meaning, what unpacks to far
more than it is are errors.
"""

import io
import math
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.store import files
from lstm_jax.lab.store.faults import StoreError

LARGEST = 2**32  # bytes, of a file and of all its arrays
NEEDED, OPTIONAL = ('inputs', 'targets'), ('lengths', 'split', 'classes')
NUMBERS = 'biuf'
# A megabyte of zeros packs a thousandfold; data do not.
_RATIO, _FREE = 250, 2**28
_LONGEST_HEAD = 10_000
_DAMAGE = (
  zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError,
  RuntimeError, struct.error, KeyError, UnicodeError, OverflowError,
  SyntaxError,
)  # fmt: skip


def arrays(path: Path) -> dict[str, np.ndarray]:
  """The arrays of a file by name.

  Raises:
    BadData: file and reason: it is no `.npz`, damaged, larger than it may be;
      an array of objects, or one that has no meaning here.
  """
  try:
    content = files.read(path, LARGEST)
  except StoreError as error:
    raise BadData(str(error)) from error
  except OSError as error:
    raise BadData(f'{path}: {error.strerror}') from error
  try:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
      return _members(archive)
  except _DAMAGE as error:
    reason = ' '.join(str(error).split()) or type(error).__name__
    if isinstance(error, zipfile.BadZipFile | zlib.error | EOFError):
      reason = f'no .npz, or damaged ({reason})'
    raise BadData(f'{path}: {reason}') from error


def _members(archive):
  by_name: dict[str, np.ndarray] = {}
  left = LARGEST
  for member in archive.infolist():
    title = member.filename.removesuffix('.npy')
    if title not in (*NEEDED, *OPTIONAL) or title == member.filename:
      raise ValueError(
        f'array {title[:80]!r} has no meaning; known are '
        f'{", ".join((*NEEDED, *OPTIONAL))}'
      )
    if title in by_name:
      raise ValueError(f'array {title} is there twice')
    size, num_packed = member.file_size, member.compress_size
    if size > left:
      raise ValueError(f'more than {LARGEST:,} bytes of arrays')
    if size > max(_FREE, _RATIO * num_packed):
      raise ValueError(
        f'array {title} becomes {size:,} bytes of {num_packed:,}; data that '
        'pack so well are stored by np.savez, not packed'
      )
    left -= size
    with archive.open(member) as file:
      by_name[title] = _array(title, file, size)
  return by_name


def _array(title, file, size):
  """One array of exactly the bytes that its head promises."""
  version = np.lib.format.read_magic(file)
  heads = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
  }
  if version not in heads:
    raise ValueError(f'array {title}: a .npy of version {version}')
  try:
    shape, fortran, dtype = heads[version](file, max_header_size=_LONGEST_HEAD)
  except _DAMAGE as error:
    raise ValueError(f'array {title}: its head is damaged') from error
  if dtype.hasobject:
    raise ValueError(
      f'array {title} holds Python objects, which are not read: give numbers, '
      'or words of one length (dtype U)'
    )
  if dtype.kind not in f'{NUMBERS}US':
    raise ValueError(f'array {title} is of {dtype}; it must be numbers or text')
  if min(shape, default=1) < 0 or dtype.itemsize == 0:
    raise ValueError(f'array {title} has shape {shape} of {dtype}')
  num_bytes = math.prod(shape) * dtype.itemsize
  if file.tell() + num_bytes != size:
    raise ValueError(
      f'array {title}: {size - file.tell():,} bytes where shape {list(shape)} '
      f'of {dtype} takes {num_bytes:,}'
    )
  content = file.read(num_bytes + 1)
  if len(content) != num_bytes:
    raise ValueError(f'array {title}: cut short')
  values = np.frombuffer(content, dtype)
  if dtype.kind == 'U' and not _is_text(values):
    raise ValueError(f'array {title} holds what is no text')
  return values.reshape(shape, order='F' if fortran else 'C')


def _is_text(values):
  """Tells whether all characters of an array of text are some."""
  points = values.view(
    values.dtype.str.replace(f'U{values.itemsize // 4}', 'u4')
  )
  high = points > 0x10FFFF
  return not (high | ((points >= 0xD800) & (points < 0xE000))).any()
