"""What one trial is, and its two names.

`trial_id` is a hash of what decides a trial's result, so the same trial has the
same name in every grid and folder. `program_key` is a hash of what decides the
compiled program, so trials that differ in numbers only share one.
"""

import dataclasses
import functools
import hashlib
import json
from typing import Any

from lstm_jax.lab.plan import catalog, values

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Setting:
  """One trial: all that decides its result, and what it is called.

  Attributes:
    grid: name of the grid, 'flags' where flags alone made the plan.
    row: the line of the table it belongs to, with the axes that vary in it.
    task: name in the catalog.
    cell: name in the catalog.
    learner: name in the catalog.
    length: T, None for a task that has none.
    task_options: sorted `(name, value)` pairs, defaults filled in.
    cell_options: likewise.
    learner_options: likewise, the window among them.
    numbers: traced numbers, sorted `(name, value)` pairs; None: drawn like
      every other weight; a tuple has one value a block.
    seed: of the trial's key.
    budget: training sequences it may see; of a data set, epochs.
    line: the line of the published table that the row stands for.
    source: the published table.
    reading: which reading of the paper the row follows.
    tried: readings of its table that were searched before this one was chosen.
    published: sorted `(name, value)` pairs of the paper's figures.
    expected_sequences: mean sequences a trial sees where measured, else 0.
    expected_trial_seconds: of one core a trial, where measured, else 0.
  """

  grid: str
  row: str
  task: str
  cell: str
  learner: str
  length: int | None
  task_options: tuple[tuple[str, Any], ...]
  cell_options: tuple[tuple[str, Any], ...]
  learner_options: tuple[tuple[str, Any], ...]
  numbers: tuple[tuple[str, Any], ...]
  seed: int
  budget: int
  line: str = ''
  source: str = ''
  reading: str = ''
  tried: int = 0
  published: tuple[tuple[str, Any], ...] = ()
  expected_sequences: float = 0.0
  expected_trial_seconds: float = 0.0

  @property
  def window(self):
    """Steps an error travels back; None: all, or the learner has none."""
    return dict(self.learner_options).get('window')

  @property
  def is_comparison(self):
    """Whether it is trained on a data set."""
    return catalog.kind_of('task', self.task) == 'datasets'


def steps(setting):
  """Mean steps of one of its sequences; of a data set, of an epoch."""
  a, b = catalog.find('task', setting.task).mean_steps
  return a * (setting.length or 0) + b


def resolved(setting):
  """What decides a trial's result, as a dictionary of plain values."""
  return {
    'schema': SCHEMA,
    'task': setting.task,
    'cell': setting.cell,
    'learner': setting.learner,
    'length': setting.length,
    'task_options': dict(setting.task_options),
    'cell_options': dict(setting.cell_options),
    'learner_options': dict(setting.learner_options),
    'numbers': dict(setting.numbers),
    'seed': setting.seed,
    'budget': setting.budget,
  }


def trial_id(setting):
  """12 hexadecimal digits: the hash of what decides the trial's result.

  Grid, row, published figures and the place in the plan are not part of it.
  """
  return digest(resolved(setting))[:12]


def program_key(setting):
  """12 hexadecimal digits: the hash of what decides the compiled program.

  Seed, budget and the values of numbers are not part of it; the length is only
  where the learner's module says so.
  """
  static = resolved(setting)
  del static['seed'], static['budget']
  static['numbers'] = sorted(static['numbers'])
  if not length_is_static(setting):
    del static['length']
  return digest(static)[:12]


def length_is_static(setting):
  """Whether the learner is made for one length, given as its keyword."""
  static = catalog.find('learner', setting.learner).static
  options = dict(setting.learner_options)
  return 'length' in static and catalog.holds(static['length'], options)


def programs(settings):
  """Program key -> positions in `settings` of those that share the program."""
  key = functools.cache(program_key)
  shared = {}
  for i, setting in enumerate(settings):
    # Seeds make most of a plan and do not matter here.
    alike = dataclasses.replace(setting, seed=0)
    shared.setdefault(key(alike), []).append(i)
  return shared


def changed(setting):
  """Options and numbers that are not at their defaults, as `--set` writes them.

  The words are sorted; the axes that have a column of their own (window,
  learning rate) are among them.
  """
  words = []
  numbers = dict(setting.numbers)
  for one in catalog.ROLES:
    entry = catalog.find(one, getattr(setting, one))
    defaults = {name: o.default for name, o in entry.options.items()}
    defaults |= entry.numbers
    held = dict(getattr(setting, f'{one}_options'))
    held |= {n: v for n, v in numbers.items() if n in entry.numbers}
    words += (
      f'{one}.{name}={values.written(name, value)}'
      for name, value in held.items()
      if value != defaults[name]
    )
  return tuple(sorted(words))


def digest(value):
  """SHA-256 of plain values as canonical JSON, in hexadecimal."""
  text = json.dumps(
    value, sort_keys=True, separators=(',', ':'), allow_nan=False
  )
  return hashlib.sha256(text.encode()).hexdigest()
