"""Stop rules against a count by hand."""

import math
from collections import deque
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_jax.tasks._stop_rules.recent import recent
from lstm_jax.tasks._stop_rules.streak import streak
from lstm_jax.types import Judgement
from tests.stop_rules import says

STEPS, LANES = 40, 3
BOUND = 1 / math.pi


def by_hand(rights, errors, sequences, bound):
  """When the streak is long enough, for one lane: a list of bools."""
  met = []
  for n in range(1, len(rights) + 1):
    run = 0
    while run < n and rights[n - 1 - run]:
      run += 1
    mean = math.fsum(errors[n - run : n]) / run if run else math.inf
    met.append(run >= sequences and mean < bound)
  return met


@cache
def runner(sequences, norm):
  """Compiled: judgements `[STEPS, *]` -> met after each `[STEPS, *]`."""
  rule = streak(sequences, BOUND, norm)

  def run(judgements):
    def body(state, judgement):
      return says(rule, state, judgement)

    init = rule.init(judgements.right.shape[1:], jnp.float32)
    return jax.lax.scan(body, init, judgements)[1]

  return jax.jit(run)


# Multiples of 1/8, so that no mean of 40 is within 1e-5 of the bound 1/pi.
errors_of = st.binary(min_size=STEPS * LANES, max_size=STEPS * LANES).map(
  lambda drawn: [byte % 5 / 8 for byte in drawn]
)
# Runs of one kind, so that long ones are common.
schedule = st.lists(
  st.tuples(st.booleans(), st.integers(1, 12)), min_size=1, max_size=12
).map(lambda runs: ([r for r, n in runs for _ in range(n)] * STEPS)[:STEPS])


@settings(max_examples=150, deadline=None)
@given(
  st.lists(schedule, min_size=LANES, max_size=LANES),
  errors_of,
  st.sampled_from((1, 3, 7)),
  st.sampled_from(('absolute', 'squared')),
)
def test_streak_is_a_count_by_hand(rights, errors, sequences, norm):
  right = np.array(rights).T
  error = np.array(errors, np.float32).reshape(STEPS, LANES)
  # The other error must not be read.
  other = np.full_like(error, np.nan)
  both = {'absolute': other, 'squared': other, norm: error}
  met = np.asarray(runner(sequences, norm)(Judgement(right, **both)))
  for lane in range(LANES):
    expected = by_hand(
      list(right[:, lane]), list(error[:, lane]), sequences, BOUND
    )
    assert met[:, lane].tolist() == expected


def test_the_two_thousandth_sequence_decides():
  rule = streak()
  good = Judgement(np.array(True), np.float32(0.009), np.float32(1.0))
  bad = good._replace(right=np.array(False))

  @jax.jit
  def update(state, n, judgement=good):
    """The state after `n` equal judgements, and whether it is solved."""
    return jax.lax.fori_loop(
      0, n, lambda _, c: says(rule, c[0], judgement), (state, False)
    )

  start = jax.tree.map(np.asarray, rule.init((), jnp.float32))
  assert not update(start, 0)[1]
  assert not update(start, 1999)[1]
  assert update(start, 2000)[1]
  broken, met = update(update(start, 1999)[0], 1, bad)
  assert not met
  assert broken.run == broken.total == broken.excess == 0
  assert not update(broken, 1999)[1]
  assert update(broken, 2000)[1]


def test_errors_that_are_not_finite_leave_no_trace():
  error = np.array([np.nan, 0, 0], np.float32)

  @jax.jit
  def met(right):
    rule = streak(2, 0.1)
    state = rule.init((), jnp.float32)
    for n in range(3):
      state, solved = says(rule, state, Judgement(right[n], error[n], error[n]))
    return solved

  assert met(np.array([False, True, True]))


def test_the_sum_of_a_long_run_does_not_drift():
  size = 2**20
  errors = 0.02 * np.random.default_rng(0).random(size, np.float32)
  rule = streak()

  @jax.jit
  def sums(errors):
    def body(carry, error):
      state, naive = carry
      state, _ = says(rule, state, Judgement(jnp.array(True), error, error))
      return (state, naive + error), None

    start = (rule.init((), jnp.float32), jnp.float32(0))
    return jax.lax.scan(body, start, errors)[0]

  state, naive = sums(errors)
  exact = math.fsum(np.asarray(errors, np.float64))
  assert state.run == size
  assert abs(float(state.total) - exact) <= 2**-23 * exact
  # A plain sum is far off on the same errors: the check can fail.
  assert abs(float(naive) - exact) > 2**-20 * exact


def test_state_follows_the_lanes_and_the_dtype(x64):
  for dtype in (jnp.float32, jnp.float64):

    def facts(wide, dtype=dtype):
      rule = streak(2, 0.1)
      state = rule.init((2, 3), dtype)
      after, met = says(rule, state, Judgement(wide > 0, wide, wide))
      return state, after, met

    state, after, met = jax.eval_shape(facts, np.full((2, 3), 0.05))
    assert jax.tree.map(jnp.shape, state) == jax.tree.map(jnp.shape, after)
    assert [leaf.dtype for leaf in after] == [jnp.int32, dtype, dtype]
    assert [leaf.dtype for leaf in state] == [leaf.dtype for leaf in after]
    assert met.shape == (2, 3)


