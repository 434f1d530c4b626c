"""Turns in which the threads of a page answer, one at a time."""

import contextlib
import threading
from collections.abc import Iterator


class Turn:
  """A lock that its holder lets go of while it waits for something."""

  def __init__(self) -> None:
    self._lock = threading.Lock()

  def __enter__(self) -> None:
    self._lock.acquire()

  def __exit__(self, *error: object) -> None:
    self._lock.release()

  @contextlib.contextmanager
  def let_go(self) -> Iterator[None]:
    """A context in which another thread has its turn."""
    self._lock.release()
    try:
      yield
    finally:
      self._lock.acquire()
