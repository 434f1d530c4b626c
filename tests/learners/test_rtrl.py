"""Exact gradients carried forwards: BPTT, the rule of 1997, loops by hand."""

import functools

import jax
import numpy as np
import pytest

from lstm_jax.cells.lstm1997 import lstm1997
from lstm_jax.cells.srn import srn
from lstm_jax.lab.plan import catalog
from lstm_jax.learners._forward import influence_matrix
from lstm_jax.learners.bptt import bptt, through_time
from lstm_jax.learners.elman import elman
from lstm_jax.learners.rtrl import rtrl
from lstm_jax.learners.truncated1997 import truncated1997
from tests.array_task import array_task, random_arrays
from tests.gradients import (
  by_cost,
  cheap_jit,
  distance,
  existing,
  largest,
  random_net,
)

LENGTHS = np.array([1, 2, 5, 17, 30])
LANES = LENGTHS.shape
NUM_STEPS = int(LENGTHS.max())
I, K = 3, 2
EVERY, END = (array_task(I, K, error_at_end=end) for end in (False, True))
RATE = 0.5
# Each cell with most of what it can have, and with less.
OPTIONS = {
  'lstm': ({}, {'peepholes': True}),
  'lstm1997': ({'outputs_see_inputs': True}, {'cells_hear': 'nothing'}),
  'gru': ({}, {'reset': 'before'}),
  'lstm_layernorm': ({}, {'norm': 'per_gate'}),
  'srn': ({'outputs_see_inputs': True}, {'recurrence': 'none'}),
}
CELLS = {
  f'{name}-{n}': catalog.build('cells', name, I, K, **options)
  for name in by_cost(catalog.names('cells'))
  for n, options in enumerate(OPTIONS.get(name, ({},)))
}
TASKS = [
  ('srn', {}, 'first_symbol', {'symbols': 6}, 6),
  ('lstm1997', {}, 'first_symbol', {'symbols': 4, 'middle': 'random'}, 9),
  ('gru', {}, 'reber', {}, 1),
  ('lstm', {}, 'adding', {}, 25),
  ('lstm1997', {'outputs_see_inputs': True}, 'temporal_order', {}, 30),
  ('srn', {'activation': 'logistic'}, 'two_sequence', {}, 20),
]


def begin(learner, cell, params, rate=RATE):
  """A network in training with these weights."""
  lanes = np.shape(jax.tree.leaves(params)[0])[2:]
  numbers = {**cell.numbers, 'init_range': 1.0, 'learning_rate': 1.0}
  numbers = {name: np.asarray(n, float) for name, n in numbers.items()}
  init = learner.init
  for size in lanes:
    init = jax.vmap(init, in_axes=None, out_axes=-1, axis_size=size)
  state = jax.eval_shape(init, jax.random.key(0), numbers)
  # The memory of every optimizer is zero at first.
  state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), state)
  return state._replace(params=params, learning_rate=np.full(lanes, rate))


def arrays(seed, *, end=False):
  """Sequences of all the `LENGTHS`, one a lane."""
  episode = random_arrays(seed, NUM_STEPS, I, K, LANES, end=end)
  rng = np.random.default_rng(seed)
  times = np.arange(NUM_STEPS)[:, None]
  scored = times == LENGTHS - 1
  if not end:
    scored = rng.uniform(size=scored.shape) < 0.5
    scored[0] = True  # also the sequence of one step
  return episode._replace(scored=scored, length=LENGTHS)


def follow(learner, cell, params, episode):
  """`(change of the weights over the rate, judgement)`."""
  state = begin(learner, cell, params)
  after, judged = cheap_jit(learner.update)(state, episode)
  change = lambda a, b: (np.asarray(b) - np.asarray(a)) / RATE
  return jax.tree.map(change, after.params, params), judged


def close(ours, theirs, bound=1e-12):
  """Equal up to rounding, relative to the largest."""
  return distance(ours, theirs) < bound * max(1, largest(theirs))


