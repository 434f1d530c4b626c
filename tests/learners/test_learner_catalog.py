"""What every learner promises for every cell and task it can be planned with.

Each case is compiled once with three lanes and once with none.
"""

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.ops.prng import Key
from lstm_jax.types import Judgement
from tests.gradients import cheap_jit, distance
from tests.starts import STARTS

KEY = jax.random.key(0, impl='unsafe_rbg')
RATES = np.array([0.5, 0.0, 0.25])
LANES = RATES.shape
# A fixed middle has one length.
TASK_OPTIONS = {'first_symbol': {'middle': 'random', 'symbols': 5}}
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
  provides = catalog.describe('cells', cell).provides
  full = resolved('cells', cell, options)
  how = resolved('learners', learner, dict(how))
  return all(
    need in provides and catalog.holds(provides[need], full)
    for need, (_, when) in catalog.describe('learners', learner).needs.items()
    if catalog.holds(when, how)
  )


def tasks_of(learner, how=()):
  """The tasks that planning lets the learner learn with these options."""
  how = resolved('learners', learner, dict(how))
  needs = catalog.describe('learners', learner).task_needs.items()
  needs = [need for need, (_, when) in needs if catalog.holds(when, how)]

  def has(task, need):
    provides = catalog.describe('tasks', task).provides
    full = resolved('tasks', task, TASK_OPTIONS.get(task, {}))
    return need in provides and catalog.holds(provides[need], full)

  return [
    task
    for task in catalog.names('tasks')
    if all(has(task, need) for need in needs)
  ]


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
  if 'length' in static and catalog.holds(static['length'], how):
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


def learns(case, rate, right):
  """Whether a net changes; a rule without a rate lets be what is right."""
  rated = 'learning_rate' in numbers_of_learner(case)
  return rate > 0 if rated else not right


@functools.cache
def first_nets(case):
  """`init` of the case's cell, compiled; shared by the learners of a cell."""
  return cheap_jit(build(case).learner.init)


def nets(case):
  """States of nets from keys of their own, a lane each."""
  states = [
    first_nets(case)(jax.random.fold_in(KEY, i), numbers_of(case, rate))
    for i, rate in enumerate(RATES)
  ]
  return jax.tree.map(lambda *a: np.stack(a, axis=-1), *states)


def episodes(case):
  built = build(case)
  words = np.arange(2 * len(RATES), dtype=np.uint32).reshape(2, *LANES) + 7
  lengths = (built.length - SHORTER).astype(np.int32)
  return draw(case.task)(Key(*words), lengths)


@functools.cache
def draw(task):
  built = catalog.build('tasks', task, **TASK_OPTIONS.get(task, {}))
  return cheap_jit(built.fresh)


def lane(tree, i):
  return jax.tree.map(lambda a: np.asarray(a)[..., i], tree)


def described(tree):
  return jax.tree.map(lambda a: (a.shape, a.dtype), tree)


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


@every_case
def test_update_keeps_structure_shape_and_dtype(case, x64):
  built = build(case)
  for dtype, lanes in ((np.float32, (2, 3)), (np.float64, ())):
    init = built.learner.init
    key = jax.ShapeDtypeStruct(lanes, KEY.dtype)
    numbers = {
      name: jax.ShapeDtypeStruct((*a.shape, *lanes), dtype)
      for name, a in numbers_of(case, 0.5).items()
    }
    for _ in lanes:
      init = jax.vmap(init, in_axes=-1, out_axes=-1)
    state = jax.eval_shape(init, key, numbers)
    shapes = [leaf.shape for leaf in jax.tree.leaves(state.params)]
    assert shapes == [(*m.shape, *lanes) for m in built.cell.mask]
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(state.params)}
    assert dtypes == {np.dtype(dtype)}
    word = jax.ShapeDtypeStruct(lanes, np.uint32)
    length = jax.ShapeDtypeStruct(lanes, np.int32)
    fresh = built.task.fresh
    episode = jax.eval_shape(fresh, Key(word, word), length)
    after, judged = jax.eval_shape(built.learner.update, state, episode)
    assert described(after) == described(state)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    by_itself = jax.eval_shape(built.learner.judge, state.params, episode)
    assert described(judged) == described(by_itself)
    assert type(judged) is Judgement
    assert {leaf.shape for leaf in judged} == {lanes}
    assert (judged.right.dtype, judged.squared.dtype) == (bool, dtype)


@every_case
def test_sequences_are_learned_from(case, x64):
  built, traced = build(case), []

  @cheap_jit
  def both(state, episode):
    traced.append(1)
    return *built.learner.update(state, episode), built.learner.judge(
      state.params, episode
    )

  how = resolved('learners', case.learner, case.learner_options)
  once = built.task.error_at_end or how.get('update') != 'every_step'
  first, episode = nets(case), episodes(case)
  assert len(set(built.task.stream(episode).length.tolist())) > 1
  state, right = first, None
  for _ in range(3):
    after, judged, by_itself = both(state, episode)
    # What the outputs were worth before the net learned from them.
    if once:
      assert distance(judged, by_itself) < 1e-12
    assert all(np.all(np.isfinite(a)) for a in jax.tree.leaves(after))
    assert np.all(judged.squared > 0)
    state = after
    right = judged.right if right is None else right
  assert len(traced) == 1, 'a second call compiled again'

  moved = jax.tree.map(lambda a, b: np.asarray(a != b), state, first)
  for params, exists in zip(state.params, built.cell.mask, strict=True):
    hidden = exists[..., None] == 0
    assert np.all(np.where(hidden, params, 0) == 0), 'a weight came into being'
  for i, rate in enumerate(RATES):
    anything = any(np.any(m) for m in jax.tree.leaves(lane(moved.params, i)))
    assert anything == learns(case, rate, right[i])

  # A lane is the net alone.
  alone, verdict = cheap_jit(built.learner.update)(
    lane(first, 2), lane(episode, 2)
  )
  after, judged, _ = both(first, episode)
  assert distance(lane(after, 2), alone) < 1e-12
  assert distance(lane(judged, 2), verdict) < 1e-12


@pytest.mark.parametrize(
  'case',
  [
    case
    for case in CASES
    if (case.cell, case.task)
    == (home_of(case.learner), tasks_of(case.learner)[0])
  ],
  ids=str,
)
def test_compiling_changes_nothing(case, x64):
  built = build(case, longer=0)
  state = lane(nets(case), 0)
  words = Key(np.uint32(3), np.uint32(4))
  with jax.disable_jit():
    episode = built.task.draw(words, jnp.int32(built.length))
    plain = built.learner.update(state, episode)
  assert jax.tree.all(
    jax.tree.map(
      np.array_equal, episode, draw(case.task)(words, np.int32(built.length))
    )
  )
  compiled = cheap_jit(built.learner.update)(state, episode)
  assert distance(plain, compiled) < 1e-12
  moved = distance(plain[0].params, state.params) > 1e-6
  assert moved == learns(case, RATES[0], plain[1].right)


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
