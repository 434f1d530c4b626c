"""Tables: folders, rows, trials and steps come to, as components of Dash."""

import math
from collections.abc import Sequence

import numpy as np
from dash import dcc, html

from lstm_jax.lab.plan.estimate import words
from lstm_jax.lab.plan.programs import unit_of
from lstm_jax.lab.report.summaries import shown_text
from lstm_jax.lab.serve import links
from lstm_jax.lab.serve.board import Line, State, TrialLine
from lstm_jax.lab.serve.inside import Inside
from lstm_jax.lab.serve.layout import labelled
from lstm_jax.lab.serve.links import Selection
from lstm_jax.lab.serve.views import Side

_MOST_ROWS = 400
_MOST_NUMBERS = 12  # of a step, that are written out
_MOST_PROBLEMS = 8
_STATUS = {
  'solved': ('solved', 'good'),
  'budget': ('budget spent', 'open'),
  'given_up': ('given up', 'open'),
  'diverged': ('diverged', 'bad'),
  'failed': ('failed', 'bad'),
  'under way': ('under way', 'open'),
  'to come': ('to come', ''),
}


def state(status: State) -> html.Div:
  """A folder as a whole: how far it is, what is wrong with it."""
  parts = [html.H2(status.name)]
  if status.planned:
    phrases = [f'{status.ended:,} of {status.planned:,} trials ended']
    if status.solved:
      phrases.append(f'{status.solved:,} solved')
    if status.under_way:
      phrases.append(f'{status.under_way:,} under way')
    parts += [
      html.P(', '.join(phrases), className='lead'),
      html.Progress(
        value=str(status.ended), max=str(status.planned),
        **labelled(f'{status.ended} of {status.planned} trials ended'),
      ),
      html.P(_time(status), className='soft'),
    ]  # fmt: skip
  parts += [
    html.P(f'{count:,} failed: {why}', className='warn')
    for why, count in status.failed.items()
  ]
  parts += [
    html.P(line, className='warn') for line in status.problems[:_MOST_PROBLEMS]
  ]
  if len(status.problems) > _MOST_PROBLEMS:
    parts.append(
      html.P(f'{len(status.problems) - _MOST_PROBLEMS} more problems')
    )
  return html.Div([*parts, html.Small(status.path)])


def _time(status):
  if status.ended == status.planned:
    return 'All trials have ended.'
  if not status.working:
    return 'No process works on it: stopped, killed or on another machine.'
  if status.seconds_left is None:
    return 'A process works on it; time to go is not known yet.'
  return f'A process works on it; about {words(status.seconds_left)} to go.'


def rows(
  folder_lines: Sequence[Sequence[Line]],
  names: Sequence[str],
  selection: Selection,
) -> html.Table:
  """The table of rows, those of several folders side by side."""
  by_key: dict[str, dict[int, Line]] = {}
  for i, lines in enumerate(folder_lines):
    for line in lines:
      by_key.setdefault(line.key, {})[i] = line
  if not by_key:
    return html.P('No trials to show.')
  has_folders = len(names) > 1
  heads = ['Row', 'Task, cell, rule']
  lines = [line for of in folder_lines for line in of]
  solved = {line.solved is not None for line in lines}
  result = (
    'Result' if len(solved) > 1 else 'Solved' if True in solved else 'Test'
  )
  for name in names:
    heads.append(f'{name}: {result.lower()}' if has_folders else result)
    heads += [] if has_folders else ['Ended', 'Under way', 'Median sequences']
  heads += [] if has_folders else ['Of the plan']
  body = [
    html.Tr(
      [
        _row_head(key, of, selection),
        html.Td(_about(next(iter(of.values()))), className='wide'),
        *(
          cell
          for i in range(len(names))
          for cell in _numbers(of.get(i), has_folders)
        ),
      ],
      **({'aria-current': 'true'} if key in selection.rows else {}),
    )
    for key, of in list(by_key.items())[:_MOST_ROWS]
  ]
  head = [
    html.Th(name, scope='col', className='wide' if i == 1 else 'n' if i else '')
    for i, name in enumerate(heads)
  ]
  num_more = len(by_key) - _MOST_ROWS
  captions = (
    [html.Caption(f'{num_more:,} rows more are not shown.')]
    if num_more > 0
    else []
  )
  return html.Table([*captions, html.Thead(html.Tr(head)), html.Tbody(body)])


def _row_head(key, of, selection):
  """A row's name, a link to it, and one that puts it beside those chosen."""
  row = next(iter(of.values())).setting.row
  parts = [dcc.Link(row, href=links.query_of(Selection(rows=(key,))))]
  other_rows = tuple(
    key_of_row for key_of_row in selection.rows if key_of_row != key
  )
  if other_rows:
    is_chosen = key in selection.rows
    rows = other_rows if is_chosen else (*other_rows, key)
    href = links.query_of(selection._replace(rows=rows, trials=(), seen=None))
    word = 'remove' if is_chosen else 'compare'
    parts.append(html.Small(dcc.Link(word, href=href, title=f'{word} {row}')))
  return html.Th(parts, scope='row', className='name')


