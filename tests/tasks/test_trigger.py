"""Trigger (2c): sequences, their lengths, what is right.

The checker is written from the text of the paper, for one sequence in plain
numpy. Statistical checks are of fixed samples and fail below p = 1e-4 or beyond
5 standard errors; what they would see is planted and seen beside them.
"""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from lstm_jax.tasks import trigger as module
from lstm_jax.tasks.trigger import trigger
from lstm_jax.types import OneHot
from tests import stop_rules
from tests.task_lanes import assert_each_is_alone

ALPHA = 1e-4
OPTIONS = {
  'p=50': {},
  'p=3': {'distractors': 3},
  'p=1': {'distractors': 1},
  'half': {'trigger_probability': 0.5},
}
TASKS = {name: trigger(**options) for name, options in OPTIONS.items()}
every_task = pytest.mark.parametrize('name', TASKS)


def keys_of(lanes, seed=0):
  random = np.random.default_rng(seed)
  return tuple(random.integers(2**32, size=(2, *lanes), dtype=np.uint32))


DRAWS = {name: jax.jit(task.draw) for name, task in TASKS.items()}


@cache
def episodes(name, size, length=50):
  episode = DRAWS[name](keys_of((size,)), np.full(size, length))
  return jax.tree.map(np.asarray, episode)


@cache
def sequences(name, length, lanes=2000):
  """`(rows [lanes, T], targets [lanes, T, 2], scored, lengths)` in numpy."""
  task = TASKS[name]

  @jax.jit
  def run(episode):
    stream = task.stream(episode)

    def at(t):
      t = jnp.full(lanes, t)
      x_t = stream.input_at(t)
      assert isinstance(x_t, OneHot) and x_t.size == task.num_inputs
      return x_t.index, stream.target_at(t), stream.scored_at(t)

    return jax.vmap(at)(jnp.arange(task.longest(length)))

  episode = episodes(name, lanes, length)
  rows, targets, scored = map(np.asarray, run(episode))
  return rows.T, targets.transpose(2, 0, 1), scored.T, episode.length


def check(rows, q, p):
  """The target of a sequence; raises where it breaks a rule.

  Args:
    rows: the input line of each step.
    q: distractors there are at least.
    p: different distractors.
  """
  alphabet = [f'a{i}' for i in range(1, p + 1)] + ['e', 'b', 'x', 'y']
  assert rows.min() >= 0
  text = [alphabet[i] for i in rows]
  # With the last symbol, a target only, at least q + 4.
  assert len(text) + 1 >= q + 4
  assert text[0] == 'b' and text[1] in 'xy' and text[-1] == 'e'
  assert all(symbol[0] == 'a' for symbol in text[2:-1])
  assert len(text) - 1 - 1 >= q + 1  # lag from the second symbol
  return {'x': [1.0, 0.0], 'y': [0.0, 1.0]}[text[1]]


@pytest.mark.parametrize('length', (1, 50, 200))
@pytest.mark.parametrize('name, p', (('p=50', 50), ('p=3', 3), ('p=1', 1)))
def test_targets_follow_from_the_inputs(name, p, length):
  seen = set()
  for x, target, scored, steps in zip(*sequences(name, length), strict=True):
    expected = check(x[:steps], length, p)
    assert target[steps - 1].tolist() == expected
    assert np.flatnonzero(scored[:steps]).tolist() == [steps - 1]
    seen.add(tuple(expected))
  assert len(seen) == 2


@pytest.mark.parametrize('broken', ('other', 'early', 'none', 'short', 'twice'))
def test_the_checker_can_fail(broken):
  for x, target, _, steps in zip(*sequences('p=50', 50), strict=True):
    x = x[:steps].copy()
    if broken == 'other':
      x[1] = 52 + 53 - x[1]
    elif broken == 'early':
      x[20] = 50
    elif broken == 'none':
      x[-1] = 0
    elif broken == 'short':
      x = np.append(x[:51], 50)
    else:
      x[30] = 52
    try:
      expected = check(x, 50, 50)
    except AssertionError:
      assert broken != 'other'
      continue
    assert expected != target[steps - 1].tolist()


@pytest.mark.parametrize('probability', (0.1, 0.5, 0.9, 0.02))
def test_the_number_of_further_distractors_is_geometric(
  probability, monkeypatch
):
  # Exactly: the task's number for each of the values that u can have.
  task = trigger(trigger_probability=probability)

  @jax.jit
  def lengths(u):
    monkeypatch.setattr(module, 'uniform_at', lambda key, t: u)
    return task.draw(keys_of(()), 50).length

  every = np.arange(2**23, dtype=np.float32) * np.float32(2.0**-23)
  steps = np.asarray(lengths(every))
  more = steps - 53
  assert more.min() == 0 and steps.max() <= task.longest(50)
  assert steps.max() >= task.longest(50) - 1
  share = np.bincount(more) / 2**23
  k = np.arange(len(share))
  exact = probability * (1 - probability) ** k
  assert np.abs(share - exact).max() < 4e-7
  assert (1 - probability) ** len(share) < 1.3e-7  # what is cut
  assert abs(np.mean(more) - (1 / probability - 1)) < 2e-4
  # Power: the count from 1, or another probability.
  assert np.abs(share[:-1] - exact[1:]).max() > 1e-5
  other = probability * 1.001
  assert np.abs(share - other * (1 - other) ** k).max() > 1e-5


