"""What every learner promises for every cell and task it can be planned with.

Each case is compiled once with three lanes and once with none.
"""

import functools
import itertools
from typing import NamedTuple

import jax
import numpy as np
import pytest

from lstm_jax import testing
from lstm_jax.lab.plan import catalog
from lstm_jax.ops import conditions
from tests.gradients import cheap_jit, distance
from tests.starts import STARTS

KEY = jax.random.key(0, impl='unsafe_rbg')
RATES = np.array([0.5, 0.0, 0.25])
LANES = RATES.shape
# A fixed middle has one length; networks of 120 outputs take their time.
TASK_OPTIONS = {
  'first_symbol': {'middle': 'random', 'symbols': 5},
  'word_problem': {'group': 's3'},
}
# Asked for in each lane: sequences of different lengths side by side.
SHORTER = np.array([0, 3, 1])


def variants(kind, name):
  """The default options, then each option alone at each other value."""
  yield {}
  for option in catalog.describe(kind, name).options.values():
    words = option.choices
    if 'bool' in option.types:
      words += (True, False)
    yield from ({option.name: w} for w in words if w != option.default)


def learner_variants(name):
  """Those that differ in more than their optimizer; and a window."""
  entry = catalog.describe('learners', name)
  for options in variants('learners', name):
    if 'optimizer' not in options:
      yield options
  if 'window' in entry.options:
    yield {'window': 2}


def resolved(kind, name, options):
  entry = catalog.describe(kind, name)
  return {o.name: o.default for o in entry.options.values()} | dict(options)


def plannable(learner, cell, options, how=()):
  """Whether planning lets the learner train the cell with these options."""
  entry, full = (
    catalog.describe('cells', cell),
    resolved('cells', cell, options),
  )
  needs = catalog.describe('learners', learner).needs
  has = functools.partial(entry.has, options=full)
  how = resolved('learners', learner, dict(how))
  return not any(conditions.unmet(needs, how, has))


def tasks_of(learner, how=()):
  """The tasks that planning lets the learner learn with these options."""
  how = resolved('learners', learner, dict(how))
  needs = catalog.describe('learners', learner).task_needs

  def fits(task):
    full = resolved('tasks', task, TASK_OPTIONS.get(task, {}))
    has = functools.partial(catalog.describe('tasks', task).has, options=full)
    return not any(conditions.unmet(needs, how, has))

  return list(filter(fits, catalog.names('tasks')))


@functools.cache
def first_task(learner):
  return tasks_of(learner)[0]


@functools.cache
def home_of(learner):
  """The cell that a learner meets every task with."""
  cells = [c for c in catalog.names('cells') if plannable(learner, c, {})]
  return 'lstm1997' if 'lstm1997' in cells else cells[0]


@functools.cache
def count(cell, options=()):
  """Weights of a cell with these options, pairs."""
  mask = catalog.build('cells', cell, 2, 2, **dict(options)).mask
  return sum(int(np.sum(exists)) for exists in mask)


def cell_options(learner, cell, how):
  """The last option that takes connections away and suits the learner."""
  options = [
    v for v in variants('cells', cell) if plannable(learner, cell, v, how)
  ]
  fewer = [v for v in options if count(cell, (*v.items(),)) < count(cell)]
  return next(iter(fewer[::-1] or options), None)


def cases():
  """Every learner meets every cell on one task, and every task with one cell.

  On the first of its tasks it has each variant of its own.
  """
  names = (catalog.names(kind) for kind in ('learners', 'cells', 'tasks'))
  for learner, cell, task in itertools.product(*names):
    first = task == first_task(learner)
    if not first and cell != home_of(learner):
      continue
    for how in learner_variants(learner):
      if task not in tasks_of(learner, how):
        continue
      options = cell_options(learner, cell, how)
      if options is not None and (first or not how):
        words = tuple(how.items()), cell, tuple(options.items())
        yield Case(learner, *words, task)


class Case(NamedTuple):
  learner: str
  learner_options: tuple
  cell: str
  cell_options: tuple
  task: str

  def __str__(self):
    how = [f'{k}={v}' for k, v in self.learner_options]
    return '-'.join([self.learner, *how, self.cell, self.task])


