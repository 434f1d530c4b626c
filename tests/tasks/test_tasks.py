"""Adding and temporal order: every target recomputed from the inputs alone.

The checkers are written from the text of the paper, for one sequence in plain
numpy, and know nothing of how the tasks draw.
"""

from fractions import Fraction
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.tasks import adding as adding_module
from lstm_jax.tasks import temporal_order as temporal_order_module
from lstm_jax.tasks.adding import adding
from lstm_jax.tasks.temporal_order import temporal_order
from tests.task_lanes import assert_each_is_alone

TASKS = {
  'adding': adding(),
  'adding, target only': adding(first_marked='zero_target_only'),
  'adding, first ten': adding(marks='first_ten'),
  '6a': temporal_order(),
  '6b': temporal_order(symbols=3),
  '6a, zero based': temporal_order(positions='zero_based'),
}
every_task = pytest.mark.parametrize('task', TASKS.values(), ids=TASKS.keys())


def keys_of(lanes, seed=0):
  random = np.random.default_rng(seed)
  return random.integers(2**32, size=(2, *lanes), dtype=np.uint32)


STEPS, EPISODES = 550, 2000


@cache
def compiled(task):
  """One program a task, for every length up to 500."""

  @jax.jit
  def run(keys, length):
    stream = task.stream(task.draw(keys, jnp.full(EPISODES, length)))

    def at(t):
      t = jnp.full(EPISODES, t)
      return stream.input_at(t), stream.target_at(t), stream.scored_at(t)

    return *jax.vmap(at)(jnp.arange(STEPS)), stream.length

  return run


def materialise(task, length, seed=0):
  """Streams as numpy: `(inputs, targets, scored, lengths)`, lanes first."""
  inputs, targets, scored, lengths = map(
    np.array, compiled(task)(keys_of((EPISODES,), seed), length)
  )
  steps = task.longest(length)
  return (
    inputs[:steps].transpose(2, 0, 1), targets[:steps].transpose(2, 0, 1),
    scored[:steps].T, lengths,
  )  # fmt: skip


