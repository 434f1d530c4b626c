"""A trial: a net meets a task until it has learned it or its budget is spent.

Many trials run at once, one a lane, in lock-step over sequences: draw a
sequence, run, judge, learn, test the stop criterion. Everything that a trial
does depends on its key and its numbers alone, never on its lane, its
neighbours or how the run was cut into pieces: sequence n is drawn from
`fold_in(training key, n)`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax import draw
from lstm_jax.draw import Key
from lstm_jax.types import Array, Judgement
from lstm_jax.unroll import select, settle

# What a lane is doing, and how a trial ended.
IDLE, RUNNING, SOLVED, BUDGET, DIVERGED = range(5)
STATUS = ('idle', 'running', 'solved', 'budget', 'diverged')

# Children of a trial's key.
_WEIGHTS, _TRAINING, _TEST = range(3)

# Sequences over which the recorded training error fades out.
_MEMORY = 100


class Trials(NamedTuple):
  """Trials side by side, one a lane.

  Attributes:
    key: the trial's key.
    sequence_key: the key of the next training sequence. It is carried rather
      than made where it is used: XLA:CPU would make it again for each fact
      that is drawn from it.
    learner: the learner's state, `[..., *]`.
    criterion: the stop criterion's state, `[*]` each.
    length: `[*]` the task's T.
    budget: `[*]` sequences that may be shown.
    seen: `[*]` sequences shown so far.
    status: `[*]` one of IDLE ... DIVERGED.
    error: `[*]` each: running mean of the last finite training errors.
  """

  key: Key
  sequence_key: Key
  learner: Any
  criterion: Any
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
  """

  def start(key, numbers, length, budget):
    lanes = length.shape
    child = lambda n: draw.fold_in(key, jnp.full(lanes, n))

    def init(key, numbers):
      key = jax.random.wrap_key_data(jnp.stack(key), impl='threefry2x32')
      return learner.init(key, numbers)

    for _ in lanes:
      init = jax.vmap(init, in_axes=-1, out_axes=-1)
    state = init(child(_WEIGHTS), numbers)
    dtype = jax.tree.leaves(state.params)[0].dtype
    zeros = jnp.zeros(lanes, dtype)
    return Trials(
      key=Key(*key),
      sequence_key=draw.fold_in(child(_TRAINING), jnp.zeros(lanes, jnp.int32)),
      learner=state,
      criterion=task.criterion.init(lanes, dtype),
      length=length,
      budget=budget,
      seen=jnp.zeros(lanes, jnp.int32),
      status=jnp.full(lanes, RUNNING, jnp.int32),
      error=Judgement(zeros, zeros, zeros),
    )

  def one_sequence(trials):
    # Settled: each fact would be drawn again wherever it is used.
    episode = settle(
      task.draw(trials.sequence_key, trials.length),
      jnp.max(trials.length) > 0,
    )
    steps = task.stream(episode).length
    learner_t, judgement = learner.update(trials.learner, episode)
    criterion_t = task.criterion.update(trials.criterion, judgement)

    # A lane that is not running keeps everything. One that has diverged keeps
    # its last finite errors; its weights are looked at before the sequence.
    running = trials.status == RUNNING
    finite = jnp.isfinite(judgement.squared) & _finite(
      trials.learner.params, trials.status.shape
    )
    keep = running & finite
    seen = trials.seen + running
    training = draw.fold_in(trials.key, jnp.full_like(seen, _TRAINING))
    solved = task.criterion.met(criterion_t)
    status = jnp.where(
      ~finite,
      DIVERGED,
      jnp.where(
        solved, SOLVED, jnp.where(seen >= trials.budget, BUDGET, RUNNING)
      ),
    )
    pace = 1.0 / jnp.clip(seen, 1, _MEMORY)
    new = jax.tree.map(lambda j: j.astype(pace.dtype), judgement)
    error = jax.tree.map(lambda e, j: e + pace * (j - e), trials.error, new)
    trials = trials._replace(
      sequence_key=draw.fold_in(training, seen),
      learner=select(keep, learner_t, trials.learner),
      criterion=select(keep, criterion_t, trials.criterion),
      seen=seen,
      status=jnp.where(running, status, trials.status),
      error=select(keep, error, trials.error),
    )
    work = Work(
      useful=jnp.sum(jnp.where(running, steps, 0)).astype(jnp.float32),
      executed=(jnp.max(steps) * steps.size).astype(jnp.float32),
      sequences=jnp.sum(running).astype(jnp.float32),
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
    key = draw.fold_in(key, jnp.full_like(length, _TEST))

    def body(i, total):
      # The lanes share the test sequences between them.
      n = i * lanes + jnp.arange(lanes)
      judgement = learner.judge(params, task.draw(draw.fold_in(key, n), length))
      return jax.tree.map(lambda t, j: t + j.astype(t.dtype), total, judgement)

    dtype = jax.tree.leaves(params)[0].dtype
    zeros = jnp.zeros(length.shape, dtype)
    none = Judgement(jnp.zeros(length.shape, jnp.int32), zeros, zeros)
    total = jax.lax.fori_loop(0, rounds, body, none)
    return Judgement(
      total.right, total.absolute / rounds, total.squared / rounds
    )

  return Program(start, advance, test)


def _finite(params, lanes):
  """`lanes`-shaped bool: whether every weight of a lane is a finite number."""
  ok = jnp.ones(lanes, bool)
  for leaf in jax.tree.leaves(params):
    own = tuple(range(leaf.ndim - len(lanes)))
    ok &= jnp.all(jnp.isfinite(leaf), axis=own)
  return ok
