"""Experiments 6a and 6b: temporal order.

Source: Hochreiter & Schmidhuber (1997), section 5.6 and Table 9. A sequence of
symbols starts with E, ends with B and holds distractors a, b, c, d between,
except for two (6a) or three (6b) symbols X or Y far apart; at the end the
network must name their order. Choices that the paper leaves open:

* Lengths are integers, uniform on T, ..., T + T//10 (100, ..., 110).
* The informative symbols lie at positions drawn uniformly and independently
  from n, ..., n + T//10, with n = T//10 and T//2 in 6a and n = T//10, T//3 and
  2T//3 in 6b. For T = 100 these are the paper's 10-20, 50-60 and 10-20, 33-43,
  66-76. T is at least 20, so that none falls on E.
* `positions`: whether E is position 1 or position 0.
* X and Y are equally probable and independent.
* `output`: logistic as in the text, or another unit.
* `training_error`: which error the stop rule averages (_stop_rules.streak
  says over what).

The classes are in the paper's order, X before Y, first symbol first: XX, XY,
YX, YY (Q, R, S, U) and XXX, XXY, ..., YYY (Q, R, S, U, V, A, B, C).
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.checked import Positive, checked, shared
from lstm_jax.ops.prng import bits_at, integer_at
from lstm_jax.tasks._outputs import Output, output_unit
from lstm_jax.tasks._stop_rules.streak import streak as right_streak
from lstm_jax.types import Array, Drawn, Stream, Task

NUMBERS = {'length': 100}
SHORTEST = 20
PROVIDES = ('error_at_end', 'drawn_inputs')
MEAN_STEPS = (1.05, 0)
# "wrong" for tolerances up to 3/4.
TRIVIAL = (
  (
    {'symbols': 2},
    {
      'predictor': '1/4 for every output',
      'absolute': 0.375,
      'squared': 0.1875,
      'wrong': 1.0,
    },
  ),
  (
    {'symbols': 3},
    {
      'predictor': '1/8 for every output',
      'absolute': 0.21875,
      'squared': 0.109375,
      'wrong': 1.0,
    },
  ),
)
# Input lines: E, B, four distractors from _A on, X, Y.
_NUM_INPUTS = 8
_E, _B, _A, _X = 0, 1, 2, 6
# Positions of the sequence's random numbers. The distractor of step t is at t;
# these lie past every t.
_LENGTH, _ORDER, *_POSITIONS = np.uint32(2**31) + np.arange(5, dtype=np.uint32)


class Episode(NamedTuple):
  """The facts of one sequence; positions count from 0.

  `positions` and `is_y` have one entry for each informative symbol.
  """

  key: tuple[Array, Array]  # each [*] uint32, source of the distractors
  length: Array  # [*] int32, steps
  positions: tuple[Array, ...]  # each [*] int32, where the symbol stands
  is_y: tuple[Array, ...]  # each [*] int32, 1 for Y and 0 for X
  target: Array  # [*] int32, class


@shared
@checked
def temporal_order(
  *,
  symbols: Literal[2, 3] = 2,
  positions: Literal['one_based', 'zero_based'] = 'one_based',
  output: Output = 'logistic',
  training_error: Literal['absolute', 'squared'] = 'absolute',
  tolerance: Positive = 0.3,
  mean_error: float = 0.1,
  streak: int = 2000,
) -> Task:
  """Temporal order of two (6a) or three (6b) symbols, classified at the end.

  Inputs `[8, *]` are one-hot over E, B, a, b, c, d, X, Y; targets `[K, *]`
  one-hot over K = 4 or 8 orders; only the last step is scored.

  Args:
    symbols: informative symbols: 2 is Experiment 6a, 3 is 6b.
    positions: whether the paper's positions count from 1 or from 0.
    output: output unit, see `outputs.output_unit`.
    training_error: error that the stop rule averages.
    tolerance: a sequence is right if |t - y| of every output is below it.
    mean_error: bound on the average training error.
    streak: right sequences in a row that the stop rule asks for.

  Returns:
    The task; its length T is the minimal length.

  Raises:
    ValueError: an option outside its choices, a tolerance, mean error or
      streak that is not positive. The task's `longest` raises it for a length
      below 20.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.temporal_order()
    >>> task.num_inputs, task.num_outputs, task.longest(100)
    (8, 4, 110)
  """
  unit = output_unit(output)
  classes = 2**symbols
  offset = 1 if positions == 'one_based' else 0

  def draw(key, length, data=()):
    del data
    length = jnp.asarray(length).astype(jnp.int32)
    tenth = length // 10
    if symbols == 2:
      starts = (tenth, length // 2)
    else:
      starts = (tenth, length // 3, 2 * length // 3)
    order = bits_at(key, _ORDER)
    return Episode(
      key=key,
      length=integer_at(key, _LENGTH, length, length + tenth + 1),
      positions=tuple(
        integer_at(key, role, start - offset, start - offset + tenth + 1)
        for role, start in zip(_POSITIONS, starts, strict=False)
      ),
      # The leading bits of one word, the first symbol's first: as a binary
      # number they are the class.
      is_y=tuple(
        (order >> np.uint32(31 - i)).astype(jnp.int32) & 1
        for i in range(symbols)
      ),
      target=(order >> np.uint32(32 - symbols)).astype(jnp.int32),
    )

  def stream(episode):
    last = episode.length - 1
    informative = zip(episode.positions, episode.is_y, strict=True)
    events = [(position, _X + is_y, 1.0) for position, is_y in informative]
    events += [(0 * last, 0 * last + _E, 1.0), (last, 0 * last + _B, 1.0)]

    def input_at(t):
      # The two leading bits of a word: one of four, exactly uniform.
      bits = bits_at(episode.key, t)
      symbol = _A + (bits >> np.uint32(30)).astype(jnp.int32)
      for position, is_y in zip(episode.positions, episode.is_y, strict=True):
        symbol = jnp.where(t == position, _X + is_y, symbol)
      symbol = jnp.where(t == 0, _E, symbol)
      symbol = jnp.where(t == last, _B, symbol)
      return _one_hot(_computed_once(symbol), _NUM_INPUTS)

    return Stream(
      length=episode.length,
      input_at=input_at,
      target_at=lambda t: _one_hot(episode.target, classes),
      scored_at=lambda t: t == last,
      drawn=Drawn(episode.key, tuple(events), symbols=_A, bits=2),
    )

  def correct(episode, t, y_k):
    error = jnp.abs(y_k - _one_hot(episode.target, classes))
    return jnp.all(error < tolerance, axis=0)

  return Task(
    num_inputs=_NUM_INPUTS,
    num_outputs=classes,
    draw=draw,
    fresh=draw,
    stream=stream,
    longest=_longest,
    error_at_end=True,
    output=unit.output,
    loss=unit.loss,
    correct=correct,
    stop_rule=right_streak(streak, mean_error, training_error),
  )


def _longest(length):
  if length < SHORTEST:
    raise ValueError(
      f'length={length} must be at least {SHORTEST} for temporal_order'
    )
  return length + length // 10


def _computed_once(symbol):
  """`symbol` itself, by a way that XLA does not repeat in every row.

  XLA:CPU copies cheap operations into each element that reads them, here all
  rounds of the generator into all eight rows, and counts a root as dear
  (measured at 64 lanes: 5 ns a lane-step against 20). Roots of squares are
  exact.
  """
  root = jnp.sqrt((symbol * symbol).astype(jnp.float32))
  return root.astype(jnp.int32)


def _one_hot(index, size):
  """`[size, *]` float32, 1 in row `index` `[*]` and 0 elsewhere."""
  row = jnp.arange(size).reshape((size,) + (1,) * index.ndim)
  return (row == index[None]).astype(jnp.float32)
