"""Makes a film of a row: one network before, during and after learning."""

import functools
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from lstm_jax.choices import count_of, unknown
from lstm_jax.lab.plan import parsers, run_folders, values
from lstm_jax.lab.run import command, mains
from lstm_jax.lab.serve import film, inside
from lstm_jax.lab.serve.watching import Watch
from lstm_jax.lab.store import faults, files

# Ending of a file -> the kind of film.
_KINDS = {'.gif': 'GIF', '.webp': 'WEBP', '.mp4': 'MP4', '.webm': 'WEBM'}
_VIDEOS = ('.mp4', '.webm')

_HELP = """\
Makes a film of a network over one sequence, before, during and after learning.

  lstm-jax film FOLDER ROW --out=FILE.gif

FOLDER is a run folder, whose first trial of each row keeps the networks on its
way; ROW is a row, or the id of a trial.

  --out=FILE    .gif or .webp; .mp4 or .webm where ffmpeg is installed
  --seed=N      of the sequence (0)
  --name=WORDS  title, instead of the row's task

Needs pip install 'lstm_jax[plot]'.

"""


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  return command.run(_COMMAND, argv)


def define() -> flags.FlagValues:
  """The flags in a new `FlagValues`."""
  flag_values = flags.FlagValues()
  seed = functools.partial(values.integer, low=0)
  for name, kind, function, words in (
    ('out', 'place', values.place, 'where the film goes, .gif or another'),
    ('seed', 'int', seed, 'of the sequence (0)'),
    ('name', 'string', parsers.text, "title, instead of the row's task"),
  ):
    parsers.define(flag_values, name, kind, function, words)
  parsers.switch(flag_values, 'help', 'print this')
  return flag_values


def _read(flag_values, words):
  """(setting, networks, where the film goes, seed, title)."""
  if len(words) != 2:
    raise values.Refused(
      f'{count_of(len(words), "word")}: give FOLDER and ROW, or --help'
    )
  if not flag_values['out'].value:
    raise values.Refused('no --out: say where the film goes, --out=FILE.gif')
  out = Path(flag_values['out'].value)
  if out.suffix not in _KINDS:
    raise values.Refused(
      f'--out={out}: a film is {" or ".join(_KINDS)}, by its ending'
    )
  if out.suffix in _VIDEOS and not film.has_ffmpeg():
    raise values.Refused(
      f'--out={out}: needs ffmpeg, which is not installed (apt-get install '
      'ffmpeg); a .gif or a .webp does not'
    )
  setting, networks = _networks(run_folders.path_of(words[0]), words[1])
  if reason := inside.why_closed(setting):
    raise values.Refused(reason)
  name = flag_values['name'].value or setting.task.replace('_', ' ')
  return setting, networks, out, flag_values['seed'].value or 0, name


def _networks(folder, row):
  """(setting, networks) of the trial of a row whose networks are kept."""
  watch = Watch(folder)
  look = watch.look()
  if not look.trials:
    raise values.Refused(look.problems[0])
  trials_kept = [name for name in look.trials if len(watch.networks(name)) > 1]
  fitting = [
    name for name in trials_kept if row in (name, look.trials[name].row)
  ] or [name for name in trials_kept if look.trials[name].row_name == row]
  if not fitting:
    rows = dict.fromkeys(look.trials[name].row for name in trials_kept)
    raise values.Refused(
      f'ROW={row}: no networks of its way are kept; '
      + unknown(row, rows, 'row with such networks', most=8)
    )
  return look.trials[fitting[0]], watch.networks(fitting[0])


def _act(request):
  setting, networks, out, seed, name = request
  follow = inside.follower(setting)
  scenes = [film.Scene(n, follow(params, seed)) for n, params in networks]
  data = film.film(scenes, _KINDS[out.suffix], name)
  files.write(out, data)
  mains.tell(
    f'{count_of(len(networks), "network")}, {len(data) / 1000:.0f} kB: {out}'
  )
  return int(faults.Exit.OK)


_COMMAND = command.Command(
  'film', define, lambda: _HELP + faults.EXIT_CODES, _read, _act
)
