"""Parts of the page: view data as components of Dash, nothing looked up."""

from collections.abc import Mapping, Sequence

import numpy as np
from dash import dcc, html
from plotly.graph_objects import Figure

from lstm_jax.lab.plan.estimate import words
from lstm_jax.lab.report import style
from lstm_jax.lab.report.summaries import shown
from lstm_jax.lab.serve import links
from lstm_jax.lab.serve.board import Line, State, TrialLine
from lstm_jax.lab.serve.inside import Inside
from lstm_jax.lab.serve.links import Shown

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

_CSS = """
main{padding-top:.6rem}
:root{--Dash-Fill-Interactive-Strong:#0072b2;--Dash-Fill-Inverse-Strong:var(--page);
--Dash-Text-Primary:var(--text);--Dash-Text-Strong:var(--text)}
.js-plotly-plot,.dash-graph{height:100%}
section{margin-top:1.6rem}
h2{margin-top:0}
.sides{display:grid;gap:1rem 2rem;
grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr))}
.sides>*{min-width:0}
progress{width:100%;height:.7rem;accent-color:#0072b2}
td progress{min-width:4rem}
tr[aria-current] > *{background:var(--band)}
:focus-visible{outline:3px solid #d55e00;outline-offset:2px}
fieldset{border:1px solid var(--line);border-radius:.5rem;margin:.6rem 0;
padding:.4rem .8rem .8rem}
legend,label{font-weight:600;font-size:.9rem}
.js-plotly-plot .plotly text{fill:var(--text)!important}
.js-plotly-plot .hoverlayer text{fill:#fff!important}
.numbers{max-width:none}
dl.numbers dd{font-variant-numeric:tabular-nums}
input[type=number]{font:inherit;width:8rem;background:var(--page);
color:var(--text);border:1px solid var(--soft);border-radius:.3rem;
padding:.2rem .4rem}
@media (max-width:40rem){.wide{display:none}}
"""

INDEX = f"""<!DOCTYPE html>
<html lang="en">
<head>{{%metas%}}<title>{{%title%}}</title>{{%favicon%}}{{%css%}}
<style>{style.CSS}{_CSS}</style></head>
<body>{{%app_entry%}}<footer>{{%config%}}{{%scripts%}}{{%renderer%}}</footer>
<noscript>This page needs JavaScript.</noscript></body>
</html>"""


NO_GRAPH = {'display': 'none'}


def height_of(figure: Figure) -> dict[str, str]:
  """The style of the place of a figure: as high as that."""
  return {'height': f'{figure.layout.height}px'}


def page(names: Sequence[str], every: float) -> html.Main:
  """The page before anything is known of the folders.

  Args:
    names: of the folders.
    every: seconds between two looks at them.
  """
  graph: dict[str, object] = {'displaylogo': False}
  graph['modeBarButtonsToRemove'] = ['lasso2d', 'select2d']
  sides = [
    html.Div(
      [
        html.H3(name, id=f'inside-name-{i}', hidden=len(names) == 1),
        html.P('', id=f'inside-said-{i}', role='status'),
        html.Div(
          dcc.Graph(id=f'inside-{i}', config=graph, responsive=True),
          id=f'inside-graph-{i}', role='img', style=NO_GRAPH,
          **{'aria-labelledby': f'inside-said-{i}'},
        ),
        html.Div(id=f'inside-numbers-{i}'),
      ]
    )
    for i, name in enumerate(names)
  ]  # fmt: skip
  return html.Main(
    [
      dcc.Location(id='place', refresh=False),
      dcc.Interval(id='tick', interval=round(1000 * every)),
      dcc.Store(id='stamp'), dcc.Store(id='row-stamp'),
      dcc.Store(id='stages'), dcc.Store(id='address'),
      html.H1('Trials of lstm_jax'),
      html.Section(id='state', className='sides', **_named('The runs')),
      html.Section([html.H2('Rows'), html.Div(id='rows')], **_named('Rows')),
      html.Section(
        [
          html.Div(id='row'),
          html.Div(
            dcc.Graph(id='learning', config=graph, responsive=True),
            id='learning-graph', role='img', style=NO_GRAPH,
            **_named('Learning curves of the row, one line a trial'),
          ),
          html.Div(id='trials'),
        ],
        id='of-row', hidden=True, **_named('The chosen row'),
      ),
      html.Section(
        [
          html.H2('Inside a network', id='inside'),
          html.P(
            'One network on one sequence. Step through time and through '
            'training with the sliders: arrow keys move them.',
            className='soft',
          ),
          _controls(),
          html.Div(sides, className='sides'),
          html.P(html.A('Link to what is shown', id='link', href='')),
        ],
        id='of-network', hidden=True, **_named('Inside a network'),
      ),
    ]
  )  # fmt: skip


