"""The verdict on one published run: could it be one more of ours?

An accuracy or a loss is published of one run, so the question is not whether
means agree. The rule is printed in every report that uses it; the figures in
its text are the constants that the code uses.
"""

import math
from collections.abc import Mapping, Sequence

from lstm_jax.lab.report.measures import (
  LEVEL,
  is_share,
  reach_of,
)
from lstm_jax.lab.report.verdict_words import (
  NO_VERDICT,
  NOT,
  REPRODUCED,
  UNDER,
  Verdict,
)
from lstm_jax.lab.report.verdict_words import WIDEST as WIDEST_FACTOR
from lstm_jax.lab.store.documents import Figures
from lstm_jax.lab.store.metrics import BY_NAME, METRICS
from lstm_jax.ops.intervals import Interval

FEWEST = 5  # seeds
WIDEST = 10.0  # points that the interval may reach from our mean

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


def metric_of(figures: Figures) -> str:
  """Returns the metric compared with the figures of one run, '' for none."""
  return next(
    (
      metric.name
      for metric in METRICS
      if metric.unit in ('share', 'loss')
      and figures.get(metric.published) is not None
    ),
    '',
  )


def published_value(figures: Figures, metric: str) -> float | None:
  """The published figure of a metric in the unit of records, or None.

  In published figures an accuracy is in percent, in records a fraction.
  """
  key = BY_NAME[metric].published if metric in BY_NAME else ''
  value = figures.get(key) if key else None
  if not isinstance(value, int | float):
    return None
  return value / 100 if is_share(metric) else value


def published_text(figures: Figures, metric: str) -> str:
  """The published figure of a metric, with the digits that were published."""
  value = figures.get(BY_NAME[metric].published)
  if value is None:
    return ''
  return f'{value:g} %' if is_share(metric) else f'{value:g}'


def one_more(
  values: Sequence[float], extra_variance: float = 0.0
) -> Interval | None:
  """The prediction interval at `LEVEL` for one more run.

  Args:
    values: one number a seed.
    extra_variance: variance of the other run beyond that of ours.

  Returns:
    mean ± t sqrt(s^2 (1 + 1/n) + more), not cut at 0 or 1; None for n < 2.
  """
  mean = math.fsum(values) / len(values)
  reach = reach_of(values, 1 + 1 / len(values), extra_variance)
  return None if reach is None else Interval(mean - reach, mean + reach)


def verdict(
  values: Mapping[str, Sequence[float]],
  missing: int,
  figures: Figures,
) -> Verdict:
  """Applies `RULE`.

  Args:
    values: metric -> one number a seed that trained to the end; of
      'test_total' the examples of our test part.
    missing: trials of the plan still to come.
    figures: the published ones: `accuracy` and `valid_accuracy` in percent,
      `loss`, `of` (test examples); each may be missing.
  """
  metric = metric_of(figures)
  value = published_value(figures, metric)
  if value is None:
    return Verdict(NO_VERDICT, 'the source gives no figure to compare')
  values_of_metric = list(values.get(metric, ()))
  if metric == 'test_loss':
    # Nothing is held out where there is no test part.
    values_of_metric = [
      x for x in values_of_metric or values.get('train_loss', ()) if x > 0
    ]
  count = len(values_of_metric)
  tests = next(iter(values.get('test_total', ())), None)
  interval = (
    _interval(values_of_metric, metric, figures, tests) if count > 1 else None
  )
  if missing:
    sentence = f'{missing:,} trial{"s" * (missing != 1)} still to come'
    return Verdict(UNDER, sentence, expected=interval)
  if count < FEWEST or interval is None:
    seeds = f'{count} seed{"s" * (count != 1)} trained to the end'
    sentence = f'{seeds}, the rule asks for {FEWEST}'
    return Verdict(UNDER, sentence, expected=interval)
  sentence = (
    f'published {metric_text(value, metric)}; {100 * LEVEL:g} % of further '
    f'runs are expected in {span(interval, metric)}'
  )
  if not interval.low <= value <= interval.high:
    return Verdict(NOT, sentence, expected=interval)
  if _is_wide(interval, metric):
    limit = f'a factor of {WIDEST_FACTOR:g}'
    if is_share(metric):
      limit = f'{WIDEST:g} points'
    sentence += f', which reaches further than {limit}'
    return Verdict(UNDER, sentence, expected=interval)
  return Verdict(REPRODUCED, sentence, expected=interval)


def metric_text(value: float | None, metric: str, digits: int = 2) -> str:
  """A figure as text: an accuracy in percent, a loss with three digits."""
  if value is None:
    return '–'
  if is_share(metric):
    return f'{100 * value:.{digits}f} %'
  return f'{value:.3g}'


def span(interval: Interval | None, metric: str) -> str:
  """Both ends of an interval as text, as far as they are possible values."""
  if interval is None:
    return ''
  low, high = interval
  if is_share(metric):
    return f'{100 * max(low, 0):.1f}–{100 * min(high, 1):.1f} %'
  return f'{max(low, 0):.3g}–{high:.3g}'


def _interval(values, metric, figures, tests):
  if not is_share(metric):
    log_interval = one_more([math.log(value) for value in values])
    if log_interval is None:
      return None
    # Two seeds a long way apart reach beyond the largest number.
    return Interval(*(math.exp(min(max(x, -700), 700)) for x in log_interval))
  of, share = figures.get('of'), published_value(figures, metric)
  extra_variance = 0.0
  if metric == 'test_accuracy' and of and tests and share is not None:
    extra_variance = max(0.0, share * (1 - share) * (1 / of - 1 / tests))
  return one_more(values, extra_variance)


def _is_wide(interval, metric):
  low, high = interval
  if is_share(metric):
    return 100 * (high - low) / 2 > WIDEST
  return math.sqrt(high / low) > WIDEST_FACTOR
