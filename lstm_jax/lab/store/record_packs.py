"""Packs: the records of one process, a sealed line each, in one file.

  records/<number>-<random>.jsonl, a line:
  {"schema":1,"line":0,"at":<seconds>,"sha256":"<hex>","content":{...}}

Each process appends to a file of its own, which it alone has made, so no two
writers ever share one. A line is announced once it is synced; a last line that
has no end was cut by a loss of power, and nobody was told of it. The digest is
over all else in the line and over the name of the file, and numbers rise, so
that a line counts in its place alone: one that is changed, moved or copied is
damage, by name.

Nothing is ever taken out. What counts no more is named by a further line,

  {"retracts": {"pack": ..., "sha256": ...}, "why": ...}

where the digest is that of the line's seal, of a damaged line that of its
bytes.
"""

import contextlib
import functools
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, cast

from lstm_jax.lab.store import faults, files, seal
from lstm_jax.lab.store.documents import Record

ENDING = '.jsonl'
_KIND = 'pack'
_HEAD = re.compile(
  rb'\{"schema":(\d{1,9}),"line":(\d{1,18}),"at":(\d{1,12}),'
  rb'"sha256":"[0-9a-f]{64}","content":'
)
# A record says first which trial it is of.
_TRIAL = re.compile(rb'\{"trial":"([A-Za-z0-9_-]{1,100})"[,}]')
_NUMBER = re.compile(r'(\d{6})-')
# Keys whose values many records have in common.
_COMMON = frozenset(('status', 'plan', 'code', 'device', 'drift'))


# What a line holds -> what is kept of it in memory.
Keep = Callable[[object], object]


def _all(content):
  return content


class Line(NamedTuple):
  """A line of a pack.

  Attributes:
    pack: name of the file.
    offset: where it begins.
    size: bytes, its end not counted.
    digest: by which a retraction knows it.
    at: when it was written, seconds since the epoch; 0 where damaged.
    trial: which it is the record of, '' for none.
    content: what it holds; None where damaged or not looked at.
    fault: what is wrong with it, '' for nothing.
    number: of the line in its file, -1 where damaged.
  """

  pack: str
  offset: int
  size: int
  digest: str
  at: int
  trial: str
  content: Mapping[str, object] | None
  fault: str = ''
  number: int = -1


class Writer:
  """Appends to a pack of its own, which is made with its first line."""

  def __init__(self) -> None:
    self._path: Path | None = None
    self._size = self._count = 0
    # Trial -> (offset, size) of its records, of this pack.
    self._places: dict[str, list[tuple[int, int]]] = {}

  def append(
    self, place: Path, content: Mapping[str, object], disk: files.Disk
  ) -> None:
    """Appends a line, durably.

    Args:
      place: the folder of the packs.
      content: a record, or a retraction: plain values, the trial first.
      disk: the calls that change the disk.

    Raises:
      StorageError, Unusable: the disk refused; the line does not count.
    """
    path = self._path
    if path is None or files.size_of(path) != self._size:
      # The first line; or a line before was cut, or somebody moved the file.
      path, self._size, self._count = _free_name(place), 0, 0
      self._places = {}
    data = _sealed(path.name, self._count, int(time.time()), content)
    self._path = None  # what fails on the way is not appended to
    files.append(path, data, disk, is_new=not self._size)
    if trial := content.get('trial'):
      span = self._size, len(data) - 1
      self._places.setdefault(str(trial), []).append(span)
    self._path = path
    self._size += len(data)
    self._count += 1

  def records_of(self, trial: str) -> list[Record]:
    """The records of a trial that this writer has appended, in order.

    Raises:
      Corrupt: one has been damaged since.
    """
    if self._path is None:
      return []
    try:
      lines = [
        read_line(self._path, *span) for span in self._places.get(trial, ())
      ]
    except FileNotFoundError:
      return []  # somebody has moved the file
    return [cast(Record, line.content) for line in lines]


def retraction(line: Line, why: str) -> dict[str, object]:
  """The content of a line that says that another counts no more."""
  whose = {'pack': line.pack, 'sha256': line.digest}
  return {'retracts': whose, 'why': why}


def names(place: Path) -> list[str]:
  """The names of the packs in a folder, the one begun first first."""
  return files.names(place, ENDING)


def read(
  place: Path, trials: Collection[str] | None = None, keep: Keep = _all
) -> tuple[list[Line], list[Line]]:
  """The lines of all packs that count.

  Args:
    place: the folder of the packs.
    trials: whose records are looked into; of others it is only made sure that
      they are whole. None: all.
    keep: of `lines_of`.

  Returns:
    `(records, damaged)`, both in the order in which they were written, file by
    file; without what was retracted.

  Raises:
    Refused: a line is whole, but of another schema.
  """
  lines: list[Line] = []
  for name in names(place):
    try:
      lines += lines_of(place / name, trials=trials, keep=keep)[0]
    except FileNotFoundError:
      continue  # moved by somebody since it was listed
    except faults.Corrupt as error:
      lines.append(Line(name, 0, 0, '', 0, '', None, str(error)))
  return counting(lines)


def counting(lines: Iterable[Line]) -> tuple[list[Line], list[Line]]:
  """(records, damaged lines), without what other lines retract."""
  lines = list(lines)
  retracted = {
    (whose.get('pack'), whose.get('sha256'))
    for line in lines
    if line.content is not None and not line.trial
    for whose in [cast(Mapping[str, object], line.content['retracts'])]
  }
  left = [line for line in lines if (line.pack, line.digest) not in retracted]
  records = [line for line in left if line.trial and not line.fault]
  return records, [line for line in left if line.fault]


