"""Writes a report: finds out whether it is there, makes it, publishes it."""

from lstm_jax.lab.report import (
  content,
  drawing,
  html_page,
  markdown,
  metric_kind,
  naming,
  publishing,
  runs,
  trace,
)
from lstm_jax.lab.report import metric_write as comparison_writing
from lstm_jax.lab.report.figures import sequence
from lstm_jax.lab.report.rows import heading
from lstm_jax.lab.store import nets


def write(folders, out=None):
  """Writes the report of one or several run folders.

  A file that would not change is not touched, and nothing is computed where
  records, nets and sources are those of the report that is there.

  Args:
    folders: of `folder.open_folder`, at least one, no two the same.
    out: the directory it goes to, made if missing; None for the folder itself,
      if there is one only.

  Returns:
    The files, report.html and report.md first.

  Raises:
    ValueError: several folders and no `out`.
    Refused: a record of another version; `out` is the folder of a run, and not
      of the only one; runs on tasks and on data sets together.
    StorageError, Unusable: the disk.

  Runs on data sets have a report of their own (`comparisons.writing`).
  """
  if metric_kind.all_comparisons(folders):
    return comparison_writing.write(folders, out)
  out = publishing.directory(folders, out)
  held = [runs.read(opened) for opened in folders]
  key = publishing.key(
    [[run.identity, run.rows, run.problems, run.nets] for run in held]
  )
  there = publishing.there(out, key)
  if there:
    return there
  joined = runs.join(held)
  report = content.made(
    joined.entries, joined.rows, runs.facts(held), joined.warnings
  )
  pictures, left_out = _pictures(folders, report)
  return publishing.publish(
    out,
    folders[0].disk,
    pictures,
    html_page.page(report, pictures, left_out, key),
    lambda linked: markdown.document(report, linked, left_out),
  )


def _pictures(folders, report):
  """Name -> (caption, SVG), and what is missing and why."""
  if not publishing.can_draw():
    return {}, publishing.LEFT_OUT
  traces, left_out = _traces(folders, report)
  return drawing.draw_all(report, traces), left_out


def _traces(folders, report):
  """(title, trace, blocks) of one solved net a task; why some are missing."""
  held = {}  # setting -> (entry, net) of each kept net
  for opened in folders:
    for name, params in nets.load(opened).items():
      if entry := opened.trials.get(name):
        kept = entry, params
        held.setdefault(naming.setting(entry), []).append(kept)
  found, tasks, trouble = [], set(), {}
  rows = [*report.published, *report.others]
  readings = [(row, row.best) for row in rows]
  readings += [(row, reading) for row in rows for reading in row.readings]
  for row, reading in readings:
    if row.task in tasks:
      continue
    words = f'{heading(row)}, {reading.name}: one fresh sequence'
    for entry, params in held.get(naming.setting(reading.entry), ()):
      blocks = sequence.blocks_of(entry)
      try:
        found.append((words, trace.trace(entry, params), blocks))
      except (ValueError, TypeError, KeyError) as error:
        # A net of another version: the report can do without.
        trouble[row.task] = f'No picture of a net of {row.task}: {error}.'
        continue
      tasks.add(row.task)
      break
  missing = [said for task, said in trouble.items() if task not in tasks]
  return found, ' '.join(missing)
