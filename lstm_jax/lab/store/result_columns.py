"""Columns of the table of results: what a trial is, what came out, and how."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping

from lstm_jax.lab.store import seal
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.metrics import METRICS
from lstm_jax.lab.store.setting import Setting

# (name, description) of what a setting says, of what came out, and of how.
_OF_SETTING = (
  ('trial', 'id of the trial: hash of its setting'),
  ('grid', 'name of the grid it belongs to'),
  ('row', 'row of the grid: trials that differ in the seed alone'),
  ('task', 'name of the task'),
  ('cell', 'name of the cell'),
  ('learner', 'name of the learner'),
  ('length', 'T, time steps'),
  ('window', 'steps an error travels back; empty where there is none'),
  ('hidden', 'units, or blocks x size'),
  ('learning_rate', 'learning rate'),
  ('options', 'all further settings, JSON'),
  ('seed', 'seed of the trial'),
  ('budget', 'training sequences allowed, or epochs'),
)
_STATUS = (('status', 'solved, budget, given_up, diverged or failed'),)
_METRICS = tuple((metric.name, metric.words) for metric in METRICS)
_OF_RUN = (
  ('reason', 'why it diverged or failed'),
  ('seconds', 'wall time of the trial'),
  ('device', 'kind of device'),
  ('drift', "provenance that was not the plan's: name=value;..."),
)
# Of a run that is tuned; other tables have no such columns.
_OF_TUNING = (
  (
    'tuning',
    'what the setting was chosen by and from how many, JSON; or empty',
  ),
  ('tuning_seconds', 'wall time of all trials of the search of its row'),
)
# Two runs of a plan must agree on what is a result, bit by bit.
_RESULTS = _OF_SETTING + _STATUS + _METRICS
COLUMNS = _RESULTS + _OF_RUN
# Values of these types are written as they are: floats by their `repr`.
_PLAIN = frozenset((int, float, type(None)))
_BLOCK = 2**22  # characters
_FORMULA = ('=', '+', '-', '@', '\t', '\r')
RESULT_COLUMNS = tuple(name for name, _ in _RESULTS)


_RUN_COLUMNS = tuple(name for name, _ in _OF_RUN)
_METRIC_COLUMNS = tuple(name for name, _ in _METRICS)
# What a row has of its own -> its place there.
_AT = {
  name: place
  for place, name in enumerate(
    ('trial', 'seed', 'status', *_METRIC_COLUMNS, *_RUN_COLUMNS)
  )
}
_NAMES = tuple(name for name, _ in COLUMNS)
TUNING_COLUMNS = tuple(name for name, _ in _OF_TUNING)
_FAMILY_COLUMNS = tuple(name for name in _NAMES if name not in _AT)
# Of these, what stands between the trial and its seed.
_SHARED_AHEAD = _FAMILY_COLUMNS[:-1]


class Row(Mapping[str, object]):
  """A row of the table, column -> value, in a fifth of a dict's memory.

  Attributes:
    cells: what it has of its own.
    family: column -> value, what it shares with the other seeds of its setting.
  """

  __slots__ = ('cells', 'family')

  def __init__(
    self, cells: tuple[object, ...], family: Mapping[str, object]
  ) -> None:
    self.cells, self.family = cells, family

  def __getitem__(self, key: str) -> object:
    place = _AT.get(key)
    return self.family[key] if place is None else self.cells[place]

  def __iter__(self) -> Iterator[str]:
    return iter(_names_of(self))

  def __len__(self) -> int:
    return len(_names_of(self))

  def get(self, key: str, default: object = None) -> object:
    """The value of a column; `default` where there is no such column."""
    place = _AT.get(key)
    if place is None:
      return self.family.get(key, default)
    return self.cells[place]

  def __repr__(self) -> str:
    return repr(dict(self))


def _names_of(row):
  """The columns that a row has something to say in, or may have."""
  return _NAMES + TUNING_COLUMNS * bool(row.get('tuning'))


def row_maker() -> Callable[[Setting, Record], Row]:
  """A function that makes the row of a trial of its setting and its record.

  What the seeds of a setting have in common is found out once.
  """
  families: dict[object, dict[str, object]] = {}

  def row_of(setting, record):
    if setting.family not in families:
      names = (*_FAMILY_COLUMNS, *TUNING_COLUMNS)
      values = {name: getattr(setting, name) for name in names}
      families[setting.family] = values
    return Row(
      (
        record['trial'],
        setting.seed,
        record['status'],
        *map(record['metrics'].get, _METRIC_COLUMNS),
        *map(record.get, _RUN_COLUMNS),
      ),
      families[setting.family],
    )

  return row_of


def csv_of(table: Iterable[Mapping[str, object]]) -> list[bytes]:
  """The table as results.csv has it.

  Text is quoted where needed, floats are written so that reading them gives the
  same bits, missing values are empty, lines end in LF.

  Args:
    table: rows of `row_maker`.

  Returns:
    The bytes, a block of many rows after the other.
  """
  blocks: list[bytes] = []
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  rows = list(table)
  tuning_columns = TUNING_COLUMNS * any(row.get('tuning') for row in rows)
  writer.writerow(_NAMES + tuning_columns)
  # Identity of what rows share -> (it, which stays so; its text).
  shared: dict[int, tuple[object, str]] = {}
  for row in rows:
    if isinstance(row, Row):
      family = row.family
      if id(family) not in shared:
        shared[id(family)] = family, _line([family[n] for n in _SHARED_AHEAD])
      trial, seed, *others = row.cells
      # The id of a trial has no character that would be quoted.
      text.write(f'{trial},{shared[id(family)][1]},{seed},')
      values = family['budget'], *others, *map(family.get, tuning_columns)
    else:
      values = [row[name] for name in _NAMES]
      values += map(row.get, tuning_columns)
    writer.writerow([v if type(v) in _PLAIN else _field(v) for v in values])
    if text.tell() > _BLOCK:
      blocks.append(text.getvalue().encode())
      text.seek(0)
      text.truncate()
  return [*blocks, text.getvalue().encode()]


def _line(values):
  """Values as they stand in the table, without the end of the line."""
  text = io.StringIO()
  csv.writer(text, lineterminator='').writerow(map(_field, values))
  return text.getvalue()


def _field(value):
  """A value as it stands in the table."""
  if type(value) in _PLAIN:
    return value
  if isinstance(value, str):
    # Text to a spreadsheet, too.
    return f"'{value}" if value.startswith(_FORMULA) else value
  return seal.canonical(value)
