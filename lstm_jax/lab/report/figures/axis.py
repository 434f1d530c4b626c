"""Figure of a comparison: accuracy against the window or the length."""

from lstm_jax.lab.report import metric_verdicts as rule
from lstm_jax.lab.report import naming
from lstm_jax.lab.report.figures.scales import scale_y
from lstm_jax.lab.report.figures.scaling import style_of
from lstm_jax.lab.report.figures.strips import log_ticks
from lstm_jax.lab.report.metric_rows import JUDGED, Line
from lstm_jax.lab.report.metrics import ends
from lstm_jax.lab.report.style import GREY, INK
from lstm_jax.lab.report.summaries import parts

AXES = ('window', 'length')
_MOST = 12  # lines of a figure


def against(lines: list[Line], name: str):
  """What the seeds reach, against the window or the length, a line a net.

  Settings that differ in nothing else are joined.

  Args:
    lines: of one task.
    name: of `AXES`.

  Returns:
    (caption, figure), None where no two settings differ in `name` alone.
  """
  from matplotlib.figure import Figure
  from matplotlib.lines import Line2D

  metric = next((m for m in JUDGED if any(m in x.measures for x in lines)), '')
  series = _series(lines, name, metric)
  if not series:
    return None
  scale = 100 if metric == 'accuracy' else 1
  figure = Figure((8, 4.2), layout='constrained')
  axes = figure.add_subplot()
  axes.set_xscale('log')
  handles = []
  for i, (label, held) in enumerate(series):
    style = style_of(i)
    # A little aside, or intervals would hide one another.
    aside = 1.012 ** (i - (len(series) - 1) / 2)
    x = [aside * line.entry[name] for line in held]
    means = [line.measures[metric] for line in held]
    axes.plot(x, [scale * one.mean for one in means], **style)
    for at, one in zip(x, means, strict=True):
      reach = [scale * end for end in ends(one, metric)]
      axes.plot([at] * 2, reach, color=style['color'])
    for at, line in zip(x, held, strict=True):
      value = rule.published(line.figures, metric)
      if value is not None:
        star = {'color': style['color'], 'markeredgecolor': INK}
        axes.plot([at], [scale * value], '*', markersize=11, zorder=5, **star)
    handles.append(Line2D([], [], label=label, **style))
  drawn = [line for _, held in series for line in held]
  if any(rule.published(line.figures, metric) is not None for line in drawn):
    star = {'color': INK, 'marker': '*', 'markersize': 11, 'linestyle': 'none'}
    handles.append(Line2D([], [], label='published', **star))
  best = _best_levels(drawn, name)
  if best:
    style = {'color': GREY, 'linestyle': ':', 'marker': '_', 'linewidth': 1.6}
    axes.plot(list(best), [scale * value for value in best.values()], **style)
    label = 'best predictor without recurrence'
    handles.append(Line2D([], [], label=label, **style))
  log_ticks(
    axes.xaxis, sorted({line.entry[name] for line in drawn}), exact=True
  )
  heights = [y for line in axes.lines for y in line.get_ydata()]
  scale_y(axes, metric, heights)
  axes.grid(alpha=0.18)
  axes.set_xlabel(name)
  words = JUDGED[metric] + ' (%)' * (metric == 'accuracy')
  axes.set_ylabel(words)
  figure.legend(
    handles=handles, loc='outside lower center', ncols=2, frameon=False
  )
  return (
    f'{lines[0].entry["task"]}: {words} after the last epoch against the '
    f'{name}, mean of the seeds with 95 % t-intervals. Settings that differ in '
    f'nothing else are joined.'
  ), figure


def _series(lines, name, metric):
  """(label, lines by rising x) of the settings that differ in x alone."""
  held = [
    line
    for line in lines
    if isinstance(line.entry.get(name), int | float)
    and line.entry[name] > 0
    and metric in line.measures
  ]
  without = lambda line: {**line.entry, name: None}
  groups = [
    sorted(group, key=lambda line: line.entry[name])
    for group in parts(held, lambda x: naming.setting(without(x))).values()
    if len(group) > 1
  ][:_MOST]
  entries = [without(group[0]) for group in groups]
  labels = [_label(group, name) for group in groups]
  made = []
  for label, entry, group in zip(labels, entries, groups, strict=True):
    alike = [e for l, e in zip(labels, entries, strict=True) if l == label]
    words = naming.differences(entry, alike)
    made.append((f'{label} ({words})' if words else label, group))
  return made


def _label(group, name):
  """What the rows of a line are called without its axis, or their cell."""
  bare = {
    ' '.join(w for w in line.name.split() if not w.startswith(f'{name}='))
    for line in group
  }
  return bare.pop() if len(bare) == 1 else group[0].entry['cell']


def _best_levels(lines, name):
  """x -> the best level that a line knows there, by rising x."""
  found = {}
  for line in lines:
    if line.level:
      found.setdefault(line.entry[name], line.level.value)
  return dict(sorted(found.items()))
