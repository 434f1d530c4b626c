"""Data sets prepared once and read from then on.

  data_dir/                    what the user has put there, see `published`
    lstm_jax/imdb/1.0.0/       prepared: TFDS's files, and `whole.json`

Where `data_dir` cannot be written to, what is prepared goes to
`$XDG_CACHE_HOME/lstm_jax/prepared/`. `whole.json` is written last, durably: it
lists the files with their sizes, so that nothing half-made, cut or mixed is
taken for a data set. What a killed process has left is made again.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lstm_jax.collect import archives, clips, faults, reviews, sources
from lstm_jax.collect.published import IMDB_ARCHIVE, PUBLISHED
from lstm_jax.examples import BadData
from lstm_jax.store import files, seal
from lstm_jax.store.faults import StoreError, Unusable

NAMES = tuple(PUBLISHED)

_VERSION = '1.0.0'  # as the builders have it: of what is stored, and how


@dataclasses.dataclass(frozen=True)
class Records:
  """The records of a split as a sequence.

  Attributes:
    source: TFDS data source.
    read: makes of its element what `Prepared` promises.
  """

  source: Sequence[dict]
  read: Callable[[dict], dict]

  def __len__(self):
    return len(self.source)

  def __getitem__(self, index):
    if not -len(self) <= index < len(self):
      raise IndexError(f'index {index}: there are {len(self)} records')
    return self.read(self.source[int(index) % len(self)])


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


def tell(line):
  """Prints a line of progress on stderr."""
  print(line, file=sys.stderr, flush=True)


def load(name, data_dir=None, *, skip_bad=False, say=tell):
  """Opens a data set, prepared before or now.

  What is prepared already is read without writing anything, and needs its
  sources no more; where they are there and have changed, it is prepared anew.

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
  folder, path, data_dir = _places(name, data_dir)
  with files.storage(data_dir):
    state, _ = _state(name, folder, path, skip_bad)
  if state:
    return _opened(name, folder, state)
  return prepare(name, data_dir, skip_bad=skip_bad, say=say)


def prepare(name, data_dir=None, *, skip_bad=False, say=tell):
  """Prepares a data set unless that has been done, alone among processes.

  Args, returns and raises as `load`.
  """
  folder, path, data_dir = _places(name, data_dir)
  published = PUBLISHED[name]
  if path is None and name != 'imdb':
    _, why = _state(name, folder, path, skip_bad)
    raise sources.missing(name, published, data_dir, why)
  with files.storage(folder):
    try:
      folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
      raise Unusable(f'{folder}: is a file, not a folder') from None
  with files.storage(folder), _alone(folder / f'{name}.lock', say):
    state, _ = _state(name, folder, path, skip_bad)
    if state is None:
      source = path or _download(name, folder, data_dir, say)
      state = _make(name, folder, source, path, skip_bad, say)
  return _opened(name, folder, state)


def _places(name, data_dir):
  """Where prepared files go, the sources or None, and the data folder."""
  if name not in PUBLISHED:
    raise ValueError(f'name={name!r} must be one of {", ".join(NAMES)}')
  data_dir = Path(data_dir) if data_dir else sources.default_folder()
  data_dir = data_dir.expanduser().absolute()
  folder = data_dir / 'lstm_jax'
  if data_dir.exists() and not os.access(data_dir, os.W_OK):
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    of = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    folder = Path(cache) / 'lstm_jax' / 'prepared' / of
  return folder, sources.find(PUBLISHED[name], data_dir), data_dir


def _state(name, folder, path, skip_bad):
  """`whole.json` if it can be used, else None and why not."""
  home = folder / name / _VERSION
  try:
    state = seal.unseal_json(
      'data set', files.read(home / 'whole.json'), home / 'whole.json'
    )
    sizes = {file: (home / file).stat().st_size for file in state['files']}
  except FileNotFoundError:
    return None, ''
  except (StoreError, OSError) as error:
    return None, f'; what was prepared is damaged ({error})'
  if sizes != state['files']:
    return None, '; what was prepared is damaged (sizes have changed)'
  if path and state['stamp'] != sources.stamp(PUBLISHED[name], path):
    return None, ''
  if state['left_out'] and not skip_bad:
    if path:
      return None, ''
    faults.stop(state['left_out'])
  return state, ''


def _opened(name, folder, state):
  from lstm_jax.collect import builders  # takes a second

  published = PUBLISHED[name]
  read = _review if name == 'imdb' else _clip
  return Prepared(
    name,
    {s: Records(of, read) for s, of in builders.sources(name, folder).items()},
    published.classes,
    published.citation,
    published.licence,
    state['checksum'],
    tuple(state['left_out']),
    state['counts'],
    state['seconds'],
  )


def _review(record):
  return record


def _clip(record: dict[str, Any]):
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
  from lstm_jax.collect import builders

  say(
    f'{name}: downloading {IMDB_ARCHIVE.url} ({IMDB_ARCHIVE.size / 1e6:.0f} MB)'
  )
  try:
    return builders.fetch(IMDB_ARCHIVE, folder / 'downloads')
  except OSError as error:
    why = f' and cannot be downloaded ({" ".join(str(error).split())})'
    raise sources.missing(name, PUBLISHED[name], data_dir, why) from error


def _make(name, folder, source, path, skip_bad, say):
  """Prepares `source`; returns what `whole.json` says."""
  from lstm_jax.collect import builders

  published, left_out = PUBLISHED[name], []
  report = faults.collector(left_out) if skip_bad else faults.stop
  # Taken before reading: what changes while it is read is then seen as changed.
  stamp = sources.stamp(published, source) if path else None
  shutil.rmtree(folder / name, ignore_errors=True)
  say(f'{name}: preparing {source} in {folder}')
  if source.name == IMDB_ARCHIVE.name:
    archives.checked(source, IMDB_ARCHIVE.sha256, IMDB_ARCHIVE.size)
  with sources.opened(published, source, folder, report) as held:
    if name == 'imdb':
      listed, records = reviews.listed(held, report), reviews.records
    else:
      listed, records = clips.listed(name, held, report), clips.records
    splits = {
      split: builders.Split(len(rows), records(held, rows, report))
      for split, rows in listed.items()
      if rows
    }
    written = builders.write(name, folder, splits, say) if splits else None
  if not (written and any(map(any, written.counts.values()))):
    why = f' ({len(left_out):,} left out; {left_out[0]})' if left_out else ''
    raise BadData(f'{source}: nothing is left of {published.title}{why}')
  home = folder / name / _VERSION
  held = [file for file in sorted(home.rglob('*')) if file.is_file()]
  for file in held:
    with open(file, 'rb') as opened:
      os.fsync(opened.fileno())
  before = f'{source.parent}{os.sep}'
  state = {
    'stamp': stamp,
    **written._asdict(),
    'left_out': [line.removeprefix(before) for line in left_out],
    'files': {str(f.relative_to(home)): f.stat().st_size for f in held},
  }
  files.publish(home / 'whole.json', seal.seal_json('data set', state))
  return state
