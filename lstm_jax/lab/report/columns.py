"""The cells of a report's tables, the same for HTML and Markdown."""

import math
from typing import NamedTuple

from lstm_jax.lab.report import statistics, verdicts
from lstm_jax.lab.report.rows import Reading, Row
from lstm_jax.lab.report.summaries import TESTS, shown

EMPTY = '–'
# Keys of `published` that have a place in the columns.
_PLACED = {'success_after', 'st1', 'success_percent', 'trials', 'low', 'high'}
_PLACED |= {'wrong', 'of', 'fraction', 'absolute', 'difference', 'weights'}
MARKS = {
  verdicts.REPRODUCED: '✓',
  verdicts.NOT: '✗',
  verdicts.UNDER: '?',
  verdicts.NONE: EMPTY,
}


class Cell(NamedTuple):
  """What a table says in one place: a value, and an interval or remark."""

  main: str
  minor: str = ''


class Column(NamedTuple):
  """A column of a row's table.

  Attributes:
    heading: short.
    meaning: one sentence for the legend, '' where the heading says it all.
    paper: the published cell.
    cells: one a reading.
    right: whether its cells are numbers, set to the right.
  """

  heading: str
  meaning: str
  paper: Cell
  cells: tuple[Cell, ...]
  right: bool = True


def columns_of(row: Row) -> list[Column]:
  """The table of one row: the readings below the published figures.

  Columns that hold nothing are left out.
  """
  figures = row.figures
  tests = f'{TESTS:,}'
  made = []

  def add(heading, meaning, cell, paper=None, right=True):
    cells = tuple(map(cell, row.readings))
    made.append(Column(heading, meaning, paper or Cell(''), cells, right))

  add('reading', '', lambda r: Cell(r.letter, r.name), Cell('published'), False)
  if figures:
    add('verdict', 'by the rule of this report', verdict, right=False)
  add(
    'solved',
    'of all trials that ended, with Wilson 95 % interval',
    solved,
    _share(figures),
  )
  add(
    'mean',
    'sequences to success of the solved trials only, with 95 % bootstrap '
    'interval (BCa, 10,000 resamples; ten solved trials or more)',
    lambda r: Cell(count(r.mean), interval(r.mean_interval)),
    _success(figures),
  )
  if verdicts.published_mean(figures):
    add(
      'ours / published',
      'ratio of the means, with the factor either way that chance would '
      'explain in 95 % of cases',
      ratio,
    )
  add(
    'median',
    'sequences to success of all trials, an unsolved one counts as infinite, '
    'with 95 % bootstrap interval (percentile, 10,000 resamples; ten trials '
    'or more)',
    median,
  )
  add(
    'range',
    'of the solved trials',
    lambda r: Cell(_range(*r.sequences[:: max(1, r.solved - 1)])),
    Cell(_range(figures.get('low'), figures.get('high'))),
  )
  add(
    f'wrong of {tests}',
    'fresh test sequences, mean over the solved trials',
    lambda r: Cell(number(r.wrong, '.1f')),
    _wrong(figures),
  )
  add(
    'mean abs. error',
    'on those sequences',
    lambda r: Cell(number(r.absolute, '.3g')),
    Cell(number(_error(figures), '.3g', '')),
  )
  add(
    'error unsolved',
    'mean absolute training error at the end of the trials that did not solve, '
    'and what a predictor without memory reaches',
    lambda r: Cell(
      number(r.error, '.3g'),
      '' if None in (r.error, r.trivial) else f'of {r.trivial:.3g}',
    ),
  )
  add(
    'mean sq. error',
    'on those sequences',
    lambda r: Cell(number(r.squared, '.3g')),
  )
  add(
    'ST1',
    'mean sequences until an exam had few enough wrong, whatever its mean '
    'error',
    lambda r: Cell(count(r.milestone)),
    Cell(count(figures.get('st1'), '')),
  )
  add(
    'weights',
    '',
    lambda r: Cell(count(r.weights)),
    Cell(count(figures.get('weights'), '')),
  )
  add(
    'seconds',
    'device time summed over the trials; they ran side by side, so the wall '
    'time was shorter and is not known for one row',
    lambda r: Cell(number(r.seconds, ',.1f')),
  )
  blank = {'', EMPTY}
  return [
    column
    for column in made
    if column.heading in ('reading', 'solved', 'mean')
    or not {column.paper.main, *(c.main for c in column.cells)} <= blank
  ]


def verdict(reading: Reading) -> Cell:
  """Mark and word."""
  word = reading.verdict.word
  return Cell(f'{MARKS[word]} {word}')


def solved(reading: Reading) -> Cell:
  """k/n and its interval, and how many trials are missing."""
  low, high = (f'{100 * bound:.0f}' for bound in reading.rate)
  minor = f'{low}–{high} %' if reading.trials else ''
  if reading.missing:
    minor = ', '.join(filter(None, (minor, f'{reading.missing:,} to come')))
  return Cell(f'{reading.solved:,}/{reading.trials:,}', minor)


