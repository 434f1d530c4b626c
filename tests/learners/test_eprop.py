"""E-prop: the cut that it is, where it is exact, its loops by hand."""

import jax
import numpy as np
import pytest

from lstm_jax.cells.fully_recurrent import fully_recurrent
from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.lstm1997 import lstm1997
from lstm_jax.cells.lstm_layernorm import lstm_layernorm
from lstm_jax.cells.srn import srn
from lstm_jax.lab.plan import catalog
from lstm_jax.learners.bptt import through_time
from lstm_jax.learners.elman import elman
from lstm_jax.learners.eprop import eprop
from lstm_jax.learners.rtrl import rtrl
from lstm_jax.learners.truncated1997 import truncated1997
from lstm_jax.ops import step
from tests.array_task import array_task, random_arrays
from tests.gradients import (
  cheap_jit,
  distance,
  existing,
  largest,
  random_net,
)

NUM_STEPS = 7
LANES = (3,)
I, K = 3, 2
EVERY = array_task(I, K, error_at_end=False)
RATE = 0.5
# Cells whose units go on by fields of their own, and the fields by which they
# hear each other.
CUTS = {
  'lstm1997': (lstm1997(I, K), ('y_c', 'y_gates')),
  'lstm1997-B': (
    lstm1997(I, K, outputs_see_inputs=True, state_sum='compensated'),
    ('y_c', 'y_gates', 's_rest'),
  ),
  'lstm': (lstm(I, K), ('y_c',)),
  'lstm-peepholes': (lstm(I, K, peepholes=True), ('y_c',)),
  'layernorm': (lstm_layernorm(I, K), ('y_c',)),
  'srn': (srn(I, K, outputs_see_inputs=True), ('h',)),
}
RECURRENT = ('w_h', 'w_gates', 'w_cells')


def begin(learner, cell, params, feedback=None):
  """A network in training with these weights, and this feedback."""
  lanes = np.shape(params[0])[2:]
  rate = np.full(lanes, RATE)
  numbers = {**cell.numbers, 'learning_rate': np.float64(RATE)}
  state = learner.init(jax.random.key(0), numbers)
  if hasattr(state, 'inner'):
    inner = state.inner._replace(params=params, learning_rate=rate)
    return state._replace(inner=inner, feedback=feedback)
  return state._replace(params=params, learning_rate=rate)


def updates(cell, params, episode, *learners, feedback=None, task=EVERY):
  """The change of the weights over the rate that each learner makes."""

  @cheap_jit
  def all_of_them(params, episode):
    after = []
    for learner in learners:
      state = begin(learner, cell, params, feedback)
      after.append(learner.update(state, episode)[0].params)
    return after

  found = all_of_them(params, episode)
  change = lambda a, b: (np.asarray(b) - np.asarray(a)) / RATE
  return [jax.tree.map(change, after, params) for after in found]


@pytest.mark.parametrize('name', CUTS)
def test_it_is_bptt_with_what_units_send_cut(x64, name):
  cell, cut = CUTS[name]
  params = random_net(cell, 0, LANES)
  episode = random_arrays(0, NUM_STEPS, I, K, LANES, end=False)
  learner = eprop(cell, EVERY, update='sequence')
  (grads,) = updates(cell, params, episode, learner)

  @cheap_jit
  def both(params, episode):
    return [
      through_time(cell, EVERY, params, episode, NUM_STEPS, cut=fields)[0]
      for fields in (cut, ())
    ]

  expected, exact = both(params, episode)
  assert distance(grads, existing(cell, expected)) < 1e-12
  assert distance(grads, existing(cell, exact)) > 1e-3
  assert largest(grads) > 1e-2


