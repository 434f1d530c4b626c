"""The table of a run: one line a setting, beside what was published."""

import math
import textwrap

from lstm_jax.lab.plan import text_columns
from lstm_jax.lab.report import (
  levels,
  terminal_seeds,
  tuned,
  verdict_words,
)
from lstm_jax.lab.report import summaries as summaries_lib
from lstm_jax.lab.report.summaries import Summary, shown_text
from lstm_jax.lab.report.terminal_seeds import legend, verdict

_NOTHING = 'No trial has finished yet.'
_SHORT_NAMES = {'learning_rate': 'rate'}
_LEGEND = {
  'solved': 'k/n of all trials, with Wilson 95 % interval',
  'median': 'sequences to success of all trials, an unsolved one counts as '
  'more than its budget; 95 % order-statistic interval for six trials or more',
  'mean': 'sequences to success of solved trials [range]',
  'published': 'mean sequences to success (trials)',
  'verdict': 'by the rule that the report prints',
  'error': 'last training error of unsolved trials (of a predictor without '
  'memory)',
  'wrong': f'of {summaries_lib.TESTS:,} fresh sequences, mean of solved trials',
  'tuning': 'settings that solved a tuning seed, of all that were tried, and '
  'what all of them saw',
  'seconds': 'sum over trials',
}
# What a narrow table gives up, first to last. Our mean stays beside a published
# one; settings become the names of their rows.
_GIVE_UP = (
  'range of the mean',
  'wrong',
  'interval of the median',
  'seconds',
  'mean',
  'error',
  'interval of solved',
  'tuning',
  'settings',
)
_GIVE_UP_PUBLISHED = (
  'range of the mean',
  'wrong',
  'interval of the median',
  'seconds',
  'error',
  'median',
  'interval of solved',
  'tuning',
  'settings',
)


def text(summaries: list[Summary], width: int | None = None) -> str:
  """The table for a terminal, in plain characters.

  What does not fit is left out, the least needed first, and named below the
  table. What tells settings apart, counts, and medians or, beside a published
  mean, ours with the verdict are never left out: a terminal narrower than those
  gets lines wider than itself.

  Args:
    summaries: of `summaries.summarize`.
    width: columns; None: those of the terminal.

  Returns:
    Lines, without a newline at the end.
  """
  if not summaries:
    return _NOTHING
  width = width or text_columns.width()
  units = summaries_lib.parts(summaries, lambda s: s.unit)
  return '\n\n'.join(
    _TEXTS[unit](summaries_of_unit, width)
    for unit, summaries_of_unit in units.items()
  )


def _of_tasks(summaries, width):
  """The table of trials that are to solve their tasks."""
  lines, left_out = text_columns.fitted(
    lambda left_out: _lines(summaries, left_out),
    _GIVE_UP_PUBLISHED if _is_published(summaries) else _GIVE_UP,
    width,
  )
  notes = [legend(_columns(summaries, left_out), _LEGEND)]
  if left_out:
    notes.append(f'Left out of this narrow table: {", ".join(left_out)}.')
  notes += _remarks(summaries)
  fields, options = _shared(summaries)
  head = textwrap.wrap(f'All: {fields}.', width) if fields else []
  if options:
    head.append(
      textwrap.shorten(f'Options: {options}.', width, placeholder=' …')
    )
  tail = [line for note in notes for line in textwrap.wrap(note, width)]
  return '\n'.join([*head, *[''][: len(head)], *lines, '', *tail])


_TEXTS = {'sequences': _of_tasks, 'epochs': terminal_seeds.table}


def verdict_line(summaries: list[Summary]) -> str:
  """Says how many settings reproduce what was published, '' if nothing was."""
  words = [verdict(s) for s in summaries if s.published]
  if not words:
    return ''
  settings = f'{len(words)} setting' + 's' * (len(words) != 1)
  said = verdict_words.summed(words)
  return f'{settings} beside a published figure: {said}.'


def markdown(summaries: list[Summary]) -> str:
  """The whole table in Markdown, ending with a newline."""
  if not summaries:
    return _NOTHING + '\n'
  columns = _columns(summaries, ())
  rule = ['---:' if align == '>' else '---' for align, _ in columns.values()]
  body = zip(*(cells for _, cells in columns.values()), strict=True)
  lines = [
    '| ' + ' | '.join(cell.replace('|', r'\|') for cell in line) + ' |'
    for line in (list(columns), rule, *body)
  ]
  heads = zip(('All: ', 'Options: '), _shared(summaries), strict=True)
  head = [
    line
    for name, text_of_head in heads
    if text_of_head
    for line in (f'{name}{text_of_head}.', '')
  ]
  return '\n'.join([*head, *lines, '', legend(columns, _LEGEND)]) + '\n'


def _shared(summaries):
  """Says what all settings have in common: (fields, options), a line each."""
  first = summaries[0].setting

  def words_of(names):
    return ', '.join(
      f'{_SHORT_NAMES.get(name, name)} {shown_text(first[name])}'
      for name in names
      if name in first
      and all(s.setting.get(name) == first[name] for s in summaries)
    )

  options = words_of(summaries_lib.option_names(summaries))
  return words_of(summaries_lib.FIELDS), options


