"""Scores of settings by the records of their tuning seeds: smaller is better.

  unsolved seeds + (2 median + e / (1 + e)) / (2 budget + 3)

The number of seeds that are not solved counts first, then the median of the
sequences to success, an unsolved seed counting as the budget and one, then the
error of what is not solved. Behind the point stands the median as a share of
the budget, so that a score can be read: 1.25 is one seed unsolved, and half of
all within a quarter of the budget. Of epochs, whose trials solve nothing, those
that did not train to the end count first, then what is wrong of the validation
part, or its loss: never anything of the test part, which judges the winner.
"""

import math
import statistics
from collections.abc import Sequence

from lstm_jax.lab.store.documents import Record

# Of a trial that has not trained to the end.
_BROKEN = ('diverged', 'failed')


def score_of(records: Sequence[Record], budget: int, unit: str) -> float:
  """The score of a setting.

  Args:
    records: of its tuning seeds.
    budget: that they had.
    unit: what it counts, 'sequences' or 'epochs'.

  Example:
    >>> solved = {'status': 'solved', 'metrics': {'sequences_to_success': 25}}
    >>> failed = {'status': 'budget', 'metrics': {'train_absolute': 0.1}}
    >>> round(score_of([solved, solved, failed], 100, 'sequences'), 2)
    1.25
  """
  if unit == 'epochs':
    unsolved = sum(r['status'] in _BROKEN for r in records)
    return unsolved + _squeezed(error_of(records, unit))
  unsolved = sum(r['status'] != 'solved' for r in records)
  twice_median = 2 * median_of(records, budget)
  error = error_of(records, unit)
  return unsolved + (twice_median + _squeezed(error)) / (2 * budget + 3)


def median_of(records: Sequence[Record], budget: int) -> float:
  """Median of the sequences to success; the budget and one: not half solve."""
  waits = [
    float(r['metrics'].get('sequences_to_success') or budget + 1)
    if r['status'] == 'solved'
    else budget + 1
    for r in records
  ]
  # Half of them must have solved: between one that has and one that has not
  # there is no number of sequences.
  return float(statistics.median_high(waits))


def error_of(records: Sequence[Record], unit: str) -> float:
  """Mean error that settings of one rank are told apart by.

  Of sequences the last training error of the seeds that are not solved, 0 where
  all are; of epochs the share wrong, or the loss, of the validation part of
  those that have trained to the end. Infinite where nobody knows it.
  """
  if unit == 'epochs':
    errors = [_wrong(r) for r in records if r['status'] not in _BROKEN]
  else:
    unsolved = [r for r in records if r['status'] != 'solved']
    if not unsolved:
      return 0.0
    errors = [r['metrics'].get('train_absolute') for r in unsolved]
  known = [error for error in errors if error is not None]
  known = [error for error in known if math.isfinite(error)]
  if len(known) < len(errors) or not known:
    return math.inf
  return statistics.fmean(known)


def _wrong(record):
  metrics = record['metrics']
  if metrics.get('valid_accuracy') is not None:
    return 1 - metrics['valid_accuracy']
  return metrics.get('valid_loss', metrics.get('train_loss'))


def _squeezed(error):
  """An error from 0 to infinity as a number from 0 to 1."""
  return error / (1 + error) if math.isfinite(error) else 1.0
