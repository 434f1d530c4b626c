"""Evaluations: when there is one, what ends it, and what it leaves alone.

A learner answers by tables: training sequence n and sequence n of evaluation e
are right or wrong and have an error as prescribed. What a trial then does is
known by hand.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.ops.prng import key_of
from lstm_jax.tasks._stop_rules.evaluation import evaluation
from lstm_jax.training import online
from lstm_jax.training.trials import BUDGET, DIVERGED, RUNNING, SOLVED
from lstm_jax.types import Judgement, Learner, Stream
from tests import scripted
from tests.gradients import cheap_jit

TRAINING, EVALUATION, DATA = 1, 3, 4  # children of a trial's key
EXAMS, SEQUENCES, SHOWN = 7, 5, 24  # of the tables
WIDTH = 64  # lanes
NAN = float('nan')


class Facts(NamedTuple):
  key: tuple  # two words, [*] each
  length: jax.Array  # [*]
  n: jax.Array  # [*] of the exam, -1 of a training sequence, -2 of a test
  data: jax.Array  # [*] what the task has prepared


class State(NamedTuple):
  params: jax.Array  # [2, *]: sequences learned from, and what they were
  answers: dict


class Asked(NamedTuple):
  """Of an evaluation: see `_stop_rules.evaluation`."""

  every: int
  sequences: int
  most_wrong: int = 0
  mean_error: float = np.inf
  fresh: bool = True


def task_of(exam, prepares):
  """A task whose sequences are their keys, with this evaluation."""

  def draw(key, length, n, data):
    assert isinstance(data, tuple) == (not prepares)
    return Facts(key, length, n, data if prepares else jnp.zeros_like(key[0]))

  def examine(key, length, n, data):
    return draw(key, length, n, data)._replace(length=length + n)

  of = lambda key, length, n: Facts(
    key, length, jnp.full_like(length, n), jnp.zeros_like(key[0])
  )
  training = lambda key, length, data: draw(
    key, length, jnp.full_like(length, -1), data
  )
  prepared = {'prepare': lambda key, length: key[1]} if prepares else {}
  return scripted.task()._replace(
    draw=training,
    fresh=lambda key, length: of(key, length, -2 if prepares else -1),
    stream=lambda facts: Stream(facts.length, None, None, None),
    stop_rule=evaluation(exam.every, exam.sequences, examine, *exam[2:]),
    **prepared,
  )


def pick(table, *at):
  """`table[at]` for a table `[.., *]` and positions `[*]`."""
  for i in at:
    rows = jnp.arange(len(table)).reshape((-1,) + (1,) * (table.ndim - 1))
    i = i.reshape((1,) * (table.ndim - i.ndim) + i.shape)
    # Not a sum of products: the tables have nan in them.
    table = jnp.sum(jnp.where(rows == i, table, 0), axis=0)
  return table


def answering(every):
  """A learner that answers by its tables; it learns what it was shown."""

  def init(key, numbers):
    del key
    return State(jnp.zeros(2), dict(numbers))

  def judge_with(params, answers, facts):
    shown = params[0].astype(jnp.int32)
    exam, n = shown // every - 1, facts.n
    sits = n >= 0
    wrong = jnp.where(sits, pick(answers['wrong'], exam, n), 1) > 0
    error = jnp.where(
      sits, pick(answers['error'], exam, n), pick(answers['train'], shown)
    )
    by_key = scripted.fraction(facts.key[0]) + scripted.fraction(facts.data)
    error = jnp.where(answers['by_key'] > 0, by_key, error)
    return Judgement(~wrong, error, 3 * error)

  def update(state, facts):
    count, sum_ = state.params
    bursts = count == state.answers['burst']
    # An exam would leave a trace of ten thousand.
    grown = sum_ + jnp.where(facts.n >= 0, 1e4, scripted.fraction(facts.key[1]))
    params = jnp.stack([count + 1, jnp.where(bursts, jnp.inf, grown)])
    judgement = judge_with(state.params, state.answers, facts)
    return State(params, state.answers), judgement

  def judge(params, facts):
    u = scripted.fraction(facts.data) + 0 * params[0]
    return Judgement(facts.n == -2, u, u)

  return Learner(init, update, judge)


class Plays(NamedTuple):
  start: object
  advance: object
  advance_all: object
  test: object
  exam: Asked


@functools.cache
def plays(every, sequences, most_wrong=0, mean_error=np.inf, fresh=True,
          prepares=False):  # fmt: skip
  exam = Asked(every, sequences, most_wrong, mean_error, fresh)
  program = online.program(task_of(exam, prepares), answering(every))
  return Plays(*map(cheap_jit, program), exam)


class Answers(NamedTuple):
  """What one trial's learner says, and its budget."""

  wrong: np.ndarray  # [EXAMS, SEQUENCES]
  error: np.ndarray  # [EXAMS, SEQUENCES]
  train: np.ndarray  # [SHOWN]
  burst: int = -1
  by_key: int = 0
  budget: int = 12


