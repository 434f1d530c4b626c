"""The first and last of every command: streams, signals, exit codes.

  if __name__ == '__main__':
    mains.listen()              # before the imports that take a while
  ...
  @mains.guarded('sweep')
  def main(argv=None): ...

  if __name__ == '__main__':
    mains.run(main)

`guarded` turns whatever is raised into one line on stderr and a documented exit
code, and `run` sees to it that printing is never a reason to lose work: where
nobody reads, the command goes on without printing. This imports nothing slow.
"""

import contextlib
import errno
import functools
import gc
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TextIO

from lstm_jax.extras import advice
from lstm_jax.lab.data.files import errors
from lstm_jax.lab.run import aborts, signals
from lstm_jax.lab.store import files, machine
from lstm_jax.lab.store.faults import DEBUG, Exit, StoreError, printable
from lstm_jax.lab.store.messages import note, say

__all__ = [
  'Main',
  'Output',
  'guarded',
  'is_process',
  'listen',
  'note',
  'run',
  'say',
  'tell',
]

# Bytes of address space that NumPy, SciPy and a report take, and some to spare.
_ROOM = 600 * 2**20
# Objects between two looks for circles of garbage: tracing makes millions that
# live. Looks after every 700, as Python has it, took a twelfth of the time of a
# second quick start.
_YOUNG = 50_000
# A device's words, and those of a loader that cannot map a library.
_NO_MEMORY = ('RESOURCE_EXHAUSTED', 'failed to map segment')
# Takes the words of the command line, or None for those of the process.
Main = Callable[..., int]
_ASCII = str.maketrans('–—─│·×…≥≤█░“”‘’', '---|.x.><#."' + '"' + "''")


def listen() -> None:
  """Handles signals, and refuses a machine on which importing would not end.

  Raises:
    SystemExit: with 75, this process may have too little memory.
  """
  _hear()
  try:
    machine.check_room(_ROOM, 'this command')
  except MemoryError as error:
    say(
      _command(),
      f'out of memory: {error}: run the same command again with a higher limit',
    )
    raise SystemExit(int(Exit.STOPPED)) from None


def _command():
  """The name of the command that this process runs."""
  path = Path(sys.argv[0])
  return path.parent.name if path.stem == '__main__' else path.stem


def _hear():
  """Handles signals, and makes descriptors 0 to 2 safe to write to.

  Where a shell has closed one (`>&-`) the next file that is opened would take
  its number, and what is printed would be written into that file.
  """
  for descriptor in range(3):
    try:
      os.fstat(descriptor)
    except OSError:
      os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
  signals.listen()


def run(main: Main) -> NoReturn:
  """Runs a main as this process and ends it with the main's exit code."""
  gc.set_threshold(_YOUNG)
  _hear()
  stop = signals.current_stop()
  sys.stdout, sys.stderr = Output(sys.stdout, 1), Output(sys.stderr, 2)
  try:
    code = main()
  except signals.Stopped as stopped:  # came after `guarded`
    code = stopped.exit_code
  except SystemExit as asked:
    code = asked.code if isinstance(asked.code, int) else bool(asked.code)
  for stream in (sys.stdout, sys.stderr):
    stream.flush()
  if stop.exit_code is not None:
    code = stop.exit_code
  threads = [
    thread for thread in threading.enumerate() if thread.name != signals.THREAD
  ]
  if threads != [threading.main_thread()]:
    # Not sys.exit: a thread may be inside the compiler, which cannot be
    # interrupted and would abort; everything that counts is on disk.
    os._exit(code)
  aborts.disarm(int(code))
  sys.exit(code)


def guarded(name: str) -> Callable[[Main], Callable[..., int]]:
  """Decorates a main: nothing but its exit code comes out of it.

  Args:
    name: of the command, which its lines on stderr begin with.
  """

  def decorate(main):
    @functools.wraps(main)
    def guarded_main(argv=None):
      try:
        with signals.listening():
          return int(main(argv))
      except Exception as error:
        code, line = _ending(error)
        say(name, line)
      except KeyboardInterrupt as error:
        interrupt = error
        if not isinstance(interrupt, signals.Stopped):
          interrupt = signals.Stopped(Exit.SIGINT)
        code = interrupt.exit_code
        if not interrupt.is_told:
          say(name, str(interrupt))
      return int(code)

    return guarded_main

  return decorate


def tell(*lines: object) -> None:
  """Prints lines on stdout, paths in them written as a terminal bears them."""
  for line in lines:
    print(printable(line), flush=True)


