"""Figure of a task: accuracy or loss against the window or the length."""

import dataclasses

import numpy as np

from lstm_jax.lab.report import further_run, naming
from lstm_jax.lab.report.figures.scales import LineStyle, TitledFigure, scale_y
from lstm_jax.lab.report.figures.scaling import style_of
from lstm_jax.lab.report.figures.strips import log_ticks
from lstm_jax.lab.report.measures import METRIC_WORDS, ends, is_share
from lstm_jax.lab.report.readings import Reading
from lstm_jax.lab.report.style import GREY, INK
from lstm_jax.lab.report.summaries import parts

AXES = ('window', 'length')
_MAX_LINES = 12  # lines of a figure


def against(readings: list[Reading], name: str) -> TitledFigure | None:
  """Draws what seeds reach against the window or the length, a line a network.

  Settings that differ in nothing else are joined.

  Args:
    readings: of one task.
    name: of `AXES`.

  Returns:
    (caption, figure), None where no two settings differ in `name` alone.
  """
  from matplotlib.figure import Figure
  from matplotlib.lines import Line2D

  metric = next(
    (m for m in METRIC_WORDS if any(m in x.measures for x in readings)), ''
  )
  series = _series(readings, name, metric)
  if not series:
    return None
  scale = 100 if is_share(metric) else 1
  figure = Figure((8, 4.2), layout='constrained')
  axes = figure.add_subplot()
  axes.set_xscale('log')
  handles = []
  for i, (label, readings_of_line) in enumerate(series):
    style = style_of(i)
    # A little aside, or intervals would hide one another.
    aside = 1.012 ** (i - (len(series) - 1) / 2)
    x = [aside * getattr(reading.setting, name) for reading in readings_of_line]
    means = [reading.measures[metric] for reading in readings_of_line]
    axes.plot(x, [scale * reading.mean for reading in means], **style)
    for at, one in zip(x, means, strict=True):
      reach = [scale * end for end in ends(one, metric)]
      axes.plot([at] * 2, reach, color=style['color'])
    for at, reading in zip(x, readings_of_line, strict=True):
      value = further_run.published_value(reading.setting.figures, metric)
      if value is not None:
        star: LineStyle = {'color': style['color'], 'markeredgecolor': INK}
        axes.plot([at], [scale * value], '*', markersize=11, zorder=5, **star)
    handles.append(Line2D([], [], label=label, **style))
  lines = [
    reading for _, readings_of_line in series for reading in readings_of_line
  ]
  if any(
    further_run.published_value(reading.setting.figures, metric) is not None
    for reading in lines
  ):
    star = {'color': INK, 'marker': '*', 'markersize': 11, 'linestyle': 'none'}
    handles.append(Line2D([], [], label='published', **star))
  best = _best_levels(lines, name)
  if best:
    style = {'color': GREY, 'linestyle': ':', 'marker': '_', 'linewidth': 1.6}
    axes.plot(list(best), [scale * value for value in best.values()], **style)
    label = 'best predictor without recurrence'
    handles.append(Line2D([], [], label=label, **style))
  log_ticks(
    axes.xaxis,
    sorted({getattr(reading.setting, name) for reading in lines}),
    exact_values=True,
  )
  heights = [
    y for line in axes.lines for y in np.asarray(line.get_ydata()).tolist()
  ]
  scale_y(axes, metric, heights)
  axes.grid(alpha=0.18)
  axes.set_xlabel(name)
  words = METRIC_WORDS[metric] + ' (%)' * is_share(metric)
  axes.set_ylabel(words)
  figure.legend(
    handles=handles, loc='outside lower center', ncols=2, frameon=False
  )
  return (
    f'{readings[0].setting.task}: {words} after the last epoch against the '
    f'{name}, mean of the seeds with 95 % t-intervals. Settings that differ in '
    f'nothing else are joined.'
  ), figure


def _series(readings, name, metric):
  """(label, readings by rising x) of the settings that differ in x alone."""
  place = lambda reading: getattr(reading.setting, name)
  with_axis = [
    reading
    for reading in readings
    if isinstance(place(reading), int | float)
    and place(reading) > 0
    and metric in reading.measures
  ]
  without = lambda reading: _without(reading.setting, name)
  groups = [
    sorted(group, key=place)
    for group in parts(with_axis, lambda x: naming.alike(without(x))).values()
    if len(group) > 1
  ][:_MAX_LINES]
  settings = [without(group[0]) for group in groups]
  labels = [_label(group, name) for group in groups]
  lines = []
  for label, setting, group in zip(labels, settings, groups, strict=True):
    alike = [s for l, s in zip(labels, settings, strict=True) if l == label]
    words = naming.differences(setting, alike)
    lines.append((f'{label} ({words})' if words else label, group))
  return lines


def _without(setting, name):
  """A setting without its length, or without any window."""
  if name == 'length':
    return dataclasses.replace(setting, length=None)
  without_name = lambda pairs: tuple(pair for pair in pairs if pair[0] != name)
  return dataclasses.replace(
    setting,
    task_options=without_name(setting.task_options),
    learner_options=without_name(setting.learner_options),
  )


def _label(group, name):
  """Names the rows of a line without its axis, or by their cell."""
  labels = {
    ' '.join(
      (
        reading.setting.row_name,
        *(w for w in reading.setting.axes if not w.startswith(f'{name}=')),
      )
    )
    for reading in group
  }
  return labels.pop() if len(labels) == 1 else group[0].setting.cell


def _best_levels(readings, name):
  """x -> the best level that a reading knows there, by rising x."""
  by_x: dict[float, float] = {}
  for reading in readings:
    if reading.level:
      by_x.setdefault(getattr(reading.setting, name), reading.level.value)
  return dict(sorted(by_x.items()))
