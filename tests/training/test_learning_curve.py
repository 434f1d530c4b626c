"""Learning curves: the means of a trial's own sequences, however it is run."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.ops import prng
from lstm_jax.training import learning_curve, online
from lstm_jax.training.learning_curve import POINTS
from lstm_jax.training.trials import BUDGET, DIVERGED, RUNNING
from lstm_jax.types import Judgement

LANES = 4
WEIGHTS, TRAINING = 0, 1  # children of a trial's key


def by_hand(errors, rights):
  """What `learning_curve.lists` gives, in plain Python."""
  count = len(errors)
  width = 20
  while count // width >= POINTS:
    width *= 2
  pieces = [slice(at, min(at + width, count)) for at in range(0, count, width)]
  mean = lambda values, piece: (
    sum(map(float, values[piece])) / len(values[piece])
  )
  return {
    'sequences': [piece.stop for piece in pieces],
    'train_error': [mean(errors, piece) for piece in pieces],
    'train_right': [mean(rights, piece) for piece in pieces],
  }


def lane(curve, i):
  return jax.tree.map(lambda x: np.asarray(x)[..., i], curve)


def assert_is(found, wanted):
  assert found['sequences'] == wanted['sequences']
  assert found['train_right'] == wanted['train_right']
  np.testing.assert_allclose(
    found['train_error'], wanted['train_error'], rtol=1e-5
  )


@pytest.fixture(scope='module')
def judged():
  """Random judgements of lanes that do not all learn from all sequences."""
  rng = np.random.default_rng(0)
  size = 9000, LANES
  error = rng.random(size, np.float32)
  learned = rng.random(size) < np.array([1, 0.9, 0.3, 0])
  error = np.where(learned, error, np.nan)
  return Judgement(rng.random(size) < 0.7, error, error), learned


@jax.jit
def curves_after(judgements, learned):
  """The curves after each sequence, without the points of most."""

  def body(curve, seen):
    curve = learning_curve.add(curve, *seen)
    return curve, (curve.points, curve.width)

  begun = learning_curve.start((LANES,), jnp.float32)
  return jax.lax.scan(body, begun, (judgements, learned))


@pytest.mark.parametrize('count', [0, 19, 20, 21, 3999, 4000, 4011, 9000])
def test_a_point_is_the_mean_of_its_sequences(judged, count):
  judgements, learned = jax.tree.map(lambda a: a[:count], judged)
  curve, _ = curves_after(judgements, learned)
  for i in range(LANES):
    mine = learned[:, i]
    errors, rights = judgements.absolute[mine, i], judgements.right[mine, i]
    found = learning_curve.lists(lane(curve, i))
    assert_is(found, by_hand(errors, rights))
    assert len(found['sequences']) <= POINTS
    assert found['sequences'][-1:] == ([mine.sum()] if mine.any() else [])


def test_there_are_never_more_points_than_said(judged):
  _, (points, width) = jax.tree.map(np.asarray, curves_after(*judged))
  # With one that is not complete.
  assert points.max() == POINTS - 1
  assert set(width[:, 0]) == {20, 40, 80}
  assert set(width[:, 2]) == {20}


@functools.cache
def trial_parts():
  task = catalog.build(
    'tasks', 'adding', output='linear', streak=10**6, tolerance=0.2
  )
  cell = catalog.build('cells', 'srn', 2, 1, hidden=2)
  learner = catalog.build('learners', 'elman', cell, task)
  program = online.program(task, learner)
  numbers = {
    name: np.stack([value] * LANES, axis=-1).astype(np.float32)
    for name, value in cell.numbers.items()
  }
  numbers['learning_rate'] = np.array([0.1, 0.2, 0.3, 1e30], np.float32)
  key = prng.Key(*np.array([prng.key_of(seed) for seed in range(LANES)]).T)
  length = np.full(LANES, 5, np.int32)
  budget = np.array([4300, 3999, 4300, 4300], np.int32)
  first = jax.jit(program.start)(key, numbers, length, budget)
  return task, learner, key, numbers, first, jax.jit(program.advance)


def ended(chunks=(10**6,), which=range(LANES)):
  """The ends of the trials in these lanes, beside each other."""
  *_, first, advance = trial_parts()
  trials = jax.tree.map(lambda x: np.asarray(x)[..., list(which)], first)
  at = 0
  while (np.asarray(trials.status) == RUNNING).any():
    trials, _ = advance(trials, np.int32(chunks[at % len(chunks)]))
    at += 1
  return trials


def test_the_curve_of_a_trial_follows_from_its_judgements():
  task, learner, key, _, first, _ = trial_parts()

  @jax.jit
  def judgements(state):
    def body(state, n):
      at = prng.fold_in(key, jnp.full(LANES, TRAINING))
      at = prng.fold_in(at, jnp.full(LANES, n))
      return learner.update(state, task.draw(at, np.full(LANES, 5)))

    return jax.lax.scan(body, state, np.arange(4300))[1]

  wanted = jax.tree.map(np.asarray, judgements(first.learner))
  trials = ended()
  assert np.asarray(trials.status).tolist() == [
    BUDGET, BUDGET, BUDGET, DIVERGED
  ]  # fmt: skip
  for i, seen in enumerate([4300, 3999, 4300, int(trials.seen[3]) - 1]):
    found = learning_curve.lists(lane(trials.curve, i))
    errors, rights = wanted.absolute[:seen, i], wanted.right[:seen, i]
    assert_is(found, by_hand(errors, rights))
    assert len(found['sequences']) in (-(-seen // 20), -(-seen // 40))
  assert 0 < len(found['sequences'])
  assert np.std(learning_curve.lists(lane(trials.curve, 1))['train_right']) > 0


def test_chunks_and_lanes_beside_do_not_matter():
  whole = ended()
  for chunks, which in (
    ((7, 100, 1), range(LANES)),
    ((10**6,), [2, 3, 0, 1]),
    ((13,), [1, 1, 1, 0]),
  ):
    other = ended(chunks, which)
    for at, i in enumerate(which):
      for one, two in zip(
        lane(whole.curve, i), lane(other.curve, at), strict=True
      ):
        np.testing.assert_array_equal(one, two)
