"""Scores as a file of their own, `board.csv`: a line for each, with its trials.

A board can be made of such files as of run folders, so what somebody has
measured is passed on as one small file.
"""

import contextlib
import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from lstm_jax.lab.standings.ranks import Rank
from lstm_jax.lab.standings.scores import Course, Score
from lstm_jax.lab.store import faults, files

COLUMNS = {
  'course': 'name of the course',
  'line': 'what courses of several lengths have in common',
  'length': 'T, time steps',
  'budget': 'training sequences allowed',
  'entry': 'name of the entry',
  'setting': 'its cell, its learner, their options',
  'trials': 'trials that ended',
  'solved': 'trials that solved the task',
  'low': 'lower end of the 95 % interval of the share solved',
  'high': 'upper end',
  'median': 'sequences to success, median of all trials; empty: not solved',
  'median_low': 'lower end of its 95 % interval',
  'median_high': 'upper end; empty: none',
  'seconds': 'median seconds of a solved trial',
  'rank': 'place among the entries of the course, or the places it may have',
  'missing': 'trials still to come',
  'code': 'commit or version that ran',
  'tuning': 'size of the search that chose the setting; empty: none',
  'notes': 'what did not go as planned',
  'sequences': 'to success, of each trial; -: not solved',
}
_LONGEST = 2**26  # bytes
_NEVER = '-'


def text_of(
  scores: Iterable[Score], ranks: Mapping[tuple[str, str], Rank]
) -> str:
  """The file of some scores.

  Args:
    scores: in order.
    ranks: (course, entry) -> its rank, where there is one.
  """
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(COLUMNS)
  for score in scores:
    writer.writerow(_line(score, ranks.get((score.course.name, score.entry))))
  return text.getvalue()


def read(path: Path) -> list[Score]:
  """The scores of a file.

  Args:
    path: of a file of `text_of`.

  Raises:
    Refused: no such file, or not one of these; names the line.
  """
  try:
    text = files.read_text(path, _LONGEST)
  except (FileNotFoundError, ValueError) as error:
    why = 'no such file' if isinstance(error, OSError) else error
    raise faults.Refused(f'{path}: {why}') from None
  lines = csv.DictReader(io.StringIO(text), strict=True)
  scores = []
  try:
    if tuple(lines.fieldnames or ()) != tuple(COLUMNS):
      raise faults.Refused(
        f'{path}: not a table of a board: its columns must be, with commas '
        f'between, {",".join(COLUMNS)}'
      )
    for line in lines:
      try:
        scores.append(_score(line))
      except ValueError as error:
        raise faults.Refused(
          f'{path}, line {lines.line_num}: {error}'
        ) from None
  except csv.Error as error:
    raise faults.Refused(f'{path}, line {lines.line_num}: {error}') from None
  return scores


def _line(score, rank):
  low, high = score.interval
  ends = score.median_interval or (None, None)
  return (
    score.course.name,
    score.course.line,
    score.course.length,
    score.course.budget,
    score.entry,
    score.setting,
    score.trials,
    score.solved,
    f'{low:.4f}',
    f'{high:.4f}',
    _count(score.median),
    *map(_count, ends),
    '' if score.seconds is None else f'{score.seconds:.3f}',
    rank,
    score.missing,
    score.code,
    score.tuning,
    '; '.join(score.notes),
    ' '.join(_count(value) or _NEVER for value in score.sequences),
  )


def _count(value):
  """A number of sequences; '' for one that is not known."""
  return '' if value is None or math.isinf(value) else f'{value:.12g}'


def _score(line):
  """The score of a line; what is computed from trials must agree with them."""
  # Of a line that is too short the last are None; what is too much is under it.
  if None in line or None in line.values():
    raise ValueError(f'not {len(COLUMNS)} columns')
  for name in ('course', 'line', 'entry'):
    if not line[name].strip():
      raise ValueError(f'{name}: empty')
  budget = _whole(line, 'budget', 1)
  sequences = tuple(
    sorted(
      math.inf if word == _NEVER else _sequences(word, budget)
      for word in line['sequences'].split()
    )
  )
  score = Score(
    entry=line['entry'],
    course=Course(
      line['course'],
      line['line'],
      _whole(line, 'length', 1) if line['length'] else None,
      budget,
    ),
    setting=line['setting'],
    sequences=sequences,
    seconds=_number('seconds', line['seconds']) if line['seconds'] else None,
    missing=_whole(line, 'missing', 0),
    code=line['code'],
    tuning=line['tuning'],
    notes=tuple(filter(None, line['notes'].split('; '))),
  )
  for name in ('trials', 'solved'):
    if _whole(line, name, 0) != getattr(score, name):
      raise ValueError(
        f'{name} is {line[name]}, its sequences say {getattr(score, name)}'
      )
  return score


def _whole(line, name, least):
  """A whole number of a line."""
  word = line[name]
  if not word.isdecimal() or int(word) < least:
    raise ValueError(f'{name}: {word} is no whole number from {least} on')
  return int(word)


def _number(name, word):
  """A finite number from 0 on, in a word."""
  with contextlib.suppress(ValueError):
    if 0 <= (value := float(word)) < math.inf:
      return value
  raise ValueError(f'{name}: {word} is no number from 0 on')


def _sequences(word, budget):
  """Sequences to success of a trial that solved within its budget."""
  value = _number('sequences', word)
  if not 0 < value <= budget:
    raise ValueError(f'sequences: {word} is not within the budget, {budget}')
  return value
