"""Writes a report: finds out whether it is there, makes it, publishes it."""

import hashlib
import importlib
import os
from pathlib import Path

from experiments import nets
from experiments.report import (
  content,
  drawing,
  html_page,
  markdown,
  naming,
  runs,
  sequence,
)
from experiments.report.rows import heading
from lstm_jax import catalog
from lstm_jax.store import faults, files, seal

_LEFT_OUT = 'No figures: matplotlib is not installed (pip install ".[plot]").'
_EXPERIMENTS = Path(__file__).parent.parent


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
      of the only one.
    StorageError, Unusable: the disk.
  """
  out = _directory(folders, out)
  held = [runs.read(opened) for opened in folders]
  key = _key(held)
  there = _there(out, key)
  if there:
    return there
  joined = runs.join(held)
  report = content.made(
    joined.entries, joined.rows, runs.facts(held), joined.warnings
  )
  pictures, left_out = _pictures(folders, report)
  page = html_page.page(report, pictures, left_out, key)
  linked, drawn = {}, {}
  for name, (caption, svg) in pictures.items():
    file = f'figures/report-{name.replace(":", "-")}.svg'
    linked[name] = caption, file
    drawn[file] = drawing.standalone(svg)
  document = markdown.document(report, linked, left_out)
  texts = {'report.html': page.encode(), 'report.md': document.encode()}
  disk = folders[0].disk
  return [
    _publish(out / name, data, disk) for name, data in (texts | drawn).items()
  ]


def _directory(folders, out):
  """Where the report goes, which is there afterwards."""
  if out is None:
    if len(folders) > 1:
      raise ValueError(f'out must be given for {len(folders)} folders.')
    return folders[0].path
  out = Path(out)
  real = os.path.realpath
  own = len(folders) == 1 and real(out) == real(folders[0].path)
  if os.path.lexists(out / 'plan.json') and not own:
    raise faults.Refused(
      f'{out}: holds a run, whose own report would be lost; name another --out'
    )
  _make_directory(out)
  return out


def _make_directory(path):
  with files.storage(path):
    try:
      path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
      raise faults.Unusable(f'{path}: not a directory') from None


def _key(held):
  """Hash of all that a report is made from."""
  sources = [
    [path.name, hashlib.sha256(path.read_bytes()).hexdigest()]
    for package in (_EXPERIMENTS, Path(catalog.__file__).parent)
    for pattern in ('*.py', '*.toml')
    for path in sorted(package.rglob(pattern))
  ]
  made_from = [
    [[run.identity, run.rows, run.problems, run.nets] for run in held],
    _can_draw(),
    sources,
  ]
  return seal.digest(seal.plain(made_from))


def _there(out, key):
  """The files of a report made from the same, html first, or none."""
  first = [out / name for name in ('report.html', 'report.md')]
  if not all(path.is_file() for path in first):
    return []
  if html_page.key(key) not in first[0].read_text('utf-8', 'replace'):
    return []
  return [*first, *sorted((out / 'figures').glob('report-*.svg'))]


def _can_draw():
  try:
    importlib.import_module('matplotlib')
  except ImportError:
    return False
  return True


def _pictures(folders, report):
  """Name -> (caption, SVG), and what is missing and why."""
  if not _can_draw():
    return {}, _LEFT_OUT
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
        found.append((words, nets.trace(entry, params), blocks))
      except (ValueError, TypeError, KeyError) as error:
        # A net of another version: the report can do without.
        trouble[row.task] = f'No picture of a net of {row.task}: {error}.'
        continue
      tasks.add(row.task)
      break
  missing = [said for task, said in trouble.items() if task not in tasks]
  return found, ' '.join(missing)


def _publish(path, data, disk):
  _make_directory(path.parent)
  if not path.is_file() or files.read(path) != data:
    files.publish(path, data, overwrite=True, disk=disk)
  return path
