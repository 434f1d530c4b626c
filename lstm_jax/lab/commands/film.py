"""Makes a film of a row: one network before, during and after learning."""

import sys
from collections.abc import Sequence
from pathlib import Path

from lstm_jax.lab.plan import values
from lstm_jax.lab.plan.catalog import unknown
from lstm_jax.lab.plan.text_columns import show
from lstm_jax.lab.run import mains
from lstm_jax.lab.store import faults, files

_HELP = """\
Makes a film of a network over one sequence, before, during and after learning.

  python -m experiments.film FOLDER ROW --out=FILE.gif

FOLDER is a run folder, whose first trial of each row keeps the networks on its
way; ROW is a row, or the id of a trial.

  --out=FILE    .gif or .webp
  --seed=N      of the sequence (0)
  --name=WORDS  title, instead of the row's task

Needs pip install 'lstm_jax[plot]'.

"""
_FLAGS = ('--out', '--seed', '--name')


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  words = list(sys.argv if argv is None else argv)[1:]
  if '--help' in words or '-h' in words:
    return show(_HELP + faults.EXIT_CODES)
  try:
    folder, row, given = _read(words)
    setting, networks = _networks(folder, row)
    _make(setting, networks, given)
  except values.Refused as refused:
    mains.say('film', ' '.join(str(refused.args[0]).split()))
    return int(faults.Exit.USAGE)
  size = len(files.read(given['--out']))
  mains.tell(
    f'{len(networks)} networks, {size / 1000:.0f} kB: {given["--out"]}'
  )
  return int(faults.Exit.OK)


def _read(words):
  """(folder, row, flag -> value)."""
  given: dict[str, str] = {}
  rest = []
  for word in words:
    name, _, value = word.partition('=')
    if name in _FLAGS:
      if not value:
        raise values.Refused(f'{name}: write {name}=VALUE; see --help')
      if name in given:
        raise values.Refused(f'{name} is given twice; write it once')
      given[name] = value
    elif word.startswith('-'):
      raise values.Refused(f'{name}: {unknown(name, (*_FLAGS, "--help"))}')
    else:
      rest.append(word)
  if len(rest) != 2:
    raise values.Refused(f'{len(rest)} words: give FOLDER and ROW, or --help')
  if '--out' not in given:
    raise values.Refused('no --out: say where the film goes, --out=FILE.gif')
  given['--out'] = values.place(given['--out'], '--out')
  return values.place(rest[0], 'folder'), rest[1], given


def _networks(folder, row):
  """(setting, networks) of the trial of a row whose networks are kept."""
  from lstm_jax.lab.serve.watching import Watch

  watch = Watch(folder)
  look = watch.look()
  if not look.trials:
    raise values.Refused(look.problems[0])
  kept = [name for name in look.trials if len(watch.networks(name)) > 1]
  fitting = [name for name in kept if row in (name, look.trials[name].row)] or [
    name for name in kept if look.trials[name].row_name == row
  ]
  if not fitting:
    rows = ', '.join(look.trials[name].row for name in kept[:8]) or 'none'
    raise values.Refused(
      f'ROW={row}: no networks of its way are kept; those of rows: {rows}'
    )
  return look.trials[fitting[0]], watch.networks(fitting[0])


def _make(setting, networks, given):
  from lstm_jax.lab.serve import film, inside

  out = Path(given['--out'])
  if out.suffix not in film.KINDS:
    raise values.Refused(
      f'--out={out}: a film is {" or ".join(film.KINDS)}, by its ending'
    )
  seed = values.integer(given.get('--seed', '0'), '--seed', 0, values.MAX_INT)
  try:
    follow = inside.follower(setting)
    scenes = [film.Scene(n, follow(params, seed)) for n, params in networks]
  except inside.Closed as closed:
    raise values.Refused(str(closed)) from None
  name = given.get('--name', setting.task.replace('_', ' '))
  files.write(out, film.film(scenes, film.KINDS[out.suffix], name))