@pytest.mark.parametrize(
  'arguments, named',
  (
    ({'sequences': 0}, 'streak=0'),
    ({'mean_error': 0.0}, 'mean_error=0.0'),
    ({'mean_error': math.nan}, 'mean_error=nan'),
    ({'training_error': 'cubed'}, "'cubed' must be one of absolute, squared"),
  ),
)
def test_refusals_name_argument_value_and_choices(arguments, named):
  with pytest.raises(ValueError, match=named):
    streak(**arguments)


MANY = 150


def recent_by_hand(rights, sequences, wrong):
  """When `recent` is met, for one lane, by a queue."""
  last, met = deque(maxlen=sequences), []
  for right in rights:
    last.append(not right)
    met.append(len(last) == sequences and sum(last) < wrong)
  return met


@cache
def recent_runner(sequences, wrong):
  rule = recent(sequences, wrong)

  def run(right):
    error = jnp.full(right.shape[1:], jnp.nan)  # must not be read

    def body(state, right):
      return says(rule, state, Judgement(right, error, error))

    init = rule.init(right.shape[1:], jnp.float32)
    return jax.lax.scan(body, init, right)

  return jax.jit(run)


# Around the 32 bits of a word and several times around the ring.
RINGS = ((1, 1), (2, 1), (31, 5), (32, 32), (33, 2), (64, 9), (70, 13))
long_schedule = st.lists(
  st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=20
).map(lambda runs: ([r for r, n in runs for _ in range(n)] * MANY)[:MANY])


@settings(max_examples=150)
@given(
  st.lists(long_schedule, min_size=LANES, max_size=LANES),
  st.sampled_from(RINGS),
)
def test_recent_is_a_queue_by_hand(rights, ring):
  right = np.array(rights).T
  state, met = jax.tree.map(np.asarray, recent_runner(*ring)(right))
  for lane in range(LANES):
    expected = recent_by_hand(right[:, lane], *ring)
    assert met[:, lane].tolist() == expected
    last = right[-ring[0] :, lane]
    assert int(state.num_wrong[lane]) == np.sum(~last)
  bits = np.unpackbits(state.ring.view(np.uint8), axis=0)
  assert bits.sum() == state.num_wrong.sum()


def test_the_two_thousand_last_sequences_decide():
  # One wrong in fourteen: 143 of any 2002, and 142 or 143 of any 2000.
  often = np.arange(5000) % 14 == 0
  # From 2100 on one in fifteen: at last 133 or 134 of 2000.
  rarer = np.where(np.arange(5000) < 2100, often, np.arange(5000) % 15 == 0)
  wrong = np.stack([often, rarer, np.zeros(5000, bool)], axis=1)
  for limit in (140, 13):
    met = np.asarray(recent_runner(2000, limit)(~wrong)[1])
    for lane in range(3):
      expected = recent_by_hand(~wrong[:, lane], 2000, limit)
      assert met[:, lane].tolist() == expected
    assert not met[:, 0].any()
    assert met[:, 1].any() == (limit == 140)
    assert np.argmax(met[:, 2]) == 1999


def test_recent_has_the_paper_s_numbers_and_follows_the_lanes(x64):
  rule = recent()
  for lanes in ((), (4,), (2, 3)):

    def facts(right, error, lanes=lanes):
      state = rule.init(lanes, jnp.float64)
      after, met = says(rule, state, Judgement(right, error, error))
      return state, after, met

    right, error = np.zeros(lanes, bool), np.zeros(lanes)
    state, after, met = jax.eval_shape(facts, right, error)
    for s in (state, after):
      assert [(a.shape, a.dtype) for a in s] == [
        ((63, *lanes), jnp.uint32), (lanes, jnp.int32), (lanes, jnp.int32)
      ]  # fmt: skip
    assert met.shape == lanes
  for wrong, met in ((139, True), (140, False)):
    state = rule.init((), jnp.float32)
    state = state._replace(num_wrong=np.int32(wrong))
    right = Judgement(np.array(True), np.float32(0), np.float32(0))
    for seen, expected in ((1998, False), (1999, met)):
      before = state._replace(num_seen=np.int32(seen))
      assert bool(says(rule, before, right)[1]) == expected


@pytest.mark.parametrize(
  'arguments, named',
  (
    ({'sequences': 0}, 'sequences=0 must be at least 1'),
    ({'wrong': 0}, 'wrong=0 must be from 1 to sequences=2000'),
    ({'sequences': 5, 'wrong': 6}, 'wrong=6 must be from 1 to sequences=5'),
  ),
)
def test_recent_refuses_numbers_that_make_no_sense(arguments, named):
  with pytest.raises(ValueError, match=named):
    recent(**arguments)