def _about(line):
  setting = line.setting
  text = f'{setting.task}, {setting.cell}, {setting.learner}'
  return text + (
    f', T = {shown_text(setting.length)}' if setting.length else ''
  )


def _numbers(line, has_folders):
  if line is None:
    return [html.Td('-', className='n')] * (1 if has_folders else 5)
  if line.solved is not None:
    result = f'{line.solved:,}/{line.ended:,}'
  else:
    result = _metric_text(line)
  other_counts = ', '.join(
    f'{count} {_STATUS[word][0]}' for word, count in line.others.items()
  )
  ended_text = f'{line.ended:,} of {line.planned:,}'
  asides = [html.Small(other_counts)] if other_counts else []
  median = _median(line)
  if has_folders:
    more_text = f'{ended_text} ended' + (
      f', {line.under_way:,} under way' if line.under_way else ''
    )
    median = f'; median {median}' if median else ''
    return [
      html.Td([result, html.Small(more_text + median), *asides], className='n')
    ]
  bar = html.Progress(
    value=str(line.ended),
    max=str(line.planned),
    **labelled(f'{ended_text} ended'),
  )
  cells = [[result, *asides], ended_text, f'{line.under_way:,}', median, bar]
  return [html.Td(cell, className='n') for cell in cells]


def _median(line):
  """The median of all trials that have ended, as text; '' without any."""
  if line.median is None:
    return ''
  if math.isinf(line.median):
    return f'> {line.setting.budget:,}'
  return f'{line.median:,.0f}'


def _metric_text(line):
  if line.judged is None:
    return '-'
  name, mean = line.judged
  value = f'{100 * mean:.1f} %' if name.endswith('accuracy') else f'{mean:.4g}'
  return f'{name.replace("_", " ")} {value}'


def trials(
  lines: Sequence[TrialLine], side: Side, selection: Selection
) -> html.Table:
  """The trials of a row in one folder, with links to their networks."""
  unit = unit_of(side.line.setting).capitalize()
  is_counted = unit == 'Sequences'
  heads = ['Seed', 'Trial', 'Status', f'{unit} seen']
  heads += [*['To success'] * is_counted, 'Seconds']
  body = []
  for line in lines:
    word, kind = _STATUS.get(line.status, (line.status, ''))
    if line.status == 'budget' and not is_counted:
      word = 'trained'
    counts = [line.seen, *[line.to_success] * is_counted, line.seconds]
    other_trials = (
      name for name in selection.trials if name not in side.line.trials
    )
    link = selection._replace(trials=(*other_trials, line.trial), seen=None)
    href = links.query_of(link) + '#inside'
    status = [html.Span(word, className=f'badge {kind}')]
    if line.reason:
      status.append(html.Small(line.reason))
    body.append(
      html.Tr(
        [
          html.Th(str(line.seed), scope='row'),
          html.Td(
            dcc.Link(f'{line.trial}: look inside', href=href)
            if line.is_kept
            else line.trial
          ),
          html.Td(status),
          *(html.Td(_number(v), className='n') for v in counts),
        ],
        **({'aria-current': 'true'} if line.trial == side.trial else {}),
      )
    )
  head = [
    html.Th(text, scope='col', className='n' if i > 2 else '')
    for i, text in enumerate(heads)
  ]
  return html.Table([html.Thead(html.Tr(head)), html.Tbody(body)])


def _number(value):
  return (
    ''
    if value is None
    else shown_text(round(value, 1) if value % 1 else int(value))
  )


def numbers(inside: Inside, step: int) -> html.Dl:
  """The numbers of a step, from 1, for who does not see the figure."""
  trace, t = inside.trace, step - 1
  fields: dict[str, object] = {'inputs': trace['inputs'][t]}
  fields |= {name: values[t] for name, values in trace['carry'].items()}
  fields['outputs'] = trace['outputs'][t]
  if trace['mask'][t] > 0:
    fields['targets'] = trace['targets'][t]
  fields |= {
    f'error that reaches {name}': values[t]
    for name, values in inside.errors.items()
    if name not in inside.cut
  }
  return html.Dl(
    [
      part
      for name, values in fields.items()
      for part in (html.Dt(name), html.Dd(_numbers_text(values)))
    ],
    className='numbers',
  )


def _numbers_text(values):
  values = np.asarray(values).reshape(-1)
  if not np.isfinite(values).all():
    return 'none at the last step'
  text = '  '.join(f'{value:.3g}' for value in values[:_MOST_NUMBERS])
  num_more = len(values) - _MOST_NUMBERS
  return text + (f'  and {num_more} more' if num_more > 0 else '')


def heading(lines: Sequence[Line]) -> list[object]:
  """The heading of the chosen rows."""
  rows = {line.key: line for line in lines}
  names = [line.setting.row for line in rows.values()]
  about = [_about(line) for line in rows.values()]
  return [
    html.H2(' beside '.join(names)),
    html.P('; '.join(dict.fromkeys(about)), className='soft'),
  ]
