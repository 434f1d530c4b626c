"""The compiled library: made once by a command, loaded when first used.

  python -m lstm_jax.nn.native

compiles it for this processor with the machine's C++ compiler (`$CXX`, else c++
or g++ or clang++) into the user's cache. Nothing is compiled or loaded by an
import. A file is sealed by a digest at its end and not loaded without: of one
that is cut or strange the process would die, not fail.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

SOURCES = (
  'ffi_calls.cc', 'arrays.h', 'backward.h', 'cells.h', 'checks.h', 'forward.h',
  'matmul.h', 'packing.h', 'simd.h', 'squashing.h', 'thread_pool.h',
  'truncated.h', 'truncated_call.h', 'truncated_draw.h', 'truncated_errors.h',
  'truncated_errors_call.h', 'truncated_lane.h', 'truncated_net.h',
  'weight_gradient.h',
)  # fmt: skip
CALLS = (
  'forward', 'forward_kept', 'backward', 'truncated', 'truncated_drawn',
  'truncated_kept', 'truncated_errors', 'truncated_products',
)  # fmt: skip
FLAGS = (
  '-std=c++17', '-O3', '-march=native', '-fPIC', '-shared', '-pthread',
  '-fno-math-errno', '-fvisibility=hidden',
)  # fmt: skip
# What compilers that know no `-march=native` have instead of it, if anything.
_INSTEAD = (('-march=native',), ('-mcpu=native',), ())
_COMMAND = 'python -m lstm_jax.nn.native'
_SYSTEMS = ('Linux', 'Darwin')
_NO_COMPILER = 'no C++ compiler: none of $CXX, c++, g++, clang++ is on the path'
_SEAL = b'lstm_jax sealed '


class Library(NamedTuple):
  """A loaded library; its calls are known to JAX as `lstm_jax_...`."""

  path: Path
  vector_bytes: int


def path() -> Path:
  """Names the library of this source, jaxlib and processor, there or not yet.

  Raises:
    RuntimeError: no folder for caches, unreadable sources.
  """
  try:
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(cache) / 'lstm_jax' / f'native-{_mark()[:16]}.so'
  except RuntimeError:
    raise RuntimeError(
      'there is no home folder for its cache: set XDG_CACHE_HOME'
    ) from None
  except OSError as error:
    raise RuntimeError(_error_text(error)) from None


def why_not() -> str | None:
  """Says why the library cannot be used here, in one line; None: it can."""
  if platform.system() not in _SYSTEMS:
    return f'native code is for Linux and macOS, this is {platform.system()}'
  try:
    return _fault_of(path())
  except RuntimeError as error:
    return str(error)


def why_never() -> str | None:
  """Says why the library neither is here nor can be compiled; None: it can."""
  reason = why_not()
  has_home = platform.system() in _SYSTEMS and _known_path() is not None
  if reason is None or (has_home and _compiler() is not None):
    return None
  return _NO_COMPILER if has_home else reason


def build() -> Path:
  """Compiles the library, unless a good one is there, and returns its path.

  Raises:
    RuntimeError: no compiler, one that fails, a cache that cannot be written;
      in one line.
  """
  try:
    return _build(path())
  except OSError as error:
    raise RuntimeError(_error_text(error)) from None


@functools.cache
def load() -> Library:
  """Loads the library and tells JAX of its calls, once a process.

  Raises:
    RuntimeError: it cannot be used (`why_not`).
  """
  reason = why_not()
  if reason is not None:
    raise RuntimeError(f"kernel='native': {reason}")
  where = path()
  library = ctypes.CDLL(str(where))
  import jax  # a plan asks for the library, and does without

  for name in CALLS:
    call = jax.ffi.pycapsule(getattr(library, f'lstm_jax_{name}'))
    jax.ffi.register_ffi_target(f'lstm_jax_{name}', call, platform='cpu')
  return Library(where, int(library.lstm_jax_vector_bytes()))


def _known_path():
  """`path`, None where there is none."""
  try:
    return path()
  except RuntimeError:
    return None


def _compiler():
  """The path of the machine's C++ compiler, None where there is none."""
  names = (os.environ.get('CXX'), 'c++', 'g++', 'clang++')
  return next(filter(None, map(shutil.which, filter(None, names))), None)


