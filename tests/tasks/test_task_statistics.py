"""What the tasks draw has the distributions they promise.

Every check is a p-value of a fixed sample and fails below 1e-4. Its power is
stated and tested on the same sample: SIZE sequences show one value that comes
2 % too often (probability 0.102 for 0.1; 5 % where there are more than twenty
values), and a range that is off by one position.
"""

from fractions import Fraction
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from lstm_jax.lab.plan import catalog
from lstm_jax.ops import prng
from lstm_jax.tasks.adding import adding
from lstm_jax.tasks.temporal_order import temporal_order

SIZE = 2**21
ALPHA = 1e-4
TOLERANCE = {('tolerance', 0.04)}
MAKE = {
  'adding': adding,
  'first ten': lambda: adding(marks='first_ten'),
  '6a': temporal_order,
  '6b': lambda: temporal_order(symbols=3),
}


@cache
def drawing(name):
  task = MAKE[name]()

  @jax.jit
  def run(numbers, length):
    key = jax.random.key_data(jax.random.key(1997))[:, None]
    keys = prng.fold_in(jnp.broadcast_to(key, (2, SIZE)), numbers)
    return task.draw(keys, jnp.full(SIZE, length))

  return run


@cache
def episodes(name, length=100):
  """Sequences 0, 1, ... of one trial, as a trial draws them."""
  return jax.tree.map(np.asarray, drawing(name)(np.arange(SIZE), length))


def uniform_p(sample, low, high):
  """p-value of `sample` being uniform on the integers low, ..., high."""
  if sample.min() < low or sample.max() > high:
    return 0.0
  counts = np.bincount(sample - low, minlength=high - low + 1)
  if low == high:
    return 1.0
  return stats.chisquare(counts).pvalue


