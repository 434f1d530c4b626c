"""The verdict on a row of a comparison, by a rule fixed in advance.

What was published of a comparison is one run, so the question is not whether
means agree but whether that run could be one more of ours. The rule is printed
in every report; the figures in its text are the constants that the code uses.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lstm_jax.lab.report.statistics import Interval, student
from lstm_jax.lab.report.verdicts import LEVEL, NONE, NOT, REPRODUCED, UNDER
from lstm_jax.lab.report.verdicts import WIDEST as WIDEST_FACTOR

FEWEST = 5  # seeds
WIDEST = 10.0  # points that the interval may reach from our mean
# What is compared: the first of these that is published. In published figures
# an accuracy is in percent, in records a fraction.
METRICS = ('accuracy', 'valid_accuracy', 'loss')

RULE = (
  'What is published is one run, so the scatter is taken from our seeds, and '
  'the question is whether the published run could be one more of ours.',
  f'Accuracy. The {100 * LEVEL:g} % prediction interval for one more run is '
  'our mean ± t · √(s²(1 + 1/n) + d): n our seeds that trained to the '
  'end, s their standard deviation, t Student’s quantile for n − 1. s holds '
  'the scatter of our own test part already; where the published one was '
  'smaller, d = p(1 − p)(1/published examples − 1/ours) is what it scatters '
  'more, p the published accuracy, else d = 0. Compared is the test accuracy '
  'after the last epoch or, where the source has none, the validation '
  'accuracy, with d = 0.',
  'Loss. Where the source has no accuracy, the same interval of the '
  'logarithms of the test loss, or of the last epoch’s training loss where '
  'nothing is held out, with d = 0.',
  f'{REPRODUCED}: the published figure lies in the interval.',
  f'{NOT}: it lies outside.',
  f'{UNDER}: fewer than {FEWEST} seeds, or trials still to come; or the figure '
  f'lies in the interval, but that reaches further than {WIDEST:g} points, of '
  f'a loss than a factor of {WIDEST_FACTOR:g}, from our mean.',
  'Where some seeds stay on a plateau and others leave it, no mean describes '
  'them and the interval is wide: therefore the range of the seeds, and how '
  'many were better than the best predictor without recurrence, stand beside '
  'it.',
  'One row in twenty fails by chance although it is right. Whole tables '
  'decide, not single rows.',
)


class Verdict(NamedTuple):
  """What is said of one row.

  Attributes:
    word: one of `verdicts.WORDS`.
    reason: why, a clause without a full stop.
    metric: what was compared, of `METRICS`; '' for nothing.
    expected: the prediction interval, in the unit of records; None for fewer
      than two seeds.
  """

  word: str
  reason: str
  metric: str = ''
  expected: Interval | None = None


def metric_of(figures: Mapping[str, Any]) -> str:
  """What of the published figures is compared, '' for nothing."""
  held = (name for name in METRICS if figures.get(name) is not None)
  return next(held, '')


def published(figures: Mapping[str, Any], metric: str) -> float | None:
  """A published figure in the unit of records."""
  value = figures.get(metric)
  if value is None or metric == 'loss':
    return value
  return value / 100


def mean_of(values: Sequence[float]) -> tuple[float, Interval | None]:
  """Mean of some seeds and its t-interval at `LEVEL`, None for one seed."""
  mean = math.fsum(values) / len(values)
  reach = _reach(values, 1 / len(values))
  return mean, None if reach is None else Interval(mean - reach, mean + reach)


def one_more(values: Sequence[float], more: float = 0.0) -> Interval | None:
  """The prediction interval at `LEVEL` for one more run.

  Args:
    values: one number a seed.
    more: variance of the other run beyond that of ours.

  Returns:
    mean ± t sqrt(s^2 (1 + 1/n) + more), not cut at 0 or 1; None for n < 2.
  """
  mean, _ = mean_of(values)
  reach = _reach(values, 1 + 1 / len(values), more)
  return None if reach is None else Interval(mean - reach, mean + reach)


def verdict(
  values: Mapping[str, Sequence[float]],
  missing: int,
  figures: Mapping[str, Any],
  tests: int | None = None,
) -> Verdict:
  """Applies `RULE`.

  Args:
    values: of `METRICS` -> one number a seed that trained to the end: fractions
      and losses.
    missing: trials of the plan still to come.
    figures: the published ones: `accuracy` and `valid_accuracy` in percent,
      `loss`, `of` (test examples); each may be missing.
    tests: examples of our test part.
  """
  metric = metric_of(figures)
  if not metric:
    return Verdict(NONE, 'the source gives no figure to compare')
  ours = list(values.get(metric, ()))
  if metric == 'loss':
    ours = [value for value in ours if value > 0]
  count = len(ours)
  expected = _expected(ours, metric, figures, tests) if count > 1 else None
  if missing:
    said = f'{missing:,} trial{"s" * (missing != 1)} still to come'
    return Verdict(UNDER, said, metric, expected)
  if count < FEWEST:
    seeds = f'{count} seed{"s" * (count != 1)} trained to the end'
    said = f'{seeds}, the rule asks for {FEWEST}'
    return Verdict(UNDER, said, metric, expected)
  value = published(figures, metric)
  said = (
    f'published {shown(value, metric)}; {100 * LEVEL:g} % of further runs are '
    f'expected in {span(expected, metric)}'
  )
  if not expected.low <= value <= expected.high:
    return Verdict(NOT, said, metric, expected)
  if _is_wide(expected, metric):
    most = f'{WIDEST:g} points'
    if metric == 'loss':
      most = f'a factor of {WIDEST_FACTOR:g}'
    said += f', which reaches further than {most}'
    return Verdict(UNDER, said, metric, expected)
  return Verdict(REPRODUCED, said, metric, expected)


def shown(value: float | None, metric: str, digits: int = 2) -> str:
  """A figure as text: an accuracy in percent, a loss with three digits."""
  if value is None:
    return '–'
  if metric.endswith('loss'):
    return f'{value:.3g}'
  return f'{100 * value:.{digits}f} %'


def span(found: Interval | None, metric: str) -> str:
  """Both ends of an interval as text, as far as they are possible values."""
  if found is None:
    return ''
  low, high = found
  if metric.endswith('loss'):
    return f'{max(low, 0):.3g}–{high:.3g}'
  return f'{100 * max(low, 0):.1f}–{100 * min(high, 1):.1f} %'


def _expected(ours, metric, figures, tests):
  if metric == 'loss':
    found = one_more([math.log(value) for value in ours])
    # Two seeds a long way apart reach beyond the largest number.
    return Interval(*(math.exp(min(max(x, -700), 700)) for x in found))
  of = figures.get('of')
  more = 0.0
  if metric == 'accuracy' and of and tests:
    share = published(figures, metric)
    more = max(0.0, share * (1 - share) * (1 / of - 1 / tests))
  return one_more(ours, more)


def _is_wide(expected, metric):
  low, high = expected
  if metric == 'loss':
    return math.sqrt(high / low) > WIDEST_FACTOR
  return 100 * (high - low) / 2 > WIDEST


def _reach(values, factor, more=0.0):
  """t sqrt(factor s^2 + more), None for fewer than two values."""
  count = len(values)
  if count < 2:
    return None
  mean = math.fsum(values) / count
  variance = math.fsum((v - mean) ** 2 for v in values) / (count - 1)
  return student(LEVEL, count - 1) * math.sqrt(factor * variance + more)
