"""Rows of run folders as plain records, for whoever computes with them."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from lstm_jax.choices import count_of
from lstm_jax.lab.report import rows as report_rows
from lstm_jax.lab.report import runs
from lstm_jax.lab.store.documents import Number, Value
from lstm_jax.lab.store.folder import Folder
from lstm_jax.ops.intervals import Interval, solved_words


@dataclasses.dataclass(frozen=True)
class SweepRow:
  """All trials of one setting.

  Attributes:
    folder: the first run folder that has it.
    row: what the folder calls it, as `load` takes it.
    name: the line of the published table that it stands for.
    source: the published table, or the name of the grid.
    reading: which reading of the paper it follows; '' for none.
    task, cell, learner: their names.
    length: the task's T; None where there is none.
    settings: options and numbers by dotted name, as `--set` has them.
    trials, solved, missing: trials that ended, those that solved the task, and
      those of the plan that are still to come.
    failed: of those that ended, how many by an error of their code.
    interval: Wilson's 95 % interval of the share solved.
    median: sequences to success of all trials, infinite if half failed; None
      without trials, or where none can be solved.
    median_interval: its 95 % interval by the bootstrap; None where too few.
    mean: sequences to success of the solved trials; None without.
    metrics: name -> mean over the trials that have it.
    published: the paper's figures; empty for none.
    verdict: 'reproduced', 'not reproduced', 'under-powered' or 'no verdict'.
    reason: of the verdict, a clause.
    tuning: what the setting was chosen by; {} where nobody has tuned it.
  """

  folder: Path
  row: str
  name: str
  source: str
  reading: str
  task: str
  cell: str
  learner: str
  length: int | None
  settings: Mapping[str, Value | Number]
  trials: int
  solved: int
  missing: int
  failed: int
  interval: Interval
  median: float | None
  median_interval: Interval | None
  mean: float | None
  metrics: Mapping[str, float]
  published: Mapping[str, float | str]
  verdict: str
  reason: str
  tuning: Mapping[str, float | str] = dataclasses.field(default_factory=dict)

  def __str__(self) -> str:
    """A line: the row, and what was found."""
    parts = [f'{self.row}: {self.task}, {self.cell}, {self.learner}']
    if self.median is None:
      accuracy = self.metrics.get('test_accuracy')
      loss = self.metrics.get('test_loss', math.nan)
      parts.append(
        f'test loss {loss:.4g}'
        if accuracy is None
        else f'test accuracy {100 * accuracy:.1f} %'
      )
    else:
      parts.append(solved_words(self.solved, self.trials, self.median))
    parts += [f'{self.failed} failed by an error'] * bool(self.failed)
    parts += [f'{count_of(self.missing, "trial")} to come'] * bool(self.missing)
    parts += [self.verdict] * bool(self.published)
    return '; '.join(parts)


def rows_of(folders: Sequence[Folder]) -> tuple[SweepRow, ...]:
  """The rows of one or several run folders, those of a table together.

  Args:
    folders: of `folder.open_folder`; a trial that two hold counts once.
  """
  merged = runs.join([runs.read(opened) for opened in folders])
  place = {
    (opened_run.grid, opened_run.row): opened.path
    for opened in reversed(folders)
    for opened_run in opened.trials.values()
  }
  return tuple(
    _row(row, reading, place[reading.setting.grid, reading.setting.row])
    for row in report_rows.published_rows(merged.trials, merged.records)
    for reading in row.readings
  )


def _row(row, reading, path):
  setting = reading.setting
  roles = ('task', 'cell', 'learner')
  settings = {
    f'{role}.{name}': value
    for role in roles
    for name, value in getattr(setting, f'{role}_options')
  }
  is_counted = reading.unit == 'sequences'
  return SweepRow(
    folder=path,
    row=setting.row,
    name=row.name,
    source=row.source,
    reading=setting.reading,
    **{role: getattr(setting, role) for role in roles},
    length=setting.length,
    settings=settings | dict(setting.numbers),
    trials=reading.trials,
    solved=reading.solved,
    missing=reading.missing,
    failed=reading.failed,
    interval=reading.rate,
    median=reading.median if is_counted else None,
    median_interval=reading.median_interval if is_counted else None,
    mean=reading.mean('sequences_to_success'),
    metrics={name: measure.mean for name, measure in reading.measures.items()},
    published=dict(row.figures),
    verdict=reading.verdict.word,
    reason=reading.verdict.reason,
    tuning=setting.tuning or {},
  )
