"""The table of a run: one line a setting, beside what was published."""

import math
import textwrap

from lstm_jax.lab.plan import text_columns
from lstm_jax.lab.report import (
  further_run,
  levels,
  verdict_words,
  verdicts,
)
from lstm_jax.lab.report import summaries as summaries_lib
from lstm_jax.lab.report.summaries import Summary, shown

_NOTHING = 'No trial has finished yet.'
_SHORT = {'learning_rate': 'rate'}
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
  'seeds': 'trained to the end / all that ended, diverged and failed ones '
  'among them, + still to come',
  'result': 'after the last epoch, mean of the seeds with 95 % t-interval: '
  'test accuracy, or the test loss, or the training loss, where there is none',
  'best epoch': 'the same of the network of the best epoch by validation '
  '(median epoch)',
  'best level': 'best predictor without recurrence on the same test part',
  'seconds': 'sum over trials',
}
_LEGEND_OF_SEEDS = {'published': 'one run, val.: on its validation part'}
# What stands before a number that is no test accuracy.
_KIND = {
  'test_loss': 'loss ',
  'train_loss': 'training loss ',
  'valid_accuracy': 'val. ',
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
  'settings',
)


_GIVE_UP_OF_SEEDS = (
  'seconds',
  'epochs',
  'cell',
  'best level',
  'weights',
  'best epoch',
  'interval of the result',
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
  return '\n\n'.join(_TEXTS[unit](held, width) for unit, held in units.items())


def _of_tasks(summaries, width):
  """The table of trials that are to solve their tasks."""
  lines, left_out = text_columns.fitted(
    lambda left_out: _lines(summaries, left_out),
    _GIVE_UP_PUBLISHED if _is_published(summaries) else _GIVE_UP,
    width,
  )
  notes = [_legend(_columns(summaries, left_out))]
  if left_out:
    notes.append(f'Left out of this narrow table: {", ".join(left_out)}.')
  fields, options = _shared(summaries)
  head = textwrap.wrap(f'All: {fields}.', width) if fields else []
  if options:
    head.append(
      textwrap.shorten(f'Options: {options}.', width, placeholder=' …')
    )
  tail = [line for note in notes for line in textwrap.wrap(note, width)]
  return '\n'.join([*head, *[''][: len(head)], *lines, '', *tail])


def _of_seeds(summaries, width):
  """The table of networks that are trained to their end."""
  summaries = sorted(summaries, key=lambda s: s.place)
  by_task = summaries_lib.parts(summaries, lambda s: s.setting['task'])
  summaries = [s for held in by_task.values() for s in held]
  tasks = [s.setting['task'] for s in summaries]
  names = _row_names(summaries)
  lines, left_out = text_columns.fitted(
    lambda left_out: text_columns.parted(
      _seed_columns(summaries, names, left_out), tasks
    ),
    _GIVE_UP_OF_SEEDS,
    width,
  )
  columns = _seed_columns(summaries, names, left_out)
  notes = [_legend(columns, _LEGEND | _LEGEND_OF_SEEDS)]
  if left_out:
    notes.append(f'Left out of this narrow table: {", ".join(left_out)}.')
  tail = [line for note in notes for line in textwrap.wrap(note, width)]
  return '\n'.join([*lines, '', *tail])


_TEXTS = {'sequences': _of_tasks, 'epochs': _of_seeds}


def verdict_line(summaries: list[Summary]) -> str:
  """How many settings reproduce what was published, '' where nothing was."""
  words = [_verdict(s) for s in summaries if s.published]
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
    line for name, said in heads if said for line in (f'{name}{said}.', '')
  ]
  return '\n'.join([*head, *lines, '', _legend(columns)]) + '\n'


def _shared(summaries):
  """What all settings have in common: (fields, options), a line each."""
  first = summaries[0].setting

  def said(names):
    return ', '.join(
      f'{_SHORT.get(name, name)} {shown(first[name])}'
      for name in names
      if name in first
      and all(s.setting.get(name) == first[name] for s in summaries)
    )

  options = said(summaries_lib.option_names(summaries))
  return said(summaries_lib.FIELDS), options


def _legend(columns, meanings=_LEGEND):
  heads = {column.partition(' [')[0] for column in columns}
  said = [
    f'{name}: {words}' for name, words in meanings.items() if name in heads
  ]
  return '. '.join(said) + '.'


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
    held = [s.setting.get(name) for s in summaries]
    align = '>' if any(isinstance(v, int | float) for v in held) else '<'
    add(_SHORT.get(name, name), map(shown, held), align)
  if options:
    add('options', (_options(s, options) for s in summaries), '<')
  bounds = 'interval of solved' not in left_out
  heading = 'solved [95 %]' if bounds else 'solved'
  add(heading, (_solved(s, bounds) for s in summaries), '<')
  published = _is_published(summaries)
  if published:
    _add_mean(summaries, left_out, add)
    add('published', map(_published, summaries), '<')
    add('verdict', map(_verdict, summaries), '<')
  if 'median' not in left_out:
    bounds = 'interval of the median' not in left_out
    bounds = bounds and any(s.interval for s in summaries)
    heading = 'median [95 %]' if bounds else 'median'
    add(heading, (_median(s, bounds) for s in summaries), '<')
  if not published:
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
  if 'seconds' not in left_out:
    add('seconds', (f'{s.seconds:,.1f}' for s in summaries))
  return columns


