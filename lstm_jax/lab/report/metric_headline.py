"""The one sentence that a run on data sets shows, computed from its seeds."""

import math

from lstm_jax.lab.report import headline, statistics
from lstm_jax.lab.report import metric_verdicts as rule
from lstm_jax.lab.report.headline import LEVEL
from lstm_jax.lab.report.metric_rows import JUDGED, Line, data
from lstm_jax.lab.report.summaries import parts, shown


def sentence(lines: list[Line]) -> str:
  """Says for each task what the cells reached under the same conditions.

  Compared are the cells of one row of a grid on the same data: the first such
  row that holds out a test part. Two means are said to differ where Welch's
  test, two-sided and multiplied by the number of pairs, says so at 5 %.

  Args:
    lines: of `summary.lines`.

  Returns:
    One sentence with a full stop.
  """
  judged = [line for line in lines if line.metric]
  if not judged:
    return 'No trial has been trained to its end yet.'
  names = headline.names_of({line.entry['cell'] for line in judged})
  tasks = parts(judged, lambda line: line.entry['task'])
  return (
    '; '.join(
      f'{task}: {_of_task(held, names)}' for task, held in tasks.items()
    )
    + '.'
  )


def _of_task(lines, names):
  held_out = [line for line in lines if line.metric != 'train_loss']
  rows = parts(held_out or lines, lambda line: (_row(line), data(line)))
  several = [one for one in rows.values() if len(_cells(one)) > 1]
  if not several:
    return _alone((held_out or lines)[0], names)
  compared = [max(one, key=_chosen_by) for one in _cells(several[0]).values()]
  metric = compared[0].metric
  compared = [line for line in compared if line.metric == metric]
  better = -1 if metric == 'accuracy' else 1
  compared.sort(key=lambda line: better * line.measures[metric].mean)
  said = ', '.join(
    f'{names[line.entry["cell"]]} '
    f'{rule.shown(line.measures[metric].mean, metric)}'
    for line in compared
  )
  seeds = sorted({line.finished for line in compared})
  words = f'means of {"–".join(map(shown, seeds))} seeds'
  chance = _difference([line.measures[metric].values for line in compared])
  where = f'row {_row(compared[0])}, {words}'
  if len(several[0]) > len(compared):
    where += ', each in its best setting by validation'
    if not all(map(_is_validated, compared)):
      where = where.replace('validation', 'training loss')
  return f'{said} {JUDGED[metric]} ({"; ".join(filter(None, (where, chance)))})'


def _cells(lines):
  """Cell -> its lines."""
  return parts(lines, lambda line: line.entry['cell'])


def _is_validated(line):
  return bool({'valid_accuracy', 'valid_loss'} & set(line.measures))


def _chosen_by(line):
  """By what one of several settings is chosen: never by the test part."""
  for name, sign in (
    ('valid_accuracy', 1),
    ('valid_loss', -1),
    ('train_loss', -1),
  ):
    if name in line.measures:
      return sign * line.measures[name].mean
  return -math.inf


def _row(line):
  """The row's name without the axes that vary in it."""
  return line.entry['row'].split(' ')[0]


def _alone(line, names):
  """A clause on one setting, beside the best predictor without recurrence."""
  held = line.measures[line.metric]
  words = (
    f'{names[line.entry["cell"]]} {rule.shown(held.mean, line.metric)} '
    f'{JUDGED[line.metric]} (row {_row(line)}, mean of {line.finished} seeds'
  )
  if line.level:
    value = rule.shown(line.level.value, line.metric)
    words += f'; {line.level.name}, without recurrence: {value}'
  return f'{words})'


def _difference(samples):
  """Whether the extreme means differ by more than chance; '' if not known."""
  if any(len(values) < 2 for values in samples):
    return ''
  first, last = samples[0], samples[-1]
  if len({*first}) == len({*last}) == 1:
    return ''  # no scatter, no test
  pairs = len(samples) * (len(samples) - 1) // 2
  p = min(1.0, pairs * statistics.same_mean(first, last))
  if not math.isfinite(p):
    return ''
  said = f'p = {p:.2g}' if p >= 1e-4 else 'p < 0.0001'
  return said if p < LEVEL else f'no difference shown, {said}'