def _controls():
  slider = {'min': 0, 'max': 0, 'step': 1, 'value': 0, 'marks': None}
  tooltip = {'tooltip': {'always_visible': False, 'placement': 'bottom'}}
  return html.Div(
    [
      html.Fieldset(
        [
          html.Legend('Training: sequences seen', id='stage-name'),
          dcc.Slider(
            id='stage', included=False, allow_direct_input=False, **slider
          ),
        ]
      ),
      html.Fieldset(
        [
          html.Legend('Time: step of the sequence', id='step-name'),
          dcc.Slider(
            id='step', included=False, updatemode='drag', **slider, **tooltip
          ),
        ]
      ),
      html.Fieldset(
        [
          html.Legend('Sequence'),
          html.Label(
            [
              'drawn from seed ',
              dcc.Input(
                id='seed', type='number', min=0, step=1, value=0, debounce=True
              ),
            ],
            htmlFor='seed',
          ),
        ]
      ),
    ]
  )


def state(held: State) -> html.Div:
  """A folder as a whole: how far it is, what is wrong with it."""
  parts = [html.H2(held.name)]
  if held.planned:
    said = [f'{held.ended:,} of {held.planned:,} trials ended']
    if held.solved:
      said.append(f'{held.solved:,} solved')
    if held.under_way:
      said.append(f'{held.under_way:,} under way')
    parts += [
      html.P(', '.join(said), className='lead'),
      html.Progress(
        value=str(held.ended), max=str(held.planned),
        **_named(f'{held.ended} of {held.planned} trials ended'),
      ),
      html.P(_time(held), className='soft'),
    ]  # fmt: skip
  parts += [
    html.P(f'{count:,} failed: {why}', className='warn')
    for why, count in held.failed.items()
  ]
  parts += [
    html.P(line, className='warn') for line in held.problems[:_MOST_PROBLEMS]
  ]
  if len(held.problems) > _MOST_PROBLEMS:
    parts.append(html.P(f'{len(held.problems) - _MOST_PROBLEMS} more problems'))
  return html.Div([*parts, html.Small(held.path)])


def _time(held):
  if held.ended == held.planned:
    return 'All trials have ended.'
  if not held.working:
    return 'No process works on it: stopped, killed or on another machine.'
  if held.seconds_left is None:
    return 'A process works on it; time to go is not known yet.'
  return f'A process works on it; about {words(held.seconds_left)} to go.'


def rows(
  held: Sequence[Sequence[Line]], names: Sequence[str], chosen: Shown
) -> html.Div:
  """The table of rows, those of several folders side by side."""
  by_key: dict[str, dict[int, Line]] = {}
  for i, lines in enumerate(held):
    for line in lines:
      by_key.setdefault(line.key, {})[i] = line
  if not by_key:
    return html.P('No trials to show.')
  several = len(names) > 1
  heads = ['Row', 'Task, cell, rule']
  for name in names:
    heads.append(f'{name}: solved' if several else 'Solved')
    heads += [] if several else ['Ended', 'Under way', 'Median sequences']
  heads += [] if several else ['Of the plan']
  body = [
    html.Tr(
      [
        _row_head(key, of),
        html.Td(_about(next(iter(of.values()))), className='wide'),
        *(
          cell
          for i in range(len(names))
          for cell in _numbers(of.get(i), several)
        ),
      ],
      **({'aria-current': 'true'} if key == chosen.row else {}),
    )
    for key, of in list(by_key.items())[:_MOST_ROWS]
  ]
  head = [
    html.Th(name, scope='col', className='wide' if i == 1 else 'n' if i else '')
    for i, name in enumerate(heads)
  ]
  more = len(by_key) - _MOST_ROWS
  return html.Div(
    [
      html.Div(
        html.Table([html.Thead(html.Tr(head)), html.Tbody(body)]),
        className='scroll',
        tabIndex=0,
        role='region',
        **_named('Table of rows'),
      ),
      html.P(f'{more:,} rows more are not shown.') if more > 0 else None,
    ]
  )


def _row_head(key, of):
  line = next(iter(of.values()))
  href = links.written(Shown(row=key))
  return html.Th(
    dcc.Link(line.setting.row, href=href), scope='row', className='name'
  )


