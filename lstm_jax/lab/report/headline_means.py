"""Says what networks trained to their end show: means over seeds.

Compared are the cells of one row of a grid on the same data: the first such row
that holds out a test part. Two means are said to differ where Welch's test,
two-sided and multiplied by the number of pairs, says so at 5 %.
"""

import math

from lstm_jax.lab.report import further_run, two_samples
from lstm_jax.lab.report.measures import JUDGED
from lstm_jax.lab.report.summaries import Summary, parts, shown
from lstm_jax.lab.store.metrics import BY_NAME

LEVEL = 0.05


def clauses(summaries: list[Summary], names: dict[str, str]) -> list[str]:
  """A clause a task: what its cells reached under the same conditions.

  Args:
    summaries: of trials that are trained to their end.
    names: cell -> what people call it.
  """
  judged = sorted(
    (one for one in summaries if one.metric), key=lambda one: one.place
  )
  if not judged:
    return ['No trial has been trained to its end yet']
  tasks = parts(judged, lambda one: one.setting.get('task'))
  return [f'{task}: {_of_task(held, names)}' for task, held in tasks.items()]


def _of_task(held, names):
  held_out = [one for one in held if one.metric != 'train_loss']
  rows = parts(held_out or held, lambda one: (_row(one), _data(one)))
  several = [same for same in rows.values() if len(_cells(same)) > 1]
  if not several:
    return _alone((held_out or held)[0], names)
  compared = [max(some, key=_chosen_by) for some in _cells(several[0]).values()]
  metric = compared[0].metric
  compared = [one for one in compared if one.metric == metric]
  better = -BY_NAME[metric].better
  compared.sort(key=lambda one: better * one.measures[metric].mean)
  said = ', '.join(_reached(one, names) for one in compared)
  seeds = sorted({one.finished for one in compared})
  words = f'means of {"–".join(map(shown, seeds))} seeds'
  chance = _difference([one.measures[metric].values for one in compared])
  where = f'row {_row(compared[0])}, {words}'
  level = _best_level(compared[0])
  if len(several[0]) > len(compared):
    where += ', each in its best setting by validation'
    if not all(map(_is_validated, compared)):
      where = where.replace('validation', 'training loss')
  aside = '; '.join(filter(None, (where, chance, level)))
  return f'{said} {JUDGED[metric]} ({aside})'


def _reached(one, names):
  value = further_run.shown(one.measures[one.metric].mean, one.metric)
  return f'{names[one.setting["cell"]]} {value}'


def _data(one):
  """Returns what decides the data that a network sees, but for the seed."""
  of = one.setting
  options = sorted((k, repr(v)) for k, v in of.items() if k.startswith('task.'))
  return *(of.get(name) for name in ('task', 'length', 'window')), *options


def _cells(held):
  """Cell -> its summaries."""
  return parts(held, lambda one: one.setting.get('cell'))


def _is_validated(one):
  return bool({'valid_accuracy', 'valid_loss'} & set(one.measures))


def _chosen_by(one):
  """By what one of several settings is chosen: never by the test part."""
  for name in ('valid_accuracy', 'valid_loss', 'train_loss'):
    if name in one.measures:
      return BY_NAME[name].better * one.measures[name].mean
  return -math.inf


def _row(one):
  """The row's name without the axes that vary in it."""
  return one.setting['row'].split(' ')[0]


def _alone(one, names):
  """A clause on one setting, beside the best predictor without recurrence."""
  words = (
    f'{_reached(one, names)} {JUDGED[one.metric]} (row {_row(one)}, mean of '
    f'{one.finished} seeds'
  )
  level = _best_level(one)
  return f'{words}{level and f"; {level}"})'


def _best_level(one):
  """Says what the best predictor without recurrence reaches; '' without."""
  if not one.level:
    return ''
  value = further_run.shown(one.level.value, one.metric)
  return f'{one.level.name}, without recurrence: {value}'


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
  said = f'p = {p:.2g}' if p >= 1e-4 else 'p < 0.0001'
  return said if p < LEVEL else f'no difference shown, {said}'
