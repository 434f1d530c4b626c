"""Training sequences of trials, one after the other, all lanes in lock-step."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from lstm_jax.ops import prng
from lstm_jax.ops.arrays import select, settle
from lstm_jax.training import learning_curve
from lstm_jax.training.trials import (
  BUDGET,
  DIVERGED,
  EVALUATION,
  FUTILE,
  RUNNING,
  SOLVED,
  TRAINING,
  Trials,
  Work,
  child_key,
)
from lstm_jax.types import Array, Evidence, Learner, Task

# Weights of an array that are looked at after every sequence: a pass over the
# input weights of a thousand symbols would cost as much as the sequence.
_MAX_CHECKED = 1024

# Sequences over which the recorded training error fades out.
_MEMORY = 100


def none_has_ended(running: Array, at_first: Array) -> Array:
  """Tells whether as many lanes run as at first."""
  return running == at_first


def any_is_running(running: Array, at_first: Array) -> Array:
  """Tells whether any lane still runs."""
  del at_first
  return running > 0


def advance_trials(
  task: Task,
  learner: Learner,
  trials: Trials,
  num_sequences: ArrayLike,
  goes_on: Callable[[Array, Array], Array],
) -> tuple[Trials, Work]:
  """At most so many sequences of each lane.

  Args:
    task: the task.
    learner: the learner.
    trials: of them.
    num_sequences: at most.
    goes_on: `(running lanes, those at first) -> bool`, asked before each one.

  Returns:
    `(trials, work)`.
  """
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
  """`advance_trials` of a learner with `ForeignSteps`.

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
    key=child_key(trials.key, EVALUATION, seen),
    next_key=prng.fold_in(child_key(trials.key, TRAINING, seen), seen),
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
