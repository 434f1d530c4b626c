"""Multiplication: every target recomputed from the inputs alone.

The checker is written from the text of the paper, for one sequence in plain
numpy, and knows nothing of how the task draws. What is drawn is tested by
p-values of fixed samples that fail below 1e-4; each check's power is tested on
the same sample.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from lstm_jax.lab.plan import catalog
from lstm_jax.ops import prng
from lstm_jax.tasks.multiplication import multiplication
from lstm_jax.types import Judgement
from tests import stop_rules
from tests.task_lanes import assert_each_is_alone
from tests.tasks.test_task_statistics import independent_p, uniform_p
from tests.tasks.test_tasks import keys_of, materialise

SEEN = multiplication()
HIDDEN = multiplication(first_marked='one_target_only')
both = pytest.mark.parametrize('task', (SEEN, HIDDEN), ids=('seen', 'hidden'))
ALPHA = 1e-4


def check(pairs, length, one_is_seen):
  """The target of a sequence of pairs; raises where it breaks a rule.

  Args:
    pairs: `[steps, 2]`, the sequence cut at its end.
    length: T.
    one_is_seen: whether a marked first pair has the value 1 in the input.
  """
  assert length <= len(pairs) <= length + length // 10
  values, markers = pairs.astype(np.float64).T
  (marked,) = np.nonzero(markers == 1)
  assert len(marked) == 2
  rest = np.setdiff1d(np.arange(len(pairs)), marked)
  for i in rest:
    assert markers[i] == (-1 if i in (0, len(pairs) - 1) else 0)
  ones = one_is_seen and 0 in marked
  assert values.min() >= 0 and values[ones:].max() < 1
  assert not ones or values[0] == 1

  # Drawn in this order or the other: one of the first ten, then one of the
  # first T/2 - 1 of what is left.
  def possible(first, second):
    left = np.delete(np.arange(len(pairs)), first)[: length // 2 - 1]
    return first < min(10, length // 2) and second in left

  assert possible(*marked) or possible(*marked[::-1])
  factors = [1.0 if i == 0 else values[i] for i in marked]
  # 23 bits times 23 bits: exact in float64, rounded once.
  return np.float32(factors[0] * factors[1])


@pytest.mark.parametrize('length', (4, 9, 20, 100, 500))
@both
def test_targets_follow_from_the_inputs(task, length):
  inputs, targets, scored, lengths = materialise(task, length)
  lags = []
  for x, target, mask, steps in zip(
    inputs, targets, scored, lengths, strict=True
  ):
    assert target[steps - 1] == check(x[:steps], length, task is SEEN)
    assert np.flatnonzero(mask[:steps]).tolist() == [steps - 1]
    lags.append(steps - 1 - np.flatnonzero(x[:steps, 1] == 1)[-1])
  assert min(lags) >= length // 2


@pytest.mark.parametrize('broken', ('marker', 'value', 'first', 'cut'))
def test_the_checker_can_fail(broken):
  inputs, targets, _, lengths = materialise(SEEN, 100)
  for x, target, steps in zip(inputs, targets, lengths, strict=True):
    marks = np.flatnonzero(x[:, 1] == 1)
    if broken == 'marker':
      x[marks[1], 1], x[70, 1] = 0, 1
    elif broken == 'value':
      x[marks[1], 0] += 2**-10
    elif broken == 'first':
      if marks[0] > 0:
        continue
      x[0, 0] = 0.75
    else:
      x[steps - 1, 1] = 0
    try:
      expected = check(x[:steps], 100, True)
    except AssertionError:
      continue
    assert expected != target[steps - 1]


def test_the_two_readings_differ_in_the_first_value_alone():
  seen, hidden = (materialise(task, 20) for task in (SEEN, HIDDEN))
  for a, b in zip(seen[1:], hidden[1:], strict=True):
    np.testing.assert_array_equal(a, b)
  differ = seen[0] != hidden[0]
  assert not differ[:, 1:].any() and not differ[:, 0, 1].any()
  np.testing.assert_array_equal(differ[:, 0, 0], seen[0][:, 0, 1] == 1)


@both
def test_a_lane_is_what_it_is_alone(task):
  keys = keys_of((2, 4))
  lengths = np.array([[20, 30, 100, 555], [20, 21, 40, 1000]])

  @jax.jit
  def facts(key, length, t):
    episode = task.draw(key, length)
    stream = task.stream(episode)
    y_k = jnp.full((1, *length.shape), 0.25)
    right = task.correct(episode, t, y_k)
    return episode, stream.input_at(t), stream.target_at(t), right

  assert_each_is_alone(facts, keys, lengths, (0, 5, 19))


@both
def test_shapes_and_types(task, x64):
  def facts(keys, length, t):
    episode = task.draw(keys, length)
    stream = task.stream(episode)
    right = task.correct(episode, t, stream.target_at(t))
    scored = stream.scored_at(t)
    return stream.length, stream.input_at(t), stream.target_at(t), scored, right

  shapes = jax.eval_shape(facts, keys_of((3,)), np.full(3, 100), np.arange(3))
  assert [(s.shape, s.dtype) for s in shapes] == [
    ((3,), jnp.int32), ((2, 3), jnp.float32), ((1, 3), jnp.float32),
    ((3,), bool), ((3,), bool),
  ]  # fmt: skip


def test_one_bits_call_a_step():
  episode = jax.eval_shape(SEEN.draw, keys_of((4,)), np.full(4, 100))
  step = jax.make_jaxpr(lambda e, t: SEEN.stream(e).input_at(t))
  # Twenty rounds of threefry shift left twenty times.
  assert str(step(episode, np.arange(4))).count('shift_left') == 20


def test_right_up_to_the_tolerance_and_at_it():
  task = multiplication(tolerance=2**-5)

  @jax.jit
  def is_right(y_k):
    episode = task.draw(keys_of((1,)), np.full(1, 100))
    episode = episode._replace(target=jnp.full(1, 0.5))
    return task.correct(episode, episode.length - 1, y_k)[0]

  ulp = 2**-24
  for error, right in ((0, True), (2**-5, True), (2**-5 + ulp, False)):
    for y in (0.5 + error, 0.5 - error):
      assert is_right(np.full((1, 1), y, np.float32)) == right
  assert not is_right(np.full((1, 1), np.nan, np.float32))


@pytest.mark.parametrize('n_seq', (140, 13))
def test_it_ends_when_fewer_than_n_seq_of_2000_are_wrong(n_seq):
  rule = multiplication(n_seq=n_seq).stop_rule
  # In the one lane the last n_seq of 2000 are wrong, in the other one fewer.
  right = np.arange(2000)[:, None] < 2000 - n_seq + np.arange(2)
  error = np.zeros(2, np.float32)

  def body(state, right):
    return stop_rules.says(rule, state, Judgement(right, error, error))

  @jax.jit
  def all_of(right):
    return jax.lax.scan(body, rule.init((2,), jnp.float32), right)[1]

  met = np.asarray(all_of(right))
  assert not met[:-1].any()
  assert met[-1].tolist() == [False, True]


SIZE = 2**21


@pytest.fixture(scope='module')
def episodes():
  """Sequences 0, 1, ... of one trial, T = 100, as a trial draws them."""

  @jax.jit
  def run(numbers):
    key = jax.random.key_data(jax.random.key(1997))[:, None]
    keys = prng.fold_in(jnp.broadcast_to(key, (2, SIZE)), numbers)
    return SEEN.draw(keys, jnp.full(SIZE, 100))

  return jax.tree.map(np.asarray, run(np.arange(SIZE)))


def test_marks_and_lengths_are_uniform_and_independent(episodes):
  e = episodes
  rank = e.second - (e.second > e.first)
  for sample, low, high in (
    (e.length, 100, 110),
    (e.first, 0, 9),
    (rank, 0, 48),
  ):
    assert uniform_p(sample, low, high) > ALPHA
    assert uniform_p(np.minimum(sample, high - 1), low, high) < ALPHA
    # Power: one value 2 % too often (5 % for the 49 ranks).
    p = 1 / (high - low + 1)
    share = (0.02 if p > 0.05 else 0.05) * p / (1 - p)
    more = np.random.default_rng(0).random(SIZE) < share
    assert uniform_p(np.where(more, low, sample), low, high) < ALPHA
  for a, b in ((e.length, e.first), (e.length, rank), (e.first, rank)):
    assert independent_p(a, b) > ALPHA
  assert independent_p(e.first[1:], e.first[:-1]) > ALPHA
  copied = np.where(np.arange(SIZE) % 50 == 0, e.first, rank % 10)
  assert independent_p(e.first, copied) < ALPHA


def test_values_are_uniform():
  inputs, _, _, lengths = materialise(SEEN, 100)
  values, markers = inputs[:, 1:100, 0], inputs[:, 1:100, 1]
  p = lambda x: stats.kstest(x.ravel(), stats.uniform(0, 1).cdf).pvalue
  assert p(values) > ALPHA and p(values[markers == 1]) > ALPHA
  # Power: 1 % narrower, half a percent of an offset, 1 % lost to one place.
  for biased in (0.99 * values, values + 0.005, np.maximum(values, 0.01)):
    assert p(biased) < ALPHA
  tenths = np.floor(10 * values).astype(int)
  assert independent_p(tenths[:, 1:].ravel(), tenths[:, :-1].ravel()) > ALPHA
  assert independent_p(tenths[1:].ravel(), tenths[:-1].ravel()) > ALPHA


def test_what_the_mean_target_is_worth(episodes):
  trivial = catalog.describe('tasks', 'multiplication').trivial
  # The share wrong depends on the tolerance, and nothing else does.
  (condition, levels), (other, rest) = trivial
  assert (condition, other) == ({'tolerance': 0.04}, {})
  assert levels == {**rest, 'wrong': levels['wrong']} and 'wrong' not in rest
  task = multiplication(**condition)
  target = episodes.target.astype(np.float64)
  constant = float(levels['predictor'].partition(',')[0])
  y_k = np.full((1, SIZE), constant, np.float32)
  correct = jax.jit(task.correct)
  right = np.asarray(correct(episodes, episodes.length - 1, y_k))
  # Five standard errors are below 1 % of each: it would be seen.
  for sample, expected in (
    (target, constant),
    (np.abs(target - constant), levels['absolute']),
    ((target - constant) ** 2, levels['squared']),
    (~right, levels['wrong']),
    (episodes.first == 0, 1 / 10),
    ((episodes.first == 0) | (episodes.second == 0), 1 / 10 + 9 / 10 / 49),
  ):
    five = 5 * np.std(sample) / np.sqrt(SIZE)
    assert abs(np.mean(sample) - expected) < five < 0.012 * expected
  # Where the first pair is not marked: the variance of a product.
  usual = target[(episodes.first > 0) & (episodes.second > 0)]
  assert abs(np.var(usual) - 7 / 144) < 5e-4


def test_mean_steps(episodes):
  a, b = catalog.describe('tasks', 'multiplication').mean_steps
  assert abs(episodes.length.mean() - (a * 100 + b)) < 5 * 3.2 / SIZE**0.5


def test_sizes_are_those_of_the_paper():
  cell = catalog.build('cells', 'lstm1997', 2, 1, blocks=2, block_size=2)
  assert (SEEN.num_inputs, SEEN.num_outputs) == (2, 1)
  assert sum(int(np.sum(m)) for m in cell.mask) == 93
  assert [SEEN.longest(n) for n in (4, 99, 100)] == [4, 108, 110]
  with pytest.raises(ValueError, match='length=3 must be .* multiplication'):
    SEEN.longest(3)


@pytest.mark.parametrize(
  'options, message',
  (
    ({'output': 'softmax'}, "output='softmax'.*logistic, linear"),
    ({'first_marked': 'no'}, "first_marked='no'.*one_input_and_target, one_t"),
    ({'tolerance': 0.0}, 'tolerance=0.0 must be above 0'),
    ({'recent': 0}, 'recent=0 must be at least 1'),
    ({'n_seq': 0}, 'n_seq=0 must be from 1 to recent=2000'),
    ({'n_seq': 14, 'recent': 13}, 'n_seq=14 must be from 1 to recent=13'),
  ),
)
def test_refusals_name_option_value_and_choices(options, message):
  with pytest.raises(ValueError, match=message):
    multiplication(**options)
