"""What a report says of runs: published rows, and the readings of each.

A pure function of the plans' entries and of the rows of `results.csv`. Settings
with the same `source`, `line` and length are readings of one published row,
from whatever grids; where a plan names no lines, those with the same task,
learner, length and figures. Trials with the same setting but their seeds are
one reading.

Keys of `published`, all optional: `success_after`, of a stop in two stages the
second's, with `st1` for the first's; `success_percent` (a number, or words);
`trials`; `low` and `high`, the range; `wrong` `of`, or `fraction`; `absolute`
or `difference`, the mean absolute test error; `weights`. Others are shown as
they are.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lstm_jax.lab.report import commands, levels, naming, statistics, verdicts
from lstm_jax.lab.report.summaries import TESTS, shown

RESAMPLES = 10_000
# An error within a tenth of a constant's, or above, is at its level: training
# errors are means of about 100 sequences and scatter by a few per cent.
_CONSTANT = 0.9


class Reading(NamedTuple):
  """All trials of one reading of a published row.

  Attributes:
    letter: its name within the published row, A first.
    name: what the reading is called.
    entry: the first of its entries in the plan.
    trials, missing: trials that ended, trials still to come.
    solved, given_up, diverged, failed: counts of those that ended.
    rate: Wilson 95 % interval of the share solved.
    sequences: to success, of the solved trials, ascending.
    stopped: sequences seen by each trial that did not solve, ascending.
    mean, mean_interval: of the solved trials; None where too few.
    median, median_interval: of all trials, infinite for an unsolved one; None
      where too few.
    wrong, absolute, squared: means over the solved trials of the test
      sequences judged wrong (of 2560) and of the test errors.
    milestone: mean sequences until an exam was first right.
    weights: number of weights, None where not known.
    predictor: words for the best constant predictor of the task, or ''.
    error: mean last training error of the unsolved trials; None without any.
    trivial: that of the best constant predictor, None where it is not known.
    constant: unsolved trials at the level of a constant.
    weak: solved trials at that level in the test.
    seconds: summed over the trials.
    command: runs these trials.
    verdict: the `verdicts.Verdict`.
  """

  letter: str
  name: str
  entry: Mapping[str, Any]
  trials: int
  missing: int
  solved: int
  given_up: int
  diverged: int
  failed: int
  rate: statistics.Interval
  sequences: tuple[float, ...]
  stopped: tuple[float, ...]
  mean: float | None
  mean_interval: statistics.Interval | None
  median: float | None
  median_interval: statistics.Interval | None
  wrong: float | None
  absolute: float | None
  squared: float | None
  milestone: float | None
  weights: int | None
  predictor: str
  error: float | None
  trivial: float | None
  constant: int
  weak: int
  seconds: float
  command: str
  verdict: verdicts.Verdict


class Row(NamedTuple):
  """A published row and its readings.

  Attributes:
    name: the line of the table, or what else the row is called.
    anchor: a name that no other row of the report has, for links.
    source: the published table, or the name of the grid.
    task: name of the task.
    length: T, or None.
    figures: the published figures; empty for settings without any.
    readings: at least one.
    best: the reading with the best verdict; ties go to the larger share
      solved, then to the mean nearer to the published one.
  """

  name: str
  anchor: str
  source: str
  task: str
  length: int | None
  figures: Mapping[str, Any]
  readings: tuple[Reading, ...]
  best: Reading


def published_rows(
  entries: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> list[Row]:
  """Groups the trials of one or several runs by published row.

  Args:
    entries: of the plans, each with its `trial` (or `id`), no trial twice.
    rows: those of `results.csv`, of the trials that have ended.

  Returns:
    The rows in the order of their tables' numbers, those of one table in the
    order of the plan; settings without published figures last, as one `Row` a
    grid and task. Where entries disagree on the figures of a row the first
    counts.
  """
  ended = {row['trial']: row for row in rows}
  groups = naming.groups(entries)
  made, anchors = [], set()
  for name, group in zip(naming.row_names(groups), groups, strict=True):
    one = group[0]
    figures = naming.figures_of(one)
    readings = tuple(
      _reading(_letter(i), words, alike, ended, figures)
      for i, (words, alike) in enumerate(naming.named_readings(group))
    )
    source = naming.source_of(one)
    anchors.add(anchor := naming.anchor(f'{source}-{name}', anchors))
    made.append(
      Row(
        name=name,
        anchor=anchor,
        source=source,
        task=one['task'],
        length=_common([entry.get('length') for entry in group]),
        figures=figures,
        readings=readings,
        best=min(readings, key=_place),
      )
    )
  return made


def tried(row: Row) -> str:
  """How many readings of a row were tried, and what became of them."""
  count = len(row.readings)
  words = [reading.verdict.word for reading in row.readings]
  said = ', '.join(
    f'{words.count(word)} {word}' for word in verdicts.WORDS if word in words
  )
  return f'{count} reading{"s" * (count != 1)} tried: {said}'


def _common(values):
  return values[0] if len(set(values)) == 1 else None


def _letter(i):
  """A, B, ..., Z, AA, AB, ..."""
  head = _letter(i // 26 - 1) if i >= 26 else ''
  return head + chr(ord('A') + i % 26)


def _reading(letter, name, entries, ended, figures):
  found = [ended[i] for i in map(_id, entries) if i in ended]
  solved = [row for row in found if row['status'] == 'solved']
  unsolved = [row for row in found if row['status'] != 'solved']
  sequences = sorted(row['sequences_to_success'] for row in solved)
  waits = [*sequences, *[math.inf] * len(unsolved)]
  missing = len(entries) - len(found)
  level = levels.trivial(
    entries[0]['task'], entries[0].get('options', {}), entries[0].get('length')
  )
  weights = [row.get('weights') for row in found]
  weights += [entry.get('weights') for entry in entries[:1]]
  return Reading(
    letter=letter,
    name=name,
    entry=entries[0],
    trials=len(found),
    missing=missing,
    solved=len(solved),
    given_up=sum(row['status'] == 'given_up' for row in found),
    diverged=sum(row['status'] == 'diverged' for row in found),
    failed=sum(row['status'] == 'failed' for row in found),
    rate=statistics.wilson(len(solved), len(found)),
    sequences=tuple(sequences),
    stopped=tuple(sorted(row['sequences_seen'] or 0 for row in unsolved)),
    mean=_mean(sequences),
    mean_interval=statistics.mean_interval(sequences, resamples=RESAMPLES),
    median=statistics.median(waits) if waits else None,
    median_interval=(
      statistics.median_bootstrap(waits, resamples=RESAMPLES) if waits else None
    ),
    wrong=_mean(
      TESTS * row['test_wrong'] / row['test_total']
      for row in solved
      if row.get('test_total')
    ),
    absolute=_mean(row.get('test_absolute') for row in solved),
    squared=_mean(row.get('test_squared') for row in solved),
    milestone=_mean(row.get('milestone') for row in found),
    weights=next((number for number in weights if number), None),
    predictor=level.get('predictor', '') if level else '',
    error=_mean(row.get('train_absolute') for row in unsolved),
    trivial=level['absolute'] if level else None,
    constant=_at_level(unsolved, 'train_absolute', level),
    weak=_at_level(solved, 'test_absolute', level),
    seconds=math.fsum(row.get('seconds') or 0 for row in found),
    command=commands.command(entries[0], [one['seed'] for one in entries]),
    verdict=verdicts.verdict(sequences, len(found), missing, figures),
  )


def _id(entry):
  return entry.get('trial') or entry['id']


def _mean(values):
  values = [value for value in values if value is not None]
  return math.fsum(values) / len(values) if values else None


def _at_level(rows, column, level):
  if not level:
    return 0
  errors = (row.get(column) for row in rows)
  return sum(
    e is not None and e >= _CONSTANT * level['absolute'] for e in errors
  )


def _place(reading):
  """Sort key: the best reading first."""
  ratio = reading.verdict.ratio
  return (
    verdicts.WORDS.index(reading.verdict.word),
    -reading.solved / max(reading.trials, 1),
    abs(math.log(ratio)) if ratio else math.inf,
  )


def title(row: Row) -> str:
  """A row in a few words: name, task, and length if the name has it not."""
  words = [] if row.task in row.name else [row.task]
  if row.length is not None and str(row.length) not in _numbers(row.name):
    words.append(f'T = {shown(row.length)}')
  return f'{row.name}: {", ".join(words)}' if words else row.name


def heading(row: Row) -> str:
  """A row among those of all tables."""
  return f'{row.source}, {title(row)}'


def _numbers(text):
  return re.findall(r'\d+', text)
