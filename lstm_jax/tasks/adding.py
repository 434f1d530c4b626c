"""Experiment 4: the adding problem.

Source: Hochreiter & Schmidhuber (1997), section 5.4 and Table 7. Each element
of a sequence is a pair (value, marker); at the end the net must give
0.5 + (X1 + X2)/4, where X1 and X2 are the values of the two marked pairs.
Choices that the paper leaves open are options or are fixed as said here:

* Lengths are integers, uniform on T, ..., T + T//10.
* "One of the first T/2 - 1 still unmarked pairs": the unmarked pairs in their
  order, of which the first T//2 - 1. The second mark then lies in the first
  T//2 pairs and the lag is never below T/2, the figure of Table 7.
* "One of the first ten pairs" is, below T = 20, one of the first T//2, for
  the same lag; T is at least 4.
* "If the first pair is marked, X1 is set to 0": whichever of the two draws
  marked it. `first_marked` says whether the net sees the 0.
* A first pair that is marked has marker 1 instead of -1.
* `output`: the text has logistic units throughout; the published figure for
  T = 100 is met by a linear one.
* `training_error`: which error the stop criterion averages (criteria.streak
  says over what).
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.criteria import streak as right_streak
from lstm_jax.draw import integer_at, uniform_at
from lstm_jax.outputs import output_unit
from lstm_jax.types import Array, Stream, Task

NUMBERS = {'length': 100}
SHORTEST = 4
# Positions of the sequence's random numbers. The value of step t is at t;
# these lie past every t.
_LENGTH, _FIRST, _SECOND = np.uint32(2**31) + np.arange(3, dtype=np.uint32)


class Episode(NamedTuple):
  """The facts of one sequence; positions count from 0."""

  key: tuple[Array, Array]  # each [*] uint32, what the values are drawn from
  length: Array  # [*] int32, steps
  first: Array  # [*] int32, position of the first mark (X1)
  second: Array  # [*] int32, position of the second mark (X2)
  target: Array  # [*] 0.5 + (X1 + X2)/4, exact in float32


def adding(
  *,
  output: Literal[
    'logistic', 'linear', 'logistic_without_derivative'
  ] = 'logistic',
  first_marked: Literal[
    'zero_input_and_target', 'zero_target_only'
  ] = 'zero_input_and_target',
  training_error: Literal['absolute', 'squared'] = 'absolute',
  tolerance: float = 0.04,
  mean_error: float = 0.01,
  streak: int = 2000,
) -> Task:
  """Adding problem of 1997: the scaled sum of two marked values, at the end.

  Values are uniform on [-1, 1). Inputs `[2, *]` are (value, marker), with
  marker 1 at the two marked pairs, -1 at the first and last pair, 0 elsewhere.
  One output; only the last step is scored.

  Args:
    output: output unit, see `outputs.output_unit`.
    first_marked: whether a marked first pair has its value set to 0 in the
      input and the target, or in the target only (then about 3 % of the
      sequences stay wrong at T = 100).
    training_error: error that the stop criterion averages.
    tolerance: a sequence is right if |t - y| is below it.
    mean_error: bound on the average training error.
    streak: right sequences in a row that the stop criterion asks for.

  Returns:
    The task; its length T is the minimal length.

  Raises:
    ValueError: an option outside its choices, a tolerance, mean error or
      streak that is not positive. The task's `longest` raises it for a length
      below 4.
  """
  choices = ('zero_input_and_target', 'zero_target_only')
  if first_marked not in choices:
    raise ValueError(
      f'first_marked={first_marked!r} must be one of {", ".join(choices)}'
    )
  if not tolerance > 0:
    raise ValueError(f'tolerance={tolerance} must be above 0')
  unit = output_unit(output)

  def stream(episode):
    last = episode.length - 1

    def input_at(t):
      marked = (t == episode.first) | (t == episode.second)
      value = _value_at(episode.key, t)
      if first_marked == 'zero_input_and_target':
        value = jnp.where(marked & (t == 0), 0, value)
      edge = jnp.where((t == 0) | (t == last), np.float32(-1), np.float32(0))
      marker = jnp.where(marked, 1, edge)
      # A sum of padded rows: a select by row would draw the value in both
      # rows (measured: 5-6 ns a lane-step against 3).
      others = ((0, 0),) * value.ndim
      return jnp.pad(value[None], ((0, 1), *others)) + jnp.pad(
        marker[None], ((1, 0), *others)
      )

    return Stream(
      length=episode.length,
      input_at=input_at,
      target_at=lambda t: episode.target[None],
      scored_at=lambda t: t == last,
    )

  def correct(episode, t, y_k):
    return jnp.all(jnp.abs(y_k - episode.target[None]) < tolerance, axis=0)

  return Task(
    num_inputs=2,
    num_outputs=1,
    draw=_draw,
    stream=stream,
    longest=_longest,
    error_at_end=True,
    output=unit.output,
    loss=unit.loss,
    correct=correct,
    criterion=right_streak(streak, mean_error, training_error),
  )


def _longest(length):
  if length < SHORTEST:
    raise ValueError(f'length={length} must be at least {SHORTEST} for adding')
  return length + length // 10


def _value_at(key, t):
  """The value drawn for step t, on a grid of 2**-22 in [-1, 1)."""
  return 2 * uniform_at(key, t) - 1


def _draw(key, length):
  length = jnp.asarray(length).astype(jnp.int32)
  half = length // 2
  first = integer_at(key, _FIRST, 0, jnp.minimum(half, 10))
  unmarked = integer_at(key, _SECOND, 0, half - 1)
  second = unmarked + (unmarked >= first)
  x1, x2 = (
    jnp.where(position == 0, 0, _value_at(key, position))
    for position in (first, second)
  )
  return Episode(
    key=key,
    length=integer_at(key, _LENGTH, length, length + length // 10 + 1),
    first=first,
    second=second,
    target=0.5 + 0.25 * (x1 + x2),
  )
