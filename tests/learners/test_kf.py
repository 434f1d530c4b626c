"""The Kalman filter against textbook equations, ridge regression and BPTT."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.srn import srn
from lstm_jax.lab.plan import catalog
from lstm_jax.learners._forward import influence_matrix
from lstm_jax.learners.kf import NUMBERS, kf
from lstm_jax.learners.rtrl import rtrl
from lstm_jax.ops.arrays import affine
from lstm_jax.ops.unroll import unroll
from lstm_jax.types import Cell
from tests.array_task import Arrays, array_task, random_arrays
from tests.gradients import cheap_jit, distance, random_net

NUM_STEPS = 8
I, K = 3, 2
LANES = (3,)
EVERY, END = (array_task(I, K, error_at_end=end) for end in (False, True))
RATE, VARIANCE, NOISE = 0.7, 2.0, 0.01


PLAIN = srn(I, K)


@functools.cache
def learning(rule, task, update):
  """A learner of `PLAIN` and its update, compiled once for three lanes."""
  learner = rule(PLAIN, task, update=update)
  return learner, cheap_jit(learner.update)


def begin(learner, cell, params, rate=RATE, noise=NOISE):
  lanes = np.shape(jax.tree.leaves(params)[0])[2:]
  numbers = {
    **cell.numbers,
    'learning_rate': rate,
    'initial_variance': VARIANCE,
    'process_noise': noise,
  }
  numbers = {k: np.asarray(n, float) for k, n in numbers.items()}
  init = learner.init
  for size in lanes:
    init = jax.vmap(init, in_axes=None, out_axes=-1, axis_size=size)
  state = cheap_jit(init)(jax.random.key(0), numbers)
  return state._replace(params=params)


def textbook(params, episodes):
  """The filter in loops: joint updates with an inverse, one network of tanh
  units.

  Derivatives by the recursion of Williams & Zipser; weights w of the hidden
  units row by row, then those of the output units.
  """
  w_x, w_h, b, w_out, _, b_out = (np.array(p) for p in params)
  hidden = np.concatenate([w_x, w_h, b[:, None]], axis=1)
  output = np.concatenate([w_out, b_out[:, None]], axis=1)
  n, fan_in = hidden.shape
  size = hidden.size + output.size
  w = np.concatenate([hidden.ravel(), output.ravel()])
  covariance = VARIANCE * np.eye(size)
  for episode in episodes:
    h, s = np.zeros(n), np.zeros((n, hidden.size))
    for t in range(int(episode.length)):
      hidden = w[: n * fan_in].reshape(n, fan_in)
      output = w[n * fan_in :].reshape(K, n + 1)
      z = np.concatenate([episode.inputs[t], h, [1.0]])
      h = np.tanh(hidden @ z)
      direct = np.kron(np.eye(n), z)
      s = (1 - h**2)[:, None] * (hidden[:, I:-1] @ s + direct)
      if not episode.scored[t]:
        continue
      sources = np.concatenate([h, [1.0]])
      y = 1 / (1 + np.exp(-(output @ sources)))
      slope = (y * (1 - y))[:, None]
      jacobian = slope * np.concatenate(
        [output[:, :-1] @ s, np.kron(np.eye(K), sources)], axis=1
      )
      seen = jacobian @ covariance @ jacobian.T + np.eye(K) / RATE
      gain = covariance @ jacobian.T @ np.linalg.inv(seen)
      w = w + gain @ (np.asarray(episode.targets[t]) - y)
      covariance = covariance - gain @ jacobian @ covariance
      covariance = covariance + NOISE * np.eye(size)
  hidden = w[: n * fan_in].reshape(n, fan_in)
  output = w[n * fan_in :].reshape(K, n + 1)
  weights = (
    hidden[:, :I], hidden[:, I:-1], hidden[:, -1],
    output[:, :-1], params.w_out_x, output[:, -1],
  )  # fmt: skip
  return weights, np.trace(covariance), np.sum(covariance**2)


def test_it_is_the_textbooks_filter(x64):
  cell = srn(I, K, hidden=2)
  params = random_net(cell, 0)
  episodes = [random_arrays(n, NUM_STEPS, I, K, end=False) for n in (1, 4, 6)]
  learner = kf(cell, EVERY)
  state, learn = begin(learner, cell, params), cheap_jit(learner.update)
  for episode in episodes:
    state, _ = learn(state, episode)
  expected, trace, square = textbook(params, episodes)
  assert distance(tuple(state.params), expected) < 1e-11
  assert distance(state.params, params) > 0.1
  # The order of the rows is ours; these do not depend on it.
  ours = np.asarray(state.covariance)
  np.testing.assert_allclose(np.trace(ours), trace, rtol=1e-11)
  np.testing.assert_allclose(np.sum(ours**2), square, rtol=1e-11)


@pytest.mark.parametrize('name', catalog.names('cells'))
def test_over_a_sequence_it_is_a_damped_gauss_newton_step(x64, name):
  """P^-1 + rate sum h h^T, with derivatives by back-propagation."""
  cell = catalog.build('cells', name, I, K)
  params = random_net(cell, 0)
  episode = random_arrays(4, NUM_STEPS, I, K, end=False)
  count = int(episode.length)
  scored = np.asarray(episode.scored)[:count]
  assert count > 4 and scored.sum() > 2
  weights = influence_matrix.vector(cell.mask)

  @cheap_jit
  def derived(params):
    def outputs(w):
      _, nets = unroll(cell, weights.tree(w), episode.inputs[:count])
      return EVERY.output(nets)

    w = weights.flat(params)
    return w, outputs(w), jax.jacrev(outputs)(w)

  w, y, jacobian = map(np.asarray, derived(params))
  h = jacobian[scored].reshape(-1, weights.size)
  error = (episode.targets[:count] - y)[scored].ravel()
  information = np.eye(weights.size) / VARIANCE + RATE * h.T @ h
  mean = w + np.linalg.solve(information, RATE * h.T @ error)
  unit = np.eye(weights.size)
  covariance = np.linalg.inv(information) + NOISE * unit

  learner = kf(cell, EVERY, update='sequence')
  after, _ = cheap_jit(learner.update)(begin(learner, cell, params), episode)
  assert distance(cheap_jit(weights.flat)(after.params), mean) < 1e-11
  assert distance(after.covariance, covariance) < 1e-11
  assert distance(mean, w) > 1e-2


class Shown(NamedTuple):
  y: jax.Array


class Line(NamedTuple):
  w: jax.Array


def line():
  """y = w x; the carry is not read."""

  def step(params, carry_tm1, x_t):
    del carry_tm1
    y = affine(params.w, x_t)
    return Shown(y), y

  return Cell(
    1, 1,
    init=lambda key, numbers: Line(jnp.ones((1, 1)) * numbers['init_range']),
    initial_carry=lambda lanes=(), dtype=float: Shown(
      jnp.zeros((1, *lanes), dtype)
    ),
    step=step,
    mask=Line(np.ones((1, 1), np.float32)),
    numbers={'init_range': np.float32(0.5)},
  )  # fmt: skip


@pytest.mark.parametrize('update', ['every_step', 'sequence'])
def test_on_a_line_it_is_least_squares(x64, update):
  """One weight: the ridge regression on everything seen so far."""
  rng = np.random.default_rng(0)
  cell = line()
  task = array_task(1, 1, error_at_end=False)._replace(output=lambda net: net)
  learner = kf(cell, task, update=update)
  state = begin(learner, cell, Line(np.full((1, 1), 0.5)), noise=0.0)
  learn = cheap_jit(learner.update)
  information, moment = 1 / VARIANCE, 0.5 / VARIANCE
  for _ in range(3):
    x, target = rng.normal(size=(2, NUM_STEPS, 1))
    episode = Arrays(x, target, np.ones(NUM_STEPS, bool), np.int32(NUM_STEPS))
    state, _ = learn(state, episode)
    information += RATE * np.sum(x**2)
    moment += RATE * np.sum(x * target)
    np.testing.assert_allclose(
      state.params.w, [[moment / information]], rtol=1e-12
    )
    np.testing.assert_allclose(
      state.covariance, [[1 / information]], rtol=1e-12
    )


def same_in_every_lane():
  """A sequence with several errors, once a lane."""
  episode = random_arrays(4, NUM_STEPS, I, K, end=False)
  return jax.tree.map(lambda a: np.stack([a] * LANES[0], axis=-1), episode)


@pytest.mark.slow
def test_with_one_error_at_the_end_both_updates_are_one(x64):
  """Slow: each of the two is held to its equations, and RTRL to this."""
  params = random_net(PLAIN, 1, LANES)
  episode = random_arrays(1, NUM_STEPS, I, K, LANES, end=True)
  results = []
  for task in (EVERY, END):
    for update in ('every_step', 'sequence'):
      learner, learn = learning(kf, task, update)
      results.append(learn(begin(learner, PLAIN, params), episode))
  for other in results[1:]:
    assert distance(results[0], other) < 1e-12
  assert distance(results[0][0].params, params) > 1e-3


@pytest.mark.slow
def test_more_errors_make_them_differ_and_neither_is_gradient_descent(x64):
  """Slow: equations of their own, which differ, hold each of the two."""
  params, episode = random_net(PLAIN, 1, LANES), same_in_every_lane()
  changes = []
  for rule, update in (
    (kf, 'every_step'), (kf, 'sequence'), (rtrl, 'sequence')
  ):  # fmt: skip
    learner, learn = learning(rule, EVERY, update)
    after, _ = learn(begin(learner, PLAIN, params), episode)
    changes.append(jax.tree.map(np.subtract, after.params, params))
  for i, one in enumerate(changes):
    for other in changes[:i]:
      for lane in range(*LANES):
        pair = jax.tree.map(lambda a, n=lane: a[..., n], (one, other))
        assert distance(*pair) > 1e-3


def test_covariances_stay_symmetric_and_positive():
  """In single precision, over sequences of many measurements."""
  cell = srn(I, K, recurrence='self', output_bias=False)
  learner = kf(cell, EVERY)
  numbers = {**cell.numbers, **NUMBERS}
  numbers |= {'learning_rate': 100.0, 'initial_variance': 1.0}
  numbers |= {'process_noise': 0.0}
  numbers = {k: np.asarray(n, np.float32) for k, n in numbers.items()}
  state = cheap_jit(learner.init)(jax.random.key(1), numbers)
  # Rows for weights that exist alone.
  size = sum(int(np.sum(exists)) for exists in cell.mask)
  assert state.covariance.shape == (size, size)
  np.testing.assert_array_equal(state.covariance, np.eye(size))
  learn = cheap_jit(learner.update)
  for n in range(30):
    episode = random_arrays(n, NUM_STEPS, I, K, end=False)
    state, _ = learn(state, episode)
  p = np.asarray(state.covariance)
  np.testing.assert_array_equal(p, p.T)
  spectrum = np.linalg.eigvalsh(p.astype(float))
  assert -1e-6 < spectrum[0] and spectrum[-1] <= 1 + 1e-6
  assert np.trace(p) < size - 1


def test_without_a_learning_rate_nothing_is_measured(x64):
  params, episode = random_net(PLAIN, 1, LANES), same_in_every_lane()
  learner, learn = learning(kf, EVERY, 'every_step')
  state = begin(learner, PLAIN, params, rate=0.0)
  after, _ = learn(state, episode)
  assert distance(after.params, params) == 0
  steps = int(np.sum(episode.scored[: episode.length[0], 0]))
  grown = np.asarray(state.covariance)
  grown = grown + steps * NOISE * np.eye(len(grown))[..., None]
  assert distance(after.covariance, grown) < 1e-12


def test_arguments_are_checked():
  cell = srn(I, K)
  with pytest.raises(
    ValueError, match="update='daily' .* every_step, sequence"
  ):
    kf(cell, EVERY, update='daily')
  message = 'the network has 42 weights, more than most_weights=41'
  with pytest.raises(ValueError, match=message):
    kf(cell, EVERY, most_weights=41)
  kf(cell, EVERY, most_weights=42)
