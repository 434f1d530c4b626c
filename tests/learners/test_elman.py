"""Elman's rule against BPTT without time, and against loops by hand."""

import jax
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.learners.bptt import through_time
from lstm_jax.learners.elman import elman
from tests.array_task import array_task, random_arrays
from tests.gradients import (
  by_cost,
  cheap_jit,
  distance,
  existing,
  largest,
  random_net,
)

NUM_STEPS = 7
LANES = (4,)
I, K = 3, 2
CELLS = {
  n: catalog.build('cells', n, I, K) for n in by_cost(catalog.names('cells'))
}
EVERY, END = (array_task(I, K, error_at_end=end) for end in (False, True))
RATE = 0.5


def begin(learner, cell, params, rate=RATE):
  numbers = {
    **cell.numbers,
    'learning_rate': np.full(params[0].shape[2:], rate),
  }
  state = learner.init(jax.random.key(0), numbers)
  return state._replace(params=params)


@pytest.mark.parametrize('name', CELLS)
def test_once_a_sequence_it_is_bptt_with_every_field_cut(x64, name):
  cell = CELLS[name]
  params = random_net(cell, 0, LANES)
  episode = random_arrays(0, NUM_STEPS, I, K, LANES, end=False)
  learner = elman(cell, EVERY, update='sequence')
  fields = cell.initial_carry((), np.float64)._fields

  @cheap_jit
  def both(params, episode):
    state = begin(learner, cell, params)
    cut = through_time(cell, EVERY, params, episode, NUM_STEPS, cut=fields)
    return learner.update(state, episode), cut

  (after, judged), (grads, judged_too) = both(params, episode)
  grads = existing(cell, grads)
  assert largest(grads) > 1e-3
  expected = jax.tree.map(lambda w, g: w - RATE * g, params, grads)
  assert distance(after.params, expected) < 1e-12
  assert distance(judged, judged_too) < 1e-12


def by_hand(params, episode, every_step):
  """Elman's net with tanh units in loops; returns weights and right or not."""
  w_x, w_h, b, w_out, _, b_out = weights = [np.array(p) for p in params]
  changes = [np.zeros_like(p) for p in weights]
  context, right = np.zeros(len(b)), True
  for t in range(int(episode.length)):
    x = np.asarray(episode.inputs[t])
    h = np.tanh(w_x @ x + w_h @ context + b)
    y = 1 / (1 + np.exp(-(w_out @ h + b_out)))
    if episode.scored[t]:
      error = np.asarray(episode.targets[t]) - y
      right &= bool(np.all(np.abs(error) < 0.3))
      e_k = error * y * (1 - y)
      e_h = (w_out.T @ e_k) * (1 - h * h)
      moves = (
        np.outer(e_h, x), np.outer(e_h, context), e_h,
        np.outer(e_k, h), 0, e_k,
      )  # fmt: skip
      for weight, change, move in zip(weights, changes, moves, strict=True):
        change += RATE * move
        if every_step:
          weight += RATE * move
    context = h
  if not every_step:
    weights = [w + c for w, c in zip(weights, changes, strict=True)]
  return weights, right


@pytest.mark.parametrize('update', ['every_step', 'sequence'])
def test_it_is_the_rule_by_hand(x64, update):
  cell = CELLS['srn']
  learner = elman(cell, EVERY, update=update)
  learn = cheap_jit(learner.update)
  start = cheap_jit(lambda params: begin(learner, cell, params))
  verdicts = set()
  for seed in range(30):
    params = random_net(cell, seed)
    episode = random_arrays(seed, NUM_STEPS, I, K, end=False)
    after, judged = learn(start(params), episode)
    expected, right = by_hand(params, episode, update == 'every_step')
    assert distance(tuple(after.params), tuple(expected)) < 1e-12
    assert bool(judged.right) == right
    verdicts.add(right)
  assert verdicts == {True, False}


def test_with_one_error_at_the_end_both_updates_are_one(x64):
  cell = CELLS['gru']
  params = random_net(cell, 1, LANES)
  episode = random_arrays(1, NUM_STEPS, I, K, LANES, end=True)
  results = []
  for task in (EVERY, END):
    for update in ('every_step', 'sequence'):
      learner = elman(cell, task, update=update)
      update = lambda params, episode, learner=learner: learner.update(
        begin(learner, cell, params), episode
      )
      results.append(cheap_jit(update)(params, episode))
  for other in results[1:]:
    assert distance(results[0], other) < 1e-12
  assert distance(results[0][0].params, params) > 1e-3


def test_an_optimizer_with_a_memory_rests_where_nothing_is_scored():
  cell = CELLS['srn']
  learner = elman(cell, EVERY, optimizer='adam')
  learn = cheap_jit(learner.update)
  params = random_net(cell, 1)
  episode = random_arrays(1, NUM_STEPS, I, K, end=False)
  start = cheap_jit(lambda params: begin(learner, cell, params))
  state, _ = learn(start(params), episode)
  unscored = np.zeros(np.shape(episode.scored), bool)
  after, _ = learn(state, episode._replace(scored=unscored))
  assert distance(state.params, params) > 1e-3
  assert distance(after, state) == 0


def test_arguments_are_checked():
  with pytest.raises(
    ValueError, match="update='daily' .* every_step, sequence"
  ):
    elman(CELLS['srn'], EVERY, update='daily')
  with pytest.raises(ValueError, match="optimizer='lion' must be one of sgd"):
    elman(CELLS['srn'], EVERY, optimizer='lion')
