"""The stop criterion against a count by hand."""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_jax.criteria import streak
from lstm_jax.types import Judgement

STEPS, LANES = 40, 3
BOUND = 1 / math.pi


def by_hand(rights, errors, sequences, bound):
  """When the criterion is met, for one lane: a list of bools."""
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
  criterion = streak(sequences, BOUND, norm)

  def run(judgements):
    def body(state, judgement):
      state = criterion.update(state, judgement)
      return state, criterion.met(state)

    init = criterion.init(judgements.right.shape[1:], jnp.float32)
    return jax.lax.scan(body, init, judgements)[1]

  return jax.jit(run)


# Multiples of 1/8, so that no mean of 40 is within 1e-5 of the bound 1/pi.
errors_of = st.integers(0, 4).map(lambda n: n / 8)
# Runs of one kind, so that long ones are common.
schedule = st.lists(
  st.tuples(st.booleans(), st.integers(1, 12)), min_size=1, max_size=12
).map(lambda runs: ([r for r, n in runs for _ in range(n)] * STEPS)[:STEPS])


@settings(max_examples=150, deadline=None)
@given(
  st.lists(schedule, min_size=LANES, max_size=LANES),
  st.lists(errors_of, min_size=STEPS * LANES, max_size=STEPS * LANES),
  st.sampled_from((1, 3, 7)),
  st.sampled_from(('absolute', 'squared')),
)
def test_streak_is_a_count_by_hand(rights, errors, sequences, norm):
  right = np.array(rights).T
  error = np.array(errors, np.float32).reshape(STEPS, LANES)
  # The other error must not be read.
  other = np.full_like(error, np.nan)
  both = {'absolute': other, 'squared': other, norm: error}
  met = runner(sequences, norm)(Judgement(jnp.array(right), **both))
  for lane in range(LANES):
    expected = by_hand(
      list(right[:, lane]), list(error[:, lane]), sequences, BOUND
    )
    assert np.asarray(met[:, lane]).tolist() == expected


def test_the_two_thousandth_sequence_decides():
  criterion = streak()
  good = Judgement(jnp.array(True), jnp.array(0.009), jnp.array(1.0))
  bad = good._replace(right=jnp.array(False))
  update = jax.jit(
    lambda state, n: jax.lax.fori_loop(
      0, n, lambda _, s: criterion.update(s, good), state
    )
  )
  start = criterion.init((), jnp.float32)
  assert not criterion.met(start)
  assert not criterion.met(update(start, 1999))
  assert criterion.met(update(start, 2000))
  broken = criterion.update(update(start, 1999), bad)
  assert broken.run == broken.total == broken.excess == 0
  assert not criterion.met(update(broken, 1999))
  assert criterion.met(update(broken, 2000))


def test_errors_that_are_not_finite_leave_no_trace():
  criterion = streak(2, 0.1)
  nan = jnp.float32(np.nan)
  state = criterion.init((), jnp.float32)
  state = criterion.update(state, Judgement(jnp.array(False), nan, nan))
  for _ in range(2):
    state = criterion.update(
      state, Judgement(jnp.array(True), jnp.float32(0), jnp.float32(0))
    )
  assert criterion.met(state)


def test_the_sum_of_a_long_run_does_not_drift():
  size = 2**20
  errors = 0.02 * jax.random.uniform(jax.random.key(0), (size,))
  criterion = streak()

  def body(carry, error):
    state, naive = carry
    state = criterion.update(state, Judgement(jnp.array(True), error, error))
    return (state, naive + error), None

  start = (criterion.init((), jnp.float32), jnp.float32(0))
  (state, naive), _ = jax.jit(lambda e: jax.lax.scan(body, start, e))(errors)
  exact = math.fsum(np.asarray(errors, np.float64))
  assert state.run == size
  assert abs(float(state.total) - exact) <= 2**-23 * exact
  # A plain sum is far off on the same errors: the check can fail.
  assert abs(float(naive) - exact) > 2**-20 * exact


def test_state_follows_the_lanes_and_the_dtype(x64):
  for dtype in (jnp.float32, jnp.float64):
    criterion = streak(2, 0.1)
    state = criterion.init((2, 3), dtype)
    wide = jnp.full((2, 3), 0.05, jnp.float64)
    after = criterion.update(state, Judgement(wide > 0, wide, wide))
    assert jax.tree.map(jnp.shape, state) == jax.tree.map(jnp.shape, after)
    assert [leaf.dtype for leaf in after] == [jnp.int32, dtype, dtype]
    assert [leaf.dtype for leaf in state] == [leaf.dtype for leaf in after]
    assert criterion.met(after).shape == (2, 3)


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
