"""What came of a comparison: one line a setting, its seeds summed up.

A pure function of the plans' entries and of the sealed records. Of a record it
reads, beside the columns of `results.csv`, all of them optional or null:

  curves     metric of each epoch: train_loss, train_accuracy, valid_loss,
             valid_accuracy -> list; an accuracy is a fraction
  test       {'loss', 'accuracy'} of the net after its last epoch
  best       {'epoch', 'valid_accuracy' or 'valid_loss', 'test': {...}} of the
             net of the best epoch by validation
  levels     predictor without recurrence -> {'loss', 'accuracy'}
  confusion  counts, a row for each true class; `classes`: their names
  after      what the data set keeps of a trained net
  facts      name -> words; `kernel`: which code ran

Keys of `published`, all optional: `accuracy` and `valid_accuracy` in percent,
`loss`, `of` (test examples), `weights`, `epochs`.
"""

import math
import statistics as plain
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lstm_jax.lab.report import commands, naming
from lstm_jax.lab.report import metric_verdicts as rule
from lstm_jax.lab.report.metrics import (
  Level,
  Measure,
  best_level,
  confusion_of,
  facts_of,
  kept_of,
  levels_of,
  measures_of,
)
from lstm_jax.lab.report.summaries import parts
from lstm_jax.training.examples import CURVES

_FINISHED = ('budget', 'solved')  # trained to the end
# What seeds are judged by, the first that some of them have.
JUDGED = {
  'accuracy': 'test accuracy',
  'loss': 'test loss',
  'train_loss': 'training loss',
}


class Line(NamedTuple):
  """All trials of one setting.

  Attributes:
    name: its row in the plan, no two of a task alike.
    anchor: a name for links that no other line has.
    entry: the first of its entries in the plan.
    seeds: of its entries.
    trials, missing: that ended; that are still to come.
    finished, diverged, failed: of those that ended.
    weights: number of weights, None where not known.
    figures: the published ones; empty where there are none.
    metric: of `JUDGED`; '' where no seed has trained to the end.
    measures: of `measures.measures_of`.
    best_epoch: median over seeds, None where there is no validation.
    tests: examples of the test part, None where not known.
    levels: predictor -> metric -> mean over trials.
    level: the best of them by `metric`, None without any.
    curves: metric -> one list a trial that has it, null after divergence.
    confusion: `[C][C]` share of each true class that was taken for another,
      mean over trials; None without.
    classes: their names.
    after: what the data set kept of each trained net.
    kept: the numbers (not counts) in it, by name.
    facts: name -> words, each once.
    kernels: which code ran -> trials.
    seconds: summed over trials.
    verdict: the `verdict.Verdict`.
    command: runs these trials.
  """

  name: str
  anchor: str
  entry: Mapping[str, Any]
  seeds: tuple[int, ...]
  trials: int
  missing: int
  finished: int
  diverged: int
  failed: int
  weights: int | None
  figures: Mapping[str, Any]
  metric: str
  measures: Mapping[str, Measure]
  best_epoch: float | None
  tests: int | None
  levels: Mapping[str, Mapping[str, float]]
  level: Level | None
  curves: Mapping[str, tuple[Sequence[float | None], ...]]
  confusion: Sequence[Sequence[float]] | None
  classes: tuple[str, ...]
  after: tuple[Mapping[str, Any], ...]
  kept: Mapping[str, Measure]
  facts: Mapping[str, tuple[str, ...]]
  kernels: Mapping[str, int]
  seconds: float
  verdict: rule.Verdict
  command: str


def lines(
  entries: Sequence[Mapping[str, Any]], records: Mapping[str, Mapping[str, Any]]
) -> list[Line]:
  """Sums up the trials of one or several runs.

  Args:
    entries: of the plans, no trial twice.
    records: id of a trial -> its record, of those that have ended.

  Returns:
    Lines in the order of the plans, but those of one task together, and within
    it those that see the same data.
  """
  groups = list(parts(entries, naming.setting).values())
  names = _names(groups)
  used, made = set(), []
  for name, group in zip(names, groups, strict=True):
    used.add(anchor := naming.anchor(f'{group[0]["task"]}-{name}', used))
    made.append(_line(name, anchor, group, records))
  by_task = parts(made, lambda line: line.entry['task']).values()
  return [
    line
    for held in by_task
    for same in parts(held, data).values()
    for line in same
  ]


def data(line: Line) -> tuple:
  """What decides the data that a line sees, but for the seed."""
  options = line.entry.get('options', {})
  return (
    *(line.entry.get(name) for name in ('task', 'length', 'window')),
    *sorted((k, repr(v)) for k, v in options.items() if k.startswith('task.')),
  )


def _names(groups):
  """A name for each setting that no other of its task has."""
  short = [(group[0]['task'], group[0]['row']) for group in groups]
  return [
    row if short.count((task, row)) == 1 else f'{group[0]["grid"]}.{row}'
    for (task, row), group in zip(short, groups, strict=True)
  ]


def _line(name, anchor, group, records):
  entry = next((one for one in group if one.get('published')), group[0])
  figures = entry.get('published') or {}
  ended = [
    records[one.get('trial') or one['id']]
    for one in group
    if (one.get('trial') or one['id']) in records
  ]
  finished = [record for record in ended if record['status'] in _FINISHED]
  measures = measures_of(finished)
  metric = next((name for name in JUDGED if name in measures), '')
  levels = levels_of(ended)
  tests = next((r['test_total'] for r in finished if r.get('test_total')), None)
  missing = len(group) - len(ended)
  epochs = [
    best['epoch']
    for record in finished
    if (best := record.get('best') or {}).get('epoch') is not None
  ]
  seeds = tuple(one['seed'] for one in group)
  return Line(
    name=name,
    anchor=anchor,
    entry=entry,
    seeds=seeds,
    trials=len(ended),
    missing=missing,
    finished=len(finished),
    diverged=sum(record['status'] == 'diverged' for record in ended),
    failed=sum(record['status'] == 'failed' for record in ended),
    weights=next((r['weights'] for r in ended if r.get('weights')), None),
    figures=figures,
    metric=metric,
    measures=measures,
    best_epoch=plain.median(epochs) if epochs else None,
    tests=tests,
    levels=levels,
    level=best_level(levels, metric, measures),
    curves={
      key: tuple(
        curve
        for record in ended
        if (curve := (record.get('curves') or {}).get(key))
      )
      for key in CURVES
    },
    confusion=confusion_of(finished),
    classes=next((tuple(r['classes']) for r in ended if r.get('classes')), ()),
    after=tuple(r['after'] for r in finished if r.get('after')),
    kept=kept_of(finished),
    facts=facts_of(ended),
    kernels={
      kernel: len(held)
      for kernel, held in parts(ended, lambda r: r.get('kernel')).items()
      if kernel
    },
    seconds=math.fsum(record.get('seconds') or 0 for record in ended),
    verdict=rule.verdict(_compared(measures), missing, figures, tests),
    command=commands.command(entry, seeds),
  )


def _compared(measures):
  """Metric -> numbers of the seeds, as the rule wants them."""
  found = {name: one.values for name, one in measures.items()}
  # Nothing is held out where there is no test part.
  return {'loss': found.get('train_loss', ())} | found