def check_adding(pairs, length, first_value_shown, both_early=False):
  """The target of a sequence of pairs; raises where it breaks a rule.

  Args:
    pairs: `[steps, 2]`, the sequence cut at its end.
    length: T.
    first_value_shown: whether a marked first pair keeps its value in the input.
    both_early: whether both marks are among the first ten pairs, of a sequence
      that is as many steps longer.
  """
  early = min(10, length // 2)
  shortest = length + early * both_early
  values, markers = pairs[:, 0].astype(np.float64), pairs[:, 1].tolist()
  assert shortest <= len(pairs) <= shortest + length // 10
  assert np.all(np.abs(values) <= 1)
  marked = [i for i, marker in enumerate(markers) if marker == 1]
  assert len(marked) == 2
  expected = [0] * len(markers)
  expected[0] = expected[-1] = -1
  for i in marked:
    expected[i] = 1
  assert markers == expected

  # One mark is among the first ten pairs; the other among the first T/2 - 1 of
  # what is then unmarked. Either may have been drawn first.
  def possible(first, second):
    unmarked = [i for i in range(len(markers)) if i != first]
    half = early if both_early else length // 2
    return first < early and second in unmarked[: half - 1]

  assert possible(*marked) or possible(*reversed(marked))
  total = 0
  for i in marked:
    if i > 0:
      total += values[i]
    elif not first_value_shown:
      assert values[i] == 0
  return [0.5 + total / 4]


PAPER = {
  2: {'XX': 'Q', 'XY': 'R', 'YX': 'S', 'YY': 'U'},
  3: {
    'XXX': 'Q', 'XXY': 'R', 'XYX': 'S', 'XYY': 'U',
    'YXX': 'V', 'YXY': 'A', 'YYX': 'B', 'YYY': 'C',
  },
}  # fmt: skip
PAPER_POSITIONS = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
STARTS = {
  2: (Fraction(1, 10), Fraction(1, 2)),
  3: (Fraction(1, 10), Fraction(1, 3), Fraction(2, 3)),
}


def ranges(length, symbols):
  """Where the informative symbols may stand: the paper's, or in proportion."""
  if length == 100:
    return PAPER_POSITIONS[symbols]
  starts = [int(share * length) for share in STARTS[symbols]]
  return [(start, start + length // 10) for start in starts]


def check_temporal_order(rows, length, symbols, first_position):
  """The one-hot target of a sequence of symbols, as in `check_adding`.

  `first_position` is the number of the first symbol, 1 or 0.
  """
  assert length <= len(rows) <= length + length // 10
  assert np.all((rows == 0) | (rows == 1)) and np.all(rows.sum(axis=1) == 1)
  text = ''.join('EBabcdXY'[i] for i in rows.argmax(axis=1))
  assert text[0] == 'E' and text[-1] == 'B'
  assert not set(text[1:-1]) & {'E', 'B'}
  found = [i for i, symbol in enumerate(text) if symbol in 'XY']
  assert len(found) == symbols
  for i, (low, high) in zip(found, ranges(length, symbols), strict=True):
    assert low <= i + first_position <= high
  classes = PAPER[symbols]
  target = [0.0] * len(classes)
  target['QRSUVABC'.index(classes[''.join(text[i] for i in found)])] = 1.0
  return target


def check(task, length, checker, *options):
  inputs, targets, scored, lengths = materialise(task, length)
  for sequence, target, mask, steps in zip(
    inputs, targets, scored, lengths, strict=True
  ):
    expected = checker(sequence[:steps], length, *options)
    # Exact: the targets of both tasks are representable numbers.
    assert target[steps - 1].tolist() == expected
    assert np.flatnonzero(mask[:steps]).tolist() == [steps - 1]
  return inputs, targets, lengths


@pytest.mark.parametrize('length', (4, 9, 20, 100, 500))
@pytest.mark.parametrize('shown', (False, True))
def test_adding_targets_follow_from_the_inputs(length, shown):
  task = TASKS['adding, target only' if shown else 'adding']
  inputs, targets, lengths = check(task, length, check_adding, shown)
  # The paper's minimal lag: the last mark to the end.
  last_mark = np.array([np.flatnonzero(x[:, 1] == 1)[-1] for x in inputs])
  assert np.min(lengths - 1 - last_mark) >= length // 2
  assert targets.min() >= 0 and targets.max() <= 1


@pytest.mark.parametrize('length', (4, 20, 100))
def test_early_marks_make_the_lag_the_length(length):
  task = TASKS['adding, first ten']
  inputs, _, lengths = check(task, length, check_adding, False, True)
  last_mark = np.array([np.flatnonzero(x[:, 1] == 1)[-1] for x in inputs])
  assert last_mark.max() < min(10, length // 2)
  assert np.min(lengths - 1 - last_mark) >= length


def test_the_two_readings_differ_in_the_first_value_alone():
  shown = materialise(TASKS['adding, target only'], 20)
  hidden = materialise(TASKS['adding'], 20)
  for a, b in zip(shown[1:], hidden[1:], strict=True):
    np.testing.assert_array_equal(a, b)
  differ = shown[0] != hidden[0]
  assert not differ[:, 1:].any() and not differ[:, 0, 1].any()
  np.testing.assert_array_equal(differ[:, 0, 0], shown[0][:, 0, 1] == 1)


@pytest.mark.parametrize('length', (20, 55, 100, 500))
@pytest.mark.parametrize(
  'name, symbols, first',
  (('6a', 2, 1), ('6b', 3, 1), ('6a, zero based', 2, 0)),
)
def test_temporal_order_targets_follow_from_the_inputs(
  length, name, symbols, first
):
  check(TASKS[name], length, check_temporal_order, symbols, first)


@pytest.mark.parametrize('break_it', ('marker', 'value', 'swap', 'cut'))
def test_the_adding_checker_can_fail(break_it):
  inputs, targets, _, lengths = materialise(TASKS['adding'], 100)
  for x, target, steps in zip(inputs, targets, lengths, strict=True):
    marks = np.flatnonzero(x[:, 1] == 1)
    if break_it == 'marker':
      x[marks[1], 1], x[70, 1] = 0, 1
    elif break_it == 'value':
      x[marks[1], 0] += 2**-10
    elif break_it == 'swap':
      x[marks[1], 0] *= -1
    else:
      x[steps - 1, 1] = 0
    try:
      expected = check_adding(x[:steps], 100, False)
    except AssertionError:
      continue
    assert expected != target[steps - 1].tolist()


@every_task
def test_a_lane_is_what_it_is_alone(task):
  keys = keys_of((2, 4))
  lengths = np.array([[20, 30, 100, 555], [20, 21, 40, 1000]])

  @jax.jit
  def facts(key, length, t):
    episode = task.draw(key, length)
    stream = task.stream(episode)
    y_k = jnp.full((task.num_outputs, *length.shape), 0.5)
    return (
      episode, stream.length, stream.input_at(t), stream.target_at(t),
      stream.scored_at(t), task.correct(episode, t, y_k),
    )  # fmt: skip

  assert_each_is_alone(facts, keys, lengths, (0, 5, 19))


@every_task
def test_equal_keys_draw_equal_sequences_and_others_do_not(task):
  first, again = (materialise(task, 40, seed=3) for _ in range(2))
  other = materialise(task, 40, seed=4)
  jax.tree.map(np.testing.assert_array_equal, first, again)
  assert np.all(np.any(first[0] != other[0], axis=(1, 2)))


@every_task
def test_shapes_and_types(task, x64):
  # Also where the caller's numbers are wide.
  def facts(keys, length, t):
    episode = task.draw(keys, length)
    stream = task.stream(episode)
    right = task.correct(episode, t, stream.target_at(t))
    scored = stream.scored_at(t)
    return stream.length, stream.input_at(t), stream.target_at(t), scored, right

  t = np.arange(3)
  assert jax.device_put(t).dtype == np.int64
  shapes = jax.eval_shape(facts, keys_of((3,)), np.full(3, 100), t)
  assert [(s.shape, s.dtype) for s in shapes] == [
    ((3,), jnp.int32),
    ((task.num_inputs, 3), jnp.float32),
    ((task.num_outputs, 3), jnp.float32),
    ((3,), bool),
    ((3,), bool),
  ]


@every_task
def test_one_bits_call_a_step(task):
  # The loop over time calls input_at at every step; a second call of the
  # generator would cost as much as a small net.
  episode = jax.eval_shape(task.draw, keys_of((4,)), np.full(4, 100))
  step = jax.make_jaxpr(lambda e, t: task.stream(e).input_at(t))
  text = str(step(episode, np.arange(4)))
  # Twenty rounds of threefry shift left twenty times.
  assert text.count('shift_left') == 20
  assert 'concatenate' not in text


@every_task
def test_correct_is_a_strict_tolerance_on_every_output(task):
  tolerance = 0.04 if task.num_outputs == 1 else 0.3
  count = 2 * task.num_outputs
  # Lane 2k moves output k down, lane 2k + 1 moves it up.
  moves = np.zeros((task.num_outputs, count), np.float32)
  moves[np.arange(count) // 2, np.arange(count)] = [-1, 1] * task.num_outputs

  @jax.jit
  def right(moves):
    episode = task.draw(keys_of((count,)), jnp.full(count, 100))
    t = episode.length - 1
    return task.correct(episode, t, task.stream(episode).target_at(t) + moves)

  assert right(0 * moves).all()
  assert right(moves * np.float32(tolerance - 1e-4)).all()
  assert not right(moves * np.float32(tolerance + 1e-4)).any()
  assert not right(np.where(moves != 0, np.nan, 0).astype(np.float32)).any()


@pytest.mark.parametrize(
  'make, options, message',
  (
    (adding, {'output': 'softmax'}, "output='softmax'.*logistic, linear"),
    (adding, {'first_marked': 'keep'}, "first_marked='keep'.*zero_input_and"),
    (adding, {'training_error': 'cubed'}, "'cubed' must be.*absolute"),
    (adding, {'tolerance': 0.0}, 'tolerance=0.0 must be above 0'),
    (adding, {'mean_error': -1.0}, 'mean_error=-1.0 must be above 0'),
    (adding, {'streak': 0}, 'streak=0'),
    (temporal_order, {'symbols': 4}, 'symbols=4 must be one of 2, 3'),
    (temporal_order, {'positions': 'x'}, "positions='x'.*one_based, zero"),
    (temporal_order, {'output': 'tanh'}, "output='tanh'"),
    (temporal_order, {'tolerance': -0.1}, 'tolerance=-0.1'),
  ),
)  # fmt: skip
def test_refusals_name_option_value_and_choices(make, options, message):
  with pytest.raises(ValueError, match=message):
    make(**options)


@pytest.mark.parametrize(
  'task, module',
  ((adding(), adding_module), (temporal_order(), temporal_order_module)),
)
def test_longest_is_a_tenth_more_and_refuses_short_lengths(task, module):
  assert [task.longest(n) for n in (20, 99, 100, 1000)] == [22, 108, 110, 1100]
  shortest = module.SHORTEST
  assert task.longest(shortest) >= shortest
  with pytest.raises(ValueError, match=f'length={shortest - 1} must be at'):
    task.longest(shortest - 1)
