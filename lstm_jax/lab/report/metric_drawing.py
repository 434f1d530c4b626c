"""The figures of a report of comparisons, as SVG."""

from collections.abc import Iterable

from lstm_jax.lab.report.drawing import rendered
from lstm_jax.lab.report.figures.axis import AXES, against
from lstm_jax.lab.report.figures.confusion import confusion
from lstm_jax.lab.report.figures.curves import learning_curves
from lstm_jax.lab.report.figures.free_run import free_runs
from lstm_jax.lab.report.metric_content import Part, Report


def draw_all(report: Report) -> dict[str, tuple[str, str]]:
  """Every figure of a report.

  Args:
    report: of `content.made`.

  Returns:
    name -> (caption, SVG): 'task-TASK:window', 'task-TASK:length',
    'task-TASK:free_run-n',
    'curves:ANCHOR' and 'confusion:ANCHOR'; see `report.drawing.rendered`.

  Raises:
    ImportError: matplotlib is not installed.
  """
  return rendered(_figures(report))


def names_of(part: Part, pictures: Iterable[str]) -> list[str]:
  """The figures of a task as a whole, in their order."""
  return [name for name in pictures if name.startswith(f'{part.anchor}:')]


def _figures(report):
  """Name and `(caption, figure)` of each figure, drawn one by one."""
  for part in report.parts:
    lines = list(part.lines)
    for name in AXES:
      yield f'{part.anchor}:{name}', against(lines, name)
    for i, drawn in enumerate(free_runs(lines)):
      yield f'{part.anchor}:free_run-{i}', drawn
    for line in lines:
      yield f'curves:{line.anchor}', learning_curves(line)
      yield f'confusion:{line.anchor}', confusion(line)
