"""Ranks on a course, as far as trials tell which entry is ahead of which.

An entry has a rank where its trials allow one: of n entries, one that a of them
are ahead of, and that is ahead of b, has a rank from 1 + a to n - b.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from lstm_jax.lab.report import scipy_parts, two_samples
from lstm_jax.lab.standings.scores import Score

LEVEL = 0.05


class Rank(NamedTuple):
  """The ranks, from `first` to `last`, that an entry may have."""

  first: int
  last: int

  def __str__(self) -> str:
    """One number, or the span."""
    if self.first == self.last:
      return str(self.first)
    return f'{self.first}–{self.last}'


def ranks_of(scores: Sequence[Score]) -> list[Rank]:
  """The rank of each entry on a course.

  Every pair is compared; that some pair is told apart that is alike has a
  probability of at most 5 % a course (Holm's step-down procedure over pairs).

  Args:
    scores: of one course, of entries that have trials.

  Source: S. Holm, Scand. J. Stat. 6 (1979), 65-70.

  Example:
    >>> from lstm_jax.lab.standings.scores import Course, Score
    >>> course = Course('adding-10', 'adding', 10, 1000)
    >>> fast, slow, never = (
    ...   Score(name, course, '', times, 1.0, 0, '')
    ...   for name, times in (
    ...     ('fast', tuple(range(100, 110))),
    ...     ('slow', tuple(range(500, 510))),
    ...     ('never', (float('inf'),) * 10),
    ...   )
    ... )
    >>> [str(rank) for rank in ranks_of([fast, slow, never])]
    ['1', '2', '3']
    >>> [str(rank) for rank in ranks_of([fast, fast, never])]
    ['1–2', '1–2', '3']
  """
  pairs = list(itertools.combinations(range(len(scores)), 2))
  verdicts = {pair: _compared(*(scores[i] for i in pair)) for pair in pairs}
  ahead = [0] * len(scores)
  behind = [0] * len(scores)
  by_chance = sorted(pairs, key=lambda pair: verdicts[pair][0])
  for number, pair in enumerate(by_chance):
    chance, sign = verdicts[pair]
    if chance > LEVEL / (len(pairs) - number):
      break
    winner, loser = pair if sign < 0 else pair[::-1]
    ahead[winner] += 1
    behind[loser] += 1
  return [
    Rank(1 + behind[i], len(scores) - ahead[i]) for i in range(len(scores))
  ]


def _compared(one, other):
  """`(p, sign)` of two scores; a sign below 0: the first is ahead.

  The share solved decides if it can, by Fisher's exact test; else, of entries
  that have solved it, the sequences that they took, by the rank-sum test in
  which all trials count. Two tests are made: the smaller p counts twice.
  """
  share = two_samples.same_share(
    one.solved, one.trials, other.solved, other.trials
  )
  by_share = other.solved / other.trials - one.solved / one.trials
  if not (one.solved and other.solved):
    return share, by_share
  order, by_order = rank_sum(one.sequences, other.sequences)
  chance, sign = min((share, by_share), (order, by_order))
  return min(1.0, 2 * chance), sign


def rank_sum(
  values: Sequence[float], others: Sequence[float]
) -> tuple[float, float]:
  """`(p, sign)` of Mann and Whitney's test; ties share their rank.

  Args:
    values: of one sample; infinite ones are larger than any.
    others: of the other.

  Example:
    >>> p, sign = rank_sum([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, float('inf')])
    >>> round(p, 3), sign < 0
    (0.029, True)
  """
  if len({*values, *others}) == 1:
    return 1.0, 0.0
  # Infinity is but the largest value: ranks are all that counts.
  largest = 1 + max(v for v in (*values, *others) if math.isfinite(v))
  samples = [
    [min(value, largest) for value in sample] for sample in (values, others)
  ]
  rank_test = scipy_parts.stats().mannwhitneyu(*samples, method='auto')
  middle = len(values) * len(others) / 2
  return float(rank_test.pvalue), float(rank_test.statistic) - middle
