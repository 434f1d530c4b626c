"""Figure of a report: sequences to success against the lag, or an option."""

import math

from lstm_jax.lab.report import verdicts
from lstm_jax.lab.report.figures.scales import LineStyle, TitledFigure
from lstm_jax.lab.report.figures.strips import log_ticks
from lstm_jax.lab.report.rows import Row
from lstm_jax.lab.report.style import COLOURS, INK, PAPER
from lstm_jax.lab.report.summaries import parts, shown_text

_MARKERS = 'osD^vPX<'
_MEAN = 'sequences_to_success'
_LENGTH = 'length'


def draw_scaling(rows: list[Row]) -> list[TitledFigure]:
  """The growth of a published table with its lengths, ours beside the paper's.

  Rows of one table that differ in `length` make a figure of two panels at most:
  means against the length, and, where three rows or more share a length and
  differ in one number of the task, against that number.

  A line joins the rows of one reading whose other task options agree; an option
  that equals the length in one row and in the next counts as agreeing.

  Args:
    rows: of one table, each with published figures.

  Returns:
    `(caption, figure)` pairs, one for each task, cell and learner with two
    lengths or more.
  """
  figures = []
  for (task, *_), rows_of_method in parts(rows, _method).items():
    rows_of_method = [
      row
      for row in rows_of_method
      if row.length and verdicts.published_mean(row.figures)
    ]
    if len({row.length for row in rows_of_method}) > 1:
      figures.append(_figure(task, rows_of_method))
  return figures


def _figure(task, rows):
  from matplotlib.figure import Figure
  from matplotlib.lines import Line2D

  varying = _varying(rows)
  option, aside = _other_axis(rows, varying)
  first = [
    r
    for r in rows
    if r not in aside or not _line_label(_other_values(r, varying))
  ]
  panels = [(_LENGTH, first)] + [(option, aside)] * (option is not None)
  figure = Figure((4.6 * len(panels) + 0.8, 4.2), layout='constrained')
  names = list(
    parts([reading for row in rows for reading in row.readings], _name)
  )
  for axes, (x_name, rows_of_panel) in zip(
    figure.subplots(1, len(panels), sharey=True, squeeze=False)[0],
    panels,
    strict=True,
  ):
    _panel(axes, x_name, rows_of_panel, names, varying)
  axes = figure.axes[0]
  axes.set_ylabel('training sequences to success (mean)')
  log_ticks(axes.yaxis, _heights(rows))
  low, high = axes.get_ylim()
  axes.set_ylim(low, high * 1.3)  # room for the marks at the top
  if option is not None:
    lag = shown_text(aside[0].length)
    figure.axes[1].set_title(f'T = {lag}', loc='left')
  handles = [
    Line2D([], [], color=INK, marker='*', markersize=11, linestyle='--')
  ]
  handles += [Line2D([], [], **style_of(i)) for i in range(len(names))]
  figure.legend(
    handles,
    ['published', *names],
    loc='outside lower center',
    ncols=1 if max(map(len, names)) > 34 else 2,
    frameon=False,
  )
  caption = (
    f'{rows[0].source}, {task}: mean sequences to success of the solved '
    'trials with 95 % bootstrap intervals, beside the published means. Hollow: '
    'not all trials solved the task, the mean of all would be higher. A mark ✗ '
    'at the top: no trial did.'
  )
  return caption, figure