def _columns(summaries, left_out):
  """Heading -> (alignment, cells), in the order they are shown."""
  columns = {}

  def add(heading, cells, align='>'):
    columns[heading] = (align, list(cells))

  names = summaries_lib.varying(summaries)
  if 'settings' in left_out and _have_rows(summaries):
    names = [name for name in ('task', 'row') if name in (*names, 'row')]
  in_columns = (*summaries_lib.FIELDS, *summaries_lib.ORIGINS)
  options = [name for name in names if name not in in_columns]
  for name in (name for name in names if name in in_columns):
    values = [s.setting.get(name) for s in summaries]
    align = '>' if any(isinstance(v, int | float) for v in values) else '<'
    add(_SHORT_NAMES.get(name, name), map(shown_text, values), align)
  if options:
    add('options', (_options(s, options) for s in summaries), '<')
  bounds = 'interval of solved' not in left_out
  heading = 'solved [95 %]' if bounds else 'solved'
  add(heading, (_solved_text(s, bounds) for s in summaries), '<')
  has_published = _is_published(summaries)
  if has_published:
    _add_mean(summaries, left_out, add)
    add('published', map(_published_text, summaries), '<')
    add('verdict', map(verdict, summaries), '<')
  if 'median' not in left_out:
    bounds = 'interval of the median' not in left_out
    bounds = bounds and any(s.interval for s in summaries)
    heading = 'median [95 %]' if bounds else 'median'
    add(heading, (_median(s, bounds) for s in summaries), '<')
  if not has_published:
    _add_mean(summaries, left_out, add)
  if 'error' not in left_out and any(s.error is not None for s in summaries):
    add('error', map(_error, summaries), '<')
  if 'wrong' not in left_out:
    add(
      'wrong', ('-' if s.wrong is None else f'{s.wrong:.1f}' for s in summaries)
    )
  for status in ('given_up', 'diverged', 'failed'):
    counts = [getattr(s, status) for s in summaries]
    if any(counts):
      add(status.replace('_', ' '), map(str, counts))
  if 'tuning' not in left_out and any(s.tuning for s in summaries):
    add('tuning', map(_tuning, summaries), '<')
  if 'seconds' not in left_out:
    add('seconds', (f'{s.seconds:,.1f}' for s in summaries))
  return columns


def _tuning(s):
  """The number of settings that solve, and what the search took."""
  if not s.tuning:
    return '-'
  return ', '.join(
    filter(None, (tuned.solving(s.tuning), tuned.spent(s.tuning)))
  )


def _remarks(summaries):
  """Lines on rows whose ranges were too narrow."""
  return [
    f'{s.setting.get("row")}: {remark}.'
    for s in summaries
    if (remark := tuned.remark(s.tuning))
  ]


def _add_mean(summaries, left_out, add):
  if 'mean' not in left_out:
    bounds = 'range of the mean' not in left_out
    heading = 'mean [range]' if bounds else 'mean'
    add(heading, (_mean(s, bounds) for s in summaries), '<')


def _is_published(summaries):
  return any(s.published.get('success_after') for s in summaries)


def _have_rows(summaries):
  """Tells whether every setting is a row with a name of its own."""
  rows = [(s.setting.get('task'), s.setting.get('row')) for s in summaries]
  return len(set(rows)) == len(rows) and all(row for _, row in rows)


def _lines(summaries, left_out):
  """Aligned lines; tasks, where there are several, as headings of parts."""
  columns = _columns(summaries, left_out)
  tasks = columns.pop('task', (None, None))[1] or [''] * len(summaries)
  return text_columns.parted(columns, tasks)


def _options(s, names):
  words = (f'{n}={shown_text(s.setting[n])}' for n in names if n in s.setting)
  return ' '.join(words) or '-'


def _solved_text(s, bounds):
  low, high = (round(100 * bound) for bound in s.rate)
  return f'{s.solved}/{s.trials}' + f' [{low}–{high} %]' * bounds


def _count(value, s):
  """A number of sequences; infinity is more than the budget."""
  if math.isfinite(value):
    return f'{value:,.0f}'
  budget = s.setting.get('budget')
  return 'unsolved' if budget is None else f'> {shown_text(budget)}'


def _median(s, bounds):
  text = _count(s.median, s)
  if not bounds or s.interval is None or math.isinf(s.interval.low):
    return text
  return f'{text} [{s.interval.low:,.0f}–{_count(s.interval.high, s)}]'


def _mean(s, bounds):
  if s.mean is None:
    return '-'
  ends = f' [{s.low:,.0f}–{s.high:,.0f}]' if s.solved > 1 else ''
  return f'{s.mean:,.0f}' + ends * bounds


def _error(s):
  """The error of what was not solved, beside what needs no memory."""
  if s.error is None:
    return '-'
  prefix = 'task.'
  options = {
    name.removeprefix(prefix): value
    for name, value in s.setting.items()
    if name.startswith(prefix)
  }
  level = levels.trivial(
    s.setting.get('task'), options, s.setting.get('length')
  )
  beside = f' ({level["absolute"]:.3g})' if level else ''
  return f'{s.error:.3g}{beside}'


def _published_text(s):
  if not s.published.get('success_after'):
    return ''
  trials = s.published.get('trials')
  return f'{s.published["success_after"]:,}' + (
    f' ({trials})' if trials else ''
  )
