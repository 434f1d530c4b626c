"""Interval estimates for a handful of trials.

Three questions are asked of a setting's trials, and each has its own answer:

  how many trials solve it    `ops.intervals.wilson`
  how long a trial takes      `median` with `median_interval` or
                              `median_bootstrap`, of all trials: one that did
                              not solve it took longer than any that did, it
                              counts as infinity
  how long a solver takes     `mean_interval`, of the solved trials only

Trials are compared with others in `two_samples`.

What is promised about the intervals is simulated in the tests.
"""

import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from lstm_jax.lab.report import scipy_parts
from lstm_jax.ops.intervals import Interval, check_level

# Simulated coverage of the bootstrap intervals falls below 90 % for fewer.
_FEWEST = 10
_SEED = 1997
# Up to so many trials, rows of coins are counted one by one: 2^n is a float up
# to 1023 of them.
_MAX_EXACT = 1000
_MAX_BOOTSTRAP = 2_000


def median(values: Sequence[float]) -> float:
  """Median of all trials; `math.inf` stands for a trial that did not solve.

  It is infinite as soon as half of the trials failed.

  Raises:
    ValueError: there are no values, or one is NaN.
  """
  return float(np.median(_sorted_values(values)))


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
  check_level(level)
  x = _sorted_values(values)
  n = len(x)
  rank = _rank(n, level)
  if rank == 0:
    return None
  return Interval(float(x[rank - 1]), float(x[n - rank]))


def median_bootstrap(
  values: Sequence[float], level: float = 0.95, resamples: int = 10_000
) -> Interval | None:
  """Percentile bootstrap interval for the median of all trials.

  The quantiles of the medians of resamples are taken without interpolation,
  so that unsolved trials may count as infinite. What is promised at level 0.95:
  90 % or more from ten values on, whatever the distribution (simulated: 92 to
  95 %). `median_interval` promises more, and is wider.

  Args:
    values: one number a trial, `math.inf` for an unsolved one.
    level: nominal coverage.
    resamples: how many; drawn from a fixed seed: same values, same interval.

  Returns:
    The interval, or None for fewer than ten values.

  Raises:
    ValueError: no values, a NaN, level not in (0, 1), or no resamples.
  """
  check_level(level)
  _check_resamples(resamples)
  x = _sorted_values(values)
  n = len(x)
  if n < _FEWEST:
    return None
  draw = np.random.default_rng(_SEED)
  if n > _MAX_EXACT:
    medians = _medians_of_many(x, draw, resamples)
  else:
    medians = []
  while len(medians) < resamples:
    # A hundred at a time.
    rows = draw.integers(0, n, (min(100, resamples - len(medians)), n))
    medians.extend(np.median(x[rows], axis=-1))
  tail = (1 - level) / 2
  ends = np.quantile(medians, (tail, 1 - tail), method='inverted_cdf')
  return Interval(*map(float, ends))


