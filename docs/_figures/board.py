"""Writes the standard board of benchmark.md, from the table of its trials.

  python docs/_figures/board.py FOLDER   takes the trials of a run folder first
  python docs/_figures/board.py          all again from the kept table

The table is what the package itself puts beside an entry from outside,
`lstm_jax/lab/standings/measured/benchmark-standard.csv`. From it come
benchmark.svg and what stands in benchmark.md between its marks.
"""

import re
import sys
from pathlib import Path

import shares
from svg import drawing, text

from lstm_jax.lab.standings import table_file, write
from lstm_jax.lab.standings.standing import standings_of
from lstm_jax.lab.store import folder

DOCS = Path(__file__).parent.parent
PAGE, PICTURE = DOCS / 'benchmark.md', DOCS / 'benchmark.svg'
TABLE = write.MEASURED / 'benchmark-standard.csv'
MARK = re.compile(
  r'(<!-- from: benchmark-standard.csv -->\n).*?(<!-- end -->)', re.S
)
LEFT, TOP, WIDE, HIGH = 130, 128, 46, 24


def standings(scores):
  """The standings of the scores of a table."""
  return standings_of([('standard', scores)])


def lines_of(table):
  """Name of a task -> its courses, by length."""
  lines: dict[str, list] = {}
  for course in table.courses:
    lines.setdefault(course.line, []).append(course)
  return lines


def ends_of(table):
  """Names of the shortest and of the longest course of each task."""
  groups = lines_of(table).values()
  return {g[0].name for g in groups}, {g[-1].name for g in groups if g[1:]}


def section(scores):
  """Table: what each entry solves, and where nobody is ahead of it."""
  table = standings(scores)
  short, long = ends_of(table)
  lines = [
    '| entry | courses solved | shortest lag | longest lag | '
    'nobody is ahead | behind somebody |',
    '|---|---:|---:|---:|---:|---:|',
  ]
  for entry in table.entries:
    of_entry = {c: s for (c, e), s in table.scores.items() if e == entry}
    solved = {course for course, score in of_entry.items() if score.is_solved}
    ranks = [table.ranks[course, entry] for course in solved]
    firsts = sum(rank.first == 1 for rank in ranks)
    behind = sum(table.ranks[course, entry].first > 1 for course in of_entry)
    shares_of = ' | '.join(
      f'{len(solved & courses)}/{len(courses)}'
      for courses in (set(of_entry), short, long)
    )
    lines.append(f'| {entry} | {shares_of} | {firsts} | {behind} |')
  return '\n'.join(lines) + '\n'


def picture(scores):
  """Entries by courses: the share of trials that solve, as a shade."""
  table = standings(scores)
  words, x_of = shares.heads(lines_of(table), LEFT, TOP, WIDE)
  parts = [
    text(24, 34, 'Which cell and rule solves which task at which lag', 'title'),
    text(24, 58, 'Shade and figure: trials that solve, of all', 'grey'),
    *words,
  ]
  y = float(TOP)
  for entry in table.entries:
    parts.append(text(LEFT - 8, y + 16, entry, '', 'end'))
    of_entry = {s.course: s for s in scores if s.entry == entry}
    parts += shares.row(y, x_of, WIDE, HIGH, of_entry)
    y += HIGH
  summary = 'Trials that solve, by entry and course'
  right = max(x_of.values()) + WIDE
  return drawing(right + 24, y + 16, summary, parts, 13)


def page_of(scores, page):
  """The page with what its trials say between its marks."""
  return MARK.sub(lambda found: found[1] + section(scores) + found[2], page)


def main(paths):
  """Takes trials, and writes table, picture and page."""
  if paths:
    (path,) = paths
    scores = write.of_folder(folder.open_folder(Path(path)))[1]
    table = standings(scores)
    if any(score.missing for score in scores):
      sys.exit(f'{path}: has trials to come')
    ordered = [
      table.scores[course.name, entry]
      for course in table.courses
      for entry in table.entries
      if (course.name, entry) in table.scores
    ]
    TABLE.write_text(table_file.text_of(ordered, table.ranks))
  scores = table_file.read(TABLE)
  PICTURE.write_text(picture(scores))
  PAGE.write_text(page_of(scores, PAGE.read_text()))


if __name__ == '__main__':
  main(sys.argv[1:])
