"""Tasks of classes: every target recomputed from the inputs alone.

The checkers are written from the text of the publications, for one sequence in
plain Python, and know nothing of how the tasks draw.
"""

import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.ops.arrays import to_dense
from lstm_jax.tasks.associative_recall import associative_recall
from lstm_jax.tasks.copying import copying
from lstm_jax.tasks.flip_flop import flip_flop
from lstm_jax.tasks.memory_chain import memory_chain
from lstm_jax.tasks.parity import parity
from lstm_jax.tasks.selective_copying import selective_copying
from lstm_jax.tasks.word_problem import word_problem
from tests.task_lanes import assert_each_is_alone

SEQUENCES, STEPS = 200, 130
MAKE = {
  'copying': copying,
  'copying, answers': lambda: copying(scored='answers', symbols=3, items=2),
  'selective_copying': selective_copying,
  'selective_copying, small': lambda: selective_copying(symbols=2, items=1),
  'parity': parity,
  'parity, every step': lambda: parity(scored='every_step'),
  'word_problem, s5': word_problem,
  'word_problem, a5': lambda: word_problem(group='a5'),
  'word_problem, z60': lambda: word_problem(group='z60'),
  'word_problem, s3': lambda: word_problem(group='s3', scored='end'),
  'word_problem, z2': lambda: word_problem(group='z2'),
  'flip_flop': flip_flop,
  'flip_flop, reads': lambda: flip_flop(scored='reads'),
  'flip_flop, rare': lambda: flip_flop(scored='reads', ignore=0.98),
  'flip_flop, dense': lambda: flip_flop(scored='reads', ignore=0.0),
  'associative_recall': associative_recall,
  'associative_recall, all keys': lambda: associative_recall(
    pairs=3, keys=3, values=2
  ),
  'memory_chain': memory_chain,
  'memory_chain, bits': lambda: memory_chain(bits=4, clock=False),
}
every_task = pytest.mark.parametrize('name', MAKE)


def keys_of(lanes, seed=0):
  random = np.random.default_rng(seed)
  return random.integers(2**32, size=(2, *lanes), dtype=np.uint32)


@cache
def program(name):
  """One program a task, for every length up to 97."""
  task = MAKE[name]()

  @jax.jit
  def run(keys, length):
    stream = task.stream(task.draw(keys, jnp.full(SEQUENCES, length)))

    def at(t):
      t = jnp.full(SEQUENCES, t)
      x_t = to_dense(stream.input_at(t))
      return x_t, stream.target_at(t), stream.scored_at(t)

    return *jax.vmap(at)(jnp.arange(STEPS)), stream.length

  return run


def sequences(name, length):
  """`(inputs, class or None of each step)` of sequences, cut at their ends."""
  drawn = program(name)(keys_of((SEQUENCES,)), length)
  inputs, targets, scored, lengths = map(np.asarray, drawn)
  for i, steps in enumerate(lengths):
    asked = targets[:steps, :, i][scored[:steps, i]]
    assert np.all(np.sort(asked)[:, :-1] == 0) and np.all(
      asked.max(axis=1) == 1
    )
    classes = [
      int(target.argmax()) if counts else None
      for target, counts in zip(
        targets[:steps, :, i], scored[:steps, i], strict=True
      )
    ]
    yield inputs[:steps, :, i], classes


def symbols_of(inputs):
  assert np.all((inputs == 0) | (inputs == 1))
  assert np.all(inputs.sum(axis=1) == 1)
  return inputs.argmax(axis=1).tolist()


def solve_copying(inputs, length, kinds=8, items=10, every_step=True):
  """Answers by the text of Arjovsky et al. (2016), section 4.1."""
  text = symbols_of(inputs)
  blank, delimiter = kinds, kinds + 1
  first = text[:items]
  assert set(first) <= set(range(kinds))
  rest = [blank] * (length - 1) + [delimiter] + [blank] * items
  assert text[items:] == rest
  before = [blank if every_step else None] * (length + items)
  return before + first


def solve_selective_copying(inputs, length, kinds=14, items=16):
  text = symbols_of(inputs)
  mixed, asked = text[: length + items], text[length + items :]
  assert asked == [kinds + 1] * items
  shown = [s for s in mixed if s != kinds]
  assert len(shown) == items and set(shown) <= set(range(kinds))
  return [None] * (length + items) + shown


