"""`python -m lstm_jax.lab.bench.turns`: is this checkout slower than another?

Both are timed in turn, each command in a process of its own, so that a slow
spell of the machine meets both. What counts is the ratio of a turn, this
checkout over the other: its geometric mean over the turns, with an interval by
Student's t on the logarithms. Where in memory a compiler puts a loop is worth a
tenth of its speed, so a figure of a turn is the best of several compilations.
"""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()


import functools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

from absl import flags
from scipy import stats

from lstm_jax.lab.plan import parsers, values
from lstm_jax.lab.plan.text_columns import item
from lstm_jax.lab.run import command, xla_flags
from lstm_jax.lab.store import faults, files, provenance

_HELP = """\
Times this checkout against another, in turn, and prints the ratios of

  forms   ns a lane-step of the forms of the 1997 rule, 16 lanes
  rows    ns a lane-step of the rows of the quick start
  layers  ms of a layer forward and both ways, by XLA and in C++
  sweep   seconds of the quick start, the whole process

  python -m lstm_jax.lab.bench.turns --before=../lstm_jax_before
"""
_ROOT = Path(__file__).parents[3]
_LAYERS = (
  ('lstm', '1000,1,2,8', 'small loops'),
  ('lstm', '100,32,2,30', 'default'),
  ('gru', '100,32,2,30', 'default'),
  ('srn', '100,32,2,30', 'default'),
  ('lstm', '1000,64,2,128', 'default'),
)
_OWN_LIBRARIES = ('ours', 'ours, native')


class Failed(Exception):
  """A command of one of the checkouts ended with an error."""


def define() -> flags.FlagValues:
  """The flags, at their defaults."""
  flag_values = flags.FlagValues()
  at_least_two = functools.partial(values.integer, low=2)
  for name, kind, function, default, words in (
    ('before', 'place', values.place, None, 'folder of the other checkout'),
    ('turns', 'int', at_least_two, 7, 'turns of both'),
    (
      'compiles', 'int', values.integer, 5,
      'compilations of each program in a turn; the best counts',
    ),
    ('only', 'list', parsers.words(_MEASURES), (*_MEASURES,), 'what to time'),
    (
      'record', 'place', values.place, None,
      'also write the figures to this JSON file',
    ),
  ):  # fmt: skip
    parsers.define(flag_values, name, kind, function, words, default)
  parsers.switch(flag_values, 'help', 'print this')
  return flag_values


def usage() -> str:
  """The text of `--help`."""
  lines, flag_values = [_HELP], define()
  for name in flag_values:
    lines += item(f'--{name}', flag_values[name].help)
  return '\n'.join([*lines, '', faults.EXIT_CODES])


def _read(flag_values, words):
  parsers.no_words(words)
  options = types.SimpleNamespace(**{n: flag_values[n].value for n in define()})
  checkout = Path(options.before or '').resolve()
  if not options.before or not list(checkout.glob('experiments/bench*')):
    raise values.Refused(
      f'--before={options.before or ""}: no checkout of lstm_jax'
    )
  options.before = checkout
  return options


def _act(options):
  """Prints the ratios; returns the exit code."""
  try:
    turns = _turns(
      options.before, options.only, options.turns, options.compiles
    )
  except Failed as failed:
    mains.say('bench_turns', str(failed))
    return 3
  rows = [_ratio(name, turns) for name in turns[0]['before']]
  print(_table(rows))
  if options.record:
    made_by = provenance.provenance()
    figures = {
      'provenance': made_by,
      'turns': options.turns,
      'compiles': options.compiles,
      'before': _commit(options.before),
      'after': _commit(_ROOT),
      'rows': rows,
    }
    text = json.dumps(figures, indent=1) + '\n'
    files.write(options.record, text.encode())
  return 0


def _turns(checkout, words, turns, compiles):
  """One dict a turn: 'before' and 'after' -> what -> figure."""
  places = {'before': checkout, 'after': _ROOT}
  turn_list = []
  for turn in range(turns):
    # Who comes second may find another machine: by turns.
    names = list(places) if turn % 2 else list(places)[::-1]
    by_place: dict[str, dict[str, float]] = {name: {} for name in places}
    for word in words:
      for name in names:
        by_place[name] |= _MEASURES[word](places[name], compiles)
    turn_list.append(by_place)
    print(f'turn {turn + 1} of {turns}', file=sys.stderr, flush=True)
  return turn_list


