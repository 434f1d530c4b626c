"""Figure: the error that flows back, against the lag."""

import sys

import numpy as np

from experiments import figures
from experiments.report.style import COLOURS

_LINES = {'before': '--', 'after': '-'}


def pictures(found):
  """The figure as files.

  Args:
    found: name -> `vanishing_nets.Net`.

  Returns:
    File name -> bytes; {} where matplotlib is missing (a line on stderr says
    so).
  """
  try:
    import matplotlib
  except ImportError:
    print('No figure: matplotlib is not installed.', file=sys.stderr)
    return {}
  style = {**matplotlib.rcParamsDefault, **figures.STYLE}
  with matplotlib.rc_context(style):
    return figures.as_files(draw(found), 'vanishing')


def draw(found):
  """Factors over lags, an axes a net: dashed before, solid after training.

  A band is the middle half of the seeds. What is too small for a number ends a
  line; the bound is grey and leaves the axes where it is large.

  Args:
    found: name -> `vanishing_nets.Net`, at least one.

  Returns:
    A matplotlib `Figure`.
  """
  from matplotlib.figure import Figure

  figure = Figure(figsize=(max(8, 5.5 * len(found)), 5.5), layout='constrained')
  line_of_axes = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
  drawn = []
  for (name, net), axes in zip(found.items(), line_of_axes, strict=True):
    colours = dict.fromkeys(what for what, _ in net.curves if what != 'bound')
    colours = dict(zip(colours, COLOURS, strict=False))
    # Curves that lie on one another are seen as wide, less wide and thin.
    widths = dict(
      zip(colours, (5, 3, 1.2) if len(colours) > 1 else (2,), strict=False)
    )
    for (what, when), curve in net.curves.items():
      lags = np.arange(len(curve.mean))
      colour = colours.get(what, '#8a8f98')
      mean, low, high = (np.where(np.isfinite(y), y, np.nan) for y in curve)
      label = f'{what}, {when}: {10 ** curve.mean[-1]:.3g}'
      width = widths.get(what, 1.5)
      axes.plot(lags, mean, _LINES[when], color=colour, lw=width, label=label)
      if what in colours:
        axes.fill_between(lags, low, high, color=colour, alpha=0.2, lw=0)
        drawn.append(mean)
    axes.set_title(name)
    axes.legend(fontsize=10, frameon=False, title=f'factor at q = {lags[-1]}')
  values = np.concatenate(drawn)
  low, high = np.nanmin(values), np.nanmax(values)
  room = 0.05 * (high - low) + 0.3
  line_of_axes[0].set_ylim(low - room, high + room)
  line_of_axes[0].yaxis.set_major_formatter(lambda y, _: f'1e{y:g}')
  figure.supxlabel('lag q (steps that the error has travelled back)')
  figure.supylabel('size of the error, relative to q = 0')
  return figure
