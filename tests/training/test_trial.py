"""A trial is a function of its key and its numbers: nothing else moves it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.ops import prng
from lstm_jax.training import online
from lstm_jax.training.trials import (
  BUDGET,
  DIVERGED,
  IDLE,
  RUNNING,
  SOLVED,
  Trials,
)
from tests import scripted
from tests.jaxprs import equations_of

WEIGHTS, TRAINING, TEST = 0, 1, 2  # children of a trial's key
STREAK = 3


def key_data(seeds):
  """`(high [L], low [L])` of keys of the seeds."""
  return tuple(np.array([prng.key_of(seed) for seed in seeds]).T)


def words(seed, *path):
  """The two words of the key at `path` below the key of a seed."""
  key = jax.random.key(seed)
  for n in path:
    key = jax.random.fold_in(key, n)
  return np.asarray(jax.random.key_data(key))


class Plays(NamedTuple):
  """The scripted program, compiled, and how often it was traced."""

  start: object
  advance: object
  advance_all: object
  test: object
  traced: list


@pytest.fixture(scope='module')
def plays():
  traced = []
  learner = scripted.learner(logged=12, on_trace=lambda: traced.append(1))
  program = online.program(scripted.task(STREAK), learner)
  return Plays(*map(jax.jit, program), traced)


def begin(plays, scripts, budgets, lengths=None, seeds=None):
  """Scripted trials, one for each dict of `scripts`."""
  count = len(scripts)
  numbers = {
    name: np.array([s.get(name, default) for s in scripts], np.float32)
    for name, default in scripted.SCRIPT.items()
  }
  lengths = [4] * count if lengths is None else lengths
  return plays.start(
    key_data(range(count) if seeds is None else seeds),
    numbers,
    np.array(lengths, np.int32),
    np.array(budgets, np.int32),
  )


def arrays(trials):
  return [np.asarray(x) for x in jax.tree.leaves(trials)]


def assert_same(one, other):
  """Every bit of two trees of arrays, nan included."""
  one, other = arrays(one), arrays(other)
  for a, b in zip(one, other, strict=True):
    assert a.dtype == b.dtype and a.shape == b.shape
    assert a.tobytes() == b.tobytes()


def lane(trials, i):
  return jax.tree.map(lambda x: np.asarray(x)[..., i], trials)


def finish(advance, trials, chunk):
  """Advances until no lane is running."""
  while (np.asarray(trials.status) == RUNNING).any():
    trials, _ = advance(trials, np.int32(chunk))
  return trials


def expected(script, budget):
  """`(status, sequences seen)` by the rules, one sequence after another."""
  script = scripted.SCRIPT | script
  run, burst = 0, False
  for n in range(budget):
    if burst or n == script['nan']:
      return DIVERGED, n + 1
    burst = n == script['burst']
    right = n >= script['right_from'] and n != script['slip']
    run = run + 1 if right else 0
    if run == STREAK:
      return SOLVED, n + 1
  return BUDGET, budget


SCRIPTS = [
  ({}, 9),
  ({}, 3),
  ({}, 2),
  ({'right_from': 1}, 3),
  ({'right_from': 6}, 9),
  ({'right_from': 7}, 9),
  ({'slip': 2}, 9),
  ({'slip': 3}, 9),
  ({'slip': 1}, 4),
  ({'right_from': scripted.NEVER}, 1),
  ({'right_from': scripted.NEVER}, 9),
  ({'right_from': 5, 'nan': 0}, 9),
  ({'right_from': 5, 'nan': 4}, 9),
  ({'nan': 2}, 9),
  ({'right_from': scripted.NEVER, 'nan': 8}, 9),
  ({'right_from': 5, 'burst': 3}, 9),
]


@pytest.fixture(scope='module')
def begun(plays):
  return begin(plays, *zip(*SCRIPTS, strict=True))


def test_trials_end_at_the_right_sequence(plays, begun):
  want = [expected(*script) for script in SCRIPTS]
  assert {status for status, _ in want} == {SOLVED, BUDGET, DIVERGED}
  for chunk in (1, 4, 100):
    ended = finish(plays.advance, begun, chunk)
    status, seen = np.asarray(ended.status), np.asarray(ended.seen)
    assert list(zip(status, seen, strict=True)) == want


def test_the_mean_error_is_asked_for_too(plays):
  program = online.program(
    scripted.task(STREAK, mean_error=scripted.RIGHT), scripted.learner()
  )
  strict = Plays(*map(jax.jit, program), [])
  ended = finish(strict.advance, begin(strict, [{}], [20]), 50)
  assert (int(ended.status[0]), int(ended.seen[0])) == (BUDGET, 20)


def test_sequence_n_is_drawn_from_the_nth_key(plays):
  seeds, shown = [0, 1, 77], 12
  trials = begin(
    plays, [{'right_from': scripted.NEVER}] * 3, [shown] * 3, seeds=seeds
  )
  trials = finish(plays.advance, trials, 5)
  for i, seed in enumerate(seeds):
    want = [words(seed, TRAINING, n) for n in range(shown)]
    np.testing.assert_array_equal(trials.learner.log[..., i], want)


def test_the_first_weights_follow_from_the_key_alone(plays):
  trials = begin(plays, [{}] * 3, [5] * 3, lengths=[4, 9, 4], seeds=[3, 3, 4])
  params = np.asarray(trials.learner.params)
  np.testing.assert_array_equal(params[:, 0], params[:, 1])
  assert (params[:, 0] != params[:, 2]).all()
  want = (words(3, WEIGHTS) >> 8) * np.float32(2**-24)
  np.testing.assert_array_equal(params[:, 0], want)


def test_returns_when_a_lane_has_finished(plays):
  scripts = [{'right_from': n} for n in (9, 4, 6, 4)]
  trials = begin(plays, scripts, [100] * 4)
  trials, work = plays.advance(trials, np.int32(10**6))
  assert np.asarray(trials.seen).tolist() == [4 + STREAK] * 4
  assert np.asarray(trials.status).tolist() == [
    RUNNING, SOLVED, RUNNING, SOLVED
  ]  # fmt: skip
  assert float(work.sequences) == 4 * (4 + STREAK)
  trials, work = plays.advance(trials, np.int32(10**6))
  assert np.asarray(trials.seen).tolist() == [6 + STREAK, 7, 6 + STREAK, 7]
  assert float(work.sequences) == 2 * 2


def test_a_lane_that_is_not_running_keeps_every_bit(plays, begun):
  trials, _ = plays.advance(begun, np.int32(1))
  status = np.asarray(trials.status).copy()
  rest = [2, 5, 7, 12]
  status[rest] = [IDLE, SOLVED, BUDGET, DIVERGED]
  trials = trials._replace(status=jnp.asarray(status))
  later, _ = plays.advance(trials, np.int32(1))
  for i in rest:
    assert_same(lane(later, i), lane(trials, i))
  assert int(later.seen[0]) == 2  # the others moved


def test_nothing_runs_where_no_lane_does(plays, begun):
  idle = begun._replace(status=jnp.zeros_like(begun.status))
  later, work = plays.advance(idle, np.int32(3))
  assert_same(later, idle)
  assert float(work.useful) == float(work.sequences) == 0


def test_a_diverged_lane_keeps_its_last_finite_figures(plays):
  broken = {'right_from': 9, 'nan': 4}, {'right_from': 9, 'burst': 3}
  whole = begin(plays, [{'right_from': 9}], [20])
  before, _ = plays.advance(whole, np.int32(4))
  for script in broken:
    ended = finish(plays.advance, begin(plays, [script], [20]), 3)
    assert int(ended.status[0]) == DIVERGED and int(ended.seen[0]) == 5
    assert_same(ended.stop, before.stop)
    assert_same(ended.error, before.error)
    assert all(np.isfinite(x).all() for x in arrays(ended.error))
    assert int(ended.learner.shown[0]) == 4  # it did not learn from the fifth


def test_the_error_is_a_mean_that_fades(plays):
  """The mean of the first hundred sequences, then weight 1/100 a sequence."""
  trials = begin(plays, [{'right_from': 150}], [10**6])
  mean = 0.0
  for n in range(1, 153):
    mean += ((scripted.WRONG if n <= 150 else scripted.RIGHT) - mean) / min(
      n, 100
    )
  trials, _ = plays.advance(trials, np.int32(152))
  assert float(trials.error.absolute[0]) == pytest.approx(mean, rel=1e-5)
  trials = begin(plays, [{'slip': 1}], [10**6])
  trials, _ = plays.advance(trials, np.int32(3))
  means = [(2 * e + f) / 3 for e, f in [(0.125, 2.0), (0.125**2, 4.0)]]
  found = [float(e[0]) for e in (trials.error.absolute, trials.error.squared)]
  assert found == pytest.approx(means)


def test_work_counts_time_steps(plays):
  lengths, shown = [4, 30, 11], 6
  trials = begin(plays, [{'right_from': 99}] * 3, [100] * 3, lengths=lengths)
  _, work = plays.advance(trials, np.int32(shown))
  steps = np.array(
    [
      [
        length + int(words(seed, TRAINING, n)[1]) % 3
        for seed, length in enumerate(lengths)
      ]
      for n in range(shown)
    ]
  )
  assert len({tuple(s) for s in steps - np.array(lengths)}) > 2
  assert float(work.sequences) == 3 * shown
  assert float(work.useful) == steps.sum()
  assert float(work.executed) == 3 * steps.max(axis=1).sum()


def test_only_running_lanes_do_useful_work(plays):
  trials = begin(
    plays, [{'right_from': 99}] * 3, [100] * 3, lengths=[4, 30, 11]
  )
  alone = begin(plays, [{'right_from': 99}], [100], lengths=[4])
  resting = trials._replace(status=jnp.array([RUNNING, IDLE, SOLVED]))
  _, work = plays.advance(resting, np.int32(5))
  _, want = plays.advance(alone, np.int32(5))
  assert float(work.useful) == float(want.useful)
  assert float(work.sequences) == 5
  assert float(work.executed) >= 3 * float(want.useful)


def test_a_second_call_does_not_compile(plays, begun):
  trials, _ = plays.advance(begun, np.int32(1))
  count = len(plays.traced)
  for chunk in (1, 2, 3):
    trials, _ = plays.advance(trials, np.int32(chunk))
  assert len(plays.traced) == count
  shapes = jax.eval_shape(plays.advance, begun, np.int32(1))[0]
  kinds = lambda tree: [
    (x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(tree)
  ]
  assert jax.tree.structure(shapes) == jax.tree.structure(begun)
  assert kinds(shapes) == kinds(jax.eval_shape(lambda: begun))


def test_the_test_takes_sequences_of_its_own_each_once(plays):
  width, rounds, seed = 8, 5, 6
  key = key_data([seed] * width)
  params = jnp.full((2, width), 2.0)
  length = np.full(width, 4, np.int32)
  judged = plays.test(length, key, params, np.int32(rounds))
  high = np.array([words(seed, TEST, n)[0] for n in range(width * rounds)])
  u = ((high >> 8) * 2.0**-24).reshape(rounds, width)
  right = (u < 0.5).sum(axis=0)
  assert 0 < right.sum() < u.size
  np.testing.assert_array_equal(judged.right, right)
  np.testing.assert_allclose(judged.absolute, u.mean(axis=0), rtol=1e-6)
  np.testing.assert_allclose(judged.squared, (u**2).mean(axis=0), rtol=1e-6)


def test_a_loop_of_sequences_numbers_no_lanes(plays):
  # Compilers of jax 0.11 and 0.12 do not end at a random number that is rounded
  # and drawn from an iota by two hashes.
  width = 11
  params = jnp.full((2, width), 2.0)
  program = jax.make_jaxpr(plays.test)(
    np.full(width, 4, np.int32), key_data([6] * width), params, np.int32(5)
  )
  (loop,) = equations_of(program.jaxpr, 'while')
  body = loop.params['body_jaxpr'].jaxpr
  assert len(body.eqns) > 10
  shapes = [iota.outvars[0].aval.shape for iota in equations_of(body, 'iota')]
  assert (width,) not in shapes


# A network that learns. What follows is bit by bit: float32, as in a sweep.
WIDTHS = (1, 4, 16, 32)
SHOWN = 200


class Nets(NamedTuple):
  """The compiled program of a small net, and its first trials, 32 lanes."""

  advance: object
  first: Trials


@pytest.fixture(scope='module')
def nets():
  task = catalog.build(
    'tasks', 'adding', output='linear', streak=25, tolerance=0.3, mean_error=0.2
  )
  cell = catalog.build('cells', 'lstm1997', 2, 1, blocks=1, block_size=1)
  learner = catalog.build('learners', 'truncated1997', cell, task)
  program = online.program(task, learner)
  seeds = np.arange(WIDTHS[-1])
  numbers = {
    name: np.stack([value] * len(seeds), axis=-1).astype(np.float32)
    for name, value in cell.numbers.items()
  }
  numbers['learning_rate'] = (0.1 + 0.02 * (seeds % 5)).astype(np.float32)
  numbers['learning_rate'][[1, 6]] = 1e30, np.inf
  first = jax.jit(program.start)(
    key_data(seeds),
    numbers,
    (6 + seeds % 3).astype(np.int32),
    np.full(len(seeds), SHOWN, np.int32),
  )
  return Nets(jax.jit(program.advance), first)


def some(trials, which):
  """The lanes `which` of trials."""
  return jax.tree.map(lambda x: np.asarray(x)[..., which], trials)


@pytest.fixture(scope='module')
def whole(nets):
  return finish(nets.advance, nets.first, SHOWN)


def test_the_net_trials_end_in_every_way(whole):
  status = np.asarray(whole.status)
  assert set(status) == {SOLVED, BUDGET, DIVERGED}
  assert len(set(np.asarray(whole.seen).tolist())) > 10


def test_how_the_run_was_cut_does_not_matter(nets, whole):
  for cuts in ([100, 100], [1] * SHOWN, [7, 150, 43]):
    trials, seen = nets.first, 0
    for cut in cuts:
      # A call also ends where a lane does; go on to the same sequence.
      seen += cut
      while ((running := np.asarray(trials.status) == RUNNING).any()) and (
        at := int(np.asarray(trials.seen)[running][0])
      ) < seen:
        trials, _ = nets.advance(trials, np.int32(seen - at))
    assert_same(trials, whole)


@pytest.mark.parametrize('width', WIDTHS[:-1])
def test_a_lane_does_not_know_how_many_it_is_among(nets, whole, width):
  # Alone: one that solves, one that meets its budget, one that diverges.
  ends = [int(np.argmax(whole.status == s)) for s in (SOLVED, BUDGET, DIVERGED)]
  groups = [[i] for i in ends] if width == 1 else [list(range(width))]
  for group in groups:
    ended = finish(nets.advance, some(nets.first, group), 60)
    assert_same(ended, some(whole, group))


def test_a_lane_does_not_know_its_place(nets, whole):
  order = np.random.default_rng(5).permutation(WIDTHS[-1])
  ended = finish(nets.advance, some(nets.first, order), 60)
  assert_same(ended, some(whole, order))


def test_a_lane_does_not_know_its_neighbours(nets, whole):
  """Two that diverge, replaced by copies of another lane."""
  which = np.arange(WIDTHS[-1])
  which[[1, 6]] = 9
  ended = finish(nets.advance, some(nets.first, which), 60)
  assert_same(ended, some(whole, which))


def test_lanes_that_diverge_say_so(whole):
  for i in (1, 6):
    ended = lane(whole, i)
    assert ended.status == DIVERGED and 1 < ended.seen < SHOWN
    assert all(np.isfinite(x).all() for x in arrays(ended.error))
    assert ended.error.absolute > 0
  others = np.delete(np.arange(WIDTHS[-1]), [1, 6])
  assert not (np.asarray(whole.status)[others] == DIVERGED).any()
  assert all(np.isfinite(x).all() for x in arrays(some(whole, others).learner))