def lines_of(
  path: Path,
  start: int = 0,
  trials: Collection[str] | None = None,
  last: int = -1,
  keep: Keep = _all,
) -> tuple[list[Line], int]:
  """The lines of a pack from a place on, and where the next will begin.

  Args:
    path: the file.
    start: where a line begins.
    trials: as of `read`.
    last: number of the last whole line before.
    keep: makes of what a line holds, as it was read, what is kept of it.

  Raises:
    FileNotFoundError: there is none.
    Corrupt: it is no regular file.
    Refused: a line is whole, but of another schema.
  """
  lines, parts = [], []
  for block in files.blocks(path, start):
    parts.append(block)
    if b'\n' not in block:
      continue
    *whole, rest = b''.join(parts).split(b'\n')
    parts = [rest]
    for data in whole:
      line = _line(path, start, data, trials, keep)
      if not line.fault and line.number <= last:
        line = _damaged(path, start, data, 'misplaced')
      lines.append(line)
      last = max(last, line.number)
      start += len(data) + 1
  tail = b''.join(parts)
  # Without its end a line was never announced, unless the end alone is damaged.
  if tail and not _line(path, start, tail[:-1], ()).fault:
    lines.append(_damaged(path, start, tail, 'its end is damaged'))
  return lines, start


def most(place: Path) -> int:
  """The number of lines in all packs, none of which is looked at.

  There are no more records than that.
  """
  count = 0
  for name in names(place):
    with contextlib.suppress(FileNotFoundError, faults.Corrupt):
      blocks = files.blocks(place / name)
      count += sum(block.count(b'\n') for block in blocks)
  return count


def read_line(path: Path, offset: int, size: int) -> Line:
  """One line of a pack.

  Raises:
    FileNotFoundError: there is no such file.
    Corrupt: it is damaged.
  """
  data = files.read_from(path, offset, size)
  line = _line(path, offset, data, None)
  if line.fault:
    raise faults.Corrupt(line.fault)
  return line


def _line(path, offset, data, trials, keep=_all):
  """A line, checked byte by byte; looked into where it is of `trials`."""
  match = _HEAD.match(data)
  if match is None or not data.endswith(b'}'):
    return _damaged(path, offset, data, 'damaged or edited')
  schema, number, at = map(int, match.groups())
  text = data[match.end() : -1]
  # Made anew of what was read, so that every byte counts.
  whole = _digest(path.name, schema, number, at, text)
  if not data.startswith(_head(schema, number, at, whole)):
    reason = 'the checksum does not match: damaged, edited or misplaced'
    return _damaged(path, offset, data, reason)
  seal.check_schema(schema, seal.schema_of(_KIND), path)
  head = _TRIAL.match(text)
  trial = head[1].decode() if head else ''
  content = None
  if not trial or trials is None or trial in trials:
    try:
      content = keep(_DECODER.decode(text.decode()))
    except (ValueError, RecursionError) as error:
      return _damaged(path, offset, data, repr(error))
    if not trial and not _is_retraction(content):
      return _damaged(path, offset, data, 'neither a record nor a retraction')
  return Line(
    path.name,
    offset,
    len(data),
    whole,
    at,
    trial,
    content,
    '',
    number,
  )


def _shared(pairs):
  """A dict whose keys, and some texts, are the same objects in all records.

  They would be the larger half of what a hundred thousand of them take.
  """
  return {
    sys.intern(key): sys.intern(value)
    if key in _COMMON and type(value) is str
    else value
    for key, value in pairs
  }


_DECODER = json.JSONDecoder(object_pairs_hook=_shared)


def _is_retraction(content):
  return isinstance(content, dict) and isinstance(content.get('retracts'), dict)


def _damaged(path, offset, data, reason):
  digest = hashlib.sha256(data).hexdigest()
  fault = (
    f'{faults.printable(path)}: not a record of lstm_jax: line at byte '
    f'{offset}: {reason}'
  )
  return Line(path.name, offset, len(data), digest, 0, '', None, fault)


def _sealed(pack, number, at, content):
  text = json.dumps(content, separators=(',', ':'), allow_nan=False).encode()
  schema = seal.schema_of(_KIND)
  digest = _digest(pack, schema, number, at, text)
  head = _head(schema, number, at, digest)
  return b''.join([head, b'"content":', text, b'}\n'])


def _head(schema, number, at, digest):
  head = f'{{"schema":{schema},"line":{number},"at":{at},"sha256":"{digest}",'
  return head.encode()


def _digest(pack, schema, number, at, text):
  whose = f'["lstm_jax {_KIND}",{schema},{_quoted(pack)},{number},{at}]'
  digest = hashlib.sha256(whose.encode())
  digest.update(text)
  return digest.hexdigest()


@functools.lru_cache(maxsize=16)
def _quoted(pack):
  """The name of a pack as JSON, of which there are many lines."""
  return json.dumps(pack)


def _free_name(place):
  """The path of a pack that is not there, after all that are."""
  numbers = [int(m[1]) for m in map(_NUMBER.match, names(place)) if m]
  number = 1 + max(numbers, default=0)
  return place / f'{number:06d}-{os.urandom(6).hex()}{ENDING}'
