"""Locks a run folder for one process alone, or for one process a shard.

The locks are `flock`s: the kernel frees them when the process ends, however it
ends, so none is ever stale and none needs removing by hand. What is written in
the lock files only serves the message to whoever comes second.
"""

import contextlib
import datetime
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from typing import NamedTuple

from lstm_jax.lab.store import faults, files
from lstm_jax.lab.store.folder import Folder

_LONGEST = 1000  # bytes of a lock file


class Holder(NamedTuple):
  """A process that works on a folder.

  Attributes:
    pid: of the process.
    host: the name of its machine.
    since: when it began, in ISO 8601.
    shard: of which shard, as '0 of 4'; '' for the whole folder.
  """

  pid: int
  host: str
  since: str
  shard: str


@contextlib.contextmanager
def lock(
  folder: Folder, shard: tuple[int, int] | None = None
) -> Iterator[None]:
  """Holds the folder for this process while the context lasts.

  Without a shard the folder is held alone. The processes of shards (i, n)
  share it, and each shard has one process; all of them name the same n.

  Args:
    folder: the run folder.
    shard: None or (i, n).

  Raises:
    Busy: somebody else holds it; the message says who and since when.
    StorageError, Unusable: the lock file cannot be made.
  """
  with contextlib.ExitStack() as stack:
    if shard is None:
      _hold(stack, folder, 'lock', fcntl.LOCK_EX)
    else:
      i, n = shard
      _hold(stack, folder, 'lock', fcntl.LOCK_SH)
      _hold(stack, folder, f'lock-{i}-of-{n}', fcntl.LOCK_EX)
    yield


@contextlib.contextmanager
def tables(folder: Folder) -> Iterator[None]:
  """Waits until no other process writes tables and report of the folder.

  Of a folder that nobody may write to, there is nothing to wait for.

  Args:
    folder: the run folder.
  """
  with contextlib.ExitStack() as stack:
    with contextlib.suppress(faults.StoreError), files.storage(folder.path):
      path = folder.path / 'lock-tables'
      fd = folder.disk.open(path, os.O_RDWR | os.O_CREAT, 0o666)
      stack.callback(os.close, fd)
      fcntl.flock(fd, fcntl.LOCK_EX)
    yield


def _hold(stack, folder, name, kind):
  path = folder.path / name
  with files.storage(path):
    fd = folder.disk.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    stack.callback(os.close, fd)
    try:
      fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise faults.Busy(_message(folder)) from error
  if kind == fcntl.LOCK_EX:
    timestamp = datetime.datetime.now(datetime.UTC).isoformat(
      timespec='seconds'
    )
    holder = {
      'pid': os.getpid(),
      'host': socket.gethostname(),
      'since': timestamp,
    }
    # A full disk must not stop a process that has its lock.
    with contextlib.suppress(OSError):
      os.ftruncate(fd, 0)
      folder.disk.write(fd, json.dumps(holder).encode())
    stack.callback(_forget, fd)


def _forget(fd):
  with contextlib.suppress(OSError):
    os.ftruncate(fd, 0)


def holders(folder: Folder) -> list[Holder]:
  """The processes that work on a folder, as far as is known.

  Read from what they have written, without taking a lock: nobody who wants the
  folder is kept from it. A process that was killed is left out if it was one of
  this machine.
  """
  processes = []
  for name in files.names(folder.path):
    errors = OSError, ValueError, KeyError, TypeError, RecursionError
    with contextlib.suppress(*errors, faults.StoreError):
      if not name.startswith('lock'):
        continue
      fields = json.loads(files.read(folder.path / name, _LONGEST))
      if fields['host'] != socket.gethostname() or _is_alive(fields['pid']):
        shard = name.removeprefix('lock').strip('-').replace('-', ' ')
        processes.append(
          Holder(fields['pid'], fields['host'], fields['since'], shard)
        )
  return processes


def _message(folder):
  holding = [
    f'process {holder.pid} on {holder.host} since {holder.since}'
    + (f' (shard {holder.shard})' if holder.shard else '')
    for holder in holders(folder)
  ]
  return (
    f'{folder.path} is in use by {"; ".join(holding) or "another process"};'
    ' wait for it or stop it and run this again, give both processes a'
    ' --shard=i/n, or name another --out'
  )


def _is_alive(pid):
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  except PermissionError:
    pass
  return True
