"""The cells of a comparison's tables, the same for HTML and Markdown."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lstm_jax.lab.report import metric_verdicts as rule
from lstm_jax.lab.report.columns import EMPTY, MARKS, Cell, count, number
from lstm_jax.lab.report.content import Table
from lstm_jax.lab.report.metric_rows import JUDGED, Line, data
from lstm_jax.lab.report.summaries import parts, shown

# Keys of `published` that have a place in the columns.
_PLACED = {'accuracy', 'of'}
_MEAN = 'mean of the seeds that trained to the end, with 95 % t-interval'


class _Column(NamedTuple):
  """A column of a task's table.

  Attributes:
    heading: short.
    meaning: for the legend, '' where the heading says it all.
    cell: what it says of a line.
    level: what it says of a predictor's levels.
    right: whether its cells are numbers, set to the right.
  """

  heading: str
  meaning: str
  cell: Callable[[Line], Cell]
  level: Callable[[Mapping[str, float]], Cell] = lambda level: Cell('')
  right: bool = True


def table_of(lines: list[Line]) -> tuple[Table, dict[str, str]]:
  """The table of a task, and heading -> meaning of its columns.

  The levels of predictors without recurrence are lines of their own, below
  those that saw the same data. Columns that hold nothing are left out.

  Args:
    lines: of one task, at least one, those of the same data together.
  """
  blank = {'', EMPTY}
  columns = [
    column
    for column in _COLUMNS
    if not {column.cell(line).main for line in lines} <= blank
  ]
  body, anchors, kinds = [], [], []
  for same in parts(lines, data).values():
    for line in same:
      body.append(tuple(column.cell(line) for column in columns))
      anchors.append(line.anchor)
      kinds.append('')
    for name, level in _levels(same).items():
      cells = [column.level(level) for column in columns[1:]]
      body.append((Cell(f'level: {name}'), *cells))
      anchors.append('')
      kinds.append('level')
  made = Table(
    tuple(column.heading for column in columns),
    tuple(column.right for column in columns),
    tuple(body),
    tuple(anchors),
    tuple(kinds),
  )
  return made, {c.heading: c.meaning for c in columns if c.meaning}


def notes(line: Line) -> list[str]:
  """What is to be said of a line below its heading, one sentence each."""
  said = []
  if line.figures:
    said.append(f'{line.verdict.word}: {line.verdict.reason}.')
  held = line.measures.get(line.metric)
  if held:
    low, high = (rule.shown(x, line.metric) for x in (held.low, held.high))
    words = (
      f'{JUDGED[line.metric].capitalize()} of the seeds: from {low} to {high}'
    )
    if line.level:
      words += (
        f'; {line.level.above} of {line.trials} better than the best predictor '
        f'without recurrence, {line.level.name} '
        f'({rule.shown(line.level.value, line.metric)})'
      )
    said.append(f'{words}.')
  for name, one in line.kept.items():
    words = rule.span(one.interval, 'loss')
    interval = f' [{words}]' if words else ''
    said.append(f'{name}: {one.mean:.3g}{interval}, mean of the seeds.')
  for status in ('diverged', 'failed'):
    if number_of := getattr(line, status):
      said.append(
        f'{number_of:,} of {line.trials:,} trials {status}: they are in no '
        'mean.'
      )
  rest = {k: v for k, v in line.figures.items() if k not in _PLACED}
  if rest:
    words = ', '.join(f'{name} {shown(value)}' for name, value in rest.items())
    said.append(f'Also published: {words}.')
  return said


def _levels(lines):
  """Predictor -> levels, as the first line that knows it has them."""
  found = {}
  for line in lines:
    for name, level in line.levels.items():
      found.setdefault(name, level)
  return found


def _row(line):
  published = line.entry.get('line', '')
  if line.name.startswith(published):
    published = ''
  return Cell(line.name, line.entry.get('reading') or published)


def _weights(line):
  hidden, published = line.entry.get('hidden'), line.figures.get('weights')
  said = [f'{shown(hidden)} units'] * bool(hidden)
  if published and line.weights and published != line.weights:
    said.append(f'published {published:,}')
  return Cell(count(line.weights), ', '.join(said))


def _seeds(line):
  coming = f'{line.missing:,} to come' if line.missing else ''
  return Cell(f'{line.finished:,}/{line.trials:,}', coming)


def _published(line):
  metric = rule.metric_of(line.figures)
  value = rule.published(line.figures, metric)
  if value is None:
    return Cell('')
  of = line.figures.get('of')
  minor = {'valid_accuracy': 'validation', 'loss': 'loss'}.get(metric, '')
  if metric == 'accuracy' and of:
    minor = f'of {of:,}'
  return Cell(rule.shown(value, metric), minor)


def _mean(name):
  def cell(line):
    held = line.measures.get(name)
    if held is None:
      return Cell(EMPTY)
    return Cell(rule.shown(held.mean, name), rule.span(held.interval, name))

  return cell


def _level(name):
  return lambda level: Cell(rule.shown(level.get(name), name))


def _range(line):
  held = line.measures.get(line.metric)
  if held is None or len(held.values) < 2:
    return Cell(EMPTY)
  return Cell(rule.span((held.low, held.high), line.metric))


def _best(line):
  name = f'best_{line.metric}'
  held = line.measures.get(name)
  if held is None:
    return Cell(EMPTY)
  epoch = '' if line.best_epoch is None else f'epoch {line.best_epoch:g}'
  return Cell(rule.shown(held.mean, name), epoch)


def _above(line):
  if line.level is None:
    return Cell(EMPTY)
  return Cell(f'{line.level.above}/{line.trials}', line.level.name)


def _verdict(line):
  if not line.figures:
    return Cell('')
  return Cell(f'{MARKS[line.verdict.word]} {line.verdict.word}')


_COLUMNS = (
  _Column(
    'row',
    'a setting; in italics the levels of predictors without recurrence on the '
    'same test part',
    _row,
    right=False,
  ),
  _Column('published', 'one run', _published),
  _Column(
    'test accuracy',
    f'after the last epoch, {_MEAN}',
    _mean('accuracy'),
    _level('accuracy'),
  ),
  _Column('verdict', 'by the rule of this report', _verdict, right=False),
  _Column('range', 'of the seeds, of what they are judged by', _range),
  _Column('seeds', 'trained to the end / all that ended', _seeds),
  _Column(
    'above level',
    'seeds that are better than the best predictor without recurrence, of all '
    'that ended',
    _above,
  ),
  _Column(
    'at best epoch',
    'the same part, the net of the best epoch by validation; below, the median '
    'epoch',
    _best,
  ),
  _Column(
    'validation',
    f'accuracy after the last epoch, {_MEAN}',
    _mean('valid_accuracy'),
  ),
  _Column(
    'test loss',
    f'after the last epoch, {_MEAN}',
    _mean('loss'),
    _level('loss'),
  ),
  _Column('training loss', f'of the last epoch, {_MEAN}', _mean('train_loss')),
  _Column('cell', '', lambda line: Cell(line.entry['cell']), right=False),
  _Column('weights', '', _weights),
  _Column('epochs', '', lambda line: Cell(count(line.entry['budget']))),
  _Column(
    'seconds',
    'device time summed over the trials; they ran side by side, so the wall '
    'time was shorter',
    lambda line: Cell(number(line.seconds or None, ',.1f', EMPTY)),
  ),
)
