"""Figure of a reading: which class was taken for which."""

from lstm_jax.lab.report.figures.scales import TitledFigure
from lstm_jax.lab.report.readings import Reading
from lstm_jax.lab.report.style import COLOURS

_DEEPEST = 0.6  # opacity: what is written in a cell must be read
_MAX_LABELLED = 16  # classes whose cells have their share written in


def confusion(reading: Reading) -> TitledFigure | None:
  """Shares of each true class, darker where larger.

  Returns:
    (caption, figure), None where there is no confusion matrix.
  """
  from matplotlib.figure import Figure
  from matplotlib.patches import Rectangle

  shares = reading.confusion
  if shares is None:
    return None
  count = len(shares)
  has_names = len(reading.classes) == count
  names = [str(c) for c in (reading.classes if has_names else range(count))]
  size = 0.42 if count <= _MAX_LABELLED else 0.2
  figure = Figure((size * count + 2.6, size * count + 2), layout='constrained')
  axes = figure.add_subplot()
  for i, row in enumerate(shares):
    for j, share in enumerate(row):
      axes.add_patch(
        Rectangle(
          (j - 0.5, i - 0.5),
          *(1, 1),
          facecolor=COLOURS[0],
          alpha=_DEEPEST * share,
          linewidth=0,
        )
      )
      percent = f'{100 * share:.0f}'
      if count <= _MAX_LABELLED and percent != '0':
        axes.text(
          j,
          i,
          percent,
          ha='center',
          va='center',
          fontsize=8,
          fontweight='bold' if i == j else 'normal',
        )
  axes.set_xlim(-0.5, count - 0.5)
  axes.set_ylim(count - 0.5, -0.5)
  axes.set_aspect('equal')
  ticks = range(count)
  axes.set_xticks(ticks, names, rotation=45, ha='right', rotation_mode='anchor')
  axes.set_yticks(ticks, names)
  axes.tick_params(length=0, labelsize=8)
  axes.set_xlabel('taken for')
  axes.set_ylabel('true class')
  caption = (
    f'{reading.setting.task}, {reading.setting.row}: percent of each true '
    'class of the test part that were taken for each class after the last '
    'epoch, mean over '
    'the seeds that trained to the end. Darker: more.'
  )
  return caption, figure
