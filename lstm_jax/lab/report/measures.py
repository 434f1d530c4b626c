"""Sums up the trials of one setting, metric by metric, over their seeds.

Which trials a metric is summed up over is said in `store.metrics`.
"""

import math
import statistics as plain
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from lstm_jax.lab.report.statistics import student
from lstm_jax.lab.store.documents import Details
from lstm_jax.lab.store.metrics import BY_NAME
from lstm_jax.ops.intervals import Interval

LEVEL = 0.95
_Record = TypeVar('_Record', bound=Mapping[str, object])
_FINISHED_STATUS = ('budget', 'solved')  # trained to the end
_OVER = {
  'solved': lambda status: status == 'solved',
  'unsolved': lambda status: status != 'solved',
  'finished': lambda status: status in _FINISHED_STATUS,
  'all': lambda status: True,
}
# What seeds that count epochs are judged by, the first that some of them have.
METRIC_WORDS = {
  'test_accuracy': 'test accuracy',
  'test_loss': 'test loss',
  'train_loss': 'training loss',
}


class Measure(NamedTuple):
  """A metric over the trials that it is summed up over.

  Attributes:
    values: in the order of the trials.
    mean, interval: and its t-interval, None for one trial.
    low, high: range.
  """

  values: tuple[float, ...]
  mean: float
  interval: Interval | None
  low: float
  high: float

  @property
  def median(self) -> float:
    """Of the values."""
    return plain.median(self.values)


class Level(NamedTuple):
  """The best predictor without recurrence, and the seeds that are better.

  Attributes:
    name: of the predictor.
    value: its accuracy, or its loss where accuracies are not known.
    above: trials that are better, of all that ended.
  """

  name: str
  value: float
  above: int


def measures_of(
  trials: Sequence[tuple[str, Mapping[str, float | None]]],
) -> dict[str, Measure]:
  """A `Measure` of each metric that some trial has a number for.

  Args:
    trials: `(status, name -> number or None)` of those that have ended.
  """
  by_name = {}
  for name in dict.fromkeys(name for _, metrics in trials for name in metrics):
    over = _OVER[BY_NAME[name].over if name in BY_NAME else 'finished']
    values = [
      value
      for status, metrics in trials
      if over(status) and (value := metrics.get(name)) is not None
    ]
    if values:
      interval = t_interval(values)
      mean = math.fsum(values) / len(values)
      by_name[name] = Measure(
        tuple(values), mean, interval, min(values), max(values)
      )
  return by_name


def t_interval(values: Sequence[float]) -> Interval | None:
  """The t-interval at `LEVEL` of a mean, None for one value."""
  reach = reach_of(values, 1 / len(values))
  mean = math.fsum(values) / len(values)
  return None if reach is None else Interval(mean - reach, mean + reach)


def reach_of(
  values: Sequence[float], factor: float, extra_variance: float = 0.0
) -> float | None:
  """t sqrt(factor s^2 + more), None for fewer than two values."""
  count = len(values)
  if count < 2:
    return None
  mean = math.fsum(values) / count
  # By a product, which is infinite where a power is an error.
  variance = math.fsum((v - mean) * (v - mean) for v in values) / (count - 1)
  return student(LEVEL, count - 1) * math.sqrt(
    factor * variance + extra_variance
  )


def share_wrong(solved: Iterable[Mapping[str, float | None]]) -> float | None:
  """Mean share of test sequences judged wrong, None where none was tested."""
  shares = [
    (metrics.get('test_wrong') or 0) / total
    for metrics in solved
    if (total := metrics.get('test_total'))
  ]
  return math.fsum(shares) / len(shares) if shares else None


def metric_of(measures: Mapping[str, Measure]) -> str:
  """Of `METRIC_WORDS`; '' where no seed has trained to the end."""
  return next((name for name in METRIC_WORDS if name in measures), '')


def is_share(metric: str) -> bool:
  """Tells whether a metric is a fraction, which is shown in percent."""
  return metric in BY_NAME and BY_NAME[metric].unit == 'share'


def ends(measure: Measure, metric: str) -> tuple[float, float]:
  """The interval of a mean as it is drawn: as far as values are possible.

  A loss, whose axis is logarithmic, is cut at half its mean.
  """
  low, high = measure.interval or (measure.mean, measure.mean)
  if is_share(metric):
    return max(low, 0.0), min(high, 1.0)
  return max(low, measure.mean / 2), high


def levels_of(details: Sequence[Details]) -> dict[str, dict[str, float]]:
  """Predictor -> metric of the test part -> mean over those that have it."""
  by_level: dict[str, dict[str, list[float]]] = {}
  for detail in details:
    for name, level in (detail.get('levels') or {}).items():
      for metric, value in level.items():
        if value is not None:
          of = by_level.setdefault(name, {}).setdefault(f'test_{metric}', [])
          of.append(value)
  return {
    name: {metric: math.fsum(v) / len(v) for metric, v in level.items()}
    for name, level in by_level.items()
  }


def best_level(
  levels: Mapping[str, Mapping[str, float]],
  measures: Mapping[str, Measure],
) -> Level | None:
  """The best predictor by what seeds are judged by, None without any."""
  metric = metric_of(measures)
  values = {
    name: level[metric] for name, level in levels.items() if metric in level
  }
  if not values:
    return None
  sign = BY_NAME[metric].better
  name = max(values, key=lambda name: sign * values[name])
  value = values[name]
  num_above = sum(sign * (x - value) > 0 for x in measures[metric].values)
  return Level(name, value, num_above)


def confusion_of(
  details: Sequence[Details],
) -> tuple[tuple[float, ...], ...] | None:
  """Mean over trials of the shares of each true class, None without any."""
  matrices = [detail.get('confusion') for detail in details]
  matrices = [counts for counts in matrices if counts]
  matrices = [counts for counts in matrices if len(counts) == len(matrices[0])]
  if not matrices:
    return None
  shares = [
    [[count / max(sum(row), 1) for count in row] for row in counts]
    for counts in matrices
  ]
  return tuple(
    # A class that a test part lacks says nothing of that trial.
    tuple(
      math.fsum(cells) / max(1, sum(any(row) for row in rows))
      for cells in zip(*rows, strict=True)
    )
    for rows in zip(*shares, strict=True)
  )


def facts_of(details: Sequence[Details]) -> dict[str, tuple[str, ...]]:
  """Name -> what the records say under it, each wording once."""
  by_name: dict[str, dict[str, None]] = {}
  for detail in details:
    for name, words in (detail.get('facts') or {}).items():
      by_name.setdefault(name, {})[str(words)] = None
  return {name: tuple(words) for name, words in by_name.items()}


def finished_records(records: Sequence[_Record]) -> list[_Record]:
  """The trials that trained to the end."""
  return [record for record in records if record['status'] in _FINISHED_STATUS]