def answers(wrong=(), error=(), **more):
  """`Answers` with rows for the first exams; then all right, error 1/8."""
  tables = []
  for rows, rest in ((wrong, 0.0), (error, 0.125)):
    table = np.full((EXAMS, SEQUENCES), rest)
    for row, values in zip(table, rows, strict=False):
      row[: len(values)] = values
    tables.append(table)
  return Answers(*tables, **({'train': np.ones(SHOWN)} | more))


def begin(played, scripts, seeds=None):
  seeds = range(len(scripts)) if seeds is None else seeds
  column = lambda name: np.stack([getattr(s, name) for s in scripts], axis=-1)
  names = 'wrong', 'error', 'train', 'burst', 'by_key'
  return played.start(
    tuple(np.array([key_of(seed) for seed in seeds]).T),
    {name: column(name).astype(np.float32) for name in names},
    np.full(len(scripts), 4, np.int32),
    column('budget').astype(np.int32),
  )


class Moment(NamedTuple):
  """A trial after one more sequence."""

  status: int
  seen: int
  first_passed: int
  sits: bool
  exams: int
  n: int
  wrong: int
  absolute: float
  learned: int


def by_hand(exam, script):
  """The `Moment`s of a trial, from the rules: one after each sequence."""
  seen = exams = first_passed = learned = 0

  def moment(status=RUNNING, sits=False, n=0, wrong=0, absolute=0.0):
    return Moment(
      status, seen, first_passed, sits, exams, n, wrong, absolute, learned
    )

  bound = exam.mean_error * exam.sequences
  burst = False
  while True:
    seen += 1
    if burst or np.isnan(script.train[seen - 1]):
      return (yield moment(DIVERGED))
    burst = seen - 1 == script.burst
    learned += 1
    if seen % exam.every == 0:
      exams += 1
      yield moment(sits=True)
      wrong = absolute = n = 0
      for is_wrong, error in zip(
        script.wrong[exams - 1][: exam.sequences], script.error[exams - 1],
        strict=False,
      ):  # fmt: skip
        if burst or np.isnan(error):
          # As it was before the sequence.
          return (yield moment(DIVERGED, True, n, wrong, absolute))
        n, wrong, absolute = n + 1, wrong + int(is_wrong), absolute + error
        if n == exam.sequences and wrong <= exam.most_wrong:
          first_passed = first_passed or seen
          if absolute < bound:
            return (yield moment(SOLVED))
        elif n < exam.sequences:
          too_wrong = wrong > exam.most_wrong
          # Before the first_passed, whether it is reached is worth knowing.
          too_far_off = first_passed and absolute >= bound
          if not too_wrong and not too_far_off:
            yield moment(RUNNING, True, n, wrong, absolute)
            continue
        break
    if seen >= script.budget:
      return (yield moment(BUDGET))
    yield moment()


def moments(trials):
  """The `Moment` of every lane."""
  state = trials.stop
  fields = (
    trials.status, trials.seen, trials.first_passed, state.is_running,
    state.number, state.n, state.num_wrong, state.absolute,
    trials.learner.params[0],
  )  # fmt: skip
  return [Moment(*m) for m in zip(*map(np.asarray, fields), strict=True)]


