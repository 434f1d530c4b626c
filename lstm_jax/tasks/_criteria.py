"""Stop criteria: when a trial may stop as solved."""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.checked import checked
from lstm_jax.types import Array, Criterion


class Streak(NamedTuple):
  """The current run of right sequences; all zero after a wrong one."""

  run: Array  # [*] int32, sequences in the run
  total: Array  # [*] sum of their errors
  excess: Array  # [*] what rounding has put into `total` too much


@checked
def streak(
  sequences: int = 2000,
  mean_error: float = 0.01,
  training_error: Literal['absolute', 'squared'] = 'absolute',
) -> Criterion:
  """Met when the last sequences were all right and their error is small.

  The paper (sections 5.4, 5.6; Table 11) stops when the 2000 most recent
  sequences were processed correctly *and* the average training error is below
  a bound. It says neither over how many sequences the average goes nor which
  error is averaged. Here it goes over the current run of right sequences: the
  last `sequences` ones at the moment the run has grown that long, the whole
  run afterwards. One count and one sum per lane are then enough. The sum is
  compensated (Kahan, 1965), so that a run of any length is averaged to float
  rounding.

  Args:
    sequences: how many right sequences in a row are asked for.
    mean_error: bound that the mean error over the run must stay below.
    training_error: 'absolute' or 'squared', which error of the judgement.

  Returns:
    The criterion; its state is a `Streak`. A judgement that is not right, also
    one whose errors are not finite, leaves no trace in it.

  Raises:
    ValueError: `sequences` below 1, `mean_error` not above 0, an unknown
      `training_error`.
  """
  if sequences < 1:
    raise ValueError(f'streak={sequences} sequences; must be at least 1')
  if not mean_error > 0:
    raise ValueError(f'mean_error={mean_error} must be above 0')

  def init(lanes, dtype):
    zeros = jnp.zeros(lanes, dtype)
    return Streak(jnp.zeros(lanes, jnp.int32), zeros, zeros)

  def update(state, judgement):
    error = getattr(judgement, training_error).astype(state.total.dtype)
    add = error - state.excess
    total = state.total + add
    excess = (total - state.total) - add
    keep = lambda value: jnp.where(judgement.right, value, 0)
    return Streak(keep(state.run + 1), keep(total), keep(excess))

  def met(state):
    bound = mean_error * state.run.astype(state.total.dtype)
    return (state.run >= sequences) & (state.total < bound)

  return Criterion(init, update, met)


class Recent(NamedTuple):
  """Which of the last sequences were wrong."""

  ring: Array  # [W, *] uint32, a bit a sequence, 1 where it was wrong
  wrong: Array  # [*] int32, ones in the ring
  seen: Array  # [*] int32, sequences


def recent(sequences: int = 2000, wrong: int = 140) -> Criterion:
  """Met while few of the last sequences were wrong.

  The criterion of the paper's section 5.5: fewer than `wrong` of the last
  `sequences` ones, with 140 and 13 of 2000 in Table 8. Before so many have been
  seen it is not met.

  Args:
    sequences: how many of the last sequences count.
    wrong: how many of these may not be wrong.

  Returns:
    The criterion; its state is a `Recent` with W = ceil(sequences / 32). A
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
    none = jnp.zeros(lanes, jnp.int32)
    return Recent(jnp.zeros((words, *lanes), jnp.uint32), none, none)

  def update(state, judgement):
    place = state.seen % sequences
    row = jnp.arange(words).reshape((words,) + (1,) * place.ndim)
    bit = np.uint32(1) << (place % 32).astype(jnp.uint32)
    # All zeros but for the one bit of this place, in its word.
    here = jnp.where(row == place[None] // 32, bit[None], np.uint32(0))
    before = jnp.any((state.ring & here) != 0, axis=0)
    now = ~judgement.right
    return Recent(
      ring=jnp.where(now[None], state.ring | here, state.ring & ~here),
      wrong=state.wrong + now - before,
      seen=state.seen + 1,
    )

  def met(state):
    return (state.seen >= sequences) & (state.wrong < wrong)

  return Criterion(init, update, met)
