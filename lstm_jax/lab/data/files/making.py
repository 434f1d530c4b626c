"""A data set made: in a folder beside the one that it replaces, at a rename."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from lstm_jax.lab.data.files import archives, clips, faults, reviews, sources
from lstm_jax.lab.data.files.errors import BadData, Missing
from lstm_jax.lab.data.files.opened import VERSION, Whole
from lstm_jax.lab.data.files.published import IMDB_ARCHIVE, PUBLISHED
from lstm_jax.lab.store import files, seal
from lstm_jax.lab.store.faults import StorageError, StoreError, printable

# What libraries say where a disk is full.
_FULL_WORDS = (
  'No space left',
  'Disk quota',
  'File too large',
  'ENOSPC',
  'EFBIG',
)
_LITTLE = 2**16  # bytes left on a disk that is full

Say = Callable[[str], None]


@contextlib.contextmanager
def alone(path: Path, say: Say) -> Iterator[None]:
  """Holds a lock that the kernel frees however this process ends."""
  with open(path, 'a') as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      say(f'another process prepares {path.stem}; waiting for it')
      fcntl.flock(file, fcntl.LOCK_EX)
    yield


def download(name: str, folder: Path, data_dir: Path, say: Say) -> Path:
  """Fetches the archive of a data set; where it lies then."""
  from lstm_jax.lab.data.files import builders

  say(
    f'{name}: downloading {IMDB_ARCHIVE.url} ({IMDB_ARCHIVE.size / 1e6:.0f} MB)'
  )
  try:
    return builders.fetch(IMDB_ARCHIVE, folder / 'downloads')
  except OSError as error:
    why = f' and cannot be downloaded ({" ".join(str(error).split())})'
    raise sources.missing(name, PUBLISHED[name], data_dir, why) from error


def leftovers(name: str, folder: Path) -> list[Path]:
  """Folders in which a set was being made."""
  return sorted(folder.glob(f'.{name}.*'))


def tidy(name: str, folder: Path) -> None:
  """Takes away what killed preparations have left; the lock is held.

  One that was killed between its two renames has a whole set to give.
  """
  home = folder / name / VERSION
  for making in leftovers(name, folder):
    for complete_set in (making / name / VERSION, making / 'old'):
      if (complete_set / 'whole.json').exists() and not home.exists():
        home.parent.mkdir(exist_ok=True)
        complete_set.rename(home)
    shutil.rmtree(making, ignore_errors=True)


def make(
  name: str,
  folder: Path,
  source: Path,
  path: Path | None,
  skip_bad: bool,
  say: Say,
) -> Whole:
  """Prepares `source`; returns what `whole.json` says."""
  home = folder / name / VERSION
  say(f'{name}: preparing {printable(source)} in {printable(folder)}')
  making = Path(tempfile.mkdtemp(prefix=f'.{name}.', dir=folder))
  making.chmod(folder.stat().st_mode & 0o777)  # others may read what is made
  try:
    state = _made(name, making, source, path, skip_bad, say)
    home.parent.mkdir(exist_ok=True)
    if home.exists():
      home.rename(making / 'old')
    (making / name / VERSION).rename(home)
    files.DISK.fsync_directory(home.parent)
    return state
  except BadData as error:
    if (home / 'whole.json').exists():
      raise BadData(
        f'{error}; what was prepared before is kept in {printable(home)}, and '
        f'used where {printable(source)} is gone'
      ) from error
    raise
  except (Missing, StoreError, OSError, MemoryError):
    raise
  except Exception as error:  # of TFDS and what it writes with
    raise _of_tfds(error, folder) from error
  finally:
    shutil.rmtree(making, ignore_errors=True)


def _of_tfds(error, folder):
  """The `StorageError` that an error of TFDS comes to."""
  message = ' '.join(str(error).split())
  is_full = any(word in message for word in _FULL_WORDS)
  if is_full or shutil.disk_usage(folder).free < _LITTLE:
    fault = 'the disk is full or a file too large'
  else:
    fault = 'cannot be prepared'
  return StorageError(
    f'{printable(folder)}: {fault} ({type(error).__name__}: {message[:200]}); '
    'what was prepared before is safe: make room and run the same command again'
  )


def _made(name, making, source, path, skip_bad, say):
  """Prepares `source` in the folder `making`; returns its `whole.json`."""
  from lstm_jax.lab.data.files import builders

  source_set = PUBLISHED[name]
  left_out: list[str] = []
  report = faults.collector(left_out) if skip_bad else faults.stop
  # Taken before reading: what changes while it is read is then seen as changed.
  stamp = sources.stamp(source_set, source) if path else None
  if source.name == IMDB_ARCHIVE.name:
    archives.checked(source, IMDB_ARCHIVE.sha256, IMDB_ARCHIVE.size)
  with sources.opened(source_set, source, making, report) as opened_source:
    splits_of = lambda listed, records: {
      split: builders.Split(len(rows), records(opened_source, rows, report))
      for split, rows in listed.items()
      if rows
    }
    if name == 'imdb':
      splits = splits_of(reviews.listed(opened_source, report), reviews.records)
    else:
      splits = splits_of(
        clips.listed(name, opened_source, report), clips.records
      )
    result = builders.write(name, making, splits, say) if splits else None
  if not (result and any(map(any, result.counts.values()))):
    why = f' ({len(left_out):,} left out; {left_out[0]})' if left_out else ''
    raise BadData(f'{source}: nothing is left of {source_set.title}{why}')
  home = making / name / VERSION
  facts = {}
  for path in sorted(path for path in home.rglob('*') if path.is_file()):
    with open(path, 'rb') as file:
      os.fsync(file.fileno())
      digest = hashlib.file_digest(file, 'sha256').hexdigest()
    facts[str(path.relative_to(home))] = [path.stat().st_size, digest]
  prefix = f'{source.parent}{os.sep}'
  state = {
    'stamp': stamp,
    **result._asdict(),
    'left_out': [line.removeprefix(prefix) for line in left_out],
    'files': facts,
  }
  files.publish(home / 'whole.json', seal.seal_json('data set', state))
  return state
