"""Writes docs/quickstart.svg, from docs/quickstart.csv.

  python docs/_figures/quickstart.py

One mark a trial: how many training sequences it took, against the length. What
was not solved within the budget stands in the band above.
"""

import csv
import statistics
from pathlib import Path

from svg import drawing, line, mark, text

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
  return drawing(WIDTH, HEIGHT, summary(rows), parts)


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


if __name__ == '__main__':
  main()