@pytest.mark.parametrize('update', ['every_step', 'sequence'])
@pytest.mark.parametrize(
  ('name', 'rule'),
  [('lstm1997', truncated1997), ('lstm', truncated1997), ('srn', elman)],
)
def test_it_is_the_rule_of_1997_and_that_of_elman(x64, name, rule, update):
  """Of memory cells the one, of units that keep nothing the other."""
  cell, _ = CUTS[name]
  params = random_net(cell, 1, LANES)
  episode = random_arrays(1, NUM_STEPS, I, K, LANES, end=False)
  ours, theirs = updates(
    cell, params, episode,
    eprop(cell, EVERY, update=update), rule(cell, EVERY, update=update),
  )  # fmt: skip
  assert distance(ours, theirs) < 1e-12
  assert largest(ours) > 1e-2


@pytest.mark.parametrize('name', ['gru', 'lstm', 'lstm1997', 'srn'])
def test_where_no_unit_hears_another_it_is_exact(x64, name):
  cell = catalog.build('cells', name, I, K)
  episode = random_arrays(2, NUM_STEPS, I, K, LANES, end=False)
  learners = (
    eprop(cell, EVERY, update='sequence'),
    rtrl(cell, EVERY, update='sequence'),
  )
  hearing = random_net(cell, 2, LANES)
  deaf = hearing._replace(
    **{
      field: np.zeros_like(getattr(hearing, field))
      for field in set(RECURRENT) & {*hearing._fields}
    }
  )
  local, exact = updates(cell, deaf, episode, *learners)
  assert distance(local, exact) < 1e-12
  assert largest(local) > 1e-2
  # A sequence of one step has no past; one of two steps has.
  for length, differs in ((1, False), (2, True)):
    scored = np.arange(NUM_STEPS)[:, None] < np.full(LANES, length)
    short = episode._replace(length=np.full(LANES, length), scored=scored)
    local, exact = updates(cell, hearing, short, *learners)
    assert (distance(local, exact) > 1e-3) == differs
    assert differs or distance(local, exact) < 1e-12


def test_of_units_that_never_hear_each_other_it_is_exact(x64):
  cell = catalog.build('cells', 'mingru', I, K)
  params = random_net(cell, 0, LANES)
  episode = random_arrays(0, NUM_STEPS, I, K, LANES, end=False)
  local, exact = updates(
    cell, params, episode,
    *(rule(cell, EVERY, update='sequence') for rule in (eprop, rtrl)),
  )  # fmt: skip
  assert distance(local, exact) < 1e-12
  assert largest(local) > 1e-2


def test_a_units_link_to_itself_is_one_of_those_cut(x64):
  """The paper's z_j(t-1) is constant also for unit j."""
  cell = srn(I, K, recurrence='self')
  params = random_net(cell, 0, LANES)
  episode = random_arrays(0, NUM_STEPS, I, K, LANES, end=False)
  local, exact, immediate = updates(
    cell, params, episode,
    *(rule(cell, EVERY, update='sequence') for rule in (eprop, rtrl, elman)),
  )  # fmt: skip
  assert distance(local, immediate) < 1e-12
  assert distance(local, exact) > 1e-3


def logistic(x):
  return 1 / (1 + np.exp(-x))


def lstm_step(p, x, s, h):
  """`(y, s, [ds/dnet], [dy/dnet at constant s], ds/ds_tm1, dy/ds)`."""
  i, f, g, o = np.split(p.w_x @ x + p.w_h @ h + p.b, 4)
  i, f, g, o = logistic(i), logistic(f), np.tanh(g), logistic(o)
  s_t = f * s + i * g
  by_net = (i * (1 - i) * g, f * (1 - f) * s, i * (1 - g**2), 0 * o)
  direct = (0 * i, 0 * f, 0 * g, o * (1 - o) * np.tanh(s_t))
  slope = o * (1 - np.tanh(s_t) ** 2)
  return o * np.tanh(s_t), s_t, by_net, direct, f, slope


