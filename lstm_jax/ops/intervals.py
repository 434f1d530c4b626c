"""Intervals of what was seen a few times: the share of trials that succeed."""

import math
from statistics import NormalDist
from typing import NamedTuple

_NORMAL = NormalDist()


class Interval(NamedTuple):
  """A closed interval; `high` may be infinite."""

  low: float
  high: float


def wilson(k: int, n: int, level: float = 0.95) -> Interval:
  """Wilson's score interval for a probability after k successes in n trials.

  The p for which |k/n - p| <= z sqrt(p (1 - p) / n), z the normal quantile of
  (1 + level) / 2. Without a trial nothing is known: [0, 1].

  Args:
    k: successes, 0 <= k <= n.
    n: trials.
    level: nominal coverage. Averaged over p the coverage is close to it; for
      one p it may be a few per cent more or less.

  Returns:
    The interval, within [0, 1].

  Raises:
    ValueError: k is not in 0..n, or level not in (0, 1).

  Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927), 209-212.
  """
  check_level(level)
  if not 0 <= k <= n:
    raise ValueError(f'k must be in 0..n = 0..{n}, got {k}.')
  if n == 0:
    return Interval(0.0, 1.0)
  share, square = k / n, _NORMAL.inv_cdf((1 + level) / 2) ** 2 / n
  middle = (share + square / 2) / (1 + square)
  half = math.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
  # Its ends at 0 and 1 are exact; rounding is not.
  return Interval(
    middle - half if k > 0 else 0.0, middle + half if k < n else 1.0
  )


def solved_words(k: int, n: int, median: float) -> str:
  """Words on k solved of n trials, with interval and median.

  Args:
    k, n: as of `wilson`.
    median: sequences to success of all trials; infinite is left out.
  """
  low, high = wilson(k, n)
  text = f'solved {k}/{n} (95 %: {100 * low:.0f} to {100 * high:.0f} %)'
  if math.isfinite(median):
    text += f', median {median:,.0f} sequences to success'
  return text


def check_level(level: float) -> None:
  """Raises ValueError unless a coverage lies between 0 and 1."""
  if not 0 < level < 1:
    raise ValueError(f'level must lie in (0, 1), got {level}.')
