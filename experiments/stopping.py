"""Signals: the first asks a run to save and stop, the second ends it."""

import os
import signal

from lstm_jax.store.faults import Exit

_EXITS = {
  signal.SIGINT: Exit.SIGINT,
  signal.SIGTERM: Exit.SIGTERM,
  signal.SIGUSR1: Exit.STOPPED,
}


class Stop:
  """Whether a signal has asked the process to stop; call it to know.

  Attributes:
    exit_code: what the process then exits with.
  """

  def __init__(self):
    self.exit_code = None
    for number in _EXITS:
      signal.signal(number, self._on_signal)

  def _on_signal(self, number, frame):
    del frame
    if self.exit_code is not None:
      os._exit(self.exit_code)
    self.exit_code = int(_EXITS[number])

  def __call__(self):
    """Whether a signal has come."""
    return self.exit_code is not None
