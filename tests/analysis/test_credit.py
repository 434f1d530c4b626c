"""The error signal that a learner uses, lag by lag."""

import jax
import numpy as np
import pytest

from lstm_jax.analysis import credit, gradient_flow
from lstm_jax.lab.plan import catalog
from lstm_jax.lab.vanishing import learners
from tests.array_task import array_task, random_arrays
from tests.gradients import cheap_jit, distance, random_net

T, I, K = 7, 2, 1
LANES = (4,)
RATE = 0.5
# Learners whose first update is a multiple of the gradient.
EXACT = ('bptt', 'kf', 'rtrl')


def net(cell, seed=0, **options):
  """`(task, narrow cell and params, wide cell and params)`."""
  task = array_task(I, K, error_at_end=True)
  narrow = catalog.build('cells', cell, I, K, **options)
  params = random_net(narrow, seed, LANES)
  wide = catalog.build('cells', cell, I + T, K, **options)
  widened = cheap_jit(lambda params: credit.widened(params, wide.mask))(params)
  return task, narrow, params, wide, widened


def signals(learner, wide, params, task, episode, **options):
  if 'length' in catalog.describe('learners', learner).static:
    options['length'] = T
  probed = credit.probed(task, T)
  made = catalog.build('learners', learner, wide, probed, **options)
  numbers = catalog.describe('learners', learner).numbers
  numbers = dict(wide.numbers) | {
    name: np.full(LANES, value) for name, value in numbers.items()
  }
  if learner != 'kf':
    numbers['learning_rate'] = np.full(LANES, RATE)
  state = jax.eval_shape(
    made.init, jax.random.key(0), jax.tree.map(np.float64, wide.numbers)
    | {name: np.float64(0) for name in numbers if name not in wide.numbers},
  )  # fmt: skip
  if learner == 'kf':
    size = state.covariance.shape[0]
    state = state._replace(
      covariance=np.broadcast_to(np.eye(size)[..., None], (size, size, *LANES)),
      process_noise=np.zeros(LANES),
    )
  state = state._replace(params=params, learning_rate=np.full(LANES, RATE))
  run = cheap_jit(
    lambda state, episode: credit.by_lag(made, state, probed, episode, T)
  )
  return np.asarray(run(state, episode))


def test_it_is_the_error_by_the_net_input(x64):
  """For a simple net f'(net(t)) dE/dh(t), by `gradient_flow`."""
  task, cell, params, wide, widened = net('srn', activation='logistic')
  episode = random_arrays(1, T, I, K, LANES, end=True)
  got = signals('bptt', wide, widened, task, episode)
  by_lag = cheap_jit(
    lambda *given: gradient_flow.error_by_lag(cell, task, *given, T).h
  )
  errors, length = np.asarray(by_lag(params, episode)), episode.length
  h_tm1 = np.zeros(errors.shape[1:])
  want = np.zeros((T, *LANES))
  for t in range(T):
    sums = lambda w, x: np.einsum('ij...,j...->i...', w, x)
    net_t = sums(params.w_x, episode.inputs[t]) + sums(params.w_h, h_tm1)
    net_t = net_t + params.b
    h_t = 1 / (1 + np.exp(-net_t))
    for lane in range(*LANES):
      q = length[lane] - 1 - t
      if q >= 1:  # lag 0 of `gradient_flow` is the state before the last step
        delta = h_t * (1 - h_t) * errors[q - 1]
        want[q, lane] = RATE * np.linalg.norm(delta[:, lane])
    h_tm1 = h_t
  assert length.min() < T and length.max() > 2
  np.testing.assert_allclose(got[1:], want[1:], rtol=1e-10)
  assert np.all(got[0] > 0)
  past = np.arange(T)[:, None] >= length
  assert np.all(got[past] == 0) and np.all(got[~past] > 0)


def test_the_lines_change_nothing_in_the_net(x64):
  task, cell, params, wide, widened = net('lstm1997')
  episode = random_arrays(1, T, I, K, LANES, end=True)
  probed = credit.probed(task, T)
  judge = lambda cell, task, params: catalog.build(
    'learners', 'bptt', cell, task, length=T
  ).judge(params, episode)

  @cheap_jit
  def both(params, widened):
    return judge(cell, task, params), judge(wide, probed, widened)

  assert distance(*both(params, widened)) < 1e-15
  clocks = np.broadcast_to(np.arange(T)[:, None], (T, *LANES))
  x = cheap_jit(jax.vmap(probed.stream(episode).input_at))(clocks)
  np.testing.assert_array_equal(
    np.asarray(x)[:, I:], np.broadcast_to(np.eye(T)[..., None], (T, T, *LANES))
  )


@pytest.mark.parametrize('cell', ['srn', 'lstm1997'])
def test_exact_rules_agree_and_others_do_not(x64, cell):
  task, _, _, wide, widened = net(cell)
  episode = random_arrays(2, T, I, K, LANES, end=True)
  assert np.asarray(episode.length).max() > 3
  relative = {}
  for learner in (*EXACT, 'elman', 'snap1'):
    found = signals(learner, wide, widened, task, episode)
    relative[learner] = found / found[:1]
  for learner in EXACT[1:]:
    np.testing.assert_allclose(
      relative[learner], relative['bptt'], rtol=1e-9, atol=1e-15
    )
  assert np.all(relative['elman'][1:] == 0)
  far = relative['bptt'][3] > 0
  assert np.all(relative['snap1'][3][far] != relative['bptt'][3][far])


def test_every_learner_has_a_signal_or_a_reason():
  chosen = learners.choose('all')
  assert {*chosen, *learners.NO_SIGNAL} == {*catalog.names('learners')}
  assert not {*chosen} & {*learners.NO_SIGNAL}
