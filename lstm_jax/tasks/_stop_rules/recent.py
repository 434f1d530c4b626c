"""Solved when few of the last sequences were wrong."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.types import Array, StopRule, Verdict


class Recent(NamedTuple):
  """The last sequences: which of them were wrong."""

  ring: Array  # [W, *] uint32, a bit a sequence, 1 where it was wrong
  num_wrong: Array  # [*] int32, ones in the ring
  num_seen: Array  # [*] int32, sequences


def recent(sequences: int = 2000, wrong: int = 140) -> StopRule:
  """Solved when few of the last sequences were wrong.

  The rule of the paper's section 5.5: fewer than `wrong` of the last
  `sequences` ones, with 140 and 13 of 2000 in Table 8. Before so many have been
  seen nothing is solved.

  Args:
    sequences: how many of the last sequences count.
    wrong: how many of these may not be wrong.

  Returns:
    The stop rule; its state is a `Recent` with W = ceil(sequences / 32). A
    judgement that is not right, also one whose errors are not finite, is wrong.

  Raises:
    ValueError: `sequences` below 1, `wrong` outside 1, ..., `sequences`.
  """
  if sequences < 1:
    raise ValueError(f'sequences={sequences} must be at least 1')
  if not 1 <= wrong <= sequences:
    raise ValueError(f'wrong={wrong} must be from 1 to sequences={sequences}')
  words = -(-sequences // 32)

  def init(lanes, dtype):
    del dtype
    zeros = jnp.zeros(lanes, jnp.int32)
    return Recent(jnp.zeros((words, *lanes), jnp.uint32), zeros, zeros)

  def update(state, evidence):
    place = state.num_seen % sequences
    row = jnp.arange(words).reshape((words,) + (1,) * place.ndim)
    bit = np.uint32(1) << (place % 32).astype(jnp.uint32)
    # All zeros but for the one bit of this place, in its word.
    bit_at = jnp.where(row == place[None] // 32, bit[None], np.uint32(0))
    was_wrong = jnp.any((state.ring & bit_at) != 0, axis=0)
    is_wrong = ~evidence.judgement.right
    state = Recent(
      ring=jnp.where(is_wrong[None], state.ring | bit_at, state.ring & ~bit_at),
      num_wrong=state.num_wrong + is_wrong - was_wrong,
      num_seen=state.num_seen + 1,
    )
    return state, Verdict(
      (state.num_seen >= sequences) & (state.num_wrong < wrong)
    )

  return StopRule(init, update)
