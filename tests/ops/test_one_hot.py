"""A `OneHot` is the array that it stands for, at the cost of its index."""

import functools
import itertools
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.bench import rows as bench_rows
from lstm_jax.lab.plan import catalog, flags, plan
from lstm_jax.learners.truncated1997 import truncated1997
from lstm_jax.ops import arrays
from lstm_jax.ops.prng import Key, key_of
from lstm_jax.ops.unroll import unroll
from lstm_jax.training import online
from lstm_jax.types import OneHot, Stream
from tests.array_task import array_task, at, random_arrays
from tests.gradients import cheap_jit, distance, largest, random_net

# More lines than are written out for a derivative.
NUM_STEPS, SIZE, NUM_OUTPUTS = 7, 17, 2
# Beyond the last row and before the first: what stands where nothing is read.
PAST, BEFORE = SIZE + 3, -2
SEES = {'outputs_see_inputs': True}


def written_out(index):
  """The array itself; a row that does not exist gives zeros."""
  rows = np.arange(SIZE).reshape((-1,) + (1,) * np.ndim(index))
  return (rows == index[None]).astype(np.float64)


def one_hot(index):
  return OneHot(jnp.asarray(index), SIZE)


def symbol_task(*, dense, end):
  """`array_task` over symbols: `inputs` are `[T, *]` integers."""
  task = array_task(SIZE, NUM_OUTPUTS, error_at_end=end)

  def stream(episode):
    given = task.stream(episode)

    def input_at(t):
      # Clocks that are negative before a lane has started may ask for nothing.
      index = jnp.where(t < 0, BEFORE, at(episode.inputs, t))
      return written_out(index) if dense else one_hot(index)

    return Stream(given.length, input_at, given.target_at, given.scored_at)

  return task._replace(stream=stream)


def symbols(seed, lanes, *, end):
  """Random sequences of symbols, with none past their ends."""
  episode = random_arrays(seed, NUM_STEPS, 1, NUM_OUTPUTS, lanes, end=end)
  rng = np.random.default_rng(seed)
  index = rng.integers(0, SIZE, (NUM_STEPS, *lanes))
  times = np.arange(NUM_STEPS).reshape((-1,) + (1,) * len(lanes))
  index = np.where(times >= np.asarray(episode.length), PAST, index)
  return episode._replace(inputs=index)


class Rule(NamedTuple):
  name: str
  options: tuple
  end: bool

  def __str__(self):
    words = [f'{k}={v}' for k, v in self.options]
    return '-'.join((self.name, *words, 'end' if self.end else 'every'))


RULES = [
  *(Rule('bptt', (), end) for end in (False, True)),
  *(Rule('elman', (('update', u),), False) for u in ('every_step', 'sequence')),
  Rule('elman', (), True),
  *(Rule('rtrl', (('update', u),), False) for u in ('every_step', 'sequence')),
  Rule('snap1', (), True),
  Rule('eprop', (), True),
  *(
    Rule('truncated1997', (('form', form), ('update', update)), end)
    for form, update, end in itertools.product(
      ('streaming', 'batched'), ('sequence', 'every_step'), (False, True)
    )
    # Which is refused; and one update a sequence is one at its last step.
    if update == 'sequence' or (form, end) == ('streaming', False)
  ),
]
# Their steps of the network are among those above, or in their own tests.
ELSEWHERE = {
  'cascade': 'its weights move at the end of an epoch',
  'chunker': 'its task asks for the next symbol',
  'guess': 'it has no gradient',
  'kf': 'it reads its input as rtrl does',
  'rflo': 'it reads its input as eprop does',
  'uoro': 'it reads its input as rtrl does',
}
CELLS = [
  (name, SEES if name == 'lstm1997' else {}) for name in catalog.names('cells')
]
SHAPES = [(5,), (), (2, 3)]


