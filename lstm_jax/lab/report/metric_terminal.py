"""The table at the end of a sweep over data sets: one line a setting."""

import textwrap

from lstm_jax.lab.plan import text_columns
from lstm_jax.lab.report import metric_verdicts as rule
from lstm_jax.lab.report.metric_rows import Line
from lstm_jax.lab.report.summaries import shown

_NOTHING = 'No trial has been planned.'
_LEGEND = {
  'seeds': 'trained to the end / all that ended, diverged and failed ones '
  'among them, + still to come',
  'result': 'after the last epoch, mean of the seeds with 95 % t-interval: '
  'test accuracy, or the test loss, or the training loss, where there is none',
  'best epoch': 'the same of the net of the best epoch by validation (median '
  'epoch)',
  'published': 'one run, val.: on its validation part',
  'verdict': 'by the rule that the report prints',
  'best level': 'best predictor without recurrence on the same test part',
  'seconds': 'sum over trials',
}
# What a narrow table gives up, first to last.
_GIVE_UP = (
  'seconds',
  'epochs',
  'cell',
  'best level',
  'weights',
  'best epoch',
  'interval of the result',
)
# What stands before a number that is no test accuracy.
_KIND = {
  'loss': 'loss ',
  'train_loss': 'training loss ',
  'valid_accuracy': 'val. ',
}


def text(lines: list[Line], width: int | None = None) -> str:
  """The table for a terminal, in plain characters.

  What does not fit is left out, the least needed first, and named below the
  table. Rows, seeds, results, published figures and verdicts are never left
  out.

  Args:
    lines: of `summary.lines`.
    width: columns; None: those of the terminal.

  Returns:
    Lines, without a newline at the end.
  """
  if not lines:
    return _NOTHING
  width = width or text_columns.width()
  tasks = [line.entry['task'] for line in lines]
  made, left_out = text_columns.fitted(
    lambda left_out: text_columns.parted(_columns(lines, left_out), tasks),
    _GIVE_UP,
    width,
  )
  heads = {name.split(' [')[0] for name in _columns(lines, left_out)}
  said = [
    f'{name}: {words}' for name, words in _LEGEND.items() if name in heads
  ]
  notes = ['. '.join(said) + '.']
  if left_out:
    notes.append(f'Left out of this narrow table: {", ".join(left_out)}.')
  tail = [line for note in notes for line in textwrap.wrap(note, width)]
  return '\n'.join([*made, '', *tail])


def _columns(lines, left_out):
  """Heading -> (alignment, cells), in the order they are shown."""
  columns = {}

  def add(name, cell, align='>'):
    cells = [cell(line) for line in lines]
    if name.split(' [')[0] not in left_out and set(cells) - {'', '-'}:
      columns[name] = (align, cells)

  bounds = 'interval of the result' not in left_out
  add('row', lambda line: line.name, '<')
  add('cell', lambda line: line.entry['cell'], '<')
  add('weights', lambda line: shown(line.weights))
  add('epochs', lambda line: shown(line.entry['budget']))
  add('seeds', _seeds, '<')
  add(
    'result [95 %]' if bounds else 'result', lambda x: _result(x, bounds), '<'
  )
  add('best epoch', _best, '<')
  add('published', _published, '<')
  add('verdict', lambda x: x.verdict.word if x.figures else '', '<')
  add('best level', _level, '<')
  add('seconds', lambda line: f'{line.seconds:,.1f}')
  return columns


def _seeds(line):
  coming = f' + {line.missing}' if line.missing else ''
  return f'{line.finished}/{line.trials}{coming}'


def _result(line, bounds):
  held = line.measures.get(line.metric)
  if held is None:
    return '-'
  said = _KIND.get(line.metric, '') + rule.shown(held.mean, line.metric)
  if bounds and held.interval:
    said += f' [{rule.span(held.interval, line.metric).removesuffix(" %")}]'
  return said


def _best(line):
  held = line.measures.get(f'best_{line.metric}')
  if held is None:
    return '-'
  epoch = '' if line.best_epoch is None else f' ({line.best_epoch:g})'
  return rule.shown(held.mean, line.metric) + epoch


def _published(line):
  metric = rule.metric_of(line.figures)
  value = rule.published(line.figures, metric)
  if value is None:
    return ''
  return _KIND.get(metric, '') + rule.shown(value, metric)


def _level(line):
  if line.level is None:
    return '-'
  return f'{line.level.name} {rule.shown(line.level.value, line.metric)}'
