"""Trials side by side: what each has between two training sequences."""

from typing import NamedTuple

import jax.numpy as jnp

from lstm_jax.ops import prng
from lstm_jax.ops.prng import Key
from lstm_jax.training import learning_curve
from lstm_jax.types import Array, Judgement, LearnerState

# What a lane is doing, and how a trial ended.
IDLE, RUNNING, SOLVED, BUDGET, DIVERGED, FUTILE = range(6)
STATUS = ('idle', 'running', 'solved', 'budget', 'diverged', 'given_up')

# Children of a trial's key.
WEIGHTS, TRAINING, TEST, EVALUATION, DATA = range(5)


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


def child_key(key: Key, n: int, like: Array) -> Key:
  """Child number `n` of a key, for lanes like those of `like`."""
  return prng.fold_in(key, jnp.full_like(like, n))
