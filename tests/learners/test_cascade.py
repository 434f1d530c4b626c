"""Cascade-correlation against loops written from the equations.

A trial of a tiny net runs through its phases beside a plain reimplementation,
and the slopes of candidates are those of their score.
"""

import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.cascaded import cascaded
from lstm_jax.lab.plan import catalog
from lstm_jax.learners._cascade import candidate_pool
from lstm_jax.learners._cascade.phases import CANDIDATES, MEASURE, OUTPUTS
from lstm_jax.learners.cascade import cascade
from lstm_jax.ops.unroll import unroll
from tests.array_task import Arrays, array_task, random_arrays
from tests.gradients import cheap_jit, distance

I, K, C, P, N, T = 2, 2, 2, 3, 3, 5
TASK = array_task(I, K, error_at_end=False)
RATE = 2.0
OPTIONS = dict(
  candidates=P, epoch_sequences=N, patience=2, output_change=0.2,
  candidate_change=0.2, most_epochs=5, candidate_rate=20.0, mu=1.75,
  decay=0.01, prime_offset=0.1,
)  # fmt: skip
F = {
  'symmetric': lambda x: 1 / (1 + math.exp(-x)) - 0.5,
  'logistic': lambda x: 1 / (1 + math.exp(-x)),
  'tanh': math.tanh,
}
PRIME = {
  'symmetric': lambda v: 0.25 - v * v,
  'logistic': lambda v: v * (1 - v),
  'tanh': lambda v: 1 - v * v,
}


def dot(row, values):
  return sum(float(w) * float(v) for w, v in zip(row, values, strict=True))


def net_loop(p, inputs, activation):
  """`(V(t), net_k(t))` at each step, unit by unit."""
  before, steps = [0.0] * len(p.b), []
  for x in inputs:
    now = []
    for i in range(len(p.b)):
      net = dot(p.w_x[i], x) + dot(p.w_h[i, :i], now) + p.b[i]
      now.append(F[activation](net + p.w_s[i] * before[i]))
    nets = [
      dot(p.w_out[k], now) + dot(p.w_out_x[k], x) + p.b_out[k]
      for k in range(len(p.b_out))
    ]
    steps.append((now, nets))
    before = now
  return steps


@pytest.mark.parametrize('activation', F)
def test_the_cell_is_its_loop(activation, x64):
  cell = cascaded(I, K, hidden=4, activation=activation)
  rng = np.random.default_rng(0)
  p = jax.tree.map(lambda m: rng.normal(size=m.shape) * m, cell.mask)
  inputs = rng.normal(size=(6, I))
  carry, nets = unroll(cell, p, inputs)
  steps = net_loop(p, inputs, activation)
  np.testing.assert_allclose(nets, [n for _, n in steps], atol=1e-12)
  np.testing.assert_allclose(carry.h, steps[-1][0], atol=1e-12)


@pytest.mark.parametrize(
  ('hidden', 'options', 'count'),
  [
    # Fahlman's 7 units on 7 symbols: 70 + 7 self links; 49 + 49 to the outputs.
    (7, dict(hidden_bias=False, output_bias=False), 70 + 7 + 98),
    (7, {}, 70 + 7 + 7 + 98 + 7),
    (1, {}, 7 + 1 + 1 + 7 + 49 + 7),
  ],
)
def test_the_number_of_weights(hidden, options, count):
  mask = cascaded(7, 7, hidden=hidden, **options).mask
  assert sum(int(m.sum()) for m in mask) == count


# What the learner does, in plain loops.


class Step(NamedTuple):
  sources: list  # x, V of the installed units
  target: np.ndarray
  net: np.ndarray
  scored: bool


def run_sequence(p, episode, activation, installed):
  """The steps of one sequence without lanes."""
  length = int(episode.length)
  inputs = np.asarray(episode.inputs)[:length]
  steps = []
  for t, (values, net) in enumerate(net_loop(p, inputs, activation)):
    heard = [v if i < installed else 0.0 for i, v in enumerate(values)]
    steps.append(
      Step(
        [*inputs[t], *heard],
        np.asarray(episode.targets)[t],
        np.array(net),
        bool(episode.scored[t]),
      )  # fmt: skip
    )
  return steps


