"""Interval estimates for a handful of trials.

Three questions are asked of a setting's trials, and each has its own answer:

  how many trials solve it    `wilson`
  how long a trial takes      `median` and `median_interval`, of all trials:
                              one that did not solve it took longer than any
                              that did, it counts as infinity
  how long a solver takes     `mean_interval`, of the solved trials only

What is promised about the intervals is simulated in the tests. scipy is
imported where it is used, it takes a second.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Simulated coverage of `mean_interval` falls below 90 % for fewer values.
_FEWEST_FOR_MEAN = 10
_RESAMPLES = 2_000
_SEED = 1997


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
  _check_level(level)
  if not 0 <= k <= n:
    raise ValueError(f'k must be in 0..n = 0..{n}, got {k}.')
  if n == 0:
    return Interval(0.0, 1.0)
  from scipy import stats

  found = stats.binomtest(k, n).proportion_ci(level, method='wilson')
  return Interval(float(found.low), float(found.high))


def median(values: Sequence[float]) -> float:
  """Median of all trials; `math.inf` stands for a trial that did not solve.

  It is infinite as soon as half of the trials failed.

  Raises:
    ValueError: there are no values, or one is NaN.
  """
  return float(np.median(_sorted(values)))


def median_interval(
  values: Sequence[float], level: float = 0.95
) -> Interval | None:
  """Distribution-free interval for the median, from order statistics.

  [x_(r), x_(n+1-r)] with the largest r for which a fair coin shown n times
  gives fewer than r heads, or fewer than r tails, with probability at most
  1 - level. It assumes nothing of the distribution, covers the median with
  probability `level` or more, and stays right when trials were stopped by
  their budget: their values, infinite here, are only ever compared.

  There is no such interval at 95 % for fewer than six values (the whole range
  of five covers the median in 93.75 % of cases), and a bootstrap would promise
  what so few values cannot hold. None is returned then.

  Args:
    values: one number a trial, `math.inf` for an unsolved one.
    level: coverage that is promised.

  Returns:
    The interval, or None where the values are too few.

  Raises:
    ValueError: no values, a NaN, or level not in (0, 1).

  Source: H. A. David, H. N. Nagaraja, Order Statistics, 3rd ed., section 7.1.
  """
  _check_level(level)
  x = _sorted(values)
  n = len(x)
  rank, tail = 0, 0  # tail: in how many of 2^n rows fewer than `rank` heads
  while 2 * (tail + math.comb(n, rank)) <= (1 - level) * 2**n:
    tail += math.comb(n, rank)
    rank += 1
  if rank == 0:
    return None
  return Interval(float(x[rank - 1]), float(x[n - rank]))


def mean_interval(values, level: float = 0.95) -> Interval | None:
  """BCa bootstrap interval for the mean, widened for few values.

  The bias-corrected and accelerated bootstrap (Efron 1987) at the level
  1 - 2 Phi(-sqrt(n / (n - 1)) t_{n-1}), t_{n-1} Student's quantile: a resample
  scatters by sqrt((n - 1) / n) too little and knows nothing of the estimated
  variance; without the correction ten values cover the mean in 88 % of cases
  instead of 95 % (Hesterberg 2015, "expanded percentile").

  What is promised, at level 0.95 and for distributions no more skewed than a
  gamma of shape 4: 93 % or more from thirty values on, 90 % or more from ten.
  For fewer than ten nothing is promised and None returned.

  The resamples are drawn from a fixed seed: same values, same interval.

  Args:
    values: `[..., n]` finite numbers, those *of solved* trials; the interval
      says nothing about trials that never solved the task.
    level: nominal coverage.

  Returns:
    The interval (with `[...]` arrays if there are leading axes), or None where
    n < 10.

  Raises:
    ValueError: a value is not finite, or level not in (0, 1).

  Source: B. Efron, J. Am. Stat. Assoc. 82 (1987), 171-185; T. Hesterberg,
    The American Statistician 69 (2015), 371-386, section 4.
  """
  _check_level(level)
  x = np.asarray(values, float)
  if not np.all(np.isfinite(x)):
    raise ValueError('values must be finite: give those of solved trials only.')
  n = x.shape[-1]
  if n < _FEWEST_FOR_MEAN:
    return None
  from scipy import stats

  constant = np.ptp(x, axis=-1) == 0
  # BCa divides by the spread; the offsets of a constant sample are unused.
  spread = np.where(constant[..., None], np.arange(n), x)
  quantile = stats.t.isf((1 - level) / 2, n - 1)
  expanded = 1 - 2 * stats.norm.sf(math.sqrt(n / (n - 1)) * quantile)
  found = stats.bootstrap(
    (spread,),
    np.mean,
    axis=-1,
    n_resamples=_RESAMPLES,
    batch=100,
    confidence_level=expanded,
    method='BCa',
    rng=np.random.default_rng(_SEED),
  ).confidence_interval
  low = np.where(constant, x[..., 0], found.low)
  high = np.where(constant, x[..., 0], found.high)
  return Interval(low[()], high[()])


def _sorted(values):
  """Ascending float array `[n]` of at least one number."""
  x = np.sort(np.asarray(values, float))
  if x.size == 0:
    raise ValueError('values must hold at least one number, got none.')
  if np.isnan(x).any():
    raise ValueError('values must not hold NaN; an unsolved trial is math.inf.')
  return x


def _check_level(level):
  if not 0 < level < 1:
    raise ValueError(f'level must lie in (0, 1), got {level}.')
