"""Figure: share of trials solved over window and length."""

from typing import TYPE_CHECKING

from lstm_jax.lab.report import summaries as summaries_lib
from lstm_jax.lab.report.figures.length import colours, titled
from lstm_jax.lab.report.summaries import Summary, order, parts, shown_text

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_DEEPEST = 0.6  # opacity: what is written in a place must be read


def success_over_window(summaries: list[Summary]) -> 'Figure | None':
  """Trials solved, window over length: a heat map for each task and cell.

  A row is a window, `full`, or a learner that has none. A cell has one colour,
  the deeper the more of its trials solved. Settings that differ in something
  else are pooled, and the title says in what.

  Args:
    summaries: of `summaries.summarize`, at least one.

  Returns:
    A matplotlib `Figure`; an axes a task and cell.
  """
  from matplotlib.figure import Figure
  from matplotlib.layout_engine import ConstrainedLayoutEngine

  tasks = parts(summaries, lambda s: s.setting.get('task'))
  cells = parts(summaries, lambda s: s.setting.get('cell'))
  windowed = parts(
    (s for s in summaries if 'window' in s.setting),
    lambda s: s.setting.get('learner'),
  )
  size = (max(12, 3 * len(cells) + 2), max(8, 2.6 * len(tasks)))
  figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.1))
  grid = figure.subplots(len(tasks), len(cells), squeeze=False)
  pooled, hues = set(), colours(summaries)
  for (task, summaries_of_task), line in zip(tasks.items(), grid, strict=True):
    windows = parts(
      sorted(summaries_of_task, key=_window_order),
      lambda s: _window(s, windowed),
    )
    lengths = list(parts(summaries_of_task, lambda s: s.setting.get('length')))
    for cell, axes in zip(cells, line, strict=True):
      places = parts(
        (s for s in summaries_of_task if s.setting.get('cell') == cell),
        lambda s: (_window(s, windowed), s.setting.get('length')),
      )
      _draw_heat(axes, places, list(windows), lengths, hues[cell])
      title = f'{shown_text(task)}, {shown_text(cell)}'
      axes.set_title(title, fontsize=12, color=hues[cell])
      if axes is not line[0]:
        axes.set_yticklabels([])
      for summaries_at in places.values():
        pooled |= set(summaries_lib.varying(summaries_at)) - {
          *summaries_lib.ORIGINS
        }
  note = 'Trials solved / all, by window and length'
  if pooled:
    note += f' (pooled over {", ".join(sorted(pooled))})'
  figure.suptitle(titled(summaries, f'{note}.'))
  figure.supxlabel('length T (steps)')
  figure.supylabel('window (steps an error travels back)')
  return figure


def _window(s, windowed):
  """Names the row of a setting."""
  learner = shown_text(s.setting.get('learner'))
  if 'window' not in s.setting:
    return learner
  window = shown_text(s.setting['window'])
  return window if len(windowed) == 1 else f'{learner} {window}'


def _window_order(s):
  """Windows by size, `full`, then learners that have none."""
  return (
    'window' not in s.setting,
    shown_text(s.setting.get('learner')),
    order(s.setting.get('window')),
  )


def _draw_heat(axes, places, windows, lengths, hue):
  """One heat map; a place that was not run stays blank."""
  import numpy as np
  from matplotlib.colors import LinearSegmentedColormap, to_rgb

  share = np.full((len(windows), len(lengths)), np.nan)
  for (window, length), summaries_at in places.items():
    i, j = windows.index(window), lengths.index(length)
    num_solved, trials = (
      sum(s.solved for s in summaries_at),
      sum(s.trials for s in summaries_at),
    )
    share[i, j] = num_solved / trials
    axes.text(
      j,
      i,
      f'{num_solved}/{trials}',
      ha='center',
      va='center',
      fontsize=12 if len(lengths) <= 6 else 9,
      fontweight='bold' if num_solved else 'normal',
    )
  axes.set_xticks(range(len(lengths)), map(shown_text, lengths))
  axes.set_yticks(range(len(windows)), windows)
  edges = (np.arange(n + 1) - 0.5 for n in reversed(share.shape))
  axes.tick_params(length=0)
  axes.spines[:].set_visible(False)
  ends = [(*to_rgb(hue), 0.1), (*to_rgb(hue), _DEEPEST)]
  axes.pcolormesh(
    *edges,
    np.ma.masked_invalid(share),
    cmap=LinearSegmentedColormap.from_list('solved', ends),
    vmin=0,
    vmax=1,
    edgecolors='none',
  )
