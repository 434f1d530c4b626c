"""Places of a picture that show a share of trials, as a shade and a figure."""

import textwrap

from svg import text

SHADE = '#0072b2'
BAND = 0.4  # opacity of a place without trials
LETTER = 7.5  # width of one, as a mean


def row(y, x_of, wide, high, scores):
  """The places of an entry.

  Args:
    y: of their upper edges.
    x_of: course -> left edge.
    wide, high: of a place.
    scores: course -> its score, of those that it met.
  """
  parts = []
  for course, x in x_of.items():
    score = scores.get(course)
    counts = (score.solved, score.trials) if score else (0, 0)
    parts += _square(x, y, wide, high, *counts)
  return parts


def _square(x, y, wide, high, solved, trials):
  """The place of an entry on a course; no trials: it was not run."""
  size = f'x="{x:.1f}" y="{y:.1f}" width="{wide - 2}" height="{high - 2}"'
  if not trials:
    return [f'<rect class="band" {size} fill-opacity="{BAND}"/>']
  share = solved / trials
  dark = 'style="fill:#fff"' if share > 0.55 else ''
  shade = f'<rect {size} fill="{SHADE}" fill-opacity="{share:.2f}"/>'
  words = f'{solved}/{trials}' if solved else '·'
  label = (
    f'<text x="{x + wide / 2 - 1:.1f}" y="{y + high - 6:.1f}" '
    f'text-anchor="middle" font-size="11" {dark}>{words}</text>'
  )
  return [f'<rect class="band" {size}/>', shade, label]


def heads(lines, left, top, wide):
  """Names of tasks over their lags, wrapped to the width of a task's places.

  Args:
    lines: name of a task -> its courses, by length.
    left, top: of the places below.
    wide: of a place.

  Returns:
    Parts of the drawing, and course -> its left edge.
  """
  parts, x, x_of = [], float(left), {}
  for line, courses in lines.items():
    middle = x + len(courses) * wide / 2
    rows = textwrap.wrap(
      line, max(int(len(courses) * wide / LETTER), 1), break_long_words=False
    )
    for number, words in enumerate(rows):
      y = top - 28 - 15 * (len(rows) - 1 - number)
      parts.append(text(middle, y, words, '', 'middle'))
    for course in courses:
      x_of[course] = x
      lag = '' if course.length is None else f'{course.length}'
      parts.append(text(x + wide / 2, top - 8, lag, 'grey', 'middle'))
      x += wide
    x += 8
  return parts, x_of
