"""The table of one row: what was published, the readings below it.

Below the readings stand the predictors without recurrence that their data were
given to. The same for HTML and Markdown.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lstm_jax.lab.report import cells, further_run, tuned
from lstm_jax.lab.report.cells import EMPTY, Cell, Table
from lstm_jax.lab.report.measures import Measure
from lstm_jax.lab.report.readings import Reading, data
from lstm_jax.lab.report.rows import Row, heading
from lstm_jax.lab.report.summaries import TESTS, shown_text
from lstm_jax.lab.store.documents import Figures
from lstm_jax.ops.intervals import Interval

_MEAN = 'mean of the seeds that trained to the end, with 95 % t-interval'
_PAPER = lambda figures: Cell('')
_LEVEL = lambda level: Cell('')


class Column(NamedTuple):
  """A column of a row's table.

  Attributes:
    heading: short.
    meaning: one sentence for the legend, '' where the heading says it all.
    cell: what it says of a reading.
    paper: what it says of the published figures.
    level: what it says of a predictor's levels.
    right: whether its cells are numbers, set to the right.
    always: whether it is shown where it holds nothing.
  """

  heading: str
  meaning: str
  cell: Callable[[Reading], Cell]
  paper: Callable[[Figures], Cell] = _PAPER
  level: Callable[[Mapping[str, float]], Cell] = _LEVEL
  right: bool = True
  always: bool = False


def table_of(row: Row) -> tuple[Table, dict[str, str]]:
  """The table of one row, and heading -> meaning of its columns.

  Columns that hold nothing are left out.
  """
  blank = {'', EMPTY}
  columns = [
    column
    for column in COLUMNS
    if column.always
    or not {
      column.paper(row.figures).main,
      *(column.cell(reading).main for reading in row.readings),
    }
    <= blank
  ]
  body, anchors, kinds = [], [], []

  def add(line, anchor, kind):
    body.append(tuple(line))
    anchors.append(anchor)
    kinds.append(kind)

  if row.figures:
    paper = [column.paper(row.figures) for column in columns[1:]]
    add((Cell('published'), *paper), '', 'paper')
  has_best = bool(row.figures) and len(row.readings) > 1
  for readings_of_data in (
    list(group) for _, group in itertools.groupby(row.readings, data)
  ):
    for reading in readings_of_data:
      best = 'best' * (has_best and reading is row.best)
      add((c.cell(reading) for c in columns), reading.anchor, best)
    for name, level in _levels(readings_of_data).items():
      level_cells = [column.level(level) for column in columns[1:]]
      add((Cell(f'level: {name}'), *level_cells), '', 'level')
  table = Table(
    tuple(column.heading for column in columns),
    tuple(column.right for column in columns),
    tuple(body),
    tuple(anchors),
    tuple(kinds),
    heading(row),
  )
  return table, {c.heading: c.meaning for c in columns if c.meaning}


def _levels(readings):
  """Predictor -> levels, as the first reading that knows it has them."""
  by_name: dict[str, dict[str, float]] = {}
  for reading in readings:
    for name, level in reading.levels.items():
      by_name.setdefault(name, level)
  return by_name


def _name(r):
  """The letter of a reading, and what it and its row are called."""
  row = r.setting.row
  aside = r.unit == 'epochs' and row != r.name
  return Cell(r.letter, f'{row}: {r.name}' if aside else r.name)


def _of_sequences(cell):
  """A cell of readings that are to solve a task, else nothing."""
  return lambda r: cell(r) if r.unit == 'sequences' else Cell(EMPTY)


def _mean(name):
  return lambda r: cells.mean_of(name, r.measures.get(name))


def _level(name):
  return lambda level: Cell(further_run.metric_text(level.get(name), name))


def _one_run(name):
  """The published cell of a metric of one run."""

  def cell(figures):
    text = further_run.published_text(figures, name)
    of = figures.get('of') if name == 'test_accuracy' and text else None
    return Cell(text, f'of {of:,}' if of else '')

  return cell


def _number(name, form):
  return _of_sequences(lambda r: Cell(cells.number(r.mean(name), form)))


def _unsolved_share(r):
  error = r.mean('train_absolute')
  beside = '' if None in (error, r.trivial) else f'of {r.trivial:.3g}'
  return Cell(cells.number(error, '.3g'), beside)


def _weights(r):
  measure: Measure | None = r.measures.get('weights')
  hidden = r.setting.hidden
  units = f'{shown_text(hidden)} units' if isinstance(hidden, int) else ''
  return Cell(cells.count(measure.values[0] if measure else None), units)


def _range(r):
  measure = r.measures.get(r.metric)
  if measure is None or len(measure.values) < 2:
    return Cell(EMPTY)
  return Cell(further_run.span(Interval(measure.low, measure.high), r.metric))


def _best(r):
  name = f'best_{r.metric}'
  measure, epoch = r.measures.get(name), r.measures.get('best_epoch')
  if measure is None:
    return Cell(EMPTY)
  at = '' if epoch is None else f'epoch {epoch.median:g}'
  return Cell(further_run.metric_text(measure.mean, name), at)


def _above_level(r):
  if r.level is None:
    return Cell(EMPTY)
  return Cell(f'{r.level.above}/{r.trials}', r.level.name)


def _epochs(r):
  is_counted = r.unit == 'epochs'
  return Cell(cells.count(r.setting.budget) if is_counted else EMPTY)


COLUMNS = (
  Column(
    'reading',
    '',
    _name,
    right=False,
    always=True,
  ),
  Column(
    'verdict',
    'by the rule of this report',
    lambda r: cells.verdict(r) if r.setting.figures else Cell(''),
    right=False,
  ),
  Column(
    'solved',
    'of all trials that ended, with Wilson 95 % interval',
    cells.solved_cell,
    cells.published_share,
  ),
  Column(
    'mean',
    'sequences to success of the solved trials only, with 95 % interval (BCa '
    "bootstrap, 10,000 resamples, of ten solved trials or more; Student's of "
    'more than 2,000)',
    _of_sequences(
      lambda r: Cell(
        cells.count(r.mean('sequences_to_success')),
        cells.interval(r.mean_interval),
      )
    ),
    cells.published_success,
  ),
  Column(
    'ours / published',
    'ratio of the means, with the factor either way that chance would '
    'explain in 95 % of cases',
    cells.ratio,
  ),
  Column(
    'median',
    'sequences to success of all trials, an unsolved one counts as infinite, '
    'with 95 % bootstrap interval (percentile, 10,000 resamples; ten trials '
    'or more)',
    cells.median,
  ),
  Column(
    'range',
    'of the solved trials',
    lambda r: Cell(cells.span(*r.sequences[:: max(1, r.solved - 1)])),
    lambda figures: Cell(cells.span(figures.get('low'), figures.get('high'))),
  ),
  Column(
    f'wrong of {TESTS:,}',
    'fresh test sequences, mean over the solved trials',
    lambda r: Cell(cells.number(r.wrong, '.1f')),
    cells.published_wrong,
  ),
  Column(
    'mean abs. error',
    'on those sequences',
    _number('test_absolute', '.3g'),
    lambda figures: Cell(
      cells.number(cells.published_error(figures), '.3g', '')
    ),
  ),
  Column(
    'error unsolved',
    'mean absolute training error at the end of the trials that did not solve, '
    'and what a predictor without memory reaches',
    _of_sequences(_unsolved_share),
  ),
  Column(
    'mean sq. error', 'on those sequences', _number('test_squared', '.3g')
  ),
  Column(
    'ST1',
    'mean sequences until an exam had few enough wrong, whatever its mean '
    'error',
    lambda r: Cell(cells.count(r.mean('first_passed'))),
    lambda figures: Cell(cells.count(figures.get('st1'), '')),
  ),
  Column(
    'test accuracy',
    f'after the last epoch, {_MEAN}',
    _mean('test_accuracy'),
    _one_run('test_accuracy'),
    _level('test_accuracy'),
  ),
  Column('of the seeds', 'their range, of what they are judged by', _range),
  Column('seeds', 'trained to the end / all that ended', cells.finished_cell),
  Column(
    'above level',
    'seeds that are better than the best predictor without recurrence, of all '
    'that ended',
    _above_level,
  ),
  Column(
    'at best epoch',
    'the same part, the network of the best epoch by validation; below, the '
    'median epoch',
    _best,
  ),
  Column(
    'validation',
    f'accuracy after the last epoch, {_MEAN}',
    _mean('valid_accuracy'),
    _one_run('valid_accuracy'),
  ),
  Column(
    'test loss',
    f'after the last epoch, {_MEAN}',
    _mean('test_loss'),
    _one_run('test_loss'),
    _level('test_loss'),
  ),
  Column('training loss', f'of the last epoch, {_MEAN}', _mean('train_loss')),
  Column(
    'cell',
    '',
    lambda r: Cell(r.setting.cell if r.unit == 'epochs' else EMPTY),
    right=False,
  ),
  Column(
    'weights',
    '',
    _weights,
    lambda figures: Cell(cells.count(figures.get('weights'), '')),
  ),
  Column(
    'epochs',
    '',
    _epochs,
    lambda figures: Cell(cells.count(figures.get('epochs'), '')),
  ),
  Column(
    'chosen by tuning',
    'on seeds of their own, among as many settings for every row',
    lambda r: tuned.chosen_cell(r.setting.tuning or {}),
    right=False,
  ),
  Column(
    'tuning took',
    'what all trials of the search saw',
    lambda r: tuned.spent_cell(
      r.setting.tuning or {}, r.setting.tuning_seconds
    ),
  ),
  Column(
    'optimum',
    'settings that solved a tuning seed, of all that were tried; and how many '
    'times as long the second best takes, or how many times its error',
    lambda r: tuned.sharpness_cell(r.setting.tuning or {}),
  ),
  Column(
    'seconds',
    'device time summed over the trials; they ran side by side, so the wall '
    'time was shorter and is not known for one row',
    lambda r: Cell(cells.number(r.seconds, ',.1f')),
  ),
)