def test_the_cap_is_the_one_that_is_said():
  assert TASKS['p=50'].longest(0 + 1) - 4 == 151
  assert 1.05e-7 < 0.9**152 < 1.15e-7


def test_lengths_as_drawn():
  size = 2**20
  more = episodes('p=50', size).length - 53
  counts = np.bincount(np.minimum(more, 100), minlength=101)
  share = 0.1 * 0.9 ** np.arange(101)
  share[100] = 0.9**100
  assert stats.chisquare(counts, size * share).pvalue > ALPHA
  # Power: one in twenty-five is one longer, which one sample of 10^6 misses.
  longer = more + (np.arange(size) % 25 == 0)
  counts = np.bincount(np.minimum(longer, 100), minlength=101)
  assert stats.chisquare(counts, size * share).pvalue < ALPHA
  # The paper's 4 + q + 9 symbols in the mean, the last one not an input.
  a, b = module.MEAN_STEPS
  for length in (50, 1000):
    steps = episodes('p=50', size, length).length
    assert abs(np.mean(steps) - (a * length + b)) < 5 * 9.5 / 2**10
    assert a * length + b == length + 13 - 1


def uniform_p(sample, low, high):
  """p-value of `sample` being uniform on the integers low, ..., high."""
  if sample.min() < low or sample.max() > high:
    return 0.0
  counts = np.bincount(sample.ravel() - low, minlength=high - low + 1)
  return stats.chisquare(counts).pvalue


def independent_p(a, b):
  """p-value of two integer samples being independent."""
  table = np.zeros((a.max() + 1, b.max() + 1))
  np.add.at(table, (a.ravel(), b.ravel()), 1)
  return stats.chi2_contingency(table).pvalue


def test_second_symbols_are_equally_probable():
  size = 2**20
  e = episodes('p=50', size)
  assert uniform_p(e.is_y, 0, 1) > ALPHA
  replaced = np.where(np.arange(size) % 100 == 0, 0, e.is_y)
  assert uniform_p(replaced, 0, 1) < ALPHA
  # Nothing but the second symbol tells: not the length, not the one before.
  assert independent_p(e.is_y, np.minimum(e.length - 53, 40)) > ALPHA
  assert independent_p(e.is_y[1:], e.is_y[:-1]) > ALPHA


@pytest.mark.parametrize('name, p', (('p=50', 50), ('p=3', 3)))
def test_distractors_are_uniform_and_independent(name, p):
  rows, _, _, _ = sequences(name, 200)
  middle = rows[:, 2:202]
  assert uniform_p(middle, 0, p - 1) > ALPHA
  # Power: one symbol comes a tenth more often; one more symbol is possible.
  random = np.random.default_rng(0).random(middle.shape)
  assert uniform_p(np.where(random < 0.1 / p, 1, middle), 0, p - 1) < ALPHA
  assert uniform_p(np.where(middle == 0, p - 1, middle), 0, p - 1) < ALPHA
  group = middle * 3 // p
  for a, b in ((group[:, 1:], group[:, :-1]), (group[1:], group[:-1])):
    assert independent_p(a, b) > ALPHA
  copied = group.copy()
  copied[:, 1::25] = copied[:, :-1:25]
  assert independent_p(copied[:, 1:], copied[:, :-1]) < ALPHA
  second = np.broadcast_to(rows[:, 1:2] - rows[:, 1].min(), group.shape)
  assert independent_p(second, group) > ALPHA


def test_correct_is_a_strict_tolerance_on_both_outputs():
  task = TASKS['p=50']
  moves = np.array([[1, -1, 0, 0], [0, 0, 1, -1]], np.float32)

  @jax.jit
  def right(moves):
    e = task.draw(keys_of((4,)), np.full(4, 50))
    t = e.length - 1
    return task.correct(e, t, task.stream(e).target_at(t) + moves)

  assert right(0 * moves).all()
  assert right(moves * np.float32(0.2 - 1e-4)).all()
  assert not right(moves * np.float32(0.2 + 1e-4)).any()
  assert not right(np.where(moves != 0, np.nan, 0).astype(np.float32)).any()


