"""Solved by a streak: right sequences in a row, of a small mean error."""

from typing import Literal, NamedTuple

import jax.numpy as jnp

from lstm_jax.ops.checked import checked
from lstm_jax.types import Array, StopRule, Verdict


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
) -> StopRule:
  """Solved when the last sequences were all right and their error is small.

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
    The stop rule; its state is a `Streak`. A judgement that is not right, also
    one whose errors are not finite, leaves no trace in it.

  Raises:
    ValueError: `sequences` below 1, `mean_error` not above 0, an unknown
      `training_error`.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding()._replace(stop_rule=lj.streak(100, 0.1))
  """
  if sequences < 1:
    raise ValueError(f'streak={sequences} sequences; must be at least 1')
  if not mean_error > 0:
    raise ValueError(f'mean_error={mean_error} must be above 0')

  def init(lanes, dtype):
    zeros = jnp.zeros(lanes, dtype)
    return Streak(jnp.zeros(lanes, jnp.int32), zeros, zeros)

  def update(state, evidence):
    judgement = evidence.judgement
    error = getattr(judgement, training_error).astype(state.total.dtype)
    add = error - state.excess
    total = state.total + add
    excess = (total - state.total) - add
    keep = lambda value: jnp.where(judgement.right, value, 0)
    state = Streak(keep(state.run + 1), keep(total), keep(excess))
    bound = mean_error * state.run.astype(state.total.dtype)
    is_solved = (state.run >= sequences) & (state.total < bound)
    return state, Verdict(is_solved)

  return StopRule(init, update)
