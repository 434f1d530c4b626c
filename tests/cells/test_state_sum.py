"""Numbers at long lags: states and steps that float32 would lose."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.lstm1997 import lstm1997
from lstm_jax.learners.truncated1997 import truncated1997
from lstm_jax.tasks.adding import adding
from lstm_jax.types import Key
from tests.gradients import cheap_jit

STEPS = 1_000_000
HELD = np.array([0.0, 0.75])
# Of the input gates. Half a unit in the last place of 0.75 is 3e-8; the gates
# let through f(b) = 4e-44, 1e-8, 1e-7, 1e-6, 1e-4 of what comes.
BIASES = np.array([-100.0, -18.4, -16.1, -13.8, -9.2])


@functools.cache
def added(dtype, state_sum):
  """What a million steps have added to states of HELD, `[held, bias]`."""
  cell = lstm1997(1, 1, blocks=1, block_size=1, state_sum=state_sum)
  lanes = len(HELD), len(BIASES)
  w_x, b = np.zeros((3, 1, *lanes)), np.zeros((3, *lanes))
  # Rows y_in, y_out, net_c: the cell hears noise that is 0.5 on the average.
  w_x[2], b[0], b[1], b[2] = 1, BIASES, 3, 0.5
  zeros = jax.tree.map(
    lambda m: jnp.zeros((*m.shape, *lanes), dtype), cell.mask
  )
  params = zeros._replace(w_x=jnp.asarray(w_x, dtype), b=jnp.asarray(b, dtype))
  start = cell.initial_carry(lanes, dtype)
  held_values = np.broadcast_to(HELD[:, None], start.s_c.shape)
  start = start._replace(s_c=jnp.asarray(held_values, dtype))

  def step(i, carry):
    t = jnp.float32(i % 8191)
    x_t = jnp.cos(0.7 * t).astype(dtype)
    return cell.step(params, carry, jnp.full((1, *lanes), x_t))[0]

  end = jax.jit(lambda c: jax.lax.fori_loop(0, STEPS, step, c))(start)
  return np.asarray(end.s_c[0], float) - HELD[:, None]


def test_a_million_steps_are_summed_to_the_last_digit(x64):
  exact = added(jnp.float64, 'plain')
  ours = added(jnp.float32, 'compensated')
  # What a gate lets through is within a few units in the last place of it, and
  # the state itself is a float32.
  ulp = np.spacing(np.float32(HELD[:, None] + abs(exact)))
  assert np.all(np.abs(ours - exact) < 1e-37 + ulp + 2e-6 * exact)
  assert np.all(ours[:, 0] == 0) and np.all(ours[:, 1:] > 0)


def test_what_a_plain_sum_loses(x64):
  """Where the state is 0.75."""
  exact = added(jnp.float64, 'plain')[1]
  plain = added(jnp.float32, 'plain')[1]
  assert 4e-3 < exact[1] < 1e-2
  assert plain[1] == 0  # all of what a gate of 1e-8 lets through
  ours = added(jnp.float32, 'compensated')[1]
  off, left = (np.abs(n - exact)[1:] / exact[1:] for n in (plain, ours))
  assert 1e-3 < off[1] and np.all(left < 1e-4), (off, left)


def moved(optimizer, dtype):
  """How far a sequence moves the weights of a network whose gates are shut.

  Weights of gates are 10 and more, derivatives by them some 1e-8.
  """
  task, cell = adding(output='linear'), lstm1997(2, 1)
  learner = truncated1997(cell, task, optimizer=optimizer)
  numbers = {'learning_rate': 0.2, 'init_range': 1.0, 'input_gate_bias': -30.0}
  state = learner.init(jax.random.key(3), numbers)
  params = state.params._replace(w_x=state.params.w_x.at[:2].set(10.0))
  cast = lambda a: a.astype(dtype) if a.dtype.kind == 'f' else a
  state = jax.tree.map(cast, state._replace(params=params))
  key = Key(jnp.uint32(1), jnp.uint32(2))
  episode = task.draw(key, jnp.int32(200), ())
  after, _ = cheap_jit(learner.update)(state, episode)
  change = jax.tree.map(
    lambda new, old: np.asarray(new, float) - np.asarray(old, float),
    after.params, state.params,
  )  # fmt: skip
  return change.w_x[:2, 1]  # of the input gates, from the marker


@pytest.mark.slow
def test_small_gradients_are_not_lost_beside_large_weights(x64):
  """The step is gathered and normalised before it meets the weight."""
  assert np.all(moved('sgd', jnp.float32) == 0)
  exact = moved('sgd', jnp.float64)
  assert np.all(exact != 0) and np.all(np.abs(exact) < 1e-7)
  ours, wide = (moved('normalised', t) for t in (jnp.float32, jnp.float64))
  assert np.all(np.abs(wide) > 1e-3)
  np.testing.assert_allclose(ours, wide, rtol=1e-3)