def _panel(axes, x_name, rows, names, varying):
  """Means against the length or against an option of the task."""
  axes.set_xscale('log')
  axes.set_yscale('log')
  at = lambda row: _value(row, x_name)
  line_names = [n for n in varying if n != x_name] if x_name == _LENGTH else []
  means = [
    (
      at(row),
      verdicts.published_mean(row.figures),
      _other_values(row, line_names),
    )
    for row in rows
  ]
  for _, points in parts(means, lambda point: point[2]).items():
    points = sorted(points)
    axes.plot(
      [x for x, *_ in points],
      [y for _, y, _ in points],
      color=INK,
      marker='*',
      markersize=11,
      linestyle='--',
      linewidth=1,
      zorder=5,
    )
    if line_names and (label := _line_label(points[-1][2])):
      axes.annotate(
        label,
        points[-1][:2],
        textcoords='offset points',
        xytext=(0, 9),
        ha='center',
        fontsize=8,
      )
  for i, name in enumerate(names):
    style = style_of(i)
    marks_of_line = [
      (at(row), reading, _other_values(row, line_names))
      for row in rows
      for reading in row.readings
      if reading.name == name
    ]
    for _, marks in parts(marks_of_line, lambda mark: mark[2]).items():
      marks = sorted(marks, key=lambda mark: mark[0])
      solved_marks = [(x, r) for x, r, _ in marks if r.solved]
      axes.plot(
        [x for x, _ in solved_marks],
        [r.mean(_MEAN) for _, r in solved_marks],
        **style,
      )
      for x, r in solved_marks:
        if r.mean_interval:
          axes.plot([x, x], r.mean_interval, color=style['color'])
        if r.solved < r.trials:
          hollow = {**style, 'markerfacecolor': PAPER, 'zorder': 4}
          axes.plot([x], [r.mean(_MEAN)], **hollow)
      for x, r, _ in marks:
        if r.trials and not r.solved:
          axes.plot(
            *([x], [1 - 0.035 * i]),
            transform=axes.get_xaxis_transform(),
            marker='x',
            color=style['color'],
            clip_on=False,
          )
  log_ticks(axes.xaxis, sorted({at(row) for row in rows}), exact_values=True)
  axes.grid(alpha=0.18)
  axes.set_xlabel('length T (steps)' if x_name == _LENGTH else x_name)


def _method(row):
  setting = row.readings[0].setting
  return row.task, setting.cell, setting.learner


def _heights(rows):
  """Everything that is drawn upwards."""
  readings = [reading for row in rows for reading in row.readings]
  heights = [verdicts.published_mean(row.figures) for row in rows]
  heights += [r.mean(_MEAN) for r in readings if r.solved]
  return heights + [end for r in readings for end in r.mean_interval or ()]


def _name(reading):
  return reading.name


def style_of(i: int) -> LineStyle:
  """The style of the i-th line of a figure."""
  return {
    'color': COLOURS[i % len(COLOURS)],
    'marker': _MARKERS[i % len(_MARKERS)],
    'linewidth': 1.6,
    'markersize': 6,
  }


def _options(row):
  """Numbers among the task's options, those of the first reading."""
  return {
    name: value
    for name, value in row.readings[0].setting.task_options
    if isinstance(value, int | float) and not isinstance(value, bool)
  }


def _value(row, name):
  return row.length if name == _LENGTH else _options(row).get(name)


def _varying(rows):
  """Numbers of the task that tell rows of a table apart."""
  options_of_rows = [_options(row) for row in rows]
  names = dict.fromkeys(name for options in options_of_rows for name in options)
  return [
    n for n in names if len({options.get(n) for options in options_of_rows}) > 1
  ]


def _other_values(row, names):
  """Finds what else tells a row apart; equal to the length is no difference."""
  options = _options(row)
  return tuple(
    (name, _LENGTH if options.get(name) == row.length else options.get(name))
    for name in names
  )


def _line_label(values):
  words = (
    f'{n} {shown_text(value)}' for n, value in values if value != _LENGTH
  )
  return ', '.join(words)


def _other_axis(rows, varying):
  """(option, rows) of the longest list that differs in one option alone."""
  best: tuple[str | None, list[Row]] = (None, [])
  for rows_of_length in parts(rows, lambda row: row.length).values():
    names = [
      n
      for n in varying
      if len({_options(r).get(n) for r in rows_of_length}) > 1
    ]
    values = [
      _options(row).get(name) for name in names for row in rows_of_length
    ]
    if len(names) == 1 and len(rows_of_length) > max(2, len(best[1])):
      if all(value and math.isfinite(value) and value > 0 for value in values):
        best = (names[0], rows_of_length)
  return best
