"""Makes the board of a benchmark: who solves what, and who is ahead of whom."""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from lstm_jax.lab.plan import parsers, run_folders, values
from lstm_jax.lab.report import content, publishing
from lstm_jax.lab.run import command, mains
from lstm_jax.lab.standings import write
from lstm_jax.lab.store import faults, files, folder

_HELP = """\
Makes the board of a benchmark: entries x courses, who solves what, after how
many sequences, and who is ahead of whom where the trials allow to say it.

  lstm-jax board FOLDER               writes board.html, board.md and board.csv
                                      into the folder
  lstm-jax board FOLDER FOLDER TABLE.csv ... --out=DIR
                                      one board of all of them
  lstm-jax board --help               prints this

  --out=DIR   where the board goes; made if missing
  --alone     leave out what this project has measured of the same courses

A folder is of a run with --grid=benchmark, or of a grid of yours with entries
(see docs/grids.md); a table is the board.csv of another board. The sweep does
the first at its end.

"""


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  return command.run(_COMMAND, argv)


def define() -> flags.FlagValues:
  """The flags in a new `FlagValues`."""
  flag_values = flags.FlagValues()
  words = 'where the board goes; made if missing'
  parsers.define(flag_values, 'out', 'place', values.place, words)
  words = 'leave out what this project has measured'
  parsers.switch(flag_values, 'alone', words)
  parsers.switch(flag_values, 'help', 'print this')
  return flag_values


def _read(flag_values, words):
  """`(open folders, tables, where the board goes, whether alone)`."""
  out = flag_values['out'].value
  tables = [Path(word) for word in words if word.endswith('.csv')]
  others = [word for word in words if not word.endswith('.csv')]
  paths = run_folders.paths_of(others) if others or not tables else []
  if len(paths) + len(tables) > 1 and out is None or not paths and out is None:
    raise values.Refused(
      f'{len(paths) + len(tables)} sources: say where their board goes, '
      '--out=DIR'
    )
  opened = [folder.open_folder(path) for path in paths]
  return opened, tables, out, bool(flag_values['alone'].value)


def _act(request):
  opened, tables, out, is_alone = request
  sources = [*map(write.of_folder, opened), *map(write.of_file, tables)]
  grids = [s.grid for one in opened for s in one.trials.values()]
  if not is_alone:
    sources += write.measured(sources, grids)
  trials = {k: v for one in opened for k, v in one.trials.items()}
  title = content.headings(trials)[0] if trials else 'The board'
  target = publishing.directory(opened, out) if opened else Path(out)
  disk = opened[0].disk if opened else files.Disk()
  mains.tell(*write.write(sources, target, disk, title))
  return int(faults.Exit.OK)


_COMMAND = command.Command(
  'board', define, lambda: _HELP + faults.EXIT_CODES, _read, _act
)
