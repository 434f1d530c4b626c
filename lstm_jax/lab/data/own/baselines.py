"""Predictors without recurrence for sequences of one's own.

Each is fitted to the training part, a penalty is chosen on the validation part,
and it is judged on the test part.

Letters: N sequences, T steps of the longest, F features, K numbers of a target;
R rows that are asked for: sequences, or steps where each step has a target.
"""

from typing import NamedTuple

import numpy as np

from lstm_jax.dataset import Pool
from lstm_jax.lab.data import _levels

# Steps that a predictor is fitted to.
_MAX_ROWS = 50_000


class Rows(NamedTuple):
  """Rows that predictors are given and asked.

  Attributes:
    targets: `[R]` classes or `[R, K]` numbers.
    parts: part -> `[n]` places among the R.
    every: steps from one that is fitted to to the next.
  """

  targets: np.ndarray
  parts: dict[str, np.ndarray]
  every: int


def levels(
  pool: Pool, num_classes: int, every_step: bool
) -> dict[str, dict[str, float]]:
  """Name -> 'loss', and 'accuracy' of classes, on the test part.

  Args:
    pool: the examples and their parts.
    num_classes: 0 where targets are numbers.
    every_step: whether each step has a target.
  """
  inputs, targets, lengths = pool.examples
  count, longest = inputs.shape[:2]
  if lengths is None:
    lengths = np.full(count, longest)
  if every_step:
    is_step = np.arange(longest) < lengths[:, None]
    rows = _of_steps(pool, is_step, targets)
    features = {'a step alone': inputs[is_step]}
  else:
    rows = Rows(targets, dict(pool.parts), 1)
    features = {
      'mean and length': np.column_stack(
        [_means(inputs, lengths), np.log(lengths)]
      ),
      'the last step': inputs[np.arange(count), lengths - 1],
    }
  fit = _classes if num_classes else _numbers
  return fit(rows, features, num_classes)


def _of_steps(pool, is_step, targets):
  where = np.cumsum(is_step.sum(1)) - is_step.sum(1)
  parts = {
    name: np.concatenate(
      [np.arange(where[i], where[i] + is_step[i].sum()) for i in of]
    )
    for name, of in pool.parts.items()
  }
  every = -(-len(parts['train']) // _MAX_ROWS)
  parts['train'] = parts['train'][::every]
  return Rows(targets[is_step], parts, every)


def _means(inputs, lengths):
  """Means over the steps of each sequence; past its end are zeros."""
  return inputs.sum(1, dtype=np.float64) / lengths[:, None]


def _name(predictor, of, every):
  fitted = f', fitted to one step in {every}' if every > 1 else ''
  return f'{predictor} on {of}{fitted}'


def _classes(rows, features_by_name, num_classes):
  labels_and_parts = rows.targets, rows.parts, num_classes
  levels_by_name = {'majority class': _levels.majority(*labels_and_parts)}
  for of, features in features_by_name.items():
    features = _levels.standardised(features, rows.parts['train'])
    name = _name('softmax regression', of, rows.every)
    levels_by_name[name] = _levels.softmax_regression(
      features, *labels_and_parts
    )
  return levels_by_name


def _numbers(rows, features_by_name, num_classes):
  del num_classes
  targets = np.asarray(rows.targets, np.float64)
  mean = targets[rows.parts['train']].mean(0)
  levels_by_name = {
    'mean': {'loss': _squared(mean, targets[rows.parts['test']])}
  }
  for of, features in features_by_name.items():
    features = _levels.standardised(features, rows.parts['train'])
    name = _name('ridge regression', of, rows.every)
    levels_by_name[name] = {'loss': _ridge(features, targets, rows.parts)}
  return levels_by_name


def _ridge(x, y, parts):
  """The loss on the test part of a line, its penalty by the validation part."""
  train = parts['train']
  middle, centre = x[train].mean(0), y[train].mean(0)
  centred = x[train] - middle
  # Along the principal axes a penalty is a factor of each.
  squares, axes = np.linalg.eigh(centred.T @ centred / len(train))
  along = axes.T @ (centred.T @ (y[train] - centre)) / len(train)
  losses: dict[str, list[float]] = {'valid': [], 'test': []}
  for penalty in _levels.PENALTIES:
    weights = axes @ (along / (np.maximum(squares, 0) + penalty)[:, None])
    for part, of in losses.items():
      at = parts[part]
      of.append(_squared((x[at] - middle) @ weights + centre, y[at]))
  return losses['test'][int(np.argmin(losses['valid']))]


def _squared(answers, targets):
  return float(np.mean((answers - targets) ** 2))