def errors(step, offset, residual):
  """`(y - t, error signal, residual)`."""
  y = 1 / (1 + np.exp(-step.net))
  difference = y - step.target
  signal = difference * (y * (1 - y) + offset)
  return (
    difference,
    signal,
    signal if residual == 'error_signal' else difference,
  )


def values_of(weights, self_link, steps, activation, bias=1.0):
  """V(t) of a unit and its derivatives by sources, bias and self link."""
  value, slope, out = 0.0, np.zeros(len(weights) + 1), []
  for step in steps:
    sources = np.array([*step.sources, bias])
    before = value
    value = F[activation](dot(weights, sources) + self_link * before)
    prime = PRIME[activation](value)
    slope = prime * (np.array([*sources, before]) + self_link * slope)
    out.append((value, slope))
  return out


def quickprop(w, d, p, s, epsilon, mu, decay):
  """One weight, as Fahlman's program has it."""
  s = s + decay * w
  step = 0.0
  if d < 0:
    if s > 0:
      step -= epsilon * s
    step += mu * d if s >= mu / (1 + mu) * p else d * s / (p - s)
  elif d > 0:
    if s < 0:
      step -= epsilon * s
    step += mu * d if s <= mu / (1 + mu) * p else d * s / (p - s)
  else:
    step -= epsilon * s
  return w + step, step, s


move = np.vectorize(quickprop)


def pool_rows(pool):
  """`[P, I + C + 2]`: weights from inputs, units, bias and itself."""
  columns = pool.w_x, pool.w_h, pool.b[:, None], pool.w_s[:, None]
  return np.concatenate([np.asarray(a) for a in columns], axis=1)


def measure(rows, sequences, activation, offset, residual, aim=None):
  """Sums over an epoch: correlation `[P, K]`, -dS/dw, mean E, sum E^2.

  Without an aim its own mean, sum of squares and signs stand in the slopes.
  """
  values, slopes, error = [[] for _ in rows], [[] for _ in rows], []
  for steps in sequences:
    scored = [s.scored for s in steps]
    for p, row in enumerate(rows):
      run = values_of(row[:-1], row[-1], steps, activation)
      values[p] += [v for (v, _), s in zip(run, scored, strict=True) if s]
      slopes[p] += [g for (_, g), s in zip(run, scored, strict=True) if s]
    error += [errors(s, offset, residual)[2] for s in steps if s.scored]
  values, slopes, error = map(np.array, (values, slopes, error))
  mean, square = error.mean(axis=0), (error**2).sum()
  centred = values - values.mean(axis=1, keepdims=True)
  correlation = centred @ (error - mean) / square
  if aim is None:
    aim = correlation, mean, square
  sign = np.where(aim[0] < 0, -1.0, 1.0)
  push = -np.einsum('po,no->pn', sign, error - aim[1]) / aim[2]
  return correlation, np.einsum('pn,pns->ps', push, slopes), mean, square


def a_task(num_sequences, **options):
  """A learner of the tiny net, and its sequences without lanes."""
  cell = cascaded(I, K, hidden=C)
  task = TASK._replace(
    draw=lambda key, length, data: Arrays(
      np.zeros((T, I)), np.zeros((T, K)), np.zeros(T, bool), np.int64(0)
    )
  )
  learner = cascade(cell, task, **{**OPTIONS, **options})
  made = (random_arrays(s, T, I, K, end=False) for s in range(100))
  episodes = [e for e in made if np.any(e.scored)][:num_sequences]
  numbers = {'init_range': np.array(1.0), 'learning_rate': np.array(RATE)}
  state = cheap_jit(learner.init)(jax.random.key(1), numbers)
  return cell, learner, episodes, state


