"""A random rank-one influence: right on average, wrong every time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.srn import srn
from lstm_jax.lab.plan import catalog
from lstm_jax.learners.bptt import through_time
from lstm_jax.learners.rtrl import rtrl
from lstm_jax.learners.uoro import rank_one, signs, uoro
from lstm_jax.ops.prng import Key, fold_in
from tests.array_task import array_task, random_arrays
from tests.gradients import cheap_jit, distance, existing, random_net

NUM_STEPS = 6
I, K = 2, 2
EVERY = array_task(I, K, error_at_end=False)
DRAWS = 20_000
RATE = 0.5


def sequence(seed):
  """One sequence of full length, scored at half of its steps."""
  episode = random_arrays(seed, NUM_STEPS, I, K, end=False)
  scored = np.arange(NUM_STEPS) % 2 == 1
  return episode._replace(scored=scored, length=np.asarray(NUM_STEPS))


def begin(learner, cell, params, key=0):
  numbers = {**cell.numbers, 'learning_rate': RATE}
  numbers = {name: np.asarray(n, float) for name, n in numbers.items()}
  state = cheap_jit(learner.init)(jax.random.key(key), numbers)
  return state._replace(inner=state.inner._replace(params=params))


def draws(cell, params, episode, count):
  """Estimates of one gradient, a lane each, from signs of their own."""
  learner = uoro(cell, EVERY, update='sequence')
  state = begin(learner, cell, params)
  copy = lambda a: np.broadcast_to(
    np.asarray(a)[..., None], (*np.shape(a), count)
  )
  state, episode = jax.tree.map(copy, (state, episode))
  words = np.random.default_rng(0).integers(2**32, size=(2, count))
  state = state._replace(key=Key(*words.astype(np.uint32)))
  after, _ = cheap_jit(learner.update)(state, episode)
  change = lambda a, b: (np.asarray(b)[..., None] - np.asarray(a)) / RATE
  return jax.tree.map(change, after.params, params)


def exact_and_immediate(cell, params, episode):
  """The gradient by BPTT, and that of a rule without a past."""
  fields = cell.initial_carry()._fields

  @cheap_jit
  def both(*given):
    return [
      through_time(cell, EVERY, *given, NUM_STEPS, cut=cut)[0]
      for cut in ((), fields)
    ]

  return (existing(cell, grads) for grads in both(params, episode))


@pytest.mark.parametrize(
  ('name', 'options'),
  [
    ('srn', {'hidden': 3}),
    ('gru', {'hidden': 2}),
    ('lstm', {'hidden': 2}),
    ('lstm1997', {'blocks': 1, 'block_size': 2}),
  ],
)
def test_its_mean_is_the_gradient(x64, name, options):
  """Each component within 5 standard errors over 20,000 draws.

  One that is right fails by chance with probability 6e-7 a component. A rule
  that leaves the past out would be found: its gradient is more than 50 standard
  errors away.
  """
  cell = catalog.build('cells', name, I, K, **options)
  params, episode = random_net(cell, 0), sequence(0)
  exact, immediate = exact_and_immediate(cell, params, episode)
  estimates = draws(cell, params, episode, DRAWS)
  most = 0
  for g, none, drawn in zip(exact, immediate, estimates, strict=True):
    error = np.std(drawn, axis=-1) / np.sqrt(DRAWS)
    off = np.abs(np.mean(drawn, axis=-1) - g)
    assert np.all(off <= 5 * error + 1e-13)
    seen = error > 1e-13
    without = np.abs(np.asarray(none) - g)[seen] / error[seen]
    most = max(most, np.max(without, initial=0))
  assert most > 50
  # No two agree, and none with the mean.
  one, other = (
    jax.tree.map(lambda g, i=i: g[..., i], estimates) for i in (0, 1)
  )
  assert distance(one, exact) > 1e-2
  assert distance(one, other) > 1e-2


def test_it_is_the_algorithm_by_hand(x64):
  """Algorithm 1 in loops, for tanh units and the signs that were drawn."""
  cell = srn(I, K, hidden=3)
  params, episode = random_net(cell, 1), sequence(1)
  key = Key(np.uint32(3), np.uint32(4))
  learner = uoro(cell, EVERY, update='sequence')
  state = begin(learner, cell, params)._replace(key=key)
  after, _ = cheap_jit(learner.update)(state, episode)

  eps, norm = 1e-7, np.linalg.norm
  w_x, w_h, b, w_out, _, b_out = (np.array(p) for p in params)
  w = np.concatenate([w_x, w_h, b[:, None]], axis=1)
  h, s, v = np.zeros(3), np.zeros(3), np.zeros_like(w)
  total = np.zeros_like(w)

  @jax.jit
  def drawn_at(t):
    return signs(fold_in(key, np.int32(0)), t, 3, float)

  for t in range(NUM_STEPS):
    nu = np.asarray(drawn_at(np.int32(t)))
    z = np.concatenate([episode.inputs[t], h, [1.0]])
    h = np.tanh(w @ z)
    slope = 1 - h**2
    forward, back = slope * (w_h @ s), np.outer(nu * slope, z)
    if episode.scored[t]:
      # What the step itself does is exact.
      y = 1 / (1 + np.exp(-(w_out @ h + b_out)))
      e_h = w_out.T @ ((y - episode.targets[t]) * y * (1 - y))
      total += (e_h @ forward) * v + np.outer(e_h * slope, z)
    rho_0 = np.sqrt(norm(v) / (norm(forward) + eps)) + eps
    rho_1 = np.sqrt(norm(back) / (norm(nu) + eps)) + eps
    s = rho_0 * forward + rho_1 * nu
    v = v / rho_0 + back / rho_1
  w -= RATE * total
  expected = w[:, :I], w[:, I:-1], w[:, -1]
  ours = after.params
  assert distance((ours.w_x, ours.w_h, ours.b), expected) < 1e-12
  assert np.max(np.abs(total)) > 1e-2


def test_signs_are_fair_and_independent():
  words = np.random.default_rng(1).integers(2**32, size=(2, 400))
  key = Key(*words.astype(np.uint32))
  at = jax.vmap(lambda t: signs(key, jnp.full(400, t), 5, np.float32))
  drawn = np.asarray(jax.jit(at)(np.arange(10))).reshape(50, 400)
  assert set(np.unique(drawn)) == {-1.0, 1.0}
  products = drawn @ drawn.T / 400
  np.testing.assert_allclose(np.diag(products), 1)
  # 1225 pairs, standard deviation 1/20 each.
  assert np.max(np.abs(products - np.eye(50))) < 5 / 20
  assert np.max(np.abs(drawn.mean(axis=1))) < 5 / 20


def test_signs_follow_from_the_trial_and_the_sequence(x64):
  cell = srn(I, K, hidden=3)
  learner, params, episode = uoro(cell, EVERY), random_net(cell, 2), sequence(2)
  learn = cheap_jit(learner.update)
  state = begin(learner, cell, params)
  once, again = learn(state, episode)[0], learn(state, episode)[0]
  assert distance(once, again) == 0
  assert int(once.sequences) == 1
  # The next sequence has signs of its own, and so has another trial.
  later = learn(state._replace(sequences=np.int32(1)), episode)[0]
  other = learn(begin(learner, cell, params, key=1), episode)[0]
  for different in (later, other):
    assert distance(once.params, different.params) > 1e-3


def test_every_learner_begins_with_the_same_weights():
  cell = srn(I, K)
  numbers = {**cell.numbers, 'learning_rate': np.float32(RATE)}
  key = jax.random.key(5)
  mine, theirs = (
    cheap_jit(rule(cell, EVERY).init)(key, numbers).params
    for rule in (uoro, rtrl)
  )
  assert distance(mine, theirs) == 0


def test_nothing_is_credited_before_the_first_step():
  class Sizes:
    size = 3
    weights = type('Weights', (), {'size': 4})

  rule = rank_one(
    Sizes, Key(jnp.zeros(2, jnp.uint32), jnp.zeros(2, jnp.uint32))
  )
  memory = rule.start((2,), np.float32)
  assert [m.shape for m in memory] == [(3, 2), (4, 2), (3, 2)]
  credit = rule.credit(memory, jnp.ones((3, 2)))
  np.testing.assert_array_equal(credit, np.zeros((4, 2)))


def test_arguments_are_checked():
  with pytest.raises(
    ValueError, match="update='daily' .* every_step, sequence"
  ):
    uoro(srn(I, K), EVERY, update='daily')
