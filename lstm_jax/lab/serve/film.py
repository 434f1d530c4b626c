"""A film of a network over one sequence: before, during and after learning.

Every network that was kept on the way is a scene. In the first, one in the
middle and the last the sequence runs through; the others are seen at its end.
Axes are those of all scenes, so that what moves is the network.

matplotlib draws, Pillow writes; the same networks give the same bytes. Videos
are written by ffmpeg, where that is installed.
"""

import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lstm_jax.lab.report.figures.scales import drawn_in
from lstm_jax.lab.report.style import COLOURS, GREY
from lstm_jax.lab.serve.inside import Inside
from lstm_jax.lab.store import files

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure
  from PIL.Image import Image

_STYLE = {
  'font.size': 9,
  'text.parse_math': False,
  'axes.spines.top': False,
  'axes.spines.right': False,
}
_SIZE, _DPI = (6.0, 4.8), 90  # inches, dots an inch
_STEPS_SHOWN = 12  # pictures of a scene in which the sequence runs through
_STEP, _HOLD, _END = 110, 700, 2200  # milliseconds a picture stands
_FRAMES = 20  # of a video, a second
_CODECS = {'MP4': 'libx264', 'WEBM': 'libvpx-vp9'}
_DASHES = ('-', '--', ':', '-.')
_SYMBOLS_FROM = 4  # one-hot inputs of so many lines are drawn as symbols
_MOST_RINGS = 20  # targets; more are a pale band
_MOST_LINES = 8  # of outputs; of more the target's and the largest other
_TITLES = {'s_c': 'cell\nstates', 'c': 'cell\nstates', 'h': 'hidden\nunits'}


class Scene(NamedTuple):
  """A network of a film.

  Attributes:
    seen: training sequences it had seen.
    inside: what goes on inside it over the sequence.
  """

  seen: int
  inside: Inside


class Panel(NamedTuple):
  """One of the panels of a picture.

  Attributes:
    title: at its left.
    values: `[T, n]`, a line each; NaN where there is nothing.
    rings: `[T, n]`, targets, NaN where there is none; None without any.
    dots: whether the values are drawn as dots.
    is_log: whether they are drawn by their size, on a logarithmic axis.
  """

  title: str
  values: np.ndarray
  rings: np.ndarray | None = None
  dots: bool = False
  is_log: bool = False


def panels(inside: Inside) -> list[Panel]:
  """The panels of a picture, from the top.

  Args:
    inside: of `inside.follower`.
  """
  trace = inside.trace
  stack = [_inputs(np.asarray(trace['inputs']))]
  carry = trace['carry']
  stack += [
    Panel(f'{kind}\ngates', np.asarray(values))
    for kind, values in trace['gates'].items()
  ]
  for field in ('s_c', 'c', 'h'):
    if field in carry:
      stack.append(Panel(_TITLES[field], np.asarray(carry[field])))
      break
  stack.append(_outputs(trace))
  sizes = [
    np.sqrt(np.sum(np.square(values), axis=1))
    for values in inside.errors.values()
  ]
  if sizes:
    size = np.stack(sizes, axis=1)
    size = np.where(size > 0, size, np.nan)
    sizes_shown = size[:, np.isfinite(size).any(axis=0)]
    if sizes_shown.shape[1]:
      stack.append(Panel('error\nflowing\nback', sizes_shown, is_log=True))
  return stack


