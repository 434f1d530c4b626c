"""What the records of one setting say, as numbers over its seeds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lstm_jax.lab.report import metric_verdicts as rule
from lstm_jax.lab.report.statistics import Interval

_Records = Sequence[Mapping[str, Any]]


class Measure(NamedTuple):
  """A number of each seed that trained to the end.

  Attributes:
    values: in the order of the seeds.
    mean, interval: and its t-interval, None for one seed.
    low, high: range.
  """

  values: tuple[float, ...]
  mean: float
  interval: Interval | None
  low: float
  high: float


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


def ends(measure: Measure, metric: str) -> tuple[float, float]:
  """The interval of a mean as it is drawn: as far as values are possible.

  A loss, whose axis is logarithmic, is cut at half its mean.
  """
  low, high = measure.interval or (measure.mean, measure.mean)
  if metric.endswith('accuracy'):
    return max(low, 0.0), min(high, 1.0)
  return max(low, measure.mean / 2), high


def measures_of(finished: _Records) -> dict[str, Measure]:
  """What the trials that trained to the end reached.

  Returns:
    name -> `Measure`, without names that no trial has a number for. Of the
    test part 'accuracy', 'loss' (after the last epoch), 'best_accuracy' and
    'best_loss' (at the best epoch by validation); of the last epoch
    'valid_accuracy', 'valid_loss', 'train_accuracy' and 'train_loss'.
  """
  found = {}

  def add(name, values):
    values = [value for value in values if value is not None]
    if values:
      found[name] = _measure(values)

  for key in ('accuracy', 'loss'):
    tests = [record.get('test') or {} for record in finished]
    add(key, (test.get(key) for test in tests))
    best = [(record.get('best') or {}).get('test') for record in finished]
    add(f'best_{key}', ((test or {}).get(key) for test in best))
    curves = [record.get('curves') or {} for record in finished]
    for name in (f'valid_{key}', f'train_{key}'):
      add(name, ((curve.get(name) or [None])[-1] for curve in curves))
  return found


def kept_of(finished: _Records) -> dict[str, Measure]:
  """The numbers that the data set keeps of a net, by the names it gives."""
  held = {}
  for record in finished:
    for name, value in (record.get('after') or {}).items():
      if isinstance(value, float):
        held.setdefault(name.replace('_', ' '), []).append(value)
  return {name: _measure(values) for name, values in held.items()}


def levels_of(ended: _Records) -> dict[str, dict[str, float]]:
  """Predictor -> metric -> mean over the trials that have it."""
  held = {}
  for record in ended:
    for name, level in (record.get('levels') or {}).items():
      for metric, value in level.items():
        if value is not None:
          held.setdefault(name, {}).setdefault(metric, []).append(value)
  return {
    name: {metric: math.fsum(v) / len(v) for metric, v in level.items()}
    for name, level in held.items()
  }


def best_level(
  levels: Mapping[str, Mapping[str, float]],
  metric: str,
  measures: Mapping[str, Measure],
) -> Level | None:
  """The best predictor by a metric, None where there is none to compare."""
  sign = -1 if metric == 'loss' else 1
  known = {
    name: level[metric] for name, level in levels.items() if metric in level
  }
  if not known or metric not in measures:
    return None
  name = max(known, key=lambda one: sign * known[one])
  value = known[name]
  above = sum(sign * (x - value) > 0 for x in measures[metric].values)
  return Level(name, value, above)


def confusion_of(finished: _Records) -> tuple[tuple[float, ...], ...] | None:
  """Mean over trials of the shares of each true class, None without any."""
  held = [record['confusion'] for record in finished if record.get('confusion')]
  held = [counts for counts in held if len(counts) == len(held[0])]
  if not held:
    return None
  shares = [
    [[count / max(sum(row), 1) for count in row] for row in counts]
    for counts in held
  ]
  return tuple(
    # A class that a test part lacks says nothing of that trial.
    tuple(
      math.fsum(cells) / max(1, sum(any(row) for row in same))
      for cells in zip(*same, strict=True)
    )
    for same in zip(*shares, strict=True)
  )


def facts_of(ended: _Records) -> dict[str, tuple[str, ...]]:
  """Name -> what the records say under it, each wording once."""
  found = {}
  for record in ended:
    for name, words in (record.get('facts') or {}).items():
      found.setdefault(name, {})[str(words)] = None
  return {name: tuple(words) for name, words in found.items()}


def _measure(values):
  mean, interval = rule.mean_of(values)
  return Measure(tuple(values), mean, interval, min(values), max(values))
