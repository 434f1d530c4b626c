"""Figure: the error that flows back, against the lag."""

import importlib
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lstm_jax.lab.report.figures import of_run
from lstm_jax.lab.report.figures.scales import drawn_in
from lstm_jax.lab.report.style import COLOURS
from lstm_jax.lab.store import messages

if TYPE_CHECKING:
  from matplotlib.figure import Figure

  from lstm_jax.lab.vanishing.curves import Net

_LINES = {'before': '--', 'after': '-'}
_COLOURS = (*COLOURS, '#5b6470', '#8c6d1f', '#7a3db8')
# With more lines than this the legend stands below the axes.
_MAX_LEGEND_INSIDE = 6


def pictures(
  networks: Mapping[str, 'Net'], stem: str, label: str
) -> dict[str, bytes]:
  """The figure as files.

  Args:
    networks: name -> `Net`.
    stem: the files' name without its ending.
    label: of the vertical axis.

  Returns:
    File name -> bytes; {} where matplotlib is missing (a line on stderr says
    so).
  """
  try:
    importlib.import_module('matplotlib')
  except ImportError:
    messages.tell('No figure: matplotlib is not installed.')
    return {}
  with drawn_in(of_run.STYLE):
    return of_run.as_files(draw(networks, label), stem)


def draw(networks: Mapping[str, 'Net'], label: str) -> 'Figure':
  """Factors over lags, an axes a network: dashed before, solid after training.

  A band is the middle half of the seeds. What is too small for a number ends a
  line; the bound is grey and leaves the axes where it is large.

  Args:
    networks: name -> `Net`, at least one.
    label: of the vertical axis.

  Returns:
    A matplotlib `Figure`.
  """
  from matplotlib.figure import Figure

  max_curves = max(len(net.curves) for net in networks.values())
  height = 5.5 + (0.15 * max_curves if max_curves > _MAX_LEGEND_INSIDE else 0)
  size = max(8, 5.5 * len(networks)), height
  figure = Figure(figsize=size, layout='constrained')
  line_of_axes = figure.subplots(1, len(networks), squeeze=False, sharey=True)[
    0
  ]
  means = []
  whats = (name for net in networks.values() for name, _ in net.curves)
  colours = dict.fromkeys(name for name in whats if name != 'bound')
  colours = dict(zip(colours, itertools.cycle(_COLOURS), strict=False))
  for (name, net), axes in zip(networks.items(), line_of_axes, strict=True):
    # Curves that lie on one another are seen as wide, less wide and thin.
    names_here = [
      name for name in colours if any(name == c for c, _ in net.curves)
    ]
    widths = (
      np.linspace(5, 1.2, len(names_here)) if len(names_here) > 1 else (2,)
    )
    widths = dict(zip(names_here, widths, strict=True))
    for (what, when), curve in net.curves.items():
      lags = np.arange(len(curve.mean))
      colour = colours.get(what, '#8a8f98')
      mean, low, high = (np.where(np.isfinite(y), y, np.nan) for y in curve)
      words = f'{what}, {when}: {10 ** curve.mean[-1]:.3g}'
      width = widths.get(what, 1.5)
      axes.plot(lags, mean, _LINES[when], color=colour, lw=width, label=words)
      if what in colours:
        axes.fill_between(lags, low, high, color=colour, alpha=0.2, lw=0)
        means.append(mean)
    axes.set_title(name)
    is_outside = len(net.curves) > _MAX_LEGEND_INSIDE
    legend_place = {
      'loc': 'upper center',
      'bbox_to_anchor': (0.5, -0.08),
      'ncols': 2,
    }
    axes.legend(
      fontsize=10, frameon=False, title=f'factor at q = {lags[-1]}',
      **(legend_place if is_outside else {}),
    )  # fmt: skip
  values = np.concatenate(means)
  low, high = np.nanmin(values), np.nanmax(values)
  room = 0.05 * (high - low) + 0.3
  line_of_axes[0].set_ylim(low - room, high + room)
  line_of_axes[0].yaxis.set_major_formatter(lambda y, _: f'1e{y:g}')
  figure.supxlabel('lag q (steps that the error has travelled back)')
  figure.supylabel(label)
  return figure