def _ending(error):
  """The exit code of an error and the line that says it."""
  if os.environ.get(DEBUG, '') not in ('', '0'):
    import traceback

    traceback.print_exception(error)
  if isinstance(error, StoreError):
    return error.exit_code, str(error)
  if isinstance(error, errors.BadData | errors.Missing):
    is_missing = isinstance(error, errors.Missing)
    return Exit.NO_DATA if is_missing else Exit.BAD_DATA, str(error)
  if isinstance(error, MemoryError) or any(
    word in str(error) for word in _NO_MEMORY
  ):
    message = str(error)[:200] if isinstance(error, MemoryError) else ''
    return Exit.STOPPED, (
      f'out of memory{message and f": {message}"}{_where(error)}; what was '
      'saved is safe: make room and run the same command again'
    )
  if isinstance(error, ImportError) and (line := advice(error, 'this')):
    return Exit.USAGE, line
  if isinstance(error, BrokenPipeError):
    return Exit.OK, 'nobody reads what is printed'
  if isinstance(error, OSError) and error.errno is not None:
    fault = files.fault(error, error.filename or 'input or output')
    return fault.exit_code, f'{fault}{_where(error)}'
  if isinstance(error, RuntimeError) and 'initialize backend' in str(error):
    return Exit.USAGE, str(error).partition('\n')[0]
  message_ = f'{type(error).__name__}: {error}'
  return Exit.SOFTWARE, (
    f'{message_[:500]}{_where(error)}; this is a fault of the program: '
    f'{DEBUG}=1 shows where it comes from'
  )


def _where(error):
  """The place in our own sources that an error came from, in brackets."""
  place, trace = '', error.__traceback__
  while trace:
    path = trace.tb_frame.f_code.co_filename
    for package in ('experiments', 'lstm_jax'):
      _, separator, tail = path.rpartition(f'{os.sep}{package}{os.sep}')
      if separator and not path.endswith('mains.py'):
        place = f' ({package}/{tail}:{trace.tb_lineno})'
    trace = trace.tb_next
  return place


def is_process() -> bool:
  """Tells whether `run` runs: nobody else's process would be ended."""
  return isinstance(sys.stdout, Output)


class Output:
  """A text stream that never fails: where nobody reads, nothing is written.

  Characters that the stream's encoding lacks are written as their nearest in
  ASCII. Everything else is the stream's.

  Args:
    stream: the stream; None where the descriptor was closed.
    descriptor: its number.
  """

  def __init__(self, stream: TextIO | None, descriptor: int) -> None:
    self._stream, self._descriptor = stream, descriptor

  def __getattr__(self, name: str) -> object:
    return getattr(self._stream, name)

  @property
  def encoding(self) -> str:
    """As the stream's; the encoding of a closed one has everything."""
    return getattr(self._stream, 'encoding', None) or 'utf-8'

  def write(self, text: str) -> int:
    """Writes `text`; returns its length."""
    if self._stream is not None:
      try:
        self._stream.write(text)
      except UnicodeEncodeError:
        encoded = text.translate(_ASCII).encode(self.encoding, 'replace')
        self._try(self._stream.write, encoded.decode(self.encoding))
      except (OSError, ValueError) as error:
        self._give_up(error)
    return len(text)

  def flush(self) -> None:
    """Flushes, or gives up."""
    if self._stream is not None:
      self._try(self._stream.flush)

  def isatty(self) -> bool:
    """Tells whether it is a terminal."""
    with contextlib.suppress(ValueError):
      return self._stream is not None and self._stream.isatty()
    return False

  def _try(self, call, *arguments):
    try:
      call(*arguments)
    except (OSError, ValueError) as error:
      self._give_up(error)

  def _give_up(self, error):
    """Writes nowhere from now on, and says why if somebody may care."""
    stream, self._stream = self._stream, None
    with contextlib.suppress(OSError):
      nowhere = os.open(os.devnull, os.O_WRONLY)
      os.dup2(nowhere, self._descriptor)
      os.close(nowhere)
    # What the stream still holds goes nowhere, now.
    with contextlib.suppress(OSError, ValueError):
      if stream is not None:
        stream.flush()
    reader_left = getattr(error, 'errno', None) in (errno.EPIPE, errno.EIO)
    if self._descriptor == 1 and not reader_left:
      reason = getattr(error, 'strerror', None) or error
      say('output', f'{reason}: what is printed from here on is lost')