def cases():
  """Every cell with every rule that trains it; the lanes take turns."""
  # The rule and net of the paper come first: a sample of the cases has them.
  streaming = next(rule for rule in RULES if rule.name == 'truncated1997')
  for lanes in SHAPES:
    yield pytest.param('lstm1997', SEES, streaming, lanes, id=f'lanes{lanes}')
  for c, (cell, options) in enumerate(CELLS):
    provides = catalog.describe('cells', cell).provides
    for r, rule in enumerate(RULES):
      needs = catalog.describe('learners', rule.name).needs
      if {need.part for need in needs if not need.when} <= set(provides):
        lanes = SHAPES[(c + r) % 3]
        yield pytest.param(cell, options, rule, lanes, id=f'{cell}-{rule}')


def test_every_cell_and_learner_is_here():
  assert [cell for cell, _ in CELLS] == sorted(catalog.names('cells'))
  tried = {rule.name for rule in RULES}
  assert not tried & set(ELSEWHERE)
  assert tried | set(ELSEWHERE) == set(catalog.names('learners'))


@pytest.mark.parametrize(('cell', 'options', 'rule', 'lanes'), [*cases()])
def test_it_teaches_what_the_array_teaches(x64, cell, options, rule, lanes):
  """With sgd the step is the gradient: updated weights tell of both."""
  net = catalog.build('cells', cell, SIZE, NUM_OUTPUTS, **options)

  def both(params, episode):
    found = []
    for dense in (True, False):
      task = symbol_task(dense=dense, end=rule.end)
      static = catalog.describe('learners', rule.name).static
      how = dict(rule.options)
      if 'length' in static:
        how['length'] = NUM_STEPS
      learner = catalog.build('learners', rule.name, net, task, **how)
      numbers = {**net.numbers, 'learning_rate': np.float64(0)}
      state = jax.eval_shape(learner.init, jax.random.key(0), numbers)
      rate = np.full(lanes, 0.5)
      state = state._replace(params=params, learning_rate=rate)
      state, judgement = learner.update(state, episode)
      # It is the same function for every rule.
      judged = [learner.judge(params, episode)] * (str(rule) == 'bptt-every')
      found.append((state.params, judgement, *judged))
    return found

  first = random_net(net, 0, lanes)
  episode = symbols(1, lanes, end=rule.end)
  dense, sparse = cheap_jit(both)(first, episode)
  for one, other in zip(dense, sparse, strict=True):
    assert distance(one, other) < 1e-12
  moved = jax.tree.map(np.subtract, sparse[0], first)
  assert largest(moved.w_x) > 1e-4
  assert not options or largest(moved.w_out_x) > 1e-3


@pytest.mark.parametrize(
  ('learner', 'symbols', 'scatters'),
  [
    *(('elman', 4, False), ('rtrl', 4, False), ('bptt', 4, False)),
    *(('elman', 20, False), ('rtrl', 20, False), ('bptt', 20, True)),
  ],
)
def test_the_derivative_of_a_column_is_no_scatter(learner, symbols, scatters):
  """Few lines are written out, and a step's column stands for many.

  Back-propagation through many lines still has one.
  """
  lanes, length = (2,), symbols
  task = catalog.build('tasks', 'first_symbol', symbols=symbols)
  cell = catalog.build('cells', 'srn', task.num_inputs, task.num_outputs)
  static = catalog.describe('learners', learner).static
  how = {'length': length} if 'length' in static else {}
  made = catalog.build('learners', learner, cell, task, **how)
  numbers = {**cell.numbers, 'learning_rate': np.float32(0)}
  init = jax.vmap(lambda key: made.init(key, numbers), out_axes=-1)
  state = jax.eval_shape(init, jax.random.split(jax.random.key(0), *lanes))
  word = jax.ShapeDtypeStruct(lanes, np.uint32)
  number = jax.ShapeDtypeStruct(lanes, np.int32)
  episode = jax.eval_shape(task.draw, Key(word, word), number)
  text = jax.jit(made.update).lower(state, episode).as_text()
  assert ('stablehlo.scatter' in text) == scatters


def branches(monkeypatch, name):
  """`add_outer` as it is compiled for a platform."""

  def choose(*args, default, **platforms):
    return platforms.get(name, default)(*args)

  monkeypatch.setattr(jax.lax, 'platform_dependent', choose)