@pytest.mark.parametrize('end', [True, False])
@pytest.mark.parametrize('name', CELLS)
def test_over_a_sequence_it_is_bptt(x64, name, end):
  cell, task = CELLS[name], END if end else EVERY
  params, episode = random_net(cell, 0, LANES), arrays(0, end=end)
  grads, judged = follow(
    rtrl(cell, task, update='sequence'), cell, params, episode
  )
  expected, judged_too = cheap_jit(
    lambda p, e: through_time(cell, task, p, e, NUM_STEPS)
  )(params, episode)
  assert close(grads, existing(cell, expected))
  assert largest(grads) > 1e-2
  assert distance(judged, judged_too) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize(
  ('name', 'cell_options', 'task', 'how', 'length'), TASKS
)
def test_on_the_tasks_it_is_bptt(x64, name, cell_options, task, how, length):
  """Slow: `test_over_a_sequence_it_is_bptt` holds it on random sequences."""
  task = catalog.build('tasks', task, **how)
  sizes = task.num_inputs, task.num_outputs
  cell = catalog.build('cells', name, *sizes, **cell_options)
  params = random_net(cell, 1, (3,))
  words = np.arange(6, dtype=np.uint32).reshape(2, 3) + np.uint32(5)
  draw = task.fresh
  episode = cheap_jit(draw)(tuple(words), np.full(3, length))
  learners = (
    rtrl(cell, task, update='sequence'),
    bptt(cell, task, length=length),
  )
  (ours, judged), (theirs, judged_too) = (
    follow(learner, cell, params, episode) for learner in learners
  )
  assert close(ours, theirs)
  assert largest(theirs.w_x) > 1e-4
  assert distance(judged, judged_too) < 1e-12


def by_hand(params, episode, every_step):
  """Williams & Zipser's equations in loops, for tanh units read by logistic.

  p[k, r, j] = d h_k / d w_rj, with w_r the incoming weights of hidden unit r.
  """
  w_x, w_h, b, w_out, _, b_out = (np.array(p, float) for p in params)
  w = np.concatenate([w_x, w_h, b[:, None]], axis=1)
  n, fan_in = w.shape
  first = w.copy(), w_out.copy(), b_out.copy()
  now = w, w_out, b_out
  total = [np.zeros_like(x) for x in now]
  p, h = np.zeros((n, n, fan_in)), np.zeros(n)
  for t in range(int(episode.length)):
    z = np.concatenate([episode.inputs[t], h, [1.0]])
    h = np.tanh(w @ z)
    p_t = np.zeros_like(p)
    for k in range(n):
      for r in range(n):
        for j in range(fan_in):
          inner = sum(w[k, I + l] * p[l, r, j] for l in range(n))
          p_t[k, r, j] = (1 - h[k] ** 2) * (inner + (r == k) * z[j])
    p = p_t
    if not episode.scored[t]:
      continue
    y = 1 / (1 + np.exp(-(w_out @ h + b_out)))
    e_k = (np.asarray(episode.targets[t]) - y) * y * (1 - y)
    moves = np.einsum('k,krj->rj', w_out.T @ e_k, p), np.outer(e_k, h), e_k
    for weight, sum_of, move in zip(now, total, moves, strict=True):
      sum_of += RATE * move
      if every_step:
        weight += RATE * move
  w, w_out, b_out = (a + c for a, c in zip(first, total, strict=True))
  return w[:, :I], w[:, I:-1], w[:, -1], w_out, params.w_out_x, b_out


@pytest.mark.parametrize('update', ['every_step', 'sequence'])
def test_it_is_the_rule_by_hand(x64, update):
  cell = srn(I, K, hidden=3)
  learner = rtrl(cell, EVERY, update=update)
  learn = cheap_jit(learner.update)
  changes = []
  for seed in range(4):
    params = random_net(cell, seed)
    episode = random_arrays(seed, 9, I, K, end=False)
    after, _ = learn(begin(learner, cell, params), episode)
    expected = by_hand(params, episode, update == 'every_step')
    assert close(tuple(after.params), expected)
    changes.append(distance(after.params, params))
  assert max(changes) > 0.1


@pytest.mark.slow
def test_updates_differ_where_more_than_one_step_is_scored(x64):
  """Slow: loops by hand hold the one, BPTT the other."""
  cell = CELLS['srn-0']
  params, episode = random_net(cell, 2, LANES), arrays(2)
  at_once, whole = (
    follow(rtrl(cell, EVERY, update=update), cell, params, episode)[0]
    for update in ('every_step', 'sequence')
  )
  differs = [
    distance(
      *(jax.tree.map(lambda g, i=i: g[..., i], g) for g in (at_once, whole))
    )
    > 1e-6
    for i in range(len(LENGTHS))
  ]
  scored = np.asarray(episode.scored) & (
    np.arange(NUM_STEPS)[:, None] < LENGTHS
  )
  assert differs == (scored.sum(axis=0) > 1).tolist()
  assert differs == [False, True, True, True, True]


@pytest.mark.slow
def test_with_one_error_at_the_end_both_updates_are_one(x64):
  """Slow: one of them is held to loops by hand, the other to BPTT."""
  cell = CELLS['srn-0']
  params = random_net(cell, 1, LANES)
  episode = random_arrays(1, 7, I, K, LANES, end=True)
  results = []
  for task in (EVERY, END):
    for update in ('every_step', 'sequence'):
      learner = rtrl(cell, task, update=update, optimizer='adam')
      state = begin(learner, cell, params)
      results.append(cheap_jit(learner.update)(state, episode))
  for other in results[1:]:
    assert distance(results[0], other) < 1e-12
  assert distance(results[0][0].params, params) > 1e-3


