"""The folder of compiled programs: JAX's own cache, set up for small programs.

It is never in the way: what is wrong with the folder costs a line at most, and
programs are then compiled as they would be without it. A program that was kept
is the one that was compiled, so results have the same bits.

JAX can bound such a folder itself, but needs another package for it, and one
file without its companion keeps it from ever writing again (jax #39880). Nor is
what a killed process or a full disk has left half written ever replaced. So
here what is new is looked at once, and what is oldest goes, before a run.
"""

import contextlib
import hashlib
import importlib
import os
import platform
import stat
import warnings
import zlib
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from lstm_jax.lab.run import mains
from lstm_jax.lab.store import faults, files, places

VARIABLE = 'LSTM_JAX_COMPILE_CACHE'
# A program of a few cells takes 75 kB.
MAX_BYTES = 2**29
_SUFFIX = '-cache'
_CHECKED = 'checked'  # its time: files of before it have been looked at
_ZSTANDARD = b'\x28\xb5\x2f\xfd'
# Programs of milliseconds are kept too: a run of small networks has dozens.
OPTIONS = {
  'jax_persistent_cache_min_compile_time_secs': 0.0,
  'jax_persistent_cache_min_entry_size_bytes': -1,
}


def set_up(
  choice: str = '', environ: Mapping[str, str] = os.environ
) -> Path | None:
  """Has JAX keep what it compiles in a folder, and take it from there.

  To be called before JAX compiles. A cache of the user's own, which JAX has
  been told of in the environment or by the program that calls, stays as it is
  unless another folder or none is asked for.

  Args:
    choice: 'auto', 'off' or a folder; '' for what the environment says in
      `LSTM_JAX_COMPILE_CACHE`, else 'auto'.
    environ: the environment.

  Returns:
    The folder of this machine and these versions; None where there is none of
    ours.
  """
  import jax
  from jax.experimental.compilation_cache import compilation_cache

  own_folder = jax.config.values['jax_compilation_cache_dir']
  if choice in ('', 'auto') and own_folder:
    return None
  choice = choice or environ.get(VARIABLE, '') or 'auto'
  # JAX looks where its cache is once, and whether it has one.
  compilation_cache.reset_cache()
  if choice == 'off':
    jax.config.update('jax_enable_compilation_cache', False)
    return None
  try:
    root = places.cache() / 'compiled' if choice == 'auto' else Path(choice)
    folder = root.absolute() / _of_this_machine()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_what_others_write(folder)
    _look_at_new(folder)
    _remove_oldest(root)
  except (OSError, faults.StoreError) as error:
    mains.note(
      'sweep',
      f'no cache of compiled programs: {error}; --compile_cache=FOLDER names '
      'another folder, --compile_cache=off none',
    )
    return None
  # What cannot be read or written is compiled: no news to anybody.
  warnings.filterwarnings(
    'ignore', 'Error (reading|writing) persistent compilation cache entry'
  )
  for name, value in OPTIONS.items():
    jax.config.update(name, value)
  jax.config.update('jax_compilation_cache_dir', str(folder))
  return folder


@contextlib.contextmanager
def as_before() -> Iterator[None]:
  """A context after which JAX keeps what it compiles where it did before."""
  import jax
  from jax.experimental.compilation_cache import compilation_cache

  names = (
    *OPTIONS,
    'jax_compilation_cache_dir',
    'jax_enable_compilation_cache',
  )
  options = {name: jax.config.values[name] for name in names}
  try:
    with warnings.catch_warnings():
      yield
  finally:
    changed = [n for n, v in options.items() if jax.config.values[n] != v]
    for name in changed:
      jax.config.update(name, options[name])
    if changed:
      compilation_cache.reset_cache()


def _of_this_machine() -> str:
  """The name of a folder for one kind of processor and one compiler.

  What is compiled for a processor with wider vectors ends a process on one
  without them.
  """
  from lstm_jax.nn.native import library  # imports JAX

  processor = hashlib.sha256(library.processor().encode()).hexdigest()[:12]
  return (
    f'{platform.machine()}-{processor}-jax{version("jax")}'
    f'-jaxlib{version("jaxlib")}'
  )


def _refuse_what_others_write(folder):
  """Refuses a folder that anybody may write to: its programs are run."""
  if folder.stat().st_mode & stat.S_IWOTH:
    raise faults.Unusable(f'{folder}: anybody may write to it')


def _look_at_new(folder):
  """Removes what was half written, among what is newer than the last look."""
  marker = folder / _CHECKED
  try:
    last = marker.stat().st_mtime_ns
  except FileNotFoundError:
    last = 0
  # Before the look: what is written meanwhile is looked at the next time.
  marker.touch()
  for entry in os.scandir(folder):
    with contextlib.suppress(OSError):
      is_new = entry.stat().st_mtime_ns >= last
      if entry.name.endswith(_SUFFIX) and is_new and not _is_whole(entry.path):
        os.unlink(entry.path)


def _is_whole(path):
  """Tells whether a file holds all that was to be written to it."""
  try:
    data = files.read(path, MAX_BYTES)
    if data.startswith(_ZSTANDARD):
      _zstandard().decompress(data)
    else:
      zlib.decompress(data)
  except Exception:  # of whichever package has compressed it
    return False
  return True


def _zstandard():
  """The module that JAX compresses with, where it has it."""
  try:
    return importlib.import_module('compression.zstd')
  except ImportError:
    return importlib.import_module('zstandard')


def _remove_oldest(root):
  """Removes the files that were used longest ago, beyond `MAX_BYTES`."""
  found = []
  for folder, _, names in os.walk(root):
    for name in names:
      path = os.path.join(folder, name)
      with contextlib.suppress(OSError):
        facts = os.stat(path)
        used = max(facts.st_atime, facts.st_mtime)
        found.append((used, facts.st_size, path))
  total = sum(size for _, size, _ in found)
  for _, size, path in sorted(found):
    if total <= MAX_BYTES:
      break
    with contextlib.suppress(OSError):
      os.unlink(path)
      total -= size
