"""Reports run folders beside what was published.

All of a report is made from the sealed records alone; a run that is still going
on is reported as far as it has come.
"""

from collections.abc import Sequence

from absl import flags

from lstm_jax.lab.plan import parsers, run_folders, values
from lstm_jax.lab.report import write
from lstm_jax.lab.run import command, mains
from lstm_jax.lab.store import faults, folder, trial_records

_HELP = """\
Reports run folders: published rows, readings, verdicts, figures.

  lstm-jax report FOLDER              writes report.html,
                                      report.md and results.csv
                                      into the folder
  lstm-jax report FOLDER FOLDER ... --out=DIR
                                      one report and one table
                                      of all of them
  lstm-jax report --help              prints this

  --out=DIR   where the report goes; made if missing, no other run's folder

The sweep does the first at its end. Of several folders each published row has
the readings of all; a trial that two of them hold counts once, as the first has
it. Figures need matplotlib (pip install 'lstm_jax[plot]'); without it the
report says what is left out.

"""


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  return command.run(_COMMAND, argv)


def define() -> flags.FlagValues:
  """The flags in a new `FlagValues`."""
  flag_values = flags.FlagValues()
  words = "where the report goes; made if missing, no other run's folder"
  parsers.define(flag_values, 'out', 'place', values.place, words)
  parsers.switch(flag_values, 'help', 'print this')
  return flag_values


def _read(flag_values, words):
  """`(open folders, each once, and where the report goes)`."""
  out, paths = flag_values['out'].value, run_folders.paths_of(words)
  if len(paths) > 1 and out is None:
    raise values.Refused(
      f'{len(paths)} folders: say where their report goes, --out=DIR'
    )
  return [folder.open_folder(path) for path in paths], out


def _act(request):
  opened, out = request
  paths = write.pages(opened, out)
  mains.tell(*paths[:2], paths[-1])
  problems = [
    p for folder_ in opened for p in trial_records.read_records(folder_)[1]
  ]
  for problem in problems:
    mains.say('report', problem.reason)
  return int(faults.Exit.FAILED if problems else faults.Exit.OK)


_COMMAND = command.Command(
  'report', define, lambda: _HELP + faults.EXIT_CODES, _read, _act
)
