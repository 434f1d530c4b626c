"""The console command `lstm-jax`: a subcommand for each command there is.

What runs is imported when it is asked for: help, the version and a wrong name
are answered at once.
"""

import functools
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from lstm_jax import public
from lstm_jax.choices import unknown
from lstm_jax.lab.plan.text_columns import item, show
from lstm_jax.lab.run import mains
from lstm_jax.lab.store import faults

PROGRAM = 'lstm-jax'
# Name -> the module whose `run(argv)` it is, and what it does.
SUBCOMMANDS = {
  'sweep': (
    'lstm_jax.lab.commands.sweep',
    'trains many networks and prints what was measured beside what was '
    'published',
  ),
  'report': (
    'lstm_jax.lab.commands.report',
    'reports run folders: a page, tables, figures, verdicts',
  ),
  'board': (
    'lstm_jax.lab.commands.board',
    'makes the board of a benchmark: who solves what, who is ahead of whom',
  ),
  'serve': (
    'lstm_jax.lab.commands.serve',
    'shows run folders in a browser while trials run',
  ),
  'status': (
    'lstm_jax.lab.commands.status',
    'says how far run folders are',
  ),
  'film': (
    'lstm_jax.lab.commands.film',
    'makes a film of a network before, during and after learning',
  ),
  'predict': (
    'lstm_jax.lab.commands.predict',
    'shows what the networks that a run has kept answer',
  ),
  'data': (
    'lstm_jax.lab.commands.data',
    'prepares data sets and says what each holds',
  ),
  'vanishing': (
    'lstm_jax.lab.commands.vanishing',
    'measures the error that flows back, by lag',
  ),
  'bench': (
    'lstm_jax.lab.commands.bench',
    'times this package, alone and beside other libraries',
  ),
  'device_check': (
    'lstm_jax.lab.commands.device_check',
    'tests and times this package on a GPU or TPU, and records it',
  ),
}


def subcommand(name: str) -> mains.Main:
  """The main of a subcommand; its module is imported when it is called.

  Args:
    name: a key of `SUBCOMMANDS`.
  """
  module, _ = SUBCOMMANDS[name]

  @mains.guarded(name)
  def main(argv=None):
    return importlib.import_module(module).run(argv)

  return main


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv`, the program's name first.

  Args:
    argv: None for that of the process.

  Returns:
    The exit code.
  """
  name, *words = list(sys.argv if argv is None else argv)[1:] or ['--help']
  if name in ('--help', '-h', '-?', 'help'):
    return show(usage())
  if name == '--version':
    return show(f'{PROGRAM} {public.VERSION}')
  if name not in SUBCOMMANDS:
    kind = 'flag' if name.startswith('-') else 'subcommand'
    choices = (*SUBCOMMANDS, '--help', '--version')
    mains.say(PROGRAM, f'{name}: no such {kind}; {unknown(name, choices)}')
    return int(faults.Exit.USAGE)
  return subcommand(name)([f'{PROGRAM} {name}', *words])


def usage() -> str:
  """The text of `--help`."""
  lines = [
    f'usage: {PROGRAM} SUBCOMMAND [--FLAG=VALUE ...]',
    '',
    'A laboratory for long time lags in recurrent networks.',
    '',
  ]
  for name, (_, words) in SUBCOMMANDS.items():
    lines += item(f'  {name}', words, 0, 16)
  lines += [
    '',
    f'  {PROGRAM} SUBCOMMAND --help    its flags and exit codes, with examples',
    f'  {PROGRAM} --version            the version of this package',
    '',
    '`python -m experiments.SUBCOMMAND` from a checkout is the same.',
  ]
  return '\n'.join(lines)


def run() -> NoReturn:
  """Runs the process's command line, and ends the process."""
  mains.listen()
  mains.run(functools.partial(mains.guarded(PROGRAM)(main), None))