def solve_parity(inputs, length, every_step=False):
  bits = symbols_of(inputs)
  assert len(bits) == length
  answers = [sum(bits[: t + 1]) % 2 for t in range(length)]
  return answers if every_step else [None] * (length - 1) + answers[-1:]


@cache
def permutations(n, is_even):
  """Tuples in lexicographic order."""
  return [
    p
    for p in itertools.permutations(range(n))
    if not is_even or np.linalg.det(np.eye(n)[list(p)]) > 0
  ]


def solve_permutations(inputs, length, n, is_even=False, every_step=True):
  """Composes permutations one after the other, as lists of places."""
  elements = permutations(n, is_even)
  at, answers = list(range(n)), []
  for i in symbols_of(inputs):
    at = [elements[i][place] for place in at]  # where each thing has gone
    answers.append(elements.index(tuple(at)))
  assert len(answers) == length
  return answers if every_step else [None] * (length - 1) + answers[-1:]


def solve_integers(inputs, length, n):
  total, answers = 0, []
  for i in symbols_of(inputs):
    total = (total + i) % n
    answers.append(total)
  assert len(answers) == length
  return answers


def solve_flip_flop(inputs, length, every_read=False):
  """Runs a register of one bit."""
  text = [('w0', 'w1', 'i0', 'i1', 'r')[i] for i in symbols_of(inputs)]
  assert len(text) == length and text[0][0] == 'w' and text[-1] == 'r'
  register, answers = None, []
  for t, instruction in enumerate(text):
    if instruction[0] == 'w':
      register = int(instruction[1])
    is_asked = instruction == 'r' and (every_read or t == length - 1)
    answers.append(register if is_asked else None)
  return answers


def solve_associative_recall(inputs, length, pairs=4, keys=26, values=10):
  text = symbols_of(inputs)
  value_of = {}
  for key, value in zip(
    text[: 2 * pairs : 2], text[1 : 2 * pairs : 2], strict=True
  ):
    assert key < keys <= value < keys + values and key not in value_of
    value_of[key] = value - keys
  assert text[2 * pairs : -1] == [keys + values] * length
  return [None] * (len(text) - 1) + [value_of[text[-1]]]


def solve_memory_chain(inputs, length, clock=True):
  assert len(inputs) == length + 1
  left = 1 - np.arange(length + 1) / length if clock else 0
  np.testing.assert_allclose(inputs[:, 0], left, atol=1e-6)
  assert not inputs[:-1, 1].any() and not inputs[1:, 2:].any()
  bits = inputs[0, 2:]
  assert set(bits) <= {-1, 1}
  return [None] * length + [int(bits[int(inputs[-1, 1])] > 0)]


SOLVE = {
  'copying': solve_copying,
  'copying, answers': lambda x, length: solve_copying(x, length, 3, 2, False),
  'selective_copying': solve_selective_copying,
  'selective_copying, small': lambda x, length: solve_selective_copying(
    x, length, 2, 1
  ),
  'parity': solve_parity,
  'parity, every step': lambda x, length: solve_parity(x, length, True),
  'word_problem, s5': lambda x, length: solve_permutations(x, length, 5),
  'word_problem, a5': lambda x, length: solve_permutations(x, length, 5, True),
  'word_problem, z60': lambda x, length: solve_integers(x, length, 60),
  'word_problem, s3': lambda x, length: solve_permutations(
    x, length, 3, every_step=False
  ),
  'word_problem, z2': lambda x, length: solve_integers(x, length, 2),
  'flip_flop': solve_flip_flop,
  'flip_flop, reads': lambda x, length: solve_flip_flop(x, length, True),
  'flip_flop, rare': lambda x, length: solve_flip_flop(x, length, True),
  'flip_flop, dense': lambda x, length: solve_flip_flop(x, length, True),
  'associative_recall': solve_associative_recall,
  'associative_recall, all keys': lambda x, length: solve_associative_recall(
    x, length, 3, 3, 2
  ),
  'memory_chain': solve_memory_chain,
  'memory_chain, bits': lambda x, length: solve_memory_chain(x, length, False),
}


@every_task
def test_targets_follow_from_the_inputs(name):
  for length in (2, 3, 20, 97):
    for inputs, classes in sequences(name, length):
      assert classes == SOLVE[name](inputs, length)


