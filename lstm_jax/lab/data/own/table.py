"""Sequences of a `.csv` in long form: a line a step.

  id, time, FEATURE, ..., and one of
    label         the class of the sequence, the same on all its lines
    target        a number of the sequence (or target_NAME, ...: several)
    step_label    a class at every step
    step_target   a number at every step (or step_target_NAME, ...)
  split           train, valid or test, the same on all lines; may be absent

The lines of a sequence come in the order of their times; those of several may
be mixed. Times are numbers or ISO 8601; they order, and are no feature.
"""

import csv
import datetime
import io
from pathlib import Path

import numpy as np

from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.own.arrays import part_of
from lstm_jax.lab.data.own.sequences import Sequences, checked
from lstm_jax.lab.store import files
from lstm_jax.lab.store.faults import StoreError

LARGEST = 2**28  # bytes; what is more goes faster as arrays
_SEPARATORS = ';\t|'  # of other tables
_TARGET_COLUMNS = ('label', 'target', 'step_label', 'step_target')


class _Table:
  """The columns of a file.

  Attributes:
    name: of the file, for messages.
    columns: heading -> texts, one a line.
    lines: the number of each line in the file.
  """

  def __init__(self, name, columns, lines):
    self.name, self.columns, self.lines = name, columns, lines

  def bad(self, at, words):
    return BadData(f'{self.name}: line {self.lines[at]:,}: {words}')


def read(path: Path, fresh: tuple[str, ...] | None = None) -> Sequences:
  """The sequences of a file.

  Args:
    path: of the file.
    fresh: names of the features that further sequences must have; whatever else
      is there is not looked at, and targets are zeros. None: a file to train
      on.

  Raises:
    BadData: file, line and reason.
  """
  table = _table(path)
  heads = list(table.columns)
  if missing_columns := [name for name in ('id', 'time') if name not in heads]:
    hint = ' (is its separator a comma?)' if len(heads) == 1 else ''
    raise BadData(
      f'{table.name}: line 1 has no column {" and no ".join(missing_columns)}; '
      f'it has {", ".join(heads)[:200]}{hint}'
    )
  order, lengths, names = _order(table)
  if fresh is not None:
    if missing_columns := [column for column in fresh if column not in heads]:
      raise BadData(
        f'{table.name}: line 1 has no column {", ".join(missing_columns)}; it '
        f'has {", ".join(heads)[:200]}'
      )
    inputs = _numbers(table, fresh)[order]
    zeros = np.zeros((len(lengths), 1))
    return Sequences(inputs, lengths, zeros, False, features=fresh, names=names)
  kind, asked = _asked(table)
  features = tuple(
    head for head in heads if head not in ('id', 'time', 'split', *asked)
  )
  if not features:
    raise BadData(f'{table.name}: line 1 has no column of a feature')
  inputs = _numbers(table, features)[order]
  firsts = order[np.cumsum(lengths) - lengths]
  every_step = kind.startswith('step_')
  lines_of = order if every_step else firsts
  if not every_step:
    for column in asked:
      _check_same(table, column, order, lengths, names)
  classes: tuple[str, ...] = ()
  outputs = asked
  if kind.endswith('label'):
    outputs = ()
    targets, classes = _classes(table, asked[0], lines_of)
  else:
    targets = _numbers(table, asked)[lines_of]
  part = None
  if 'split' in heads:
    _check_same(table, 'split', order, lengths, names)
    part = np.array([_part(table, at) for at in firsts])
  return checked(
    table.name,
    Sequences(
      inputs, lengths, targets, every_step, classes, features, outputs, part,
      names,
    ),
  )  # fmt: skip


def _table(path):
  name = str(path)
  try:
    text = files.read(path, LARGEST).decode('utf-8-sig')
  except StoreError as error:
    raise BadData(str(error)) from error
  except OSError as error:
    raise BadData(f'{name}: {error.strerror}') from error
  except UnicodeDecodeError as error:
    raise BadData(f'{name}: not UTF-8 at byte {error.start:,}') from error
  reader = csv.reader(io.StringIO(text, newline=''), strict=True)
  rows, lines = [], []
  try:
    heads = [head.strip() for head in next(reader, [])]
    if not any(heads):
      raise BadData(f'{name}: is empty, it has no line with columns')
    other = [separator for separator in _SEPARATORS if separator in heads[0]]
    if other and len(heads) == 1:
      raise BadData(
        f'{name}: line 1 is one column, parted by {other[0]!r} (is its '
        'separator a comma?)'
      )
    for row in reader:
      if not row:
        continue
      if len(row) != len(heads):
        raise BadData(
          f'{name}: line {reader.line_num:,}: {len(row)} fields where there '
          f'are {len(heads)} columns'
        )
      rows.append(row)
      lines.append(reader.line_num)
  except csv.Error as error:
    raise BadData(f'{name}: line {reader.line_num:,}: {error}') from error
  for head in heads:
    if not head or not head.isprintable() or len(head) > 100:
      raise BadData(f'{name}: line 1: {head[:100]!r} is no name of a column')
    if heads.count(head) > 1:
      raise BadData(f'{name}: line 1 has {head} more than once')
  if not rows:
    raise BadData(f'{name}: is empty, it has columns but no line')
  return _Table(
    name, dict(zip(heads, zip(*rows, strict=True), strict=True)), lines
  )


