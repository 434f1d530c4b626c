"""Reber grammar: every symbol, target and legality from the graph alone."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.ops import prng
from lstm_jax.tasks import _grammar
from lstm_jax.tasks.reber import reber
from tests import stop_rules
from tests.reber_strings import (
  LANES,
  LEGAL,
  SYMBOLS,
  TASK,
  follow,
  fresh,
  keys_of,
  prepared,
  sets,
  texts,
  walked,
)


def test_every_string_is_of_the_grammar():
  for training, test in sets():
    for string in (*training, *test):
      follow(string)
  longest = max(fresh()[1], key=len)
  assert len(longest) > 32  # all but the last words are read
  for string in set(fresh()[1]):
    follow(string)


@pytest.mark.parametrize(
  'string', ('BTBTXSEPE', 'BTBTXSETE ', 'BTBTSXETE', 'BTBPVVETEE', 'BPBTXSEP')
)
def test_follow_can_fail(string):
  follow('BTBTXSETE')
  with pytest.raises(AssertionError):
    follow(string)


def test_legal_targets_and_judgement_are_the_choices_of_the_graph():
  episodes, found = fresh()
  # One of each string that is there, so that the rare ones are in.
  lanes = np.array(sorted({s: i for i, s in enumerate(found)}.values()))[:1500]
  few = jax.tree.map(lambda a: a[..., lanes], episodes)
  targets = np.asarray(walked(LEGAL)(few)[1])

  @jax.jit
  def judge(t, y_k):
    # y_k [7, variants]: the same outputs in every lane.
    shape = (y_k.shape[1], len(lanes))
    y_k = jnp.broadcast_to(y_k[:, :, None], (7, *shape))
    wide = jax.tree.map(
      lambda a: jnp.broadcast_to(a[..., None, :], (*a.shape[:-1], *shape)), few
    )
    return TASK.correct(wide, jnp.full(shape, t), y_k)

  # Each set of one or two symbols with output 1, the others 0.
  groups = [set(g) for n in (1, 2) for g in itertools.combinations(SYMBOLS, n)]
  outputs = np.array([[s in g for g in groups] for s in SYMBOLS], np.float32)
  for t in range(63):
    verdict = np.asarray(judge(t, outputs))
    for lane, string in enumerate(found[i] for i in lanes):
      if t < len(string) - 1:
        legal = follow(string)[t + 1]
        row = targets[t, lane]
        assert {s for i, s in enumerate(SYMBOLS) if row >> i & 1} == legal
        right = [groups[i] for i in np.flatnonzero(verdict[:, lane])]
        assert right == [legal]


def test_equal_outputs_and_nan_are_wrong():
  episode = jax.tree.map(lambda a: a[..., 0], fresh()[0])
  legal = follow(fresh()[1][0])[2]
  assert legal == {'B'}
  y_k = np.zeros(7, np.float32)
  y_k[0] = 0.5
  right = jax.jit(lambda y: TASK.correct(episode, np.int32(1), y))
  assert right(y_k)
  for i in range(1, 7):
    for value, verdict in ((0.499, True), (0.5, False), (np.nan, False)):
      other = y_k.copy()
      other[i] = value
      assert right(other) == verdict
  y_k[0] = np.nan
  assert not right(y_k)


def test_no_test_string_is_a_training_string():
  for training, test in sets():
    assert len(training) == len(test) == 256
    assert not set(training) & set(test)
  # The check can fail: the next trial's sets do meet.
  for (training, _), (_, test) in itertools.pairwise(sets()):
    assert set(training) & set(test)
  assert len({tuple(training) for training, _ in sets()}) == LANES


def one_by_one(key):
  """The training set of a trial without repeats, one draw after another."""
  walk = jax.jit(lambda own, n: _grammar.walk(prng.fold_in(own, n)))
  own = prng.Key(*(np.full(256, word) for word in key))
  own = jax.jit(prng.fold_in)(own, np.arange(256))
  found, attempt = [None] * 256, 0
  while None in found:
    new = texts(walk(own, np.full(256, attempt)))
    for i, string in enumerate(new):
      if found[i] is None and string not in found:
        found[i] = string
    attempt += 1
  return found


def test_sets_without_repeats_are_the_first_different_draws():
  task = reber(sets='distinct')
  keys = keys_of((2,), 3)
  data = jax.jit(task.prepare)(keys, np.ones(2, np.int32))
  data = jax.tree.map(np.asarray, data)
  for lane in range(2):
    strings = texts(jax.tree.map(lambda a, lane=lane: a[..., lane], data))
    for string in strings:
      follow(string)
    assert len(set(strings)) == 512
  assert strings[:256] == one_by_one([word[1] for word in keys])
  # As the grammar gives them there are repeats, and the strings are shorter.
  training = sets()[0][0]
  assert len(set(training)) < 150
  mean = lambda some: np.mean([len(string) for string in some])
  assert mean(strings[:256]) > mean(training) + 3


def one_bit_at(place):
  """Two words of 64 bits, all zero but one."""
  bit = 1 << (place % 32)
  words = (np.where(place // 32 == half, bit, 0) for half in (0, 1))
  return tuple(np.asarray(word, np.uint32) for word in words)


compiled_walk = jax.jit(_grammar.walk)


@pytest.mark.parametrize('loops', (0, 3, 4, 27, 28, 54, 55, 56, 70))
def test_the_longest_strings_fit(loops):
  # B T B T, S so many times, X S E T E: the one bit that is set is the X.
  string = compiled_walk(one_bit_at(np.array(4 + loops)))
  expected = 'BTBT' + loops * 'S' + 'XSETE'
  assert int(string.symbols) == min(len(expected), 65)
  if len(expected) <= 64:
    assert texts(string) == [expected]


def test_different_strings_make_different_choices():
  few = jax.tree.map(np.asarray, compiled_walk(one_bit_at(np.arange(4, 60))))
  for some, found in (fresh(), (few, texts(few))):
    low, high = (a.astype(np.uint64) for a in _grammar.choices(some))
    made = (low | high << np.uint64(32)).tolist()
    kinds = [set(x) for x in (made, found, zip(made, found, strict=True))]
    assert len(kinds[0]) == len(kinds[1]) == len(kinds[2])


def test_the_evaluation_is_every_string_once():
  data = prepared()
  asked = stop_rules.asked(TASK.stop_rule)
  assert asked[:4] == (512, 100, 0, np.inf)
  n = (np.arange(512)[:, None] + 37 * np.arange(LANES)) % 512

  @jax.jit
  def ask(key):
    one = lambda n: stop_rules.evaluation_draw(
      TASK, key, np.ones(LANES, np.int32), n, data
    )
    return jax.vmap(one)(np.array(n, np.int32))

  asked, other = (
    jax.tree.map(np.asarray, ask(keys_of((LANES,), seed))) for seed in (0, 1)
  )
  jax.tree.map(np.testing.assert_array_equal, asked, other)
  for lane in range(LANES):
    np.testing.assert_array_equal(
      asked.symbols[:, lane], data.symbols[n[:, lane], lane]
    )
    np.testing.assert_array_equal(
      asked.words[:, :, lane].T, data.words[:, n[:, lane], lane]
    )


@pytest.mark.slow
def test_a_lane_is_what_it_is_alone():
  """Slow: sets are held to the draws of one lane's key alone above."""
  keys, ones = keys_of((2, 3)), np.ones((2, 3), np.int32)

  @jax.jit
  def facts(key, one, n):
    data = TASK.prepare(key, one)
    drawn, new = TASK.draw(key, one, data), TASK.fresh(key, one)
    asked = stop_rules.evaluation_draw(TASK, key, one, n, data)
    stream, t = TASK.stream(drawn), 2 * one
    right = TASK.correct(drawn, t, jnp.full((7, *t.shape), 0.5))
    shown = stream.length, stream.input_at(t), stream.target_at(t), right
    return data, drawn, asked, new, shown

  numbers = 100 * np.arange(6, dtype=np.int32).reshape(2, 3)
  together = jax.tree.map(np.asarray, facts(keys, ones, numbers))
  for lane in np.ndindex(2, 3):
    alone = facts(keys[:, *lane], ones[lane], numbers[lane])
    jax.tree.map(
      lambda a, b, lane=lane: np.testing.assert_array_equal(a[..., *lane], b),
      together,
      alone,
    )


