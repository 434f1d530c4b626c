"""A data set that has been prepared: checked, opened, read record by record."""

import contextlib
import dataclasses
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict, cast

from lstm_jax.lab.data.files import faults, sources
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.files.published import PUBLISHED
from lstm_jax.lab.store import files, machine, seal
from lstm_jax.lab.store.faults import StoreError, printable

VERSION = '1.0.0'  # as the builders have it: of what is stored, and how
# Files of fewer bytes have their checksum looked at before any use.
_SMALL_BYTES = 2**20


@contextlib.contextmanager
def _readable(home: Path, words: str) -> Iterator[None]:
  """Raises whatever readers make of a damaged file as `BadData`."""
  try:
    yield
  except Exception as error:
    if machine.fault(error):
      raise  # no memory, no descriptors: says nothing of the file
    message = ' '.join(str(error).split())
    raise BadData(
      f'{printable(home)}: {words} ({message}); {_remedy(home)}'
    ) from error


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
    with _readable(self.home, f'record {index} cannot be read'):
      return self.read(self.source[int(index) % len(self)])


class Whole(TypedDict):
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


def state_of(
  name: str, folder: Path, path: Path | None, skip_bad: bool
) -> tuple[Whole | None, str]:
  """`whole.json` if it can be used, else None and why not.

  Raises:
    BadData: a prepared file is damaged, and there is nothing to make it of.
  """
  home = folder / name / VERSION
  try:
    content = files.read(home / 'whole.json')
    state = cast(
      Whole, seal.unseal_json('data set', content, home / 'whole.json')
    )
  except FileNotFoundError:
    return None, ''
  except StoreError as error:
    return None, f'; what was prepared is damaged ({error})'
  if path and state['stamp'] != sources.stamp(PUBLISHED[name], path):
    return None, ''
  try:
    for file, facts in state['files'].items():
      _check_file(home / file, facts, _SMALL_BYTES)
  except BadData as error:
    if path is None:
      raise
    return None, f'; what was prepared is damaged ({error})'
  if state['left_out'] and not skip_bad:
    if path:
      return None, ''
    faults.stop(state['left_out'])
  return state, ''


def _check_file(path, facts, max_bytes=float('inf')):
  """Raises BadData unless a prepared file is as it was written.

  Args:
    path: the file.
    facts: its size, or `[size, SHA-256]`.
    max_bytes: bytes of a file whose content is looked at.
  """
  size, digest = (facts, None) if isinstance(facts, int) else facts
  try:
    fault = path.stat().st_size
    if fault == size and digest and size <= max_bytes:
      with open(path, 'rb') as file:
        if hashlib.file_digest(file, 'sha256').hexdigest() != digest:
          fault = 'a wrong checksum'
  except OSError as error:
    fault = error.strerror
  if fault != size:
    reason = f'{fault:,} bytes of {size:,}' if isinstance(fault, int) else fault
    raise BadData(
      f'{printable(path)}: damaged: {reason}; {_remedy(path.parent)}'
    )


def _remedy(home):
  return (
    f'delete {printable(home)} and run the same command again: it is prepared '
    'again'
  )


def opened(name: str, folder: Path, state: Whole) -> Prepared:
  """The data set of a folder, whose `whole.json` has been read."""
  from lstm_jax.lab.data.files import builders  # takes a second

  source_set, home = PUBLISHED[name], folder / name / VERSION
  reader = _review if name == 'imdb' else _clip
  with _readable(home, 'cannot be read'):
    sources_by_split = builders.sources(name, folder)
  return Prepared(
    name,
    {
      split: Records(of, reader, _checker(home, split, state['files']), home)
      for split, of in sources_by_split.items()
    },
    source_set.classes,
    source_set.citation,
    source_set.licence,
    state['checksum'],
    tuple(state['left_out']),
    state['counts'],
    state['seconds'],
  )


def _checker(home, split, file_facts):
  """A function that checks the files of a split when it is first called."""
  lock, left = threading.Lock(), [f for f in file_facts if f'-{split}.' in f]

  def check():
    with lock:
      while left:
        _check_file(home / left[-1], file_facts[left[-1]])
        left.pop()

  return check


def _review(record):
  return record


def _clip(record):
  record = dict(record)
  integers, floats = record.pop('int16'), record.pop('float32')
  samples = integers if len(integers) else floats
  record['samples'] = samples.reshape(-1, record.pop('channels'))
  return record | {'name': record['name'].decode()}