def _add_mean(summaries, left_out, add):
  if 'mean' not in left_out:
    bounds = 'range of the mean' not in left_out
    heading = 'mean [range]' if bounds else 'mean'
    add(heading, (_mean(s, bounds) for s in summaries), '<')


def _is_published(summaries):
  return any(s.published.get('success_after') for s in summaries)


def _have_rows(summaries):
  """Whether every setting is a row with a name of its own."""
  rows = [(s.setting.get('task'), s.setting.get('row')) for s in summaries]
  return len(set(rows)) == len(rows) and all(row for _, row in rows)


def _lines(summaries, left_out):
  """Aligned lines; tasks, where there are several, as headings of parts."""
  columns = _columns(summaries, left_out)
  tasks = columns.pop('task', (None, None))[1] or [''] * len(summaries)
  return text_columns.parted(columns, tasks)


def _options(s, names):
  said = (f'{n}={shown(s.setting[n])}' for n in names if n in s.setting)
  return ' '.join(said) or '-'


def _solved(s, bounds):
  low, high = (round(100 * bound) for bound in s.rate)
  return f'{s.solved}/{s.trials}' + f' [{low}–{high} %]' * bounds


def _count(value, s):
  """A number of sequences; infinity is more than the budget."""
  if math.isfinite(value):
    return f'{value:,.0f}'
  budget = s.setting.get('budget')
  return 'unsolved' if budget is None else f'> {shown(budget)}'


def _median(s, bounds):
  said = _count(s.median, s)
  if not bounds or s.interval is None or math.isinf(s.interval.low):
    return said
  return f'{said} [{s.interval.low:,.0f}–{_count(s.interval.high, s)}]'


def _mean(s, bounds):
  if s.mean is None:
    return '-'
  ends = f' [{s.low:,.0f}–{s.high:,.0f}]' if s.solved > 1 else ''
  return f'{s.mean:,.0f}' + ends * bounds


def _verdict(s):
  """The word of the report's rule, of what has ended so far."""
  if not s.published:
    return ''
  values = {name: held.values for name, held in s.measures.items()}
  return verdicts.verdict(values, s.trials, s.missing, s.published).word


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


def _published(s):
  if not s.published.get('success_after'):
    return ''
  trials = s.published.get('trials')
  return f'{s.published["success_after"]:,}' + (
    f' ({trials})' if trials else ''
  )


def _row_names(summaries):
  """A name for each setting that no other of its task has."""
  of = [s.setting for s in summaries]
  short = [(one['task'], one.get('row', '')) for one in of]
  return [
    row if short.count((task, row)) == 1 else f'{one.get("grid")}.{row}'
    for (task, row), one in zip(short, of, strict=True)
  ]


def _seed_columns(summaries, names, left_out):
  """Heading -> (alignment, cells) of networks that are trained to their end."""
  columns = {}

  def add(name, cells, align='>'):
    cells = list(cells)
    if name.split(' [')[0] not in left_out and set(cells) - {'', '-'}:
      columns[name] = (align, cells)

  bounds = 'interval of the result' not in left_out
  weights = (s.measures.get('weights') for s in summaries)
  add('row', names, '<')
  add('cell', (s.setting['cell'] for s in summaries), '<')
  add(
    'weights',
    (shown(int(held.values[0]) if held else None) for held in weights),
  )
  add('epochs', (shown(s.setting['budget']) for s in summaries))
  add('seeds', map(_seeds, summaries), '<')
  heading = 'result [95 %]' if bounds else 'result'
  add(heading, (_result(s, bounds) for s in summaries), '<')
  add('best epoch', map(_best, summaries), '<')
  add('published', map(_published_run, summaries), '<')
  add('verdict', map(_verdict, summaries), '<')
  add('best level', map(_level, summaries), '<')
  add('seconds', (f'{s.seconds:,.1f}' for s in summaries))
  return columns


def _seeds(s):
  coming = f' + {s.missing}' if s.missing else ''
  return f'{s.finished}/{s.trials}{coming}'


def _result(s, bounds):
  held = s.measures.get(s.metric)
  if held is None:
    return '-'
  said = _KIND.get(s.metric, '') + further_run.shown(held.mean, s.metric)
  if bounds and held.interval:
    span = further_run.span(held.interval, s.metric).removesuffix(' %')
    said += f' [{span}]'
  return said


def _best(s):
  held, epoch = (s.measures.get(n) for n in (f'best_{s.metric}', 'best_epoch'))
  if held is None:
    return '-'
  at = '' if epoch is None else f' ({epoch.median:g})'
  return further_run.shown(held.mean, s.metric) + at


def _published_run(s):
  metric = further_run.metric_of(s.published)
  if not metric:
    return ''
  value = further_run.published(s.published, metric)
  return _KIND.get(metric, '') + further_run.shown(value, metric)


def _level(s):
  if s.level is None:
    return '-'
  return f'{s.level.name} {further_run.shown(s.level.value, s.metric)}'
