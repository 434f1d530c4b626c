"""Quickprop against steps worked out by hand, and on parabolas."""

import jax
import numpy as np
import pytest

from lstm_jax.learners._cascade import quickprop

# epsilon = 0.1, mu = 2: shrink factor 2/3. (slope, step, branch)
BY_HAND = [
  (4.0, -0.4, 'first: -0.1 * 4'),
  (3.0, -1.1, '3 >= 4 * 2/3: 2 * -0.4 - 0.1 * 3'),
  (1.0, -0.65, '1 < 3 * 2/3: -1.1 * 1/(3 - 1) - 0.1 * 1'),
  (-1.0, 0.325, 'past the minimum: -0.65 * -1/(1 + 1), nothing added'),
  (-0.5, 0.375, '0.5 < 1 * 2/3: 0.325 * -0.5/(-1 + 0.5) + 0.1 * 0.5'),
  (-0.9, 0.84, 'steeper: 2 * 0.375 + 0.1 * 0.9'),
  (0.0, 0.0, 'there: 0.84 * 0/(-0.9)'),
  (2.0, -0.2, 'the last step was 0: -0.1 * 2'),
]


def steps(weights, slopes_of, epsilon, mu=2.0, decay=0.0):
  """The weights after each step; `slopes_of(n, weights)`."""
  memory = quickprop.nothing(weights)
  n = 0
  while True:
    weights, memory = quickprop.move(
      weights, memory, slopes_of(n, weights), epsilon, mu, decay
    )
    yield weights
    n += 1


def take(iterator, count):
  return [next(iterator) for _ in range(count)]


@pytest.mark.parametrize('mirror', [1.0, -1.0])
def test_each_branch_by_hand(mirror, x64):
  slopes = [mirror * s for s, _, _ in BY_HAND]
  expected = 1.0 + np.cumsum([mirror * d for _, d, _ in BY_HAND])
  run = steps(np.array(1.0), lambda n, w: np.array(slopes[n]), np.array(0.1))
  np.testing.assert_allclose(take(run, len(BY_HAND)), expected, atol=1e-14)


def test_decay_adds_to_the_slope_and_to_the_one_that_is_kept(x64):
  """Slopes 0 on a weight of 2 with decay 1/2: the slope is 1, then 0.95."""
  run = steps(
    np.array(2.0), lambda n, w: np.array(0.0), np.array(0.1), 1.0, 0.5
  )
  # -0.1; then 0.95 >= 1/2: -0.1 - 0.095; then 0.8525 >= 0.475.
  np.testing.assert_allclose(
    take(run, 3), [1.9, 1.705, 1.705 - 0.195 - 0.08525], atol=1e-14
  )


def test_it_finds_the_minimum_of_a_parabola_by_one_secant(x64):
  """E = 5/2 (w - 3)^2 from w = 0: a step of 2.25, then the rest of the way."""
  slopes = lambda n, w: 5.0 * (w - 3.0)
  near = take(steps(np.array(0.0), slopes, np.array(0.15)), 1)[0]
  assert near == pytest.approx(2.25)
  memory = quickprop.Memory(near, np.array(-15.0))
  there, _ = quickprop.move(
    near, memory, slopes(1, near), np.array(0.0), 2.0, 0.0
  )
  assert there == pytest.approx(3.0, abs=1e-14)


def test_a_step_grows_by_mu_at_most(x64):
  """Slopes that never fall: 1, mu, mu^2, ..."""
  for mu in (1.0, 1.75, 2.25):
    run = steps(np.array(0.0), lambda n, w: np.array(-1e-9), np.array(1.0), mu)
    grown = np.diff(take(run, 5)) / 1e-9
    expected = [sum(mu**i for i in range(n + 1)) for n in range(1, 5)]
    np.testing.assert_allclose(grown, expected, rtol=1e-9)


def test_a_weight_without_a_slope_stays_where_it_is(x64):
  run = steps(
    np.array(0.0), lambda n, w: np.array(0.0 if n else 1.0), np.array(1.0)
  )
  np.testing.assert_array_equal(take(run, 4), [-1.0, -1.0, -1.0, -1.0])


def test_weights_and_lanes_move_by_themselves(x64):
  rng = np.random.default_rng(0)
  rates = np.array([0.0, 0.1, 0.3])
  weights = {'a': rng.normal(size=(2, 3)), 'b': rng.normal(size=(4, 2, 3))}
  slopes = [
    jax.tree.map(lambda w: rng.normal(size=w.shape), weights) for _ in range(6)
  ]
  together = take(steps(weights, lambda n, w: slopes[n], rates), 6)
  for name, index in (('a', (1, 2)), ('b', (3, 0, 1)), ('b', (0, 1, 0))):
    of = lambda tree, name=name, index=index: np.asarray(tree[name][index])
    alone = take(
      steps(of(weights), lambda n, w, of=of: of(slopes[n]), rates[index[-1]]), 6
    )
    np.testing.assert_array_equal([of(w) for w in together], alone)
  np.testing.assert_array_equal(
    together[-1]['a'][:, 0], weights['a'][:, 0], 'a rate of 0 moves nothing'
  )
