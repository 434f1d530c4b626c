"""`python -m experiments.report RUN_FOLDER`: a run beside what was published.

Writes report.html, one page that needs nothing else, and report.md with its
figures in figures/. Both are made from the sealed records alone; a run that is
still going on is reported as far as it has come.
"""

import hashlib
import importlib.util
import sys
from pathlib import Path

from experiments import (
  nets,
  report_content,
  report_figures,
  report_html,
  report_markdown,
  report_sequence,
)
from experiments.report_rows import heading
from lstm_jax import catalog, results
from lstm_jax.store import faults, files, folder, seal

_HELP = """\
Reports a run folder: published rows, readings, verdicts, figures.

  python -m experiments.report RUN_FOLDER     writes report.html and report.md
  python -m experiments.report --help         prints this

The sweep does the same at its end. Figures need matplotlib (pip install
'.[plot]'); without it the report says what is left out.

Exit codes: 0 done, 2 bad arguments or a folder of another version, 65 the plan
is damaged, 73 no run folder or not writable, 74 disk trouble."""
_LEFT_OUT = 'No figures: matplotlib is not installed (pip install ".[plot]").'


def main(argv=None):
  """Runs the command line `argv` and returns its exit code."""
  arguments = list(sys.argv if argv is None else argv)[1:]
  if '--help' in arguments or '-h' in arguments:
    print(_HELP)
    return int(faults.Exit.OK)
  flags = [word for word in arguments if word.startswith('-')]
  if flags or len(arguments) != 1:
    if flags:
      what = f'{flags[0]}: unknown flag; choose from --help'
    else:
      what = f'{len(arguments)} arguments: give one run folder, or --help'
    print('report:', *what.split(), file=sys.stderr)
    return int(faults.Exit.USAGE)
  try:
    written = write(folder.open_folder(arguments[0]))
  except faults.StoreError as error:
    print(f'report: {error}', file=sys.stderr)
    return int(error.exit_code)
  for path in written[:2]:
    print(path)
  return int(faults.Exit.OK)


def write(opened):
  """Writes the report of a run folder into it.

  A file that would not change is not touched, and nothing is computed where
  records, nets and sources are those of the report that is there.

  Args:
    opened: of `folder.open_folder`.

  Returns:
    The files, report.html and report.md first.

  Raises:
    Refused, StorageError, Unusable: a record of another version; the disk.
  """
  key = _key(opened)
  there = _there(opened, key)
  if there:
    return there
  report = report_content.read(opened)
  pictures, left_out = _pictures(opened, report)
  contents = {'report.html': report_html.page(report, pictures, left_out, key)}
  linked = {}
  for name, (caption, svg) in pictures.items():
    file = f'figures/report-{name.replace(":", "-")}.svg'
    linked[name] = caption, file
    contents[file] = report_figures.standalone(svg)
  document = report_markdown.document(report, linked, left_out)
  ordered = {'report.html': contents.pop('report.html'), 'report.md': document}
  return [
    _publish(opened, name, content)
    for name, content in (ordered | contents).items()
  ]


def _key(opened):
  """Hash of all that a report is made from."""
  records, problems = results.read_records(opened)
  sources = [
    [path.name, hashlib.sha256(path.read_bytes()).hexdigest()]
    for package in (Path(__file__).parent, Path(catalog.__file__).parent)
    for pattern in ('*.py', '*.toml')
    for path in sorted(package.rglob(pattern))
  ]
  plots = importlib.util.find_spec('matplotlib') is not None
  made_from = [
    opened.identity,
    records,
    len(problems),
    nets.names(opened),
    plots,
    sources,
  ]
  return seal.digest(seal.plain(made_from))


def _there(opened, key):
  """The files of a report made from the same, html first, or none."""
  first = [opened.path / name for name in ('report.html', 'report.md')]
  if not all(path.is_file() for path in first):
    return []
  if report_html.key(key) not in first[0].read_text('utf-8', 'replace'):
    return []
  return [*first, *sorted((opened.path / 'figures').glob('report-*.svg'))]


def _pictures(opened, report):
  """Name -> (caption, SVG), and what is missing and why."""
  try:
    import matplotlib  # noqa: F401
  except ImportError:
    return {}, _LEFT_OUT
  traces, left_out = _traces(opened, report)
  return report_figures.draw_all(report, traces), left_out


def _traces(opened, report):
  """(title, trace, blocks) of one solved net a task; why some are missing."""
  held = nets.load(opened)
  found, tasks, trouble = [], set(), {}
  rows = [*report.published, *report.others]
  readings = [(row, row.best) for row in rows]
  readings += [(row, reading) for row in rows for reading in row.readings]
  for row, reading in readings:
    if row.task in tasks:
      continue
    place = reading.entry['grid'], reading.entry['row']
    for name, params in held.items():
      entry = opened.trials.get(name)
      if not entry or (entry['grid'], entry['row']) != place:
        continue
      words = f'{heading(row)}, {reading.name}: one fresh sequence'
      blocks = report_sequence.blocks_of(entry)
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


def _publish(opened, name, content):
  path = opened.path / name
  data = content if isinstance(content, bytes) else content.encode()
  with files.storage(path):
    path.parent.mkdir(exist_ok=True)
  if not path.is_file() or files.read(path) != data:
    files.publish(path, data, overwrite=True, disk=opened.disk)
  return path


if __name__ == '__main__':
  sys.exit(main())
