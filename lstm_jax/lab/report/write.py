"""Writes a report: finds out whether it is there, makes it, publishes it."""

import array
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lstm_jax.lab.report import (
  content,
  drawing,
  html_page,
  markdown,
  naming,
  publishing,
  runs,
  trace,
)
from lstm_jax.lab.report.rows import heading
from lstm_jax.lab.store import nets, results_table
from lstm_jax.lab.store.folder import Folder
from lstm_jax.lab.store.setting import Setting


def write(
  folders: Sequence[Folder],
  out: str | Path | None = None,
  run_list: Sequence[runs.Run] | None = None,
) -> list[Path]:
  """Writes the report of one or several run folders.

  A file that would not change is not touched, and nothing is computed where
  records, nets and sources are those of the report that is there.

  Args:
    folders: of `folder.open_folder`, at least one, no two the same.
    out: the directory it goes to, made if missing; None for the folder itself,
      if there is one only.
    run_list: the folders as they were read, of `runs.read`; None: they are.

  Returns:
    The files, report.html and report.md first.

  Raises:
    ValueError: several folders and no `out`.
    Refused: a record of another version; `out` is the folder of a run, and not
      of the only one.
    StorageError, Unusable: the disk.
  """
  out = publishing.directory(folders, out)
  run_list = run_list or [runs.read(opened) for opened in folders]
  key = publishing.key(
    [
      [run.identity, _digest(run.records), run.problems, run.nets]
      for run in run_list
    ]
  )
  files_there = publishing.published_files(out, key)
  if files_there:
    return files_there
  drawable = publishing.can_draw()
  report = content.report_of(run_list)
  left_out = '' if drawable else publishing.LEFT_OUT
  pictures = {}
  if drawable:
    traces, left_out = _traces(folders, report)
    pictures = drawing.draw_all(report, traces)
  report = content.with_warning(report, left_out)
  return publishing.publish(
    out,
    folders[0].disk,
    pictures,
    html_page.page(report, pictures, key),
    lambda linked: markdown.document(report, linked),
  )


def _digest(records):
  """A word for all records: there may be too many for one text of all."""
  digest = hashlib.sha256()
  for name, record in records.items():
    curves = record['curves']
    sizes = {curve: len(values) for curve, values in curves.items()}
    digest.update(repr([name, record | {'curves': sizes}]).encode())
    for values in curves.values():
      is_array = isinstance(values, array.array)
      digest.update(values.tobytes() if is_array else repr(values).encode())
  return digest.hexdigest()


def pages(
  folders: Sequence[Folder], out: str | Path | None = None
) -> list[Path]:
  """Writes the report of run folders and their table, `results.csv`.

  Args:
    folders, out: as of `write`.

  Returns:
    The files of `write`, and the table last.

  Raises:
    ValueError, Refused, StorageError, Unusable: as `write` does.
  """
  run_list = [runs.read(opened) for opened in folders]
  table = publishing.directory(folders, out) / 'results.csv'
  # First: of a large run both take their most memory at their ends.
  tables = (run.rows.values() for run in run_list)
  results_table.write_joined(tables, table, folders[0].disk)
  return [*write(folders, out, run_list), table]


def _traces(folders, report):
  """(title, trace, blocks) of a solved network a task; why some are missing."""
  # What is alike -> (setting, net) of each kept network.
  nets_by_setting: dict[str, list[tuple[Setting, dict[str, np.ndarray]]]] = {}
  for opened in folders:
    for name, params in nets.load(opened).items():
      if setting := opened.trials.get(name):
        pair = setting, params
        nets_by_setting.setdefault(naming.alike(setting), []).append(pair)
  traces, tasks, trouble = [], set(), {}
  rows = [*report.published, *report.others]
  readings = [(row, row.best) for row in rows]
  readings += [(row, reading) for row in rows for reading in row.readings]
  for row, reading in readings:
    # What goes on over a sequence is shown of tasks that draw theirs.
    if row.task in tasks or reading.unit != 'sequences':
      continue
    words = f'{heading(row)}, {reading.name}: one fresh sequence'
    for setting, params in nets_by_setting.get(
      naming.alike(reading.setting), ()
    ):
      blocks = dict(setting.cell_options).get('blocks')
      entries = [setting.outside.get(role) for role in ('task', 'cell')]
      if names := ' and '.join(entry.name for entry in entries if entry):
        trouble[row.task] = (
          f'No picture of a net of {row.task}: a report does not run {names}, '
          'code that a folder names; `lstm-jax predict` does.'
        )
        continue
      try:
        traces.append((words, trace.trace(setting, params), blocks))
      except (ValueError, TypeError, KeyError) as error:
        # A network of another version: the report can do without.
        trouble[row.task] = f'No picture of a net of {row.task}: {error}.'
        continue
      tasks.add(row.task)
      break
  sentences = [
    sentence for task, sentence in trouble.items() if task not in tasks
  ]
  return traces, ' '.join(sentences)