def marginals(name, length):
  """Every integer a task draws: name -> (sample, low, high) by the paper.

  Positions count from 1, as in the paper.
  """
  e = episodes(name, length)
  drawn = {'length': (e.length, length, length + length // 10)}
  if name == 'first ten':
    rank = e.second + 1 - (e.second > e.first)
    return {
      'length': (e.length, length + 10, length + 10 + length // 10),
      'first': (e.first + 1, 1, 10),
      'second': (rank, 1, 9),
    }
  if name == 'adding':
    # Numbered among the pairs still unmarked.
    rank = e.second + 1 - (e.second > e.first)
    return drawn | {
      'first': (e.first + 1, 1, 10),
      'second': (rank, 1, length // 2 - 1),
    }
  drawn['class'] = (e.target, 0, 2 ** len(e.positions) - 1)
  starts = {'6a': (10, 50), '6b': (10, 33, 66)}[name]
  for i, (position, start) in enumerate(zip(e.positions, starts, strict=True)):
    low = start * length // 100
    drawn[f't{i + 1}'] = (position + 1, low, low + length // 10)
  return drawn


CASES = [
  (name, length, value)
  for name, lengths, values in (
    ('adding', (100, 500), ('length', 'first', 'second')),
    ('first ten', (100,), ('length', 'first', 'second')),
    ('6a', (100, 200), ('length', 'class', 't1', 't2')),
    ('6b', (100,), ('length', 'class', 't1', 't2', 't3')),
  )
  for length in lengths
  for value in values
]


@pytest.mark.parametrize('name, length, value', CASES)
def test_integers_are_uniform(name, length, value):
  sample, low, high = marginals(name, length)[value]
  assert uniform_p(sample, low, high) > ALPHA


@pytest.mark.parametrize(
  'name, value', [(n, v) for n, t, v in CASES if t == 100]
)
def test_two_percent_or_one_position_would_be_seen(name, value):
  sample, low, high = marginals(name, 100)[value]
  # One value too often: a few draws of any value are replaced by it.
  p = 1 / (high - low + 1)
  excess = 0.02 if p > 0.05 else 0.05
  replaced = np.random.default_rng(0).random(SIZE) < excess * p / (1 - p)
  assert uniform_p(np.where(replaced, low, sample), low, high) < ALPHA
  for off in (-1, 1):
    assert uniform_p(sample + off, low, high) < ALPHA
  assert uniform_p(np.minimum(sample, high - 1), low, high) < ALPHA


def independent_p(a, b):
  """p-value of two integer samples being independent."""
  table = np.zeros((a.max() - a.min() + 1, b.max() - b.min() + 1))
  np.add.at(table, (a - a.min(), b - b.min()), 1)
  return stats.chi2_contingency(table).pvalue


@pytest.mark.parametrize('name', MAKE)
def test_what_is_drawn_is_independent(name):
  drawn = [sample[: SIZE // 4] for sample, *_ in marginals(name, 100).values()]
  for i, a in enumerate(drawn):
    for b in drawn[:i]:
      assert independent_p(a, b) > ALPHA
    # From one sequence of a trial to the next.
    assert independent_p(a[:-1], a[1:]) > ALPHA
  # Power: one draw in fifty copied from another.
  a, b = drawn[:2]
  copied = np.where(np.arange(len(a)) % 50 == 0, a - a.min() + b.min(), b)
  copied = np.minimum(copied, b.max())
  assert independent_p(a, copied) < ALPHA


@cache
def inputs(name, lanes=2000):
  """Inputs `[100, I, lanes]` of sequences with at least 100 steps."""
  task = MAKE[name]()
  few = jax.tree.map(lambda x: x[..., :lanes], episodes(name))
  times = np.broadcast_to(np.arange(100)[:, None], (100, lanes))

  @jax.jit
  def run(few):
    return jax.vmap(task.stream(few).input_at)(times)

  return np.asarray(run(few))


def test_values_are_uniform_and_know_nothing_of_markers():
  values, markers = (inputs('adding')[1:, i] for i in range(2))
  assert values.min() >= -1 and values.max() < 1
  p = lambda x: stats.kstest(x.ravel(), stats.uniform(-1, 2).cdf).pvalue
  assert p(values) > ALPHA
  assert p(values[markers == 1]) > ALPHA
  # Power: 2 % narrower, 2 % of the draws lost to one place, 1 % of an offset.
  for biased in (0.98 * values, values + 0.01, np.maximum(values, -0.96)):
    assert p(biased) < ALPHA


def test_values_of_neighbouring_steps_are_independent():
  bins = np.floor((inputs('adding')[1:, 0] + 1) * 5).astype(int)
  for lag in (1, 2, 50):
    assert independent_p(bins[lag:].ravel(), bins[:-lag].ravel()) > ALPHA
  # From one sequence to the next.
  assert independent_p(bins[:, 1:].ravel(), bins[:, :-1].ravel()) > ALPHA
  mixed = bins.copy()
  mixed[1::25] = mixed[:-1:25]
  assert independent_p(mixed[1:].ravel(), mixed[:-1].ravel()) < ALPHA


@pytest.mark.parametrize('name', ('6b', '6a'))
def test_distractors_are_uniform_and_independent(name):
  symbols = inputs(name).argmax(axis=1)
  middle = symbols[20:32]  # between informative symbols in both experiments
  assert uniform_p(middle.ravel(), 2, 5) > ALPHA
  assert independent_p(middle[1:].ravel(), middle[:-1].ravel()) > ALPHA
  biased = np.where(np.arange(middle.size) % 50 == 0, 2, middle.ravel())
  assert uniform_p(biased, 2, 5) < ALPHA


def test_lengths_are_those_asked_for_in_every_lane():
  # Also for a T that is no multiple of ten, and lanes of different T.
  task = adding()
  asked = np.array([4, 9, 10, 19, 99, 1000], np.int32)
  random = np.random.default_rng(2)
  keys = random.integers(2**32, size=(2, 4000, 6), dtype=np.uint32)
  drawn = jax.jit(task.draw)(keys, np.broadcast_to(asked, (4000, 6)))
  for sample, length in zip(np.asarray(drawn.length).T, asked, strict=True):
    low, high = int(length), int(length) * 11 // 10
    assert sample.min() == low and sample.max() == high
    assert uniform_p(sample, low, high) > ALPHA


def judged(task, e, constant):
  """Whether constant outputs are right, at each sequence's end."""
  y_k = np.full((task.num_outputs, SIZE), constant, np.float32)
  return np.asarray(jax.jit(task.correct)(e, e.length - 1, y_k))


def test_what_a_constant_output_is_worth_on_adding():
  # y = 1/2 on sequences with an unmarked first pair: t - y = (X1 + X2)/4.
  e = episodes('adding')
  usual = (e.first > 0) & (e.second > 0)
  error = np.abs(e.target[usual].astype(np.float64) - 0.5)
  right = judged(adding(), e, 0.5)[usual]
  for sample, expected in (
    (error**2, 1 / 24),  # 0.0417
    (error, 1 / 6),  # 0.167
    (right, 1 - 0.92**2),  # 15.4 %: |X1 + X2| < 0.16
  ):
    standard_error = np.std(sample) / np.sqrt(len(sample))
    assert abs(np.mean(sample) - expected) < 5 * standard_error
    assert 5 * standard_error < 0.01 * expected  # would see 1 %
  # With one of the two values set to 0 the variance halves.
  rare = (e.target[~usual].astype(np.float64) - 0.5) ** 2
  standard_error = np.std(rare) / np.sqrt(len(rare))
  assert abs(np.mean(rare) - 1 / 48) < 5 * standard_error
  share, expected = np.mean(~usual), 1 / 10 + 9 / 10 / 49
  spread = np.sqrt(expected * (1 - expected) / SIZE)
  assert abs(share - expected) < 5 * spread


@pytest.mark.parametrize(
  'name, marks', [('adding', {}), ('first ten', {'marks': 'first_ten'})]
)
def test_levels_of_constant_outputs_on_adding(name, marks):
  # All sequences, also those with a marked first pair.
  trivial = catalog.describe('tasks', 'adding').trivial
  # The share wrong depends on the tolerance, and nothing else does.
  (condition, levels), (other, rest) = [
    pair for pair in trivial if marks.items() == pair[0].items() - TOLERANCE
  ]
  assert (condition, other) == ({**marks, **dict(TOLERANCE)}, marks)
  assert levels == {**rest, 'wrong': levels['wrong']} and 'wrong' not in rest
  e, constant = episodes(name), float(Fraction(levels['predictor']))
  error = np.abs(e.target.astype(np.float64) - constant)
  task = adding(**condition)
  right = judged(task, e, constant)
  for sample, expected in (
    (e.target, constant),  # the mean is the best constant
    (error, levels['absolute']),
    (error**2, levels['squared']),
    (~right, levels['wrong']),
  ):
    five = 5 * np.std(sample) / np.sqrt(SIZE)
    assert abs(np.mean(sample, dtype=np.float64) - expected) < five
    assert five < 0.01 * expected  # would see 1 %


@pytest.mark.parametrize('name', ('6b', '6a'))
def test_levels_of_constant_outputs_on_temporal_order(name):
  task, e = MAKE[name](), episodes(name)
  symbols = len(e.positions)
  trivial = catalog.describe('tasks', 'temporal_order').trivial
  (levels,) = [x for given, x in trivial if given == {'symbols': symbols}]
  constant = float(Fraction(levels['predictor'].split()[0]))
  targets = np.eye(2**symbols)[e.target]
  spread = np.sqrt(constant * (1 - constant) / SIZE)
  assert np.all(np.abs(targets.mean(axis=0) - constant) < 5 * spread)
  assert np.mean(np.abs(targets - constant)) == levels['absolute']
  assert np.mean((targets - constant) ** 2) == levels['squared']
  wrong = ~judged(task, e, constant)
  assert np.mean(wrong) == levels['wrong']


@pytest.mark.parametrize('length', (100, 200))
@pytest.mark.parametrize(
  'name, entry', (('adding', 'adding'), ('6a', 'temporal_order'))
)
def test_mean_steps(name, entry, length):
  a, b = catalog.describe('tasks', entry).mean_steps
  steps = episodes(name, length).length
  five = 5 * np.std(steps) / np.sqrt(SIZE)
  assert abs(np.mean(steps) - (a * length + b)) < five < 0.001 * length