@pytest.mark.parametrize('residual', ['error_signal', 'difference'])
def test_slopes_of_candidates_are_those_of_their_score(residual, x64):
  activation = 'symmetric'
  cell, learner, episodes, state = a_task(
    6, epoch_sequences=7, residual=residual, epochs='new'
  )
  rng = np.random.default_rng(5)
  draw = lambda m: rng.normal(size=m.shape) * m
  params = jax.tree.map(draw, cell.mask)
  pool = jax.tree.map(lambda w: rng.normal(size=w.shape), state.pool)
  pool = pool._replace(w_h=pool.w_h * np.array([1.0, 0.0]))
  sequences = [run_sequence(params, e, activation, 1) for e in episodes]
  known = activation, OPTIONS['prime_offset'], residual
  correlation, slopes, mean, square = measure(
    pool_rows(pool), sequences, *known
  )
  state = state._replace(
    params=params, pool=pool, phase=np.int32(CANDIDATES),
    installed=np.int32(1),
    aim=state.aim._replace(correlation=correlation, mean=mean, square=square),
  )  # fmt: skip
  update = cheap_jit(learner.update)
  for episode in episodes:
    state, _ = update(state, episode)
  assert state.n == 6, 'the epoch is not over'
  products = state.sums.products

  # The sums over the stream are the definition.
  streamed = cheap_jit(candidate_pool.correlations)(
    products, state.sums.error, state.sums.square, state.sums.steps
  )
  np.testing.assert_allclose(streamed, correlation, atol=1e-12)
  np.testing.assert_allclose(state.sums.square, square, rtol=1e-12)
  np.testing.assert_allclose(pool_rows(products.slope), slopes, atol=1e-12)

  # And the slopes are differences of the score.
  def score(rows):
    return np.abs(measure(rows, sequences, *known)[0]).sum(axis=1)

  rows, h = pool_rows(pool), 1e-6
  assert np.all(np.abs(correlation) > 1e-3), 'far from a change of sign'
  for column in [0, 1, 2, 4, 5]:
    moved = h * (np.arange(rows.shape[1]) == column)
    slope = (score(rows + moved) - score(rows - moved)) / (2 * h)
    np.testing.assert_allclose(slopes[:, column], -slope, atol=1e-8)
    assert np.all(np.abs(slope) > 1e-5)
  np.testing.assert_array_equal(slopes[:, 3], 0, 'a unit that is not there')


def oracle(cell, start, episodes_of, pools, num_epochs, options, activation):
  """`(phase, installed, params, pool rows)` after each epoch.

  Args:
    episodes_of: epoch -> its sequences.
    pools: a list of `Pool`, drawn as they come.
  """
  o = OPTIONS | options
  p = jax.tree.map(np.array, start)
  phase, installed, pools = OUTPUTS, 0, list(pools)
  rows = memory = aim = None
  epochs = level = quit = 0
  out_d, out_p = np.zeros((2, K, I + C + 1))
  log = []
  for epoch in range(num_epochs):
    sequences = [
      run_sequence(p, e, activation, installed) for e in episodes_of(epoch)
    ]
    flat = [s for steps in sequences for s in steps if s.scored]
    epsilon = RATE / len(flat)
    epochs += 1
    if phase == OUTPUTS:
      error, slope = 0.0, np.zeros((K, I + C + 1))
      for step in flat:
        difference, signal, _ = errors(step, o['prime_offset'], 'error_signal')
        error += sum(difference**2)
        slope += np.outer(signal, [*step.sources, 1.0])
      w = np.concatenate([p.w_out_x, p.w_out, p.b_out[:, None]], axis=1)
      w, out_d, out_p = move(
        w, out_d, out_p, slope, epsilon, o['mu'], o['decay']
      )
      p = p._replace(w_out_x=w[:, :I], w_out=w[:, I:-1], b_out=w[:, -1])
      value, change = error, o['output_change']
    else:
      correlation, slope, mean, square = measure(
        rows, sequences, activation, o['prime_offset'], 'error_signal', aim
      )
      aim = correlation, mean, square
      if phase == MEASURE:
        phase, epochs = CANDIDATES, 0
        log.append((phase, installed, p, rows))
        continue
      rows, *memory = move(
        rows, *memory, slope, epsilon * o['candidate_rate'], o['mu'], 0.0
      )
      scores = np.abs(correlation).sum(axis=1)
      value, change = scores.max(), o['candidate_change']
    if epochs == 1:
      level = value
      quit = o['patience'] if phase == OUTPUTS else math.inf
    elif abs(value - level) > change * level:
      level, quit = value, epochs + o['patience']
    elif epochs >= quit:
      epochs = o['most_epochs']
    if epochs >= o['most_epochs']:
      if phase == CANDIDATES:
        best = int(np.argmax(scores))
        p = jax.tree.map(np.array, p)
        for array, columns in (
          (p.w_x, slice(0, I)), (p.w_h, slice(I, I + C)), (p.b, I + C),
          (p.w_s, I + C + 1),
        ):  # fmt: skip
          array[installed] = rows[best, columns]
        p.w_out[:, installed] = -correlation[best]
        installed += 1
        phase, epochs = OUTPUTS, 0
      elif installed < C:
        rows = pool_rows(pools.pop(0))
        memory = np.zeros((2, *rows.shape))
        phase, epochs = MEASURE, 0
    log.append((phase, installed, p, rows))
  return log


