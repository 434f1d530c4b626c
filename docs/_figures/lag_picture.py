"""The picture of the lag law: how many sequences, and who learns which lag."""

import math

from svg import drawing, line, mark, text

from lstm_jax.lab.report import statistics

# Rows drawn at the left -> what they are called there, colour, mark.
CURVES = {
  'adding': ('adding, lag T/2', '#0072b2', 'circle'),
  'adding-early': ('adding, lag T', '#007a59', 'triangle'),
  '6a': ('temporal order', '#c24f00', 'square'),
  'multiplication': ('multiplication', '#7a3e9d', 'plus'),
  'trigger': ('trigger (2c)', '#56616c', 'down'),
  'paper-reading': ('adding, as in 1997', '#16202a', 'ring'),
}
# Rows at the right, in order -> what they are called; others follow.
NAMES = {
  'adding': 'adding',
  'adding-early': 'adding, marks early',
  '6a': 'temporal order',
  '6b': 'the same, 3 symbols',
  'multiplication': 'multiplication',
  'two-sequence': 'two-sequence',
  'trigger': 'trigger (2c)',
  'no-restart': 'adding, no restarts',
  'no-lag-bias': 'adding, biases of 1997',
  'small-start': 'adding, small start',
  'adam': 'adding, Adam',
  'sgd': 'adding, plain descent',
  'paper-reading': 'adding, as in 1997',
  'paper-letter': 'adding, by the letter',
  'adding-8x1': 'adding, 8 blocks',
  'adding-early-8x1': 'marks early, 8 blocks',
  '6a-8x1': 'temporal order, 8 blocks',
  'no-restart-8x1': '8 blocks, no restarts',
  'no-lag-bias-8x1': '8 blocks, biases of 1997',
}
DECADES = range(2, 8)  # of T
WIDTH = 900
LEFT, PANEL = 74, 380  # of the axes
TOP, BOTTOM = 64, 352
FEWEST, MOST = 2, 6  # of log10 of sequences
NAMES_END, CELL = 656, 20
SHADE = '#0072b2'


def picture(series, published):
  """The SVG of recipe -> lag -> trials, and of published points."""
  names = [name for name in NAMES if name in series]
  names += [name for name in series if name not in NAMES]
  parts = [
    text(LEFT, 30, 'Training sequences until learned', 'title'),
    text(NAMES_END + 8, 30, 'Who learns which lag', 'title', 'middle'),
    *axes(),
    *(part for name in CURVES for part in curve(series, name)),
    *points(published),
    *legend(series, published),
    *ends(series, names),
  ]
  height = max(BOTTOM + 112, TOP + CELL * len(names) + 70)
  return drawing(WIDTH, height, summary(series), parts, size=14)


def summary(series):
  """The picture in a sentence."""
  words = []
  for name, (called, *_) in CURVES.items():
    if lags := {t: v for t, v in series.get(name, {}).items() if half(v)}:
      medians = [statistics.median(v) for v in lags.values()]
      words.append(
        f'{called}: learned from T = {min(lags):,} to {max(lags):,} in '
        f'{min(medians):,.0f} to {max(medians):,.0f} sequences'
      )
  return '; '.join(words)


def half(values):
  """Tells whether more than half of the trials have learned."""
  return statistics.median(values) < math.inf


def at_lag(length):
  """The x of a lag."""
  share = (math.log10(length) - DECADES[0]) / (DECADES[-1] - DECADES[0])
  return LEFT + PANEL * share


def at_count(count):
  """The y of a number of sequences."""
  share = (math.log10(count) - FEWEST) / (MOST - FEWEST)
  return BOTTOM - (BOTTOM - TOP) * min(max(share, 0), 1)