def _build(target):
  """`build`, with errors of the system as they are."""
  if _fault_of(target) is None:
    return target
  compiler = _compiler()
  if compiler is None:
    raise RuntimeError(_NO_COMPILER)
  target.parent.mkdir(parents=True, exist_ok=True)
  with (
    open(target.with_suffix('.lock'), 'w') as lock,
    tempfile.TemporaryDirectory(dir=target.parent) as folder,
  ):
    # Whoever comes second waits, and finds it there; where files cannot be
    # locked it makes the same once more.
    with contextlib.suppress(OSError, ImportError):
      import fcntl

      fcntl.flock(lock, fcntl.LOCK_EX)
    if _fault_of(target) is None:
      return target
    library_file = Path(folder) / target.name
    _compile(compiler, library_file)
    _try_out(compiler, library_file)
    content, sealed = (
      library_file.read_bytes(),
      library_file.with_suffix('.sealed'),
    )
    sealed.write_bytes(content + _seal(content))
    os.replace(sealed, target)
  return target


def _compile(compiler, output_file):
  """Compiles the sources to the file `output_file`."""
  import jax

  source = Path(__file__).parent / SOURCES[0]
  for machine in _INSTEAD:
    flags = [
      other
      for flag in FLAGS
      for other in (machine if flag == '-march=native' else (flag,))
    ]
    words = [
      compiler, *flags, f'-isystem{jax.ffi.include_dir()}', str(source),
      '-o', str(output_file),
    ]  # fmt: skip
    process = subprocess.run(
      words, capture_output=True, text=True, check=False, errors='replace'
    )
    messages = process.stderr.strip().splitlines()
    if not process.returncode:
      return
    if not any('=native' in line for line in messages):
      break
  errors = (
    [line for line in messages if 'error' in line] + messages[-1:] + ['nothing']
  )
  raise RuntimeError(
    f'{compiler} ended with {process.returncode} and said: {errors[0].strip()}'
  )


def _try_out(compiler, library_file):
  """Loads the file in a process that may die of it."""
  calls = [f'lstm_jax_{name}' for name in CALLS]
  code = (
    'import ctypes, sys\n'
    'library = ctypes.CDLL(sys.argv[1])\n'
    '[getattr(library, name) for name in sys.argv[2:]]\n'
    'library.lstm_jax_vector_bytes()'
  )
  process = subprocess.run(
    [sys.executable, '-I', '-c', code, str(library_file), *calls],
    capture_output=True, text=True, check=False, errors='replace',
  )  # fmt: skip
  if process.returncode:
    messages = process.stderr.strip().splitlines()[-1:] or [
      str(process.returncode)
    ]
    raise RuntimeError(f'what {compiler} made cannot be loaded: {messages[0]}')


def _fault_of(target):
  """Says why a file is not the library that it is to be; None: it is."""
  try:
    state = target.stat()
    return _fault_at(target, state.st_mtime_ns, state.st_size, state.st_ino)
  except FileNotFoundError:
    return f'not compiled for this machine and source: run `{_COMMAND}` once'
  except OSError as error:
    return f'{_error_text(error)}: set XDG_CACHE_HOME to a folder of yours'


@functools.lru_cache(maxsize=16)
def _fault_at(target, *state):
  """`_fault_of` a file in this state, so that it is read once."""
  del state
  if not target.is_file():
    return f'{target} is not a file: remove it, then run `{_COMMAND}`'
  content = target.read_bytes()
  length = len(_seal(b''))
  if content[-length:] != _seal(content[:-length]):
    return f'{target} is damaged or not ours: run `{_COMMAND}`'
  return None


def _seal(content):
  """Makes what stands behind a library's bytes, which loaders do not read."""
  mark = hashlib.sha256(content + _mark().encode()).hexdigest()
  return _SEAL + mark.encode()


@functools.cache
def _mark():
  """A digest of all that the library depends on."""
  mark = hashlib.sha256()
  for name in SOURCES:
    mark.update((Path(__file__).parent / name).read_bytes())
  import jaxlib  # a command that names what it cannot do needs none

  mark.update(f'{jaxlib.__version__} {FLAGS} {processor()}'.encode())
  return mark.hexdigest()


def processor() -> str:
  """Returns what `-march=native` depends on: names, flags of processors."""
  try:
    lines = Path('/proc/cpuinfo').read_text().splitlines()
  except OSError:  # not Linux
    words = ['sysctl', '-n', 'machdep.cpu.brand_string']
    name = ''
    with contextlib.suppress(OSError):
      name = subprocess.run(words, capture_output=True, text=True).stdout
    return f'{platform.machine()} {platform.processor()} {name.strip()}'
  prefixes = ('model name', 'flags', 'Features', 'CPU part')
  distinct_lines = {line for line in lines if line.startswith(prefixes)}
  return '\n'.join(sorted(distinct_lines))


def _error_text(error):
  """An error of the system in one line, with its file."""
  reason = error.strerror or str(error)
  return f'{error.filename}: {reason}' if error.filename else reason
