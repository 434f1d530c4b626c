"""The figures of a run, drawn from its rows.

matplotlib is imported where it is used; without it a run has no figures and is
otherwise complete. Nothing here touches pyplot or its global state. The same
rows give the same bytes.
"""

import importlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lstm_jax.lab.report import summaries as summaries_lib
from lstm_jax.lab.report.figures.length import num_lines, sequences_to_success
from lstm_jax.lab.report.figures.scales import drawn_in
from lstm_jax.lab.report.figures.window import success_over_window
from lstm_jax.lab.report.summaries import Summary
from lstm_jax.lab.store import files, messages
from lstm_jax.lab.store.documents import Figures

if TYPE_CHECKING:
  from matplotlib.figure import Figure

STYLE = {
  'font.size': 12,
  'text.parse_math': False,  # `$` in the name of a row is no formula
  'axes.titlesize': 13,
  'figure.titlesize': 15,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'svg.hashsalt': 'lstm_jax',  # the ids in an SVG are random without
}

# Lines that a legend below the panels has room for.
_MAX_LINES = 40


def draw_all(
  rows: Iterable[Mapping[str, object]],
  out_dir: str | Path,
  figures: Mapping[str, Mapping[str, Figures]] | None = None,
) -> list[Path]:
  """Draws every figure of a run as PNG and SVG.

  Args:
    rows: as for `summaries.summarize`.
    out_dir: folder, made if it is not there.
    figures: grid -> row -> figures, as for `summaries.summarize`.

  Returns:
    The files written: none for a run without a task that has lengths, where
    more is compared than a legend can name, or where matplotlib is missing (a
    line on stderr says so).
  """
  summaries = summaries_lib.summarize(rows, figures)
  summaries_drawn = drawable(summaries)
  if not summaries_drawn:
    if lines := num_lines(_with_length(summaries)):
      messages.tell(f'No figures of {lines} lines; the report has one a row.')
    return []
  try:
    importlib.import_module('matplotlib')
  except ImportError:
    messages.tell('No figures: matplotlib is not installed.')
    return []
  out_dir = Path(out_dir)
  files.make_directory(out_dir)
  paths = []
  with drawn_in(STYLE):
    for draw in (sequences_to_success, success_over_window):
      figure = draw(summaries_drawn)
      by_file = as_files(figure, draw.__name__) if figure else {}
      for name, data in by_file.items():
        path = out_dir / name
        files.write(path, data)  # of a finished run that is run again: nothing
        paths.append(path)
  return paths


def drawable(summaries: list[Summary]) -> list[Summary]:
  """Those that the two figures show, none where they cannot be told apart.

  Both have the length as an axis; a task without one is in the table alone.
  """
  with_length = _with_length(summaries)
  return (
    with_length if with_length and num_lines(with_length) <= _MAX_LINES else []
  )


def _with_length(summaries):
  return [
    summary
    for summary in summaries
    if 'length' in summary.setting and summary.unit == 'sequences'
  ]


def as_files(figure: 'Figure', name: str) -> dict[str, bytes]:
  """A matplotlib figure as PNG and SVG, free of dates and versions.

  To be called within `rc_context` of `STYLE`.

  Returns:
    `name.png` and `name.svg` -> bytes.
  """
  by_name = {}
  for kind, metadata in (('png', {'Software': None}), ('svg', {'Date': None})):
    data = io.BytesIO()
    figure.savefig(data, format=kind, metadata=metadata)
    by_name[f'{name}.{kind}'] = data.getvalue()
  return by_name
