"""RFLO: its loops by hand, what it is without recurrent weights or a leak."""

import jax
import numpy as np
import pytest

from lstm_jax.cells.srn import srn
from lstm_jax.lab.plan import catalog
from lstm_jax.learners.elman import elman
from lstm_jax.learners.eprop import eprop
from lstm_jax.learners.rflo import rflo
from lstm_jax.learners.rtrl import rtrl
from lstm_jax.ops import step
from tests.array_task import array_task, random_arrays
from tests.gradients import cheap_jit, distance, largest, random_net

NUM_STEPS = 9
I, K, C = 3, 2, 4
EVERY = array_task(I, K, error_at_end=False)
RATE, LEAK = 0.5, 0.3


def updates(cell, params, episode, *learners, feedback=None):
  """The change of the weights over the rate that each learner makes."""
  numbers = {**cell.numbers, 'learning_rate': np.float64(RATE)}

  @cheap_jit
  def all_of_them(params, episode):
    after = []
    for learner in learners:
      state = learner.init(jax.random.key(0), numbers)
      if hasattr(state, 'inner'):
        inner = state.inner._replace(params=params)
        state = state._replace(inner=inner, feedback=feedback)
      else:
        state = state._replace(params=params)
      after.append(learner.update(state, episode)[0].params)
    return after

  found = all_of_them(params, episode)
  change = lambda a, b: (np.asarray(b) - np.asarray(a)) / RATE
  return [jax.tree.map(change, after, params) for after in found]


def sequence(seed):
  episode = random_arrays(seed, NUM_STEPS, I, K, end=False)
  return episode._replace(length=np.asarray(NUM_STEPS))


def by_hand(params, episode, feedback, every_step):
  """Eqs. (1)-(5) in loops over units, for tanh units read by logistic ones."""
  w_x, w_h, b, w_out, _, b_out = (np.array(p, float) for p in params)
  w = np.concatenate([w_x, w_h, b[:, None]], axis=1)
  first = w.copy(), w_out.copy(), b_out.copy()
  now = w, w_out, b_out
  total = [np.zeros_like(x) for x in now]
  h, p = np.zeros(C), np.zeros_like(w)
  for t in range(int(episode.length)):
    z = [*episode.inputs[t], *h, 1.0]
    net = w @ np.array(z)
    for i in range(C):
      for j in range(len(z)):
        p[i, j] *= 1 - LEAK
        p[i, j] += LEAK * (1 - np.tanh(net[i]) ** 2) * z[j]
    h = (1 - LEAK) * h + LEAK * np.tanh(net)
    if not episode.scored[t]:
      continue
    y = 1 / (1 + np.exp(-(w_out @ h + b_out)))
    e = (np.asarray(episode.targets[t]) - y) * y * (1 - y)
    signal = w_out.T @ e if feedback is None else feedback.T @ e
    moves = signal[:, None] * p, np.outer(e, h), e
    for weight, sum_of, move in zip(now, total, moves, strict=True):
      sum_of += move
      if every_step:
        weight += RATE * move
  if every_step:
    total = [(a - c) / RATE for a, c in zip(now, first, strict=True)]
  w, w_out, b_out = (-g for g in total)
  return w[:, :I], w[:, I:-1], w[:, -1], w_out, b_out


@pytest.mark.parametrize('update', ['every_step', 'sequence'])
@pytest.mark.parametrize('feedback', ['random', 'symmetric'])
def test_it_is_the_rule_by_hand(x64, feedback, update):
  cell = srn(I, K, hidden=C, leak=LEAK)
  learner = rflo(cell, EVERY, feedback=feedback, update=update)
  b = None
  if feedback == 'random':
    b = np.random.default_rng(5).normal(size=(K, C))
  for seed in range(3):
    params, episode = random_net(cell, seed), sequence(seed)
    (ours,) = updates(cell, params, episode, learner, feedback=b)
    theirs = by_hand(params, episode, b, update == 'every_step')
    mine = ours.w_x, ours.w_h, ours.b, ours.w_out, ours.b_out
    assert distance(mine, theirs) < 1e-12
    assert largest(ours) > 1e-2


@pytest.mark.parametrize('leak', [1.0, LEAK])
def test_where_units_are_deaf_it_is_exact(x64, leak):
  cell = srn(I, K, hidden=C, leak=leak)
  params, episode = random_net(cell, 0), sequence(0)
  learners = (
    rflo(cell, EVERY, feedback='symmetric', update='sequence'),
    rtrl(cell, EVERY, update='sequence'),
    elman(cell, EVERY, update='sequence'),
  )
  deaf = params._replace(w_h=np.zeros_like(params.w_h))
  local, exact, _ = updates(cell, deaf, episode, *learners)
  assert distance(local, exact) < 1e-12
  assert largest(local) > 1e-2
  local, exact, immediate = updates(cell, params, episode, *learners)
  assert distance(local, exact) > 1e-3
  # Without a leak a unit keeps nothing: what is left is the current step.
  assert (distance(local, immediate) < 1e-12) == (leak == 1)


def test_it_is_eprop_in_units_that_leak(x64):
  cell = srn(I, K, hidden=C, leak=LEAK)
  params, episode = random_net(cell, 1), sequence(1)
  b = np.random.default_rng(5).normal(size=(K, C))
  one, other = updates(
    cell, params, episode,
    rflo(cell, EVERY), eprop(cell, EVERY, feedback='random'), feedback=b,
  )  # fmt: skip
  assert distance(one, other) == 0
  (away,) = updates(cell, params, episode, rflo(cell, EVERY), feedback=-b)
  assert distance(one, away) > 1e-2


def test_its_feedback_is_random_where_nobody_says():
  cell = srn(I, K, hidden=C)
  numbers = {**cell.numbers, 'learning_rate': np.float32(RATE)}
  state = cheap_jit(rflo(cell, EVERY).init)(jax.random.key(0), numbers)
  assert state.feedback.shape == (K, C)
  assert largest(state.feedback) > 0.1


@pytest.mark.parametrize(
  'name', sorted({*catalog.names('cells')} - {'fully_recurrent', 'srn'})
)
def test_gated_cells_are_refused_in_one_line(name):
  cell = catalog.build('cells', name, I, K)
  with pytest.raises(ValueError, match='^rflo: it is a rule of [^\n]*$'):
    rflo(cell, EVERY)


def test_output_units_in_the_layer_are_refused():
  cell = catalog.build('cells', 'fully_recurrent', I, K)
  with pytest.raises(ValueError, match='^rflo: errors come to the [^\n]*$'):
    rflo(cell, EVERY)


@pytest.mark.parametrize('leak', [1.0, 0.25])
def test_the_leak_is_found(leak):
  cell = srn(I, K, hidden=C, leak=leak)
  assert step.constant_leak(cell) == pytest.approx(1 - leak, abs=1e-6)
  assert (cell.equations.compiled_loop is None) == (leak < 1)


def test_a_gate_is_no_constant_leak():
  """Also where it is all that the state has."""
  for name in ('gru', 'mingru'):
    assert step.constant_leak(catalog.build('cells', name, I, K)) is None


@pytest.mark.parametrize('leak', [0.0, -0.5, 1.5])
def test_a_leak_is_above_0_and_at_most_1(leak):
  with pytest.raises(ValueError, match=f'leak={leak} must be a'):
    srn(I, K, leak=leak)
