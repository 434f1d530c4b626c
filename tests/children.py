"""Child processes of tests: one that ends wrongly shows all that it said."""

import itertools
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATIENCE = 300  # seconds that no child takes, on a busy machine either


def python(*words, returns=0, **how):
  """Runs Python with these words to its end.

  Args:
    *words: of its command line.
    returns: the exit code it must end with; None: any.
    **how: what else `start` takes.

  Returns:
    A `subprocess.CompletedProcess` with stdout and stderr as text.
  """
  return ended(start(*words, **how), returns)


def start(*words, cwd=ROOT, **how):
  """Starts Python with these words, stdout and stderr read as text.

  Args:
    *words: of its command line.
    cwd: where it runs.
    **how: what else `subprocess.Popen` takes.

  Returns:
    The process, for `ended`.
  """
  pipe = subprocess.PIPE
  command = [sys.executable, *map(str, words)]
  how = {'stdin': subprocess.DEVNULL, 'stdout': pipe, 'stderr': pipe} | how
  return subprocess.Popen(command, cwd=cwd, text=True, **how)


def ended(process, returns=0, within=PATIENCE):
  """Waits for the end of a process and checks its exit code.

  Args:
    process: what `start` made.
    returns: the exit code it must end with; None: any.
    within: seconds after which it is killed, and the test fails.

  Returns:
    A `subprocess.CompletedProcess` with stdout and stderr as text.
  """
  try:
    out, err = process.communicate(timeout=within)
    how = f'ended with {process.returncode} where {returns} is right'
  except subprocess.TimeoutExpired:
    process.kill()
    out, err = process.communicate()
    how, returns = f'did not end within {within} s', 'an end'
  if returns not in (None, process.returncode):
    command = ' '.join(process.args)
    raise AssertionError(
      f'{command}\n{how}\n-- stdout:\n{out}\n-- stderr:\n{err}'
    )
  return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def await_that(process, holds):
  """Waits until something holds, or the process has ended.

  Args:
    process: what `start` made.
    holds: a function without arguments.
  """
  for turn in itertools.count():
    if holds() or process.poll() is not None:
      return
    assert turn < 100 * PATIENCE, f'nothing happens: {holds}'
    try:
      process.wait(0.01)
    except subprocess.TimeoutExpired:
      continue


def has_loaded(process, name):
  """Whether a process has mapped a file with this in its name."""
  try:
    return name in Path(f'/proc/{process.pid}/maps').read_text()
  except OSError:
    return False
