"""Learning curves of trials: training errors, interval by interval.

A point is the mean over an interval of so many training sequences. Intervals
start short; when all points are taken, neighbours are merged and intervals
become twice as long. A trial of any length so has between half and all of the
points, and its curve depends on its own sequences alone.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from lstm_jax.ops.arrays import select
from lstm_jax.types import Array, Judgement

POINTS = 200  # at most, the interval that is not complete included
_FIRST = 20  # sequences of an interval at first


class LearningCurve(NamedTuple):
  """The curve of each lane so far.

  Attributes:
    width: `[*]` int32, sequences of an interval.
    points: `[*]` int32, complete intervals.
    in_point: `[*]` int32, sequences of the one that is not.
    right: `[*]` int32, how many of these were right.
    error: `[*]` sum of their mean absolute errors.
    rights, errors: `[POINTS, *]` the same of the complete ones.
  """

  width: Array
  points: Array
  in_point: Array
  right: Array
  error: Array
  rights: Array
  errors: Array


def start(lanes: tuple[int, ...], dtype: DTypeLike) -> LearningCurve:
  """The `LearningCurve` of lanes that have not learned from anything."""
  zeros = jnp.zeros(lanes, jnp.int32)
  return LearningCurve(
    width=jnp.full(lanes, _FIRST, jnp.int32),
    points=zeros,
    in_point=zeros,
    right=zeros,
    error=jnp.zeros(lanes, dtype),
    rights=jnp.zeros((POINTS, *lanes), jnp.int32),
    errors=jnp.zeros((POINTS, *lanes), dtype),
  )


def add(
  curve: LearningCurve, judgement: Judgement, has_learned: Array
) -> LearningCurve:
  """The curve with one sequence more.

  Args:
    curve: the curve.
    judgement: of the sequence.
    has_learned: `[*]` bool, the lanes that have learned from it.
  """
  error = judgement.absolute.astype(curve.error.dtype)
  curve = curve._replace(
    in_point=curve.in_point + has_learned,
    right=curve.right + (has_learned & judgement.right),
    error=curve.error + jnp.where(has_learned, error, 0),
  )
  any_full = jnp.any(curve.in_point == curve.width).astype(jnp.int32)
  return jax.lax.fori_loop(0, any_full, lambda i, c: _with_point(c), curve)


def _with_point(curve):
  """The curve with the intervals that are complete among its points."""
  is_full = curve.in_point == curve.width
  row = jnp.arange(POINTS).reshape((-1,) + (1,) * is_full.ndim)
  at_row = is_full[None] & (row == curve.points[None])
  clear = lambda x: jnp.where(is_full, 0, x)
  curve = LearningCurve(
    width=curve.width,
    points=curve.points + is_full,
    in_point=clear(curve.in_point),
    right=clear(curve.right),
    error=clear(curve.error),
    rights=jnp.where(at_row, curve.right[None], curve.rights),
    errors=jnp.where(at_row, curve.error[None], curve.errors),
  )
  any_complete = jnp.any(curve.points == POINTS).astype(jnp.int32)
  return jax.lax.fori_loop(
    0, any_complete, lambda i, c: _merge_points(c), curve
  )


def _merge_points(curve):
  """The curve with pairs of neighbours as one where all points are taken."""
  pairs = lambda x: jnp.concatenate(
    (x[0::2] + x[1::2], jnp.zeros_like(x[1::2]))
  )
  halved = curve._replace(
    width=2 * curve.width,
    points=curve.points // 2,
    rights=pairs(curve.rights),
    errors=pairs(curve.errors),
  )
  return select(curve.points == POINTS, halved, curve)


def lists(curve: LearningCurve) -> dict[str, list[float]]:
  """The curve of one lane, as numpy arrays without lanes, to be read.

  Returns:
    'sequences', the last one of each interval, 'train_error', the mean absolute
    error over it, and 'train_right', the share of sequences that were right.
  """
  points = int(curve.points)
  unfinished = slice(0, 1 if curve.in_point else 0)
  join = lambda points_so_far, last: np.concatenate(
    (points_so_far[:points], np.atleast_1d(last)[unfinished])
  )
  count = join(np.full(points, curve.width), curve.in_point)
  return {
    'sequences': np.cumsum(count).tolist(),
    'train_error': (
      join(curve.errors, curve.error).astype(np.float64) / count
    ).tolist(),
    'train_right': (join(curve.rights, curve.right) / count).tolist(),
  }
