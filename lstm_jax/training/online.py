"""A trial: a network meets a task until it learns it or its budget is spent.

Many trials run at once, one a lane, in lock-step over sequences: draw a
sequence, run, judge, learn, ask the stop rule. Where the rule takes sequences
of its own, a lane takes them in the same lock-step and does not learn from
them. Everything that a trial does depends on its key and its
numbers alone, never on its lane, its neighbours or how the run was cut into
pieces: training sequence n is drawn from `fold_in(training key, n)`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from lstm_jax.ops import prng
from lstm_jax.ops.arrays import select, settle
from lstm_jax.ops.prng import Key
from lstm_jax.training import learning_curve
from lstm_jax.types import (
  Array,
  Evidence,
  Judgement,
  Learner,
  LearnerState,
  Task,
)

# What a lane is doing, and how a trial ended.
IDLE, RUNNING, SOLVED, BUDGET, DIVERGED, FUTILE = range(6)
STATUS = ('idle', 'running', 'solved', 'budget', 'diverged', 'given_up')

# Children of a trial's key.
_WEIGHTS, _TRAINING, _TEST, _EVALUATION, _DATA = range(5)

# Weights of an array that are looked at after every sequence: a pass over the
# input weights of a thousand symbols would cost as much as the sequence.
_MAX_CHECKED = 1024

# Sequences over which the recorded training error fades out.
_MEMORY = 100


class Trials(NamedTuple):
  """Trials side by side, one a lane.

  Attributes:
    key: the trial's key.
    sequence_key: the key of the next sequence. It is carried rather than made
      where it is used: XLA:CPU would make it again for each fact that is drawn
      from it.
    data: what the task has prepared for the trial, `[..., *]`.
    learner: the learner's state, `[..., *]`.
    stop: the state of the stop rule.
    first_passed: `[*]` sequences seen when an evaluation was first passed but
      for its mean error; 0 before.
    length: `[*]` the task's T.
    budget: `[*]` sequences that may be shown.
    seen: `[*]` sequences shown so far.
    status: `[*]` one of IDLE ... FUTILE.
    error: `[*]` each: running mean of the last finite training errors.
    curve: the learning curve.
  """

  key: Key
  sequence_key: Key
  data: object
  learner: LearnerState
  stop: object
  first_passed: Array
  length: Array
  budget: Array
  seen: Array
  status: Array
  error: Judgement
  curve: learning_curve.LearningCurve


class Work(NamedTuple):
  """The work of a call of `advance`.

  Attributes:
    useful: time steps of running trials.
    executed: time steps of all lanes, idle and waiting ones included.
    sequences: sequences shown to running trials.
  """

  useful: Array
  executed: Array
  sequences: Array


class Program(NamedTuple):
  """The pure functions of one (cell, learner, task): what gets compiled.

  Attributes:
    start: `(key, numbers {name: [..., *]}, length [*], budget [*]) ->
      Trials`, every lane at its first sequence.
    advance: `(trials, num_sequences) -> (trials, work)`: at most that many
      sequences for every running lane; returns early when a lane has finished,
      so that its place can be given away.
    advance_all: the same, but what has finished waits for the others: where
      lanes are many, one of them ends at almost every sequence.
    test: `(length [L], key, params [..., L], rounds) -> Judgement [L]`: the L
      lanes, copies of one network and key, take `rounds` fresh sequences each.
      `right` is the *number* of right ones, the errors are their means.
  """

  start: Callable[..., Trials]
  advance: Callable[[Trials, ArrayLike], tuple[Trials, Work]]
  advance_all: Callable[[Trials, ArrayLike], tuple[Trials, Work]]
  test: Callable[..., Judgement]


def program(task: Task, learner: Learner) -> Program:
  """The trial loop of a learner on a task.

  Args:
    task: the task.
    learner: the learner, already bound to its cell and this task.

  Returns:
    The program; its functions are pure and not yet compiled.
  """

  def start(key, numbers, length, budget):
    return _start(task, learner, key, numbers, length, budget)

  def advance(trials, num_sequences):
    return _advance(task, learner, trials, num_sequences, _is_as_at_first)

  def advance_all(trials, num_sequences):
    return _advance(task, learner, trials, num_sequences, _is_any)

  def test(length, key, params, rounds):
    return _test(task, learner, length, key, params, rounds)

  return Program(start, advance, advance_all, test)


def _start(task, learner, key, numbers, length, budget):
  """`Trials` at their first sequence, see `Program.start`."""
  lanes = length.shape

  def init(key, numbers):
    key = jax.random.wrap_key_data(jnp.stack(key), impl='threefry2x32')
    return learner.init(key, numbers)

  for _ in lanes:
    init = jax.vmap(init, in_axes=-1, out_axes=-1)
  state = init(_child(key, _WEIGHTS, length), numbers)
  dtype = jax.tree.leaves(state.params)[0].dtype
  zeros = jnp.zeros(lanes, dtype)
  none = jnp.zeros(lanes, jnp.int32)
  return Trials(
    key=Key(*key),
    sequence_key=prng.fold_in(_child(key, _TRAINING, length), none),
    data=task.prepare(_child(key, _DATA, length), length),
    learner=state,
    stop=task.stop_rule.init(lanes, dtype),
    first_passed=none,
    length=length,
    budget=budget,
    seen=none,
    status=jnp.full(lanes, RUNNING, jnp.int32),
    error=Judgement(zeros, zeros, zeros),
    curve=learning_curve.start(lanes, dtype),
  )


def _child(key, n, like):
  """Child number `n` of a key, for lanes like those of `like`."""
  return prng.fold_in(key, jnp.full_like(like, n))


def _is_as_at_first(running, at_first):
  return running == at_first


def _is_any(running, at_first):
  del at_first
  return running > 0


def _advance(task, learner, trials, num_sequences, goes_on):
  """At most so many sequences of each lane, see `Program.advance`."""
  num_running = jnp.sum(trials.status == RUNNING)

  def unfinished(c):
    i, trials, *_ = c
    running = jnp.sum(trials.status == RUNNING)
    return (i < num_sequences) & goes_on(running, num_running)

  def body(c):
    i, trials, work = c
    episode = _next_episode(task, trials)
    trials, work_more = _one_sequence(
      task, learner, trials, episode, learner.update
    )
    return i + 1, trials, jax.tree.map(jnp.add, work, work_more)

  no_work = Work(jnp.float32(0), jnp.float32(0), jnp.float32(0))
  start = jnp.int32(0), trials, no_work
  if learner.foreign is not None:
    return _advance_by_foreign(task, learner, unfinished, start)
  _, trials, work = jax.lax.while_loop(unfinished, body, start)
  return trials, work


def _advance_by_foreign(task, learner, unfinished, start):
  """`_advance` of a learner with `ForeignSteps`.

  XLA:CPU compiles no loop with foreign code in it to one function, but a loop
  without. What stands between two calls is a loop of one turn: the end of a
  sequence and the start of the next. It hands on whatever it is given in place.
  """
  foreign = learner.foreign

  def begin(trials):
    episode = _next_episode(task, trials)
    return episode, foreign.prepare(trials.learner.params, episode)

  def between(_, c):
    i, trials, work, episode, steps = c
    trials, work_more = _one_sequence(
      task, learner, trials, episode,
      lambda state, episode: foreign.update(state, episode, steps),
    )  # fmt: skip
    work = jax.tree.map(jnp.add, work, work_more)
    return i + 1, trials, work, *begin(trials)

  def body(c):
    *others, steps = c
    # The compiler must not know that it is one turn.
    turns = jnp.minimum(jnp.max(c[1].length), 1)
    return jax.lax.fori_loop(0, turns, between, (*others, foreign.run(steps)))

  _, trials, work, *_ = jax.lax.while_loop(
    unfinished, body, (*start, *begin(start[1]))
  )
  return trials, work


def _next_episode(task, trials):
  """The facts of the next sequence of every lane."""
  drawn_from = trials.sequence_key, trials.length
  episode = task.draw(*drawn_from, trials.data)
  episode = task.stop_rule.next_episode(
    trials.stop, episode, *drawn_from, trials.data
  )
  # Settled: each fact would be drawn again wherever it is used.
  if task.steps_at_once is None:
    episode = settle(episode, jnp.max(trials.length) > 0)
  return episode


def _one_sequence(task, learner, trials, episode, update):
  """`(trials, work)` after one more sequence of every running lane."""
  rule, length = task.stop_rule, trials.length
  steps = task.stream(episode).length
  learner_t, judgement = update(trials.learner, episode)

  # A lane that is not running keeps everything. One that has diverged keeps
  # its last finite errors; its weights are looked at before the sequence, and
  # arrays of many weights when it ends (while they are not, the outputs say).
  running = trials.status == RUNNING
  params, lanes = trials.learner.params, trials.status.shape
  finite = jnp.isfinite(judgement.squared) & _finite(
    params, lanes, _MAX_CHECKED
  )
  trains = running & ~rule.evaluating(trials.stop)
  seen = trials.seen + trains
  evidence = Evidence(
    judgement=judgement,
    learned=trains & finite,
    seen=seen,
    first_passed=trials.first_passed,
    length=length,
    key=_child(trials.key, _EVALUATION, seen),
    next_key=prng.fold_in(_child(trials.key, _TRAINING, seen), seen),
    params=learner_t.params,
    judge=learner.judge,
  )
  stop_t, verdict = rule.update(trials.stop, evidence)
  spent = (seen >= trials.budget) & ~rule.evaluating(stop_t)
  has_ended = running & (verdict.solved | verdict.futile | spent)
  # The update waits for the look: the compiler would otherwise copy all
  # weights before every sequence, as both read the old ones.
  finite &= ~has_ended | _all_finite(params, has_ended)
  keep = running & finite
  learns = keep & trains
  status = jnp.select(
    [~running, ~finite, verdict.solved, spent, verdict.futile],
    [trials.status, DIVERGED, SOLVED, BUDGET, FUTILE],
    RUNNING,
  )
  next_key = rule.next_key(stop_t, evidence.key, evidence.next_key)
  first = keep & verdict.passed & (trials.first_passed == 0)
  error = _faded(trials.error, judgement, seen)
  trials = trials._replace(
    sequence_key=select(running, next_key, trials.sequence_key),
    learner=select(learns, learner_t, trials.learner),
    stop=select(keep, stop_t, trials.stop),
    first_passed=jnp.where(first, seen, trials.first_passed),
    seen=seen,
    status=status,
    error=select(learns, error, trials.error),
    curve=learning_curve.add(trials.curve, judgement, learns),
  )
  return trials, Work(
    useful=jnp.sum(jnp.where(running, steps, 0)).astype(jnp.float32),
    executed=(jnp.max(steps) * steps.size).astype(jnp.float32),
    sequences=jnp.sum(trains).astype(jnp.float32),
  )


def _faded(mean, judgement, seen):
  """The running mean of errors with one more, the last `_MEMORY` or so."""
  pace = 1.0 / jnp.clip(seen, 1, _MEMORY)
  new = jax.tree.map(lambda j: j.astype(pace.dtype), judgement)
  # The mean keeps its type, whatever that of the pace is (of a whole number
  # float64 where JAX has it on).
  fade = lambda e, j: (e + pace * (j - e)).astype(e.dtype)
  return jax.tree.map(fade, mean, new)


def _all_finite(params, has_ended):
  """`_finite` of all weights, looked at only where a lane has ended."""
  lanes = has_ended.shape
  return jax.lax.fori_loop(
    0, jnp.any(has_ended).astype(jnp.int32),
    # Plus 0: the compiler would move what does not depend on i out of the
    # loop, and look at all weights after every sequence.
    lambda i, _: _finite(jax.tree.map(lambda p: p + i, params), lanes),
    jnp.ones(lanes, bool),
  )  # fmt: skip


def _test(task, learner, length, key, params, rounds):
  """The judgement of fresh sequences, see `Program.test`."""
  lanes = length.shape[0]
  key = _child(key, _TEST, length)

  def body(i, total):
    # The lanes share the test sequences between them.
    n = i * lanes + jnp.arange(lanes)
    episode = task.fresh(prng.fold_in(key, n), length)
    judgement = learner.judge(params, episode)
    return jax.tree.map(lambda t, j: t + j.astype(t.dtype), total, judgement)

  dtype = jax.tree.leaves(params)[0].dtype
  zeros = jnp.zeros(length.shape, dtype)
  no_judgement = Judgement(jnp.zeros(length.shape, jnp.int32), zeros, zeros)
  total = jax.lax.fori_loop(0, rounds, body, no_judgement)
  return Judgement(total.right, total.absolute / rounds, total.squared / rounds)


def _finite(params, lanes, max_weights=math.inf):
  """`lanes`-shaped bool: whether every weight of a lane is a finite number.

  Arrays with more than `max_weights` weights a lane are not looked at.
  """
  ok = jnp.ones(lanes, bool)
  for leaf in jax.tree.leaves(params):
    weight_axes = tuple(range(leaf.ndim - len(lanes)))
    if math.prod(leaf.shape[: len(weight_axes)]) <= max_weights:
      ok &= jnp.all(jnp.isfinite(leaf), axis=weight_axes)
  return ok
