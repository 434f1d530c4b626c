"""The step from gradient to weights: optax in lanes, each with its count."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.srn import srn
from lstm_jax.learners import _descend, _optimizer
from tests.gradients import cheap_jit, distance, existing, random_net

CELL = srn(3, 2, hidden=4, output_bias=False)
NUM_STEPS = 5
RATE = 0.1
SQUARED = 0.04  # mean squared error of every sequence


def sgd(w, grads):
  for g in grads:
    w = w - RATE * g
  return w


def adam(w, grads, b1=0.9, b2=0.999, eps=1e-8):
  """Kingma & Ba (2015), algorithm 1."""
  m = v = 0 * w
  for t, g in enumerate(grads, 1):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g * g
    w = w - RATE * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
  return w


def rmsprop(w, grads, decay=0.9, eps=1e-8):
  """Tieleman & Hinton (2012), as optax has it: eps inside the root."""
  v = 0 * w
  for g in grads:
    v = decay * v + (1 - decay) * g * g
    w = w - RATE * g / np.sqrt(v + eps)
  return w


def normalised(w, grads, b1=0.9, b2=0.99):
  """m / sqrt(E[(g / |e|)^2]), |e|^2 the mean square over the outputs."""
  m = v = 0 * w
  for t, g in enumerate(grads, 1):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g * g / SQUARED
    w = w - RATE * (m / (1 - b1**t)) / np.sqrt(v / (1 - b2**t) + 1e-300)
  return w


HAND = {
  'sgd': sgd, 'adam': adam, 'rmsprop': rmsprop, 'normalised': normalised
}  # fmt: skip
every_optimizer = pytest.mark.parametrize('optimizer', HAND)


def test_every_optimizer_has_its_equations_here():
  assert set(HAND) == set(_optimizer.OPTIMIZERS)


def stepper(optimizer):
  """`(begin(lanes), move)`; a lane begins with weights of its own."""
  init, move = _descend.stepper(CELL, optimizer)

  @functools.cache
  def in_lanes(axes):
    numbers = {'init_range': 0.1, 'learning_rate': RATE}
    start = lambda key: init(key, jax.tree.map(jnp.asarray, numbers))
    for _ in range(axes):
      start = jax.vmap(start, in_axes=-1, out_axes=-1)
    return cheap_jit(start)

  def begin(seed, lanes=()):
    # The generator that XLA has built in compiles faster.
    key = jax.random.key(0, impl='unsafe_rbg')
    state = in_lanes(len(lanes))(jnp.broadcast_to(key, lanes))
    return state._replace(params=random_net(CELL, seed, lanes))

  @cheap_jit
  def move_by(state, grads):
    squared = jnp.full(jnp.shape(state.learning_rate), SQUARED)
    return move(state, grads, squared)

  return begin, move_by


def lane(tree, i):
  return jax.tree.map(lambda a: np.asarray(a)[..., i], tree)


@every_optimizer
def test_it_is_the_published_equation(x64, optimizer):
  begin, move = stepper(optimizer)
  state = begin(0)
  first = state.params
  grads = [random_net(CELL, 1 + n) for n in range(NUM_STEPS)]
  for g in grads:
    state = move(state, g)
  expected = jax.tree.map(lambda w, *g: HAND[optimizer](w, g), first, *grads)
  assert distance(state.params, expected) < 1e-12
  assert distance(state.params, first) > 1e-2


@every_optimizer
def test_a_lane_refilled_later_is_a_lane_alone(x64, optimizer):
  """Moments and step counts are a lane's own."""
  begin, move = stepper(optimizer)
  grads = [random_net(CELL, 1 + n, (2,)) for n in range(NUM_STEPS)]
  state = begin(0, (2,))
  for g in grads[:3]:
    state = move(state, g)
  fresh = begin(9)
  state = jax.tree.map(
    lambda a, b: np.stack([np.asarray(a)[..., 0], b], axis=-1), state, fresh
  )
  for g in grads[3:]:
    state = move(state, g)
  alone = fresh
  for g in grads[3:]:
    alone = move(alone, lane(g, 1))
  assert distance(lane(state, 1), alone) < 1e-12
  untouched = lane(begin(0, (2,)), 0)
  for g in grads:
    untouched = move(untouched, lane(g, 0))
  assert distance(lane(state, 0), untouched) < 1e-12


@every_optimizer
def test_two_lane_axes_and_rates_of_their_own(x64, optimizer):
  begin, move = stepper(optimizer)
  state = begin(0, (2, 3))
  rates = np.arange(6.0).reshape(2, 3) / 10
  state = state._replace(learning_rate=rates)
  after = move(state, random_net(CELL, 1, (2, 3)))
  one = begin(0)._replace(params=lane(lane(state.params, 2), 1))
  one = one._replace(learning_rate=rates[1, 2])
  one = move(one, lane(lane(random_net(CELL, 1, (2, 3)), 2), 1))
  assert distance(lane(lane(after, 2), 1), one) < 1e-12
  assert (
    distance(lane(lane(after.params, 0), 0), lane(lane(state.params, 0), 0))
    == 0
  )


@every_optimizer
def test_weights_that_do_not_exist_stay_zero(x64, optimizer):
  begin, move = stepper(optimizer)
  state = begin(0)
  ones = jax.tree.map(np.ones_like, state.params)
  for _ in range(3):
    state = move(state, ones)
  assert distance(existing(CELL, state.params), state.params) == 0
  np.testing.assert_array_equal(state.params.b_out, 0)
  assert np.all(np.asarray(state.params.w_x) != 0)