def _order(table):
  """Lines sequence by sequence, `[S]`; lengths `[N]`; ids."""
  where: dict[str, list[int]] = {}
  for at, text in enumerate(table.columns['id']):
    identity = text.strip()
    if not identity or not identity.isprintable() or len(identity) > 100:
      raise table.bad(at, f'id {identity[:100]!r} is no name')
    where.setdefault(identity, []).append(at)
  times = _times(table)
  for identity, lines in where.items():
    for line_before, at in zip(lines, lines[1:], strict=False):
      if not times[at] > times[line_before]:
        texts = table.columns['time']
        raise table.bad(
          at,
          f'time {texts[at]} of id {identity} does not come after '
          f'{texts[line_before]} of line {table.lines[line_before]:,}; is one '
          'id used for two sequences?',
        )
  lengths = np.array([len(lines) for lines in where.values()])
  order = np.concatenate([np.array(lines) for lines in where.values()])
  return order, lengths, tuple(where)


def _times(table):
  """Times as numbers, or as dates where the first is one."""
  texts = table.columns['time']
  if _number(texts[0]) is None and _date(texts[0]) is not None:
    return _dates(table, texts)
  times = []
  for at, text in enumerate(texts):
    time = _number(text)
    if time is None:
      raise table.bad(at, f'time {text[:100]!r} is no number')
    times.append(time)
  return times


def _dates(table, texts):
  zone = _date(texts[0]).tzinfo is None
  times = []
  for at, text in enumerate(texts):
    time = _date(text)
    if time is None or (time.tzinfo is None) != zone:
      raise table.bad(
        at, f'time {text[:100]!r} is no date like the first, {texts[0][:100]}'
      )
    times.append(time)
  return times


def _date(text):
  try:
    return datetime.datetime.fromisoformat(text.strip())
  except ValueError:
    return None


def _number(text):
  """A finite number, None for any other text."""
  try:
    value = float(text)
  except ValueError:
    return None
  # `float` takes 1_0 and digits of other scripts.
  if '_' in text or not text.isascii() or not np.isfinite(value):
    return None
  return value


def _numbers(table, columns):
  """`[lines, columns]` float64."""
  numbers = np.empty((len(table.lines), len(columns)))
  for i, column in enumerate(columns):
    for at, text in enumerate(table.columns[column]):
      value = _number(text)
      if value is None:
        value_text = repr(text[:100]) if text else 'empty'
        raise table.bad(
          at, f'{column} is {value_text}; it must be a finite number'
        )
      numbers[at, i] = value
  return numbers


def _asked(table):
  """The kind of target that there is, and its columns."""
  kinds: dict[str, list[str]] = {}
  for head in table.columns:
    for kind in _TARGET_COLUMNS:
      several = kind.endswith('target') and head.startswith(f'{kind}_')
      if head == kind or several:
        kinds.setdefault(kind, []).append(head)
  if len(kinds) != 1:
    which = ' and '.join(c for some in kinds.values() for c in some)
    raise BadData(
      f'{table.name}: line 1 has {which or "no column that is asked for"}; it '
      f'takes one of {", ".join(_TARGET_COLUMNS)}'
    )
  ((kind, columns),) = kinds.items()
  return kind, tuple(columns)


def _check_same(table, column, order, lengths, names):
  """Raises BadData where a sequence has two values in a column."""
  texts = table.columns[column]
  end = 0
  for name, length in zip(names, lengths, strict=True):
    first = texts[order[end]]
    for at in order[end : end + length]:
      if texts[at] != first:
        hint = f'; for one at every step call the column step_{column}'
        raise table.bad(
          at,
          f'{column} of id {name} is {texts[at][:100]!r} here and '
          f'{first[:100]!r} before' + hint * (column != 'split'),
        )
    end += length


def _classes(table, column, lines_of):
  texts = table.columns[column]
  words = [texts[at].strip() for at in lines_of]
  for at, word in zip(lines_of, words, strict=True):
    if not word or not word.isprintable() or len(word) > 100:
      raise table.bad(at, f'{column} {word[:100]!r} is no name of a class')
  names = sorted({*words}, key=_class_key)
  numbers = [_number(name) for name in names]
  if None not in numbers and not all(n.is_integer() for n in numbers):
    raise BadData(
      f'{table.name}: {column} holds numbers as {names[0]}, {names[-1]}: call '
      f'the column {column.replace("label", "target")} to predict them'
    )
  if None not in numbers and len({*numbers}) < len(names):
    raise BadData(
      f'{table.name}: {column} writes one number in two ways: '
      f'{", ".join(names)[:200]}'
    )
  place = {word: i for i, word in enumerate(names)}
  return np.array([place[word] for word in words], np.int64), tuple(names)


def _class_key(name):
  """Sorts 2 before 10, and numbers before words."""
  value = _number(name)
  return (value is None, value or 0.0, name)


def _part(table, at):
  try:
    return part_of(table.columns['split'][at])
  except ValueError as error:
    raise table.bad(at, f'split {error}') from None
