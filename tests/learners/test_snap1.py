"""SnAp: what its pattern is, what is exact, what is dropped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.lstm1997 import lstm1997
from lstm_jax.cells.srn import srn
from lstm_jax.lab.plan import catalog
from lstm_jax.learners._forward import influence_matrix
from lstm_jax.learners.rtrl import rtrl
from lstm_jax.learners.snap1 import pattern, snap1
from tests.array_task import array_task, random_arrays
from tests.gradients import by_cost, cheap_jit, distance, largest, random_net

NUM_STEPS = 7
LANES = (3,)
I, K = 3, 2
EVERY = array_task(I, K, error_at_end=False)
CELLS = {
  n: catalog.build('cells', n, I, K) for n in by_cost(catalog.names('cells'))
}
# Not every unit of theirs hears every other.
APART = ('cascaded', 'indrnn', 'lru', 'mingru', 'minlstm', 'slstm')
RATE = 0.5


def compare(cell, *learners, lanes=LANES, seed=0):
  """What each learner makes of the same networks and sequences."""
  params = random_net(cell, seed, lanes)
  episode = random_arrays(seed, NUM_STEPS, I, K, lanes, end=False)
  numbers = {**cell.numbers, 'learning_rate': np.full(lanes, RATE)}

  @cheap_jit
  def all_of_them(params, episode):
    after = []
    for learner in learners:
      state = learner.init(jax.random.key(0), numbers)._replace(params=params)
      after.append(learner.update(state, episode)[0].params)
    return after

  found = all_of_them(params, episode)
  assert all(distance(after, params) > 1e-3 for after in found)
  return found


@pytest.mark.slow
@pytest.mark.parametrize('name', CELLS)
def test_with_the_full_pattern_it_is_exact(x64, name):
  """Slow: `test_it_is_the_masked_recursion` holds it for any pattern."""
  cell = CELLS[name]
  past = influence_matrix.past(cell)
  assert np.all(pattern(cell, past, 9)) == (name not in APART)
  exact, wide = compare(
    cell,
    rtrl(cell, EVERY, update='sequence'),
    snap1(cell, EVERY, reach=9, update='sequence'),
  )
  assert distance(exact, wide) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize('name', ['gru', 'lstm', 'lstm1997', 'srn'])
def test_one_step_of_it_is_not(x64, name):
  """Slow: `test_it_is_the_masked_recursion` holds what is left out."""
  cell = CELLS[name]
  exact, sparse = compare(cell, rtrl(cell, EVERY), snap1(cell, EVERY))
  assert distance(exact, sparse) > 1e-3


@pytest.mark.parametrize('update', ['every_step', 'sequence'])
def test_units_that_hear_only_themselves_lose_nothing(x64, update):
  cell = srn(I, K, hidden=5, recurrence='self')
  exact, sparse = compare(
    cell, rtrl(cell, EVERY, update=update), snap1(cell, EVERY, update=update)
  )
  assert distance(exact, sparse) < 1e-12


def rows_of(cell, params):
  """The hidden unit of each weight that reaches the carry, in their order."""
  weights = influence_matrix.past(cell).weights
  units = jax.tree.map(
    lambda w: np.broadcast_to(
      np.arange(len(w)).reshape(-1, *(1,) * (w.ndim - 1)), w.shape
    ).astype(float),
    params,
  )
  return np.asarray(cheap_jit(weights.flat)(units)).astype(int)


@pytest.mark.parametrize('activation', ['tanh', 'relu'])
def test_the_pattern_of_a_plain_net_is_the_unit_itself(activation):
  cell = srn(I, K, hidden=4, activation=activation)
  past = influence_matrix.past(cell)
  unit = rows_of(cell, cell.mask)
  own = np.arange(4)[:, None] == unit
  np.testing.assert_array_equal(pattern(cell, past, 1), own)
  assert np.all(pattern(cell, past, 2))
  # A chain of links that only look at themselves never fills.
  alone = srn(I, K, hidden=4, recurrence='self', activation=activation)
  found = pattern(alone, influence_matrix.past(alone), 50)
  np.testing.assert_array_equal(found.sum(axis=0), 1)


def test_the_pattern_of_1997_is_the_block():
  """Rows of the carry: s_c, y_c, y_in and y_out of 2 blocks of 2 cells."""
  cell = lstm1997(I, K)
  found = pattern(cell, influence_matrix.past(cell), 1)
  unit = rows_of(cell, cell.mask)
  block = np.array([0, 0, 1, 1])
  for w, row in enumerate(unit):
    s_c, y_c, gates = np.split(found[:, w], [4, 8])
    if row < 2:  # an input gate: its block's cells, and itself
      np.testing.assert_array_equal(s_c, block == row)
      np.testing.assert_array_equal(y_c, block == row)
    elif row < 4:  # an output gate: its block's outputs, and itself
      assert not np.any(s_c)
      np.testing.assert_array_equal(y_c, block == row - 2)
    else:
      np.testing.assert_array_equal(s_c, np.arange(4) == row - 4)
      np.testing.assert_array_equal(y_c, np.arange(4) == row - 4)
    np.testing.assert_array_equal(gates, np.arange(4) == row)


@pytest.mark.parametrize('name', ['gru', 'lstm', 'lstm1997'])
def test_it_is_the_masked_recursion(x64, name):
  """S <- M (D S + I) with full matrices, step by step."""
  cell = CELLS[name]
  past = influence_matrix.past(cell)
  kept = pattern(cell, past, 1)
  assert 0 < kept.sum() < kept.size
  (ours,) = compare(cell, snap1(cell, EVERY, update='sequence'), lanes=())
  params = random_net(cell, 0)
  episode = random_arrays(0, NUM_STEPS, I, K, end=False)

  def flat_step(weights, carry, x_t):
    # Weights outside the vector do not move the carry.
    tree = jax.tree.map(
      lambda w, p: jnp.where(w == 0, p, w), past.weights.tree(weights), params
    )
    unpacked = dict(zip(past.fields, jnp.split(carry, splits), strict=True))
    carry_t, _ = cell.step(tree, first._replace(**unpacked), x_t)
    return influence_matrix.pack(past.fields, carry_t)

  def error(params, carry, x_t, target):
    unpacked = dict(zip(past.fields, jnp.split(carry, splits), strict=True))
    _, net_k = cell.step(params, first._replace(**unpacked), x_t)
    return EVERY.loss(net_k, target)

  first = cell.initial_carry((), np.float64)
  sizes = [len(getattr(first, name)) for name in past.fields]
  splits = np.cumsum(sizes)[:-1]

  @cheap_jit
  def at_once(carry, x_t, target, influence):
    grads, e = jax.grad(error, argnums=(0, 1))(params, carry, x_t, target)
    past_of = past.weights.tree(e @ influence)
    before = past.weights.flat(params)
    by_both = jax.jacfwd(flat_step, argnums=(0, 1))(before, carry, x_t)
    carry_t = flat_step(before, carry, x_t)
    return (grads, past_of), by_both, carry_t

  carry = np.concatenate([getattr(first, name) for name in past.fields])
  influence = np.zeros(kept.shape)
  total = jax.tree.map(np.zeros_like, params)
  for t in range(int(episode.length)):
    grads, (by_weights, by_carry), carry = at_once(
      carry, episode.inputs[t], episode.targets[t], influence
    )
    if episode.scored[t]:
      total = jax.tree.map(lambda *g: sum(map(np.asarray, g)), total, *grads)
    influence = kept * (
      np.asarray(by_carry) @ influence + np.asarray(by_weights)
    )
  expected = jax.tree.map(
    lambda w, g, m: w - RATE * g * m, params, total, cell.mask
  )
  assert distance(ours, expected) < 1e-12
  assert largest(total) > 1e-3


def test_arguments_are_checked():
  with pytest.raises(ValueError, match='reach=0 must be at least 1'):
    snap1(CELLS['srn'], EVERY, reach=0)
  with pytest.raises(
    ValueError, match="update='daily' .* every_step, sequence"
  ):
    snap1(CELLS['srn'], EVERY, update='daily')