@pytest.mark.parametrize('platform', ['cpu', 'cuda'])
@pytest.mark.parametrize('lanes', [(), (1,), (5,), (2, 3)], ids=str)
def test_add_outer_is_the_product(x64, monkeypatch, platform, lanes):
  branches(monkeypatch, platform)
  rng = np.random.default_rng(0)
  total = rng.normal(size=(4, SIZE, *lanes))
  factor = rng.normal(size=(4, *lanes))
  index = rng.integers(0, SIZE, lanes)
  for add in (arrays.add_outer, cheap_jit(arrays.add_outer)):
    found = add(jnp.asarray(total), jnp.asarray(factor), one_hot(index))
    row = np.arange(SIZE).reshape((-1,) + (1,) * len(lanes)) == index
    want = total + factor[:, None] * row
    assert found.shape == total.shape
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-15)


@pytest.mark.parametrize('platform', ['cpu', 'cuda'])
@pytest.mark.parametrize('lanes', [(), (4,), (2, 2)], ids=str)
def test_a_factor_of_zero_changes_nothing(monkeypatch, platform, lanes):
  """Also with a row that does not exist."""
  branches(monkeypatch, platform)
  total = np.random.default_rng(0).normal(size=(3, SIZE, *lanes))
  total, factor = total.astype(np.float32), np.zeros((3, *lanes), np.float32)

  @jax.jit
  def both(total, factor, index):
    x = one_hot(index)
    return arrays.add_outer(total, factor, x), arrays.affine(total, x)

  for row in (PAST, BEFORE, -SIZE - 1, 2**31 - 1, -(2**31)):
    found, picked = both(total, factor, np.full(lanes, row, np.int32))
    np.testing.assert_array_equal(found, total)
    assert np.isfinite(picked).all()


def test_only_the_lane_that_is_told_to_changes(monkeypatch):
  for platform in ('cpu', 'cuda'):
    branches(monkeypatch, platform)
    total = np.zeros((2, SIZE, 3), np.float32)
    factor = np.array([[0, 1, 0]] * 2, np.float32)
    index = np.array([PAST, 2, BEFORE], np.int32)
    # Not compiled before, with the branch of the other platform.
    add = jax.jit(lambda *given: arrays.add_outer(*given))
    found = add(total, factor, one_hot(index))
    want = np.zeros((2, SIZE, 3))
    want[:, 2, 1] = 1
    np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize('lanes', SHAPES, ids=str)
@pytest.mark.parametrize('shared', [True, False])
def test_affine_picks_the_column(x64, lanes, shared):
  rng = np.random.default_rng(0)
  index = rng.integers(0, SIZE, lanes)
  w = rng.normal(size=(4, SIZE, *(() if shared else lanes)))

  @cheap_jit
  def run(w, index, array):
    x = one_hot(index)
    dense = arrays.to_dense(x, np.float64)
    return arrays.affine(w, x), arrays.affine(w, array), dense

  found, want, dense = run(w, np.asarray(index), written_out(index))
  assert found.shape == want.shape == (4, *lanes)
  np.testing.assert_allclose(found, want, rtol=0, atol=1e-15)
  np.testing.assert_array_equal(dense, written_out(index))


def test_an_array_is_left_as_it_is():
  x = np.arange(6, dtype=np.float32).reshape(3, 2)
  np.testing.assert_array_equal(arrays.to_dense(x), x)
  assert arrays.cast(x, np.float16).dtype == np.float16
  sparse = one_hot(np.array([1, 2], np.int32))
  assert arrays.cast(sparse, np.float16) is sparse
  assert arrays.to_dense(sparse, np.float16).dtype == np.float16
  assert (sparse.size, sparse.index.dtype) == (SIZE, np.int32)


