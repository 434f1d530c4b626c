"""The figures of a report, as SVG that takes its colours from the page.

matplotlib is imported where it is used; without it a report has no figures and
is otherwise complete.
"""

import io
import re
from collections.abc import Iterable
from html import escape

from lstm_jax.lab.report.content import Report
from lstm_jax.lab.report.figures import of_run, scaling, sequence, strips
from lstm_jax.lab.report.figures.axis import AXES, against
from lstm_jax.lab.report.figures.confusion import confusion
from lstm_jax.lab.report.figures.curves import learning_curves
from lstm_jax.lab.report.figures.free_run import free_runs
from lstm_jax.lab.report.figures.learning import learning
from lstm_jax.lab.report.figures.scales import TitledFigure, drawn_in
from lstm_jax.lab.report.style import COLOURS, INK, PAPER
from lstm_jax.lab.report.summaries import parts
from lstm_jax.lab.report.trace import Trace

_STYLE = {
  'font.size': 10,
  'text.parse_math': False,  # `$` in the name of a row is no formula
  'axes.titlesize': 11,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'svg.fonttype': 'none',  # text stays text
  'svg.hashsalt': 'lstm_jax',  # the ids in an SVG are random without
  **dict.fromkeys(
    (
      'text.color',
      'axes.edgecolor',
      'axes.labelcolor',
      'axes.titlecolor',
      'xtick.color',
      'ytick.color',
      'grid.color',
      'patch.edgecolor',
      'legend.edgecolor',
    ),
    INK,
  ),
  'figure.facecolor': 'none',
  'axes.facecolor': 'none',
  'savefig.facecolor': 'none',
}


# The figures of a run as a whole.
_RUN = (
  (
    'lengths',
    'Sequences to success against the length: medians over the seeds with '
    '95 % intervals. An empty marker: half of the trials or more did not '
    'solve.',
    of_run.sequences_to_success,
  ),
  (
    'windows',
    'Trials solved, by window and length. A cell has one colour, the deeper '
    'the more of its trials solved.',
    of_run.success_over_window,
  ),
)


# (title, trace, blocks) of a solved net, see `sequence.draw_sequence`.
TitledTrace = tuple[str, Trace, int | None]


def draw_all(
  report: Report, traces: Iterable[TitledTrace] = ()
) -> dict[str, tuple[str, str]]:
  """Every figure of a report.

  Args:
    report: of `content.report_of`.
    traces: of solved nets.

  Returns:
    name -> (caption, SVG): 'lengths', 'windows', 'overview', 'row:ANCHOR',
    'learning:ANCHOR',
    'curves:ANCHOR' and 'confusion:ANCHOR' of readings, 'task-TASK:window',
    'task-TASK:length', 'task-TASK:free_run-n', 'scaling:n-m' and
    'sequence:n'. In the SVG the colour `INK` stands for that
    of text and `PAPER` for that of the page.

  Raises:
    ImportError: matplotlib is not installed.
  """
  return rendered(_figures(report, traces))


def rendered(
  figures: Iterable[tuple[str, TitledFigure | None]],
) -> dict[str, tuple[str, str]]:
  """Figures as SVG, drawn in the style of a report.

  Args:
    figures: an iterator of `(name, (caption, figure))`, or `(name, None)` for
      what cannot be drawn. It must draw each figure when it is asked for it.

  Returns:
    name -> (caption, SVG), as `draw_all`.

  Raises:
    ImportError: matplotlib is not installed.
  """

  svgs: dict[str, tuple[str, str]] = {}
  with drawn_in(_STYLE):
    for name, titled in figures:
      if titled is not None:
        caption, figure = titled
        svgs[name] = caption, _svg(figure, f'f{len(svgs)}')
  return svgs


def _figures(report, traces):
  """Name and `(caption, figure)` of each figure, drawn one by one."""
  for name, caption, draw in _RUN:
    summaries = of_run.drawable(report.summaries)
    yield name, (caption, draw(summaries)) if summaries else None
  yield 'overview', strips.overview(report.published)
  rows = (*report.published, *report.others)
  for row in rows:
    yield f'row:{row.anchor}', strips.distribution(row)
    yield f'learning:{row.anchor}', learning(row)
    for reading in row.readings:
      yield f'curves:{reading.anchor}', learning_curves(reading)
      yield f'confusion:{reading.anchor}', confusion(reading)
  readings = [reading for row in rows for reading in row.readings]
  for task, readings_of_task in parts(
    readings, lambda reading: reading.setting.task
  ).items():
    for name in AXES:
      yield f'task-{task}:{name}', against(readings_of_task, name)
    for i, drawn in enumerate(free_runs(readings_of_task)):
      yield f'task-{task}:free_run-{i}', drawn
  tables = parts(report.published, lambda row: row.source)
  for number, rows in enumerate(tables.values()):
    for i, drawn in enumerate(scaling.draw_scaling(rows)):
      yield f'scaling:{number}-{i}', drawn
  for i, (title, trace, blocks) in enumerate(traces):
    caption = f'{title}. {sequence.CAPTION}'
    figure = sequence.draw_sequence(trace, title, blocks)
    yield f'sequence:{i}', (caption, figure)


def inline(svg: str, caption: str) -> str:
  """An SVG for a page of HTML: follows its colours, refers to nothing."""
  svg = svg.replace(INK, 'currentColor').replace(PAPER, 'var(--page)')
  for i, colour in enumerate(COLOURS):
    svg = svg.replace(colour, f'var(--c{i})')
  svg = re.sub(r' xmlns(:\w+)?="[^"]*"', '', svg)
  svg = svg.replace('xlink:href', 'href')
  size = re.findall(r'<svg [^>]*\bwidth="([\d.]+)pt"', svg)
  # As wide as drawn, unless the page is narrower; then no narrower than can be
  # read.
  width = float(size[0])
  style = f'style="max-width:{width:.0f}pt;min-width:{0.7 * width:.0f}pt" '
  label = f'role="img" aria-label="{escape(caption)}" '
  return svg.replace('<svg ', f'<svg {label}{style}', 1)


def standalone(svg: str) -> bytes:
  """An SVG for a file of its own: dark on white, wherever it is shown."""
  svg = svg.replace(INK, '#1f2328').replace(PAPER, '#ffffff')
  return svg.replace('<svg ', '<svg style="background:#fff" ', 1).encode()


def _svg(figure, prefix):
  """A figure as an `svg` element whose ids begin with a prefix."""
  data = io.BytesIO()
  nothing = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
  figure.savefig(data, format='svg', metadata=nothing)
  svg = data.getvalue().decode()
  svg = svg[svg.index('<svg') :]
  svg = re.sub(r'<metadata>.*?</metadata>\s*', '', svg, flags=re.DOTALL)
  svg = re.sub(r'<!--.*?-->\s*', '', svg, flags=re.DOTALL)
  # Hundredths of a point are enough, and half the size.
  shorten = lambda path: re.sub(r'(\.\d\d)\d+', r'\1', path[0])
  svg = re.sub(r' d="[^"]*"', shorten, svg)
  svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
  svg = re.sub(r'url\(#', f'url(#{prefix}-', svg)
  svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
  return svg.strip()
