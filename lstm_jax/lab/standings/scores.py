"""Scores: the trials of an entry on a course, summed up.

A course is a row of a grid with entries (a task at a length), an entry a cell
with its learner and their options. A trial that did not solve its task, for
whatever reason, took longer than any that did: its sequences are infinite.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lstm_jax.lab.plan import entries, programs
from lstm_jax.lab.report import statistics, tuned
from lstm_jax.lab.report.naming import alike
from lstm_jax.lab.report.runs import Run
from lstm_jax.lab.store.setting import Setting
from lstm_jax.ops.intervals import Interval, wilson


class Course(NamedTuple):
  """A task at a length, which all entries meet.

  Attributes:
    name: of the row.
    line: what rows of several lengths have in common.
    length: T; None where the task has none.
    budget: sequences that a trial may see.
  """

  name: str
  line: str
  length: int | None
  budget: int


class Score(NamedTuple):
  """The trials of an entry on a course.

  Attributes:
    entry: its name.
    course: what it met.
    setting: words on what it is: its cell, its learner, their options.
    sequences: to success, of all trials that ended, ascending; infinite for one
      that did not solve.
    seconds: median of a solved trial; None without.
    missing: trials still to come.
    code: the sources that ran: a commit, or a version.
    notes: what is to be known of how it was made.
    tuning: the size of the search that chose the setting; '' for none.
  """

  entry: str
  course: Course
  setting: str
  sequences: tuple[float, ...]
  seconds: float | None
  missing: int
  code: str
  notes: tuple[str, ...] = ()
  tuning: str = ''

  @property
  def trials(self) -> int:
    """Count of those that ended."""
    return len(self.sequences)

  @property
  def solved(self) -> int:
    """Count of those that solved the task."""
    return sum(map(math.isfinite, self.sequences))

  @property
  def interval(self) -> Interval:
    """Wilson's 95 % interval of the share solved."""
    return wilson(self.solved, self.trials)

  @property
  def median(self) -> float:
    """Sequences to success of all trials; infinite if half did not solve."""
    return statistics.median(self.sequences) if self.sequences else math.inf

  @property
  def median_interval(self) -> Interval | None:
    """Its distribution-free 95 % interval; None where trials are too few."""
    return statistics.median_interval(self.sequences) if self.trials else None

  @property
  def is_solved(self) -> bool:
    """True where at least half of the trials solved it."""
    return self.trials > 0 and 2 * self.solved >= self.trials


def of_run(run: Run) -> list[Score]:
  """The scores of a run folder, () where its rows are not of entries.

  Args:
    run: of `runs.read`.
  """
  groups: dict[tuple[str, str, str], list[str]] = {}
  words: dict[object, str] = {}  # of a family
  for name, setting in run.trials.items():
    if course := entries.course_of(setting):
      if setting.family not in words:
        words[setting.family] = alike(setting)
      key = course, setting.reading, words[setting.family]
      groups.setdefault(key, []).append(name)
  return [_score(entry, names, run) for (_, entry, _), names in groups.items()]


def _score(entry, names, run):
  setting = run.trials[names[0]]
  tuning = setting.tuning or {}
  rows = [run.rows[name] for name in names if name in run.rows]
  seconds = sorted(
    row['seconds']
    for row in rows
    if row['status'] == 'solved' and row['seconds'] is not None
  )
  return Score(
    entry=entry,
    course=course_of(setting),
    setting=words_of(setting),
    sequences=tuple(sorted(map(_sequences_of, rows))),
    seconds=seconds[len(seconds) // 2] if seconds else None,
    missing=len(names) - len(rows),
    code=_code_of(run.provenance),
    notes=tuned.futility_words(tuning) + _notes(rows),
    tuning=tuned.size(tuning) if tuning else '',
  )


def course_of(setting: Setting) -> Course:
  """The course of a setting of an entry."""
  name = entries.course_of(setting)
  return Course(name, setting.line, setting.length, setting.budget)


def words_of(setting: Setting) -> str:
  """Words on what is entered, without what it meets."""
  sizes = {'hidden': setting.hidden, 'learning_rate': setting.learning_rate}
  words = [f'{name}={value}' for name, value in sizes.items() if value]
  words += [
    word
    for word in programs.changed_words(setting)
    if not word.startswith('task.')
  ]
  return ' '.join((setting.cell, setting.learner, *dict.fromkeys(words)))


def _sequences_of(row):
  """Sequences to success of a trial."""
  is_solved = row['status'] == 'solved'
  return float(row['sequences_to_success']) if is_solved else math.inf


def _code_of(provenance):
  """The sources of a run in a word."""
  commit = str(provenance.get('commit') or '')[:10]
  if not commit:
    return f'version {provenance.get("lstm_jax") or "unknown"}'
  return commit + ('+changes' if provenance.get('changes') else '')


def _notes(rows: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
  """Words on trials that did not go as planned, each with its count."""
  counts = {
    'failed': sum(row['status'] == 'failed' for row in rows),
    'diverged': sum(row['status'] == 'diverged' for row in rows),
    'with other code, versions or machine than its plan': sum(
      bool(row.get('drift')) for row in rows
    ),
  }
  return tuple(f'{count} {word}' for word, count in counts.items() if count)
