"""Experiment 4: the adding problem.

Source: Hochreiter & Schmidhuber (1997), section 5.4 and Table 7. Each element
of a sequence is a pair (value, marker); at the end the network must give
0.5 + (X1 + X2)/4, where X1 and X2 are the values of the two marked pairs.
Choices that the paper leaves open are options or are fixed as said here:

* Lengths are integers, uniform on T, ..., T + T//10.
* "One of the first T/2 - 1 still unmarked pairs": the unmarked pairs in their
  order, of which the first T//2 - 1. The second mark then lies in the first
  T//2 pairs and the lag is never below T/2, the figure of Table 7.
* "One of the first ten pairs" is, below T = 20, one of the first T//2, for
  the same lag; T is at least 4.
* "If the first pair is marked, X1 is set to 0": whichever of the two draws
  marked it. `first_marked` says whether the network sees the 0.
* A first pair that is marked has marker 1 instead of -1.
* `output`: the text has logistic units throughout; the published figure for
  T = 100 is met by a linear one.
* `training_error`: which error the stop rule averages (_stop_rules.streak
  says over what).
"""

from typing import Literal

import jax.numpy as jnp

from lstm_jax.ops.checked import Positive, checked, shared
from lstm_jax.ops.prng import uniform_at
from lstm_jax.tasks import _marked
from lstm_jax.tasks._outputs import Output, output_unit
from lstm_jax.tasks._stop_rules.streak import streak as right_streak
from lstm_jax.types import Task, Trivial

NUMBERS = {'length': 100}
SHORTEST = 4
PROVIDES = ('error_at_end', 'drawn_inputs')
MEAN_STEPS = (1.05, 0)
# At T = 100, where the first pair is marked in 11.8 % of the sequences: in
# 1/10 + 9/10 / (T//2 - 1) of them.
TRIVIAL: Trivial = (
  # There the first pair is marked in 2/10 of the sequences at any T from 20 on.
  (
    {'marks': 'first_ten', 'tolerance': 0.04},
    {
      'predictor': '1/2',
      'absolute': 0.15833,
      'squared': 0.0375,
      'wrong': 0.84512,
    },
  ),
  (
    {'marks': 'first_ten'},
    {'predictor': '1/2', 'absolute': 0.15833, 'squared': 0.0375},
  ),
  (
    {'tolerance': 0.04},
    {
      'predictor': '1/2',
      'absolute': 0.16173,
      'squared': 0.039201,
      'wrong': 0.84564,
    },
  ),
  (
    {},  # the share wrong depends on the tolerance
    {
      'predictor': '1/2',
      'absolute': 0.16173,
      'squared': 0.039201,
    },
  ),
)


@shared
@checked
def adding(
  *,
  output: Output = 'logistic',
  marks: Literal['first_half', 'first_ten'] = 'first_half',
  first_marked: Literal[
    'zero_input_and_target', 'zero_target_only'
  ] = 'zero_input_and_target',
  training_error: Literal['absolute', 'squared'] = 'absolute',
  tolerance: Positive = 0.04,
  mean_error: float = 0.01,
  streak: int = 2000,
) -> Task:
  """Adding problem of 1997: the scaled sum of two marked values, at the end.

  Values are uniform on [-1, 1). Inputs `[2, *]` are (value, marker), with
  marker 1 at the two marked pairs, -1 at the first and last pair, 0 elsewhere.
  One output; only the last step is scored.

  Args:
    output: output unit, see `outputs.output_unit`.
    marks: where the marked pairs are: the first among the first ten pairs and
      the second in the first half of T (the paper's; the shortest lag is T/2),
      or both among the first ten (T; sequences are ten steps longer).
    first_marked: whether a marked first pair has its value set to 0 in the
      input and the target, or in the target only (then about 3 % of the
      sequences stay wrong at T = 100).
    training_error: error that the stop rule averages.
    tolerance: a sequence is right if |t - y| is below it.
    mean_error: bound on the average training error.
    streak: right sequences in a row that the stop rule asks for.

  Returns:
    The task; its length T is the minimal length.

  Raises:
    ValueError: an option outside its choices, a tolerance, mean error or
      streak that is not positive. The task's `longest` raises it for a length
      below 4.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding(output='linear')
    >>> task.num_inputs, task.num_outputs, task.longest(100)
    (2, 1, 110)
  """
  unit = output_unit(output)

  both_early = marks == 'first_ten'
  start_value = 0 if first_marked == 'zero_input_and_target' else None

  def draw(key, length, data=()):
    del data
    return _marked.draw(key, length, _value_at, 0, _target, both_early)

  def stream(episode):
    return _marked.stream(episode, _value_at, start_value, 2.0, -1.0)

  def correct(episode, t, y_k):
    return jnp.all(jnp.abs(y_k - episode.target[None]) < tolerance, axis=0)

  return Task(
    num_inputs=2,
    num_outputs=1,
    draw=draw,
    fresh=draw,
    stream=stream,
    longest=lambda length: _marked.longest(
      length, SHORTEST, 'adding', both_early
    ),
    error_at_end=True,
    output=unit.output,
    loss=unit.loss,
    correct=correct,
    stop_rule=right_streak(streak, mean_error, training_error),
  )


def _value_at(key, t):
  """The value drawn for step t, on a grid of 2**-22 in [-1, 1)."""
  return 2 * uniform_at(key, t) - 1


def _target(x1, x2):
  """Exact in float32."""
  return 0.5 + 0.25 * (x1 + x2)
