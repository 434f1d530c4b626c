"""One CSV file, with a name and a line for everything that is wrong with it."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from lstm_jax.lab.data.files import faults
from lstm_jax.lab.data.files.errors import BadData


class Table(NamedTuple):
  """The rows of a table.

  Attributes:
    rows: the good rows in the order of the file: column -> value.
    named: every text of the key column, those of bad rows included.
  """

  rows: Sequence[dict[str, str | int]]
  named: frozenset[str]


def integer(low: int, high: int) -> Callable[[str], int]:
  """A column of integers from `low` to `high`, both included."""

  def convert(text):
    digits = text.removeprefix('-')
    if not (digits.isascii() and digits.isdigit()):
      raise ValueError(f'{text!r} is no integer')
    if not low <= int(text) <= high:
      raise ValueError(f'{text} is outside {low} to {high}')
    return int(text)

  return convert


def choice(numbers: Mapping[str, int]) -> Callable[[str], int]:
  """A column of words, each of which stands for a value."""

  def convert(text):
    if text not in numbers:
      raise ValueError(f'{text!r} is not one of {", ".join(numbers)}')
    return numbers[text]

  return convert


def file_name(text: str) -> str:
  """A column of names of files, without a folder."""
  is_bad = not text.isprintable() or set(text) & set('/\\')
  if is_bad or text in ('', '.', '..'):
    raise ValueError(f'{text!r} is no file name')
  return text


def any_text(text: str) -> str:
  """A column that is not looked at."""
  return text


def read(
  content: bytes,
  name: str,
  columns: Mapping[str, Callable[[str], str | int]],
  key: str,
  report: faults.Report = faults.stop,
) -> Table:
  """Reads a table.

  Args:
    content: bytes of the file, UTF-8 with or without a byte-order mark.
    name: of the file, for messages.
    columns: every column of the table, in any order -> what converts its text;
      raises ValueError with the reason where it cannot.
    key: the column in which nothing may stand twice.
    report: is given the bad rows, and columns that should not be there.

  Returns:
    `Table`.

  Raises:
    BadData: the file cannot be read as this table at all: it is empty, not
      UTF-8, no CSV, or lacks a column; or `report` raises it.
  """
  try:
    text = content.decode('utf-8-sig')
  except UnicodeDecodeError as error:
    line = content.count(b'\n', 0, error.start) + 1
    raise BadData(f'{name}: line {line:,} is not UTF-8') from error
  reader = csv.reader(io.StringIO(text, newline=''), strict=True)
  try:
    head = next(reader, None)
    if not head:
      raise BadData(f'{name}: is empty, it has no line with columns')
    lines = [(reader.line_num, row) for row in reader if row]
  except csv.Error as error:
    raise BadData(f'{name}: line {reader.line_num:,}: {error}') from error
  if missing_columns := [column for column in columns if column not in head]:
    raise BadData(
      f'{name}: line 1 has no column {", ".join(missing_columns)}; '
      f'it has {", ".join(head)}'
    )
  duplicates = [column for column in columns if head.count(column) > 1]
  if duplicates:
    raise BadData(f'{name}: line 1 has {", ".join(duplicates)} more than once')
  faults = [
    f'{name}: line 1 has a column {column!r} that is not known'
    for column in head
    if column not in columns
  ]
  rows, at = [], head.index(key)
  line_of: dict[str | int, int] = {}
  for line, row in lines:
    try:
      fields = _row(head, row, columns)
      first = line_of.setdefault(fields[key], line)
      if first != line:
        raise ValueError(f'{fields[key]} is listed on line {first:,} already')
      rows.append(fields)
    except ValueError as error:
      faults.append(f'{name}: line {line:,}: {error}')
  if not (rows or faults):
    raise BadData(f'{name}: is empty, it has columns but no row')
  report(faults)
  named = frozenset(row[at] for _, row in lines if at < len(row))
  return Table(rows, named)


def _row(head, row, columns):
  if len(row) != len(head):
    raise ValueError(f'{len(row)} fields where there are {len(head)} columns')
  fields = {}
  for column, text in zip(head, row, strict=True):
    if column in columns:
      try:
        fields[column] = columns[column](text)
      except ValueError as error:
        raise ValueError(f'{column} {error}') from None
  return fields
