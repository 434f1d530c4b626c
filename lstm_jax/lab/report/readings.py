"""All trials of one setting, summed up: a reading of a published row.

Of a record's details it reads `levels` (predictor without recurrence -> loss,
accuracy), `confusion` (counts, a row for each true class) and `classes`,
`after` (what the data set keeps of a trained network), `facts` and `kernel`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lstm_jax.lab.plan.programs import unit_of
from lstm_jax.lab.report import (
  commands,
  levels,
  measures,
  statistics,
  verdict_words,
  verdicts,
)
from lstm_jax.lab.report.naming import Trial
from lstm_jax.lab.report.summaries import TESTS, parts
from lstm_jax.lab.store.documents import Figures, Record
from lstm_jax.lab.store.setting import Setting
from lstm_jax.ops.intervals import Interval, wilson

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
    metric: what its seeds are judged by, of `measures.METRIC_WORDS`; '' for
      nothing.
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
  rate: Interval
  measures: Mapping[str, measures.Measure]
  metric: str
  sequences: tuple[float, ...]
  stopped: tuple[float, ...]
  mean_interval: Interval | None
  median: float | None
  median_interval: Interval | None
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
    measure = self.measures.get(metric)
    return measure.mean if measure else None


def reading_of(
  name: str,
  trials: Sequence[Trial],
  records: Mapping[str, Record],
  figures: Figures,
) -> Reading:
  """Sums up some trials of one setting; its letter and anchor are to come.

  Args:
    name: what the reading is called.
    trials: of the plans.
    records: id -> record, of the trials that have ended.
    figures: the published ones that it is held against.
  """
  setting = trials[0].setting
  unit = unit_of(setting)
  records_found = [records[trial.id] for trial in trials if trial.id in records]
  measures_of_all = measures.measures_of(
    [(r['status'], r['metrics']) for r in records_found]
  )
  metrics_solved = [
    r['metrics'] for r in records_found if r['status'] == 'solved'
  ]
  metrics_unsolved = [
    r['metrics'] for r in records_found if r['status'] != 'solved'
  ]
  share = measures.share_wrong(metrics_solved)
  values = {metric: trial.values for metric, trial in measures_of_all.items()}
  sequences = sorted(values.get('sequences_to_success', ()))
  waits = [*sequences, *[math.inf] * len(metrics_unsolved)]
  missing = len(trials) - len(records_found)
  counts = {
    status: sum(r['status'] == status for r in records_found)
    for status in ('given_up', 'diverged', 'failed')
  }
  finished = measures.finished_records(records_found)
  details = [record['details'] for record in records_found]
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
    trials=len(records_found),
    missing=missing,
    solved=len(metrics_solved),
    finished=len(finished),
    **counts,
    rate=wilson(len(metrics_solved), len(records_found)),
    measures=measures_of_all,
    metric=measures.metric_of(measures_of_all),
    sequences=tuple(sequences),
    stopped=tuple(
      sorted(m.get('sequences_seen') or 0 for m in metrics_unsolved)
    )
    if unit == 'sequences'
    else (),
    mean_interval=statistics.mean_interval(sequences, resamples=RESAMPLES),
    median=statistics.median(waits) if waits else None,
    median_interval=(
      statistics.median_bootstrap(waits, resamples=RESAMPLES) if waits else None
    ),
    wrong=None if share is None else TESTS * share,
    predictor=level.get('predictor', '') if level else '',
    trivial=level['absolute'] if level else None,
    constant=_at_level(metrics_unsolved, 'train_absolute', level),
    weak=_at_level(metrics_solved, 'test_absolute', level),
    levels=predictors,
    level=measures.best_level(predictors, measures_of_all),
    curves=_curves(records_found),
    confusion=measures.confusion_of([r['details'] for r in finished]),
    classes=next(
      (tuple(d['classes']) for d in details if d.get('classes')), ()
    ),
    after=tuple(
      r['details']['after'] for r in finished if r['details'].get('after')
    ),
    facts=measures.facts_of(details),
    kernels={
      kernel: len(details_of_kernel)
      for kernel, details_of_kernel in parts(
        details, lambda d: d.get('kernel')
      ).items()
      if kernel
    },
    seconds=math.fsum(r.get('seconds') or 0 for r in records_found),
    command=commands.command(setting, [trial.setting.seed for trial in trials]),
    verdict=verdicts.verdict(values, len(records_found), missing, figures),
  )


def _curves(records):
  """Name -> the curves of that name, one a trial that has one."""
  pairs = [
    (name, curve) for r in records for name, curve in r['curves'].items()
  ]
  return {
    name: tuple(curve for _, curve in pairs_of_name if curve)
    for name, pairs_of_name in parts(pairs, lambda pair: pair[0]).items()
  }


def _at_level(trials, metric, level):
  if not level:
    return 0
  errors = (metrics.get(metric) for metrics in trials)
  return sum(
    e is not None and e >= _CONSTANT * level['absolute'] for e in errors
  )


def data(reading: Reading) -> tuple[object, ...]:
  """Returns what decides the data that a reading sees, but for the seed."""
  of = reading.setting
  return of.task, of.length, of.window, repr(of.task_options)
