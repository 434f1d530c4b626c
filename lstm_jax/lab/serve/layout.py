"""The page before anything is known of the folders: places and controls."""

from collections.abc import Mapping, Sequence

from dash import dcc, html
from plotly.graph_objects import Figure

from lstm_jax.lab.report import style

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
.sides>.side:not(:has(p:not(:empty))){display:none}
h3:empty{display:none}
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
.matrix{max-width:46rem}
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


FIRST = 'The network is being followed; the first time takes some seconds.'
NO_GRAPH = {'display': 'none'}
_GRAPH: dict[str, object] = {
  'displaylogo': False,
  'modeBarButtonsToRemove': ['lasso2d', 'select2d'],
}


def height_of(figure: Figure) -> dict[str, str]:
  """The style of the place of a figure: as high as that."""
  return {'height': f'{figure.layout.height}px'}


def page(max_networks: int, every: float) -> html.Main:
  """The page before anything is known of the folders.

  Args:
    max_networks: networks that stand side by side.
    every: seconds between two looks at them.
  """
  return html.Main(
    [
      dcc.Location(id='place', refresh=False),
      dcc.Interval(id='tick', interval=round(1000 * every)),
      dcc.Store(id='stamp'), dcc.Store(id='rows-stamp'),
      dcc.Store(id='row-stamp'),
      dcc.Store(id='stages'), dcc.Store(id='address'), dcc.Store(id='refocus'),
      html.H1('Trials of lstm_jax'),
      html.Section(id='state', className='sides', **labelled('The runs')),
      html.Section(
        [
          html.H2('Rows'),
          html.Div(
            id='rows', className='scroll', tabIndex=0, role='region',
            **labelled('Table of rows'),
          ),
        ],
        **labelled('Rows'),
      ),
      html.Section(
        [
          html.Div(id='row'),
          html.Div(
            dcc.Graph(id='learning', config=_GRAPH, responsive=True),
            id='learning-graph', role='img', style=NO_GRAPH,
            **labelled('Learning curves of the row, one line a trial'),
          ),
          html.P(id='learning-said', className='soft'),
          # What scrolls or opens stays when what is in it is another.
          html.Div(
            [
              html.Details(
                [
                  html.Summary(id=f'trials-name-{i}'),
                  html.Div(id=f'trials-{i}', className='scroll'),
                ],
                open=True, hidden=True, id=f'trials-of-{i}',
              )
              for i in range(max_networks)
            ],
            id='trials', className='sides',
          ),
          html.Div(
            [_confusion(i) for i in range(max_networks)],
            className='sides',
          ),
        ],
        id='of-row', hidden=True, **labelled('The chosen row'),
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
          html.Div([_side(i) for i in range(max_networks)], className='sides'),
          html.P(html.A('Link to what is shown', id='link', href='')),
        ],
        id='of-network', hidden=True, **labelled('Inside a network'),
      ),
    ]
  )  # fmt: skip


def _side(i):
  """The place of what is inside a network."""
  return html.Div(
    [
      html.H3('', id=f'inside-name-{i}'),
      html.P(FIRST if i == 0 else '', id=f'inside-said-{i}', role='status'),
      html.Div(
        dcc.Graph(id=f'inside-{i}', config=_GRAPH, responsive=True),
        id=f'inside-graph-{i}', role='img', style=NO_GRAPH,
        **{'aria-labelledby': f'inside-said-{i}'},
      ),
      html.Div(id=f'inside-numbers-{i}'),
    ],
    className='side',
  )  # fmt: skip


def _confusion(i):
  """The place of a confusion matrix."""
  return html.Details(
    [
      html.Summary(id=f'confusion-name-{i}'),
      html.P(id=f'confusion-said-{i}', className='soft'),
      html.Div(
        dcc.Graph(id=f'confusion-{i}', config=_GRAPH, responsive=True),
        id=f'confusion-graph-{i}', role='img', style=NO_GRAPH,
        className='matrix',
        **{'aria-labelledby': f'confusion-said-{i}'},
      ),
    ],
    open=True, hidden=True, id=f'confusion-of-{i}',
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
          html.Label('number ', htmlFor='seed'),
          dcc.Input(
            id='seed', type='number', min=0, step=1, value=0, debounce=True
          ),
        ]
      ),
    ],
    id='controls',
    className='sides',
  )


def marks(counts: Sequence[int]) -> Mapping[int, str]:
  """The marks of the slider through training, short enough for ten."""
  return {i: _short_number(number) for i, number in enumerate(counts)}


def _short_number(number):
  """A count in five letters: 352, 1.4k, 17k, 2.5M."""
  for size, letter in ((10**6, 'M'), (10**3, 'k')):
    if number >= size:
      return f'{number / size:.2g}{letter}'
  return str(number)


def labelled(words: str) -> dict[str, str]:
  """The keyword by which a component has a name for who does not see it."""
  return {'aria-label': words}
