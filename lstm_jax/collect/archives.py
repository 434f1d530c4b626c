"""One tar, plain or compressed, read where it lies and never unpacked.

`tarfile` ends in silence at a header that it cannot read and at a file that
stops between two members. Here both are errors.
"""

import contextlib
import gzip
import hashlib
import lzma
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from lstm_jax.collect import faults
from lstm_jax.examples import BadData

SUFFIXES = ('.tar', '.tar.gz', '.tgz', '.tar.xz', '.txz')

_BLOCK = 512
_OPENERS = {b'\x1f\x8b': gzip.open, b'\xfd7': lzma.open}
_DAMAGE = (
  EOFError,
  gzip.BadGzipFile,
  lzma.LZMAError,
  tarfile.TarError,
  zlib.error,
)


class Archive(NamedTuple):
  """The regular files of an archive.

  Attributes:
    sizes: name -> bytes, in the order of the archive.
    read: `name -> bytes`; may be called from any thread while it is open.
  """

  sizes: Mapping[str, int]
  read: Callable[[str], bytes]


@contextlib.contextmanager
def opened(path, scratch, report: faults.Report = faults.stop):
  """Opens an archive for reading any member at any time.

  A compressed one is first decompressed into a file without a name, which is
  gone when this process ends, however it ends.

  Args:
    path: the archive.
    scratch: folder for that file.
    report: is given members that no honest archive of data has: absolute or
      climbing names, links, devices, names that come twice.

  Yields:
    `Archive`.

  Raises:
    BadData: it is cut short, damaged or no tar; or `report` raises it.
  """
  with contextlib.ExitStack() as stack:
    try:
      file = stack.enter_context(open(path, 'rb'))
    except OSError as error:
      raise BadData(f'{path}: {error.strerror}') from error
    opener = _OPENERS.get(file.read(2))
    file.seek(0)
    try:
      if opener:
        plain = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
        with opener(file) as packed:
          shutil.copyfileobj(packed, plain, 2**20)
        plain.flush()
        file = plain
      members = _members(file)
    except _DAMAGE as error:
      raise BadData(f'{path}: damaged or cut short: {error}') from error
    places, bad = {}, []
    for member in members:
      if reason := _reason(member, places):
        bad.append(f'{path}: member {member.name}: {reason}')
      elif member.isreg():
        places[_plain(member.name)] = member.offset_data, member.size
    report(bad)

    def read(name):
      start, size = places[name]
      return os.pread(file.fileno(), size, start)

    yield Archive({name: size for name, (_, size) in places.items()}, read)


def _members(file):
  """All members; TarError where the archive does not end as one must."""
  file.seek(0)
  with tarfile.open(fileobj=file, mode='r:') as archive:
    members = archive.getmembers()
    end = archive.offset
  file.seek(end)
  if file.read(_BLOCK) != bytes(_BLOCK):
    raise tarfile.ReadError(f'no member and no end at byte {end:,}')
  return members


def _plain(name):
  return str(PurePosixPath(name))


def _reason(member, seen):
  """Why a member is refused, or ''."""
  path = PurePosixPath(member.name)
  if path.is_absolute():
    return 'an absolute name'
  if '..' in path.parts:
    return "a name with '..'"
  if member.issym() or member.islnk():
    return f'a link to {member.linkname}'
  if not (member.isreg() or member.isdir()):
    return 'no file and no folder'
  if member.issparse():
    return 'a sparse file'
  return 'is there twice' if str(path) in seen else ''


def checked(path, sha256, size):
  """Compares a file with what was published.

  Args:
    path: the file.
    sha256: hexadecimal digest that it must have.
    size: bytes that it must have.

  Raises:
    BadData: it is another file; the message says what differs.
  """
  found = os.path.getsize(path)
  if found != size:
    raise BadData(
      f'{path}: {found:,} bytes, the published file has {size:,}; '
      'delete it and get it again'
    )
  with open(path, 'rb') as file:
    digest = hashlib.file_digest(file, 'sha256').hexdigest()
  if digest != sha256:
    raise BadData(
      f'{path}: wrong checksum: sha256 {digest}, the published file has '
      f'{sha256}; delete it and get it again'
    )
