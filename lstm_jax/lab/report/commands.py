"""The command that runs the trials of a row again."""

import itertools
import shlex

from lstm_jax.lab.plan import defaults
from lstm_jax.lab.plan.grid import AXES
from lstm_jax.lab.plan.values import written

_SWEEP = 'python -m experiments.sweep'


def command(entry, seeds) -> str:
  """The command line whose plan is the trials of one row.

  Args:
    entry: an entry of the plan, of any of the row's trials.
    seeds: the seeds of the row's trials.
  """
  # A label is the row's name and the axes that vary in it, as name=value.
  name, *words = entry['row'].split(' ')
  if entry['grid'] == 'flags':
    flags = _flags(entry)
  else:
    flags = [f'--grid={entry["grid"]}', f'--row={name}']
    for word in words:
      axis = word.partition('=')[0]
      flags.append(f'--{word}' if axis in AXES else f'--set={word}')
  flags += [f'--seeds={seeds_text(seeds)}', f'--budget={entry["budget"]}']
  return ' '.join([_SWEEP, *map(shlex.quote, flags)])


def _flags(entry):
  """What made a row of flags alone: all that is not at its default."""
  flags = [f'--{name}={entry[name]}' for name in ('task', 'cell', 'learner')]
  held = {
    'length': entry.get('length'),
    'window': entry.get('window'),
    'learning_rate': entry.get('learning_rate'),
  }
  hidden = entry.get('hidden')
  if isinstance(hidden, str) and 'x' in hidden:
    held['blocks'], held['block_size'] = hidden.split('x')
  else:
    held['hidden'] = hidden
  for name, value in held.items():
    if value is not None:
      flags.append(f'--{name}={written(name, value)}')
  # What is at the catalog's default need not be at that of the flags.
  options = entry.get('options', {})
  names = [entry[one] for one in ('task', 'cell', 'learner')]
  try:
    own = defaults.of(*names)
  except ValueError:
    own = ()  # of another version: its file is gone, or cannot be read
  words = {
    name: written(name, options.get(name, options.get(name.partition('.')[2])))
    for name in own
  }
  words |= dict(w.split('=', 1) for w in entry.get('changed', '').split())
  # The window of a data set is its own, and stands in --window already.
  said = {*AXES.values(), 'task.window'}
  return flags + [
    f'--set={name}={value}' for name, value in words.items() if name not in said
  ]


def seeds_text(seeds) -> str:
  """Seeds as `--seeds` reads them: a count where they begin at 0, or spans."""
  ordered = sorted(set(seeds))
  if ordered == list(range(len(ordered))):
    return str(len(ordered))
  spans = []
  runs = itertools.groupby(enumerate(ordered), lambda pair: pair[1] - pair[0])
  for _, run in runs:
    run = [seed for _, seed in run]
    spans.append(str(run[0]) + f'-{run[-1]}' * (len(run) > 1))
  text = ','.join(spans)
  # A number alone would be a count.
  return f'{text}-{text}' if text.isdigit() else text