@every_task
def test_a_checker_can_fail(name):
  """One input that is changed is a rule broken, or another answer somewhere."""
  num_seen = 0
  for inputs, classes in sequences(name, 3):
    changed = inputs.copy()
    changed[0] = -inputs[0] if 'chain' in name else np.roll(inputs[0], 1)
    try:
      num_seen += SOLVE[name](changed, 3) != classes
    except (AssertionError, KeyError):
      num_seen += 1
  assert num_seen > SEQUENCES // 20


def test_parity_is_the_word_problem_of_two_elements_bit_for_bit():
  pairs = zip(
    sequences('parity, every step', 60),
    sequences('word_problem, z2', 60),
    strict=True,
  )
  for (bits, answers), (elements, products) in pairs:
    np.testing.assert_array_equal(bits, elements)
    assert answers == products


@every_task
def test_a_lane_is_what_it_is_alone(name):
  task = MAKE[name]()
  keys, lengths = keys_of((2, 2)), np.array([[20, 30], [25, 97]])

  @jax.jit
  def facts(key, length, t):
    episode = task.draw(key, length)
    stream = task.stream(episode)
    y_k = jnp.ones((task.num_outputs, *length.shape)).at[0].set(1.5)
    return (
      episode, stream.length, stream.input_at(t), stream.target_at(t),
      stream.scored_at(t), task.correct(episode, t, y_k),
    )  # fmt: skip

  assert_each_is_alone(facts, keys, lengths, (0, 5, 19))


def test_right_is_the_class_whose_output_is_larger_than_all_others():
  task = parity()
  keys = keys_of((64,))

  @jax.jit
  def rate(wrong, own):
    episode = task.draw(keys, jnp.full(64, 10))
    t = episode.length - 1
    target = task.stream(episode).target_at(t)
    return task.correct(episode, t, jnp.where(target > 0, own, wrong))

  for wrong, own, expected in (
    (0.4, 0.6, True), (0.6, 0.4, False), (0.5, 0.5, False), (-2.0, -1.0, True),
    (np.nan, 1.0, False), (0.0, np.nan, False), (np.nan, np.nan, False),
    (0.0, np.inf, True), (np.inf, np.inf, False), (-np.inf, 0.0, True),
  ):  # fmt: skip
    assert np.all(np.asarray(rate(wrong, own)) == expected), (wrong, own)


@pytest.mark.parametrize(
  'make, options, message',
  (
    (copying, {'symbols': 1}, 'symbols=1 must be at least 2'),
    (copying, {'items': 0}, 'items=0 must be at least 1'),
    (copying, {'scored': 'end'}, "scored='end'.*every_step, answers"),
    (copying, {'output': 'tanh'}, "output='tanh'.*softmax, logistic"),
    (selective_copying, {'symbols': 1}, 'symbols=1 must be at least 2'),
    (parity, {'streak': 0}, 'streak=0 must be at least 1'),
    (word_problem, {'group': 's9'}, "group='s9'.*s5, a5, z60, s3, z2"),
    (flip_flop, {'ignore': 1.0}, 'ignore=1.0 must be at least 0 and below 1'),
    (flip_flop, {'ignore': -0.1}, 'ignore=-0.1 must be at least 0'),
    (flip_flop, {'ignore': np.nan}, 'ignore=nan must be at least 0'),
    (associative_recall, {'keys': 3}, 'keys=3 must be at least pairs=4'),
    (associative_recall, {'values': 1}, 'values=1 must be at least 2'),
    (memory_chain, {'bits': 0}, 'bits=0 must be at least 1'),
  ),
)  # fmt: skip
def test_refusals_name_option_value_and_choices(make, options, message):
  with pytest.raises(ValueError, match=message):
    make(**options)


@pytest.mark.parametrize(
  'make, shortest, steps',
  (
    (copying, 1, 120),
    (selective_copying, 1, 132),
    (parity, 1, 100),
    (word_problem, 1, 100),
    (flip_flop, 2, 100),
    (associative_recall, 1, 109),
    (memory_chain, 1, 101),
  ),
)
def test_longest_and_too_short_lengths(make, shortest, steps):
  task = make()
  assert task.longest(100) == steps and task.longest(shortest) > 0
  message = f'length={shortest - 1} must be at least {shortest}'
  with pytest.raises(ValueError, match=f'{message} for {make.__name__}'):
    task.longest(shortest - 1)
