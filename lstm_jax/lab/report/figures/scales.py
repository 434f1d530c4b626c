"""The upright axis of a figure of metrics: percent, or losses."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypedDict

from lstm_jax.lab.report.measures import is_share

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure


# (caption, figure)
TitledFigure = tuple[str, 'Figure']


@contextlib.contextmanager
def drawn_in(style: Mapping[str, object]) -> Iterator[None]:
  """The defaults of matplotlib, but for what a style says.

  Raises:
    ImportError: matplotlib is not installed.
  """
  import matplotlib

  with matplotlib.rc_context(_over(matplotlib.rcParamsDefault, style)):
    yield


def _over(defaults, style):
  return {**defaults, **style}


Dashes = Literal['-', '--', ':', '-.', 'none']


class LineStyle(TypedDict, total=False):
  """The style of a line."""

  color: str
  marker: str
  linestyle: Dashes
  linewidth: float
  markersize: float
  markeredgecolor: str


def scale_y(axes: 'Axes', metric: str, values: Sequence[float]) -> None:
  """Limits and ticks for accuracies in percent or, logarithmic, for losses.

  Args:
    axes: of matplotlib.
    metric: its name.
    values: what must lie inside, at least one.
  """
  from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

  if is_share(metric):
    low, high = min(values), max(values)
    pad = 0.06 * max(high - low, 1)
    axes.set_ylim(max(low - pad, -3), min(high + pad, 103))
    return
  positive = sorted(value for value in values if value > 0)
  if not positive:
    return
  axes.set_yscale('log')
  # What a network that is about to diverge reaches would flatten all others.
  high = min(positive[-1], 100 * positive[int(0.9 * (len(positive) - 1))])
  axes.set_ylim(positive[0] / 1.15, high * 1.15)
  subs = (1,) if high / positive[0] > 300 else (1, 2, 5)
  axes.yaxis.set_major_locator(LogLocator(subs=subs))
  axes.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f'{x:g}'))
  axes.yaxis.set_minor_formatter(NullFormatter())
