"""Figure of a row: how many sequences trials got right as they went on."""

import numpy as np

from lstm_jax.lab.report.figures.scales import TitledFigure
from lstm_jax.lab.report.readings import Reading
from lstm_jax.lab.report.rows import Row
from lstm_jax.lab.report.style import COLOURS

_MAX_READINGS = len(COLOURS)  # readings of a figure
_POINTS = 80  # of a line


def learning(row: Row) -> TitledFigure | None:
  """Draws the share of right training sequences against those shown.

  A line is the mean over the trials of a reading; a trial that has ended stands
  where it ended.

  Returns:
    (caption, figure), None where no trial has a curve.
  """
  from matplotlib.figure import Figure

  lines = [
    (reading, line)
    for reading in row.readings[:_MAX_READINGS]
    if (line := _line(reading)) is not None
  ]
  if not lines:
    return None
  figure = Figure((8, 3.4), layout='constrained')
  axes = figure.add_subplot()
  axes.set_xscale('log')
  for (reading, (x, y)), colour in zip(lines, COLOURS, strict=False):
    label = f'{reading.letter}  {reading.name}'
    axes.plot(x, 100 * y, color=colour, linewidth=1.8, label=label)
  axes.set_ylim(-3, 103)
  axes.set_xlabel('training sequences')
  axes.set_ylabel('right (%)')
  axes.grid(alpha=0.18)
  figure.legend(loc='outside lower center', ncols=2, frameon=False)
  tail = f' The first {_MAX_READINGS} readings.' * (
    len(row.readings) > _MAX_READINGS
  )
  return (
    f'{row.task}: training sequences that were right, as training went on; '
    f'mean over the trials, each from its end on as it ended.{tail}'
  ), figure


def _line(reading: Reading):
  """`(x, y)` of a reading, None where no trial has a curve."""
  curves = [
    tuple(np.array([x or 0.0 for x in of]) for of in (sequences, rights))
    for sequences, rights in zip(
      reading.curves.get('sequences', ()),
      reading.curves.get('train_right', ()),
      strict=True,
    )
  ]
  if not curves:
    return None
  first = min(sequences[0] for sequences, _ in curves)
  last = max(sequences[-1] for sequences, _ in curves)
  x = np.unique(np.geomspace(first, last, _POINTS).round())
  shares = np.empty((len(x), len(curves)))
  for i, (sequences, rights) in enumerate(curves):
    # The share in the interval that holds a sequence, or in the last one.
    at = np.minimum(np.searchsorted(sequences, x), len(sequences) - 1)
    shares[:, i] = rights[at]
  return x, shares.mean(axis=1)
