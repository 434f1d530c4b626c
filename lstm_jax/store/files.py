"""Files that are written whole or not at all.

A file is published in steps,

  temporary name in the same directory -> write -> fsync file
    -> link (never overwrites) or rename (replaces) -> fsync directory,

after which it is wholly there under its name. A kill, a full disk or a power
cut at any step leaves the old state or the new one. Pillai et al. (OSDI 2014),
"All file systems are not created equal", shows what breaks where a step is
left out.

Every call that changes a disk goes through a `Disk`, so that a test can count
the steps and fail each of them.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lstm_jax.store.faults import Corrupt, StorageError, Unusable

LARGEST = 2**32

# Faults of the place; all others (full, quota, I/O, network) are the disk's.
_PLACE = {
  getattr(errno, name)
  for name in (
    'EACCES EPERM EROFS ENOENT ENOTDIR EISDIR ENAMETOOLONG ELOOP EINVAL'
    ' ENOLCK ENOSYS EOPNOTSUPP'
  ).split()
}
_NO_HARD_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP}


def _fsync_directory(path):
  fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
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

  open: Callable = os.open
  write: Callable = os.write
  fsync: Callable = os.fsync
  link: Callable = os.link
  rename: Callable = os.rename
  unlink: Callable = os.unlink
  mkdir: Callable = os.mkdir
  fsync_directory: Callable = _fsync_directory


DISK = Disk()


def fault(error, path, size=0):
  """The `StorageError` or `Unusable` that an OSError on `path` comes to."""
  reason = os.strerror(error.errno) if error.errno else str(error)
  if error.errno in _PLACE:
    return Unusable(f'{path}: {reason}{_owner(path)}')
  return StorageError(
    f'{path}: {reason} ({size} bytes asked for); what was saved before is safe:'
    ' make room and run the same command again'
  )


@contextlib.contextmanager
def storage(path, size=0):
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
        f' ({place} belongs to uid {facts.st_uid}, mode'
        f' {facts.st_mode & 0o7777:04o}; this process is uid {os.geteuid()})'
      )
  return ''


def write_temporary(path, data, disk=DISK):
  """Writes `data` beside `path` under a hidden name; returns (fd, name).

  The writer holds a `flock` on the open file, which the kernel drops when the
  process ends: `clean` knows by it which files nobody will publish any more.
  The caller closes `fd`.
  """
  path = Path(path)
  while True:
    name = path.with_name(f'.{path.name}.{os.urandom(6).hex()}.tmp')
    fd = disk.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
      fcntl.flock(fd, fcntl.LOCK_EX)
      # `clean` of another process may come between the open and the lock.
      if os.fstat(fd).st_nlink:
        rest = memoryview(data)
        while rest:
          rest = rest[disk.write(fd, rest) :]
        return fd, name
    except BaseException as error:
      os.close(fd)
      if isinstance(error, OSError):
        with contextlib.suppress(OSError):
          disk.unlink(name)
      raise
    os.close(fd)


def publish(path, data, overwrite=False, disk=DISK):
  """Makes `path` hold `data`, wholly and durably, or leaves it as it was.

  Args:
    path: where the file will be.
    data: bytes.
    overwrite: whether an existing file is replaced.
    disk: the calls that change the disk.

  Raises:
    FileExistsError: `path` exists and `overwrite` is False.
    StorageError, Unusable: the disk refused; nothing is lost.
  """
  path = Path(path)
  with storage(path, len(data)):
    fd, temporary = write_temporary(path, data, disk)
    try:
      disk.fsync(fd)
      if overwrite:
        disk.rename(temporary, path)
      else:
        _link(temporary, path, disk)
      disk.fsync_directory(path.parent)
    except OSError:
      with contextlib.suppress(OSError):
        disk.unlink(temporary)
      raise
    finally:
      os.close(fd)


def _link(source, target, disk):
  """Gives `source` the name `target`, which must be free."""
  try:
    disk.link(source, target)
  except OSError as error:
    if error.errno not in _NO_HARD_LINKS:
      raise
    # Without hard links the check and the rename are two steps; two writers
    # of one file are then told apart by the lock of the folder alone.
    if os.path.lexists(target):
      raise FileExistsError(errno.EEXIST, 'File exists', target) from error
    disk.rename(source, target)
  else:
    disk.unlink(source)


def clean(directory, disk=DISK):
  """Removes temporary files of writers that are gone."""
  for temporary in Path(directory).glob('.*.tmp'):
    gone_or_foreign = FileNotFoundError, PermissionError
    with storage(temporary), contextlib.suppress(*gone_or_foreign):
      fd = os.open(temporary, os.O_RDWR)
      try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        disk.unlink(temporary)
      except BlockingIOError:
        continue  # its writer is alive
      finally:
        os.close(fd)


def set_aside(path, disk=DISK):
  """Renames a bad file to `<name>.bad` (`.bad2`, ... if taken)."""
  path = Path(path)
  number = 1
  while True:
    bad = path.with_name(f'{path.name}.bad{number if number > 1 else ""}')
    if not os.path.lexists(bad):
      break
    number += 1
  with storage(path):
    disk.rename(path, bad)
    disk.fsync_directory(path.parent)
  return bad


def read(path):
  """The bytes of a file, at most `LARGEST`.

  Raises:
    FileNotFoundError: there is none.
    Unusable, StorageError: it cannot be read.
    Corrupt: it is larger than anything written here.
  """
  try:
    file = open(path, 'rb')
  except FileNotFoundError:
    raise
  except OSError as error:
    raise fault(error, path) from error
  with file, storage(path):
    size = os.fstat(file.fileno()).st_size
    if size > LARGEST:
      raise Corrupt(f'{path}: {size} bytes, more than {LARGEST}')
    return file.read()
