"""The board: standings as a page, before it is HTML or Markdown."""

import math
from collections.abc import Iterator

from lstm_jax.choices import count_of
from lstm_jax.lab.report import cells, content
from lstm_jax.lab.report.blocks import Block, Heading, Paragraph, Points
from lstm_jax.lab.report.cells import Cell, Table
from lstm_jax.lab.report.naming import anchor
from lstm_jax.lab.standings.scores import Course
from lstm_jax.lab.standings.standing import Standings

_KEY = (
  'Of each task the longest length that an entry bridges; below it the trials '
  'that solved each of its courses. At the end: how it is judged.'
)
_RULES = (
  'Solved: a trial meets the stop criterion of its task within its budget. '
  'All trials count; one that failed, diverged or was given up has not solved.',
  'Bridged: the longest course of a task that at least half of the trials '
  'solve, all shorter ones of the board being solved, too.',
  'Sequences: training sequences to success, the median of all trials, of '
  'which an unsolved one counts as more than any; with a 95 % interval.',
  'Seconds: of a solved trial, the median, many trials side by side.',
  'Rank: every pair of entries is compared on every course, by the share '
  "solved (Fisher's exact test), else by sequences (rank-sum test). That some "
  'pair of a course is told apart by chance has a probability of 5 % at most '
  '(Holm). A span is all that the trials allow.',
)


def page_of(standings: Standings, title: str) -> content.Report:
  """The page of some standings.

  Args:
    standings: of `standings_of`.
    title: what they are of.
  """
  blocks = [
    Paragraph(_lead(standings), 'lead'),
    *(Paragraph(words, 'warn') for words in standings.warnings),
    Paragraph(_KEY, 'soft', {'how it is judged': 'rules'}),
    _overview(standings),
    *_lines(standings),
    Heading('The entries', 2, 'entries'),
    _entries(standings),
    Heading('How it is judged', 2, 'rules'),
    Points(_RULES),
  ]
  return content.Report(title, blocks, [], [], [])


def _lead(standings):
  counts = {e: standings.solved_courses(e) for e in standings.entries}
  most = max(counts.values(), default=0)
  leaders = [entry for entry, count in counts.items() if count == most]
  entries = 'entry' if len(counts) == 1 else 'entries'
  courses = count_of(len(standings.courses), 'course')
  words = f'{len(counts)} {entries} on {courses}'
  if not most:
    return f'{words}: none is solved.'
  verb = 'solves' if len(leaders) == 1 else 'solve'
  who = ', '.join(leaders[:3]) + (
    f' and {len(leaders) - 3} more' * (len(leaders) > 3)
  )
  return f'{words}: {who} {verb} most, {most}.'


def _overview(standings):
  """Entries against tasks: how long a lag each bridges."""
  lines = list(dict.fromkeys(course.line for course in standings.courses))
  table = []
  for entry in standings.entries:
    solved = standings.solved_courses(entry)
    met = sum(of == entry for _, of in standings.scores)
    table.append(
      (
        Cell(entry),
        Cell(f'{solved}/{met}', '', solved / met),
        *(_bridged(standings, line, entry) for line in lines),
      )
    )
  return Table(
    ('entry', 'courses solved', *lines),
    (False, True, *(True for _ in lines)),
    tuple(table),
    tuple('' for _ in table),
    label='Longest courses solved, by entry and task',
  )


def _bridged(standings, line, entry):
  """The longest course that an entry solves, and its counts on each."""
  courses = [course for course in standings.courses if course.line == line]
  scores = [
    standings.scores[course.name, entry]
    for course in courses
    if (course.name, entry) in standings.scores
  ]
  if not scores:
    return Cell(cells.EMPTY)
  longest = standings.longest(line, entry)
  counts = ' · '.join(f'{score.solved}/{score.trials}' for score in scores)
  solved = sum(score.is_solved for score in scores)
  return Cell(_length_words(longest), counts, solved / len(courses))


def _length_words(course: Course | None) -> str:
  if course is None:
    return '✗'
  return '✓' if course.length is None else f'{course.length:,}'


def _lines(standings) -> Iterator[Block]:
  """A table a course, those of a task under its heading."""
  anchors: set[str] = set()
  last = None
  for course in standings.courses:
    if course.line != last:
      anchors.add(name := anchor(course.line, anchors))
      yield Heading(course.line, 2, name)
    last = course.line
    at = '' if course.length is None else f', T = {course.length:,}'
    yield Heading(f'{course.name}{at}, up to {course.budget:,} sequences', 3)
    yield _course_table(standings, course)


def _course_table(standings, course):
  scores = [
    standings.scores[course.name, entry]
    for entry in standings.entries
    if (course.name, entry) in standings.scores
  ]
  ranks = standings.ranks

  def place(score):
    rank = ranks.get((course.name, score.entry))
    return (rank.first, rank.last) if rank else (math.inf, math.inf)

  table = []
  for score in sorted(scores, key=place):
    low, high = score.interval
    remarks = [f'{score.missing} to come'] * bool(score.missing)
    table.append(
      (
        Cell(score.entry),
        Cell(str(ranks.get((course.name, score.entry), cells.EMPTY))),
        Cell(
          f'{score.solved}/{score.trials}',
          f'{100 * low:.0f}–{100 * high:.0f} %' if score.trials else '',
          score.solved / score.trials if score.trials else None,
        ),
        Cell(
          cells.count(score.median if score.trials else None),
          cells.interval(score.median_interval)
          if math.isfinite(score.median)
          else '',
        ),
        Cell(cells.number(score.seconds, '.2f')),
        Cell('; '.join((*remarks, *score.notes))),
      )
    )
  return Table(
    ('entry', 'rank', 'solved', 'sequences', 'seconds', 'remarks'),
    (False, True, True, True, True, False),
    tuple(table),
    tuple('' for _ in table),
    label=f'The course {course.name}',
  )


def _entries(standings):
  """Settings, search and code of each entry; where courses differ, each."""
  table = []
  for entry in standings.entries:
    scores = [s for (_, of), s in standings.scores.items() if of == entry]
    settings: dict[str, list[str]] = {}
    for score in scores:
      settings.setdefault(score.setting, []).append(score.course.name)
    words = (
      setting if len(settings) == 1 else f'{", ".join(names)}: {setting}'
      for setting, names in settings.items()
    )
    codes = dict.fromkeys(score.code for score in scores)
    sizes = dict.fromkeys(score.tuning or 'not' for score in scores)
    table.append(
      (
        Cell(entry),
        Cell('; '.join(words)),
        Cell(', '.join(sizes)),
        Cell(', '.join(codes)),
      )
    )
  return Table(
    ('entry', 'settings', 'tuned by', 'code'),
    (False, False, False, False),
    tuple(table),
    tuple('' for _ in table),
    label='The entries',
  )
