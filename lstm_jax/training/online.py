"""A trial: a net meets a task until it has learned it or its budget is spent.

Many trials run at once, one a lane, in lock-step over sequences: draw a
sequence, run, judge, learn, test the stop criterion. Where the criterion is an
exam, a lane that sits one takes its sequences in the same lock-step and does
not learn from them. Everything that a trial does depends on its key and its
numbers alone, never on its lane, its neighbours or how the run was cut into
pieces: training sequence n is drawn from `fold_in(training key, n)`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.ops import prng
from lstm_jax.ops.arrays import select, settle
from lstm_jax.ops.prng import Key
from lstm_jax.training import evaluation, futility
from lstm_jax.types import Array, Exam, Judgement

# What a lane is doing, and how a trial ended.
IDLE, RUNNING, SOLVED, BUDGET, DIVERGED, GIVEN_UP = range(6)
STATUS = ('idle', 'running', 'solved', 'budget', 'diverged', 'given_up')

# Children of a trial's key.
_WEIGHTS, _TRAINING, _TEST, _EXAM, _DATA = range(5)

# Weights of an array that are looked at after every sequence: a pass over the
# input weights of a thousand symbols would cost as much as the sequence.
_FEW = 1024

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
    criterion: the stop criterion's state, an `exams.Sitting` for an exam.
    milestone: `[*]` sequences seen when an exam was first right, whatever its
      mean error; 0 before.
    blind: `[*]` sequences for which the trial has been blind; () where the
      task gives none up.
    length: `[*]` the task's T.
    budget: `[*]` sequences that may be shown.
    seen: `[*]` sequences shown so far.
    status: `[*]` one of IDLE ... GIVEN_UP.
    error: `[*]` each: running mean of the last finite training errors.
  """

  key: Key
  sequence_key: Key
  data: Any
  learner: Any
  criterion: Any
  milestone: Array
  blind: Any
  length: Array
  budget: Array
  seen: Array
  status: Array
  error: Judgement


class Work(NamedTuple):
  """What a call of `advance` did.

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
    test: `(length [L], key, params [..., L], rounds) -> Judgement [L]`: the L
      lanes, copies of one net and key, take `rounds` fresh sequences each.
      `right` is the *number* of right ones, the errors are their means.
  """

  start: Callable
  advance: Callable
  test: Callable


