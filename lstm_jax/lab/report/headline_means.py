"""Says what networks trained to their end show: means over seeds.

Compared are the cells of one row of a grid on the same data: the first such row
that holds out a test part. Two means are said to differ where Welch's test,
two-sided and multiplied by the number of pairs, says so at 5 %.
"""

import math

from lstm_jax.lab.report import further_run, two_samples
from lstm_jax.lab.report.measures import METRIC_WORDS
from lstm_jax.lab.report.summaries import Summary, parts, shown_text
from lstm_jax.lab.store.metrics import BY_NAME

LEVEL = 0.05


def clauses(summaries: list[Summary], names: dict[str, str]) -> list[str]:
  """A clause a task: what its cells reached under the same conditions.

  Args:
    summaries: of trials that are trained to their end.
    names: cell -> what people call it.
  """
  with_metric = sorted(
    (summary for summary in summaries if summary.metric),
    key=lambda summary: summary.place,
  )
  if not with_metric:
    return ['No trial has been trained to its end yet']
  tasks = parts(with_metric, lambda summary: summary.setting.get('task'))
  return [
    f'{task}: {_of_task(summaries_of_task, names)}'
    for task, summaries_of_task in tasks.items()
  ]


def _of_task(summaries, names):
  held_out = [
    summary for summary in summaries if summary.metric != 'train_loss'
  ]
  rows = parts(
    held_out or summaries, lambda summary: (_row(summary), _data(summary))
  )
  groups = [group for group in rows.values() if len(_cells(group)) > 1]
  if not groups:
    return _single((held_out or summaries)[0], names)
  compared = [
    max(summaries_of_cell, key=_chosen_by)
    for summaries_of_cell in _cells(groups[0]).values()
  ]
  metric = compared[0].metric
  compared = [summary for summary in compared if summary.metric == metric]
  sign = -BY_NAME[metric].better
  compared.sort(key=lambda summary: sign * summary.measures[metric].mean)
  sentence = ', '.join(_reached(summary, names) for summary in compared)
  seeds = sorted({summary.finished for summary in compared})
  words = f'means of {"–".join(map(shown_text, seeds))} seeds'
  chance = _difference(
    [summary.measures[metric].values for summary in compared]
  )
  where = f'row {_row(compared[0])}, {words}'
  level = _best_level(compared[0])
  if len(groups[0]) > len(compared):
    where += ', each in its best setting by validation'
    if not all(map(_is_validated, compared)):
      where = where.replace('validation', 'training loss')
  aside = '; '.join(filter(None, (where, chance, level)))
  return f'{sentence} {METRIC_WORDS[metric]} ({aside})'


def _reached(summary, names):
  value = further_run.metric_text(
    summary.measures[summary.metric].mean, summary.metric
  )
  return f'{names[summary.setting["cell"]]} {value}'


def _data(summary):
  """Returns what decides the data that a network sees, but for the seed."""
  of = summary.setting
  options = sorted((k, repr(v)) for k, v in of.items() if k.startswith('task.'))
  return *(of.get(name) for name in ('task', 'length', 'window')), *options


def _cells(summaries):
  """Cell -> its summaries."""
  return parts(summaries, lambda summary: summary.setting.get('cell'))


def _is_validated(summary):
  return bool({'valid_accuracy', 'valid_loss'} & set(summary.measures))


def _chosen_by(summary):
  """By what one of several settings is chosen: never by the test part."""
  for name in ('valid_accuracy', 'valid_loss', 'train_loss'):
    if name in summary.measures:
      return BY_NAME[name].better * summary.measures[name].mean
  return -math.inf


def _row(summary):
  """The row's name without the axes that vary in it."""
  return summary.setting['row'].split(' ')[0]


def _single(summary, names):
  """A clause on one setting, beside the best predictor without recurrence."""
  words = (
    f'{_reached(summary, names)} {METRIC_WORDS[summary.metric]} (row '
    f'{_row(summary)}, mean of {summary.finished} seeds'
  )
  level = _best_level(summary)
  return f'{words}{level and f"; {level}"})'


def _best_level(summary):
  """Says what the best predictor without recurrence reaches; '' without."""
  if not summary.level:
    return ''
  value = further_run.metric_text(summary.level.value, summary.metric)
  return f'{summary.level.name}, without recurrence: {value}'


def _difference(samples):
  """Says whether extreme means differ by more than chance; '' if not known."""
  if any(len(values) < 2 for values in samples):
    return ''
  first, last = samples[0], samples[-1]
  if len({*first}) == len({*last}) == 1:
    return ''  # no scatter, no test
  pairs = len(samples) * (len(samples) - 1) // 2
  p = min(1.0, pairs * two_samples.same_mean(first, last))
  if not math.isfinite(p):
    return ''
  sentence = f'p = {p:.2g}' if p >= 1e-4 else 'p < 0.0001'
  return sentence if p < LEVEL else f'no difference shown, {sentence}'
