"""Figure of a report: what goes on in a solved network over one sequence."""

from typing import TYPE_CHECKING

import numpy as np

from lstm_jax.lab.report.style import COLOURS, INK
from lstm_jax.lab.report.trace import Trace

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_MOST_STEPS = 1_500  # beyond, a line is drawn as the span of each bin
_MOST_RINGS = 20  # steps with a target beyond have no rings
_MOST_LINES = 8  # outputs beyond are drawn as symbols
_MAX_PANELS = 3  # inputs up to this many have panels of their own
_DASHES = ('-', '--', ':', '-.')
CAPTION = (
  'Colours: blocks; dashes: cells of a block; rings or pale lines: targets '
  'where the error counts.'
)
_TITLES = {
  's_c': 'internal\nstates',
  'y_c': 'cell\noutputs',
  'h': 'hidden\nunits',
}


def draw_sequence(
  trace: Trace, title: str = '', blocks: int | None = None
) -> 'Figure':
  """Inputs, gates, states, outputs and targets of one sequence, aligned.

  One-hot inputs of four lines or more are drawn as symbols; up to three real
  inputs have a panel each. Gates and cells have the colour of their block and
  cells of one block differ in dashes. Of many outputs, or targets, the largest
  is drawn beside the target's. Targets are rings where the error counts.

  Args:
    trace: dict with `inputs` [T, I], `outputs` [T, K], `targets` [T, K],
      `mask` [T] (1 where the error counts), `carry` (field -> [T, n]; of memory
      cells `s_c`, `y_c` and `y_gates`, input gates first), perhaps `gates`
      (kind -> [T, n]) and `names` ('inputs' and 'outputs' -> names of the
      lines).
    title: of the figure.
    blocks: number of memory blocks; None: as many as there are gates of a
      kind, or one a unit.

  Returns:
    A matplotlib `Figure`.
  """
  from matplotlib.figure import Figure
  from matplotlib.layout_engine import ConstrainedLayoutEngine

  panels = _panels(trace, blocks)
  heights = [height for height, *_ in panels]
  figure = Figure(
    (9, 0.9 + sum(heights)), layout=ConstrainedLayoutEngine(h_pad=0.03)
  )
  grid = figure.subplots(
    *(len(panels), 1),
    sharex=True,
    squeeze=False,
    gridspec_kw={'height_ratios': heights},
  )
  steps = len(trace['inputs'])
  for axes, (_, name, draw) in zip(grid[:, 0], panels, strict=True):
    draw(axes)
    axes.set_ylabel(name, rotation=0, ha='right', va='center', fontsize=9)
    axes.tick_params(labelsize=8, bottom=axes is grid[-1, 0])
    axes.grid(axis='x', alpha=0.18)
    axes.margins(y=0.12)
  axes.set_xlim(-0.01 * steps, 1.015 * steps)
  axes.set_xlabel('time step')
  figure.align_ylabels()
  if title:
    figure.suptitle(title, fontsize=11)
  return figure


def _panels(trace, blocks):
  """(height in inches, name, function that draws on axes), top to bottom."""
  inputs = np.asarray(trace['inputs'])
  names = trace.get('names', {})
  panels = _input_panels(inputs, names.get('inputs'))
  carry = {name: np.asarray(values) for name, values in trace['carry'].items()}
  gates = {kind: np.asarray(v) for kind, v in trace.get('gates', {}).items()}
  count = blocks or max((v.shape[1] for v in gates.values()), default=0)
  carry.pop('y_gates', None)
  for kind, values in gates.items():
    draw = _lines(values, values.shape[1], unit=True)
    panels.append((0.8, f'{kind}\ngates', draw))
  for field, values in carry.items():
    if values.ndim == 2 and values.shape[1]:
      name = _TITLES.get(field, field)
      panels.append((0.95, name, _lines(values, count)))
  outputs, targets = np.asarray(trace['outputs']), np.asarray(trace['targets'])
  mask = np.asarray(trace['mask']) > 0
  number = outputs.shape[1]
  if number > _MOST_LINES or (number > 2 and mask.sum() > _MOST_RINGS):
    panels.append((1.3, 'output\n(largest)', _largest(outputs, targets, mask)))
  else:
    draw = _outputs(outputs, targets, mask, names.get('outputs'))
    panels.append((1.0, 'outputs,\ntargets', draw))
  return panels


def _input_panels(inputs, names):
  number = inputs.shape[1]
  names = names or [f'input {i + 1}' for i in range(number)]
  if number > _MAX_PANELS and _is_one_hot(inputs):
    height = min(2.0, 0.5 + 0.1 * number)
    return [(height, 'input\nsymbol', _symbols(inputs, names))]
  if number > _MAX_PANELS:
    return [(0.9, 'inputs', _lines(inputs, number))]
  return [
    (0.6, names[i], _lines(inputs[:, i : i + 1], 1, INK)) for i in range(number)
  ]


