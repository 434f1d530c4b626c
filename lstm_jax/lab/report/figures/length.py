"""Figure: sequences to success against length."""

import itertools
import math
import textwrap
from typing import TYPE_CHECKING

from lstm_jax.lab.report import headline
from lstm_jax.lab.report import summaries as summaries_lib
from lstm_jax.lab.report.figures.scales import Dashes, LineStyle
from lstm_jax.lab.report.style import COLOURS
from lstm_jax.lab.report.summaries import Summary, parts, shown_text

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_MARKERS = 'osD^vPX<>'
_DASHES: tuple[Dashes, ...] = ('-', '--', ':', '-.')
_PUBLISHED_LABEL = 'published mean'
_STAR: LineStyle = {
  'marker': '*', 'color': '#F0E442', 'markeredgecolor': 'black',
  'linestyle': 'none', 'markersize': 17,
}  # fmt: skip
_TITLE_WIDTH = 100  # letters of a line
_MOST_COUNTED = 10  # lines whose counts all stand above a panel
_LOG_RATIO = (
  10  # ratio of largest to smallest from which an axis is logarithmic
)
_SHORT_NAMES = {'learning_rate': 'rate'}


def sequences_to_success(summaries: list[Summary]) -> 'Figure | None':
  """Median sequences to success against length, one panel a task.

  A line is what is compared at several lengths: cell, learner, window, options.
  Its colour is that of its cell. Bars are the 95 % intervals of the medians
  (six trials or more), with an arrow where they go on beyond the budget. An
  empty marker at the upper edge: half of the trials or more did not solve, and
  there is no median. The strip above a panel counts, line by line, the trials
  solved. A star is a published mean.

  Args:
    summaries: of `summaries.summarize`, at least one.

  Returns:
    A matplotlib `Figure`: for each task the strip, then the panel.
  """
  from matplotlib.figure import Figure
  from matplotlib.lines import Line2D

  tasks = parts(summaries, lambda s: s.setting.get('task'))
  names = _line_names(summaries)
  styles = _styles(summaries, names)
  columns = len(tasks) if len(tasks) < 4 else 2 if len(tasks) == 4 else 3
  height = math.ceil(len(tasks) / columns)
  labels = {
    task: {_label(s, names) for s in summaries_of_task}
    for task, summaries_of_task in tasks.items()
  }
  note = 'Above a panel: trials solved / all.'
  if max(map(len, labels.values())) > _MOST_COUNTED:
    note = 'Above a panel: trials solved / all, where not all solved.'
    labels = {
      task: {_label(s, names) for s in summaries_of_task if s.solved < s.trials}
      for task, summaries_of_task in tasks.items()
    }
  # Inches: every strip has the height of the fullest, so that panels align.
  max_labels = max(1, *(len(of) for of in labels.values()), 0)
  strip_height = 0.22 * max_labels
  size = (12, max(8, (4 + strip_height) * height))
  figure = Figure(figsize=size, layout='constrained')
  figure.suptitle(titled(summaries, f'Sequences to success. {note}'))
  places = figure.add_gridspec(height, columns)
  for i, (task, summaries_of_task) in enumerate(tasks.items()):
    lines = parts(summaries_of_task, lambda s: _label(s, names))
    ratios = (strip_height, size[1] / height - strip_height - 1)
    inner = places[i].subgridspec(2, 1, height_ratios=ratios)
    strip = figure.add_subplot(inner[0])
    axes = figure.add_subplot(inner[1], sharex=strip)
    _draw_lines(axes, lines, styles)
    _draw_strip(
      strip,
      {k: of for k, of in lines.items() if k in labels[task]},
      styles,
      max_labels,
    )
    strip.set_title(shown_text(task), loc='left', fontweight='bold')
  handles = [Line2D([], [], label=label, **of) for label, of in styles.items()]
  if any(_star(s) for s in summaries):
    handles.append(Line2D([], [], label=_PUBLISHED_LABEL, **_STAR))
  longest = max(len(str(handle.get_label())) for handle in handles)
  columns = max(1, min(len(handles), int(12 / (0.1 * longest + 0.7))))
  figure.legend(
    handles=handles, loc='outside lower center', ncols=columns, frameon=False
  )
  return figure


