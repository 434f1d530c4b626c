"""Signals: the first asks a command to stop, the second ends it at once.

A main calls `listen` as its first instruction, before the imports that take a
while; a signal then ends the process, since nothing has begun. Within `main` a
signal raises `Stopped` in the main thread, at whatever it is doing: preparing
data, compiling, drawing. What is on disk is whole at every
moment (see `store.files`), so a phase needs nothing for that but a `finally` or
an `except BaseException` where it has something to tidy up; an
`except Exception` does not see it.

A phase that has more to save than the disk holds polls instead:

  with stop.polled():
    while work and not stop():
      ...
    save()

Within, a signal is only noted; where one has come, `Stopped` is raised at the
end of the block. The main thread may be inside a library that does not poll:
outside of `polled` the process then ends after `GRACE` seconds by itself.

Only a process that is ours ends so. Where somebody else's calls a main (a
notebook, a test), a signal raises `Stopped` in the main thread, a second one
does so again, and their handlers are back when the main has ended. In another
thread, where Python allows no handlers, there are none.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from lstm_jax.lab.store.faults import Exit

GRACE = 8.0  # seconds
THREAD = 'signals'  # the name of our threads, which may be left alone
# `timeout` and batch systems send to the process and to its group: one signal.
_SAME_SIGNAL_SECONDS = 0.02  # seconds
# Terminals, init systems and batch systems: Slurm warns by SIGUSR1 or SIGTERM,
# LSF and SGE by SIGUSR1, SIGUSR2 or SIGXCPU.
_NAMES = {
  'SIGINT': Exit.SIGINT,
  'SIGTERM': Exit.SIGTERM,
  'SIGHUP': Exit.SIGHUP,
  'SIGUSR1': Exit.STOPPED,
  'SIGUSR2': Exit.STOPPED,
  'SIGXCPU': Exit.STOPPED,
}
# A system may lack some of them.
_EXITS: dict[int, Exit] = {
  getattr(signal, name): code
  for name, code in _NAMES.items()
  if hasattr(signal, name)
}


class Stopped(KeyboardInterrupt):
  """A signal asks the process to stop.

  A `KeyboardInterrupt`, so that what tidies up after Ctrl-C does so.

  Attributes:
    exit_code: what the process exits with.
    said: whether somebody has told the user.
  """

  def __init__(self, exit_code: int, is_told: bool = False) -> None:
    super().__init__('stopped; the same command goes on or starts again')
    self.exit_code, self.is_told = exit_code, is_told


class Stop:
  """The flag that a signal has asked the process to stop; call it to read it.

  Attributes:
    exit_code: what the process then exits with, None before.
  """

  def __init__(self) -> None:
    self.exit_code: int | None = None
    self.begun = False  # whether `main` runs
    self._polled, self._over = 0, False
    self._wakeup_fd = -1  # whose it was before
    self._pipe: tuple[int, int] | None = (
      None  # (read, write), of the numbers of signals
    )

  def __call__(self) -> bool:
    """Tells whether a signal has come."""
    return self.exit_code is not None

  @contextlib.contextmanager
  def polled(self) -> Iterator[None]:
    """A context in which a signal is noted and raises nothing.

    Raises:
      Stopped: at its end, where a signal has come.
    """
    self._polled += 1
    try:
      yield
    finally:
      self._polled -= 1
    self.check()

  def check(self) -> None:
    """Raises `Stopped` where a signal has come."""
    if self.exit_code is not None:
      raise Stopped(self.exit_code)

  def on_signal(self, number: int, frame: FrameType | None) -> None:
    """The handler of the signals in `_EXITS`."""
    del frame
    if self.exit_code is not None:  # a second one is `watch`'s, if that runs
      if self._pipe is None:
        self.check()
    else:
      self.exit_code = int(_EXITS[number])
      if not self.begun:
        os._exit(self.exit_code)
      if not self._polled:
        self.check()

  def start(self) -> None:
    """Starts the thread that ends a process whose main thread cannot."""
    if self._pipe is None:
      self._pipe = os.pipe()
      os.set_blocking(self._pipe[1], False)
      self._wakeup_fd = signal.set_wakeup_fd(
        self._pipe[1], warn_on_full_buffer=False
      )
      self._thread(self._watch, self._pipe[0])

  def end(self) -> None:
    """Ends that thread: nobody is to be stopped any more."""
    if self._pipe is not None:
      signal.set_wakeup_fd(self._wakeup_fd)
      os.close(self._pipe[1])  # the thread reads its end
    self._over = True

  def _thread(self, function, *arguments):
    threading.Thread(None, function, THREAD, arguments, daemon=True).start()

  def _watch(self, pipe):
    """Ends the process at the second signal, or `GRACE` after the first."""
    code, since = None, 0.0
    while numbers := os.read(pipe, 1):
      if numbers[0] not in _EXITS:
        continue
      clock = time.monotonic()
      if code is None:
        code, since = int(_EXITS[numbers[0]]), clock
        self._thread(self._out, code)
      elif clock - since > _SAME_SIGNAL_SECONDS:
        os._exit(code)
    os.close(pipe)

  def _out(self, code):
    """Ends the process once it has had `GRACE` seconds outside of `polled`."""
    left = GRACE
    while left > 0 and not self._over:
      time.sleep(0.25)
      left -= 0.25 * (not self._polled)
    if not self._over:
      os._exit(code)


def listen(is_ours: bool = True) -> Stop:
  """Handles signals from now on; returns the `Stop` of this process.

  A SIGHUP that is ignored (nohup) stays so. Outside of the main thread, where
  Python allows no handlers, the `Stop` gets none.

  Args:
    is_ours: whether a second signal may end the process.
  """
  stop = current_stop()
  if threading.current_thread() is threading.main_thread():
    for number in _EXITS:
      handler = signal.getsignal(number)
      is_ignored = handler is signal.SIG_IGN
      if not (
        is_ignored and _NAMES[signal.Signals(number).name] == Exit.SIGHUP
      ):
        signal.signal(number, stop.on_signal)
    if is_ours:
      stop.start()
  return stop


@contextlib.contextmanager
def listening() -> Iterator[Stop]:
  """A context that handles signals; its value is the `Stop`.

  Where the process handles them already, its `Stop` stays in place.
  """
  stop = _listener()
  if stop is not None:
    stop.begun = True
    yield stop
    return
  handlers = {number: signal.getsignal(number) for number in _EXITS}
  stop = listen(is_ours=False)
  stop.begun = True
  try:
    yield stop
  finally:
    if _listener() is stop:
      for number, handler in handlers.items():
        signal.signal(number, handler)
      stop.end()


@contextlib.contextmanager
def interruptible() -> Iterator[Stop]:
  """A context in which Ctrl-C stops what polls, for calls from Python.

  Nothing else is handled, no thread is started, the process is never ended, and
  the handler of before is back at the end: a second Ctrl-C is that one's. Where
  a command handles signals already, its `Stop` is the one; outside of the main
  thread there is none to hear of.
  """
  stop = _listener() or Stop()
  main = threading.current_thread() is threading.main_thread()
  if _listener() is not None or not main:
    yield stop
    return
  stop.begun = True
  handler = signal.getsignal(signal.SIGINT)

  def on_signal(number, frame):
    signal.signal(signal.SIGINT, handler)
    stop.on_signal(number, frame)

  signal.signal(signal.SIGINT, on_signal)
  try:
    yield stop
  finally:
    signal.signal(signal.SIGINT, handler)


def current_stop() -> Stop:
  """The `Stop` that gets this process's signals; else one that gets none."""
  return _listener() or Stop()


def _listener():
  """The `Stop` that gets signals, if one does."""
  owner = getattr(signal.getsignal(signal.SIGTERM), '__self__', None)
  return owner if owner is not None and isinstance(owner, Stop) else None