CASES = list(cases())
every_case = pytest.mark.parametrize('case', CASES, ids=str)


class Built(NamedTuple):
  cell: object
  task: object
  learner: object
  length: int


@functools.cache
def build(case, longer=3):
  length = catalog.describe('tasks', case.task).shortest + longer
  task = catalog.build('tasks', case.task, **TASK_OPTIONS.get(case.task, {}))
  sizes = task.num_inputs, task.num_outputs
  cell = catalog.build('cells', case.cell, *sizes, **dict(case.cell_options))
  static = catalog.describe('learners', case.learner).static
  how = resolved('learners', case.learner, case.learner_options)
  if 'length' in static and conditions.holds(static['length'], how):
    how['length'] = length
  if 'epoch_sequences' in how:
    how['epoch_sequences'] = 1  # one that learns at the end of an epoch
  learner = catalog.build('learners', case.learner, cell, task, **how)
  return Built(cell, task, learner, length)


def numbers_of(case, rate, dtype=np.float64):
  numbers = numbers_of_learner(case) | dict(build(case).cell.numbers)
  numbers |= {n: rate for n in numbers if n.endswith('_rate')}
  numbers |= {n: 0.5 for n in numbers if n.endswith('_range')}
  return {name: np.asarray(v, dtype) for name, v in numbers.items()}


def numbers_of_learner(case):
  return dict(catalog.describe('learners', case.learner).numbers)


@functools.cache
def first_nets(case):
  """`init` of the case's cell, compiled; shared by the learners of a cell."""
  return cheap_jit(build(case).learner.init)


def test_the_cases_are_those_that_planning_allows():
  seen = {(c.learner, c.cell, c.task) for c in CASES}
  for learner in catalog.names('learners'):
    tasks = tasks_of(learner)
    for cell in catalog.names('cells'):
      met = (learner, cell, tasks[0]) in seen
      assert met == plannable(learner, cell, {})
    home = home_of(learner)
    assert [t for r, c, t in sorted(seen) if (r, c) == (learner, home)] == tasks
  assert {
    ('truncated1997', 'lstm', 'adding'),
    ('elman', 'gru', 'adding'),
  } < seen
  assert ('truncated1997', 'srn', 'adding') not in seen
  assert tasks_of('bptt') == list(catalog.names('tasks'))
  assert tasks_of('chunker') == ['first_symbol', 'reber']


def is_at_home(case):
  """Whether it is the case of its learner that is looked at in full."""
  home = home_of(case.learner), first_task(case.learner)
  return (case.cell, case.task) == home


@every_case
def test_it_keeps_its_promises(case, request):
  if ('form', 'native') in case.learner_options:
    request.getfixturevalue('compiled_loops')
  built = build(case)
  how = resolved('learners', case.learner, case.learner_options)
  claim = catalog.describe('learners', case.learner).provides
  without = set() if is_at_home(case) else {'compiled', 'purity', 'keys'}
  # What the outputs were worth before the network learned from them.
  if not built.task.error_at_end and how.get('update') == 'every_step':
    without.add('judged_first')
  testing.check_learner(
    built.learner,
    built.cell,
    built.task,
    length=built.length,
    numbers=numbers_of_learner(case),
    exact='exact_gradient' in claim
    and conditions.holds(claim['exact_gradient'], how),
    name=str(case),
    without=without,
  )


@pytest.mark.parametrize(
  'case', {c.cell: c for c in CASES}.values(), ids=lambda c: c.cell
)
def test_a_key_decides_the_first_weights(case, x64):
  numbers = numbers_of(case, 0.5)
  for name in numbers:
    if name.endswith('_bias'):  # drawn like every other weight
      numbers[name] = np.full_like(numbers[name], np.nan)
  init = first_nets(case)
  one, again = init(KEY, numbers), init(KEY, numbers)
  other = init(jax.random.fold_in(KEY, 1), numbers)
  assert distance(one, again) == 0
  starts = STARTS.get(case.cell, {})
  for name, a in one.params._asdict().items():
    same = np.equal(a, getattr(other.params, name))
    np.testing.assert_array_equal(same, np.equal(a, 0) | (name in starts))
