"""One tar, plain or compressed, read where it lies and never unpacked.

`tarfile` ends in silence at a header that it cannot read and at a file that
stops between two members. Here both are errors, and so is what is larger than
any data set: an archive, a member, their number, what a packed byte becomes.
"""

import contextlib
import gzip
import hashlib
import lzma
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lstm_jax.lab.data.files import faults
from lstm_jax.lab.data.files.errors import BadData

SUFFIXES = ('.tar', '.tar.gz', '.tgz', '.tar.xz', '.txz')

LARGEST = 2**28  # bytes of a file of a data set

_BLOCK = 512
_PIECE = 2**20
_MOST_BYTES = 2**36  # of an archive, decompressed
# IMDB's become six times as long; of small ones the padding shrinks to nothing.
_RATIO, _FREE = 100, 2**25
_MEMBERS = 500_000
_LONGEST_NAME = 1000
_XZ_MEMORY = 2**29  # what the most thorough compression asks for, eight times
_DAMAGE = (
  EOFError,
  OverflowError,
  ValueError,  # also what is no number, no text, no path
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
def opened(
  path: Path, scratch: Path, report: faults.Report = faults.stop
) -> Iterator[Archive]:
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
    try:
      pieces = _OPENERS.get(file.read(2))
      file.seek(0)
      if pieces:
        plain = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
        _decompress(pieces(file), plain, os.fstat(file.fileno()).st_size)
        file = plain
      members = _members(file)
    except _DAMAGE as error:
      raise BadData(f'{path}: damaged or cut short: {error}') from error
    places: dict[str, tuple[int, int]] = {}
    folded: dict[str, str] = {}
    bad = []
    for member in members:
      name = _plain(member.name)
      if reason := _reason(member, places, folded):
        bad.append(f'{path}: member {member.name[:_LONGEST_NAME]}: {reason}')
      elif member.isreg():
        places[name] = member.offset_data, member.size
        folded[name.casefold()] = name
    report(bad)

    def read(name):
      start, size = places[name]
      try:
        content = os.pread(file.fileno(), size, start)
      except OSError as error:
        raise BadData(f'{path}: member {name}: {error.strerror}') from error
      if len(content) != size:
        raise BadData(
          f'{path}: member {name}: cut short: {len(content):,} bytes of '
          f'{size:,}'
        )
      return content

    yield Archive({name: size for name, (_, size) in places.items()}, read)


def _unzipped(file):
  """Yields what a gzip file holds, in pieces."""
  with gzip.open(file) as packed:
    while piece := packed.read(_PIECE):
      yield piece


def _unxzed(file):
  """Yields what an xz file holds; the file says how much memory that takes."""
  made = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
  while True:
    if made.eof:
      piece = made.unused_data.lstrip(b'\0')  # padding between streams
      while not piece:
        if not (more := file.read(_PIECE)):
          return
        piece = more.lstrip(b'\0')
      made = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    elif made.needs_input:
      piece = file.read(_PIECE)
      if not piece:
        raise EOFError('ends before its end-of-stream mark')
    else:
      piece = b''  # the rest of what it has been given
    yield made.decompress(piece, _PIECE)


_OPENERS = {b'\x1f\x8b': _unzipped, b'\xfd7': _unxzed}


def _decompress(pieces, plain, packed):
  """Writes pieces to a file, up to what honest data come to.

  Args:
    pieces: iterator of bytes.
    plain: the file.
    packed: bytes of the compressed file.

  Raises:
    ValueError: it is more.
  """
  most = min(_MOST_BYTES, max(_FREE, _RATIO * packed))
  written = 0
  for piece in pieces:
    written += len(piece)
    if written > most:
      raise ValueError(
        f'{packed:,} bytes become more than {most:,}, which no data set does'
      )
    plain.write(piece)
  plain.flush()


def _members(file):
  """All members.

  Raises:
    TarError: the archive does not end as one must.
    ValueError: there are too many.
  """
  size, members = file.seek(0, os.SEEK_END), []
  file.seek(0)
  with tarfile.open(fileobj=file, mode='r:') as archive:
    for member in archive:
      members.append(member)
      if len(members) > _MEMBERS:
        raise ValueError(f'more than {_MEMBERS:,} members')
      if member.size < 0 or member.offset_data + member.size > size:
        name = member.name[:_LONGEST_NAME]
        raise ValueError(
          f'member {name} says it has {member.size:,} bytes, more than follow'
        )
    end = archive.offset
  file.seek(end)
  if file.read(_BLOCK) != bytes(_BLOCK):
    raise tarfile.ReadError(f'no member and no end at byte {end:,}')
  return members


def _plain(name):
  return str(PurePosixPath(name))


def _reason(member, seen, folded):
  """Returns why a member is refused, or ''.

  Args:
    member: `tarfile.TarInfo`.
    seen: names of the files before it.
    folded: these without regard to case -> name.
  """
  if len(member.name) > _LONGEST_NAME:
    return f'a name of {len(member.name):,} characters'
  if not member.name.isprintable():
    return 'a name with characters that are not printed'
  path = PurePosixPath(member.name)
  if path.is_absolute():
    return 'an absolute name'
  if '..' in path.parts:
    return "a name with '..'"
  if member.issym() or member.islnk():
    return f'a link to {member.linkname[:_LONGEST_NAME]}'
  if not (member.isreg() or member.isdir()):
    return 'no file and no folder'
  if member.issparse():
    return 'a sparse file'
  if member.size > LARGEST:
    return f'{member.size:,} bytes, more than {LARGEST:,}'
  if str(path) in seen:
    return 'is there twice'
  other = folded.get(str(path).casefold())
  return f'differs from {other} in case alone' if other else ''


def checked(path: Path, sha256: str, size: int) -> None:
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
