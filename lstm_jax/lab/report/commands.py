"""The command that runs the trials of a row again."""

import itertools
import shlex
from collections.abc import Collection

from lstm_jax.lab.plan import catalog, defaults, entries, own_data
from lstm_jax.lab.plan.grid_check import AXES
from lstm_jax.lab.plan.programs import changes
from lstm_jax.lab.plan.values import text_of
from lstm_jax.lab.store.setting import Setting

_SWEEP = 'lstm-jax sweep'


def command(setting: Setting, seeds: Collection[int]) -> str:
  """The command line whose plan is the trials of one row.

  Args:
    setting: of any of the row's trials.
    seeds: the seeds of the row's trials.
  """
  if setting.grid == 'flags' or entries.course_of(setting):
    # What an entry starts from depends on the size of its grid.
    flags = _flags(setting)
  else:
    flags = [f'--grid={setting.grid}', f'--row={setting.row_name}']
    for word in setting.axes:
      axis = word.partition('=')[0]
      flags.append(f'--{word}' if axis in AXES else f'--set={word}')
  flags += [f'--seeds={seeds_text(seeds)}', f'--budget={setting.budget}']
  return ' '.join([_SWEEP, *map(shlex.quote, flags)])


def _flags(setting):
  """Returns the flags that make a row: all that is not at its default."""
  roles = ('task', 'cell', 'learner')
  outside_entries = setting.outside
  flags = [
    f'--{name}='
    + (
      outside_entries[name].place
      if name in outside_entries
      else own_data.as_flag(getattr(setting, name))
    )
    for name in roles
  ]
  cell = dict(setting.cell_options)
  numbers = {
    'length': setting.length,
    'window': setting.window,
    'learning_rate': setting.learning_rate,
    **{name: cell.get(name) for name in ('blocks', 'block_size', 'hidden')},
  }
  for name, value in numbers.items():
    if value is not None:
      flags.append(f'--{name}={text_of(name, value)}')
  # What is at the catalog's default need not be at that of the flags.
  try:
    task, cell, learner = (catalog.of(setting, name) for name in roles)
    defaults_of_row = defaults.of(task, cell, learner)
  except ValueError:
    # Of another version: its file is gone, or cannot be read.
    defaults_of_row = ()
  options = setting.options
  words = {
    name: text_of(name, options.get(name, options.get(name.partition('.')[2])))
    for name in defaults_of_row
  }
  words |= changes(setting)
  # The window of a data set is its own, and stands in --window already.
  other_flags = {*AXES.values(), 'task.window'}
  other_flags |= {
    f'task.{name}' for name in own_data.options_of_file(setting.task)
  }
  return flags + [
    f'--set={name}={value}'
    for name, value in words.items()
    if name not in other_flags
  ]


def seeds_text(seeds: Collection[int]) -> str:
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