def _forms(place, compiles):
  """ns a lane-step of both forms on one device, 16 lanes."""
  words = ['--lanes=16', '--nolong', '--repeats=3', '--seconds=0.3']
  best: dict[str, float] = {}
  for _ in range(compiles):
    for figure in _recorded(place, words)['one device']:
      name = f'forms, {figure["form"]}, ns'
      best[name] = min(best.get(name, math.inf), figure['ns'])
  return best


def _rows(place, compiles):
  """ns a lane-step of the quick start's rows."""
  words = ['--grid=quickstart', f'--compiles={compiles}']
  words += ['--repeats=3', '--seconds=0.2']
  rows = _recorded(place, words)['rows']
  return {f'rows, {figure["row"]}, ns': figure['ns'] for figure in rows}


def _recorded(place, words):
  with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / 'figures.json'
    _run(place, 'bench', *words, f'--record={path}')
    return json.loads(path.read_text())


def _layers(place, compiles):
  """ms of our layers, forward and both ways."""
  best: dict[str, float] = {}
  _run(place, None)
  for kind, size, profile in _LAYERS:
    environ = dict(os.environ)
    if profile != 'default':
      xla_flags.set_flags(environ=environ)
    for _ in range(compiles):
      words = [kind, size, profile, '3', '0.3', *_OWN_LIBRARIES]
      output = _run(place, 'bench.layers', *words, environ=environ)
      for figure in json.loads(output.splitlines()[-1]):
        for way in ('forward_ms', 'both_ms'):
          if way in figure:
            name = f'layers, {kind} {size}, {figure["library"]}, {way[:-3]}, ms'
            best[name] = min(best.get(name, math.inf), figure[way])
  return best


def _sweep(place, compiles):
  """Seconds of the quick start, the whole process."""
  del compiles  # as often as the command itself does
  with tempfile.TemporaryDirectory() as folder:
    began = time.monotonic()
    _run(place, 'sweep', f'--out={folder}/run', '--progress=none')
    return {'sweep, quick start, s': time.monotonic() - began}


_MEASURES = {
  'forms': _forms, 'rows': _rows, 'layers': _layers, 'sweep': _sweep
}  # fmt: skip


def _run(place, name, *words, environ=None):
  """Returns what a module of a checkout prints; without a name compiles C++."""
  module = f'experiments.{name}' if name else 'lstm_jax.nn.native'
  # The other checkout may be of before these folders.
  if (place / 'lstm_jax/lab/bench').is_dir():
    module = module.replace('experiments.bench.', 'lstm_jax.lab.bench.')
  elif not (place / 'experiments/bench').is_dir():
    module = module.replace('bench.', 'bench_').replace('.nn.', '.')
  process = subprocess.run(
    [sys.executable, '-m', module, *words],
    cwd=place, env=environ, capture_output=True, text=True, check=False,
  )  # fmt: skip
  if process.returncode:
    raise Failed(f'{module} in {place}: {process.stderr[-2000:]}')
  return process.stdout


def _ratio(name, turns):
  """The ratio of a figure, after over before, with its 95 % interval."""
  pairs = [(turn['before'][name], turn['after'][name]) for turn in turns]
  logs = [
    math.log(value_after / value_before) for value_before, value_after in pairs
  ]
  mean = sum(logs) / len(logs)
  scatter = sum((log - mean) ** 2 for log in logs) / (len(logs) - 1)
  half = stats.t.ppf(0.975, len(logs) - 1) * math.sqrt(scatter / len(logs))
  return {
    'what': name,
    'before': min(value_before for value_before, _ in pairs),
    'after': min(value_after for _, value_after in pairs),
    'ratio': math.exp(mean),
    'interval': [math.exp(mean - half), math.exp(mean + half)],
    'turns': pairs,
  }


def _table(rows):
  width = max(len(row['what']) for row in rows)
  lines = [f'{"":{width}}  {"before":>8}  {"after":>8}  ratio [95 %]']
  for row in rows:
    low, high = row['interval']
    lines.append(
      f'{row["what"]:{width}}  {row["before"]:8.4g}  {row["after"]:8.4g}'
      f'  {row["ratio"]:.3f} [{low:.3f}-{high:.3f}]'
    )
  return '\n'.join(lines)


def _commit(place):
  process = subprocess.run(
    ['git', '-C', str(place), 'rev-parse', 'HEAD'],
    capture_output=True, text=True, check=False,
  )  # fmt: skip
  return process.stdout.strip() or None


_COMMAND = command.Command('bench_turns', define, usage, _read, _act)
main = mains.guarded('bench_turns')(functools.partial(command.run, _COMMAND))

if __name__ == '__main__':
  mains.run(main)