def median(reading: Reading) -> Cell:
  """Median of all trials; beyond every budget it is not known."""
  found = reading.median_interval
  # Of nothing solved the interval says no more than the median does.
  minor = interval(found) if found and math.isfinite(found.low) else ''
  return Cell(count(reading.median), minor)


def ratio(reading: Reading) -> Cell:
  """Our mean over the published one."""
  found = reading.verdict
  if found.ratio is None:
    return Cell(EMPTY)
  reach = '' if found.reach is None else f'×÷ {factor(found.reach)}'
  return Cell(factor(found.ratio), reach)


def notes(row: Row) -> list[str]:
  """What is to be said of a row below its table, one sentence each."""
  said = []
  for r in row.readings:
    head = f'{r.letter}: '
    if row.figures:
      said.append(f'{head}{r.verdict.word}: {r.verdict.reason}.')
    if r.trials > r.solved > 0:
      said.append(
        f'{head}the mean leaves out the {r.trials - r.solved:,} of '
        f'{r.trials:,} trials that did not solve the task; stopped early or '
        'by their budget, they would have taken longer.'
      )
    if r.constant:
      said.append(
        f'{head}{r.constant:,} of {r.trials - r.solved:,} unsolved trials at '
        f'the level of a constant ({r.predictor}): they had learned nothing '
        'from their inputs.'
      )
    if r.weak:
      said.append(
        f'{head}{r.weak:,} of {r.solved:,} solved trials at the level of a '
        f'constant ({r.predictor}) in the test.'
      )
    if r.given_up:
      said.append(f'{head}{r.given_up:,} trials given up early: {_rule(r)}.')
    for status in ('diverged', 'failed'):
      if number_of := getattr(r, status):
        said.append(f'{head}{number_of:,} trials {status}.')
  if not row.figures:
    return said
  words = {r.verdict.word for r in row.readings}
  if verdicts.REPRODUCED not in words:
    more = ' so far' if verdicts.UNDER in words else ''
    said.insert(0, f'No reading reproduces this row{more}.')
  if not row.figures.get('trials'):
    said.append(
      'The number of published trials is not given; '
      f'{verdicts.TRIALS} are assumed.'
    )
  rest = [f'{k} {shown(v)}' for k, v in figures_left(row).items()]
  if rest:
    said.append(f'Also published: {", ".join(rest)}.')
  return said


def _rule(reading: Reading) -> str:
  """The rule by which trials of a reading were given up."""
  sequences = reading.entry.get('options', {}).get('task.blind_sequences', 0)
  return (
    f'for {sequences:,} training sequences the errors '
    'of the last step were the same to the last bit whatever the first symbol, '
    'at each look; they count as not solved'
  )


def figures_left(row: Row) -> dict:
  """Published figures that have no column."""
  return {k: v for k, v in row.figures.items() if k not in _PLACED}


def count(value, nothing: str = EMPTY) -> str:
  """A number of sequences or weights; infinity as ∞."""
  if value is None:
    return nothing
  return f'{value:,.0f}' if math.isfinite(value) else '∞'


def number(value, form: str, nothing: str = EMPTY) -> str:
  """A number in a format of Python's."""
  return nothing if value is None else format(value, form)


def factor(value: float) -> str:
  """A factor with three digits, no exponent."""
  if value >= 100:
    return f'{value:,.0f}'
  return f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def interval(found: statistics.Interval | None) -> str:
  """Both ends."""
  return '' if found is None else f'{count(found.low)}–{count(found.high)}'


def _range(low=None, high=None):
  if low is None:
    return ''
  return count(low) if high is None else f'{count(low)}–{count(high)}'


def _share(figures):
  percent = verdicts.published_percent(figures)
  successes = verdicts.published_successes(figures)
  trials = verdicts.published_trials(figures)
  if isinstance(percent, str):
    return Cell(percent)
  if successes is None:
    return Cell('')
  if percent is None:
    return Cell(f'{successes}/{trials}', 'assumed')
  return Cell(f'{successes}/{trials}', f'{percent:g} %')


def _success(figures):
  mean = verdicts.published_mean(figures)
  if mean is not None:
    return Cell(count(mean))
  cap = figures.get('success_after')
  return Cell(f'> {count(cap)}') if cap else Cell('')


def _error(figures):
  return figures.get('absolute', figures.get('difference'))


def _wrong(figures):
  if 'fraction' in figures:
    fraction = figures['fraction']
    return Cell(f'{TESTS * fraction:.1f}', f'fraction {fraction:.6f}')
  if 'wrong' not in figures:
    return Cell('')
  of = figures.get('of', TESTS)
  return Cell(f'{figures["wrong"]:,}', '' if of == TESTS else f'of {of:,}')