def picture(
  scene: Scene,
  step: int,
  name: str = '',
  other_scenes: Sequence[Scene] = (),
) -> 'Figure':
  """A matplotlib figure of a network at a step of its sequence.

  Args:
    scene: the network.
    step: how far the sequence has come, from 1; what follows is pale.
    name: of the task, for the title.
    other_scenes: scenes whose values the axes must hold too.
  """
  from matplotlib.figure import Figure
  from matplotlib.ticker import MaxNLocator

  stack = panels(scene.inside)
  limits = _limits([scene, *other_scenes])
  with drawn_in(_STYLE):
    figure = Figure(_SIZE, dpi=_DPI)
    # A layout that is searched for would take most of the time.
    figure.subplots_adjust(0.17, 0.09, 0.98, 0.92, hspace=0.4)
    places = figure.subplots(len(stack), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(places, stack, strict=True):
      _draw(axes, panel, step)
      if panel.title in limits:
        axes.set_ylim(*limits[panel.title])
      axes.set_ylabel(panel.title, rotation=0, ha='right', va='center')
    places[-1].set_xlabel('step')
    places[0].set_xlim(0.5, len(scene.inside.trace['mask']) + 0.5)
    places[-1].xaxis.set_major_locator(MaxNLocator(8, integer=True))
    figure.align_ylabels()
    figure.suptitle(
      f'{name}{": " if name else ""}after {scene.seen:,} training sequences, '
      f'error {scene.inside.loss:.2f}',
      x=0.02,
      ha='left',
      fontsize=10.5,
    )
    return figure


def film(scenes: Sequence[Scene], kind: str, name: str = '') -> bytes:
  """A moving picture of the networks of a trial.

  Args:
    scenes: from the start of training to its end, of one sequence.
    kind: 'GIF', 'WEBP', 'MP4' or 'WEBM'; the last two where `has_ffmpeg`.
    name: of the task, for the title.

  Raises:
    ImportError: matplotlib or Pillow is not installed.
  """
  if kind in _CODECS:
    return _video(scenes, kind, name)
  from PIL import Image

  palette = _palette()
  pictures, times = [], []
  for scene, step, milliseconds in _cuts(scenes):
    image = _image(picture(scene, step, name, scenes))
    pictures.append(image.quantize(palette=palette, dither=Image.Dither.NONE))
    times.append(milliseconds)
  data = io.BytesIO()
  first, *later_pictures = pictures
  options: Mapping[str, object] = (
    {'optimize': True, 'disposal': 1}
    if kind == 'GIF'
    else {'lossless': True, 'method': 4, 'minimize_size': True}
  )
  first.save(
    data,
    kind,
    save_all=True,
    append_images=later_pictures,
    duration=times,
    loop=0,
    **options,
  )
  return data.getvalue()


def has_ffmpeg() -> bool:
  """Tells whether videos can be written: matplotlib finds ffmpeg."""
  from matplotlib.animation import FFMpegWriter

  return FFMpegWriter.isAvailable()


def _video(scenes, kind, name):
  """The film as a video: a picture stands as many frames as it takes."""
  from matplotlib.animation import FFMpegWriter
  from matplotlib.backends.backend_agg import FigureCanvasAgg

  writer = FFMpegWriter(fps=_FRAMES, codec=_CODECS[kind], bitrate=-1)
  # What every browser plays, and plays before it has all of it.
  writer.extra_args = ['-pix_fmt', 'yuv420p', '-movflags', '+faststart']
  with tempfile.TemporaryDirectory() as folder:
    place = f'{folder}/film.{kind.lower()}'
    is_begun = False
    for scene, step, milliseconds in _cuts(scenes):
      figure = picture(scene, step, name, scenes)
      FigureCanvasAgg(figure)
      if not is_begun:
        writer.setup(figure, place, _DPI)
        is_begun = True
      writer.fig = figure
      with drawn_in(_STYLE):
        for _ in range(round(milliseconds * _FRAMES / 1000)):
          writer.grab_frame()
    writer.finish()
    return files.read(Path(place))


def _cuts(scenes: Sequence[Scene]) -> Iterator[tuple[Scene, int, int]]:
  """`(scene, step, milliseconds)` of every picture."""
  scene_numbers = {0, len(scenes) // 2, len(scenes) - 1}
  for i, scene in enumerate(scenes):
    steps = len(scene.inside.trace['mask'])
    if i in scene_numbers:
      for at in np.unique(np.linspace(1, steps, _STEPS_SHOWN).round())[:-1]:
        yield scene, int(at), _STEP
    is_last = i == len(scenes) - 1
    yield scene, steps, _END if is_last else _HOLD


def _image(figure) -> 'Image':
  """A figure as a picture."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from PIL.Image import fromarray

  canvas = FigureCanvasAgg(figure)
  with drawn_in(_STYLE):
    canvas.draw()
  pixels = np.asarray(canvas.buffer_rgba())[..., :3]
  return fromarray(pixels)


def _palette() -> 'Image':
  """The colours of all pictures: another palette each would make them flicker.

  Each colour of a line, paler and paler as its edges are, and greys.
  """
  from PIL import Image

  lines = [
    tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in COLOURS
  ]
  paler = [
    tuple(round(255 - share * (255 - part)) for part in line)
    for line in lines
    for share in (1, 0.8, 0.6, 0.4, 0.25, 0.12)
  ]
  greys = [(level,) * 3 for level in range(0, 256, 17)]
  palette = Image.new('P', (1, 1))
  palette.putpalette([part for colour in (*greys, *paler) for part in colour])
  return palette


def _limits(scenes):
  """Title -> limits of the axis that hold the values of all scenes."""
  limits = {}
  for row in zip(*(panels(scene.inside) for scene in scenes), strict=False):
    every = [np.asarray(p.values, np.float64).reshape(-1) for p in row]
    every += [p.rings.reshape(-1) for p in row if p.rings is not None]
    values = np.concatenate(every)
    values = values[np.isfinite(values)]
    if not len(values):
      continue
    if row[0].is_log:
      low, high = np.floor(np.log10([values.min(), values.max()]))
      limits[row[0].title] = 10.0 ** max(low, high - 12), 10.0 ** (high + 1)
    else:
      low, high = values.min(), values.max()
      pad = 0.12 * max(high - low, 1e-3)
      limits[row[0].title] = low - pad, high + pad
  return limits


def _draw(axes: 'Axes', panel: Panel, step: int):
  from matplotlib.ticker import MaxNLocator, NullLocator

  steps = np.arange(1, len(panel.values) + 1)
  if panel.is_log:
    axes.set_yscale('log')
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda x, _: f'1e{round(np.log10(x))}')
  if panel.dots:
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
  for i in range(panel.values.shape[1]):
    y, colour = panel.values[:, i], COLOURS[i % len(COLOURS)]
    dash = _DASHES[i // len(COLOURS) % len(_DASHES)]
    for part, alpha in ((steps <= step, 1.0), (steps >= step, 0.25)):
      if panel.dots:
        axes.plot(
          steps[part], y[part], 's', color=COLOURS[0], alpha=alpha, ms=2.5
        )
      else:
        axes.plot(steps[part], y[part], dash, color=colour, alpha=alpha, lw=1.3)
    if panel.rings is not None:
      is_crowded = np.isfinite(panel.rings[:, i]).sum() > _MOST_RINGS
      axes.plot(
        steps,
        panel.rings[:, i],
        *(('-',) if is_crowded else ('o',)),
        color=colour,
        alpha=0.3 if is_crowded else 1,
        lw=4,
        mfc='none',
        ms=6,
        mew=1.4,
      )
  axes.axvline(step, color=GREY, lw=0.8)
  axes.tick_params(labelsize=7.5)


def _inputs(inputs):
  one_hot = np.isin(inputs, (0, 1)).all() and (inputs.sum(1) <= 1).all()
  if inputs.shape[1] < _SYMBOLS_FROM or not one_hot:
    return Panel('inputs', inputs)
  symbols = np.where(inputs.any(1), inputs.argmax(1) + 1.0, np.nan)
  return Panel('input\nsymbol', symbols[:, None], dots=True)


def _outputs(trace):
  outputs, targets = np.asarray(trace['outputs']), np.asarray(trace['targets'])
  counts = np.asarray(trace['mask'])[:, None] > 0
  if outputs.shape[1] <= _MOST_LINES:
    return Panel('outputs', outputs, np.where(counts, targets, np.nan))
  # Of many symbols: what the right one gets, and the largest of the others.
  right = targets.argmax(1)[:, None]
  of_right = np.take_along_axis(outputs, right, axis=1)
  other_outputs = outputs.copy()
  np.put_along_axis(other_outputs, right, -np.inf, axis=1)
  values = np.concatenate(
    [of_right, other_outputs.max(1, keepdims=True)], axis=1
  )
  rings = np.full(values.shape, np.nan)
  rings[:, :1] = np.take_along_axis(targets, right, axis=1)
  return Panel(
    'right\noutput,\nlargest\nother',
    np.where(counts, values, np.nan),
    np.where(counts, rings, np.nan),
  )
