"""The compiled library: made once by a command, loaded when first used.

  python -m lstm_jax.native

compiles it for this processor with the machine's C++ compiler (`$CXX`, else c++
or g++ or clang++) into the user's cache. Nothing is compiled or loaded by an
import.
"""

import ctypes
import fcntl
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import jaxlib

SOURCES = (
  'calls.cc', 'arrays.h', 'back.h', 'cells.h', 'crew.h', 'gradient.h',
  'products.h', 'there.h', 'vector.h', 'weights.h',
)  # fmt: skip
CALLS = ('forward', 'forward_kept', 'backward')
FLAGS = (
  '-std=c++17', '-O3', '-march=native', '-fPIC', '-shared', '-pthread',
  '-fno-math-errno', '-fvisibility=hidden',
)  # fmt: skip
_COMMAND = 'python -m lstm_jax.native'


class Library(NamedTuple):
  """A loaded library; its calls are known to JAX as `lstm_jax_...`."""

  path: Path
  vector_bytes: int


def path() -> Path:
  """Where the library of this source, jaxlib and processor is or will be."""
  mark = hashlib.sha256()
  for name in SOURCES:
    mark.update((Path(__file__).parent / name).read_bytes())
  mark.update(f'{jaxlib.__version__} {FLAGS} {_processor()}'.encode())
  cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
  return Path(cache) / 'lstm_jax' / f'native-{mark.hexdigest()[:16]}.so'


def why_not() -> str | None:
  """Why the library cannot be used here; None: it can."""
  if platform.system() != 'Linux':
    return f'native code is for Linux, this is {platform.system()}'
  if not path().exists():
    return f'not compiled for this machine and source: run `{_COMMAND}` once'
  return None


def build() -> Path:
  """Compiles the library, if it is not there, and returns its path.

  Raises:
    RuntimeError: no compiler, or one that fails, with what it said.
  """
  target = path()
  if target.exists():
    return target
  names = (os.environ.get('CXX'), 'c++', 'g++', 'clang++')
  compiler = next(filter(None, map(shutil.which, filter(None, names))), None)
  if compiler is None:
    raise RuntimeError(
      'no C++ compiler: none of $CXX, c++, g++, clang++ is on the path'
    )
  target.parent.mkdir(parents=True, exist_ok=True)
  with (
    open(target.with_suffix('.lock'), 'w') as lock,
    tempfile.TemporaryDirectory(dir=target.parent) as folder,
  ):
    # Whoever comes second waits, and finds it there.
    fcntl.flock(lock, fcntl.LOCK_EX)
    if target.exists():
      return target
    made = Path(folder) / target.name
    source = Path(__file__).parent / SOURCES[0]
    words = [
      compiler, *FLAGS, f'-isystem{jax.ffi.include_dir()}', str(source),
      '-o', str(made),
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
      raise RuntimeError(
        f'{compiler} ended with {done.returncode}:\n{done.stderr[-2000:]}'
      )
    os.replace(made, target)
  return target


@functools.cache
def load() -> Library:
  """Loads the library and tells JAX of its calls, once a process.

  Raises:
    RuntimeError: it is not there (`why_not`).
  """
  reason = why_not()
  if reason is not None:
    raise RuntimeError(f"kernel='native': {reason}")
  where = path()
  library = ctypes.cdll.LoadLibrary(str(where))
  for name in CALLS:
    call = jax.ffi.pycapsule(getattr(library, f'lstm_jax_{name}'))
    jax.ffi.register_ffi_target(f'lstm_jax_{name}', call, platform='cpu')
  return Library(where, int(library.lstm_jax_vector_bytes()))


@functools.cache
def _processor():
  """What `-march=native` depends on."""
  try:
    lines = Path('/proc/cpuinfo').read_text().splitlines()
  except OSError:
    return platform.machine()
  wanted = ('model name', 'flags', 'Features', 'CPU part')
  seen = {line for line in lines if line.startswith(wanted)}
  return '\n'.join(sorted(seen))
