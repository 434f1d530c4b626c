"""Cells of tables: numbers and intervals as text."""

import math
from typing import NamedTuple

from lstm_jax.lab.report import further_run, verdict_words, verdicts
from lstm_jax.lab.report.measures import METRIC_WORDS, Measure
from lstm_jax.lab.report.readings import Reading
from lstm_jax.lab.report.summaries import TESTS
from lstm_jax.lab.store.documents import Figures
from lstm_jax.ops.intervals import Interval

EMPTY = '–'
MARKS = {
  verdict_words.REPRODUCED: '✓',
  verdict_words.NOT: '✗',
  verdict_words.UNDER: '?',
  verdict_words.NO_VERDICT: EMPTY,
}


class Cell(NamedTuple):
  """A cell of a table: a value, and an interval or remark.

  Attributes:
    main, minor: the two.
    share: from 0 to 1: a bar behind them; None for none.
  """

  main: str
  minor: str = ''
  share: float | None = None


class Table(NamedTuple):
  """A table with links.

  Attributes:
    headings: of the columns.
    right: of each column, whether its cells are set to the right.
    lines: cells.
    anchors: of each line, the anchor its first cell leads to, or ''.
    kinds: of each line, its class in the style sheet, or ''; empty: none has.
    label: what it is a table of, for whoever cannot see it.
  """

  headings: tuple[str, ...]
  right: tuple[bool, ...]
  lines: tuple[tuple[Cell, ...], ...]
  anchors: tuple[str, ...]
  kinds: tuple[str, ...] = ()
  label: str = ''


def count(value: float | None, nothing: str = EMPTY) -> str:
  """A number of sequences or weights; infinity as ∞."""
  if value is None:
    return nothing
  return f'{value:,.0f}' if math.isfinite(value) else '∞'


def number(value: float | None, form: str, nothing: str = EMPTY) -> str:
  """A number in a format of Python's."""
  return nothing if value is None else format(value, form)


def factor(value: float) -> str:
  """A factor with three digits, no exponent."""
  if value >= 100:
    return f'{value:,.0f}'
  return f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def interval(ends: Interval | None) -> str:
  """Both ends."""
  return '' if ends is None else f'{count(ends.low)}–{count(ends.high)}'


def span(low: float | None = None, high: float | None = None) -> str:
  """From the least to the most; one number, or none, where that is all."""
  if low is None:
    return ''
  return count(low) if high is None else f'{count(low)}–{count(high)}'


def verdict(reading: Reading) -> Cell:
  """Mark and word."""
  word = reading.verdict.word
  return Cell(f'{MARKS[word]} {word}')


def solved_cell(reading: Reading) -> Cell:
  """k/n and its interval, and how many trials are missing."""
  if reading.unit != 'sequences':
    return Cell(EMPTY)
  low, high = (f'{100 * bound:.0f}' for bound in reading.rate)
  minor = f'{low}–{high} %' if reading.trials else ''
  minor = ', '.join(filter(None, (minor, to_come(reading))))
  return Cell(f'{reading.solved:,}/{reading.trials:,}', minor)


def finished_cell(reading: Reading) -> Cell:
  """Seeds trained to the end, of all that ended."""
  if reading.unit == 'sequences':
    return Cell(EMPTY)
  return Cell(f'{reading.finished:,}/{reading.trials:,}', to_come(reading))


def to_come(reading: Reading) -> str:
  """Counts the trials that are missing, in words; '' for none."""
  return f'{reading.missing:,} to come' if reading.missing else ''


def median(reading: Reading) -> Cell:
  """Median of all trials; beyond every budget it is not known."""
  if reading.unit != 'sequences':
    return Cell(EMPTY)
  bounds = reading.median_interval
  # Of nothing solved the interval says no more than the median does.
  minor = interval(bounds) if bounds and math.isfinite(bounds.low) else ''
  return Cell(count(reading.median), minor)


def ratio(reading: Reading) -> Cell:
  """Our mean over the published one."""
  verdict = reading.verdict
  if verdict.ratio is None:
    return Cell(EMPTY)
  reach = '' if verdict.reach is None else f'×÷ {factor(verdict.reach)}'
  return Cell(factor(verdict.ratio), reach)


def mean_of(name: str, measure: Measure | None) -> Cell:
  """Mean of a metric with its t-interval."""
  if measure is None:
    return Cell(EMPTY)
  return Cell(
    further_run.metric_text(measure.mean, name),
    further_run.span(measure.interval, name),
  )


def our_figures(reading: Reading) -> Cell:
  """Returns what a reading has reached, as an overview says it."""
  if reading.unit == 'sequences':
    return Cell(count(reading.mean('sequences_to_success')))
  name = further_run.metric_of(reading.setting.figures)
  name = name if name in reading.measures else reading.metric
  cell = mean_of(name, reading.measures.get(name))
  kind = '' if name == 'test_accuracy' else METRIC_WORDS.get(name, 'validation')
  return Cell(cell.main, ', '.join(filter(None, (kind, cell.minor))))


def published_figures(figures: Figures) -> Cell:
  """The published figure that is compared, as an overview says it."""
  metric = further_run.metric_of(figures)
  if not metric:
    return Cell(count(verdicts.published_mean(figures)))
  value = further_run.published_text(figures, metric)
  minor = {'valid_accuracy': 'validation', 'test_loss': 'loss'}.get(metric, '')
  of = figures.get('of')
  return Cell(
    value, f'of {of:,}' if metric == 'test_accuracy' and of else minor
  )


def published_share(figures: Figures) -> Cell:
  """Published trials that were successful, of all."""
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


def published_success(figures: Figures) -> Cell:
  """Published sequences to success."""
  mean = verdicts.published_mean(figures)
  if mean is not None:
    return Cell(count(mean))
  cap = figures.get('success_after')
  return Cell(f'> {count(cap)}') if cap else Cell('')


def published_error(figures: Figures) -> float | None:
  """Published mean absolute test error."""
  return figures.get('absolute', figures.get('difference'))


def published_wrong(figures: Figures) -> Cell:
  """Published test sequences that were wrong."""
  if 'fraction' in figures:
    fraction = figures['fraction']
    return Cell(f'{TESTS * fraction:.1f}', f'fraction {fraction:.6f}')
  if 'wrong' not in figures:
    return Cell('')
  of = figures.get('of', TESTS)
  return Cell(f'{figures["wrong"]:,}', '' if of == TESTS else f'of {of:,}')