def mean_interval(
  values: Sequence[float], level: float = 0.95, resamples: int = 2_000
) -> Interval | None:
  """BCa bootstrap interval for the mean, widened for few values.

  The bias-corrected and accelerated bootstrap (Efron 1987) at the level
  1 - 2 Phi(-sqrt(n / (n - 1)) t_{n-1}), t_{n-1} Student's quantile: a resample
  scatters by sqrt((n - 1) / n) too little and knows nothing of the estimated
  variance; without the correction ten values cover the mean in 88 % of cases
  instead of 95 % (Hesterberg 2015, "expanded percentile").

  What is promised, at level 0.95 and for distributions no more skewed than a
  gamma of shape 4: 93 % or more from thirty values on, 90 % or more from ten.
  For fewer than ten nothing is promised and None returned. Of more than two
  thousand it is Student's interval, to which the bootstrap comes down there:
  their ends differ by less than 5 % of its width for that skewness.

  The resamples are drawn from a fixed seed: same values, same interval.

  Args:
    values: `[..., n]` finite numbers, those *of solved* trials; the interval
      says nothing about trials that never solved the task.
    level: nominal coverage.
    resamples: how many; the promise is simulated with 2,000.

  Returns:
    The interval (with `[...]` arrays if there are leading axes), or None where
    n < 10.

  Raises:
    ValueError: a value is not finite, level not in (0, 1), or no resamples.

  Source: B. Efron, J. Am. Stat. Assoc. 82 (1987), 171-185; T. Hesterberg,
    The American Statistician 69 (2015), 371-386, section 4.
  """
  check_level(level)
  _check_resamples(resamples)
  x = finite(values)
  n = x.shape[-1]
  if n < _FEWEST:
    return None
  quantile = student(level, n - 1)
  if n > _MAX_BOOTSTRAP:
    half = quantile * x.std(-1, ddof=1) / n**0.5
    return Interval((x.mean(-1) - half)[()], (x.mean(-1) + half)[()])
  constant = np.ptp(x, axis=-1) == 0
  # BCa divides by the spread; the offsets of a constant sample are unused.
  spread = np.where(constant[..., None], np.arange(n), x)
  stats = scipy_parts.stats()
  expanded = 1 - 2 * stats.norm.sf(math.sqrt(n / (n - 1)) * quantile)
  bootstrap = stats.bootstrap(
    (spread,),
    np.mean,
    axis=-1,
    n_resamples=resamples,
    batch=100,
    confidence_level=expanded,
    method='BCa',
    rng=np.random.default_rng(_SEED),
  ).confidence_interval
  low = np.where(constant, x[..., 0], bootstrap.low)
  high = np.where(constant, x[..., 0], bootstrap.high)
  return Interval(cast(float, low[()]), cast(float, high[()]))


def student(level: float, freedom: float) -> float:
  """The t that Student's |t| exceeds with probability 1 - `level`."""
  return float(-scipy_parts.special().stdtrit(freedom, (1 - level) / 2))


def _medians_of_many(x, draw, resamples):
  """Medians of resamples of many sorted values, without drawing them all.

  The m-th smallest of n uniform numbers is Beta(m, n + 1 - m); the next one
  divides what is left as the smallest of n - m do.
  """
  n = len(x)
  middle = (n + 1) // 2
  low = draw.beta(middle, n + 1 - middle, resamples)
  high = low
  if n % 2 == 0:
    high = 1 - (1 - low) * draw.random(resamples) ** (1 / (n - middle))
  at = [np.minimum((n * u).astype(int), n - 1) for u in (low, high)]
  return np.median([x[i] for i in at], axis=0)


def _rank(n, level):
  """The largest r with P(fewer than r heads of n) <= (1 - level) / 2."""
  if n <= _MAX_EXACT:
    rank, tail = 0, 0  # tail: in how many of 2^n rows fewer than `rank` heads
    while 2 * (tail + math.comb(n, rank)) <= (1 - level) * 2**n:
      tail += math.comb(n, rank)
      rank += 1
    return rank
  stats = scipy_parts.stats()
  # The least r with P(at most r heads) >= q: with r + 1 that is too many.
  return int(stats.binom.ppf((1 - level) / 2, n, 0.5))


def _sorted_values(values):
  """Ascending float array `[n]` of at least one number."""
  x = np.sort(np.asarray(values, float))
  if x.size == 0:
    raise ValueError('values must hold at least one number, got none.')
  if np.isnan(x).any():
    raise ValueError('values must not hold NaN; an unsolved trial is math.inf.')
  return x


def finite(values: Sequence[float]) -> np.ndarray:
  """Float array `[..., n]` of finite numbers.

  Raises:
    ValueError: one is not.
  """
  x = np.asarray(values, float)
  if not np.all(np.isfinite(x)):
    raise ValueError('values must be finite: give those of solved trials only.')
  return x


def _check_resamples(resamples):
  if resamples < 1:
    raise ValueError(f'resamples must be at least 1, got {resamples}.')