@pytest.mark.parametrize('update', ['every_step', 'sequence'])
@pytest.mark.parametrize('name', ['lstm-0', 'lstm1997-0', 'lstm1997-1'])
def test_with_the_activations_cut_it_is_the_rule_of_1997(x64, name, update):
  cell = CELLS[name]
  params, episode = random_net(cell, 3, LANES), arrays(3)
  ours, theirs, uncut = (
    follow(learner, cell, params, episode)[0]
    for learner in (
      rtrl(cell, EVERY, cut='activations', update=update),
      truncated1997(cell, EVERY, update=update),
      rtrl(cell, EVERY, update=update),
    )
  )
  assert close(ours, theirs)
  assert distance(ours, uncut) > 1e-4


def test_it_is_not_the_rule_without_a_past(x64):
  cell = CELLS['srn-0']
  params, episode = random_net(cell, 0, LANES), arrays(0)
  exact, elmans = (
    follow(rule(cell, EVERY, update='sequence'), cell, params, episode)[0]
    for rule in (rtrl, elman)
  )
  assert distance(exact, elmans) > 1e-2


def test_only_weights_that_reach_the_carry_have_a_past():
  """The network of 2a: 10,404 weights, of which 103 act on its hidden unit."""
  one = functools.partial(
    srn, 101, 101, hidden=1, recurrence='self', outputs_see_inputs=True
  )
  past = influence_matrix.past(one())
  assert (past.fields, past.size, past.weights.size) == (('h',), 1, 103)
  assert influence_matrix.past(one(hidden_bias=False)).weights.size == 102
  assert sum(int(m.sum()) for m in one(hidden_bias=False).mask) > 10_404
  # Links that do not exist have none either.
  assert influence_matrix.past(srn(3, 2, hidden=5)).weights.size == 5 * (
    3 + 5 + 1
  )
  alone = srn(3, 2, hidden=5, recurrence='self')
  assert influence_matrix.past(alone).weights.size == 5 * (3 + 1 + 1)


def test_only_fields_that_pass_errors_back_have_a_past():
  cell = lstm1997(2, 1)
  assert influence_matrix.past(cell).fields == ('s_c', 'y_c', 'y_gates')
  cut = influence_matrix.past(cell, ('y_c', 'y_gates'))
  assert (cut.fields, cut.size) == (('s_c',), 4)
  # Counted by arrays of weights: those of the output gates are among them.
  assert cut.weights.size == (2 + 2 + 4) * (2 + 4 + 4 + 1)
  # What nothing reads has no future; a cell must keep something.
  assert influence_matrix.past(srn(2, 1, recurrence='none')).fields == ('h',)


def test_a_vector_is_the_weights_that_exist(x64):
  cell = srn(2, 3, hidden=4, recurrence='self', output_bias=False)
  params = random_net(cell, 5, (2,))
  whole = influence_matrix.vector(cell.mask)
  some = influence_matrix.vector(cell.mask, [False, True, True] + [False] * 3)

  @cheap_jit
  def there_and_back(params):
    values = whole.flat(params)
    return values, whole.tree(values), some.tree(some.flat(params))

  values, back, part = there_and_back(params)
  assert values.shape == (whole.size, 2) == (4 * 2 + 4 + 4 + 3 * 4, 2)
  assert np.all(np.asarray(values) != 0)
  assert distance(back, params) == 0
  nothing = jax.tree.map(np.zeros_like, params)
  assert some.size == 4 + 4
  assert distance(part, nothing._replace(w_h=params.w_h, b=params.b)) == 0


def test_arguments_are_checked():
  with pytest.raises(
    ValueError, match="update='daily' .* every_step, sequence"
  ):
    rtrl(CELLS['srn-0'], EVERY, update='daily')
  with pytest.raises(ValueError, match="cut='all' must be one of none, activ"):
    rtrl(CELLS['srn-0'], EVERY, cut='all')
  with pytest.raises(ValueError, match='keeps the error inside an internal'):
    rtrl(CELLS['gru-0'], EVERY, cut='activations')
  with pytest.raises(ValueError, match="optimizer='lion' must be one of sgd"):
    rtrl(CELLS['srn-0'], EVERY, optimizer='lion')


def test_derivatives_that_fit_into_no_memory_are_refused_at_once():
  with pytest.raises(ValueError, match=r'2,500 carried .* 15,[0-9,]+ numbers'):
    rtrl(srn(I, K, hidden=2500), END)