def _about(line):
  setting = line.setting
  said = f'{setting.task}, {setting.cell}, {setting.learner}'
  return said + (f', T = {shown(setting.length)}' if setting.length else '')


def _numbers(line, several):
  if line is None:
    return [html.Td('-', className='n')] * (1 if several else 5)
  if line.solved is not None:
    result = f'{line.solved:,}/{line.ended:,}'
  else:
    result = _judged(line)
  others = ', '.join(
    f'{count} {_STATUS[word][0]}' for word, count in line.others.items()
  )
  ended = f'{line.ended:,} of {line.planned:,}'
  small = [html.Small(others)] if others else []
  if several:
    more = f'{ended} ended' + (
      f', {line.under_way:,} under way' if line.under_way else ''
    )
    median = '' if line.median is None else f'; median {line.median:,.0f}'
    return [html.Td([result, html.Small(more + median), *small], className='n')]
  median = '' if line.median is None else f'{line.median:,.0f}'
  bar = html.Progress(
    value=str(line.ended), max=str(line.planned), **_named(f'{ended} ended')
  )
  cells = [[result, *small], ended, f'{line.under_way:,}', median, bar]
  return [html.Td(cell, className='n') for cell in cells]


def _judged(line):
  if line.judged is None:
    return '-'
  name, mean = line.judged
  value = f'{100 * mean:.1f} %' if name.endswith('accuracy') else f'{mean:.4g}'
  return f'{name.replace("_", " ")} {value}'


def trials(
  held: Sequence[TrialLine], name: str, chosen: Shown, unit: str
) -> html.Details:
  """The trials of a row in one folder, with links to their networks."""
  heads = ('Seed', 'Trial', 'Status', f'{unit} seen', 'To success', 'Seconds')
  body = []
  for one in held:
    word, kind = _STATUS.get(one.status, (one.status, ''))
    href = (
      links.written(chosen._replace(trial=one.trial, seen=None)) + '#inside'
    )
    status = [html.Span(word, className=f'badge {kind}')]
    if one.reason:
      status.append(html.Small(one.reason))
    body.append(
      html.Tr(
        [
          html.Th(str(one.seed), scope='row'),
          html.Td(
            dcc.Link(f'{one.trial}: look inside', href=href)
            if one.is_kept
            else one.trial
          ),
          html.Td(status),
          *(html.Td(_number(v), className='n') for v in one[3:6]),
        ],
        **({'aria-current': 'true'} if one.trial == chosen.trial else {}),
      )
    )
  head = [html.Th(text, scope='col') for text in heads]
  table = html.Table([html.Thead(html.Tr(head)), html.Tbody(body)])
  return html.Details(
    [
      html.Summary(f'Trials{f" of {name}" if name else ""}'),
      html.Div(table, className='scroll'),
    ],
    open=True,
  )


def _number(value):
  return (
    '' if value is None else shown(round(value, 1) if value % 1 else int(value))
  )


def numbers(inside: Inside, step: int) -> html.Dl:
  """The numbers of a step, from 1, for who does not see the figure."""
  trace, t = inside.trace, step - 1
  held: dict[str, object] = {'inputs': trace['inputs'][t]}
  held |= {name: values[t] for name, values in trace['carry'].items()}
  held['outputs'] = trace['outputs'][t]
  if trace['mask'][t] > 0:
    held['targets'] = trace['targets'][t]
  held |= {
    f'error that reaches {name}': values[t]
    for name, values in inside.errors.items()
    if name not in inside.cut
  }
  return html.Dl(
    [
      part
      for name, values in held.items()
      for part in (html.Dt(name), html.Dd(_written(values)))
    ],
    className='numbers',
  )


def _written(values):
  values = np.asarray(values).reshape(-1)
  if not np.isfinite(values).all():
    return 'none at the last step'
  said = '  '.join(f'{value:.3g}' for value in values[:_MOST_NUMBERS])
  more = len(values) - _MOST_NUMBERS
  return said + (f'  and {more} more' if more > 0 else '')


def marks(seen: Sequence[int]) -> Mapping[int, str]:
  """The marks of the slider through training."""
  return {i: f'{number:,}' for i, number in enumerate(seen)}


def heading(line: Line) -> list[object]:
  """The heading of a chosen row."""
  return [html.H2(line.setting.row), html.P(_about(line), className='soft')]


def _named(words):
  return {'aria-label': words}
