"""The figure of learning curves, with plotly."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lstm_jax.lab.report.style import COLOURS
from lstm_jax.lab.serve import figures
from lstm_jax.lab.serve.board import Curve

# How a trial ended -> the mark at the end of its line.
_MARKS = {
  'solved': 'circle', 'under way': 'circle-open', 'budget': 'x',
  'given_up': 'x-thin-open', 'diverged': 'diamond-open', 'failed': 'diamond',
}  # fmt: skip
# The same to be read.
_SIGNS = {
  'solved': '● solved', 'under way': '○ under way', 'budget': '✕ budget spent',
  'given_up': '× given up', 'diverged': '◇ diverged', 'failed': '◆ failed',
}  # fmt: skip


def figure(curves: Sequence[Curve], names: Sequence[str]) -> go.Figure:
  """Learning curves of a row: how much is right above, the error below.

  Args:
    curves: of `board.curves`, of one row or several side by side.
    names: of these; of several each has a colour, of one each seed has.
  """
  drawn = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.08)
  legend: set[str] = set()
  for curve in curves:
    several = len(names) > 1
    colour = curve.side if several else curve.seed
    who = names[curve.side] if several else f'seed {curve.seed}'
    for name, values in curve.curves.items():
      panel = 1 if _is_share(name) else 2
      held_out = name.startswith(('valid', 'test'))
      scale = 100 if panel == 1 else 1
      y = [None if v is None else scale * v for v in values]
      dash = (
        'dash' if held_out else figures.DASHES[(curve.seed // len(COLOURS)) % 4]
      )
      drawn.add_scatter(
        x=list(curve.x)[: len(y)],
        y=y,
        mode='lines+markers',
        line={
          'color': COLOURS[colour % len(COLOURS)],
          'width': 1.8,
          'dash': dash,
        },
        marker={
          'symbol': _MARKS.get(curve.status, 'circle-open'),
          'size': [0] * (len(y) - 1) + [9],
        },
        name=who,
        legendgroup=who,
        showlegend=who not in legend,
        hovertemplate=(
          f'{who}, seed {curve.seed}, {curve.status}<br>{name} %{{y:.4g}}'
          '<br>%{x:,}<extra></extra>'
        ),
        row=panel,
        col=1,
      )
      legend.add(who)
  counts_sequences = any(curve.unit == 'sequences' for curve in curves)
  drawn.update_yaxes(title_text='right (%)', range=[-3, 103], row=1, col=1)
  drawn.update_yaxes(title_text='error', rangemode='tozero', row=2, col=1)
  unit = 'training sequences' if counts_sequences else 'epoch'
  kind = 'log' if counts_sequences else 'linear'
  drawn.update_xaxes(type=kind)
  drawn.update_xaxes(title_text=unit, row=2, col=1)
  return figures.styled(drawn, 430, legend=True)


def key(curves: Sequence[Curve]) -> str:
  """Words on the lines and marks of `figure`, on those that are drawn."""
  signs = {_SIGNS.get(curve.status, '○'): None for curve in curves}
  has_held_out = any(
    name.startswith(('valid', 'test'))
    for curve in curves
    for name in curve.curves
  )
  dashes = 'Dashed: data held out. ' if has_held_out else ''
  return f'{dashes}At the end of a line: {", ".join(signs)}.'


def _is_share(name):
  return name.endswith(('right', 'accuracy'))
