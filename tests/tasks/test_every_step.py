"""The truncated rule with an update after every scored step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.lstm1997 import lstm1997
from lstm_jax.lab.plan import catalog
from lstm_jax.learners.truncated1997 import REFUSES, truncated1997
from lstm_jax.ops.unroll import detach
from tests.array_task import array_task, random_arrays
from tests.gradients import cheap_jit, distance, existing, largest, random_net

NUM_STEPS = 8
EVERY = array_task(3, 2, error_at_end=False)
RATES = (0.5, 0.25, 0.0, 1.0, 0.125)
LANES = (len(RATES),)
NETS = {
  'lstm1997': lstm1997(3, 2, blocks=2, block_size=2, outputs_see_inputs=True),
  'lstm': lstm(3, 2, hidden=3),
}


def state_of(net, optimizer):
  """Nets in training: the weights of `random_net`, rates of their own."""
  cell = NETS[net]
  init = truncated1997(cell, EVERY, optimizer=optimizer).init
  numbers = {**cell.numbers, 'init_range': 1.0, 'learning_rate': 1.0}
  numbers = {k: np.asarray(n, float) for k, n in numbers.items()}
  init = jax.vmap(init, in_axes=None, out_axes=-1, axis_size=LANES[0])
  state = jax.eval_shape(init, jax.random.key(0), numbers)
  # The memory of every optimizer is zero at first.
  state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), state)
  params = random_net(cell, 0, LANES)
  return state._replace(params=params, learning_rate=np.asarray(RATES))


@functools.cache
def learn(net, update, optimizer='sgd'):
  rule = truncated1997(NETS[net], EVERY, update=update, optimizer=optimizer)
  return cheap_jit(rule.update)


def lane(tree, i):
  return jax.tree.map(lambda a: np.asarray(a)[..., i], tree)


@functools.cache
def error_of(net):
  """Error of step `last` as a function of a shift of the weights.

  Every step before it ran under weights of its own, and all are shifted alike:
  the derivative at zero is what traces carried through those steps amount to.
  """
  cell = NETS[net]
  names = cell.initial_carry((), np.float64)._fields
  cut = tuple(name for name in names if name != cell.internal.field)

  def error(shift, weights, episode, last):
    def body(carry, step):
      t, x_t, w = step
      now = jax.tree.map(jnp.add, w, shift)
      carry_t, net_t = cell.step(now, detach(carry, cut), x_t)
      keep = lambda a, b: jnp.where(t <= last, a, b)
      return jax.tree.map(keep, carry_t, carry), net_t

    carry = cell.initial_carry((), jnp.float64)
    steps = jnp.arange(NUM_STEPS), episode.inputs, weights
    _, nets = jax.lax.scan(body, carry, steps)
    loss = EVERY.loss(nets[last], episode.targets[last])
    return loss, EVERY.output(nets[last])

  return cheap_jit(jax.grad(error, has_aux=True))


@functools.cache
def moving(net, optimizer):
  """`(start, move)` of optax, for one network of the kind."""
  transform = getattr(optax, optimizer)
  start = cheap_jit(transform(learning_rate=0.0).init)

  @cheap_jit
  def move(rate, params, grads, moments):
    step = transform(learning_rate=rate).update(grads, moments, params)
    return jax.tree.map(jnp.add, params, step[0]), step[1]

  del net  # one set for each shape
  return start, move


def by_hand(net, optimizer, params, rate, episode):
  """One sequence for one network, step by step: `(params, outputs)`."""
  outputs = {}
  start, move = moving(net, optimizer)
  moments = start(params)
  # What is not written yet does not reach the error.
  stack = lambda w: np.zeros((NUM_STEPS, *w.shape))
  history, zeros = (
    jax.tree.map(stack, params),
    jax.tree.map(np.zeros_like, params),
  )
  for t in range(int(episode.length)):
    for past, now in zip(history, params, strict=True):
      past[t:] = now
    if not episode.scored[t]:
      continue
    grads, y = error_of(net)(zeros, history, episode, t)
    outputs[t] = np.asarray(y)
    grads = existing(NETS[net], grads)
    params, moments = move(rate, params, grads, moments)
  return params, outputs


@pytest.mark.parametrize(
  ('net', 'optimizer'),
  [('lstm1997', 'sgd'), ('lstm1997', 'adam'), ('lstm', 'sgd')],
)
def test_it_is_the_loop_by_hand(x64, net, optimizer):
  """Lanes of different lengths, scored at steps of their own."""
  first = state_of(net, optimizer)
  episode = random_arrays(2, NUM_STEPS, 3, 2, LANES, end=False)
  assert len(set(np.asarray(episode.length))) > 2
  assert np.asarray(episode.scored).sum() > 10
  learned = learn(net, 'every_step', optimizer)(first, episode)
  after, judgement = jax.tree.map(np.asarray, learned)
  for i, rate in enumerate(RATES):
    params, alone = lane(first.params, i), lane(episode, i)
    want, outputs = by_hand(net, optimizer, params, rate, alone)
    assert distance(lane(after.params, i), want) < 1e-12
    assert (distance(want, params) > 1e-3) == (rate > 0 and len(outputs) > 0)
    # The outputs are judged before the update that they bring.
    errors = [alone.targets[t] - y for t, y in outputs.items()] or [np.zeros(2)]
    assert abs(judgement.absolute[i] - np.abs(errors).mean()) < 1e-12
    assert abs(judgement.squared[i] - np.square(errors).mean()) < 1e-12
    assert judgement.right[i] == (np.max(np.abs(errors)) < 0.3)


@pytest.mark.parametrize('net', NETS)
def test_one_scored_step_at_the_end_is_an_update_a_sequence(x64, net):
  """Also where the task does not say that there is only one."""
  first = state_of(net, 'sgd')
  episode = random_arrays(2, NUM_STEPS, 3, 2, LANES, end=True)
  step, judged = learn(net, 'every_step')(first, episode)
  whole, judged_too = learn(net, 'sequence')(first, episode)
  assert distance(step.params, whole.params) < 1e-12
  assert distance(judged, judged_too) < 1e-12
  assert distance(step.params, first.params) > 1e-2


def test_more_of_them_are_not(x64):
  first = state_of('lstm1997', 'sgd')
  episode = random_arrays(2, NUM_STEPS, 3, 2, LANES, end=False)
  step, _ = learn('lstm1997', 'every_step')(first, episode)
  whole, _ = learn('lstm1997', 'sequence')(first, episode)
  differs = [
    distance(lane(step.params, i), lane(whole.params, i)) > 1e-4
    for i in range(len(RATES))
  ]
  count = np.asarray(episode.scored).sum(axis=0)
  assert differs == [n > 1 and r > 0 for n, r in zip(count, RATES, strict=True)]


def test_where_the_task_scores_the_end_alone_it_is_the_same_program(x64):
  end, cell = array_task(3, 2, error_at_end=True), NETS['lstm1997']
  state = jax.eval_shape(lambda: state_of('lstm1997', 'sgd'))
  episode = jax.eval_shape(
    lambda: random_arrays(2, NUM_STEPS, 3, 2, LANES, end=True)
  )
  step, whole = (
    jax.make_jaxpr(truncated1997(cell, end, update=update).update)(
      state, episode
    )
    for update in ('every_step', 'sequence')
  )
  assert str(step) == str(whole)


def test_a_lane_that_is_not_scored_never_moves(x64):
  """Adam would: what it remembers moves weights without a gradient."""
  learn_adam = learn('lstm1997', 'every_step', 'adam')
  first = state_of('lstm1997', 'adam')
  episode = random_arrays(2, NUM_STEPS, 3, 2, LANES, end=False)
  # A start that it remembers.
  state, _ = learn_adam(first, episode)
  assert largest(lane(state.optimizer, 0)) > 0
  length = np.array([NUM_STEPS, 1, 3, NUM_STEPS, 2])
  scored = np.zeros((NUM_STEPS, len(RATES)), bool)
  # Two are scored once, at their first step: not also while they wait to begin.
  # Two are scored past their ends.
  scored[0, [0, 2]] = True
  scored[1:, 1] = True
  scored[4:, 4] = True
  other = episode._replace(length=length, scored=scored)
  after, judgement = learn_adam(state, other)
  for i in (1, 3, 4):
    assert distance(lane(after, i), lane(state, i)) == 0
    assert judgement.absolute[i] == 0
  assert distance(lane(after.params, 0), lane(state.params, 0)) > 1e-3
  counts = [np.asarray(s.optimizer[0].count) for s in (after, state)]
  assert (counts[0] - counts[1]).tolist() == [1, 0, 1, 0, 0]


def test_a_lane_is_the_net_alone(x64):
  first = state_of('lstm1997', 'adam')
  episode = random_arrays(2, NUM_STEPS, 3, 2, LANES, end=False)
  learn_adam = learn('lstm1997', 'every_step', 'adam')
  after, judged = learn_adam(first, episode)
  for i in (0, 3):
    among_itself = lambda a, i=i: np.asarray(a)[..., [i] * len(RATES)]
    copies = jax.tree.map(among_itself, (first, episode))
    alone, judged_alone = learn_adam(*copies)
    assert distance(lane(after, i), lane(alone, 0)) < 1e-12
    assert distance(lane(judged, i), lane(judged_alone, 0)) < 1e-12


def test_the_batched_form_refuses_it():
  cell = NETS['lstm1997']
  with pytest.raises(ValueError, match='form=batched with update=every_step'):
    truncated1997(cell, EVERY, form='batched', update='every_step', length=9)
  with pytest.raises(ValueError, match="update='daily' .* sequence, every_st"):
    truncated1997(cell, EVERY, update='daily')
  entry = catalog.describe('learners', 'truncated1997')
  assert (
    {'form': 'batched', 'update': 'every_step'},
    REFUSES[0][1],
  ) in entry.refuses