def titled(summaries: list[Summary], note: str) -> str:
  """The title of a figure: what the run shows, and what is drawn."""
  shows = (textwrap.wrap(c, _TITLE_WIDTH) for c in headline.clauses(summaries))
  return '\n'.join([*itertools.chain(*shows), note])


def colours(summaries: list[Summary]) -> dict[object, str]:
  """Cell -> its colour, the same in every figure of a run."""
  cells = parts(summaries, lambda s: s.setting.get('cell'))
  ordered = sorted(cells, key=summaries_lib.order)
  return {c: COLOURS[i % len(COLOURS)] for i, c in enumerate(ordered)}


def num_lines(summaries: list[Summary]) -> int:
  """Counts what the figure compares: cells, learners, windows and options."""
  names = _line_names(summaries)
  return len(parts(summaries, lambda s: _label(s, names)))


def _line_names(summaries):
  """Finds what tells lines apart where they can meet: at a task and length."""
  aside = ('task', 'length', *summaries_lib.ORIGINS)
  names = [n for n in summaries_lib.varying(summaries) if n not in aside]
  at = parts(
    summaries, lambda s: (s.setting.get('task'), s.setting.get('length'))
  )

  def lines(names):
    return [
      len({_label(s, names) for s in summaries_at})
      for summaries_at in at.values()
    ]

  # Options first: what follows from the rest need not be said.
  for name in [n for n in reversed(names) if n not in ('cell', 'learner')]:
    without = [n for n in names if n != name]
    if lines(without) == lines(names):
      names = without
  return names


def _label(s, names):
  """Names a line."""
  words = []
  for name in names:
    if name not in s.setting:
      continue
    value = shown_text(s.setting[name])
    if name in summaries_lib.FIELDS:
      is_plain = name in ('cell', 'learner')
      words.append(
        value if is_plain else f'{_SHORT_NAMES.get(name, name)} {value}'
      )
    else:
      words.append(f'{name}={value}')
  return ', '.join(words) or 'all trials'


def _styles(summaries, names):
  """Label -> line style: the colour of its cell, the shape of all the rest."""
  hues = colours(summaries)
  styles: dict[str, LineStyle] = {}
  shapes: dict[str, int] = {}
  for label, (first, *_) in parts(
    summaries, lambda s: _label(s, names)
  ).items():
    other_names = [name for name in names if name != 'cell']
    shape = shapes.setdefault(_label(first, other_names), len(shapes))
    styles[label] = {
      'color': hues[first.setting.get('cell')],
      'marker': _MARKERS[shape % len(_MARKERS)],
      'linestyle': _DASHES[shape % len(_DASHES)],
    }
  return styles


def _star(s):
  """(length, published mean) or None."""
  value = s.published.get('success_after')
  return (s.setting.get('length'), value) if value else None


