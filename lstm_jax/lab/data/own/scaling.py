"""Mean and deviation of the training part, and numbers in units of them.

Letters: N sequences, S steps of all, T steps of the longest, F features, K
numbers of a target.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lstm_jax.lab.data.own.sequences import Sequences


class Scale(NamedTuple):
  """Numbers that are taken off others, and that these are divided by.

  Attributes:
    mean, deviation: `[F]` float64, or `[K]`.
  """

  mean: np.ndarray
  deviation: np.ndarray

  def scaled(self, values: np.ndarray) -> np.ndarray:
    """Numbers `[..., F]` in these units, float32."""
    values_64 = np.asarray(values, np.float64)
    return ((values_64 - self.mean) / self.deviation).astype(np.float32)

  def restored(self, values: np.ndarray) -> np.ndarray:
    """Numbers `[..., F]` as they were before `scaled`, float64."""
    return np.asarray(values, np.float64) * self.deviation + self.mean


def unit(size: int) -> Scale:
  """The `Scale` that changes nothing."""
  return Scale(np.zeros(size), np.ones(size))


def of_rows(blocks: Iterable[np.ndarray], size: int) -> Scale:
  """The `Scale` of all rows of some arrays `[n, F]`; deviation 1 where it is 0.

  Args:
    blocks: the arrays; read twice, as the square of a mean would take a small
      deviation of large numbers for none.
    size: F.
  """
  blocks = list(blocks)
  count = sum(map(len, blocks))
  total, squares = np.zeros(size), np.zeros(size)
  for block in blocks:
    total += block.sum(0, dtype=np.float64)
  mean = total / count
  for block in blocks:
    squares += ((block - mean) ** 2).sum(0)
  deviation = np.sqrt(squares / count)
  # What differs by rounding alone does not differ.
  rounding = 1e-9 * np.maximum(np.abs(mean), 1e-30)
  return Scale(mean, np.where(deviation > rounding, deviation, 1.0))


def of_inputs(data: Sequences, train: np.ndarray) -> Scale:
  """The `Scale` of the inputs over the steps of the training part."""
  return of_rows(_blocks(data, data.inputs, train), data.inputs.shape[1])


def of_targets(data: Sequences, train: np.ndarray) -> Scale:
  """The `Scale` of targets that are numbers, over the training part."""
  blocks = [data.targets[train]]
  if data.every_step:
    blocks = _blocks(data, data.targets, train)
  return of_rows(blocks, data.targets.shape[1])


def _blocks(data, rows, train):
  ends = data.starts + data.lengths
  return [rows[data.starts[i] : ends[i]] for i in train]


def padded(
  rows: np.ndarray, data: Sequences, scale: Scale | None
) -> np.ndarray:
  """Rows of steps `[S, ...]` as `[N, T, ...]`, zeros past each end.

  Args:
    rows: of the inputs or of targets at every step.
    data: whose lengths they have.
    scale: of numbers, which come out as float32; None: of classes, int32.
  """
  shape = len(data.lengths), int(data.lengths.max()), *rows.shape[1:]
  out = np.zeros(shape, np.int32 if scale is None else np.float32)
  for i, (start, length) in enumerate(
    zip(data.starts, data.lengths, strict=True)
  ):
    steps = rows[start : start + length]
    out[i, :length] = steps if scale is None else scale.scaled(steps)
  return out
