"""Memory cells that join once the error has stopped falling."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.lstm1997 import lstm1997
from lstm_jax.learners._truncated import growth
from lstm_jax.learners.truncated1997 import truncated1997
from lstm_jax.ops import prng
from lstm_jax.training import online
from lstm_jax.training.trial_columns import columns_of, net_of, stack
from lstm_jax.types import Judgement, Learner
from tests import scripted
from tests.array_task import array_task, random_arrays
from tests.gradients import cheap_jit, distance, largest
from tests.lab.plan.test_plan import made, refused

NUM_STEPS, SEQUENCES, RATIO = 6, 3, 0.93
# As in Experiment 2b: with g(0) = 1/2 cells without weights are not silent, and
# what waits has a gradient.
CELL = lstm1997(
  3, 2, blocks=1, block_size=2, outputs_see_inputs=True, g='[0,1]', h='identity'
)
TASK = array_task(3, 2, error_at_end=False)
FIRST = ('w_out_x', 'b_out')
assert CELL.mask._fields[-2:] == FIRST
# The first lane does not learn: its error stands still.
RATES = (0.0, 0.5, 0.25, 1.0)
LANES = (len(RATES),)


def lane(tree, i):
  return jax.tree.map(lambda a: np.asarray(a)[..., i], tree)


# When.


class Scripted(NamedTuple):
  """A learner's state; the weights count sequences."""

  params: np.ndarray  # [2, *]: the first is trained from the start
  learning_rate: np.ndarray  # [*]
  grown: np.ndarray  # [*]


def counting():
  """Episodes are the squared errors that they will have."""

  def init(key, numbers):
    del key
    rate = numbers['learning_rate']
    start = jnp.stack([rate + 5, rate + 7])
    return Scripted(start, rate, jnp.zeros(rate.shape, bool))

  def update(state, error):
    one = jnp.ones_like(state.params)
    more = jnp.where(state.grown, one, one * jnp.array([[1.0], [0.0]]))
    return (
      state._replace(params=state.params + more),
      Judgement(error > 0, -error, error),
    )

  return Learner(init, update, None)


def stops_falling(errors, sequences, ratio):
  """After how many sequences the cells join, None: never."""
  runs = [errors[i : i + sequences] for i in range(0, len(errors), sequences)]
  means = [sum(run) / sequences for run in runs if len(run) == sequences]
  for i in range(1, len(means)):
    if means[i] > ratio * means[i - 1]:
      return (i + 1) * sequences
  return None