def _draw_lines(axes, lines, styles):
  """Medians, their intervals and the published means of one task."""
  from matplotlib.transforms import ScaledTranslation

  all_summaries = list(itertools.chain(*lines.values()))
  stars = sorted({_star(s) for s in all_summaries} - {None})
  with_median = [s for s in all_summaries if math.isfinite(s.median)]
  ends = [end for s in with_median for end in (s.median, *(s.interval or ()))]
  heights = [h for h in (*ends, *(y for _, y in stars)) if math.isfinite(h)]
  top = max(heights, default=1)
  middle = (len(lines) - 1) / 2
  gap = min(4, 24 / len(lines))  # points
  for i, (label, line_summaries) in enumerate(lines.items()):
    # Side by side: bars of several lines would hide each other.
    aside = ScaledTranslation(
      gap * (i - middle) / 72, 0, axes.get_figure(root=True).dpi_scale_trans
    )
    transform = axes.transData + aside
    style = {**styles[label], 'transform': transform, 'label': label}
    lengths = [s.setting['length'] for s in line_summaries]
    medians = [
      s.median if math.isfinite(s.median) else math.nan for s in line_summaries
    ]
    axes.plot(lengths, medians, linewidth=1.8, markersize=7, **style)
    lengths_unsolved = [
      s.setting['length'] for s in line_summaries if math.isinf(s.median)
    ]
    hollow = {**styles[label], 'linestyle': 'none', 'markerfacecolor': 'none'}
    axes.plot(
      lengths_unsolved,
      [0.965] * len(lengths_unsolved),
      markersize=7,
      label=f'_{label}',
      transform=axes.get_xaxis_transform() + aside,
      **hollow,
    )
    for length, s in zip(lengths, line_summaries, strict=True):
      if s.interval is None or math.isinf(s.median):
        continue
      ends = (s.interval.low, min(s.interval.high, top))
      style = {'color': styles[label]['color'], 'transform': transform}
      axes.plot([length] * 2, ends, linewidth=1.2, alpha=0.7, **style)
      if math.isinf(s.interval.high):
        axes.plot([length], [top], marker='^', markersize=5, **style)
  for length, value in stars:
    axes.plot([length], [value], zorder=5, label=_PUBLISHED_LABEL, **_STAR)
  if not heights:
    axes.text(
      0.5,
      0.5,
      'no setting was solved by half of its trials',
      ha='center',
      va='center',
      transform=axes.transAxes,
    )
  if any(math.isinf(s.median) for s in all_summaries):
    axes.annotate(
      'unsolved by half or more',
      (1, 0.965),
      xycoords='axes fraction',
      ha='right',
      va='center',
      fontsize='small',
      alpha=0.6,
    )
  _scale_axes(
    axes, sorted({s.setting['length'] for s in all_summaries}), heights
  )


def _scale_axes(axes, lengths, heights):
  """Limits, scales and ticks for values of `heights` at `lengths`."""
  top = max(heights, default=1)
  # Limits by hand: what is drawn aside does not count as data.
  pad = 0.1 * (lengths[-1] - lengths[0]) or 1
  axes.set_xlim(lengths[0] - pad, lengths[-1] + pad)
  if lengths[-1] >= _LOG_RATIO * lengths[0]:
    pad = (lengths[-1] / lengths[0]) ** 0.1
    axes.set_xscale('log')
    axes.set_xlim(lengths[0] / pad, lengths[-1] * pad)
  axes.set_ylim(0, 1.15 * top)
  if heights and top >= _LOG_RATIO * min(heights):
    axes.set_yscale('log')
    axes.set_ylim(min(heights) / 1.3, 1.6 * top)
    axes.yaxis.get_major_locator().set_params(subs=(1, 2, 5))
  elif not heights:
    axes.set_yticks([])
  if len(lengths) <= 8:
    axes.set_xticks(lengths, map(shown_text, lengths))
  axes.minorticks_off()
  axes.yaxis.set_major_formatter(lambda y, _: f'{y:,.0f}')
  axes.grid(alpha=0.25)
  axes.set_xlabel('length T (steps)')
  axes.set_ylabel('sequences to success (median)')


def _draw_strip(strip, lines, styles, max_labels):
  """Trials solved, k/n: a row a line, a column a length."""
  strip.set_ylim(len(lines) - 0.5, len(lines) - max_labels - 0.5)
  strip.set_yticks([])
  strip.tick_params(bottom=False, labelbottom=False)
  for side in ('left', 'bottom'):
    strip.spines[side].set_visible(False)
  for i, (label, line_summaries) in enumerate(lines.items()):
    style = {**styles[label], 'linestyle': 'none', 'markersize': 6}
    strip.plot(
      [-0.02],
      [i],
      transform=strip.get_yaxis_transform(),
      clip_on=False,
      **style,
    )
    for s in line_summaries:
      strip.text(
        s.setting['length'],
        i,
        f'{s.solved}/{s.trials}',
        ha='center',
        va='center',
        fontsize=10,
        color=styles[label]['color'],
      )
