"""Every file is read and written here: bounded, regular, whole or not at all.

A file is published in steps,

  temporary name in the same directory -> write -> fsync file
    -> link (never overwrites) or rename (replaces) -> fsync directory,

after which it is wholly there under its name. A kill, a full disk or a power
cut at any step leaves the old state or the new one. Pillai et al. (OSDI 2014),
"All file systems are not created equal", shows what breaks where a step is
left out.

What is read is a regular file of bounded size,
whatever its name stands for: a FIFO, a device or a directory is an error.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lstm_jax.lab.store import faults
from lstm_jax.lab.store.disk import DISK, Disk, fault, storage
from lstm_jax.lab.store.faults import Corrupt, Unusable

LARGEST = 2**32

# Bytes of a file, or blocks of them.
Data = bytes | memoryview | list[bytes]
_PART = 2**20  # bytes that are read at once
_NO_HARD_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP}
_NO_FILE = {
  errno.ENXIO: 'a socket',
  errno.EISDIR: 'a directory',
  errno.ELOOP: 'a loop of links',
}


def write_temporary(
  path: str | Path, data: Data, disk: Disk = DISK
) -> tuple[int, Path]:
  """Writes `data` beside `path` under a hidden name; returns (fd, name).

  The writer holds a `flock` on the open file, which the kernel drops when the
  process ends: `remove_temporary` knows by it which files nobody will publish
  any more. The caller closes `fd`.
  """
  path = Path(path)
  while True:
    name = path.with_name(f'.{path.name}.{os.urandom(6).hex()}.tmp')
    fd = disk.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
      fcntl.flock(fd, fcntl.LOCK_EX)
      # `remove_temporary` of another process may come between the open and the
      # lock.
      if os.fstat(fd).st_nlink:
        for block in _blocks_of(data):
          unwritten = memoryview(block)
          while unwritten:
            unwritten = unwritten[disk.write(fd, unwritten) :]
        return fd, name
    except BaseException as error:
      os.close(fd)
      if isinstance(error, OSError):
        with contextlib.suppress(OSError):
          disk.unlink(name)
      raise
    os.close(fd)


def publish(
  path: str | Path,
  data: Data,
  overwrite: bool = False,
  disk: Disk = DISK,
) -> None:
  """Makes `path` hold `data`, wholly and durably, or leaves it as it was.

  Args:
    path: where the file will be.
    data: bytes, or blocks of them.
    overwrite: whether an existing file is replaced.
    disk: the calls that change the disk.

  Raises:
    FileExistsError: `path` exists and `overwrite` is False.
    StorageError, Unusable: the disk refused; nothing is lost.
  """
  path = Path(path)
  with storage(path, sum(map(len, _blocks_of(data)))):
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


def append(path: Path, data: bytes, disk: Disk, is_new: bool) -> None:
  """Appends to a file, durably; only the last bytes can be lost.

  Args:
    path: the file, which no other process writes to.
    data: bytes.
    disk: the calls that change the disk.
    is_new: whether the file is made, and must not be there.

  Raises:
    StorageError, Unusable: the disk refused; a part may have been appended.
  """
  flags = os.O_WRONLY | os.O_APPEND
  with storage(path, len(data)):
    fd = disk.open(
      path, flags | (os.O_CREAT | os.O_EXCL if is_new else 0), 0o666
    )
    try:
      unwritten = memoryview(data)
      while unwritten:
        unwritten = unwritten[disk.write(fd, unwritten) :]
      disk.fsync(fd)
    finally:
      os.close(fd)
    if is_new:
      disk.fsync_directory(path.parent)


def sync(path: Path, disk: Disk) -> None:
  """Makes durable what another process has appended to a file."""
  with storage(path), contextlib.suppress(FileNotFoundError):
    fd = disk.open(path, os.O_RDONLY | os.O_NONBLOCK, 0o666)
    try:
      disk.fsync(fd)
    finally:
      os.close(fd)


def signature(path: str | Path) -> tuple[int, int, int] | None:
  """(inode, bytes, nanoseconds of its last change) of a file; None: no file."""
  try:
    facts = os.stat(path)
  except OSError:
    return None
  return facts.st_ino, facts.st_size, facts.st_mtime_ns


def size_of(path: Path) -> int:
  """Bytes of a file, -1 where there is none."""
  try:
    return os.stat(path).st_size
  except OSError:
    return -1


def remove_temporary(directory: str | Path, disk: Disk = DISK) -> None:
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


def set_aside(path: str | Path, disk: Disk = DISK, ending: str = 'bad') -> Path:
  """Renames a file to `<name>.<ending>` (`.<ending>2`, ... if taken)."""
  path = Path(path)
  number = 1
  while True:
    aside = path.with_name(
      f'{path.name}.{ending}{number if number > 1 else ""}'
    )
    if not os.path.lexists(aside):
      break
    number += 1
  with storage(path):
    disk.rename(path, aside)
    disk.fsync_directory(path.parent)
  return aside


def write(path: str | Path, data: Data, disk: Disk = DISK) -> None:
  """Makes `path` hold `data`; a file that holds it already is not touched.

  Args:
    path: where the file is; its directory is made if missing.
    data: bytes, or blocks of them.
    disk: the calls that change the disk.

  Raises:
    StorageError, Unusable: the disk refused; what was there is intact.
  """
  path = Path(path)
  try:
    if _holds(path, _blocks_of(data)):
      return
  except FileNotFoundError:
    make_directory(path.parent, disk)
  except (Corrupt, Unusable):
    pass  # something else stands there: it is replaced, or that is the error
  remove_temporary(path.parent, disk)
  publish(path, data, overwrite=True, disk=disk)


def _holds(path, blocks):
  """Tells whether a regular file holds these bytes; raises as `read`."""
  with _regular(path) as file, storage(path):
    return os.fstat(file.fileno()).st_size == sum(map(len, blocks)) and all(
      file.read(len(block)) == block for block in blocks
    )


def _blocks_of(data):
  return data if isinstance(data, list) else [data]


def make_directory(path: str | Path, disk: Disk = DISK) -> None:
  """Makes a directory and its parents, durably; an existing one is fine.

  Raises:
    StorageError, Unusable: the disk refused, or something else has the name.
  """
  path = Path(path)
  with storage(path):
    if path.is_dir():
      return
    if not os.path.lexists(path):
      make_directory(path.parent, disk)
      with contextlib.suppress(FileExistsError):
        disk.mkdir(path)
      # A parent that can be passed through but not read cannot be synced.
      with contextlib.suppress(PermissionError):
        disk.fsync_directory(path.parent)
    # Asked again: another process may have made it since.
    if not path.is_dir():
      reason = 'a link to nothing' if path.is_symlink() else 'not a directory'
      raise Unusable(
        f'{faults.printable(path)}: {reason}; remove it or name another place'
      )


def read(
  path: str | Path, limit: int = LARGEST, start: bytes = b'', skip: int = 0
) -> bytes:
  """The bytes of a regular file.

  Args:
    path: the file.
    limit: the most bytes that it may have.
    start: what it must begin with, looked at before anything else is read.
    skip: bytes before that, which may be any.

  Raises:
    FileNotFoundError: there is none.
    Unusable, StorageError: it cannot be read.
    Corrupt: it is no regular file, larger than `limit` or begins otherwise.
  """
  name = faults.printable(path)
  with _regular(path) as file, storage(path):
    size = os.fstat(file.fileno()).st_size
    if size <= limit:
      head = file.read(skip + len(start))
      if head[skip:] != start[: len(head[skip:])]:
        raise Corrupt(f'{name}: not a file of lstm_jax')
      # Not all that it may have grown to since. `read(n)` takes n bytes of
      # memory whatever there is to read.
      parts, size = [head], len(head)
      while part := file.read(min(_PART, limit + 1 - size)):
        parts.append(part)
        size += len(part)
    if size > limit:
      raise Corrupt(f'{name}: {size} bytes, more than {limit}')
    return b''.join(parts)


def _regular(path):
  """A regular file, open to be read; raises as `read`."""
  name = faults.printable(path)
  # A FIFO that nobody writes to must not hold us up.
  flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
  try:
    file = open(path, 'rb', opener=lambda name, _: os.open(name, flags))
  except FileNotFoundError:
    if os.path.islink(path):
      raise Corrupt(f'{name}: a link to nothing; remove it') from None
    raise
  except OSError as error:
    if error.errno in _NO_FILE:
      reason = _NO_FILE[error.errno]
      raise Corrupt(
        f'{name}: {reason}, not a regular file; remove it'
      ) from error
    raise fault(error, path) from error
  mode = os.fstat(file.fileno()).st_mode
  if not stat.S_ISREG(mode):
    file.close()
    reason = 'a FIFO' if stat.S_ISFIFO(mode) else 'a device'
    raise Corrupt(f'{name}: {reason}, not a regular file; remove it')
  return file


def read_from(path: Path, start: int, limit: int) -> bytes:
  """The bytes of a regular file from a place on, at most so many.

  Raises:
    FileNotFoundError, Unusable, StorageError, Corrupt: as of `read`.
  """
  with _regular(path) as file, storage(path):
    file.seek(start)
    return file.read(min(limit, max(size_of(path) - start, 0)))


def blocks(path: Path, start: int = 0) -> Iterator[bytes]:
  """The bytes of a regular file from a place on, a block at a time.

  Raises:
    FileNotFoundError, Unusable, StorageError, Corrupt: as of `read`.
  """
  with _regular(path) as file, storage(path):
    size = os.fstat(file.fileno()).st_size
    if size > LARGEST:
      raise Corrupt(
        f'{faults.printable(path)}: {size} bytes, more than {LARGEST}'
      )
    file.seek(start)
    while block := file.read(_PART):
      yield block


def tree(root: str | Path, endings: str | tuple[str, ...]) -> list[Path]:
  """The regular files below a directory that end so, as paths, sorted.

  What an editor leaves (`.#x.py`, links to nothing) is not among them.
  """
  paths = []
  for directory, folders, file_names in os.walk(root):
    folders[:] = [name for name in folders if not name.startswith('.')]
    paths += [
      Path(directory, name)
      for name in file_names
      if name.endswith(endings) and not name.startswith('.')
    ]
  return sorted(path for path in paths if path.is_file())


def read_text(path: str | Path, limit: int = LARGEST) -> str:
  """The text of a regular file in UTF-8, its mark taken off; raises as `read`.

  Raises:
    Corrupt: it is no UTF-8, too.
  """
  try:
    return read(path, limit).decode('utf-8-sig')
  except UnicodeDecodeError as error:
    raise Corrupt(f'{faults.printable(path)}: not UTF-8: {error}') from None


def names(directory: str | Path, ending: str = '') -> list[str]:
  """The names in a directory that end so, sorted; none where there is none.

  Hidden files are left out: temporary ones, and those of editors and systems.

  Raises:
    Unusable, StorageError: it cannot be read, or is no directory.
  """
  try:
    with storage(directory):
      entries = os.listdir(directory)
  except Unusable as error:
    if isinstance(error.__cause__, FileNotFoundError):
      return []
    raise
  return sorted(
    name
    for name in entries
    if name.endswith(ending) and not name.startswith('.')
  )


def folders_with(
  directory: str | Path, name: str, depth: int = 2
) -> list[Path]:
  """The folders that hold a file of a name: a directory, or some below it.

  Those below it that are closed to this user are passed over.

  Args:
    directory: where to look first.
    name: of the file.
    depth: levels below it, each looked at where the one above has none.

  Raises:
    Unusable: the directory itself cannot be read.
    StorageError: of the disk, anywhere.
  """
  level = [Path(directory)]
  for levels_below in range(depth + 1):
    folders, inside = [], []
    for folder in level:
      try:
        with storage(folder):
          if (folder / name).is_file():
            folders.append(folder)
        if not folders and folder.is_dir():
          inside += [folder / entry for entry in names(folder)]
      except Unusable:
        if not levels_below:
          raise
    if folders:
      return folders
    level = inside
  return []