def test_the_evaluation():
  task = TASKS['p=50']
  asked = stop_rules.asked(task.stop_rule)
  assert asked == (10_000, 1000, 0, math.inf, True)

  @jax.jit
  def both(key):
    length = np.full(500, 30)
    n = np.zeros(500, np.int32)
    return stop_rules.evaluation_draw(task, key, length, n), task.draw(
      key, length
    )

  jax.tree.map(np.testing.assert_array_equal, *both(keys_of((500,))))
  given = trigger(exam_every=7, exam_sequences=9, exam_set='fixed')
  assert stop_rules.asked(given.stop_rule) == (9, 7, 0, math.inf, False)


@every_task
def test_a_lane_is_what_it_is_alone(name):
  task, keys = TASKS[name], keys_of((2, 3))
  lengths = np.array([[1, 30, 100], [20, 21, 1000]])

  @jax.jit
  def facts(key, length, t):
    episode = task.draw(key, length)
    stream = task.stream(episode)
    y_k = jnp.full((2, *length.shape), 0.1)
    return (
      episode, stream.length, stream.input_at(t), stream.target_at(t),
      stream.scored_at(t), task.correct(episode, t, y_k),
    )  # fmt: skip

  assert_each_is_alone(facts, keys, lengths, (0, 1, 2, 3))


@every_task
def test_shapes_and_types(name, x64):
  task = TASKS[name]

  def facts(keys, length, t):
    episode = task.draw(keys, length)
    stream = task.stream(episode)
    right = task.correct(episode, t, stream.target_at(t))
    x_t, scored = stream.input_at(t), stream.scored_at(t)
    return stream.length, x_t.index, stream.target_at(t), scored, right

  t = np.arange(3)
  assert jax.device_put(t).dtype == np.int64
  assert task.error_at_end
  shapes = jax.eval_shape(facts, keys_of((3,)), np.full(3, 50), t)
  assert [(s.shape, s.dtype) for s in shapes] == [
    ((3,), jnp.int32),
    ((3,), jnp.int32),
    ((2, 3), jnp.float32),
    ((3,), bool),
    ((3,), bool),
  ]


@every_task
def test_one_call_of_the_generator_a_step(name):
  task = TASKS[name]
  episode = jax.eval_shape(task.draw, keys_of((4,)), np.full(4, 50))
  step = jax.make_jaxpr(lambda e, t: task.stream(e).input_at(t).index)
  text = str(step(episode, np.arange(4)))
  # Twenty rounds of threefry shift left twenty times.
  assert text.count('shift_left') == 20


@pytest.mark.parametrize('p, weights', ((50, 364), (100, 664), (1000, 6064)))
def test_sizes_are_those_of_the_paper(p, weights):
  task = trigger(distractors=p)
  assert (task.num_inputs, task.num_outputs) == (p + 4, 2)
  # Two blocks of one cell, no biases: six hidden units see the inputs and each
  # other, the outputs see the cells.
  assert 6 * (task.num_inputs + 6) + 2 * 2 == weights


def test_the_trivial_levels():
  ((condition, levels),) = module.TRIVIAL
  assert condition == {}
  task, size = TASKS['p=50'], 2**20
  e = episodes('p=50', size)

  @jax.jit
  def judge(e):
    t = e.length - 1
    right = task.correct(e, t, jnp.full((2, size), 0.5))
    return task.stream(e).target_at(t), right

  target, right = map(np.asarray, judge(e))
  # Of any sample: each target is 1/2 away from 1/2.
  assert np.mean(np.abs(target - 0.5)) == levels['absolute']
  assert np.mean((target - 0.5) ** 2) == levels['squared']
  assert np.mean(~right) == levels['wrong']
  # No constant has a smaller squared error than the mean.
  assert np.all(np.abs(target.mean(1) - 0.5) < 5 * 0.5 / 2**10)


@pytest.mark.parametrize(
  'options, message',
  (
    ({'output': 'softmax'}, "output='softmax'.*logistic, linear"),
    ({'exam_set': 'old'}, "exam_set='old' must be one of fresh, fixed"),
    ({'distractors': 0}, 'distractors=0 must be at least 1'),
    ({'trigger_probability': 0.0}, 'probability=0.0 must be above 0 and below'),
    ({'trigger_probability': 1.0}, 'probability=1.0 must be above 0 and below'),
    ({'tolerance': -0.1}, 'tolerance=-0.1 must be above 0'),
    ({'exam_every': 0}, 'exam_every=0 must be at least 1'),
    ({'exam_sequences': -2}, 'exam_sequences=-2 must be at least 1'),
  ),
)
def test_refusals_name_option_value_and_choices(options, message):
  with pytest.raises(ValueError, match=message):
    trigger(**options)


def test_longest_refuses_short_lengths():
  assert [TASKS['half'].longest(n) for n in (1, 50)] == [27, 76]
  with pytest.raises(ValueError, match='length=0 must be at least 1'):
    TASKS['p=50'].longest(0)
