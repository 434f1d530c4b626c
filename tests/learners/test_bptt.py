"""A window is a chain of blocks: what passes it, and what does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.learners.bptt import bptt, through_time
from lstm_jax.ops.unroll import unroll
from tests.array_task import array_task, random_arrays
from tests.gradients import by_cost, cheap_jit, distance, largest, random_net

NUM_STEPS = 7
LANES = (4,)
I, K = 3, 2
# Rectified units that are at 0 pass no error on.
OPTIONS = {'indrnn': {'activation': 'tanh'}}
CELLS = {
  n: catalog.build('cells', n, I, K, **OPTIONS.get(n, {}))
  for n in by_cost(catalog.names('cells'))
}
EVERY = array_task(I, K, error_at_end=False)
every_cell = pytest.mark.parametrize('name', CELLS)


def gradient_of(cell, **how):
  return cheap_jit(
    lambda p, e: through_time(cell, EVERY, p, e, NUM_STEPS, **how)
  )


def case(cell, seed, end=False):
  params = random_net(cell, seed, LANES)
  return params, random_arrays(seed, NUM_STEPS, I, K, LANES, end=end)


@every_cell
def test_a_window_as_long_as_the_sequence_is_the_full_gradient(x64, name):
  cell = CELLS[name]
  params, episode = case(cell, 10)
  assert np.max(episode.length) == NUM_STEPS
  full = gradient_of(cell)(params, episode)
  same = gradient_of(cell, window=NUM_STEPS)(params, episode)
  assert distance(full, same) == 0
  less = gradient_of(cell, window=NUM_STEPS - 1)(params, episode)
  assert distance(full[0], less[0]) > 1e-6
  assert distance(full[1], less[1]) == 0, 'the forward pass has no window'


@every_cell
def test_a_window_of_one_is_every_field_cut(x64, name):
  cell = CELLS[name]
  params, episode = case(cell, 1)
  fields = cell.initial_carry((), np.float64)._fields
  one = gradient_of(cell, window=1)(params, episode)
  cut = gradient_of(cell, cut=fields)(params, episode)
  assert distance(one, cut) < 1e-12
  assert largest(one[0]) > 1e-3


@every_cell
def test_a_window_is_a_sum_over_blocks_from_constant_carries(x64, name):
  """Blocks counted from the end of each lane's own sequence, one by one."""
  cell, window = CELLS[name], 3
  params, episode = case(cell, 8)
  ours, _ = gradient_of(cell, window=window)(params, episode)

  def states(params, inputs):
    step = lambda c, x: (cell.step(params, c, x)[0], c)
    return jax.lax.scan(step, cell.initial_carry((), np.float64), inputs)[1]

  def block_error(params, carry, inputs, targets, scored):
    _, nets = unroll(cell, params, inputs, carry=carry)
    return jnp.sum(scored * jax.vmap(EVERY.loss)(nets, targets))

  states, block_gradient = map(cheap_jit, (states, jax.grad(block_error)))
  for lane in range(*LANES):
    own = jax.tree.map(lambda a, i=lane: np.asarray(a)[..., i], params)
    x, target, scored, length = jax.tree.map(
      lambda a, i=lane: np.asarray(a)[..., i], episode
    )
    carries = jax.tree.map(np.asarray, states(own, x))
    total = jax.tree.map(np.zeros_like, own)
    for end in range(length, 0, -window):
      # A shorter first block is filled up with steps that count for nothing,
      # after its own: one program serves every block.
      begin = max(end - window, 0)
      steps = np.arange(begin, begin + window) % NUM_STEPS
      counts = (np.arange(window) < end - begin) * scored[steps]
      carry = jax.tree.map(lambda c, b=begin: c[b], carries)
      grads = block_gradient(own, carry, x[steps], target[steps], counts)
      total = jax.tree.map(np.add, total, grads)
    mine = jax.tree.map(lambda g, i=lane: np.asarray(g)[..., i], ours)
    assert distance(mine, total) < 1e-12


@every_cell
@pytest.mark.parametrize('window', [1, 3])
def test_an_error_at_the_end_passes_exactly_window_steps(x64, name, window):
  """Measured by what the inputs of each step could have changed."""
  cell = CELLS[name]
  params, episode = case(cell, 3)

  def last_outputs(inputs):
    _, nets = unroll(cell, params, inputs, episode.length, window=window)
    last = (episode.length - 1)[None, None]
    return jnp.sum(jnp.take_along_axis(nets, last, axis=0))

  by_input = cheap_jit(jax.grad(last_outputs))(episode.inputs)
  reached = np.any(np.asarray(by_input) != 0, axis=1)
  t = np.arange(NUM_STEPS)[:, None]
  end = np.asarray(episode.length)
  np.testing.assert_array_equal(reached, (t < end) & (t >= end - window))
  assert np.any(end > window + 1)


def test_the_learner_follows_the_gradient(x64):
  cell = CELLS['srn']
  params, episode = case(cell, 4)
  numbers = {'learning_rate': np.array([0.5, 0.0, 0.25, 1.0])}
  grads, judged = gradient_of(cell, window=2)(params, episode)
  learner = bptt(cell, EVERY, length=NUM_STEPS, window=2)

  @cheap_jit
  def learn(params, episode):
    state = learner.init(jax.random.key(0), {**cell.numbers, **numbers})
    return learner.update(state._replace(params=params), episode)

  after, judged_too = learn(params, episode)
  expected = jax.tree.map(
    lambda w, g: w - numbers['learning_rate'] * np.asarray(g), params, grads
  )
  assert distance(after.params, expected) < 1e-12
  assert distance(judged, judged_too) == 0


def test_arguments_are_checked():
  for window in (0, -3):
    with pytest.raises(ValueError, match=f'window={window} must be at least 1'):
      bptt(CELLS['srn'], EVERY, length=5, window=window)
  with pytest.raises(ValueError, match="optimizer='lion' must be one of sgd"):
    bptt(CELLS['srn'], EVERY, length=5, optimizer='lion')