def some_scripts(exam, count, seed):
  """Random tables, about as hard as the exam."""
  rng = np.random.default_rng(seed)
  for _ in range(count):
    # Eighths: sums are exact, and may sit on the bound.
    most = rng.choice([3, 5, 9], (EXAMS, 1))
    error = rng.integers(0, most, (EXAMS, SEQUENCES)) / 8
    wrong = rng.uniform(size=error.shape) < rng.choice([0.05, 0.3, 0.6])
    train = rng.integers(1, 9, SHOWN) / 8
    if rng.uniform() < 0.2:
      error[rng.integers(EXAMS), rng.integers(exam.sequences)] = np.nan
    if rng.uniform() < 0.1:
      train[rng.integers(SHOWN)] = np.nan
    burst = rng.integers(-60, SHOWN)
    most = min(SHOWN - 1, EXAMS * exam.every)
    yield Answers(wrong, error, train, burst, 0, rng.integers(1, most + 1))


EXAMS_TRIED = [
  (3, 4),
  (2, 3, 1, 0.5),
  (1, 1),
  (4, 5, 0, 0.375),
  (3, 2, 2, 0.25),
]


@pytest.mark.parametrize('how', EXAMS_TRIED, ids=str)
def test_every_step_of_a_trial_is_the_one_by_hand(how):
  played = plays(*how)
  scripts = list(some_scripts(played.exam, WIDTH, seed=sum(how[:2])))
  by_hands = [list(by_hand(played.exam, s)) for s in scripts]
  trials = begin(played, scripts)
  for i in range(max(map(len, by_hands))):
    trials, _ = played.advance(trials, np.int32(1))
    for found, want in zip(moments(trials), by_hands, strict=True):
      assert found == want[min(i, len(want) - 1)]
  ends = {want[-1].status for want in by_hands}
  assert ends == {SOLVED, BUDGET, DIVERGED}
  if len(how) == 4:
    last = [want[-1] for want in by_hands]
    assert any(m.first_passed and m.status == BUDGET for m in last)
    assert any(0 < m.first_passed < m.seen and m.status == SOLVED for m in last)


def ended(played, scripts, chunk=1000, seeds=None):
  """Trials at their ends, beside copies of the last: of one program all."""
  count = len(scripts)
  more = WIDTH - count
  seeds = list(range(count) if seeds is None else seeds)
  trials = begin(
    played, scripts + scripts[-1:] * more, seeds + seeds[-1:] * more
  )
  while (np.asarray(trials.status) == RUNNING).any():
    trials, _ = played.advance(trials, np.int32(chunk))
  return jax.tree.map(lambda a: np.asarray(a)[..., :count], trials)


def end_of(played, script):
  return moments(ended(played, [script]))[0]


def test_by_example():
  """The rules once more, without `by_hand`."""
  played = plays(3, 4)
  right = end_of(played, answers())
  assert right[:3] == (SOLVED, 3, 3) and right.exams == 1
  later = end_of(played, answers([[0, 1], [0, 0, 0, 1]]))
  assert later[:3] == (SOLVED, 9, 9) and later.exams == 3
  never = answers([[1]] * EXAMS, budget=7)
  assert end_of(played, never)[:3] == (BUDGET, 7, 0)


def test_the_exam_that_falls_on_the_budget_is_sat():
  played = plays(3, 4)
  wrong_once = [[0, 0, 0, 1]]
  for budget, want in ((6, SOLVED), (5, BUDGET), (3, BUDGET)):
    end = end_of(played, answers(wrong_once, budget=budget))
    assert (end.status, end.seen) == (want, budget)
  fails = end_of(played, answers(wrong_once * 2, budget=6))
  assert (fails.status, fails.seen, fails.exams) == (BUDGET, 6, 2)


