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

  now: Array  # bool, whether it is being evaluated
  number: Array  # int32, evaluations begun
  n: Array  # int32, sequences of this one taken
  wrong: Array  # int32, of these
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
    none = jnp.zeros(lanes, jnp.int32)
    return EvalState(none != 0, none, none, none, jnp.zeros(lanes, dtype))

  def update(state, shown):
    judgement = shown.judgement
    n = state.n + 1
    wrong = state.wrong + ~judgement.right
    absolute = state.absolute + judgement.absolute.astype(state.absolute.dtype)
    complete = state.now & (n >= sequences)
    passed = complete & (wrong <= most_wrong)
    solved = passed & (absolute < bound)
    # No sequence more once it cannot be passed, nor add to what is known.
    known = shown.first_passed > 0
    hopeless = (wrong > most_wrong) | (known & (absolute >= bound))
    goes_on = state.now & ~complete & ~hopeless
    begins = ~state.now & (shown.seen % every == 0)
    state = EvalState(
      now=goes_on | begins,
      number=state.number + begins,
      n=jnp.where(goes_on, n, 0),
      wrong=jnp.where(goes_on, wrong, 0),
      absolute=jnp.where(goes_on, absolute, 0),
    )
    return state, Verdict(solved, passed=passed)

  def next_key(state, key, training):
    again = state.number if fresh else jnp.zeros_like(state.number)
    own = prng.fold_in(prng.fold_in(key, again), state.n)
    return select(state.now, own, training)

  def next_episode(state, training, key, length, data):
    return select(state.now, draw(key, length, state.n, data), training)

  return StopRule(init, update, attrgetter('now'), next_key, next_episode)
