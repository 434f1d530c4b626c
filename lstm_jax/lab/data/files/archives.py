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
        unpacked_file = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
        _decompress(
          pieces(file), unpacked_file, os.fstat(file.fileno()).st_size
        )
        file = unpacked_file
      members = _members(file)
    except _DAMAGE as error:
      raise BadData(f'{path}: damaged or cut short: {error}') from error
    places: dict[str, tuple[int, int]] = {}
    folded: dict[str, str] = {}
    faults = []
    for member in members:
      name = _is_plain_name(member.name)
      if reason := _reason(member, places, folded):
        faults.append(f'{path}: member {member.name[:_LONGEST_NAME]}: {reason}')
      elif member.isreg():
        places[name] = member.offset_data, member.size
        folded[name.casefold()] = name
    report(faults)

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
  with gzip.open(file) as compressed:
    while piece := compressed.read(_PIECE):
      yield piece


def _unxzed(file):
  """Yields what an xz file holds; the file says how much memory that takes."""
  decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
  while True:
    if decompressor.eof:
      piece = decompressor.unused_data.lstrip(b'\0')  # padding between streams
      while not piece:
        if not (piece_more := file.read(_PIECE)):
          return
        piece = piece_more.lstrip(b'\0')
      decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    elif decompressor.needs_input:
      piece = file.read(_PIECE)
      if not piece:
        raise EOFError('ends before its end-of-stream mark')
    else:
      piece = b''  # the rest of what it has been given
    yield decompressor.decompress(piece, _PIECE)


_OPENERS = {b'\x1f\x8b': _unzipped, b'\xfd7': _unxzed}


def _decompress(pieces, target_file, num_packed):
  """Writes pieces to a file, up to what honest data come to.

  Args:
    pieces: iterator of bytes.
    target_file: the file.
    num_packed: bytes of the compressed file.

  Raises:
    ValueError: it is more.
  """
  limit = min(_MOST_BYTES, max(_FREE, _RATIO * num_packed))
  num_written = 0
  for piece in pieces:
    num_written += len(piece)
    if num_written > limit:
      raise ValueError(
        f'{num_packed:,} bytes become more than {limit:,}, which no data set '
        'does'
      )
    target_file.write(piece)
  target_file.flush()


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


def _is_plain_name(name):
  return str(PurePosixPath(name))


def _reason(member, earlier_names, folded):
  """Returns why a member is refused, or ''.

  Args:
    member: `tarfile.TarInfo`.
    earlier_names: names of the files before it.
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
  if str(path) in earlier_names:
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
  num_bytes = os.path.getsize(path)
  if num_bytes != size:
    raise BadData(
      f'{path}: {num_bytes:,} bytes, the published file has {size:,}; '
      'delete it and get it again'
    )
  with open(path, 'rb') as file:
    digest = hashlib.file_digest(file, 'sha256').hexdigest()
  if digest != sha256:
    raise BadData(
      f'{path}: wrong checksum: sha256 {digest}, the published file has '
      f'{sha256}; delete it and get it again'
    )