@pytest.mark.parametrize(
  ('sequences', 'ratio'), [(1, 1.0), (2, 0.5), (3, 0.75), (4, 1.5), (5, 1e-3)]
)
def test_it_grows_when_the_error_has_stopped_falling(sequences, ratio):
  rng = np.random.default_rng(sequences)
  count, width = 24, 40
  # Powers of 1/2 that fall at speeds of their own: means may be exactly on the
  # bound, which is not above it.
  fall = rng.integers(-1, 3, (count, width)).cumsum(axis=0)
  errors = 0.5 ** np.clip(fall // rng.integers(1, 5, width), -10, 20)
  errors[:, -1] = 2.0 ** np.arange(count)
  errors[:, 0] = 0.5 ** (np.arange(count) // sequences)
  learner = growth.at_plateau(
    *counting()[:3], np.array([1.0, 0.0]), sequences, ratio
  )
  init = lambda rate: learner.init(None, {'learning_rate': rate})
  state = cheap_jit(init)(np.zeros(width, np.float32))
  # Weights that wait are not there.
  np.testing.assert_array_equal(state.params, [[5.0] * width, [0.0] * width])
  want = [stops_falling(column, sequences, ratio) for column in errors.T]
  update = cheap_jit(learner.update)
  for n, error in enumerate(errors, 1):
    state, judgement = update(state, error.astype(np.float32))
    np.testing.assert_array_equal(judgement.absolute, -error)
    since = np.array([n - at if at and at <= n else -1 for at in want])
    np.testing.assert_array_equal(state.inner.grown, since >= 0)
    first, waiting = np.asarray(state.params)
    np.testing.assert_array_equal(first, 5.0 + n)
    np.testing.assert_array_equal(
      waiting, np.where(since >= 0, 7.0 + since, 0.0)
    )
  assert len(set(want) - {None}) > 1 or ratio < 0.01
  if ratio == 0.5:
    assert want[0] is None  # exactly half, every time


# How.


class Course(NamedTuple):
  """Nets of the real learner, sequence by sequence."""

  states: list
  judgements: list
  want: list  # a lane's number of sequences before it grows


def start(learner):
  """Its state in every lane, from the same key: the rates alone differ."""
  numbers = {
    name: np.asarray(np.stack([n] * len(RATES), axis=-1), float)
    for name, n in {**CELL.numbers, 'init_range': 0.7}.items()
  }
  numbers['learning_rate'] = np.asarray(RATES)
  keys = jax.random.split(jax.random.key(0, impl='unsafe_rbg'), LANES)
  init = jax.vmap(learner.init, in_axes=-1, out_axes=-1)
  return cheap_jit(init)(keys, numbers)


def growing(update='sequence', optimizer='sgd', ratio=RATIO):
  return truncated1997(
    CELL, TASK, update=update, optimizer=optimizer, cells_added='at_plateau',
    plateau_sequences=SEQUENCES, plateau_ratio=ratio,
  )  # fmt: skip


EPISODE_SEEDS = (0, 1, 2)


def episode(n):
  # The same few again and again: runs are alike but for what is learned.
  return random_arrays(
    EPISODE_SEEDS[n % SEQUENCES], NUM_STEPS, 3, 2, LANES, end=False
  )


@functools.cache
def learning(update, optimizer):
  return cheap_jit(growing(update, optimizer).update)


@functools.cache
def course(update, optimizer):
  """Twelve sequences; the lanes grow at times of their own or not at all."""
  learn = learning(update, optimizer)
  state = start(growing(update, optimizer))
  states, judgements = [state], []
  for n in range(12):
    state, judgement = learn(state, episode(n))
    states.append(state)
    judgements.append(judgement)
  squared = np.array([j.squared for j in judgements])
  want = [stops_falling(list(column), SEQUENCES, RATIO) for column in squared.T]
  return Course(states, judgements, want)


KINDS = [('every_step', 'sgd'), ('sequence', 'sgd'), ('every_step', 'adam')]
every_kind = pytest.mark.parametrize(('update', 'optimizer'), KINDS)


@every_kind
def test_what_waits_is_zero_and_what_joins_is_as_it_was_drawn(
  x64, update, optimizer
):
  states, _, want = course(update, optimizer)
  drawn = states[0].reserve
  assert all(largest(w) > 0.1 for w in drawn)
  assert want[0] == 2 * SEQUENCES and len(set(want)) > 1
  for i, at in enumerate(want):
    for n, state in enumerate(states):
      now = lane(state, i)
      assert distance(now.reserve, lane(drawn, i)) == 0
      assert now.inner.grown == (at is not None and n >= at)
      for name, w in now.params._asdict().items():
        first = lane(getattr(drawn, name), i)
        if name in FIRST:
          moved = np.abs(w - first).max() > 1e-4
          assert moved == (n > 0 and RATES[i] > 0)
        elif at is None or n < at:
          assert (w == 0).all()
        elif n == at:
          np.testing.assert_array_equal(w, first)


@functools.cache
def plain(update, optimizer, grown):
  """Training as ever, of the whole network or of what there is at first."""
  cell = CELL if grown else CELL._replace(mask=growth.first_net(CELL))
  return cheap_jit(
    truncated1997(cell, TASK, update=update, optimizer=optimizer).update
  )


@every_kind
def test_before_and_from_then_on_it_is_training_as_ever(x64, update, optimizer):
  states, judgements, want = course(update, optimizer)
  for n, judgement in enumerate(judgements):
    alone = states[n].inner._replace(grown=None)
    there = states[n + 1].inner._replace(grown=None)
    for grown in (False, True):
      after, judged = plain(update, optimizer, grown)(alone, episode(n))
      for i, at in enumerate(want):
        if (at is not None and n >= at) == grown:
          one, other = lane(after, i), lane(there, i)
          if n + 1 == at:  # when the others join, which is looked at above
            one, other = one.params[-2:], other.params[-2:]
          assert distance(one, other) < 1e-12
          assert distance(lane(judged, i), lane(judgement, i)) < 1e-12
  late = [at for at, rate in zip(want, RATES, strict=True) if rate and at]
  assert late and min(late) + SEQUENCES <= len(judgements)


def test_weights_that_wait_leave_nothing_in_the_optimizer(x64):
  states, _, want = course('every_step', 'adam')
  for n, state in enumerate(states):
    adam = state.inner.optimizer[0]
    for i, at in enumerate(want):
      if at is None or n <= at:
        for moments in (adam.mu, adam.nu):
          for name, m in lane(moments, i)._asdict().items():
            assert name in FIRST or (m == 0).all()


def test_a_lane_does_not_know_when_others_grow(x64):
  """The same weights and sequences at the same rate, others beside them."""
  learn = learning('sequence', 'sgd')
  state = start(growing())
  among_itself = lambda tree: jax.tree.map(
    lambda a: np.asarray(a)[..., [3] * 4], tree
  )
  alone = among_itself(state)
  states = course('sequence', 'sgd').states
  for n in range(9):
    alone, _ = learn(alone, among_itself(episode(n)))
    there = states[n + 1]
    assert distance(lane(alone.inner, 2), lane(there.inner, 3)) < 1e-12
    assert distance(lane(alone.total, 2), lane(there.total, 3)) < 1e-12
  assert np.all(alone.inner.grown)


def test_without_lanes(x64):
  learner = growing(ratio=1e-6)
  learn = cheap_jit(learner.update)
  numbers = {**CELL.numbers, 'init_range': 0.7, 'learning_rate': 0.5}
  numbers = {k: np.asarray(v, float) for k, v in numbers.items()}
  state = cheap_jit(learner.init)(jax.random.key(0, impl='unsafe_rbg'), numbers)
  sequence = random_arrays(0, NUM_STEPS, 3, 2, end=True)
  for _ in range(2 * SEQUENCES):
    assert not state.inner.grown and largest(state.params.w_x) == 0
    state, _ = learn(state, sequence)
  assert state.inner.grown
  assert distance(state.params.w_x, state.reserve.w_x) == 0


def test_the_first_net():
  for bias, has in (('all', 1), ('gates_outputs', 1), ('hidden', 0)):
    cell = lstm1997(3, 2, outputs_see_inputs=True, bias=bias)
    first = growth.first_net(cell)
    assert type(first) is type(cell.mask)
    for name, w in first._asdict().items():
      assert isinstance(w, np.ndarray)
      assert w.shape == getattr(cell.mask, name).shape
      assert (w == {'w_out_x': 1, 'b_out': has}.get(name, 0)).all()


def test_a_trial_of_nets_that_grow_can_be_taken_apart():
  """Its columns have every array, and the network is the one in training."""
  task = scripted.task()
  program = online.program(task, growing())
  numbers = {
    name: np.stack([n] * 2, axis=-1).astype(np.float32)
    for name, n in {**CELL.numbers, 'learning_rate': 0.5}.items()
  }
  key = tuple(np.array([prng.key_of(seed) for seed in (3, 4)]).T)
  length = np.full(2, 4, np.int32)
  trials = cheap_jit(program.start)(key, numbers, length, length)
  columns = columns_of(trials, [0.0, 0.0])
  back = stack(columns, trials, 2)
  assert jax.tree.structure(back) == jax.tree.structure(trials)
  for i, column in enumerate(columns):
    net = net_of(column, trials)
    assert list(net) == list(CELL.mask._fields)
    for name, w in lane(trials.learner.inner.params, i)._asdict().items():
      np.testing.assert_array_equal(net[name], w)
    assert (net['w_x'] == 0).all() and (net['w_out_x'] != 0).all()


# What is refused.


@pytest.mark.parametrize(
  'cell', [lstm(3, 2), lstm1997(3, 2)], ids=['lstm', 'lstm1997']
)
def test_outputs_that_see_no_inputs_have_nothing_to_start_with(cell):
  with pytest.raises(ValueError, match='at_plateau trains .* see the inputs'):
    truncated1997(cell, TASK, cells_added='at_plateau')


@pytest.mark.parametrize(
  ('options', 'words'),
  [
    ({'cells_added': 'later'}, "cells_added='later' .* at_start, at_plateau"),
    ({'plateau_sequences': 0}, 'plateau_sequences=0 must be at least 1'),
    ({'plateau_ratio': 0.0}, 'plateau_ratio=0.0 must be above 0'),
    ({'plateau_ratio': -1.0}, 'plateau_ratio=-1.0 must be above 0'),
    ({'plateau_ratio': float('nan')}, 'plateau_ratio=nan must be above 0'),
  ],
)
def test_options_are_checked(options, words):
  how = {'cells_added': 'at_plateau', **options}
  with pytest.raises(ValueError, match=words):
    truncated1997(CELL, TASK, **how)


@pytest.mark.parametrize(
  ('option', 'number', 'reason'),
  [
    ('input_gates=false', 'input_gate_bias', 'has no input gates'),
    ('output_gates=false', 'output_gate_bias', 'has no output gates'),
    ('bias=none', 'input_gate_bias', 'no unit has a bias weight'),
    ('bias=none', 'output_gate_bias', 'no unit has a bias weight'),
  ],
)
def test_a_bias_of_gates_that_are_not_there_is_refused(option, number, reason):
  mine = '--cell=lstm1997 --seeds=1'
  line = f'{mine} --set=cell.{option}'
  bias = f'--set=cell.{number}=-1'
  assert made(line).trials and made(f'{mine} {bias}').trials
  assert made(f'{line} --set=cell.{number}=none').trials
  assert refused(f'{line} {bias}') == (
    f'--set=cell.{option} with {bias}: cell lstm1997: {reason}'
  )
  # The quick start has biases of input gates of its own.
  (reply,) = refused(f'--seeds=1 --set=cell.{option} {bias}').splitlines()
  assert reply.startswith(f'--set=cell.{option} with ')
  assert f'cell lstm1997: {reason} (in the quick start; ' in reply
  for other in ('gates', 'hidden', 'gates_outputs'):
    assert made(f'{mine} --set=cell.bias={other} {bias}').trials