def test_an_exam_ends_early_once_it_cannot_be_passed():
  played = plays(2, 3, 1, 0.5)
  cases = {
    # Wrong and errors of the first exam; sequences it takes.
    1: ([0, 0, 0], [1.25, 0.25, 0.25], 3),  # the first_passed is not known yet
    2: ([1, 1, 0], [0, 0, 0], 2),
    3: ([0, 1, 1], [0, 0, 0], 3),
  }
  for wrong, error, takes in cases.values():
    script = answers([wrong], [error], budget=3)
    whole = [m.sits for m in by_hand(played.exam, script)]
    assert sum(whole) == takes
    trials = begin(played, [script] * WIDTH)
    trials, work = played.advance(trials, np.int32(1 + takes))
    (now,) = set(moments(trials))
    assert now.sits and now.n == takes - 1
    (now,) = set(moments(played.advance(trials, np.int32(1))[0]))
    assert not now.sits and now.seen == 2
    assert float(work.sequences) == 2 * WIDTH  # training sequences alone
  # Once the first_passed lies behind, an error that is too large ends it too.
  script = answers(
    [[0, 0, 0]] * 2, [[1.0, 0.25, 0.25], [1.25, 0.25, 0.25]], budget=5
  )
  steps = list(by_hand(played.exam, script))
  assert [m.sits for m in steps] == [0, 1, 1, 1, 0, 0, 1, 1, 0, 0]
  trials = begin(played, [script] * WIDTH)
  (end,) = set(moments(played.advance(trials, np.int32(100))[0]))
  assert (end.status, end.seen, end.first_passed, end.exams) == (
    BUDGET,
    5,
    2,
    2,
  )


def fraction(word):
  return np.float32(word >> 8) * np.float32(2**-24)


def words(seed, *path):
  """The two words of the key at `path` below the key of a seed."""
  key = jax.random.key(seed)
  for n in path:
    key = jax.random.fold_in(key, n)
  return np.asarray(jax.random.key_data(key)).tolist()


def test_exam_sequences_leave_no_trace():
  """Neither in the weights nor in the training error nor in the keys."""
  played, budget = plays(2, 3, 1, 0.5), 11
  train = np.arange(SHOWN) / 8
  wrong = [[1, 0, 1], [0, 0, 0], [0, 1, 1], [0, 0, 0]]
  error = np.full((EXAMS, SEQUENCES), 64.0)
  scripts = [
    answers(wrong, error, train=train, budget=budget),
    answers([[1, 1]] * EXAMS, train=train, budget=budget),
  ]
  trials = ended(played, scripts, seeds=[5, 5])
  assert np.asarray(trials.stop.number).tolist() == [5, 5]
  total = np.float32(0)
  for n in range(budget):
    total += fraction(words(5, TRAINING, n)[1])
  for params in np.asarray(trials.learner.params).T:
    assert params.tolist() == [budget, total]
  for name, scale in (('absolute', 1), ('squared', 3)):
    found = np.asarray(getattr(trials.error, name))
    want = scale * train[:budget].mean()
    np.testing.assert_allclose(found, want, rtol=1e-6)


@pytest.mark.parametrize('fresh', [True, False])
def test_exam_keys(fresh):
  """One for each sequence, and for each exam unless they are fixed."""
  played, seeds = plays(2, 3, fresh=fresh), [0, 9]
  script = answers([[0, 0, 1]] * EXAMS, by_key=1, budget=7)
  trials = begin(played, [script] * 2, seeds)
  sums = {}
  while (np.asarray(trials.status) == RUNNING).any():
    trials, _ = played.advance(trials, np.int32(1))
    for i, m in enumerate(moments(trials)):
      if m.n:
        sums[i, m.exams, m.n] = m.absolute
  assert len(sums) == 2 * 3 * 2
  for (i, exam, n), total in sums.items():
    want = np.float32(0)
    for j in range(n):
      want += fraction(words(seeds[i], EVALUATION, exam if fresh else 0, j)[0])
    assert total == want
  firsts = {total for (*_, n), total in sums.items() if n == 1}
  assert len(firsts) == (6 if fresh else 2)


def bits(trials, which=slice(None)):
  return [
    np.asarray(x)[..., which].tobytes()
    for x in jax.tree.leaves(jax.tree.map(np.asarray, trials))
  ]


