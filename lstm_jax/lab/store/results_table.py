"""The table of results: a pure function of the plan and the sealed records."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from lstm_jax.lab.store import files, seal
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.folder import Folder
from lstm_jax.lab.store.result_columns import (
  RESULT_COLUMNS,
  Row,
  csv_of,
  row_maker,
)
from lstm_jax.lab.store.trial_records import Problem, read_records


def rows(folder: Folder, records: Mapping[str, Record]) -> list[Row]:
  """One row a record, in the order of the plan, with every column.

  Args:
    folder: the run folder.
    records: trial id -> record, from `trial_records.read_records`.
  """
  row_of = row_maker()
  return [
    row_of(setting, records[trial])
    for trial, setting in folder.trials.items()
    if trial in records
  ]


def write_csv(folder: Folder) -> tuple[dict[str, Record], list[Problem]]:
  """Makes results.csv from the sealed records; untouched if nothing changed.

  Returns:
    (records, problems) of `read_records`.
  """
  path = folder.path / 'results.csv'
  while True:
    before = _signatures(folder)
    records, problems = read_records(folder, is_lean=True)
    data = csv_of(rows(folder, records))
    files.write(path, data, folder.disk)
    # The process of another shard may have sealed more and written its table
    # before ours: whoever writes last must have seen every record.
    if _signatures(folder) == before:
      return records, problems


def _signatures(folder):
  """A value that is another one when a file of records is."""
  place = folder.path / 'records'
  return [(name, files.signature(place / name)) for name in files.names(place)]


def write_joined(
  tables: Iterable[Iterable[Mapping[str, object]]],
  path: Path,
  disk: files.Disk,
) -> None:
  """Makes one table of several; of a trial in two of them the first counts.

  Args:
    tables: the `rows` of run folders, in order.
    path: of the table.
    disk: the calls that change the disk.
  """
  rows_by_trial: dict[object, Mapping[str, object]] = {}
  for table in tables:
    for row in table:
      rows_by_trial.setdefault(row['trial'], row)
  files.write(path, csv_of(rows_by_trial.values()), disk)


def results_digest(folder: Folder) -> str:
  """SHA-256 over the result columns: equal for runs with equal results."""
  table = rows(folder, read_records(folder)[0])
  return seal.digest([[row[name] for name in RESULT_COLUMNS] for row in table])