def program(task, learner):
  """The trial loop of a learner on a task.

  Args:
    task: the task.
    learner: the learner, already bound to its cell and this task.

  Returns:
    The program; its functions are pure and not yet compiled.

  Raises:
    ValueError: a task that prepares data has no sequences for the test.
  """
  if task.prepare and not task.fresh:
    raise ValueError('a task with prepare needs fresh, for the test sequences')
  exam = task.criterion if isinstance(task.criterion, Exam) else None

  def start(key, numbers, length, budget):
    lanes = length.shape
    child = lambda n: prng.fold_in(key, jnp.full(lanes, n))

    def init(key, numbers):
      key = jax.random.wrap_key_data(jnp.stack(key), impl='threefry2x32')
      return learner.init(key, numbers)

    for _ in lanes:
      init = jax.vmap(init, in_axes=-1, out_axes=-1)
    state = init(child(_WEIGHTS), numbers)
    dtype = jax.tree.leaves(state.params)[0].dtype
    zeros = jnp.zeros(lanes, dtype)
    none = jnp.zeros(lanes, jnp.int32)
    if exam:
      criterion = evaluation.begin(lanes, dtype)
    else:
      criterion = task.criterion.init(lanes, dtype)
    return Trials(
      key=Key(*key),
      sequence_key=prng.fold_in(child(_TRAINING), jnp.zeros(lanes, jnp.int32)),
      data=task.prepare(child(_DATA), length) if task.prepare else (),
      learner=state,
      criterion=criterion,
      milestone=none,
      blind=none if task.blindness else (),
      length=length,
      budget=budget,
      seen=none,
      status=jnp.full(lanes, RUNNING, jnp.int32),
      error=Judgement(zeros, zeros, zeros),
    )

  def next_episode(trials):
    data = (trials.data,) if task.prepare else ()
    episode = task.draw(trials.sequence_key, trials.length, *data)
    if exam:
      sitting = trials.criterion
      asked = exam.draw(
        trials.sequence_key, trials.length, sitting.n, trials.data
      )
      episode = select(sitting.now, asked, episode)
    # Settled: each fact would be drawn again wherever it is used.
    return settle(episode, jnp.max(trials.length) > 0)

  def one_sequence(trials):
    episode = next_episode(trials)
    steps = task.stream(episode).length
    learner_t, judgement = learner.update(trials.learner, episode)

    # A lane that is not running keeps everything. One that has diverged keeps
    # its last finite errors; its weights are looked at before the sequence, and
    # arrays of many weights when it ends (while they are not, the outputs say).
    running = trials.status == RUNNING
    params, lanes = trials.learner.params, trials.status.shape
    finite = jnp.isfinite(judgement.squared) & _finite(params, lanes, _FEW)
    keep = running & finite
    sits = trials.criterion.now if exam else jnp.zeros_like(running)
    seen = trials.seen + (running & ~sits)
    milestone = trials.milestone
    child = lambda n: prng.fold_in(trials.key, jnp.full_like(seen, n))
    sequence_key = prng.fold_in(child(_TRAINING), seen)
    if exam:
      criterion_t, first, solved = evaluation.sit(
        exam, trials.criterion, judgement, seen, milestone > 0
      )
      milestone = jnp.where(keep & first & (milestone == 0), seen, milestone)
      again = criterion_t.number if exam.fresh else jnp.zeros_like(seen)
      asked = prng.fold_in(prng.fold_in(child(_EXAM), again), criterion_t.n)
      sequence_key = select(criterion_t.now, asked, sequence_key)
      spent = (seen >= trials.budget) & ~criterion_t.now
    else:
      criterion_t = task.criterion.update(trials.criterion, judgement)
      solved = task.criterion.met(criterion_t)
      spent = seen >= trials.budget
    blind, hopeless = trials.blind, jnp.zeros_like(running)
    if rule := task.blindness:
      due = keep & ~sits & (seen % rule.every == 0)
      blind = futility.count(
        rule, learner.judge, learner_t.params, sequence_key, trials.length,
        due, blind,
      )  # fmt: skip
      hopeless = blind >= rule.sequences
    ended = running & (solved | spent | hopeless)
    sound = jax.lax.fori_loop(
      0, jnp.any(ended).astype(jnp.int32),
      # Plus 0: the compiler would move what does not depend on i out of the
      # loop, and look at all weights after every sequence.
      lambda i, _: _finite(jax.tree.map(lambda p: p + i, params), lanes),
      jnp.ones(lanes, bool),
    )  # fmt: skip
    # The update waits for the look: the compiler would otherwise copy all
    # weights before every sequence, as both read the old ones.
    finite &= ~ended | sound
    keep &= finite
    status = jnp.where(
      ~finite,
      DIVERGED,
      jnp.where(
        solved,
        SOLVED,
        jnp.where(spent, BUDGET, jnp.where(hopeless, GIVEN_UP, RUNNING)),
      ),
    )
    pace = 1.0 / jnp.clip(seen, 1, _MEMORY)
    new = jax.tree.map(lambda j: j.astype(pace.dtype), judgement)
    error = jax.tree.map(lambda e, j: e + pace * (j - e), trials.error, new)
    trials = trials._replace(
      sequence_key=select(running, sequence_key, trials.sequence_key),
      learner=select(keep & ~sits, learner_t, trials.learner),
      criterion=select(keep, criterion_t, trials.criterion),
      milestone=milestone,
      blind=blind,
      seen=seen,
      status=jnp.where(running, status, trials.status),
      error=select(keep & ~sits, error, trials.error),
    )
    work = Work(
      useful=jnp.sum(jnp.where(running, steps, 0)).astype(jnp.float32),
      executed=(jnp.max(steps) * steps.size).astype(jnp.float32),
      sequences=jnp.sum(running & ~sits).astype(jnp.float32),
    )
    return trials, work

  def advance(trials, num_sequences):
    num_running = jnp.sum(trials.status == RUNNING)

    def unfinished(c):
      i, trials, _ = c
      return (i < num_sequences) & (
        jnp.sum(trials.status == RUNNING) == num_running
      )

    def body(c):
      i, trials, work = c
      trials, more = one_sequence(trials)
      return i + 1, trials, jax.tree.map(jnp.add, work, more)

    none = Work(jnp.float32(0), jnp.float32(0), jnp.float32(0))
    _, trials, work = jax.lax.while_loop(
      unfinished, body, (jnp.int32(0), trials, none)
    )
    return trials, work

  def test(length, key, params, rounds):
    lanes = length.shape[0]
    key = prng.fold_in(key, jnp.full_like(length, _TEST))

    def body(i, total):
      # The lanes share the test sequences between them.
      n = i * lanes + jnp.arange(lanes)
      fresh = task.fresh or task.draw
      judgement = learner.judge(params, fresh(prng.fold_in(key, n), length))
      return jax.tree.map(lambda t, j: t + j.astype(t.dtype), total, judgement)

    dtype = jax.tree.leaves(params)[0].dtype
    zeros = jnp.zeros(length.shape, dtype)
    none = Judgement(jnp.zeros(length.shape, jnp.int32), zeros, zeros)
    total = jax.lax.fori_loop(0, rounds, body, none)
    return Judgement(
      total.right, total.absolute / rounds, total.squared / rounds
    )

  return Program(start, advance, test)


def _finite(params, lanes, most=math.inf):
  """`lanes`-shaped bool: whether every weight of a lane is a finite number.

  Arrays with more than `most` weights a lane are not looked at.
  """
  ok = jnp.ones(lanes, bool)
  for leaf in jax.tree.leaves(params):
    own = tuple(range(leaf.ndim - len(lanes)))
    if math.prod(leaf.shape[: len(own)]) <= most:
      ok &= jnp.all(jnp.isfinite(leaf), axis=own)
  return ok