def test_lanes_pieces_and_neighbours_do_not_matter():
  how = EXAMS_TRIED[1]
  played = plays(*how)
  scripts = list(some_scripts(played.exam, WIDTH, seed=11))
  whole = ended(played, scripts)
  assert set(np.asarray(whole.status)) == {SOLVED, BUDGET, DIVERGED}
  assert len(set(np.asarray(whole.seen).tolist())) > 5
  for chunk in (1, 7):
    assert bits(ended(played, scripts, chunk)) == bits(whole)
  order = np.random.default_rng(0).permutation(WIDTH)
  mixed = ended(played, [scripts[i] for i in order], seeds=order.tolist())
  assert bits(mixed) == bits(whole, order)
  # The same number of lanes, so that nothing is compiled: half are others.
  half = [s if i % 2 else answers() for i, s in enumerate(scripts)]
  odd = np.arange(1, WIDTH, 2)
  assert bits(ended(played, half), odd) == bits(whole, odd)


def test_a_lane_that_has_ended_keeps_every_bit():
  played = plays(*EXAMS_TRIED[1])
  scripts = list(some_scripts(played.exam, WIDTH, seed=11))
  trials, there = begin(played, scripts), {}
  for _ in range(60):
    trials, _ = played.advance(trials, np.int32(1))
    for i, status in enumerate(np.asarray(trials.status)):
      if status != RUNNING:
        now = bits(trials, i)
        assert there.setdefault(i, now) == now
  assert len(there) > 32


def test_diverging_in_an_exam():
  """The errors and the exam stay as they were before the sequence."""
  played = plays(2, 3, 1, 0.5)
  train = np.arange(SHOWN) / 8 + 1
  scripts = [
    answers([], [[0.25, 0.5, NAN]], train=train),
    answers([], [[NAN]], train=train),
    # Weights that are not finite are seen at the first sequence after.
    answers(train=train, burst=1),
  ]
  trials = ended(played, scripts)
  for m, (n, absolute) in zip(
    moments(trials), ((2, 0.75), (0, 0), (0, 0)), strict=True
  ):
    assert m == Moment(DIVERGED, 2, 0, True, 1, n, 0, absolute, 2)
  np.testing.assert_allclose(trials.error.absolute, [(1 + 1.125) / 2] * 3)


def test_work_counts_the_time_of_exams_but_not_their_sequences():
  played = plays(2, 3, 1, 0.5)
  trials = begin(played, [answers()] * WIDTH)
  _, work = played.advance(trials, np.int32(100))
  # Two of 4 steps, and an exam whose sequence n has 4 + n.
  assert float(work.sequences) == WIDTH * 2
  steps = WIDTH * (2 * 4 + (4 + 5 + 6))
  assert float(work.useful) == float(work.executed) == steps


def test_what_is_prepared_reaches_training_and_exam():
  """Once a trial, from a key of its own."""
  played, seeds = plays(2, 3, 3, 0.0, True, True), [3, 8]
  trials = begin(played, [answers(by_key=1, budget=5)] * 2, seeds)
  data = [words(seed, DATA)[1] for seed in seeds]
  assert np.asarray(trials.data).tolist() == data
  trials, _ = played.advance(trials, np.int32(1))
  for i, seed in enumerate(seeds):
    want = fraction(words(seed, TRAINING, 0)[0]) + fraction(data[i])
    assert trials.error.absolute[i] == want
  trials, _ = played.advance(trials, np.int32(2))
  for i, seed in enumerate(seeds):
    assert moments(trials)[i].n == 1
    want = fraction(words(seed, EVALUATION, 1, 0)[0]) + fraction(data[i])
    assert trials.stop.absolute[i] == want
  later, _ = played.advance(trials, np.int32(100))
  assert np.asarray(later.data).tolist() == data


def test_the_test_after_success_takes_fresh_sequences():
  """Never those that were prepared; of a task of one kind those of training."""
  for prepares in (True, False):
    played = plays(2, 3, 3, 0.0, True, prepares)
    key = tuple(np.array([key_of(1)] * 2).T)
    judged = played.test(
      np.full(2, 4, np.int32), key, jnp.zeros((2, 2)), np.int32(5)
    )
    assert np.asarray(judged.right).tolist() == ([5, 5] if prepares else [0, 0])
    np.testing.assert_array_equal(judged.absolute, 0)
