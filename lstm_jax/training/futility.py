"""Giving a trial up early: when nothing of the lag reaches its end any more.

A budget of millions of sequences is spent on trials that cannot succeed: the
error of the last step does not depend, to the last bit, on what was to be
remembered, and no gradient can point to it. `types.Blindness` says when that
counts as failed. Success may still come by drift of the other weights, so the
rule is an option of a task, is named where it is used, and is held against
trials that ran to their end without it.
"""

import jax
import jax.numpy as jnp


def count(rule, judge, params, key, length, due, blind):
  """How long lanes have been blind, after this sequence.

  Args:
    rule: the `types.Blindness`.
    judge: `(params, episode) -> judgement`, without learning.
    params: `[..., *]`.
    key: a `draw.Key`, `[*]` each, for the probes.
    length: `[*]` the task's T.
    due: `[*]` bool, the lanes that are looked at now.
    blind: `[*]` int32, sequences so far.

  Returns:
    `[*]` int32: `rule.every` more where both probes have the same errors, 0
    where they differ; `blind` where no look is due.
  """

  def same(i, _):
    # Plus 0: the compiler would move what does not depend on i out of the loop
    # and look after every sequence.
    held = jax.tree.map(lambda p: p + i, params)
    one, other = (judge(held, rule.probe(key, length, n)) for n in (0, 1))
    return (one.absolute == other.absolute) & (one.squared == other.squared)

  looks = jnp.any(due).astype(jnp.int32)
  found = jax.lax.fori_loop(0, looks, same, jnp.zeros_like(due))
  return jnp.where(due, jnp.where(found, blind + rule.every, 0), blind)
