"""Figures of a report: all trials of a row, and all rows at a glance."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lstm_jax.lab.report import verdicts
from lstm_jax.lab.report.cells import count
from lstm_jax.lab.report.figures.scales import TitledFigure
from lstm_jax.lab.report.rows import Row, heading
from lstm_jax.lab.report.style import COLOURS, GREY, INK, PAPER

if TYPE_CHECKING:
  from matplotlib.axis import XAxis, YAxis

_VERDICTS = {
  verdicts.REPRODUCED: (COLOURS[2], 'o'),
  verdicts.UNDER: (COLOURS[4], 'D'),
  verdicts.NOT: (COLOURS[1], 's'),
  verdicts.NO_VERDICT: (GREY, 'o'),
}
_MAX_LINES = 40  # lines of a figure
_MAX_DOTS = (
  1000  # of a line and kind; more than the eye, or a browser, can hold
)


def distribution(row: Row) -> TitledFigure | None:
  """Sequences to success of every trial, one line a reading.

  A dot is a solved trial, a hollow triangle one that was stopped without. The
  box spans the quartiles of all trials, unsolved ones beyond the last; its bar
  is the median. The dashed line is the published mean.

  Returns:
    (caption, figure), None where no trial has seen a sequence.
  """
  from matplotlib.figure import Figure

  readings = [r for r in row.readings if any((*r.sequences, *r.stopped))][
    :_MAX_LINES
  ]
  if not readings:
    return None
  names = [f'{r.letter}  {_wrap(r.name)}' for r in readings]
  high = 0.42 + 0.14 * max(name.count('\n') for name in names)
  figure = Figure((8, 1.2 + high * len(readings)), layout='constrained')
  axes = figure.add_subplot()
  axes.set_xscale('log')
  mean = verdicts.published_mean(row.figures)
  if mean:
    axes.axvline(mean, color=INK, linestyle='--', linewidth=1.2)
    axes.text(
      *(mean, 1.01, f'published mean {count(mean)}'),
      transform=axes.get_xaxis_transform(),
      ha='center',
      va='bottom',
      fontsize=9,
    )
  for i, r in enumerate(readings):
    colour = COLOURS[i % len(COLOURS)]
    _box(axes, i, r, colour)
    solved, stopped = map(_thinned, (r.sequences, r.stopped))
    aside = _aside(len(solved))
    axes.plot(
      *(solved, i + aside, 'o'),
      markersize=4,
      color=colour,
      alpha=0.75,
      markeredgewidth=0,
    )
    axes.plot(
      *(stopped, i + _aside(len(stopped)), '>'),
      markersize=5,
      color='none',
      markeredgecolor=colour,
    )
    text = f'{r.solved:,}/{r.trials:,}'
    axes.text(
      *(1.01, i, text),
      transform=axes.get_yaxis_transform(),
      va='center',
      fontsize=9,
    )
  axes.set_yticks(range(len(readings)), names, multialignment='right')
  axes.set_ylim(len(readings) - 0.4, -0.6)
  values = [v for r in readings for v in (*r.sequences, *r.stopped) if v > 0]
  log_ticks(axes.xaxis, values + ([mean] if mean else []))
  axes.grid(axis='x', alpha=0.18)
  axes.tick_params(axis='y', length=0)
  axes.spines['left'].set_visible(False)
  axes.set_xlabel('training sequences')
  num_more = len(row.readings) - len(readings)
  caption = (
    f'{heading(row)}: sequences to success, one dot a solved trial; hollow '
    'triangles were stopped without success. Boxes: quartiles and median of '
    'all trials. At the right: solved / all.'
    + f' Of more than {_MAX_DOTS:,} dots of a line so many are drawn, evenly '
    'by rank.' * any(map(_is_thinned, readings))
  ) + f' {num_more} more readings are in the table only.' * (num_more > 0)
  return caption, figure


def overview(rows: list[Row]) -> TitledFigure | None:
  """Our mean over the published one, a line a row.

  Returns:
    (caption, figure), None where no row has a ratio.
  """
  from matplotlib.figure import Figure
  from matplotlib.lines import Line2D

  rows = [row for row in rows if verdicts.published_mean(row.figures)]
  ratios = [r.verdict.ratio for row in rows for r in row.readings]
  ratios = [ratio for ratio in ratios if ratio]
  if not ratios:
    return None
  # Beyond this the whiskers of two or three trials would hide all others.
  top = 2 * max(4, *ratios, *(1 / ratio for ratio in ratios))
  figure = Figure((8, 1.4 + 0.3 * len(rows)), layout='constrained')
  axes = figure.add_subplot()
  axes.set_xscale('log')
  axes.axvline(1, color=INK, linestyle='--', linewidth=1.2)
  for i, row in enumerate(rows):
    for reading in row.readings:
      verdict = reading.verdict
      if not verdict.ratio:
        continue
      colour, marker = _VERDICTS[verdict.word]
      best = reading is row.best
      if best and verdict.reach is not None:
        ends = verdict.ratio / verdict.reach, verdict.ratio * verdict.reach
        axes.plot(ends, [i, i], color=colour, linewidth=2, zorder=3)
      axes.plot(
        *([verdict.ratio], [i]),
        marker=marker,
        markersize=8 if best else 5,
        color=colour if best else PAPER,
        markeredgecolor=colour,
        alpha=1 if best else 0.8,
        zorder=4 if best else 2,
      )
    best = row.best
    axes.text(
      *(1.01, i, f'{best.letter}  {best.solved:,}/{best.trials:,}'),
      transform=axes.get_yaxis_transform(),
      va='center',
      fontsize=9,
    )
  axes.set_yticks(range(len(rows)), [heading(row) for row in rows])
  axes.set_ylim(len(rows) - 0.4, -0.6)
  axes.set_xlim(1 / top, top)
  _ratio_ticks(axes, top)
  axes.grid(axis='x', alpha=0.18)
  axes.tick_params(axis='y', length=0)
  axes.spines['left'].set_visible(False)
  axes.set_xlabel('our mean / published mean')
  figure.legend(
    handles=[
      Line2D([], [], linestyle='none', label=word, color=c, marker=m)
      for word, (c, m) in list(_VERDICTS.items())[:3]
    ],
    loc='outside upper center',
    ncols=3,
    frameon=False,
  )
  return (
    'Our mean over the published one; the line reaches as far as chance would '
    'in 95 % of cases, so a reading fits where it crosses 1. Large: the best '
    'reading, named at the right with solved / all; small: the others. '
    'Readings that solved nothing have no mark.'
  ), figure


def _box(axes, i, reading, colour):
  """Quartiles and median; what is unsolved lies beyond the last trial."""
  from matplotlib.patches import Rectangle

  if reading.solved < 2:
    return
  waits = [*reading.sequences, *[math.inf] * (reading.trials - reading.solved)]
  low, middle, high = np.quantile(waits, (0.25, 0.5, 0.75), method='nearest')
  end = max(*reading.sequences, *reading.stopped, 0)
  ends = [min(value, end) for value in (low, middle, high)]
  if math.isinf(low):
    return
  axes.add_patch(
    Rectangle(
      (ends[0], i - 0.27),
      ends[2] - ends[0],
      0.54,
      facecolor=colour,
      alpha=0.18,
      linewidth=0,
    )
  )
  if math.isfinite(middle):
    axes.plot([middle] * 2, [i - 0.27, i + 0.27], color=colour, linewidth=2)


def _is_thinned(reading):
  return max(len(reading.sequences), len(reading.stopped)) > _MAX_DOTS


def _thinned(values):
  """At most `_MAX_DOTS` of some ascending values, the first and last too."""
  if len(values) <= _MAX_DOTS:
    return values
  at = np.linspace(0, len(values) - 1, _MAX_DOTS).round().astype(int)
  return [values[i] for i in at]


def _aside(number):
  """Heights of dots around their line, the same for the same number."""
  return 0.2 * np.sin(2.4 * np.arange(number))


def _wrap(text):
  return '\n'.join(textwrap.wrap(text, 30, max_lines=3, placeholder=' …'))


def log_ticks(
  axis: 'XAxis | YAxis', values: Sequence[float], exact_values: bool = False
) -> None:
  """Limits and few round ticks of a logarithmic axis.

  Args:
    axis: `axes.xaxis` or `axes.yaxis`.
    values: what must lie inside, above 0.
    exact_values: whether the values themselves are the ticks.
  """
  low, high = min(values), max(values)
  pad = max((high / low) ** 0.06, 1.15)
  low, high = low / pad, high * pad
  set_limits = getattr(axis.axes, f'set_{axis.axis_name}lim')
  set_limits(low, high)
  ticks = list(values)
  for steps in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
    if exact_values:
      break
    ticks = _round_numbers(low, high, steps)
    if len(ticks) <= 8:
      break
  if len(ticks) < 3 and not exact_values:
    from matplotlib.ticker import MaxNLocator

    even = MaxNLocator(5, steps=(1, 2, 5, 10)).tick_values(low, high)
    ticks = [tick for tick in even if low <= tick <= high]
  axis.set_ticks(ticks, [f'{tick:,.0f}' for tick in ticks])
  axis.axes.minorticks_off()


def _round_numbers(low, high, steps):
  powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
  numbers = (step * 10.0**power for power in powers for step in steps)
  return [number for number in numbers if low <= number <= high]


def _ratio_ticks(axes, top):
  for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1,)):
    numbers = _round_numbers(1, top, steps)
    if len(numbers) <= 5:
      break
  ticks = [*(1 / tick for tick in numbers[:0:-1]), *numbers]
  names = [f'1/{tick:g}' for tick in numbers[:0:-1]]
  axes.set_xticks(ticks, [*names, *(f'{tick:g}' for tick in numbers)])
  axes.minorticks_off()
