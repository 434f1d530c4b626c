"""Experiment 2c: what stood at the start is asked for when a trigger comes.

Source: Hochreiter & Schmidhuber (1997), section 5.2 (Task 2c, Table 3). The
alphabet is a_1, ..., a_p (distractors), e (trigger), b, x, y. A sequence starts
with b, then x or y, equally probable, then q distractors; then each symbol is
the trigger with probability 1/10, which ends the input, and otherwise one more
distractor. When the network sees e it must name the symbol that followed b.
Choices and errors of the paper:

* The number k of distractors beyond q is geometric: q + k + 3 steps (the
  paper's count of q + k + 4 has the last symbol too, which is a target only),
  in the mean q + 12.
* All distractors are drawn from a_1, ..., a_p; the printed range is 1, ..., q.
* k comes from one uniform number u by inversion, floor(log(1 - u)/log(9/10)),
  with u on a grid of 2**-23. Its probabilities are exact to 4e-7, and it ends
  at 151, beyond which the geometric distribution has 1.1e-7 of its mass.
* `exam_every`, `exam_set`: the paper does not say when it tests, nor whether
  the test sequences stay the same.
* A sequence is right if both errors are below the tolerance, not at it.
"""

import math
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.checked import Count, Positive, checked, shared
from lstm_jax.ops.prng import bits_at, integer_at, uniform_at
from lstm_jax.tasks._outputs import Output, output_unit
from lstm_jax.tasks._stop_rules.evaluation import evaluation
from lstm_jax.types import Array, OneHot, Stream, Task, Trivial

NUMBERS = {'length': 50}
SHORTEST = 1
# With the trigger probability of the paper.
PROVIDES = ('error_at_end',)
MEAN_STEPS = (1, 12)
TRIVIAL: Trivial = (
  (
    {},
    {
      'predictor': '1/2 for both outputs',
      'absolute': 0.5,
      'squared': 0.25,
      'wrong': 1.0,
    },
  ),
)
# Positions of the sequence's random numbers. The distractor of step t is at t;
# these lie past every t.
_LENGTH, _CLASS = np.uint32(2**31) + np.arange(2, dtype=np.uint32)


class Episode(NamedTuple):
  """The facts of one sequence."""

  key: tuple[Array, Array]  # each [*] uint32, source of the distractors
  length: Array  # [*] int32, steps
  is_y: Array  # [*] int32, 1 if the second symbol is y, 0 if it is x


@shared
@checked
def trigger(
  *,
  distractors: Count = 50,
  trigger_probability: float = 0.1,
  output: Output = 'logistic',
  tolerance: Positive = 0.2,
  exam_every: Count = 1000,
  exam_sequences: Count = 10_000,
  exam_set: Literal['fresh', 'fixed'] = 'fresh',
) -> Task:
  """Second symbol of a sequence (2c), asked for at a trigger, after long lags.

  Inputs are a `OneHot` of size p + 4 over a_1, ..., a_p, e, b, x, y; targets
  `[2, *]` are one-hot over x, y; only the last step, the trigger, is scored.

  Args:
    distractors: p.
    trigger_probability: probability that a symbol after the q distractors is
      the trigger.
    output: output unit, see `outputs.output_unit`.
    tolerance: a sequence is right if |t - y| of both outputs is below it.
    exam_every: training sequences between two evaluations.
    exam_sequences: sequences of an evaluation, all of which must be right.
    exam_set: 'fresh' sequences in each evaluation, or a trial's 'fixed' ones.

  Returns:
    The task; its length is q. Sequences have at least q + 3 steps; the minimal
    lag from the second symbol to the trigger is q + 1.

  Raises:
    ValueError: an option outside its choices, fewer than one distractor, a
      trigger probability outside (0, 1), a tolerance that is not positive, a
      number of sequences below 1. The task's `longest` raises it for a length
      below 1.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.trigger(distractors=20)
    >>> task.num_inputs, task.num_outputs, task.longest(50)
    (24, 2, 204)
  """
  if not 0 < trigger_probability < 1:
    raise ValueError(
      f'trigger_probability={trigger_probability} must be above 0 and below 1'
    )
  unit = output_unit(output)
  # Input lines after those of the distractors.
  e, b, x = distractors, distractors + 1, distractors + 2
  size = distractors + 4
  log_continue = math.log1p(-trigger_probability)
  most_more = math.floor(-23 * math.log(2) / log_continue)

  def longest(length):
    if length < SHORTEST:
      raise ValueError(
        f'length={length} must be at least {SHORTEST} for trigger'
      )
    return length + 3 + most_more

  def draw(key, length, data=()):
    del data
    length = jnp.asarray(length).astype(jnp.int32)
    # 1 - u is exact, at least 2**-23.
    num_more = jnp.log(1 - uniform_at(key, _LENGTH)) * (1 / log_continue)
    # The bound holds whatever the rounding of the logarithm.
    num_more = jnp.minimum(jnp.floor(num_more).astype(jnp.int32), most_more)
    is_y = (bits_at(key, _CLASS) >> np.uint32(31)).astype(jnp.int32)
    return Episode(key, length + 3 + num_more, is_y)

  def stream(episode):
    last = episode.length - 1

    def input_at(t):
      # Probabilities of two distractors differ by less than 2**-23.
      row = integer_at(episode.key, t, 0, distractors)
      row = jnp.where(t == 0, b, row)
      row = jnp.where(t == 1, x + episode.is_y, row)
      return OneHot(jnp.where(t == last, e, row), size)

    return Stream(
      length=episode.length,
      input_at=input_at,
      target_at=lambda t: _target(episode),
      scored_at=lambda t: t == last,
    )

  def correct(episode, t, y_k):
    return jnp.all(jnp.abs(y_k - _target(episode)) < tolerance, axis=0)

  return Task(
    num_inputs=size,
    num_outputs=2,
    draw=draw,
    fresh=draw,
    stream=stream,
    longest=longest,
    error_at_end=True,
    output=unit.output,
    loss=unit.loss,
    correct=correct,
    stop_rule=evaluation(
      every=exam_every,
      sequences=exam_sequences,
      draw=lambda key, length, n, data: draw(key, length),
      fresh=exam_set == 'fresh',
    ),
  )


def _target(episode):
  """`[2, *]` float32, one-hot over x, y."""
  row = jnp.arange(2).reshape((2,) + (1,) * episode.is_y.ndim)
  return (row == episode.is_y[None]).astype(jnp.float32)
