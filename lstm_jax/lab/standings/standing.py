"""The standings: all scores of all sources, by entry and course."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lstm_jax.lab.standings.ranks import Rank, ranks_of
from lstm_jax.lab.standings.scores import Course, Score


class Standings(NamedTuple):
  """Entries and courses, and what each did on each.

  Attributes:
    courses: those of a line together, shorter ones first.
    entries: those that solved most courses first.
    scores: (course, entry) -> score.
    ranks: (course, entry) -> rank, of entries that have trials there.
    warnings: one sentence each.
  """

  courses: tuple[Course, ...]
  entries: tuple[str, ...]
  scores: Mapping[tuple[str, str], Score]
  ranks: Mapping[tuple[str, str], Rank]
  warnings: tuple[str, ...]

  def solved_courses(self, entry: str) -> int:
    """Count of courses that at least half of an entry's trials solve."""
    return sum(
      score.is_solved for (_, of), score in self.scores.items() if of == entry
    )

  def longest(self, line: str, entry: str) -> Course | None:
    """The longest course of a line that an entry solves, and all before it."""
    longest = None
    for course in self.courses:
      if course.line == line:
        score = self.scores.get((course.name, entry))
        if score is None or not score.is_solved:
          break
        longest = course
    return longest


def standings_of(sources: Sequence[tuple[str, Iterable[Score]]]) -> Standings:
  """Joins the scores of several sources.

  Where two have the same trials of an entry they count once. Where its trials
  or its setting are others, the later source's stands beside the first, called
  `ENTRY [SOURCE]`.

  Args:
    sources: names, as of folders, with scores; the first counts first.
  """
  courses: dict[str, Course] = {}
  scores: dict[tuple[str, str], Score] = {}
  warnings: dict[str, None] = {}
  for source, of_source in sources:
    scores_here = []
    for score in of_source:
      course = courses.setdefault(score.course.name, score.course)
      if course == score.course:
        scores_here.append(score)
      else:
        warnings[
          f'{source}: its course {course.name} has another length or budget '
          'than the first source says; its scores are left out.'
        ] = None
    for score in _told_apart(scores_here, scores, source):
      scores.setdefault((score.course.name, score.entry), score)
  entries = dict.fromkeys(entry for _, entry in scores)
  lines = dict.fromkeys(course.line for course in courses.values())
  place = {line: i for i, line in enumerate(lines)}
  standings = Standings(
    tuple(
      sorted(
        courses.values(),
        key=lambda course: (place[course.line], course.length or 0),
      )
    ),
    tuple(entries),
    scores,
    _ranks(courses, scores),
    (*warnings, *_code_warnings(scores)),
  )
  return standings._replace(
    entries=tuple(
      sorted(entries, key=lambda entry: -standings.solved_courses(entry))
    )
  )


def _told_apart(new_scores, scores, source):
  """Scores of a source under names that no other entry has."""
  others = {
    score.entry
    for score in new_scores
    if not _is_same(scores.get((score.course.name, score.entry)), score)
  }
  taken = {entry for _, entry in scores} | {s.entry for s in new_scores}
  names = {}
  for entry in sorted(others):
    name, number = f'{entry} [{source}]', 2
    while name in taken:
      name, number = f'{entry} [{source}, {number}]', number + 1
    taken.add(name)
    names[entry] = name
  return [s._replace(entry=names.get(s.entry, s.entry)) for s in new_scores]


def _is_same(one, other):
  """Tells whether two scores of a name on a course are of the same trials."""
  if one is None:
    return True
  if one.setting != other.setting:
    return False
  return one.sequences == other.sequences or not (one.trials and other.trials)


def _ranks(courses, scores):
  """(course, entry) -> rank."""
  ranks = {}
  for course in courses:
    of_course = [
      score
      for (of, _), score in scores.items()
      if of == course and score.trials
    ]
    for score, rank in zip(of_course, ranks_of(of_course), strict=True):
      ranks[course, score.entry] = rank
  return ranks


def _code_warnings(scores):
  """A sentence on entries that other sources ran than those of most."""
  by_code: dict[str, dict[str, None]] = {}
  for score in scores.values():
    by_code.setdefault(score.code, {})[score.entry] = None
  if len(by_code) < 2:
    return ()
  most = max(by_code, key=lambda code: len(by_code[code]))
  return tuple(
    f'Made with other code ({code}) than most ({most}): {", ".join(entries)}.'
    for code, entries in by_code.items()
    if code != most
  )
