"""Errors of run folders, and the exit code of each.

The message of a `StoreError` is for the person at the keyboard: what, where,
what to do next. A command prints it and exits with the error's `exit_code`.
"""

import enum
import re


class Exit(enum.IntEnum):
  """Exit codes of the commands; 65 to 75 are those of sysexits.h."""

  OK = 0  # every trial has a final status, diverged ones included
  USAGE = 2  # wrong flags, or a folder that belongs to another plan
  FAILED = 3  # complete, but a trial failed by an error or a record is bad
  BAD_DATA = 65  # a data file is damaged
  NO_DATA = 66  # a data set is not on this machine; the message says how
  SOFTWARE = 70  # an error nobody foresaw; LSTM_JAX_DEBUG=1 shows where
  UNUSABLE = 73  # the output directory cannot be used
  STORAGE = 74  # disk full or I/O error; what is saved is safe, run again
  STOPPED = 75  # stopped on request or the folder is in use, run again
  SIGHUP = 129  # stopped by SIGHUP after saving
  SIGINT = 130  # stopped by SIGINT after saving
  SIGTERM = 143  # stopped by SIGTERM after saving


DEBUG = 'LSTM_JAX_DEBUG'
EXIT_CODES = f"""\
Exit codes: 0 done; 2 bad flags, or a folder of another plan; 3 done, but a
trial failed by an error or a record is bad; 65 a data file or a plan is
damaged; 66 a data set is missing; 70 an error nobody foresaw
({DEBUG}=1 shows where); 73 folder unusable; 74 disk trouble;
75 stopped on request, out of memory or in use elsewhere, run again; 129, 130
and 143 stopped by SIGHUP, SIGINT and SIGTERM: what was saved is safe, run
again to continue. What cannot be printed changes no code: work goes on."""


def printable(text: object, keep: str = '') -> str:
  """Text with everything that a terminal would act on written as an escape.

  Args:
    text: a name, a path, a value, as somebody else has written it.
    keep: characters that stay, as the newlines of our own messages.
  """
  return ''.join(
    c if c.isprintable() or c in keep else c.encode('unicode_escape').decode()
    for c in str(text)
  )


_PATH = re.compile(
  r'"(/[^"\n]+)"|(?<![\w.~/:-])(~?/[^\s"\'<>:;,()\[\]/][^\s"\'<>:;,()\[\]]*)'
)
_IN_PACKAGE = re.compile(r'.*/((?:lstm_jax|experiments)/.*)')
_PACKAGE = re.compile(r'.*/(?:site|dist)-packages/(.*)')


def without_places(text: str) -> str:
  """A message whose paths say nothing of the machine: `lstm_jax/types.py`."""

  def relative(match):
    path = match[1] or match[2]
    for pattern in (_PACKAGE, _IN_PACKAGE):
      if path_match := pattern.fullmatch(path):
        break
    short_path = (
      path_match[1]
      if path_match
      else f'.../{path.rstrip("/").rpartition("/")[2]}'
    )
    return f'"{short_path}"' if match[1] else short_path

  return _PATH.sub(relative, text)


class StoreError(Exception):
  """A run folder cannot do what was asked; the message is for its user."""

  exit_code = Exit.FAILED


class Corrupt(StoreError):
  """A sealed file is not what was written."""

  exit_code = Exit.BAD_DATA


class Refused(StoreError):
  """The folder holds something else: another plan, another schema."""

  exit_code = Exit.USAGE


class Unusable(StoreError):
  """The folder cannot be written or read: permissions, links, names."""

  exit_code = Exit.UNUSABLE


class StorageError(StoreError):
  """Disk full, quota, file too large or I/O error; what is saved is safe."""

  exit_code = Exit.STORAGE


class Busy(StoreError):
  """Another process works on the folder."""

  exit_code = Exit.STOPPED


class Machine(StoreError):
  """No memory or a sick device: nothing is a result, run again."""

  exit_code = Exit.STOPPED
