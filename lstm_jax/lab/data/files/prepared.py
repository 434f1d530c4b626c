"""Data sets prepared once and read from then on.

  data_dir/                    what the user has put there, see `published`
    lstm_jax/imdb/1.0.0/       prepared: TFDS's files, and `whole.json`

Where `data_dir` cannot be written to, what is there already is read, and what
has to be prepared goes to `$XDG_CACHE_HOME/lstm_jax/prepared/`. `whole.json` is
written last, durably: it lists the files with sizes and checksums, so that
nothing half-made, cut, mixed or damaged is taken for a data set.

A set is made in a folder next to it (`.imdb.x1y2/`) and takes its place by a
rename; the one before it goes last. A kill, a full disk or a bad file at any
moment leaves the old one or the new, and what is left over goes with the next
preparation.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict, cast

from lstm_jax.lab.data.files import archives, clips, faults, reviews, sources
from lstm_jax.lab.data.files.errors import BadData, Missing
from lstm_jax.lab.data.files.published import IMDB_ARCHIVE, PUBLISHED
from lstm_jax.lab.store import files, machine, messages, places, seal
from lstm_jax.lab.store.faults import StorageError, StoreError, Unusable, clean

NAMES = tuple(PUBLISHED)

_VERSION = '1.0.0'  # as the builders have it: of what is stored, and how
_SMALL = 2**20  # bytes of files whose checksum is looked at before any use
# What libraries say where a disk is full.
_FULL = ('No space left', 'Disk quota', 'File too large', 'ENOSPC', 'EFBIG')
_LITTLE = 2**16  # bytes left on a disk that is full


@dataclasses.dataclass(frozen=True)
class Records:
  """The records of a split as a sequence.

  Attributes:
    source: TFDS data source.
    read: makes of its element what `Prepared` promises.
    check: called before anything is read; raises BadData where a file is
      damaged.
    home: folder of the files, for messages.
  """

  source: Sequence[dict[str, object]]
  read: Callable[[dict[str, object]], Mapping[str, object]]
  check: Callable[[], None]
  home: Path

  def __len__(self) -> int:
    return len(self.source)

  def __getitem__(self, index: int) -> Mapping[str, object]:
    if not -len(self) <= index < len(self):
      raise IndexError(f'index {index}: there are {len(self)} records')
    self.check()
    try:
      return self.read(self.source[int(index) % len(self)])
    except Exception as error:  # whatever its readers make of a damaged file
      if machine.fault(error):
        raise  # no memory, no descriptors: says nothing of the file
      said = ' '.join(str(error).split())
      raise BadData(
        f'{clean(self.home)}: record {index} cannot be read ({said}); '
        + _remedy(self.home)
      ) from error


class _Whole(TypedDict):
  """Content of `whole.json`."""

  stamp: str | None
  checksum: str
  counts: dict[str, list[int]]
  seconds: dict[str, float]
  left_out: list[str]
  files: dict[str, list[int | str] | int]


class Prepared(NamedTuple):
  """A data set on this machine.

  Attributes:
    name: one of `NAMES`.
    splits: 'train', 'test', or 'fold1', ... -> sequence of records, in the
      order of the published files. A review: 'text' bytes, 'label', 'id'. A
      clip: 'samples' `[n, channels]`, int16 where the file has 16 bits or fewer
      or is lossy, else float32 of full scale 1; 'rate', 'label', 'fold', 'name'
      of its file, 'group': number of the recording it was cut from.
    classes: names in the order of the labels.
    citation: what its authors ask to cite.
    licence: its terms.
    checksum: SHA-256 of all records in their order.
    left_out: 'file: reason' for everything that `skip_bad` left out.
    counts: split -> number of records of each class.
    seconds: split -> seconds of sound; of text 0.
  """

  name: str
  splits: Mapping[str, Records]
  classes: tuple[str, ...]
  citation: str
  licence: str
  checksum: str
  left_out: tuple[str, ...]
  counts: Mapping[str, Sequence[int]]
  seconds: Mapping[str, float]


def tell(line: str) -> None:
  """Prints a line of progress on stderr."""
  messages.tell(line)


def load(
  name: str,
  data_dir: str | Path | None = None,
  *,
  skip_bad: bool = False,
  say: Callable[[str], None] = tell,
) -> Prepared:
  """Opens a data set, prepared before or now.

  What is prepared already is read without writing anything, and needs its
  sources no more; where they are there and have changed, it is prepared again.

  Args:
    name: one of `NAMES`.
    data_dir: folder of the data; None: `sources.default_folder()`.
    skip_bad: go on without bad files and name them in `left_out`.
    say: is called with lines of progress.

  Returns:
    `Prepared`.

  Raises:
    ValueError: an unknown name.
    Missing: the data set is not there; the message says how to get it.
    BadData: a file is bad, or was when this was prepared, and `skip_bad` is
      not set.
    StoreError: nothing can be written where prepared files go.
  """
  folders, path, data_dir = _places(name, data_dir)
  for folder in folders:
    with files.storage(folder):
      state, _ = _state(name, folder, path, skip_bad)
    if state:
      return _opened(name, folder, state)
  return prepare(name, data_dir, skip_bad=skip_bad, say=say)


def prepare(
  name: str,
  data_dir: str | Path | None = None,
  *,
  skip_bad: bool = False,
  say: Callable[[str], None] = tell,
) -> Prepared:
  """Prepares a data set unless that has been done, alone among processes.

  Args, returns and raises as `load`.
  """
  folders, path, data_dir = _places(name, data_dir)
  folder, published = folders[-1], PUBLISHED[name]
  if path is None and name != 'imdb' and not _leftovers(name, folder):
    whys = [_state(name, place, path, skip_bad)[1] for place in folders]
    raise sources.missing(name, published, data_dir, max(whys, key=len))
  with files.storage(folder):
    try:
      folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
      raise Unusable(f'{clean(folder)}: is a file, not a folder') from None
  with files.storage(folder), _alone(folder / f'{name}.lock', say):
    _tidy(name, folder)
    state, why = _state(name, folder, path, skip_bad)
    if state is None:
      if path is None and name != 'imdb':
        raise sources.missing(name, published, data_dir, why)
      source = path or _download(name, folder, data_dir, say)
      state = _make(name, folder, source, path, skip_bad, say)
  return _opened(name, folder, state)


def _places(name, data_dir):
  """Finds where to look for prepared files, sources or None, the data folder.

  The last of the folders is where files can be written.
  """
  if name not in PUBLISHED:
    raise ValueError(f'name={name!r} must be one of {", ".join(NAMES)}')
  data_dir = Path(data_dir) if data_dir else sources.default_folder()
  data_dir = places.expanded(data_dir).absolute()
  with files.storage(data_dir):
    path = sources.find(PUBLISHED[name], data_dir)
    folder = data_dir / 'lstm_jax'
    there = next((p for p in (folder, data_dir) if p.exists()), None)
  if there is None or os.access(there, os.W_OK):
    return (folder,), path, data_dir
  of = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
  return (folder, places.cache() / 'prepared' / of), path, data_dir


def _state(name, folder, path, skip_bad):
  """`whole.json` if it can be used, else None and why not.

  Raises:
    BadData: a prepared file is damaged, and there is nothing to make it of.
  """
  home = folder / name / _VERSION
  try:
    content = files.read(home / 'whole.json')
    state = cast(
      _Whole, seal.unseal_json('data set', content, home / 'whole.json')
    )
  except FileNotFoundError:
    return None, ''
  except StoreError as error:
    return None, f'; what was prepared is damaged ({error})'
  if path and state['stamp'] != sources.stamp(PUBLISHED[name], path):
    return None, ''
  try:
    for file, facts in state['files'].items():
      _check_file(home / file, facts, _SMALL)
  except BadData as error:
    if path is None:
      raise
    return None, f'; what was prepared is damaged ({error})'
  if state['left_out'] and not skip_bad:
    if path:
      return None, ''
    faults.stop(state['left_out'])
  return state, ''


def _check_file(path, facts, most=float('inf')):
  """Raises BadData unless a prepared file is as it was written.

  Args:
    path: the file.
    facts: its size, or `[size, SHA-256]`.
    most: bytes of a file whose content is looked at.
  """
  size, digest = (facts, None) if isinstance(facts, int) else facts
  try:
    found = path.stat().st_size
    if found == size and digest and size <= most:
      with open(path, 'rb') as file:
        if hashlib.file_digest(file, 'sha256').hexdigest() != digest:
          found = 'a wrong checksum'
  except OSError as error:
    found = error.strerror
  if found != size:
    reason = f'{found:,} bytes of {size:,}' if isinstance(found, int) else found
    raise BadData(f'{clean(path)}: damaged: {reason}; {_remedy(path.parent)}')


def _remedy(home):
  return (
    f'delete {clean(home)} and run the same command again: it is prepared again'
  )


def _opened(name, folder, state):
  from lstm_jax.lab.data.files import builders  # takes a second

  published, home = PUBLISHED[name], folder / name / _VERSION
  read = _review if name == 'imdb' else _clip
  try:
    held = builders.sources(name, folder)
  except Exception as error:  # whatever its readers make of a damaged file
    if machine.fault(error):
      raise  # no memory, no descriptors: says nothing of the file
    said = ' '.join(str(error).split())
    raise BadData(
      f'{clean(home)}: cannot be read ({said}); {_remedy(home)}'
    ) from error
  return Prepared(
    name,
    {
      split: Records(of, read, _checker(home, split, state['files']), home)
      for split, of in held.items()
    },
    published.classes,
    published.citation,
    published.licence,
    state['checksum'],
    tuple(state['left_out']),
    state['counts'],
    state['seconds'],
  )


def _checker(home, split, listed):
  """A function that checks the files of a split when it is first called."""
  lock, left = threading.Lock(), [f for f in listed if f'-{split}.' in f]

  def check():
    with lock:
      while left:
        _check_file(home / left[-1], listed[left[-1]])
        left.pop()

  return check


def _review(record):
  return record


def _clip(record):
  record = dict(record)
  narrow, wide = record.pop('int16'), record.pop('float32')
  samples = narrow if len(narrow) else wide
  record['samples'] = samples.reshape(-1, record.pop('channels'))
  return record | {'name': record['name'].decode()}


@contextlib.contextmanager
def _alone(path, say):
  """Holds a lock that the kernel frees however this process ends."""
  with open(path, 'a') as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      say(f'another process prepares {path.stem}; waiting for it')
      fcntl.flock(file, fcntl.LOCK_EX)
    yield


def _download(name, folder, data_dir, say):
  from lstm_jax.lab.data.files import builders

  say(
    f'{name}: downloading {IMDB_ARCHIVE.url} ({IMDB_ARCHIVE.size / 1e6:.0f} MB)'
  )
  try:
    return builders.fetch(IMDB_ARCHIVE, folder / 'downloads')
  except OSError as error:
    why = f' and cannot be downloaded ({" ".join(str(error).split())})'
    raise sources.missing(name, PUBLISHED[name], data_dir, why) from error


def _leftovers(name, folder):
  """Folders in which a set was being made."""
  return sorted(folder.glob(f'.{name}.*'))


def _tidy(name, folder):
  """Takes away what killed preparations have left; the lock is held.

  One that was killed between its two renames has a whole set to give.
  """
  home = folder / name / _VERSION
  for making in _leftovers(name, folder):
    for whole in (making / name / _VERSION, making / 'old'):
      if (whole / 'whole.json').exists() and not home.exists():
        home.parent.mkdir(exist_ok=True)
        whole.rename(home)
    shutil.rmtree(making, ignore_errors=True)


def _make(name, folder, source, path, skip_bad, say):
  """Prepares `source`; returns what `whole.json` says."""
  home = folder / name / _VERSION
  say(f'{name}: preparing {clean(source)} in {clean(folder)}')
  making = Path(tempfile.mkdtemp(prefix=f'.{name}.', dir=folder))
  making.chmod(folder.stat().st_mode & 0o777)  # others may read what is made
  try:
    state = _made(name, making, source, path, skip_bad, say)
    home.parent.mkdir(exist_ok=True)
    if home.exists():
      home.rename(making / 'old')
    (making / name / _VERSION).rename(home)
    files.DISK.fsync_directory(home.parent)
    return state
  except BadData as error:
    if (home / 'whole.json').exists():
      raise BadData(
        f'{error}; what was prepared before is kept in {clean(home)}, and used '
        f'where {clean(source)} is gone'
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
  said = ' '.join(str(error).split())
  full = any(word in said for word in _FULL)
  if full or shutil.disk_usage(folder).free < _LITTLE:
    what = 'the disk is full or a file too large'
  else:
    what = 'cannot be prepared'
  return StorageError(
    f'{clean(folder)}: {what} ({type(error).__name__}: {said[:200]}); what was '
    'prepared before is safe: make room and run the same command again'
  )


def _made(name, making, source, path, skip_bad, say):
  """Prepares `source` in the folder `making`; returns its `whole.json`."""
  from lstm_jax.lab.data.files import builders

  published = PUBLISHED[name]
  left_out: list[str] = []
  report = faults.collector(left_out) if skip_bad else faults.stop
  # Taken before reading: what changes while it is read is then seen as changed.
  stamp = sources.stamp(published, source) if path else None
  if source.name == IMDB_ARCHIVE.name:
    archives.checked(source, IMDB_ARCHIVE.sha256, IMDB_ARCHIVE.size)
  with sources.opened(published, source, making, report) as held:
    splits_of = lambda listed, records: {
      split: builders.Split(len(rows), records(held, rows, report))
      for split, rows in listed.items()
      if rows
    }
    if name == 'imdb':
      splits = splits_of(reviews.listed(held, report), reviews.records)
    else:
      splits = splits_of(clips.listed(name, held, report), clips.records)
    written = builders.write(name, making, splits, say) if splits else None
  if not (written and any(map(any, written.counts.values()))):
    why = f' ({len(left_out):,} left out; {left_out[0]})' if left_out else ''
    raise BadData(f'{source}: nothing is left of {published.title}{why}')
  home = making / name / _VERSION
  facts = {}
  for path in sorted(path for path in home.rglob('*') if path.is_file()):
    with open(path, 'rb') as file:
      os.fsync(file.fileno())
      digest = hashlib.file_digest(file, 'sha256').hexdigest()
    facts[str(path.relative_to(home))] = [path.stat().st_size, digest]
  before = f'{source.parent}{os.sep}'
  state = {
    'stamp': stamp,
    **written._asdict(),
    'left_out': [line.removeprefix(before) for line in left_out],
    'files': facts,
  }
  files.publish(home / 'whole.json', seal.seal_json('data set', state))
  return state
