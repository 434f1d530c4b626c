"""New weights for trials that make no progress, and for no others."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.srn import srn
from lstm_jax.learners._restarts import restarting
from lstm_jax.learners.bptt import bptt
from lstm_jax.types import Judgement, Learner
from tests.array_task import Arrays, array_task
from tests.gradients import cheap_jit

PERIOD, RATIO = 6, 0.5
TASK = array_task(1, 2, error_at_end=True)
# Targets of one period: their variance over the second half is 1/4, then 1.
TARGETS = np.array([[9, 9], [9, 9], [9, 9], [0, 3], [1, 1], [0.5, 2]])
VARIANCE = np.mean(np.var(TARGETS[PERIOD // 2 :], axis=0))


class Counting(NamedTuple):
  """Weights that count sequences from what the key gives."""

  params: jax.Array  # [2, *]
  rate: jax.Array  # [*]


def drawn(key, rate):
  return jax.random.uniform(key, (2,)) + rate


def inner():
  """A learner whose squared error is given as its input."""

  def init(key, numbers):
    return Counting(drawn(key, numbers['rate']), numbers['rate'])

  def update(state, episode):
    squared = episode.inputs[0, 0]
    judgement = Judgement(squared < 0, squared, squared)
    return state._replace(params=state.params + 1), judgement

  return Learner(init, update, lambda params, episode: None)


def episode(target, squared):
  lanes = len(squared)
  shape = lambda x: np.broadcast_to(np.asarray(x, np.float32), (1, 2, lanes))
  return Arrays(
    np.asarray(squared, np.float32)[None, None],
    shape(np.asarray(target)[:, None]),
    np.ones((1, lanes), bool),
    np.ones(lanes, np.int32),
  )


def begun(learner, rates):
  keys = jax.random.split(jax.random.key(3, impl='threefry2x32'), len(rates))
  start = jax.vmap(learner.init, in_axes=(0, 0), out_axes=-1)
  return keys, start(keys, {'rate': jnp.asarray(rates, jnp.float32)})


@pytest.fixture(scope='module')
def learner():
  """A learner that restarts, compiled."""
  whole = restarting(inner(), TASK, 'without_progress', PERIOD, RATIO)
  return whole._replace(update=cheap_jit(whole.update))


def test_a_trial_without_progress_has_new_weights(learner):
  rates = [10.0, 20.0, 30.0]
  keys, state = begun(learner, rates)
  first = np.array(state.params)
  # Above the ratio, below it, and above it in the first half alone.
  above, below = RATIO * VARIANCE * 1.01, RATIO * VARIANCE * 0.99
  for period in (1, 2):
    for n, target in enumerate(TARGETS):
      early = above if n < PERIOD // 2 else below
      state, _ = learner.update(state, episode(target, [above, below, early]))
    words = jax.random.bits(jax.random.fold_in(keys[0], 0), (2,), 'uint32')
    key = jax.random.wrap_key_data(words, impl='threefry2x32')
    anew = drawn(jax.random.fold_in(key, period), rates[0])
    np.testing.assert_allclose(state.params[:, 0], anew, rtol=1e-6)
    np.testing.assert_array_equal(state.num_restarts, [period, 0, 0])
  # The others go on, to the last bit.
  counted = first[:, 1:]
  for _ in range(2 * PERIOD):
    counted = counted + np.float32(1)
  np.testing.assert_array_equal(state.params[:, 1:], counted)


def test_a_period_before_its_end_restarts_nothing(learner):
  _, state = begun(learner, [1.0] * 3)
  for target in TARGETS[:-1]:
    state, _ = learner.update(state, episode(target, [100.0] * 3))
  assert np.all(state.num_restarts == 0) and np.all(state.n == PERIOD - 1)


def test_never_is_the_learner_itself():
  learner = inner()
  assert restarting(learner, TASK, 'never', PERIOD, RATIO) is learner


def test_a_task_with_other_scored_steps_is_refused():
  task = array_task(1, 2, error_at_end=False)
  with pytest.raises(ValueError, match='last step alone is scored'):
    bptt(srn(1, 2), task, length=3, restart='without_progress')