def axes():
  """The grid of the left panel and what stands at it."""
  for exponent in DECADES:
    x = at_lag(10**exponent)
    yield line(x, TOP, x, BOTTOM)
    yield text(x, BOTTOM + 20, f'10{raised(exponent)}', 'grey', 'middle')
  for exponent in range(FEWEST, MOST + 1):
    y = at_count(10**exponent)
    yield line(LEFT, y, LEFT + PANEL, y)
    yield text(LEFT - 8, y + 5, f'10{raised(exponent)}', 'grey', 'end')
  middle = LEFT + PANEL / 2
  yield text(middle, BOTTOM + 40, 'steps of a sequence, T', 'grey', 'middle')


def raised(exponent):
  """A digit above the line."""
  return '⁰¹²³⁴⁵⁶⁷⁸⁹'[exponent]


def curve(series, name):
  """Medians of a row with their intervals, joined."""
  _, colour, shape = CURVES[name]
  lags = {t: v for t, v in series.get(name, {}).items() if half(v)}
  places = [
    (at_lag(t), at_count(statistics.median(v))) for t, v in lags.items()
  ]
  path = ' L'.join(f'{x:.1f} {y:.1f}' for x, y in places)
  if places:
    yield (
      f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    )
  for (x, y), values in zip(places, lags.values(), strict=True):
    if interval := statistics.median_interval(values):
      low, high = (at_count(min(n, 10**MOST)) for n in interval)
      yield (
        f'<path d="M{x:.1f} {low:.1f} V{high:.1f}" stroke="{colour}" '
        'stroke-opacity="0.6"/>'
      )
    yield mark(shape, x, y, colour)


def looks(point):
  """`(name, colour, mark)` of a published point."""
  colour = CURVES[point['series']][1]
  if point['source'].startswith('LEM'):
    return 'adding, published 2022 (LEM)', colour, 'diamond'
  called = CURVES[point['series']][0].split(',')[0]
  return f'{called}, published 1997', colour, 'cross'


def points(published):
  """What others have published."""
  for point in published:
    if point['series'] in CURVES:
      _, colour, shape = looks(point)
      x, y = at_lag(int(point['length'])), at_count(float(point['sequences']))
      yield mark(shape, x, y, colour)


def legend(series, published):
  """Names of the marks, below the left panel."""
  shown = [look for name, look in CURVES.items() if name in series]
  others = [looks(p) for p in published if p['series'] in CURVES]
  for number, (name, colour, shape) in enumerate(
    [*shown, *dict.fromkeys(others)]
  ):
    x, y = LEFT - 30 + 262 * (number % 2), BOTTOM + 64 + 20 * (number // 2)
    yield mark(shape, x, y - 5, colour)
    yield text(x + 14, y, name)


def ends(series, names):
  """A line of cells a row, a cell a lag: the deeper, the more have learned."""
  for exponent in DECADES:
    x = at_cell(10**exponent) + CELL / 2
    yield text(x, TOP - 8, f'10{raised(exponent)}', 'grey', 'middle')
  for number, name in enumerate(names):
    y = TOP + CELL * number
    yield text(NAMES_END, y + 15, NAMES.get(name, name), '', 'end')
    for length, values in series[name].items():
      solved = sum(map(math.isfinite, values)) / len(values)
      x = at_cell(length)
      yield (
        f'<rect x="{x:.1f}" y="{y + 1}" width="{CELL - 2}" height="{CELL - 2}" '
        f'fill="{SHADE}" fill-opacity="{solved:.2f}" stroke="#8a94a0"/>'
      )
      if solved < 0.5:
        yield mark('cross', x + CELL / 2 - 1, y + CELL / 2, '#c24f00')
  y = TOP + CELL * len(names) + 24
  yield text(
    at_cell(10 ** DECADES[-1]) + CELL,
    y,
    'deep: every trial; a cross: less than half',
    'grey',
    'end',
  )


def at_cell(length):
  """The x of the cell of a lag, two cells a decade."""
  return NAMES_END + 12 + CELL * round(2 * (math.log10(length) - DECADES[0]))
