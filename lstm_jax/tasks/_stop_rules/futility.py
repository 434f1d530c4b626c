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

  def update(blind, shown):
    def same(i, _):
      # Plus 0: the compiler would move what does not depend on i out of the
      # loop and look after every sequence.
      held = jax.tree.map(lambda p: p + i, shown.params)
      one, other = (
        shown.judge(held, probe(shown.next_key, shown.length, which))
        for which in (0, 1)
      )
      return (one.absolute == other.absolute) & (one.squared == other.squared)

    due = shown.learned & (shown.seen % every == 0)
    looks = jnp.any(due).astype(jnp.int32)
    found = jax.lax.fori_loop(0, looks, same, jnp.zeros_like(due))
    blind = jnp.where(due, jnp.where(found, blind + every, 0), blind)
    return blind, Verdict(futile=blind >= sequences)

  return StopRule(init, update)
