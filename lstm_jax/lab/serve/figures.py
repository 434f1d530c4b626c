"""Figures of plotly: the inside of a network, and the style of all.

They need nothing but the data they are given, so that a notebook and a site
show the pictures of the page.
"""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lstm_jax.lab.report.style import COLOURS
from lstm_jax.lab.serve.inside import Inside

INK = '#767f8a'  # to be read on light and dark; a page gives its own
_GRID = 'rgba(128,134,145,0.25)'
DASHES = ('solid', 'dash', 'dot', 'dashdot')
_TITLES = {
  's_c': 'cell states', 'y_c': 'cell outputs', 'h': 'hidden units',
  'c': 'cell states',
}  # fmt: skip
_SYMBOLS_FROM = 4  # one-hot inputs of so many lines are drawn as symbols
_MOST_LINES = 8  # outputs beyond are a heat map
_MOST_UNITS = 12  # lines of a panel beyond are a heat map
_LINE_PANEL, _ERROR_PANEL = 95, 120  # pixels


def network(inside: Inside, step: int | None = None) -> go.Figure:
  """The inside of a network over one sequence, panel under panel.

  Inputs, gates, fields of the carry, outputs with their targets as rings, and
  the size of the error that flows back, on a logarithmic axis.

  Args:
    inside: of `inside.follower`.
    step: where a line says "here", from 1; None: nowhere.
  """
  panels = _panels(inside)
  heights = [_ERROR_PANEL if log else _LINE_PANEL for *_, log in panels]
  gap = 26
  total_height = sum(heights) + gap * (len(panels) - 1)
  figure = make_subplots(
    len(panels),
    1,
    shared_xaxes=True,
    vertical_spacing=gap / total_height if len(panels) > 1 else 0,
    row_heights=[height / sum(heights) for height in heights],
    subplot_titles=[title for title, *_ in panels],
  )
  for i, (_, traces, is_unit, is_log) in enumerate(panels, 1):
    for figure_trace in traces:
      figure.add_trace(figure_trace, row=i, col=1)
    if is_unit:
      figure.update_yaxes(range=[-0.08, 1.08], tickvals=[0, 1], row=i, col=1)
    if is_log:
      figure.update_yaxes(row=i, col=1, **_log_axis(traces))
  # Titles at the left, where the eye begins.
  figure.update_annotations(
    x=0, xanchor='left', font={'size': 12}, yshift=-2, align='left'
  )
  steps = len(inside.trace['mask'])
  figure.update_xaxes(range=[0.5, steps + 0.5])
  figure.update_xaxes(title_text='step', row=len(panels), col=1)
  figure.update_layout(shapes=cursor(step))
  return styled(figure, total_height + 70)


def cursor(step: int | None) -> list[dict[str, object]]:
  """The shapes that say "here" in `network`; none without a step."""
  if step is None:
    return []
  return [
    {
      'type': 'line', 'xref': 'x', 'yref': 'paper', 'x0': step,
      'x1': step, 'y0': 0, 'y1': 1,
      'line': {'color': COLOURS[1], 'width': 1.5},
    }
  ]  # fmt: skip


def _log_axis(traces):
  """An axis of whole powers of ten around what is drawn, two at least."""
  logs = np.log10(
    np.concatenate(
      [np.asarray(figure_trace.y, float) for figure_trace in traces]
    )
  )
  low, high = np.floor(np.nanmin(logs)), np.ceil(np.nanmax(logs))
  if high - low < 2:
    low, high = low - 1, low + 1
  return {
    'type': 'log', 'exponentformat': 'power', 'range': [low, high],
    'dtick': max(1, round((high - low) / 4)),
  }  # fmt: skip


def _panels(inside):
  """(title, traces, whether from 0 to 1, whether logarithmic), from the top."""
  trace = inside.trace
  panels = [
    ('inputs', _input_traces(np.asarray(trace['inputs'])), False, False)
  ]
  for kind, values in trace['gates'].items():
    values = np.asarray(values)
    is_map = values.shape[1] > _MOST_UNITS
    panels.append(
      (f'{kind} gates', _units(values, 'gate', (0, 1)), not is_map, False)
    )
  for field, values in trace['carry'].items():
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] and not field.endswith('y_gates'):
      title = _title(field)
      most = float(np.nanmax(np.abs(values))) or 1.0
      traces = _units(values, field, (-most, most))
      panels.append((title, traces, False, False))
  panels.append(('outputs, targets as rings', _outputs(trace), False, False))
  if inside.errors:
    sizes = _error_sizes(inside.errors)
    title = 'error that flows back from the last step, by its size'
    if sizes:
      panels.append((title, sizes, False, True))
  return panels


def _title(field):
  """Names a field of the carry; of several layers, in which it is."""
  layer, sep, name = field.rpartition(': ')
  return layer + sep + _TITLES.get(name, name)


def _input_traces(inputs):
  one_hot = np.isin(inputs, (0, 1)).all() and (inputs.sum(1) <= 1).all()
  if inputs.shape[1] < _SYMBOLS_FROM or not one_hot:
    return _lines(inputs, 'input')
  steps = np.flatnonzero(inputs.any(1))
  symbols = inputs[steps].argmax(1) + 1
  return [
    go.Scatter(
      x=steps + 1,
      y=symbols,
      mode='markers',
      marker={'symbol': 'square', 'size': 6, 'color': COLOURS[0]},
      hovertemplate='step %{x}: symbol %{y}<extra></extra>',
      showlegend=False,
    )
  ]


