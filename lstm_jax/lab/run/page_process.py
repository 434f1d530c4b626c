"""The page of a run that works, in a process of its own beside it.

Neither can hold up the other. The page's process ends when nobody can write to
its standard input any more: that is, with the run, however that ends. A run
that executes its command anew (see `parts`) leaves the page to the next part:
it stays at one address.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import NamedTuple

from lstm_jax.lab.run import mains, parts

# Given to the process of a page: it ends where its standard input does.
UNTIL_STDIN_ENDS = 'until_stdin_ends'
_START = 'from lstm_jax.lab import console; console.run()'
_PAGE = 'LSTM_JAX_PAGE'


class _Page(NamedTuple):
  """A page's process.

  Attributes:
    pid: of the process, a child of this one.
    pipe: descriptor of the pipe that its standard input reads from.
    process: what has started it; None: a part before this one has.
  """

  pid: int
  pipe: int
  process: subprocess.Popen[bytes] | None = None


@contextlib.contextmanager
def beside(
  folder: Path,
  data_dir: str = '',
  environ: MutableMapping[str, str] = os.environ,
) -> Iterator[parts.Legacy]:
  """A page of a run folder while the context lasts.

  On a terminal it stays after a run that has ended by itself, until Ctrl-C.

  Args:
    folder: the run folder, which may not be there yet.
    data_dir: where its data are; '': the usual place.
    environ: the environment, in which a part before this one has left its page;
      that is taken out.

  Yields:
    What the next part needs to go on with the page.
  """
  page = _left(environ.pop(_PAGE, '')) or _started(folder, data_dir)
  try:
    yield parts.Legacy({_PAGE: f'{page.pid},{page.pipe}'}, (page.pipe,))
    if sys.stdin is not None and sys.stdin.isatty() and not _has_ended(page):
      mains.tell('The page stays until Ctrl-C.')
      with contextlib.suppress(KeyboardInterrupt):
        _await_end(page)
  finally:
    if not _has_ended(page):
      os.kill(page.pid, signal.SIGTERM)
      _await_end(page)
    if page.process:
      page.process.communicate()
    else:
      os.close(page.pipe)


def _started(folder, data_dir):
  process = subprocess.Popen(
    [sys.executable, '-c', _START, 'serve', str(folder)]
    + [f'--data_dir={data_dir}'] * bool(data_dir)
    + [f'--{UNTIL_STDIN_ENDS}'],
    stdin=subprocess.PIPE,
    start_new_session=True,  # Ctrl-C is the run's
  )
  assert process.stdin is not None
  return _Page(process.pid, process.stdin.fileno(), process)


def _left(words):
  """The page that the part before has left; None: there is none."""
  try:
    pid, pipe = map(int, words.split(','))
    os.set_inheritable(pipe, False)
  except (ValueError, OSError):
    return None
  page = _Page(pid, pipe)
  return None if _has_ended(page) else page


def _has_ended(page):
  """Tells whether a page's process has ended, or is no child of this one."""
  if page.process:
    return page.process.poll() is not None
  try:
    return os.waitpid(page.pid, os.WNOHANG)[0] != 0
  except ChildProcessError:
    return True


def _await_end(page):
  if page.process:
    page.process.wait()
    return
  with contextlib.suppress(ChildProcessError):
    os.waitpid(page.pid, 0)
