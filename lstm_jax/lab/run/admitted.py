"""Notes of what the same code has admitted: it is not looked at again.

Beside the compiled programs, one file for each state of the code has a line for
each look of `admission` that found nothing wrong. A line is a digest, so that
one that is half written or somebody else's is that of no look. Code of others,
which may change while ours does not, has none.
"""

import contextlib
import functools
import hashlib
import platform
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from lstm_jax import public
from lstm_jax.lab.run import jax_options
from lstm_jax.lab.store import faults, files, provenance, seal

_PREFIX = 'admitted-'
_MAX_BYTES = 2**20
_SOURCES = ('.py', '.cc', '.h')


def file_of(folder: Path | None, device_kind: str) -> Path | None:
  """The file for the code that this process runs.

  Args:
    folder: of the compiled programs, see `compile_cache.set_up`.
    device_kind: the platform of the device, 'cpu'.

  Returns:
    The file, there or not; None where nothing is kept, or where the sources
    cannot be read.
  """
  code = folder and _digest_of_package()
  if not folder or not code:
    return None
  facts = {
    'code': code,
    'python': platform.python_version(),
    'packages': provenance.versions(),
    'jax_config': jax_options.recorded(),
    'device_kind': device_kind,
  }
  return folder / f'{_PREFIX}{seal.digest(facts)[:32]}'


def read(path: Path | None) -> dict[str, bool]:
  """Name of a look -> True, of all that were kept.

  {} where the file cannot be read, or anybody may write to it.
  """
  if path is None:
    return {}
  try:
    if path.stat().st_mode & stat.S_IWOTH:
      return {}
    names = re.findall(rb'^[0-9a-f]{64}$', files.read(path, _MAX_BYTES), re.M)
  except (OSError, faults.StoreError):
    return {}
  return {name.decode(): True for name in names}


def keep(path: Path | None, looks: Mapping[str, bool]) -> None:
  """Keeps the names of the looks that found nothing wrong; or does not.

  Args:
    path: of `file_of`.
    looks: name of a look -> whether it found nothing wrong.
  """
  names = sorted(name for name, is_right in looks.items() if is_right)
  if path is None or not names:
    return
  data = ''.join(f'{name}\n' for name in names).encode()
  with contextlib.suppress(OSError, faults.StoreError):
    files.write(path, data)


# Once: a file that is edited later is not what this process has imported.
@functools.cache
def _digest_of_package():
  return digest_of(Path(public.__file__).parent)


def digest_of(folder: Path) -> str | None:
  """A digest of all sources below a folder; None where there are none.

  Of bytes: what runs is in more files than imports lead to (compiled loops,
  entries chosen by name), and an edited comment costs a few seconds once.
  """
  digest, paths = hashlib.sha256(), files.tree(folder, _SOURCES)
  try:
    for path in paths:
      data = files.read(path)
      name = path.relative_to(folder).as_posix()
      digest.update(f'{name} {len(data)}\n'.encode() + data)
  except (OSError, faults.StoreError):
    return None
  return digest.hexdigest() if paths else None