def gru_step(p, x, s, h):
  """The same; its state is what it sends, b_hn an eighth kind of weight."""
  (x_r, x_z, x_n), (h_r, h_z, h_n) = (
    np.split(net, 3) for net in (p.w_x @ x + p.b, p.w_h @ h)
  )
  r, z = logistic(x_r + h_r), logistic(x_z + h_z)
  n = np.tanh(x_n + r * (h_n + p.b_hn))
  by_n = (1 - z) * (1 - n**2)
  by_r = by_n * (h_n + p.b_hn) * r * (1 - r)
  by_z = (s - n) * z * (1 - z)
  h_t = (1 - z) * n + z * s
  # Rows r and z hear x and h alike, row n hears h through r.
  by_net = by_r, by_z, by_n, by_n * r
  return h_t, h_t, by_net, [0 * z] * 4, z, 1 + 0 * z


def by_hand(name, params, episode, feedback, every_step):
  """Eqs. (1)-(4) and (13)-(14) in loops; a trace for every weight."""
  p = params._replace(**{n: w.copy() for n, w in params._asdict().items()})
  first = params._replace(**{n: w.copy() for n, w in p._asdict().items()})
  total = jax.tree.map(np.zeros_like, p)
  size = p.w_out.shape[1]
  # eps[kind][j, source] over the sources x, h, 1.
  eps = np.zeros((4, size, I + size + 1))
  s = h = np.zeros(size)
  for t in range(int(episode.length)):
    x = np.asarray(episode.inputs[t])
    z = np.concatenate([x, h, [1.0]])
    rule = {'lstm': lstm_step, 'gru': gru_step}[name]
    h_t, s, by_net, direct, kept, slope = rule(p, x, s, h)
    h = h_t
    for kind in range(4):
      for j in range(size):
        for i in range(len(z)):
          at_once = by_net[kind][j] * z[i]
          eps[kind, j, i] = kept[j] * eps[kind, j, i] + at_once
    if not episode.scored[t]:
      continue
    y = logistic(p.w_out @ h + p.b_out)
    error = (y - np.asarray(episode.targets[t])) * y * (1 - y)
    back = p.w_out if feedback is None else feedback
    grads = np.zeros_like(eps)
    for kind in range(4):
      for j in range(size):
        signal = sum(back[k, j] * error[k] for k in range(K))
        for i in range(len(z)):
          trace = slope[j] * eps[kind, j, i] + direct[kind][j] * z[i]
          grads[kind, j, i] = signal * trace
    moves = {'w_out': np.outer(error, h), 'b_out': error}
    if name == 'lstm':
      rows = grads.reshape(4 * size, -1)
      moves |= {'w_x': rows[:, :I], 'w_h': rows[:, I:-1], 'b': rows[:, -1]}
    else:
      of_x, of_h = (
        np.concatenate([*grads[:2], grads[kind]]) for kind in (2, 3)
      )
      moves |= {'w_x': of_x[:, :I], 'w_h': of_h[:, I:-1]}
      moves |= {'b': of_x[:, -1], 'b_hn': grads[3][:, -1]}
    for field, move in moves.items():
      getattr(total, field)[...] += move
      if every_step:
        getattr(p, field)[...] -= RATE * move
  after = p if every_step else jax.tree.map(lambda w, g: w - RATE * g, p, total)
  return jax.tree.map(lambda a, b: (b - a) / RATE, after, first)


@pytest.mark.parametrize('update', ['every_step', 'sequence'])
@pytest.mark.parametrize('name', ['gru', 'lstm'])
def test_it_is_the_rule_by_hand(x64, name, update):
  cell = catalog.build('cells', name, I, K, hidden=3)
  for feedback in ('symmetric', 'random'):
    learner = eprop(cell, EVERY, feedback=feedback, update=update)
    b = np.random.default_rng(5).normal(size=(K, 3))
    b = b if feedback == 'random' else None
    for seed in range(2):
      params = random_net(cell, seed)
      episode = random_arrays(seed, 9, I, K, end=False)
      (ours,) = updates(cell, params, episode, learner, feedback=b)
      theirs = by_hand(name, params, episode, b, update == 'every_step')
      assert distance(ours, theirs) < 1e-12
    assert largest(ours) > 1e-2


