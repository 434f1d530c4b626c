"""The table of networks that are trained to their end, for a terminal."""

import textwrap
from collections.abc import Iterable, Mapping

from lstm_jax.lab.plan import text_columns
from lstm_jax.lab.report import further_run, tuned, verdicts
from lstm_jax.lab.report.summaries import Summary, parts, shown_text

_LEGEND = {
  'seeds': 'trained to the end / all that ended, diverged and failed ones '
  'among them, + still to come',
  'result': 'after the last epoch, mean of the seeds with 95 % t-interval: '
  'test accuracy, or the test loss, or the training loss, where there is none',
  'best epoch': 'the same of the network of the best epoch by validation '
  '(median epoch)',
  'best level': 'best predictor without recurrence on the same test part',
  'published': 'one run, val.: on its validation part',
  'verdict': 'by the rule that the report prints',
  'tuning': 'what all trials of the search saw',
  'seconds': 'sum over trials',
}
# What stands before a number that is no test accuracy.
_KIND = {
  'test_loss': 'loss ',
  'train_loss': 'training loss ',
  'valid_accuracy': 'val. ',
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
  'tuning',
)


def table(summaries: list[Summary], width: int) -> str:
  """The table of networks that are trained to their end."""
  summaries = sorted(summaries, key=lambda s: s.place)
  by_task = parts(summaries, lambda s: s.setting['task'])
  summaries = [
    s for summaries_of_task in by_task.values() for s in summaries_of_task
  ]
  tasks = [str(s.setting['task']) for s in summaries]
  names = _row_names(summaries)
  lines, left_out = text_columns.fitted(
    lambda left_out: text_columns.parted(
      _seed_columns(summaries, names, left_out), tasks
    ),
    _GIVE_UP,
    width,
  )
  columns = _seed_columns(summaries, names, left_out)
  notes = [legend(columns, _LEGEND)]
  if left_out:
    notes.append(f'Left out of this narrow table: {", ".join(left_out)}.')
  tail = [line for note in notes for line in textwrap.wrap(note, width)]
  return '\n'.join([*lines, '', *tail])


def legend(columns: Iterable[str], meanings: Mapping[str, str]) -> str:
  """The meanings of those headings that stand in a table."""
  heads = {column.partition(' [')[0] for column in columns}
  sentences = [
    f'{name}: {words}' for name, words in meanings.items() if name in heads
  ]
  return '. '.join(sentences) + '.'


def verdict(s: Summary) -> str:
  """The word of the report's rule, of what has ended so far."""
  if not s.published:
    return ''
  values = {name: measure.values for name, measure in s.measures.items()}
  return verdicts.verdict(values, s.trials, s.missing, s.published).word


def _row_names(summaries):
  """A name for each setting that no other of its task has."""
  of = [s.setting for s in summaries]
  pairs = [(setting['task'], setting.get('row', '')) for setting in of]
  return [
    row if pairs.count((task, row)) == 1 else f'{setting.get("grid")}.{row}'
    for (task, row), setting in zip(pairs, of, strict=True)
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
    (
      shown_text(int(measure.values[0]) if measure else None)
      for measure in weights
    ),
  )
  add('epochs', (shown_text(s.setting['budget']) for s in summaries))
  add('seeds', map(_seeds, summaries), '<')
  heading = 'result [95 %]' if bounds else 'result'
  add(heading, (_result(s, bounds) for s in summaries), '<')
  add('best epoch', map(_best, summaries), '<')
  add('published', map(_published_run, summaries), '<')
  add('verdict', map(verdict, summaries), '<')
  add('best level', map(_level, summaries), '<')
  add('tuning', (tuned.spent(s.tuning) if s.tuning else '-' for s in summaries))
  add('seconds', (f'{s.seconds:,.1f}' for s in summaries))
  return columns


def _seeds(s):
  coming = f' + {s.missing}' if s.missing else ''
  return f'{s.finished}/{s.trials}{coming}'


def _result(s, bounds):
  measure = s.measures.get(s.metric)
  if measure is None:
    return '-'
  text = _KIND.get(s.metric, '') + further_run.metric_text(
    measure.mean, s.metric
  )
  if bounds and measure.interval:
    span = further_run.span(measure.interval, s.metric).removesuffix(' %')
    text += f' [{span}]'
  return text


def _best(s):
  measure, epoch = (
    s.measures.get(n) for n in (f'best_{s.metric}', 'best_epoch')
  )
  if measure is None:
    return '-'
  at = '' if epoch is None else f' ({epoch.median:g})'
  return further_run.metric_text(measure.mean, s.metric) + at


def _published_run(s):
  metric = further_run.metric_of(s.published)
  if not metric:
    return ''
  value = further_run.published_value(s.published, metric)
  return _KIND.get(metric, '') + further_run.metric_text(value, metric)


def _level(s):
  if s.level is None:
    return '-'
  return f'{s.level.name} {further_run.metric_text(s.level.value, s.metric)}'