@pytest.mark.parametrize('task', (TASK, LEGAL))
def test_shapes_and_types(task, x64):
  lanes = (3,)

  def facts(key, length, t):
    data = task.prepare(key, length)
    episode = task.draw(key, length, data)
    stream = task.stream(episode)
    right = task.correct(episode, t, stream.target_at(t))
    scored = stream.scored_at(t)
    parts = stream.length, stream.input_at(t), stream.target_at(t), scored
    return data, episode, task.fresh(key, length), *parts, right

  data, episode, new, *parts = jax.eval_shape(
    facts, keys_of(lanes), np.ones(lanes, int), np.arange(3)
  )
  described = lambda tree: [(a.shape, a.dtype) for a in jax.tree.leaves(tree)]
  assert described(data) == [
    ((8, 512, 3), jnp.uint32), ((512, 3), jnp.int32)
  ]  # fmt: skip
  assert described(episode) == [((8, 3), jnp.uint32), ((3,), jnp.int32)]
  assert described(new) == described(episode)
  assert described(parts) == [
    ((3,), jnp.int32), ((7, 3), jnp.float32), ((7, 3), jnp.float32),
    ((3,), bool), ((3,), bool),
  ]  # fmt: skip


def test_a_step_reads_no_table_and_draws_nothing():
  episode = jax.tree.map(lambda a: a[..., :4], fresh()[0])

  def step(episode, t, y_k):
    stream = TASK.stream(episode)
    right = TASK.correct(episode, t, y_k)
    return stream.input_at(t), stream.target_at(t), right

  text = str(jax.make_jaxpr(step)(episode, np.arange(4), np.zeros((7, 4))))
  assert 'gather' not in text and 'shift_left' not in text
  made = prepared()  # not first within the trace: it is kept for all
  picked = jax.make_jaxpr(lambda n: _grammar.string(made, n))
  assert 'gather' in str(picked(np.zeros(LANES, np.int32)))


def test_sizes_are_those_of_the_paper():
  assert (TASK.num_inputs, TASK.num_outputs) == (7, 7)
  assert not TASK.error_at_end
  assert TASK.longest(1) == 63
  for blocks, size, weights in ((4, 1, 264), (3, 2, 276)):
    cell = catalog.build(
      'cells', 'lstm1997', 7, 7, blocks=blocks, block_size=size, bias='gates'
    )
    assert sum(int(np.sum(m)) for m in cell.mask) == weights


@pytest.mark.parametrize(
  'options, message',
  (
    ({'targets': 'all'}, "targets='all' must be one of next_symbol, legal_sym"),
    ({'output': 'softmax'}, "output='softmax' must be one of logistic"),
    ({'sets': 'other'}, "sets='other' must be one of as_drawn, distinct"),
    ({'exam_every': 0}, 'exam_every=0 must be at least 1'),
  ),
)
def test_refusals_name_option_value_and_choices(options, message):
  with pytest.raises(ValueError, match=message):
    reber(**options)
