"""What tasks of classes draw has the distributions that they promise.

Every check is a p-value of a fixed sample and fails below 1e-4. Its power is
tested on the same sample: one value that comes 5 % too often (probability 0.105
for 0.1) is seen where more than 20,000 of it are expected, else 20 %.
"""

import itertools
import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from lstm_jax.lab.plan import catalog
from lstm_jax.lab.report import levels as report_levels
from lstm_jax.ops import conditions, prng
from lstm_jax.tasks.associative_recall import associative_recall
from lstm_jax.tasks.copying import copying
from lstm_jax.tasks.flip_flop import flip_flop
from lstm_jax.tasks.memory_chain import memory_chain
from lstm_jax.tasks.parity import parity
from lstm_jax.tasks.selective_copying import selective_copying
from lstm_jax.tasks.word_problem import word_problem
from lstm_jax.training.drawn_sequence import draw_sequence
from lstm_jax.types import OneHot

SIZE = 2**20
ALPHA = 1e-4
IGNORE, WRITE = 0.8, 0.1
MAKE = {
  'copying': lambda: copying(symbols=5, items=2),
  'selective_copying': lambda: selective_copying(symbols=3, items=3),
  'parity': parity,
  'word_problem': lambda: word_problem(group='s3'),
  'flip_flop': lambda: flip_flop(ignore=IGNORE),
  'associative_recall': lambda: associative_recall(pairs=3, keys=5, values=4),
  'memory_chain': lambda: memory_chain(bits=3),
}
LENGTH = {'copying': 1, 'selective_copying': 2, 'flip_flop': 8}


@cache
def sequences(name):
  """`(episodes, symbols [steps, SIZE])`, as a trial draws them."""
  task = MAKE[name]()
  length = LENGTH.get(name, 4)

  @jax.jit
  def run(numbers):
    key = jax.random.key_data(jax.random.key(1997))[:, None]
    keys = prng.fold_in(jnp.broadcast_to(key, (2, SIZE)), numbers)
    episode = task.draw(keys, jnp.full(SIZE, length))
    stream = task.stream(episode)

    def at(t):
      x_t = stream.input_at(jnp.full(SIZE, t))
      return x_t.index if isinstance(x_t, OneHot) else x_t[0]

    return episode, jax.lax.map(at, jnp.arange(task.longest(length)))

  return jax.tree.map(np.asarray, run(np.arange(SIZE)))


def joint(*values):
  """One number for each combination of `(sample, how many values)`."""
  total = 0
  for sample, count in values:
    total = total * count + sample
  return total, math.prod(count for _, count in values)


def uniform(*values):
  number, count = joint(*values)
  return number, np.full(count, 1 / count)


def subsets(sample, places, count):
  """The number of each subset of places, all equally probable."""
  numbers = {
    sum(1 << i for i in chosen): n
    for n, chosen in enumerate(itertools.combinations(range(places), count))
  }
  masks = sum(1 << place for place in sample)
  number = np.vectorize(numbers.__getitem__)(masks)
  return number, np.full(len(numbers), 1 / len(numbers))


def orders(sample, kinds):
  """The number of each choice and order of different things."""
  numbers = {
    order: n
    for n, order in enumerate(itertools.permutations(range(kinds), len(sample)))
  }
  code = np.full(kinds ** len(sample), -1)
  for order, n in numbers.items():
    code[joint(*((i, kinds) for i in order))[0]] = n
  number = code[joint(*((row, kinds) for row in sample))[0]]
  return number, np.full(len(numbers), 1 / len(numbers))


def instructions(first, second):
  """Two of them, between the first and the last."""
  share = np.array([WRITE / 2, WRITE / 2, IGNORE / 2, IGNORE / 2, WRITE])
  number, _ = joint((first, 5), (second, 5))
  return number, np.outer(share, share).ravel()


def lags(text):
  """Instructions from the last write to the read at the end, 1 to 7."""
  is_write = text[::-1] < 2
  lag = np.argmax(is_write, axis=0)
  share = [WRITE * (1 - WRITE) ** n for n in range(6)]
  return lag - 1, np.array([*share, 1 - sum(share)])