def _is_one_hot(values):
  return bool(
    np.all((values == 1).sum(1) + (values == 0).sum(1) == values.shape[1])
    and np.all((values == 1).sum(1) <= 1)
  )


def _lines(values, blocks, colour=None, unit=False):
  """Draws `[T, n]` values; the n lines belong to blocks in equal parts."""

  def draw(axes):
    number = values.shape[1]
    size = number // blocks if blocks and number % blocks == 0 else 1
    for i in range(number):
      block, cell = divmod(i, max(size, 1))
      axes.plot(
        *_envelope(values[:, i]),
        color=colour or COLOURS[block % len(COLOURS)],
        linestyle=_DASHES[cell % len(_DASHES)],
        linewidth=1.2 if number < 9 else 0.9,
      )
    if unit:
      axes.set_ylim(-0.08, 1.08)
      axes.set_yticks([0, 1])

  return draw


def _envelope(values):
  """(steps, values); of very many steps the span of each bin."""
  steps = len(values)
  if steps <= _MOST_STEPS:
    return np.arange(steps), values
  size = -(-steps // (_MOST_STEPS // 2))
  blocks = np.pad(values, (0, -steps % size), mode='edge').reshape(-1, size)
  ends = np.stack([blocks.min(1), blocks.max(1)], 1).reshape(-1)
  return np.repeat(np.arange(len(blocks)) * size, 2), ends


def _dashes_at(steps, index):
  """Short strokes at `(step, index)`, as one line with gaps."""
  # Of many steps each stroke is longer than its step, or it is not seen.
  half = np.full(len(steps), max(0.5, np.max(steps, initial=0) / 600))
  gap = np.full(len(steps), np.nan)
  x = np.stack([steps - half, steps + half, gap], 1).reshape(-1)
  y = np.stack([index, index, gap], 1).reshape(-1)
  return x, y


def _unique_bins(index):
  """(steps, index); of very many steps each symbol once a bin."""
  steps = np.arange(len(index))
  if len(index) <= _MOST_STEPS:
    return steps, index
  size = -(-len(index) // _MOST_STEPS)
  pairs = np.unique(np.stack([steps // size * size, index], 1), axis=0)
  return pairs[:, 0], pairs[:, 1]


def _symbols(inputs, names):
  def draw(axes):
    number = inputs.shape[1]
    index = np.where(inputs.any(1), inputs.argmax(1), -1)
    width = max(1.6, min(5, 60 / number))
    steps, index = _unique_bins(index)
    axes.plot(
      *_dashes_at(steps[index >= 0], index[index >= 0]),
      color=INK,
      linewidth=width,
      solid_capstyle='butt',
    )
    axes.set_ylim(number - 0.4, -0.6)
    if number <= 12:
      names_short = [str(name).removeprefix('input ') for name in names]
      axes.set_yticks(range(number), names_short, fontsize=7)

  return draw


def _largest(outputs, targets, mask):
  def draw(axes):
    right = np.where(mask & targets.any(1), targets.argmax(1), -1)
    steps, index = _unique_bins(right)
    axes.plot(
      *_dashes_at(steps[index >= 0], index[index >= 0]),
      color=COLOURS[4],
      alpha=0.6,
      linewidth=5,
      solid_capstyle='butt',
      label='target',
    )
    steps, index = _unique_bins(outputs.argmax(1))
    axes.plot(
      *_dashes_at(steps, index),
      color=INK,
      linewidth=1.4,
      solid_capstyle='butt',
      label='output',
    )
    axes.set_ylim(outputs.shape[1] - 0.4, -0.6)
    axes.legend(
      loc='upper left', bbox_to_anchor=(1, 1), fontsize=8, frameon=False
    )

  return draw


def _outputs(outputs, targets, mask, names):
  def draw(axes):
    number = outputs.shape[1]
    has_rings = mask.sum() <= _MOST_RINGS
    for i in range(number):
      colour = COLOURS[i % len(COLOURS)]
      dash = _DASHES[i // len(COLOURS)]
      name = names[i] if names else f'output {i + 1}'
      axes.plot(
        *_envelope(outputs[:, i]),
        color=colour,
        linestyle=dash,
        linewidth=1.2,
        label=name,
      )
      if has_rings:
        axes.plot(
          *(np.flatnonzero(mask), targets[mask, i], 'o'),
          color='none',
          markeredgecolor=colour,
          markersize=7,
          markeredgewidth=1.5,
        )
      else:
        values = np.where(mask, targets[:, i], np.nan)
        axes.plot(*_envelope(values), color=colour, alpha=0.35, linewidth=4)
    if 1 < number:
      axes.legend(
        loc='upper left', bbox_to_anchor=(1, 1.1), fontsize=7, frameon=False
      )

  return draw
