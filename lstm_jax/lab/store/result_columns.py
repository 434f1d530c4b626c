"""Columns of the table of results: what a trial is, what came out, and how."""

import csv
import io
from collections.abc import Iterable, Mapping

from lstm_jax.lab.store import seal
from lstm_jax.lab.store.documents import Record, Value
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
# Two runs of a plan must agree on what is a result, bit by bit.
_RESULTS = _OF_SETTING + _STATUS + _METRICS
COLUMNS = _RESULTS + _OF_RUN
_FORMULA = ('=', '+', '-', '@', '\t', '\r')
RESULT_COLUMNS = tuple(name for name, _ in _RESULTS)


def row_of(
  setting: Setting,
  record: Record,
  options: Mapping[str, Value] | None = None,
) -> dict[str, object]:
  """A row of the table, column -> value.

  Args:
    setting: of the trial.
    record: of the trial.
    options: those of the setting, where many trials share them; None: the
      setting is asked.
  """
  values = record['metrics'] | {
    name: getattr(setting, name, record.get(name))
    for name, _ in (*_OF_SETTING, *_STATUS, *_OF_RUN)
    if name != 'options'
  }
  values['options'] = setting.options if options is None else options
  return {name: values.get(name) for name, _ in COLUMNS}


def csv_of(table: Iterable[Mapping[str, object]]) -> bytes:
  """The table as results.csv has it.

  Text is quoted where needed, floats are written so that reading them gives the
  same bits, missing values are empty, lines end in LF.

  Args:
    table: rows of `row_of`.
  """
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow([name for name, _ in COLUMNS])
  for row in table:
    writer.writerow([_field(row[name]) for name, _ in COLUMNS])
  return text.getvalue().encode()


def _field(value):
  """A value as it stands in the table."""
  if isinstance(value, str) and value.startswith(_FORMULA):
    return f"'{value}"  # text to a spreadsheet, too
  if value is None or isinstance(value, str):
    return value
  if isinstance(value, float):
    return repr(value)
  return seal.canonical(value)
