"""First symbol (2a, 2b): sequences, evaluation, what is right.

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

from lstm_jax.lab.plan import catalog
from lstm_jax.tasks import first_symbol as module
from lstm_jax.tasks.first_symbol import first_symbol
from lstm_jax.types import OneHot
from tests import stop_rules
from tests.task_lanes import assert_each_is_alone

ALPHA = 1e-4
OPTIONS = {
  '2a': {},
  '2b': {'middle': 'random'},
  '2a, end': {'scored': 'end'},
  '2b, end': {'middle': 'random', 'scored': 'end'},
  '2a, p=4': {'symbols': 4},
  '2b, p=4': {'middle': 'random', 'symbols': 4},
}
TASKS = {name: first_symbol(**options) for name, options in OPTIONS.items()}
every_task = pytest.mark.parametrize('name', TASKS)


def keys_of(lanes, seed=0):
  random = np.random.default_rng(seed)
  return tuple(random.integers(2**32, size=(2, *lanes), dtype=np.uint32))


def length_of(name):
  return 4 if '4' in name else 100


@cache
def sequences(name, length, lanes=500):
  """`(rows [lanes, T], targets [lanes, T, K], scored)` in numpy."""
  task = TASKS[name]
  steps = task.longest(length)

  @jax.jit
  def run(key):
    stream = task.stream(task.draw(key, jnp.full(lanes, length)))

    def at(t):
      t = jnp.full(lanes, t)
      x_t = stream.input_at(t)
      assert isinstance(x_t, OneHot) and x_t.size == task.num_inputs
      return x_t.index, stream.target_at(t), stream.scored_at(t)

    return *jax.vmap(at)(jnp.arange(steps)), stream.length

  rows, targets, scored, lengths = map(np.asarray, run(keys_of((lanes,))))
  assert lengths.tolist() == [steps] * lanes
  return rows.T, targets.transpose(2, 0, 1), scored.T


def check(rows, symbols, length, fixed):
  """The one-hot targets of a sequence; raises where it breaks a rule.

  Args:
    rows: the input line of each step.
    symbols: p.
    length: T.
    fixed: whether the middle has its order.
  """
  alphabet = [f'a{i}' for i in range(1, symbols)] + ['x', 'y']
  assert len(rows) == length and rows.min() >= 0
  text = [alphabet[i] for i in rows]
  assert text[0] in 'xy'
  assert all(symbol[0] == 'a' for symbol in text[1:])
  if fixed:
    assert text[1:] == [f'a{i}' for i in range(1, symbols)]
  following = text[1:] + text[:1]
  return [[float(a == symbol) for a in alphabet] for symbol in following]


CASES = [('2a', 100), ('2a, end', 100), ('2a, p=4', 4)]
CASES += [('2b', 100), ('2b', 2), ('2b, end', 7), ('2b, p=4', 4)]


@pytest.mark.parametrize('name, length', CASES)
def test_targets_follow_from_the_inputs(name, length):
  rows, targets, scored = sequences(name, length)
  symbols = OPTIONS[name].get('symbols', 100)
  for x, target in zip(rows, targets, strict=True):
    assert target.tolist() == check(x, symbols, length, '2a' in name)
  assert set(rows[:, 0].tolist()) == {symbols - 1, symbols}
  expected = np.ones(length) if 'end' not in name else np.eye(length)[-1]
  assert np.all(scored == expected)
  assert TASKS[name].error_at_end == ('end' in name)
  kinds = len(np.unique(rows, axis=0))
  assert kinds == 2 if '2a' in name else kinds > 10


@pytest.mark.parametrize('broken', ('swap', 'last', 'first', 'short'))
def test_the_checker_can_fail(broken):
  rows, targets, _ = sequences('2a', 100)
  for x, target in zip(rows.copy(), targets, strict=True):
    if broken == 'swap':
      x[[3, 4]] = x[[4, 3]]
    elif broken == 'last':
      target = np.roll(target, 1, axis=0)
    elif broken == 'first':
      x[0] = 199 - x[0]
    else:
      x = x[:-1]
    try:
      expected = check(x, 100, 100, True)
    except AssertionError:
      continue
    assert target.tolist() != expected


def uniform_p(sample, low, high):
  """p-value of `sample` being uniform on the integers low, ..., high."""
  if sample.min() < low or sample.max() > high:
    return 0.0
  counts = np.bincount(sample.ravel() - low, minlength=high - low + 1)
  return stats.chisquare(counts).pvalue


@pytest.mark.parametrize('name', ('2a', '2b'))
def test_first_symbols_are_equally_probable(name):
  size = 2**20
  draw = jax.jit(TASKS[name].draw)
  is_y = np.asarray(draw(keys_of((size,)), np.full(size, 100)).is_y)
  assert uniform_p(is_y, 0, 1) > ALPHA
  # Power: one in a hundred replaced.
  replaced = np.where(np.arange(size) % 100 == 0, 0, is_y)
  assert uniform_p(replaced, 0, 1) < ALPHA
  r = np.corrcoef(is_y[1:], is_y[:-1])[0, 1]
  assert abs(r) < 5 / math.sqrt(size)


def test_middle_symbols_are_uniform_and_independent():
  rows, _, _ = sequences('2b', 100, lanes=4000)
  first, middle = rows[:, 0] - 99, rows[:, 1:]
  assert uniform_p(middle, 0, 98) > ALPHA
  # Power: one symbol comes a fifth more often; one is missing.
  often = np.where(
    np.random.default_rng(0).random(middle.shape) < 2e-3, 7, middle
  )
  assert uniform_p(often, 0, 98) < ALPHA
  assert uniform_p(np.where(middle == 98, 0, middle), 0, 98) < ALPHA
  # Every step, and beside the first symbol: nine groups of eleven.
  group = middle // 11

  def independent_p(a, b):
    table = np.zeros((9, 9))
    np.add.at(table, (a.ravel(), b.ravel()), 1)
    return stats.chi2_contingency(table[table.sum(axis=1) > 0]).pvalue

  for lag in (1, 2, 50):
    assert independent_p(group[:, lag:], group[:, :-lag]) > ALPHA
  assert independent_p(group[1:], group[:-1]) > ALPHA
  beside = np.broadcast_to(first[:, None], group.shape)
  assert independent_p(beside, group) > ALPHA
  copied = group.copy()
  copied[:, 1::25] = copied[:, :-1:25]
  assert independent_p(copied[:, 1:], copied[:, :-1]) < ALPHA
  assert min(uniform_p(middle[:, t], 0, 98) for t in range(99)) > ALPHA / 99


@pytest.mark.parametrize('name', ('2a', '2b', '2a, end'))
def test_correct_is_a_strict_tolerance_on_every_output(name):
  task = TASKS[name]
  # Lane 2k moves output k down, lane 2k + 1 moves it up.
  moves = np.repeat(np.eye(101, dtype=np.float32), 2, axis=1)
  moves[:, ::2] *= -1

  @jax.jit
  def right(t, moves):
    episode = task.draw(keys_of((202,)), jnp.full(202, 100))
    t = jnp.full(202, t)
    target = task.stream(episode).target_at(t)
    return task.correct(episode, t, target + moves)

  for t in (0, 50, 98, 99):
    assert right(t, 0 * moves).all()
    assert right(t, moves * np.float32(0.25 - 1e-4)).all()
    wrong = right(t, moves * np.float32(0.25 + 1e-4))
    bad = right(t, np.where(moves != 0, np.nan, 0).astype(np.float32))
    if name == '2b' and t < 99:  # judged at its end
      assert wrong.all() and bad.all()
    else:
      assert not wrong.any() and not bad.any()


@pytest.mark.parametrize('lanes', ((), (3,), (2, 2)))
def test_the_evaluation_of_2a_is_the_two_sequences_in_turn(lanes):
  task = TASKS['2a']
  asked = stop_rules.asked(task.stop_rule)
  assert asked == (2, 100, 0, math.inf, True)

  @jax.jit
  def ask(key, n):
    e = stop_rules.evaluation_draw(task, key, np.full(lanes, 100), n)
    return e, task.stream(e).input_at(np.zeros(lanes, np.int32)).index

  for n in range(4):
    for seed in range(3):
      asked = ask(keys_of(lanes, seed), np.full(lanes, n))
      e, first = jax.tree.map(np.asarray, asked)
      assert e.is_y.shape == e.length.shape == lanes
      assert np.all(e.is_y == n % 2) and np.all(e.length == 100)
      assert np.all(first == 99 + n % 2)  # x, y, x, y
  drawn = jax.eval_shape(task.draw, keys_of(lanes), np.full(lanes, 100))
  described = lambda e: jax.tree.map(lambda a: (a.shape, a.dtype), e)
  assert described(e) == described(drawn)


def test_the_evaluation_of_2b_is_fresh_sequences():
  task = TASKS['2b']
  asked = stop_rules.asked(task.stop_rule)
  assert asked == (10_000, 1000, 0, math.inf, True)

  @jax.jit
  def both(key):
    length = np.full(500, 30)
    n = np.zeros(500, np.int32)
    asked = stop_rules.evaluation_draw(task, key, length, n)
    return asked, task.draw(key, length)

  e, drawn = jax.tree.map(np.asarray, both(keys_of((500,))))
  jax.tree.map(np.testing.assert_array_equal, e, drawn)
  assert 0.3 < np.mean(e.is_y) < 0.7


def test_the_evaluation_follows_its_options():
  for middle in ('fixed', 'random'):
    given = first_symbol(
      middle=middle, exam_every=7, exam_sequences=9, exam_set='fixed'
    )
    assert stop_rules.asked(given.stop_rule) == (9, 7, 0, math.inf, False)
    assert stop_rules.asked(first_symbol(middle=middle).stop_rule).fresh


@every_task
def test_a_lane_is_what_it_is_alone(name):
  task, keys = TASKS[name], keys_of((2, 2))
  lengths = (
    np.array([[4, 4], [4, 4]])
    if '2a' in name
    else np.array([[2, 7], [100, 30]])
  )

  @jax.jit
  def facts(key, length, t):
    episode = task.draw(key, length)
    stream = task.stream(episode)
    y_k = jnp.full((task.num_outputs, *length.shape), 0.1)
    return (
      episode, stream.length, stream.input_at(t), stream.target_at(t),
      stream.scored_at(t), task.correct(episode, t, y_k),
    )  # fmt: skip

  assert_each_is_alone(facts, keys, lengths, (0, 1))


@every_task
def test_shapes_and_types(name, x64):
  task = TASKS[name]

  def facts(keys, length, t):
    episode = task.draw(keys, length)
    stream = task.stream(episode)
    right = task.correct(episode, t, stream.target_at(t))
    x_t, scored = stream.input_at(t), stream.scored_at(t)
    return stream.length, x_t.index, stream.target_at(t), scored, right

  t, length = np.arange(3), length_of(name)
  assert jax.device_put(t).dtype == np.int64
  size = length + 1
  assert (task.num_inputs, task.num_outputs) == (size, size)
  shapes = jax.eval_shape(facts, keys_of((3,)), np.full(3, length), t)
  assert [(s.shape, s.dtype) for s in shapes] == [
    ((3,), jnp.int32),
    ((3,), jnp.int32),
    ((size, 3), jnp.float32),
    ((3,), bool),
    ((3,), bool),
  ]


def test_the_net_of_the_paper_has_its_size():
  # Experiment 2a with p = 100: 101 lines in and 101 out (Table 10); RTRL's net
  # has one hidden unit, 101 weights to it and 102 to each output, and one more.
  task = catalog.build('tasks', 'first_symbol')
  k = task.num_outputs
  assert task.num_inputs == 101
  assert task.num_inputs + 1 + (task.num_inputs + 1) * k == 10404


@pytest.mark.parametrize('name', ('2a', '2b', '2a, end', '2b, end'))
def test_the_trivial_levels(name):
  # At T = 100, by one predictor for all steps: the mean target.
  task, lanes = TASKS[name], 2000
  (levels,) = (
    found
    for condition, found in module.TRIVIAL
    if condition['scored'] == ('end' if 'end' in name else 'every_step')
  )
  share = np.full(101, 0.01)
  share[99:] = 0.005
  if 'end' in name:
    share = np.append(np.zeros(99), [0.5, 0.5])
  y = share.astype(np.float32)[:, None]

  @jax.jit
  def run(key):
    episode = task.draw(key, jnp.full(lanes, 100))
    stream = task.stream(episode)

    def at(t):
      t = jnp.full(lanes, t)
      target, scored = stream.target_at(t), stream.scored_at(t)
      right = task.correct(episode, t, jnp.broadcast_to(y, target.shape))
      means = jnp.abs(target - y).mean(0), ((target - y) ** 2).mean(0)
      return *means, target.mean(1), right | ~scored, scored

    return jax.vmap(at)(jnp.arange(100))

  absolute, squared, target, right, scored = map(
    np.asarray, run(keys_of((lanes,)))
  )
  steps = scored.sum(0)[0]
  assert steps == (1 if 'end' in name else 100)
  for sample, level in ((absolute, 'absolute'), (squared, 'squared')):
    sample = np.sum(sample * scored, axis=0, dtype=np.float64) / steps
    error = 5 * np.std(sample) / math.sqrt(lanes) + 1e-5 * levels[level]
    assert abs(np.mean(sample) - levels[level]) < error < 0.01 * levels[level]
  assert np.mean(~right.all(0)) == levels['wrong']
  # No constant has a smaller squared error than the mean.
  mean = (target * scored[:, :1]).sum(0) / steps
  assert np.all(
    np.abs(mean - share) < 5 * np.sqrt(share / steps / lanes) + 1e-6
  )


@pytest.mark.parametrize(
  'options, message',
  (
    ({'output': 'softmax'}, "output='softmax'.*logistic, linear"),
    ({'middle': 'none'}, "middle='none' must be one of fixed, random"),
    ({'scored': 'last'}, "scored='last' must be one of every_step, end"),
    ({'exam_set': 'old'}, "exam_set='old' must be one of fresh, fixed"),
    ({'symbols': 1}, 'symbols=1 must be at least 2'),
    ({'tolerance': 0.0}, 'tolerance=0.0 must be above 0'),
    ({'exam_every': -1}, 'exam_every=-1 must be at least 1, or 0'),
    ({'exam_sequences': -2}, 'exam_sequences=-2 must be at least 1, or 0'),
  ),
)
def test_refusals_name_option_value_and_choices(options, message):
  with pytest.raises(ValueError, match=message):
    first_symbol(**options)


def test_lengths():
  assert [TASKS['2b'].longest(n) for n in (2, 100, 1000)] == [2, 100, 1000]
  assert TASKS['2a'].longest(100) == 100 and TASKS['2a, p=4'].longest(4) == 4
  for name in ('2a', '2b'):
    with pytest.raises(ValueError, match='length=1 must be at least 2'):
      TASKS[name].longest(1)
  with pytest.raises(ValueError, match='length=10 must be symbols=100.*middle'):
    TASKS['2a'].longest(10)
  # The sequence is that of `symbols` whatever is asked for.
  drawn = jax.jit(TASKS['2a'].draw)(keys_of((3,)), np.array([2, 100, 500]))
  assert drawn.length.tolist() == [100] * 3
  assert module.MEAN_STEPS == (1, 0)
