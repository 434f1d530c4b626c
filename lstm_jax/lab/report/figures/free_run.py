"""Figure of a task: trained networks that go on with a series by themselves.

Of what a data set keeps of a trained network (`Dataset.after`) it reads
`points`, the series, `clean`, the same without noise, `x` of its points,
`fitted`, how many of them were trained on, and `free_run`, what the network
gave when it was fed its own outputs, from index `start` of the series on.
"""

import math
from collections.abc import Sequence

from lstm_jax.lab.report.figures.scales import TitledFigure
from lstm_jax.lab.report.readings import Reading
from lstm_jax.lab.report.style import COLOURS, GREY, INK
from lstm_jax.lab.report.summaries import parts

_MAX_PANELS = 8  # panels of a figure


def free_runs(readings: list[Reading]) -> list[TitledFigure]:
  """The series and what each network made of its continuation, a panel a row.

  Args:
    readings: of one task.

  Returns:
    `(caption, figure)` pairs, of at most eight rows each; none where no net ran
    free.
  """
  readings_with_runs = [reading for reading in readings if _runs(reading)]
  cells = list(parts(readings_with_runs, lambda reading: reading.setting.cell))
  return [
    _figure(readings_with_runs[i : i + _MAX_PANELS], cells)
    for i in range(0, len(readings_with_runs), _MAX_PANELS)
  ]


def _figure(readings, cells):
  from matplotlib.figure import Figure
  from matplotlib.lines import Line2D

  figure = Figure((9, 0.9 + 1.7 * len(readings)), layout='constrained')
  axes = figure.subplots(len(readings), 1, squeeze=False)[:, 0]
  for panel, reading in zip(axes, readings, strict=True):
    colour = COLOURS[cells.index(reading.setting.cell) % len(COLOURS)]
    _panel(panel, reading, colour)
  axes[-1].set_xlabel('x')
  cells_of_panels = dict.fromkeys(reading.setting.cell for reading in readings)
  handles = [
    Line2D([], [], color=INK, marker='.', linestyle='none', label='data'),
    Line2D([], [], color=GREY, linewidth=1.2, label='without noise'),
  ]
  for cell in cells_of_panels:
    colour = COLOURS[cells.index(cell) % len(COLOURS)]
    handles.append(Line2D([], [], color=colour, linewidth=2, label=cell))
  figure.legend(
    handles=handles, loc='outside upper center', ncols=5, frameon=False
  )
  return (
    f'{readings[0].setting.task}: nets that run on alone, each output the next '
    'input. Thick: the first seed, beside its data; thin: the others. Shaded: '
    'what was trained on. A run that leaves the panel is cut off there.'
  ), figure


def _panel(axes, reading, colour):
  first, *other_runs = _runs(reading)
  x = _places(first)
  fitted = first.get('fitted')
  if fitted:
    axes.axvspan(x(0), x(fitted - 1), color=GREY, alpha=0.14, linewidth=0)
  for name, style in (
    ('clean', {'color': GREY, 'linewidth': 1.2}),
    ('points', {'color': INK, 'marker': '.', 'linestyle': 'none'}),
  ):
    values = first.get(name) or ()
    size = 5 if len(values) < 100 else 2.5
    axes.plot(*_curve(values, 0, x), markersize=size, **style)
  for i, run in enumerate([*other_runs, first]):
    is_first = i == len(other_runs)
    axes.plot(
      *_curve(run['free_run'], run.get('start') or 0, x),
      color=colour,
      linewidth=2 if is_first else 0.7,
      alpha=1 if is_first else 0.45,
    )
  # A run that explodes would flatten the data.
  data = [y for y in (first.get('points') or ()) if y is not None]
  if data:
    reach = max(max(data) - min(data), 1e-6)
    axes.set_ylim(min(data) - 0.5 * reach, max(data) + 0.5 * reach)
  axes.set_title(reading.name, loc='left')
  axes.grid(alpha=0.18)


def _runs(reading):
  return [run for run in reading.after if run.get('free_run')]


def _curve(values, start, x):
  """(places, values), a gap where one is missing."""
  places = [x(start + i) for i in range(len(values))]
  return places, [math.nan if y is None else y for y in values]


def _places(run):
  """Index of a point -> its x; beyond the last, in steps of the same width."""
  known: Sequence[float] = run.get('x') or ()
  if len(known) < 2:
    return float

  def x(index):
    if index < len(known):
      return known[index]
    step = (known[-1] - known[0]) / (len(known) - 1)
    return known[-1] + step * (index - len(known) + 1)

  return x
