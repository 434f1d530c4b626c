"""Laws of sequences to success against the lag, through medians of trials.

A law is a line in log10 T: of log10 of the sequences (a power of T) or of the
sequences themselves (a logarithm). It is the line with the least mean absolute
deviation, the regression through medians: a trial that was not solved lies
above it, how far does not matter, so that a budget changes nothing.

Source: J. L. Powell, Least absolute deviations estimation for the censored
regression model, J. Econometrics 25 (1984), 303-325.
"""

from typing import NamedTuple

import numpy as np

# Stands for a trial without success: above any line.
_ABOVE = 1e9
_RESAMPLES, _SEED = 500, 1997


class Law(NamedTuple):
  """A line `start + slope log10 T` through medians.

  Attributes:
    slope: of the power its exponent; of the logarithm sequences a decade.
    low, high: 95 % bootstrap interval of the slope, over trials of each lag.
    start: at T = 1.
    distance: mean distance of trials from it, a factor; of solved ones.
  """

  slope: float
  low: float
  high: float
  start: float
  distance: float


def power(trials):
  """The power of T: slope and interval of its exponent.

  Args:
    trials: lag T -> sequences to success, one a trial, infinite without.
  """
  return _law(trials, np.log10, lambda y: y, steepest=5.0)


def logarithm(trials):
  """The logarithm of T: sequences more for a lag ten times as long."""
  logs = lambda y: np.log10(np.maximum(y, 1))
  return _law(trials, lambda n: n, logs, steepest=1e7)


def flat_distance(trials):
  """Mean distance of solved trials from one median for all lags, a factor."""
  n = np.concatenate([*map(np.asarray, trials.values())])
  return _factor(np.log10(n), np.log10(np.median(n)))


def _law(trials, scale, logs, steepest):
  x = np.repeat(np.log10([*trials]), [len(v) for v in trials.values()])
  n = np.concatenate([*map(np.asarray, trials.values())])
  y = scale(np.where(np.isfinite(n), n, _ABOVE))
  draw, rows, first = np.random.default_rng(_SEED), [], 0
  for values in trials.values():
    count = len(values)
    rows.append(first + draw.integers(0, count, (_RESAMPLES, count)))
    first += count
  (slope,), (start,) = _lines(x, y[None], steepest)
  slopes, _ = _lines(x, y[np.concatenate(rows, axis=1)], steepest)
  low, high = np.quantile(slopes, (0.025, 0.975), method='inverted_cdf')
  distance = _factor(np.log10(n), logs(start + slope * x))
  return Law(*map(float, (slope, low, high, start)), distance)


def _factor(logs, at):
  away = np.abs(logs - at)
  return float(10 ** np.mean(away[np.isfinite(away)]))


def _lines(x, y, steepest):
  """`(slopes [B], starts [B])` of the lines through y `[B, n]` over x `[n]`."""

  def cost(slope):
    rest = y - slope[:, None] * x
    return np.mean(np.abs(rest - np.median(rest, axis=1)[:, None]), axis=1)

  # The cost is convex in the slope: the third that is higher is left out.
  high = np.full(len(y), steepest)
  low = -high
  for _ in range(45):
    third = (high - low) / 3
    left = cost(low + third) <= cost(high - third)
    high = np.where(left, high - third, high)
    low = np.where(left, low, low + third)
  slope = (low + high) / 2
  return slope, np.median(y - slope[:, None] * x, axis=1)
