"""Finds a published data set on this machine, as a folder or in a tar."""

import contextlib
import fnmatch
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lstm_jax.lab.data.files import archives, faults
from lstm_jax.lab.data.files.errors import BadData, Missing
from lstm_jax.lab.data.files.published import Published
from lstm_jax.lab.store import files, places
from lstm_jax.lab.store.faults import StoreError

# Where TFDS keeps what its users have fetched by hand.
_MANUAL = Path('downloads', 'manual')


class Source(NamedTuple):
  """The files of a data set.

  Attributes:
    path: the folder or the archive, for messages.
    sizes: name from the folder of the set -> bytes.
    read: `name -> bytes`; may be called from any thread.
  """

  path: Path
  sizes: Mapping[str, int]
  read: Callable[[str], bytes]


def default_folder() -> Path:
  """The data folder where none is named.

  `LSTM_JAX_DATA`, else TFDS's own: `TFDS_DATA_DIR`, else
  `~/tensorflow_datasets`.

  Raises:
    Unusable: there is no home folder.
  """
  for name in ('LSTM_JAX_DATA', 'TFDS_DATA_DIR'):
    if os.environ.get(name):
      return places.expanded(os.environ[name])
  return places.expanded('~/tensorflow_datasets')


def find(published: Published, data_dir: Path) -> Path | None:
  """The folder or the archive of a data set.

  Looks in `data_dir` and in its `downloads/manual`; a folder goes before an
  archive.

  Args:
    published: the data set.
    data_dir: `Path`; may be the folder of the set itself.

  Returns:
    `Path`; None: there is neither.

  Raises:
    OSError: a folder cannot be read.
  """
  roots = [data_dir, data_dir / _MANUAL]
  for root in roots:
    if root.is_dir():
      os.scandir(root).close()  # `glob` finds nothing where it may not look
  if (data_dir / published.marker).exists():
    return data_dir
  for root in roots:
    for pattern in published.folders:
      for folder in sorted(root.glob(pattern)):
        if (folder / published.marker).exists():
          return folder
  for root in roots:
    for pattern in published.archives:
      for path in sorted(root.glob('*')):
        name = path.name.lower()
        if fnmatch.fnmatch(name, pattern) and name.endswith(archives.SUFFIXES):
          return path
  return None


def missing(
  name: str, published: Published, data_dir: Path, why: str = ''
) -> Missing:
  """The `Missing` that says how to get a data set."""
  return Missing(
    f'{name}: {published.title} is not in {data_dir}{why}. '
    f'Get it from {published.page} and put {published.layout} into '
    f'{data_dir} (or name another folder with --data_dir or LSTM_JAX_DATA). '
    'Supervised runs on drawn data (sine, multiplication) need none.'
  )


def stamp(published: Published, path: Path) -> str:
  """A hash by which a change of the files is noticed without reading them.

  Args:
    published: the data set.
    path: its folder or archive.

  Returns:
    Hexadecimal digest of names, sizes and times.
  """
  facts = []
  if path.is_dir():
    for name, entry in sorted(_walk(published, path)):
      status = entry.stat()
      facts.append((name, status.st_size, status.st_mtime_ns))
  else:
    status = path.stat()
    facts.append((path.name, status.st_size, status.st_mtime_ns))
  return hashlib.sha256(repr(facts).encode()).hexdigest()


@contextlib.contextmanager
def opened(
  published: Published,
  path: Path,
  scratch: Path,
  report: faults.Report = faults.stop,
) -> Iterator[Source]:
  """Opens a data set where it lies.

  Args:
    published: the data set.
    path: its folder or archive, of `find`.
    scratch: folder for a decompressed archive.
    report: is given bad members of an archive.

  Yields:
    `Source`.

  Raises:
    BadData: the archive is damaged, or holds something else.
  """
  if path.is_dir():
    sizes = {n: entry.stat().st_size for n, entry in _walk(published, path)}
    yield Source(path, sizes, lambda name: _read(path / name))
    return
  with archives.opened(path, scratch, report) as archive:
    top = _top(published, path, archive.sizes)
    sizes = {
      name.removeprefix(top): size
      for name, size in archive.sizes.items()
      if name.startswith(top) and _belongs(published, name)
    }
    yield Source(path, sizes, lambda name: archive.read(top + name))


def _read(path):
  try:
    return files.read(path, archives.LARGEST)
  except OSError as error:
    raise BadData(f'{path}: {error.strerror}') from error
  except StoreError as error:
    raise BadData(str(error)) from error


def _top(published, path, names):
  """Returns what stands before the names of the set's own folder."""
  for name in names:
    prefix, marker, _ = name.partition(published.marker)
    if marker and (not prefix or prefix.endswith('/')):
      return prefix
  raise BadData(f'{path}: holds no {published.marker}: not {published.title}')


def _belongs(published, name):
  """Tells whether a file is of the set; systems leave hidden ones of theirs."""
  file = name.rpartition('/')[2]
  table = published.marker.rpartition('/')[2]
  return not file.startswith('.') and (
    file == table or file.lower().endswith(published.suffixes)
  )


def _walk(published, folder, prefix=''):
  """`(name, entry)` of every file of the set in a folder."""
  with files.storage(folder), os.scandir(folder) as entries:
    for entry in entries:
      name = prefix + entry.name
      if entry.is_dir() and not entry.name.startswith('.'):
        yield from _walk(published, entry.path, f'{name}/')
      elif entry.is_file() and _belongs(published, name):
        yield name, entry