def test_unroll_runs_it(x64):
  cell = catalog.build('cells', 'lstm1997', SIZE, NUM_OUTPUTS, **SEES)
  for shape in SHAPES[:2]:
    params = random_net(cell, 0, shape)
    index = np.asarray(symbols(2, shape, end=True).inputs) % SIZE
    length = np.asarray(symbols(2, shape, end=True).length)
    inputs = np.moveaxis(written_out(index), 0, 1)
    run = cheap_jit(functools.partial(unroll, cell))
    dense = run(params, inputs, length)
    sparse = run(params, one_hot(index), length)
    assert dense[1].shape == (NUM_STEPS, NUM_OUTPUTS, *shape)
    assert distance(dense, sparse) < 1e-12
    assert largest(sparse[1]) > 0.1


# What it costs.


def lowered(size, lanes, learner, whole=True):
  """One trial loop, or update, of Experiment 2c with so many input lines."""
  task = catalog.build('tasks', 'trigger', distractors=size - 4)
  cell = catalog.build(
    'cells', 'lstm1997', size, task.num_outputs, blocks=1, block_size=1
  )
  learner = learner(cell, task)
  program = online.program(task, learner)
  numbers = {
    name: np.stack([n] * lanes, axis=-1).astype(np.float32)
    for name, n in {**cell.numbers, 'learning_rate': 0.5}.items()
  }
  key = tuple(np.array([key_of(seed) for seed in range(lanes)]).T)
  steps = np.full(lanes, 50, np.int32)
  first = jax.eval_shape(program.start, key, numbers, steps, steps)
  if whole:
    return jax.jit(program.advance).lower(first, np.int32(1))

  def update(state, key, steps):
    return learner.update(state, task.draw(key, steps))

  return cheap_jit(update).lower(first.learner, key, steps)


def test_the_loop_is_one_native_function_without_a_scatter():
  text = lowered(8, 16, truncated1997).compile().as_text()
  assert 'xla_cpu_small_call' in text
  assert 'ynn_fusion' not in text and 'xnn_fusion' not in text
  # On a CPU it would run element by element outside the compiled loop.
  assert not re.search(r' scatter\(', text)


def scratch(size, **how):
  """Bytes of scratch memory of an update, two lanes."""
  learner = functools.partial(truncated1997, **how)
  compiled = lowered(size, 2, learner, whole=False).compile()
  return compiled.memory_analysis().temp_size_in_bytes


def test_a_sum_of_products_costs_its_columns_alone():
  def flops(size):
    total = jax.ShapeDtypeStruct((3, size, 4), np.float32)
    factor = jax.ShapeDtypeStruct((3, 4), np.float32)
    index = jax.ShapeDtypeStruct((4,), np.int32)
    add = lambda total, factor, index: arrays.add_outer(
      total, factor, OneHot(index, size)
    )
    compiled = cheap_jit(add).lower(total, factor, index).compile()
    return compiled.cost_analysis()['flops']

  # One addition a row and lane, and the clipping of an index.
  assert 3 * 4 <= flops(1000) == flops(10) < 100


def test_memory_does_not_depend_on_the_length_nor_steps_on_the_lines():
  # One program serves every length: a number a step would be megabytes. The
  # traces and the gradient of the input weights, a few times over; three rows
  # of 1000 columns in two lanes.
  assert 0.5 < scratch(1000) / (4 * 3 * 2 * 1000) < 3
  # What is stored of a step is a symbol, not its hundred lines; the rest is
  # small beside it.
  assert 4 * 8 < scratch(100, form='batched', length=2000) / (2 * 2000) < 4 * 50


def test_a_sequence_changes_the_weights_in_place():
  """Beside the weights the loop over sequences has the traces alone.

  Before, all weights were copied for every sequence.
  """
  argv = 'sweep --grid=table3 --row=q1000-p1000-literal --seeds=1'.split()
  (setting,) = plan.expand(flags.parse(argv)).trials
  build, trials = bench_rows.begin(setting, jax.devices()[0])
  advance = jax.jit(build.program.advance).lower(trials, np.int32(1))
  memory = advance.compile().memory_analysis()
  weights = trials.learner.params.w_x
  # Two kinds of unit act on each of two cells; six rows of weights.
  traces = weights.nbytes * 2 * 2 // 6
  assert traces <= memory.temp_size_in_bytes < 1.1 * traces