@pytest.mark.parametrize('name', ['lstm', 'srn'])
def test_feedback_by_the_output_weights_is_symmetric(x64, name):
  cell = catalog.build('cells', name, I, K)
  params = random_net(cell, 0, LANES)
  episode = random_arrays(0, NUM_STEPS, I, K, LANES, end=False)
  both = [
    eprop(cell, EVERY, feedback=feedback, update='sequence')
    for feedback in ('symmetric', 'random')
  ]
  by_w, by_b = updates(cell, params, episode, *both, feedback=params.w_out)
  assert distance(by_w, by_b) < 1e-12
  _, other = updates(cell, params, episode, *both, feedback=-params.w_out)
  assert distance(by_w.w_x, jax.tree.map(np.negative, other.w_x)) < 1e-12
  assert distance(by_w.w_out, other.w_out) < 1e-12  # these hear no feedback


def test_feedback_is_drawn_once_from_the_key_and_never_learns():
  cell = lstm(I, K)
  numbers = {**cell.numbers, 'learning_rate': np.float32(RATE)}
  learner = eprop(cell, EVERY, feedback='random')
  init, learn = cheap_jit(learner.init), cheap_jit(learner.update)
  state, again = (init(jax.random.key(5), numbers) for _ in range(2))
  other = init(jax.random.key(6), numbers)
  assert state.feedback.shape == (K, 4) == params_shape(state)
  assert distance(state, again) == 0
  assert distance(state.feedback, other.feedback) > 0.1
  assert largest(state.feedback) < K**-0.5
  drawn = np.concatenate(
    [np.ravel(init(jax.random.key(k), numbers).feedback) for k in range(100)]
  )
  # 800 uniform numbers: mean 0 and variance 1/(3K), within 5 deviations.
  assert abs(np.mean(drawn)) < 5 * (3 * K * 800) ** -0.5
  assert abs(np.var(drawn) * 3 * K - 1) < 5 * (4 / 5 / 800) ** 0.5
  episode = random_arrays(0, NUM_STEPS, I, K, end=False)
  after, _ = learn(state, episode)
  assert distance(after.feedback, state.feedback) == 0
  assert distance(after.params, state.params) > 1e-4
  # Every learner begins with the same weights.
  theirs = cheap_jit(rtrl(cell, EVERY).init)(jax.random.key(5), numbers)
  assert distance(state.params, theirs.params) == 0


def params_shape(state):
  return state.params.w_out.shape


@pytest.mark.parametrize(
  ('cell', 'reason'),
  [
    (fully_recurrent(I, K), 'errors come to the units by their links'),
    (lstm(I, K)._replace(equations=None), 'errors come to the units by'),
    (gru(I, K, reset='before'), 'it follows each unit through its own state'),
    (lstm_layernorm(I, K, norm='per_gate'), 'it follows each unit'),
    (catalog.build('cells', 'cascaded', I, K), 'it follows each unit'),
    (catalog.build('cells', 'lem', I, K), 'it follows each unit'),
  ],
)
def test_what_it_cannot_train_is_refused_in_one_line(cell, reason):
  with pytest.raises(ValueError, match=f'^eprop: {reason}[^\n]*$'):
    eprop(cell, EVERY)


def test_arguments_are_checked():
  with pytest.raises(ValueError, match="feedback='sign' .* symmetric, random"):
    eprop(lstm(I, K), EVERY, feedback='sign')
  with pytest.raises(
    ValueError, match="update='daily' .* every_step, sequence"
  ):
    eprop(lstm(I, K), EVERY, update='daily')
  with pytest.raises(ValueError, match="optimizer='lion' must be one of sgd"):
    eprop(lstm(I, K), EVERY, optimizer='lion')


def test_fields_of_units_that_act_on_themselves():
  fields = {name: step.local_fields(cell) for name, (cell, _) in CUTS.items()}
  assert fields == {
    'lstm1997': ('s_c',),
    'lstm1997-B': ('s_c',),
    'lstm': ('s_c',),
    'lstm-peepholes': ('s_c',),
    'layernorm': ('s_c',),
    'srn': (),
  }
  assert step.local_fields(gru(I, K)) == ('h',)
  assert step.local_fields(gru(I, K, reset='before')) is None
