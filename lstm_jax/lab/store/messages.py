"""Lines on stderr: what is wrong, what is worth knowing, how far a thing is.

In a process of ours, where `lab.run.command` has set up absl's logging, they go
through it; elsewhere they are printed. Nothing is said where stderr is closed.
"""

import contextlib
import sys

from lstm_jax.lab.store.faults import printable

# A formatter of absl's handler that has this writes lines as they are.
WRITES_LINES = 'writes_lines'


def say(name: str, *lines: object) -> None:
  """Says what is wrong, each line behind the name of the command."""
  _log('error', [f'{name}: {_printable(line)}' for line in lines])


def note(name: str, *lines: object) -> None:
  """Says what is worth knowing, as `say`; `--verbosity=-2` hides it."""
  _log('warning', [f'{name}: {_printable(line)}' for line in lines])


def tell(*lines: object) -> None:
  """Says how far a thing is, or what it goes without; hidden as `note`."""
  _log('warning', [_printable(line) for line in lines])


def _printable(line):
  return printable(line, keep='\n')


def _log(level, lines):
  """Logs lines by absl where it has been set up, else prints them."""
  if sys.stderr is None:  # closed, and then `print` would take stdout
    return
  absl = sys.modules.get('absl.logging')
  handler = absl and absl.get_absl_handler().python_handler
  is_own = hasattr(getattr(handler, 'formatter', None), WRITES_LINES)
  for line in lines:
    with contextlib.suppress(OSError, ValueError):
      if absl and is_own:
        log = getattr(absl.get_absl_logger(), level)
        log('%s', line, extra={'is_line': True})
      else:
        print(line, file=sys.stderr, flush=True)
