"""Writes docs/quickstart.svg, from docs/quickstart.csv.

  python docs/_figures/quickstart.py

One mark a trial: how many training sequences it took, against the length. What
was not solved within the budget stands in the band above.
"""

import csv
import statistics
from pathlib import Path

DOCS = Path(__file__).parent.parent
TASKS = {
  'adding': 'The adding problem',
  'temporal_order': 'Temporal order',
}
# (cell, learner, whether the window is shorter than the sequence) -> how drawn.
KINDS = {
  ('lstm1997', 'truncated1997', False): (
    'LSTM, the rule of 1997',
    '#0072b2',
    'circle',
  ),
  ('lstm1997', 'bptt', False): (
    'LSTM, full back-propagation',
    '#007a59',
    'triangle',
  ),
  ('lstm1997', 'bptt', True): (
    'LSTM, errors travel 3 or 10 steps',
    '#c24f00',
    'square',
  ),
  ('srn', 'bptt', False): (
    'simple network, full back-propagation',
    '#16202a',
    'cross',
  ),
}
WIDTH, HEIGHT = 820, 470
LEFT, PANEL, GAP = 76, 330, 54
TOP, BOTTOM = 118, 330  # of the axis of sequences
BAND = 66  # y of what was not solved
MOST = 20_000  # sequences at TOP
STYLE = """
  .paper { fill: #fff } .band { fill: #f0f2f4 }
  text { fill: #16202a } .grey { fill: #56616c }
  line { stroke: #8a94a0 } .grid { stroke: #e3e7ea }
  .title { font-weight: 700; font-size: 18px }
"""


def main():
  """Writes the picture."""
  (DOCS / 'quickstart.svg').write_text(picture(kept_rows()), 'utf-8')


def kept_rows():
  """The trials that are kept, a dictionary each."""
  with (DOCS / 'quickstart.csv').open(encoding='utf-8') as file:
    return list(csv.DictReader(file))


def picture(rows):
  """The SVG of the trials of a quick start, `results.csv` row by row."""
  parts = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
    'role="img" aria-labelledby="what" font-size="15" font-family="system-ui, '
    "'Segoe UI', 'DejaVu Sans', sans-serif\">",
    f'<title id="what">{summary(rows)}</title>',
    f'<style>{STYLE}</style>',
    f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="12"/>',
    text(16, BAND - 2, 'not', 'grey'),
    text(16, BAND + 16, 'solved', 'grey'),
    text(16, TOP - 14, 'training sequences until solved', 'grey'),
  ]
  for at, task in enumerate(TASKS):
    x = LEFT + at * (PANEL + GAP)
    parts += panel([r for r in rows if r['task'] == task], x, TASKS[task])
  for at, (name, colour, shape) in enumerate(KINDS.values()):
    x, y = LEFT + (at % 2) * (PANEL + GAP), HEIGHT - 54 + 28 * (at // 2)
    parts += [mark(shape, x, y - 5, colour), text(x + 16, y, name)]
  return '\n'.join([*parts, '</svg>', ''])


def panel(rows, left, title):
  """One task: its axes, and a mark for each of its trials."""
  lengths = sorted({int(row['length']) for row in rows})
  middle = left + PANEL / 2
  parts = [
    text(middle, 28, title, 'title', 'middle'),
    f'<rect class="band" x="{left}" y="{BAND - 22}" width="{PANEL}" '
    'height="44" rx="6"/>',
    text(middle, BOTTOM + 44, 'length of the sequences', 'grey', 'middle'),
  ]
  for count in range(0, MOST + 1, 5000):
    y = height(count)
    parts.append(line(left, y, left + PANEL, y))
    parts.append(text(left - 8, y + 5, f'{count:,}', 'grey', 'end'))
  for at, length in enumerate(lengths):
    middle = left + PANEL * (at + 0.5) / len(lengths)
    parts.append(text(middle, BOTTOM + 22, f'T = {length}', '', 'middle'))
    for place, (kind, (_, colour, shape)) in enumerate(KINDS.items()):
      trials = [
        r for r in rows if int(r['length']) == length and is_of(r, kind)
      ]
      for seed, row in enumerate(sorted(trials, key=lambda r: int(r['seed']))):
        y = BAND + 12 * (seed % 2) - 6
        if row['status'] == 'solved':
          y = height(float(row['sequences_to_success']))
        x = middle + 20 * (place - 1.5) + 2.6 * (seed - 2.5)
        parts.append(mark(shape, x, y, colour))
  return parts


def is_of(row, kind):
  """Tells whether a trial is of this kind."""
  return (
    row['cell'],
    row['learner'],
    row['window'] not in ('', 'full'),
  ) == kind


def summary(rows):
  """The picture in a sentence, for those who do not see it."""
  words = []
  for kind, (name, *_) in KINDS.items():
    trials = [r for r in rows if is_of(r, kind)]
    solved = [r for r in trials if r['status'] == 'solved']
    part = f'{name}: {len(solved)} of {len(trials)} trials solved'
    if solved:
      counts = [float(r['sequences_to_success']) for r in solved]
      part += f', median {statistics.median(counts):,.0f} sequences'
    words.append(part)
  return '; '.join(words)


def height(count):
  """The y of a number of training sequences."""
  return BOTTOM - (BOTTOM - TOP) * count / MOST


def mark(shape, x, y, colour):
  """A mark of a shape of its own, so that colour is not needed."""
  fill = f'fill="{colour}" fill-opacity="0.75"'
  if shape == 'circle':
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" {fill}/>'
  if shape == 'square':
    return (
      f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" {fill}/>'
    )
  if shape == 'triangle':
    return f'<path d="M{x - 5.5:.1f} {y + 5:.1f} h11 l-5.5 -10 z" {fill}/>'
  return (
    f'<path d="M{x - 4.5:.1f} {y - 4.5:.1f} l9 9 m0 -9 l-9 9" '
    f'stroke="{colour}" stroke-width="2"/>'
  )


def line(x1, y1, x2, y2):
  """A line of the grid."""
  return f'<line class="grid" x1="{x1}" y1="{y1:.1f}" x2="{x2}" y2="{y2:.1f}"/>'


def text(x, y, words, style='', anchor='start'):
  """A line of text."""
  return (
    f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" '
    f'text-anchor="{anchor}">{words}</text>'
  )


if __name__ == '__main__':
  main()
