"""The confusion matrix of a row: which class its networks take for which."""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from lstm_jax.lab.report.measures import confusion_of
from lstm_jax.lab.report.style import COLOURS
from lstm_jax.lab.serve import figures
from lstm_jax.lab.serve.board import Line
from lstm_jax.lab.serve.watching import Watch

_MOST = 16  # classes whose cells have their percentage written in
_MOST_SAID = 3  # confusions that are written out
_DEEPEST = 0.6  # opacity: what is written in a cell must be read


class Confusion(NamedTuple):
  """Answers of a row's networks to their test parts.

  Attributes:
    shares: `[K][K]` share of each true class that was taken for another, the
      mean over trials.
    classes: their names.
    num_trials: how many.
  """

  shares: Sequence[Sequence[float]]
  classes: Sequence[str]
  num_trials: int


def of_row(watch: Watch, line: Line) -> Confusion | None:
  """The confusion matrix of a row's trials that have ended.

  Args:
    watch: of the folder.
    line: the row.

  Returns:
    The `Confusion`; None where no trial has one.
  """
  details = [watch.details(trial) for trial in line.trials]
  details = [one for one in details if one.get('confusion')]
  shares = confusion_of(details)
  if not shares:
    return None
  names = [str(name) for name in details[0].get('classes', ())]
  names += map(str, range(len(names), len(shares)))
  return Confusion(shares, names[: len(shares)], len(details))


def words(confusion: Confusion) -> str:
  """The largest confusions, for who does not see the figure."""
  shares, classes, count = confusion
  order = sorted(
    (
      (share, true, taken)
      for true, row in enumerate(shares)
      for taken, share in enumerate(row)
      if true != taken and share > 0
    ),
    reverse=True,
  )
  largest = ', '.join(
    f'{classes[true]} for {classes[taken]} ({share:.0%})'
    for share, true, taken in order[:_MOST_SAID]
  )
  head = f'Test part, {count:,} trial{"s" * (count > 1)} that have ended. '
  if count == 1:
    head = 'Test part, the one trial that has ended. '
  return head + (
    f'Most often taken for another: {largest}.'
    if largest
    else 'No class is taken for another.'
  )


def figure(confusion: Confusion) -> go.Figure:
  """Shares of each true class as a plotly figure, darker where larger."""
  shares, classes, _ = confusion
  count = len(shares)
  red, green, blue = (int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5))
  percent = [
    [f'{100 * x:.0f}' if round(100 * x) else '' for x in row] for row in shares
  ]
  heat = go.Heatmap(
    z=[[100 * share for share in row] for row in shares],
    x=list(range(count)), y=list(range(count)),
    zmin=0, zmax=100, showscale=False, xgap=1, ygap=1,
    colorscale=[
      [0, f'rgba({red},{green},{blue},0.04)'],
      [1, f'rgba({red},{green},{blue},{_DEEPEST})'],
    ],
    text=percent if count <= _MOST else None,
    texttemplate='%{text}' if count <= _MOST else None,
    customdata=[[(true, taken) for taken in classes] for true in classes],
    hovertemplate=(
      '%{customdata[0]} taken for %{customdata[1]}: %{z:.1f} %<extra></extra>'
    ),
  )  # fmt: skip
  drawn = go.Figure(heat)
  ticks = {'tickvals': list(range(count)), 'ticktext': list(classes)}
  drawn.update_xaxes(title_text='taken for', **ticks)
  drawn.update_yaxes(title_text='true class', autorange='reversed', **ticks)
  drawn = figures.styled(drawn, (34 if count <= _MOST else 12) * count + 150)
  drawn.update_xaxes(showgrid=False, zeroline=False)
  drawn.update_yaxes(showgrid=False, zeroline=False)
  return drawn
