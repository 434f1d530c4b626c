"""Solved when an evaluation is passed, between training sequences.

Table 11 of the 1997 paper stops a trial when a test is passed. The lanes of a
program do not take it at the same time: each takes the sequences of its
evaluation in the same lock-step in which the others train.
"""

import math
from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

import jax.numpy as jnp

from lstm_jax.ops import prng
from lstm_jax.ops.arrays import select
from lstm_jax.types import Array, Episode, StopRule, Verdict


class EvalState(NamedTuple):
  """The evaluations of a lane so far; `[*]` each."""

  is_running: Array  # bool, whether it is being evaluated
  number: Array  # int32, evaluations begun
  n: Array  # int32, sequences of this one taken
  num_wrong: Array  # int32, of these
  absolute: Array  # sum of their mean absolute errors


def evaluation(
  every: int,
  sequences: int,
  draw: Callable[..., Episode],
  most_wrong: int = 0,
  mean_error: float = math.inf,
  fresh: bool = True,
) -> StopRule:
  """Solved when a test without learning is passed.

  An evaluation ends early once it cannot be passed any more. The first one that
  meets `most_wrong` is reported (`Verdict.passed`), whether or not the mean
  error is small enough.

  Args:
    every: training sequences between two evaluations.
    sequences: sequences of one.
    draw: `(key, length [*], n [*], data) -> episode`: the n-th sequence of an
      evaluation, 0 <= n < sequences; `key` is one for each n and evaluation.
    most_wrong: wrong sequences that it may have.
    mean_error: bound that its mean absolute error must stay below.
    fresh: whether every evaluation has new keys, or all of a trial the same.

  Returns:
    The stop rule; its state is an `EvalState`.
  """
  bound = mean_error * sequences

  def init(lanes, dtype):
    zeros = jnp.zeros(lanes, jnp.int32)
    return EvalState(zeros != 0, zeros, zeros, zeros, jnp.zeros(lanes, dtype))

  def update(state, evidence):
    judgement = evidence.judgement
    n = state.n + 1
    num_wrong = state.num_wrong + ~judgement.right
    absolute = state.absolute + judgement.absolute.astype(state.absolute.dtype)
    is_complete = state.is_running & (n >= sequences)
    is_passed = is_complete & (num_wrong <= most_wrong)
    is_solved = is_passed & (absolute < bound)
    # No sequence more once it cannot be passed, nor add to what is known.
    has_passed = evidence.first_passed > 0
    hopeless = (num_wrong > most_wrong) | (has_passed & (absolute >= bound))
    goes_on = state.is_running & ~is_complete & ~hopeless
    begins = ~state.is_running & (evidence.seen % every == 0)
    state = EvalState(
      is_running=goes_on | begins,
      number=state.number + begins,
      n=jnp.where(goes_on, n, 0),
      num_wrong=jnp.where(goes_on, num_wrong, 0),
      absolute=jnp.where(goes_on, absolute, 0),
    )
    return state, Verdict(is_solved, passed=is_passed)

  def next_key(state, key, training):
    again = state.number if fresh else jnp.zeros_like(state.number)
    evaluation_key = prng.fold_in(prng.fold_in(key, again), state.n)
    return select(state.is_running, evaluation_key, training)

  def next_episode(state, training, key, length, data):
    return select(state.is_running, draw(key, length, state.n, data), training)

  return StopRule(
    init, update, attrgetter('is_running'), next_key, next_episode
  )
