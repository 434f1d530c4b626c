"""Reports run folders beside what was published.

All of a report is made from the sealed records alone; a run that is still going
on is reported as far as it has come.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lstm_jax.lab.plan import values
from lstm_jax.lab.plan.text_columns import show
from lstm_jax.lab.report import write
from lstm_jax.lab.run import mains
from lstm_jax.lab.store import faults, folder, trial_records

_HELP = """\
Reports run folders: published rows, readings, verdicts, figures.

  python -m experiments.report FOLDER              writes report.html,
                                                   report.md and results.csv
                                                   into the folder
  python -m experiments.report FOLDER FOLDER ... --out=DIR
                                                   one report and one table
                                                   of all of them
  python -m experiments.report --help              prints this

  --out=DIR   where the report goes; made if missing, no other run's folder

The sweep does the first at its end. Of several folders each published row has
the readings of all; a trial that two of them hold counts once, as the first has
it. Figures need matplotlib (pip install 'lstm_jax[plot]'); without it the
report says what is left out.

"""


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  arguments = list(sys.argv if argv is None else argv)[1:]
  if '--help' in arguments or '-h' in arguments:
    return show(_HELP + faults.EXIT_CODES)
  try:
    paths, out = _read(arguments)
    opened = [folder.open_folder(path) for path in paths]
    written = write.write(opened, out)
    table = Path(out or paths[0]) / 'results.csv'
    trial_records.write_joined(opened, table, opened[0].disk)
  except values.Refused as refused:
    # One line, whatever was typed.
    mains.say('report', ' '.join(str(refused).split()))
    return int(faults.Exit.USAGE)
  mains.tell(*written[:2], table)
  problems = [p for one in opened for p in trial_records.read_records(one)[1]]
  for problem in problems:
    mains.say('report', problem.reason)
  return int(faults.Exit.FAILED if problems else faults.Exit.OK)


def _read(arguments):
  """The folders, each once, and where the report goes."""
  paths: dict[str, str] = {}
  out = None
  words = iter(arguments)
  for word in words:
    name, equals, value = word.partition('=')
    if name == '--out':
      if out is not None:
        raise values.Refused('--out is given twice; write it once')
      out = value if equals else next(words, '')
      out = values.place(out, '--out')
    elif word.startswith('-'):
      raise values.Refused(f'{word}: unknown flag; choose from --out, --help')
    else:
      path = values.place(word, 'folder')
      paths.setdefault(os.path.realpath(path), path)
  if not paths:
    raise values.Refused('no folder: give one run folder or more, or --help')
  if len(paths) > 1 and out is None:
    raise values.Refused(
      f'{len(paths)} folders: say where their report goes, --out=DIR'
    )
  return list(paths.values()), out
