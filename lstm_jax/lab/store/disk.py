"""The calls that change a disk, and what their errors mean to a user.

Every write goes through a `Disk`, so that a test can count the steps and fail
each of them.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lstm_jax.lab.store import faults
from lstm_jax.lab.store.faults import StorageError, Unusable

# Faults of the place; all others (full, quota, I/O, network) are the disk's.
_PLACE = {
  getattr(errno, name)
  for name in (
    'EACCES EPERM EROFS ENOENT ENOTDIR EISDIR ENAMETOOLONG ELOOP EINVAL'
    ' ENOLCK ENOSYS EOPNOTSUPP'
  ).split()
}


def _fsync_directory(path):
  fd = os.open(path, os.O_RDONLY | getattr(os, 'O_DIRECTORY', 0))
  try:
    os.fsync(fd)
  except OSError as error:
    # Some network file systems cannot, and order their renames themselves.
    if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
      raise
  finally:
    os.close(fd)


class Disk(NamedTuple):
  """The calls that change a disk.

  Attributes:
    open: `(path, flags, mode) -> fd`.
    write: `(fd, data) -> bytes written`, may be fewer than asked.
    fsync: `fd -> None`.
    link: `(source, target) -> None`, fails where `target` exists.
    rename: `(source, target) -> None`, replaces `target`.
    unlink: `path -> None`.
    mkdir: `path -> None`.
    fsync_directory: `path -> None`.
  """

  open: Callable[..., int] = os.open
  write: Callable[..., int] = os.write
  fsync: Callable[[int], None] = os.fsync
  link: Callable[..., None] = os.link
  rename: Callable[..., None] = os.rename
  unlink: Callable[..., None] = os.unlink
  mkdir: Callable[..., None] = os.mkdir
  fsync_directory: Callable[[str | Path], None] = _fsync_directory


DISK = Disk()


def fault(
  error: OSError, path: str | Path, size: int = 0
) -> StorageError | Unusable:
  """The `StorageError` or `Unusable` that an OSError on `path` comes to."""
  reason = os.strerror(error.errno) if error.errno else str(error)
  owner, path = _owner(path), faults.printable(path)
  if error.errno in _PLACE:
    return Unusable(f'{path}: {reason}{owner}')
  return StorageError(
    f'{path}: {reason} ({size} bytes asked for); what was saved before is safe:'
    ' make room and run the same command again'
  )


@contextlib.contextmanager
def storage(path: str | Path, size: int = 0) -> Iterator[None]:
  """Turns an OSError within into the `fault` of `path`.

  `FileExistsError` passes: it is an answer, not a fault.
  """
  try:
    yield
  except FileExistsError:
    raise
  except OSError as error:
    raise fault(error, path, size) from error


def _owner(path):
  for place in (Path(path), *Path(path).parents):
    with contextlib.suppress(OSError):
      facts = place.stat()
      return (
        f' ({faults.printable(place)} belongs to uid {facts.st_uid}, mode'
        f' {facts.st_mode & 0o7777:04o}; this process is uid {os.geteuid()})'
      )
  return ''