@pytest.mark.parametrize('epochs', ['same', 'new'])
def test_a_run_through_all_phases(epochs, x64):
  num_epochs = 34
  cell, learner, episodes, state = a_task(N * num_epochs, epochs=epochs)
  if epochs == 'new':
    episodes = [episodes[i % 7] for i in range(N * num_epochs)]
  episodes = [episodes[i % len(episodes)] for i in range(N * num_epochs)]
  first = state
  np.testing.assert_array_equal(first.params.w_x, 0)
  update, states = cheap_jit(learner.update), []
  for n, episode in enumerate(episodes):
    before = state
    state, _ = update(state, episode)
    if (n + 1) % N:
      assert distance(state.params, before.params) == 0
    else:
      states.append(jax.tree.map(np.asarray, state))

  phases = [int(s.phase) for s in states]
  starts = [
    i for i in range(1, len(states))
    if phases[i] == MEASURE and phases[i - 1] == OUTPUTS
  ]  # fmt: skip
  pools = [states[i].pool for i in starts]
  assert len(pools) == C
  assert distance(pools[0].w_x, pools[1].w_x) > 0.1, 'drawn anew'
  for installed, pool in enumerate(pools):
    rows = np.delete(pool_rows(pool), slice(I + installed, I + C), axis=1)
    assert np.all(rows != 0) and np.all(np.abs(rows) < 1)
    assert np.all(pool.w_h[:, installed:] == 0)

  of = lambda e: (
    episodes[e * N : (e + 1) * N] if epochs == 'new' else episodes[:N]
  )
  log = oracle(
    cell, first.params, of, pools, num_epochs, dict(epochs=epochs), 'symmetric'
  )
  for got, (phase, installed, params, rows) in zip(states, log, strict=True):
    assert (got.phase, got.installed) == (phase, installed)
    assert distance(got.params, params) < 1e-9
    if phase == CANDIDATES:
      np.testing.assert_allclose(pool_rows(got.pool), rows, atol=1e-9)
  assert [p for i, p in enumerate(phases) if i == 0 or p != phases[i - 1]] == [
    OUTPUTS, MEASURE, CANDIDATES, OUTPUTS, MEASURE, CANDIDATES, OUTPUTS,
  ]  # fmt: skip
  lengths = [len(list(g)) for _, g in itertools.groupby(phases)]
  assert len(set(lengths)) > 2, 'patience ends phases at different times'

  # A unit is the best candidate, and never moves again.
  joined = [
    i
    for i in range(1, len(states))
    if states[i].installed != states[i - 1].installed
  ]
  for unit, i in enumerate(joined):
    at = states[i]
    best = int(np.argmax(np.abs(at.aim.correlation).sum(axis=1)))
    for later in states[i:]:
      for field in ('w_x', 'w_h', 'w_s', 'b'):
        np.testing.assert_array_equal(
          getattr(later.params, field)[unit], getattr(at.pool, field)[best]
        )
    np.testing.assert_array_equal(
      at.params.w_out[:, unit], -at.aim.correlation[best]
    )
    moved = states[-1].params.w_out[:, unit] - at.params.w_out[:, unit]
    assert np.all(np.abs(moved) > 1e-4), 'the output units go on learning'


@pytest.mark.slow
def test_a_lane_is_a_trial_alone(x64):
  """Rates, lengths and phases of their own, all through a first unit."""
  lanes = (3,)
  cell, learner, _, _ = a_task(0)
  rates = np.array([2.0, 0.5, 5.0])
  init = jax.vmap(learner.init, in_axes=-1, out_axes=-1)
  numbers = {'init_range': np.ones(3), 'learning_rate': rates}
  first = init(jax.random.split(jax.random.key(0), 3), numbers)
  made = (random_arrays(n, T, I, K, lanes, end=False) for n in range(14 * N))
  episodes = jax.tree.map(lambda *a: np.stack(a), *made)

  @cheap_jit
  def run(state, episodes):
    def body(state, episode):
      state, judged = learner.update(state, episode)
      return state, (judged, state.phase)

    return jax.lax.scan(body, state, episodes)

  of = lambda tree, i: jax.tree.map(lambda a: a[..., i], tree)
  state, (judged, phases) = run(first, episodes)
  assert np.any(np.ptp(phases, axis=1)), 'lanes turn at different times'
  alone, (verdicts, _) = run(of(first, 2), of(episodes, 2))
  assert alone.installed > 0
  assert distance(of(state, 2), alone) < 1e-9
  assert distance(of(judged, 2), verdicts) < 1e-9