def _units(values, noun, limits):
  """A line a unit, or a heat map where these are too many to be followed."""
  if values.shape[1] <= _MOST_UNITS:
    return _lines(values, noun)
  low, high = limits
  return [
    go.Heatmap(
      x=np.arange(1, 1 + len(values)), y=np.arange(1, 1 + values.shape[1]),
      z=np.float32(np.nan_to_num(values.T)), zmin=low, zmax=high,
      colorscale='Cividis' if low == 0 else 'PuOr', showscale=False,
      hovertemplate=(
        f'{noun} %{{y}}, step %{{x}}: %{{z:.4g}}<extra></extra>'
      ),
    )
  ]  # fmt: skip


def _lines(values, noun):
  """A line a unit; the colours come round with other dashes."""
  return [
    _line(values[:, i], i, f'{noun} {i + 1}') for i in range(values.shape[1])
  ]


def _line(values, i, name):
  return go.Scatter(
    x=np.arange(1, len(values) + 1),
    y=_as_list(values),
    mode='lines' if len(values) > 1 else 'markers',
    line={
      'color': COLOURS[i % len(COLOURS)],
      'dash': DASHES[i // len(COLOURS) % len(DASHES)],
      'width': 1.6,
    },
    name=name,
    hovertemplate=f'{name}, step %{{x}}: %{{y:.4g}}<extra></extra>',
    showlegend=False,
  )


def _outputs(trace):
  outputs, targets = np.asarray(trace['outputs']), np.asarray(trace['targets'])
  steps = np.flatnonzero(np.asarray(trace['mask']) > 0)
  if outputs.shape[1] > _MOST_LINES:
    right = [
      go.Scatter(
        x=steps + 1, y=targets[steps].argmax(1) + 1, mode='markers',
        marker={'symbol': 'circle-open', 'size': 9, 'color': COLOURS[1]},
        hovertemplate='step %{x}: target %{y}<extra></extra>', showlegend=False,
      )
    ]  # fmt: skip
    return [
      go.Heatmap(
        x=np.arange(1, 1 + len(outputs)), y=np.arange(1, 1 + outputs.shape[1]),
        z=np.float32(np.nan_to_num(outputs.T)), colorscale='Cividis',
        showscale=False,
        hovertemplate='step %{x}, output %{y}: %{z:.3f}<extra></extra>',
      ),
      *right,
    ]  # fmt: skip
  names = trace.get('names', {}).get('outputs', [])
  if len(names) != outputs.shape[1]:
    names = [f'output {i + 1}' for i in range(outputs.shape[1])]
  traces = [_line(outputs[:, i], i, name) for i, name in enumerate(names)]
  for i in range(outputs.shape[1]):
    traces.append(
      go.Scatter(
        x=steps + 1, y=_as_list(targets[steps, i]), mode='markers',
        marker={
          'symbol': 'circle-open', 'size': 8, 'line': {'width': 2},
          'color': COLOURS[i % len(COLOURS)],
        },
        name=f'target {i + 1}',
        hovertemplate=f'target {i + 1}, step %{{x}}: %{{y:.4g}}<extra></extra>',
        showlegend=False,
      )
    )  # fmt: skip
  return traces


def _error_sizes(errors: Mapping[str, np.ndarray]):
  """A line a field, its Euclidean norm; none for fields of zeros."""
  traces = []
  for i, (field, values) in enumerate(errors.items()):
    size = np.sqrt(np.sum(np.square(values), axis=1))
    size = np.where(size > 0, size, np.nan)
    if np.isfinite(size).any():
      line = _line(size, i, _title(field))
      traces.append(line.update(showlegend=True))
  return traces


def _as_list(values):
  """Numbers of three bytes' worth of digits, None where there is none."""
  values = np.asarray(values, np.float64)
  finite = np.isfinite(values)
  if finite.all():
    return np.float32(values)
  return [x if ok else None for x, ok in zip(values, finite, strict=True)]


def styled(figure: go.Figure, height: int, legend: bool = False) -> go.Figure:
  """The figure in the style of the page, of a height in pixels."""
  figure.update_layout(
    template='none',
    height=height,
    margin={'l': 58, 'r': 12, 't': 54 if legend else 28, 'b': 44},
    paper_bgcolor='rgba(0,0,0,0)',
    plot_bgcolor='rgba(0,0,0,0)',
    font={'color': INK, 'size': 12, 'family': 'system-ui, sans-serif'},
    hovermode='closest',
    showlegend=True,
    legend={
      'orientation': 'h',
      'x': 0,
      **(
        {'y': 1, 'yref': 'container', 'yanchor': 'top'}
        if legend
        else {'y': -0.09}
      ),
    },
    uirevision='same',
  )
  axis = {
    'gridcolor': _GRID, 'linecolor': _GRID, 'zerolinecolor': _GRID,
    'automargin': True,
  }  # fmt: skip
  figure.update_xaxes(**axis)
  figure.update_yaxes(**axis)
  return figure
