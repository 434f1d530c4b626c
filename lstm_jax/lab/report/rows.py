"""What a report says of runs: published rows, and the readings of each.

A pure function of the plans' settings and of the sealed records. Settings with
the same `source`, `line` and length are readings of one published row, from
whatever grids; where a plan names no lines, those with the same task, learner,
length and figures. Trials with the same setting but their seeds are one
reading.

Keys of `published`, all optional: `success_after`, of a stop in two stages the
second's, with `st1` for the first's; `success_percent` (a number, or words);
`trials`; `low` and `high`, the range; `wrong` `of`, or `fraction`; `absolute`
or `difference`, the mean absolute test error; `accuracy` and `valid_accuracy`
in percent, `loss`, `of` (test examples); `weights`; `epochs`. Others are shown
as they are.

Of a record's details it reads `levels` (predictor without recurrence -> loss,
accuracy), `confusion` (counts, a row for each true class) and `classes`,
`after` (what the data set keeps of a trained network), `facts` and `kernel`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lstm_jax.lab.plan.programs import unit_of
from lstm_jax.lab.report import (
  commands,
  levels,
  measures,
  naming,
  statistics,
  verdict_words,
  verdicts,
)
from lstm_jax.lab.report.summaries import TESTS, parts, shown
from lstm_jax.lab.store.documents import Figures, Record
from lstm_jax.lab.store.setting import Setting

RESAMPLES = 10_000
# An error within a tenth of a constant's, or above, is at its level: training
# errors are means of about 100 sequences and scatter by a few per cent.
_CONSTANT = 0.9


class Reading(NamedTuple):
  """All trials of one reading of a published row.

  Attributes:
    letter: its name within the published row, A first.
    name: what the reading is called.
    anchor: a name for links that no other reading has.
    setting: of the first of its trials.
    unit: what its budget counts, 'sequences' or 'epochs'.
    trials, missing: trials that ended, trials still to come.
    solved, finished, given_up, diverged, failed: counts of those that ended;
      finished are those that trained to the end.
    rate: Wilson 95 % interval of the share solved.
    measures: of `measures.measures_of`.
    metric: what its seeds are judged by, of `measures.JUDGED`; '' for nothing.
    sequences: to success, of the solved trials, ascending.
    stopped: sequences seen by each trial that did not solve, ascending.
    mean_interval: of the sequences to success; None where too few.
    median, median_interval: of all trials, infinite for an unsolved one; None
      where too few.
    wrong: mean over the solved trials of the test sequences judged wrong, of
      2560.
    predictor: words for the best constant predictor of the task, or ''.
    trivial: its error, None where it is not known.
    constant: unsolved trials at the level of a constant.
    weak: solved trials at that level in the test.
    levels: predictor without recurrence -> metric -> mean over trials.
    level: the best of them, None without any.
    curves: name -> one list a trial that has it.
    confusion: `[C][C]` share of each true class that was taken for another,
      mean over trials; None without.
    classes: their names.
    after: what the data set kept of each trained network.
    facts: name -> words, each once.
    kernels: which code ran -> trials.
    seconds: summed over the trials.
    command: runs these trials.
    verdict: the `Verdict`.
  """

  letter: str
  name: str
  anchor: str
  setting: Setting
  unit: str
  trials: int
  missing: int
  solved: int
  finished: int
  given_up: int
  diverged: int
  failed: int
  rate: statistics.Interval
  measures: Mapping[str, measures.Measure]
  metric: str
  sequences: tuple[float, ...]
  stopped: tuple[float, ...]
  mean_interval: statistics.Interval | None
  median: float | None
  median_interval: statistics.Interval | None
  wrong: float | None
  predictor: str
  trivial: float | None
  constant: int
  weak: int
  levels: Mapping[str, Mapping[str, float]]
  level: measures.Level | None
  curves: Mapping[str, tuple[Sequence[float | None], ...]]
  confusion: Sequence[Sequence[float]] | None
  classes: tuple[str, ...]
  after: tuple[Mapping[str, object], ...]
  facts: Mapping[str, tuple[str, ...]]
  kernels: Mapping[str, int]
  seconds: float
  command: str
  verdict: verdict_words.Verdict

  def mean(self, metric: str) -> float | None:
    """Mean of a metric over the trials that it is summed up over."""
    held = self.measures.get(metric)
    return held.mean if held else None


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
  figures: Figures
  readings: tuple[Reading, ...]
  best: Reading


def published_rows(
  trials: Mapping[str, Setting], records: Mapping[str, Record]
) -> list[Row]:
  """Groups the trials of one or several runs by published row.

  Args:
    trials: of the plans, id -> setting.
    records: id -> record, of the trials that have ended.

  Returns:
    The rows in the order of their tables' numbers, those of one table in the
    order of the plan; settings without published figures last, as one `Row` a
    grid and task. Where plans disagree on the figures of a row the first
    counts.
  """
  groups = naming.groups(trials)
  made = []
  anchors: set[str] = set()
  for name, group in zip(naming.row_names(groups), groups, strict=True):
    one = group[0].setting
    figures = one.figures
    source = naming.source_of(one)
    anchors.add(anchor := naming.anchor(f'{source}-{name}', anchors))
    readings = _lettered(
      [
        _reading(words, alike, records, figures)
        for words, alike in naming.named_readings(group)
      ],
      anchor,
    )
    made.append(
      Row(
        name=name,
        anchor=anchor,
        source=source,
        task=one.task,
        length=_common([trial.setting.length for trial in group]),
        figures=figures,
        readings=readings,
        best=min(readings, key=_place),
      )
    )
  return made


def tried(row: Row) -> str:
  """How many readings of a row were tried, and what became of them."""
  count = len(row.readings)
  said = verdict_words.summed([r.verdict.word for r in row.readings])
  return f'{count} reading{"s" * (count != 1)} tried: {said}'


def data(reading: Reading) -> tuple[object, ...]:
  """What decides the data that a reading sees, but for the seed."""
  of = reading.setting
  return of.task, of.length, of.window, repr(of.task_options)


def _lettered(readings, anchor):
  """Readings with letters; those that see the same data stand together where
  predictors without recurrence are known, which belong to the data."""
  if any(reading.levels for reading in readings):
    same = parts(readings, data).values()
    readings = [reading for held in same for reading in held]
  letters = map(_letter, range(len(readings)))
  return tuple(
    reading._replace(letter=letter, anchor=f'{anchor}-{letter}')
    for letter, reading in zip(letters, readings, strict=True)
  )


def _common(values):
  return values[0] if len(set(values)) == 1 else None


def _letter(i):
  """A, B, ..., Z, AA, AB, ..."""
  head = _letter(i // 26 - 1) if i >= 26 else ''
  return head + chr(ord('A') + i % 26)


def _reading(name, trials, records, figures):
  setting = trials[0].setting
  unit = unit_of(setting.learner)
  found = [records[one.id] for one in trials if one.id in records]
  held = measures.measures_of([(r['status'], r['metrics']) for r in found])
  solved = [r['metrics'] for r in found if r['status'] == 'solved']
  unsolved = [r['metrics'] for r in found if r['status'] != 'solved']
  values = {metric: one.values for metric, one in held.items()}
  sequences = sorted(values.get('sequences_to_success', ()))
  waits = [*sequences, *[math.inf] * len(unsolved)]
  missing = len(trials) - len(found)
  counts = {
    status: sum(r['status'] == status for r in found)
    for status in ('given_up', 'diverged', 'failed')
  }
  finished = measures.finished(found)
  details = [record['details'] for record in found]
  predictors = measures.levels_of(details)
  level = levels.trivial(
    setting.task, dict(setting.task_options), setting.length
  )
  return Reading(
    letter='',
    name=name,
    anchor='',
    setting=setting,
    unit=unit,
    trials=len(found),
    missing=missing,
    solved=len(solved),
    finished=len(finished),
    **counts,
    rate=statistics.wilson(len(solved), len(found)),
    measures=held,
    metric=measures.metric_of(held),
    sequences=tuple(sequences),
    stopped=tuple(sorted(m.get('sequences_seen') or 0 for m in unsolved))
    if unit == 'sequences'
    else (),
    mean_interval=statistics.mean_interval(sequences, resamples=RESAMPLES),
    median=statistics.median(waits) if waits else None,
    median_interval=(
      statistics.median_bootstrap(waits, resamples=RESAMPLES) if waits else None
    ),
    wrong=_mean(
      TESTS * m['test_wrong'] / m['test_total']
      for m in solved
      if m.get('test_total')
    ),
    predictor=level.get('predictor', '') if level else '',
    trivial=level['absolute'] if level else None,
    constant=_at_level(unsolved, 'train_absolute', level),
    weak=_at_level(solved, 'test_absolute', level),
    levels=predictors,
    level=measures.best_level(predictors, held),
    curves=_curves(found),
    confusion=measures.confusion_of([r['details'] for r in finished]),
    classes=next(
      (tuple(d['classes']) for d in details if d.get('classes')), ()
    ),
    after=tuple(
      r['details']['after'] for r in finished if r['details'].get('after')
    ),
    facts=measures.facts_of(details),
    kernels={
      kernel: len(some)
      for kernel, some in parts(details, lambda d: d.get('kernel')).items()
      if kernel
    },
    seconds=math.fsum(r.get('seconds') or 0 for r in found),
    command=commands.command(setting, [one.setting.seed for one in trials]),
    verdict=verdicts.verdict(values, len(found), missing, figures),
  )


def _curves(records):
  """Name -> the curves of that name, one a trial that has one."""
  held = [(name, curve) for r in records for name, curve in r['curves'].items()]
  return {
    name: tuple(curve for _, curve in some if curve)
    for name, some in parts(held, lambda pair: pair[0]).items()
  }


def _mean(values):
  values = list(values)
  return math.fsum(values) / len(values) if values else None


def _at_level(trials, metric, level):
  if not level:
    return 0
  errors = (one.get(metric) for one in trials)
  return sum(
    e is not None and e >= _CONSTANT * level['absolute'] for e in errors
  )


def _place(reading):
  """Sort key: the best reading first."""
  ratio = reading.verdict.ratio
  return (
    verdict_words.WORDS.index(reading.verdict.word),
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
