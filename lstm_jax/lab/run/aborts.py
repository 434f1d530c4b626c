"""A library that aborts ends the process as every other fault does.

Compilers and runtimes in C++ end the process where they find no memory: no
exception comes through, and a handler written in Python would not run. The
signal is answered by the C library's own `exit`, and what that calls is
registered beforehand: a line on stderr, and `_exit` with a documented code.
"""

import contextlib
import ctypes
import signal


def arm(code: int, line: str) -> None:
  """From now on SIGABRT ends this process with a code and a line on stderr.

  So would every other end of it: whoever arms also calls `disarm`, last.

  Args:
    code: to exit with.
    line: to print.
  """
  # The C library of another system may lack one of these.
  with contextlib.suppress(AttributeError, OSError):
    libc = ctypes.CDLL(None)
    _at_exit(libc, libc._exit, code)
    libc.strdup.restype = ctypes.c_void_p  # stays for as long as the process
    _at_exit(libc, libc.perror, libc.strdup(line.encode()))
    libc.signal.argtypes = ctypes.c_int, ctypes.c_void_p
    libc.signal.restype = ctypes.c_void_p
    libc.signal(signal.SIGABRT, ctypes.cast(libc.exit, ctypes.c_void_p))


def disarm(code: int) -> None:
  """Makes `code` the exit code after all: the last to register runs first."""
  with contextlib.suppress(AttributeError, OSError):
    libc = ctypes.CDLL(None)
    _at_exit(libc, libc._exit, code)


def _at_exit(libc, function, argument):
  """Has the C library call `function(argument)` when the process ends."""
  register = libc.__getattr__('__cxa_atexit')
  register.argtypes = (ctypes.c_void_p,) * 3
  register(ctypes.cast(function, ctypes.c_void_p), argument, None)
