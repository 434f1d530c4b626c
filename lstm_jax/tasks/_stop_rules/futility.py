"""Futile when nothing of the lag reaches a trial's end any more.

A budget of millions of sequences is spent on trials that cannot succeed: the
error of the last step does not depend, to the last bit, on what was to be
remembered, and no gradient can point to it. Success may still come by drift of
the other weights, so the rule is an option of a task, is named where it is
used, and is held against trials that ran to their end without it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lstm_jax.types import Episode, StopRule, Verdict


def futility(
  every: int, sequences: int, probe: Callable[..., Episode]
) -> StopRule:
  """Futile when a trial's end no longer depends on its beginning.

  Args:
    every: training sequences between two looks.
    sequences: sequences of blindness, counted from look to look, after which a
      trial has failed.
    probe: `(key, length [*], which) -> episode`: two sequences, `which` 0 and
      1, that differ in what has to be remembered and in nothing else; both are
      asked for the same target at their last step, the only one scored.

  Returns:
    The stop rule; its state is `[*]` int32, the sequences for which a lane has
    been blind: `every` more where both probes have the same errors, 0 where
    they differ, unchanged where no look is due.
  """

  def init(lanes, dtype):
    del dtype
    return jnp.zeros(lanes, jnp.int32)

  def update(num_blind, evidence):
    def probe_twice(i, _):
      # Plus 0: the compiler would move what does not depend on i out of the
      # loop and look after every sequence.
      params = jax.tree.map(lambda p: p + i, evidence.params)
      first_outcome, other = (
        evidence.judge(
          params, probe(evidence.next_key, evidence.length, symbol)
        )
        for symbol in (0, 1)
      )
      return (first_outcome.absolute == other.absolute) & (
        first_outcome.squared == other.squared
      )

    is_due = evidence.learned & (evidence.seen % every == 0)
    looks = jnp.any(is_due).astype(jnp.int32)
    is_blind = jax.lax.fori_loop(0, looks, probe_twice, jnp.zeros_like(is_due))
    num_blind = jnp.where(
      is_due, jnp.where(is_blind, num_blind + every, 0), num_blind
    )
    return num_blind, Verdict(futile=num_blind >= sequences)

  return StopRule(init, update)
