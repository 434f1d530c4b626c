"""Figure of a reading: what each epoch of training made of a network."""

import math

from lstm_jax.lab.report import further_run
from lstm_jax.lab.report.figures.scales import TitledFigure, scale_y
from lstm_jax.lab.report.measures import ends
from lstm_jax.lab.report.readings import Reading
from lstm_jax.lab.report.style import COLOURS, GREY, INK

_PARTS = (
  ('train', 'training', COLOURS[0]),
  ('valid', 'validation', COLOURS[1]),
)
_TEST = COLOURS[2]
_MAX_POINTS = 200  # epochs of a line; of more every second, third, ... is drawn
_NAME_DISTANCE = (
  0.055  # of the height of a panel, between two names at its right
)


def learning_curves(reading: Reading) -> TitledFigure | None:
  """Accuracy and loss of every epoch, each seed thin and their mean thick.

  Lines across: what was published, and the levels of predictors without
  recurrence. The diamond is the test part after the last epoch.

  Returns:
    (caption, figure), None where no trial has a curve.
  """
  from matplotlib.figure import Figure

  metrics = [m for m in ('accuracy', 'loss') if _curves(reading, m)]
  if not metrics:
    return None
  figure = Figure((5 * len(metrics) + 0.5, 3.6), layout='constrained')
  for axes, metric in zip(
    figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True
  ):
    _panel(axes, reading, metric)
  _legend(figure, reading, metrics)
  step = _step(reading.setting.budget)
  caption = (
    f'{reading.setting.task}, {reading.setting.row}: learning curves of '
    f'{reading.trials} {"seed" if reading.trials == 1 else "seeds"}, thin, and '
    'the mean of those '
    'that are left at an epoch, thick.'
  )
  level_names = {key for level in reading.levels.values() for key in level}
  if level_names & {f'test_{m}' for m in metrics}:
    caption += ' Dotted: predictors without recurrence on the test part.'
  if reading.setting.figures:
    caption += ' Dashed: what was published.'
  return caption + f' One epoch in {step} is drawn.' * (step > 1), figure


def _panel(axes, reading, metric):
  scale = 100 if metric == 'accuracy' else 1
  budget = reading.setting.budget
  values = []
  for prefix, _, colour in _PARTS:
    curves = [
      [None if x is None else scale * x for x in curve]
      for curve in reading.curves.get(f'{prefix}_{metric}', ())
    ]
    for curve in curves:
      values += _draw_curve(
        axes, curve, budget, color=colour, linewidth=0.7, alpha=0.4
      )
    if len(curves) > 1:
      _draw_curve(axes, _mean(curves), budget, color=colour, linewidth=2.2)
  lines_across = []  # (height, name)
  measure = reading.measures.get(f'test_{metric}')
  if measure:
    mean = scale * measure.mean
    reach = [scale * end for end in ends(measure, f'test_{metric}')]
    axes.plot([budget] * 2, reach, color=_TEST, linewidth=1.6, zorder=4)
    axes.plot([budget], [mean], 'D', color=_TEST, markersize=6, zorder=5)
    values.append(mean)
  for key, name in (
    (f'test_{metric}', 'published'),
    (f'valid_{metric}', 'published, validation'),
  ):
    value = further_run.published_value(reading.setting.figures, key)
    if value is not None:
      lines_across.append((scale * value, name))
      axes.axhline(
        scale * value, color=INK, linestyle='--', linewidth=1.1, zorder=3
      )
  for name, level in reading.levels.items():
    if (height := level.get(f'test_{metric}')) is not None:
      lines_across.append((scale * height, name))
      axes.axhline(scale * height, color=GREY, linestyle=':', linewidth=1.4)
  scale_y(
    axes, f'test_{metric}', [*values, *(height for height, _ in lines_across)]
  )
  _name(axes, lines_across)
  axes.set_xlim(1 - 0.02 * budget, budget + 0.03 * budget)
  axes.xaxis.get_major_locator().set_params(integer=True)
  axes.set_xlabel('epoch')
  axes.set_title('accuracy (%)' if metric == 'accuracy' else metric, loc='left')
  axes.grid(alpha=0.18)


def _curves(reading, metric):
  """Tells whether there is a number to draw."""
  return any(
    x is not None
    for prefix, *_ in _PARTS
    for curve in reading.curves.get(f'{prefix}_{metric}', ())
    for x in curve
  )


def _draw_curve(axes, curve, budget, **style):
  """Draws a curve that may have gaps; returns its numbers."""
  step = _step(budget)
  epochs = [i for i in range(len(curve)) if (i + 1) % step == 0 or not i]
  y = [math.nan if curve[i] is None else curve[i] for i in epochs]
  # A line of one point is not seen.
  marker = '.' if len(curve) < 3 else None
  axes.plot([i + 1 for i in epochs], y, marker=marker, **style)
  return [value for value in y if not math.isnan(value)]


def _step(epochs):
  return -(-epochs // _MAX_POINTS)


def _mean(curves):
  """Mean at each epoch over the curves that have a number there."""
  means = []
  for i in range(max(map(len, curves))):
    values = [c[i] for c in curves if i < len(c) and c[i] is not None]
    means.append(math.fsum(values) / len(values) if values else None)
  return means


def _name(axes, lines_across):
  """Names at the right of lines across, none upon another."""
  place = axes.transData + axes.transAxes.inverted()
  at = lambda height: place.transform((axes.get_xlim()[0], height))[1]
  last = -math.inf
  for height, name in sorted(lines_across):
    # A level far outside of what was drawn has its name at the edge.
    last = max(min(max(at(height), 0), 1), last + _NAME_DISTANCE)
    axes.text(
      *(1.01, last, name),
      transform=axes.transAxes,
      va='center',
      fontsize=8,
    )


def _legend(figure, reading, metrics):
  from matplotlib.lines import Line2D

  handles = [
    Line2D([], [], color=colour, linewidth=2.2, label=name)
    for prefix, name, colour in _PARTS
    if any(reading.curves.get(f'{prefix}_{metric}', ()) for metric in metrics)
  ]
  if {f'test_{metric}' for metric in metrics} & reading.measures.keys():
    handles.append(
      Line2D([], [], color=_TEST, marker='D', label='test, mean with 95 %')
    )
  figure.legend(
    handles=handles, loc='outside upper center', ncols=3, frameon=False
  )