def cases():
  """Name -> `(numbers drawn, their probabilities)`, computed when asked for."""
  e = lambda name: sequences(name)[0]
  x = lambda name: sequences(name)[1]
  yield 'copying: symbols', lambda: uniform(*((s, 5) for s in x('copying')[:2]))
  yield (
    'selective_copying: places',
    lambda: subsets(e('selective_copying').positions, 5, 3),
  )
  yield (
    'selective_copying: symbols',
    # All three of them, where they stand at the first three steps.
    lambda: uniform(
      *(
        (row[np.all(x('selective_copying')[:3] < 3, axis=0)], 3)
        for row in x('selective_copying')[:3]
      )
    ),
  )
  yield 'parity: bits', lambda: uniform(*((s, 2) for s in x('parity')))
  yield (
    'word_problem: elements',
    lambda: uniform(*((s, 6) for s in x('word_problem')[:2])),
  )
  yield (
    'word_problem: elements later',
    lambda: uniform(*((s, 6) for s in x('word_problem')[2:])),
  )
  # Before the last write, around it and after it.
  for a, b in ((1, 2), (3, 6), (5, 6)):
    yield (
      f'flip_flop: instructions {a} and {b}',
      lambda a=a, b=b: instructions(x('flip_flop')[a], x('flip_flop')[b]),
    )
  yield 'flip_flop: lags', lambda: lags(x('flip_flop'))
  yield (
    'associative_recall: keys',
    lambda: orders(e('associative_recall').keys, 5),
  )
  yield (
    'associative_recall: values and query',
    lambda: uniform(
      *((row - 5, 4) for row in x('associative_recall')[1:6:2]),
      (e('associative_recall').query, 3),
    ),
  )
  yield (
    'memory_chain: bits and query',
    lambda: uniform(
      *((row > 0, 2) for row in e('memory_chain').bits),
      (e('memory_chain').query, 3),
    ),
  )


CASES = dict(cases())


def p_value(numbers, shares):
  counts = np.bincount(numbers.astype(np.int64), minlength=len(shares))
  return stats.chisquare(counts, shares * len(numbers)).pvalue


@pytest.mark.parametrize('case', CASES)
def test_it_is_distributed_as_it_says(case):
  numbers, shares = CASES[case]()
  assert np.isclose(np.sum(shares), 1)
  assert p_value(numbers, shares) > ALPHA
  # Power: a few draws of any value are replaced by the commonest.
  value = int(np.argmax(shares))
  p = shares[value]
  excess = 0.05 if p * len(numbers) > 20_000 else 0.2
  replaced = np.random.default_rng(0).random(len(numbers)) < excess * p / (
    1 - p
  )
  assert p_value(np.where(replaced, value, numbers), shares) < ALPHA


LEVELS = [
  (name, given, levels)
  for name in MAKE
  for given, levels in catalog.describe('tasks', name).trivial
  if levels['predictor'].startswith('1/')
]


@pytest.mark.parametrize('name, given, levels', LEVELS)
def test_levels_of_constant_outputs(name, given, levels):
  task = catalog.build('tasks', name, **given)
  size, length = 2**14, 6

  @jax.jit
  def judge(keys):
    episode = task.draw(keys, jnp.full(size, length))
    stream = task.stream(episode)
    constant = jnp.full((task.num_outputs, size), 1 / task.num_outputs)
    y_k = constant.at[0].add(1e-6)

    def at(t):
      t = jnp.full(size, t)
      error = jnp.abs(stream.target_at(t) - constant)
      counts = stream.scored_at(t)
      is_wrong = counts & ~task.correct(episode, t, y_k)
      return counts, jnp.mean(error, 0), jnp.mean(error**2, 0), is_wrong

    return jax.lax.map(at, jnp.arange(task.longest(length)))

  random = np.random.default_rng(3)
  keys = random.integers(2**32, size=(2, size), dtype=np.uint32)
  counts, absolute, squared, is_wrong = map(np.asarray, judge(keys))
  assert levels['predictor'].startswith(f'1/{task.num_outputs} for')
  np.testing.assert_allclose(absolute[counts], levels['absolute'], rtol=1e-5)
  np.testing.assert_allclose(squared[counts], levels['squared'], rtol=1e-5)
  if 'wrong' in levels:
    share = np.mean(np.any(is_wrong, axis=0))
    spread = math.sqrt(levels['wrong'] * (1 - levels['wrong']) / size)
    assert abs(share - levels['wrong']) <= 5 * spread


@pytest.mark.parametrize('length', (100, 6))
def test_the_level_of_copying_scored_at_every_step(length):
  """A net without memory that knows the delimiter, as published."""
  options = {'scored': 'every_step', 'symbols': 8, 'items': 10}
  level = report_levels.trivial('copying', options, length)
  sequence = draw_sequence(copying(), length, seed=0)
  outputs = np.eye(9)[np.full(length + 20, 8)]
  outputs[-10:] = [1 / 8] * 8 + [0]
  error = np.abs(sequence.targets - outputs)
  assert np.all(sequence.mask == 1)
  assert np.mean(error) == pytest.approx(level['absolute'], rel=1e-5)
  if length == 100:
    assert np.mean(error**2) == pytest.approx(level['squared'], rel=1e-5)
  # Its cross-entropy is the figure of the publication.
  own = np.sum(sequence.targets * outputs, axis=1)
  published = 10 * math.log(8) / (length + 20)
  assert np.mean(-np.log(own)) == pytest.approx(published)


def test_every_group_has_its_level():
  trivial = catalog.describe('tasks', 'word_problem').trivial
  options = catalog.describe('tasks', 'word_problem').options
  for group in options['group'].choices:
    assert any(
      conditions.holds(given, {'group': group}) for given, _ in trivial
    )