def test_without_biases_none_comes_into_being(x64):
  cell = cascaded(I, K, hidden=C, hidden_bias=False, output_bias=False)
  _, _, episodes, _ = a_task(20 * N)
  learner = cascade(cell, TASK, **OPTIONS, epochs='new')
  numbers = {'init_range': np.array(1.0), 'learning_rate': np.array(RATE)}
  state = cheap_jit(learner.init)(jax.random.key(1), numbers)
  update = cheap_jit(learner.update)
  for episode in episodes:
    state, _ = update(state, episode)
  assert state.installed > 0
  np.testing.assert_array_equal(state.params.b, 0)
  np.testing.assert_array_equal(state.params.b_out, 0)
  np.testing.assert_array_equal(state.pool.b, 0)
  assert np.all(np.asarray(state.params.w_x)[0] != 0)


def test_a_candidate_that_overflowed_is_not_the_best():
  correlation = np.zeros((4, 2))
  correlation[1] = np.nan
  correlation[2] = np.inf
  correlation[3] = 0.1, -0.2
  chosen, score = candidate_pool.best(correlation)
  np.testing.assert_array_equal(chosen, [False, False, False, True])
  assert score == pytest.approx(0.3)


@pytest.mark.slow
def test_a_grown_net_remembers_what_output_units_alone_cannot():
  """The first of two symbols decides the last target, 3 to 5 steps later."""
  rng, lanes = np.random.default_rng(0), 8
  task = array_task(3, 1, error_at_end=True)

  def sequence(n):
    length = rng.integers(4, 7, lanes)
    first = (n + np.arange(lanes)) % 2
    inputs = np.zeros((6, 3, lanes))
    inputs[0] = np.stack([first, 1 - first, 0 * first])
    inputs[1:, 2] = 1.0
    times = np.arange(6)[:, None]
    targets = np.broadcast_to(first, (6, 1, lanes))
    return Arrays(
      *map(jnp.asarray, (inputs, targets * 1.0, times == length - 1, length))
    )

  cell = cascaded(3, 1, hidden=2)
  learner = cascade(cell, task, epoch_sequences=16, epochs='new')
  numbers = {'init_range': np.ones(lanes), 'learning_rate': np.ones(lanes)}
  init = jax.vmap(learner.init, in_axes=-1, out_axes=-1)
  state = init(jax.random.split(jax.random.key(3), lanes), numbers)
  epoch = jax.tree.map(
    lambda *a: jnp.stack(a), *(sequence(n) for n in range(16))
  )

  @cheap_jit
  def run(state):
    def body(_, state):
      return jax.lax.scan(learner.update, state, epoch)[0]

    state = jax.lax.fori_loop(0, 200, body, state)
    _, judged = jax.lax.scan(learner.update, state, epoch)
    return state, jnp.mean(judged.absolute, axis=0)

  full = state._replace(installed=state.installed + 2)
  state, late = run(state)
  assert np.mean(late < 0.1) >= 0.75
  assert np.all(np.asarray(state.installed)[late < 0.1] > 0)
  _, alone = run(full)
  assert np.all(alone > 0.4), 'a guess'


@pytest.mark.parametrize(
  'options',
  [
    dict(candidates=0), dict(epoch_sequences=0), dict(patience=0),
    dict(most_epochs=-1), dict(mu=0.0), dict(residual='both'),
    dict(epochs='old'),
  ],
  ids=str,
)  # fmt: skip
def test_bad_settings_are_refused(options):
  ((name, value),) = options.items()
  with pytest.raises(ValueError, match=f'{name}={value!r} must be'):
    cascade(cascaded(I, K), TASK, **options)


def test_only_a_cell_in_cascade_will_do():
  needs = catalog.describe('learners', 'cascade').needs
  able = [
    name
    for name in catalog.names('cells')
    if {need.part for need in needs}
    <= set(catalog.describe('cells', name).provides)
  ]
  assert able == ['cascaded']
