"""Turns looks at run folders into what a page shows of them, as plain data."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from lstm_jax.lab.plan import estimate
from lstm_jax.lab.plan.programs import unit_of
from lstm_jax.lab.report.measures import METRIC_WORDS
from lstm_jax.lab.report.summaries import parts
from lstm_jax.lab.serve.look import Look
from lstm_jax.lab.serve.under_way import Curves
from lstm_jax.lab.serve.watching import Watch
from lstm_jax.lab.store import rounds, seal
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.setting import Setting

_LEAST_WORK = 1e5  # steps before a pace is known


class Line(NamedTuple):
  """The trials of a row in one folder: all that differ in the seed alone.

  Attributes:
    key: names the row in links: `grid/row`.
    setting: of its first trial.
    trials: ids, in the order of the plan.
    planned, ended, solved, under_way: how many of them; `solved` is None where
      nothing is solved, in rows that are counted in epochs.
    others: status -> how many ended so, of those that are no result: failed,
      diverged, given_up.
    median: sequences to success, the median of all that have ended as a report
      has it: infinite where half of them were not solved. None without any.
    judged: (name of the metric, mean) by which seeds of epochs are judged.
    kept: ids of those whose networks can be looked at.
  """

  key: str
  setting: Setting
  trials: tuple[str, ...]
  planned: int
  ended: int
  solved: int | None
  under_way: int
  others: Mapping[str, int]
  median: float | None
  judged: tuple[str, float] | None
  kept: tuple[str, ...]


class State(NamedTuple):
  """A folder as a whole.

  Attributes:
    name: how a page calls it.
    path: where it is.
    planned, ended, solved, under_way: trials.
    failed: why trials failed -> how many.
    working: whether a process works on it.
    seconds_left: expected time to go; None: not known.
    problems: what is wrong with it, one line each.
  """

  name: str
  path: str
  planned: int
  ended: int
  solved: int
  under_way: int
  failed: Mapping[str, int]
  working: bool
  seconds_left: float | None
  problems: tuple[str, ...]


class TrialLine(NamedTuple):
  """A trial of a row.

  Attributes:
    trial: its id.
    seed: its seed.
    status: as in its record, 'under way' or 'to come'.
    seen: training sequences, or epochs; None: not known.
    to_success: training sequences until it was solved; None: it was not.
    seconds: device time; None while it is under way.
    reason: why it failed or diverged, '' for nothing.
    is_kept: whether its networks can be looked at.
  """

  trial: str
  seed: int
  status: str
  seen: float | None
  to_success: float | None
  seconds: float | None
  reason: str
  is_kept: bool


class Curve(NamedTuple):
  """The learning curves of a trial.

  Attributes:
    side: which of those side by side it belongs to, from 0.
    trial, seed, status: of the trial, as in `TrialLine`.
    x: training sequences, or epochs from 1, at each point.
    unit: what `x` counts.
    curves: name -> value at each point.
  """

  side: int
  trial: str
  seed: int
  status: str
  x: Sequence[float]
  unit: str
  curves: Curves


def names_of(paths: Sequence[str]) -> list[str]:
  """Short names of folders, no two alike: the last parts of their paths.

  A round of a search is called by the run that it is of.
  """
  inside = [2 * rounds.is_round(Path(path)) for path in paths]
  for count in range(1, 1 + max(len(PurePath(p).parts) for p in paths)):
    names = [
      '/'.join(PurePath(path).parts[-count - more :])
      for path, more in zip(paths, inside, strict=True)
    ]
    if len(set(names)) == len(names):
      return names
  return list(paths)


def lines(look: Look) -> list[Line]:
  """The rows of a folder, in the order of its plan."""
  by_row = parts(look.trials, lambda name: key_of(look.trials[name]))
  kept = frozenset(look.kept)
  return [_line(key, tuple(names), look, kept) for key, names in by_row.items()]


def key_of(setting: Setting) -> str:
  """Names a row in links."""
  return f'{setting.grid}/{setting.row}'


def state(look: Look, name: str, clock: float) -> State:
  """A folder as a whole.

  Args:
    look: at the folder.
    name: how a page calls it.
    clock: seconds since the epoch.
  """
  status = [record['status'] for record in look.records.values()]
  failures = parts(
    [
      record for record in look.records.values() if record['status'] == 'failed'
    ],
    lambda record: (record.get('reason') or 'no reason').partition('\n')[0],
  )
  return State(
    name=name,
    path=look.path,
    planned=len(look.trials),
    ended=len(look.records),
    solved=status.count('solved'),
    under_way=len(look.under_way),
    failed={why: len(of) for why, of in failures.items()},
    working=bool(look.holders),
    seconds_left=seconds_left(look, clock),
    problems=look.problems,
  )


def seconds_left(look: Look, clock: float) -> float | None:
  """Expected time to go, at the pace since the process at work began.

  Args:
    look: at a folder.
    clock: seconds since the epoch.

  Returns:
    Seconds; None where nobody works on it or nothing is known yet.
  """
  if look.began is None or not look.trials:
    return None
  updates = {
    name: int(_updates_of(record, look.trials[name]) or 0)
    for name, record in look.records.items()
  }
  updates_running = {name: trial.seen for name, trial in look.under_way.items()}
  try:
    steps = {name: estimate.steps(look.trials[name]) for name in look.trials}
    to_come = estimate.steps_to_come(look.trials, updates, updates_running)
  except ValueError:
    return None  # a task that this version does not know
  work = sum(
    count * steps[name]
    for name, count in updates.items()
    if look.ended[name] >= look.began
  )
  work += sum(count * steps[name] for name, count in updates_running.items())
  if work < _LEAST_WORK or clock <= look.began:
    return None
  return to_come / (work / (clock - look.began))


def trial_lines(look: Look, line: Line) -> list[TrialLine]:
  """The trials of a row, by seed."""
  rows = [_trial_line(look, name, name in line.kept) for name in line.trials]
  return sorted(rows, key=lambda line: line.seed)


def curves(
  watch: Watch, look: Look, line: Line, side: int, max_trials: int = 24
) -> list[Curve]:
  """The learning curves of a row's trials, of at most so many.

  Args:
    watch: of the folder.
    look: at the folder.
    line: the row.
    side: which of those side by side it is.
    max_trials: trials.
  """
  curve_list: list[Curve] = []
  unit = unit_of(line.setting)
  for trial_line in trial_lines(look, line):
    series = (
      dict(watch.curves(trial_line.trial))
      if trial_line.status != 'to come'
      else {}
    )
    longest = max((len(values) for values in series.values()), default=0)
    x = series.pop('sequences', None) or range(1, longest + 1)
    if series and len(curve_list) < max_trials:
      curve_list.append(
        Curve(
          side, trial_line.trial, trial_line.seed, trial_line.status,
          [n or 0 for n in x], unit, series,
        )
      )  # fmt: skip
  return curve_list


def _line(key, trials, look, kept):
  settings = [look.trials[name] for name in trials]
  records = [look.records[name] for name in trials if name in look.records]
  status = [record['status'] for record in records]
  is_counted = unit_of(settings[0]) == 'sequences'
  waits = [
    record['metrics'].get('sequences_to_success') or math.inf
    for record in records
  ]
  return Line(
    key=key,
    setting=settings[0],
    trials=trials,
    planned=len(trials),
    ended=len(records),
    solved=status.count('solved') if is_counted else None,
    under_way=sum(name in look.under_way for name in trials),
    others={
      word: status.count(word)
      for word in ('given_up', 'diverged', 'failed')
      if word in status
    },
    median=statistics.median(waits) if waits and is_counted else None,
    judged=None if is_counted else _metric_mean(records),
    kept=tuple(name for name in trials if _is_kept(look, name, kept)),
  )


def _is_kept(look, trial, kept):
  state_of_trial = look.under_way.get(trial)
  return trial in kept or bool(state_of_trial and state_of_trial.networks)


def _metric_mean(records):
  """(metric, its mean over the records that have it)."""
  for name in METRIC_WORDS:
    numbers = [
      float(value)
      for record in records
      if (value := record['metrics'].get(name)) is not None
      and math.isfinite(value)
    ]
    if numbers:
      return name, statistics.fmean(numbers)
  return None


def _trial_line(look, name, is_kept):
  record, trial_state = look.records.get(name), look.under_way.get(name)
  status = 'to come' if trial_state is None else 'under way'
  seen, to_success, reason, seconds = None, None, '', None
  if record is not None:
    status, reason = record['status'], record.get('reason') or ''
    to_success = record['metrics'].get('sequences_to_success')
    seconds = record.get('seconds')
    seen = _updates_of(record, look.trials[name])
  elif trial_state is not None:
    seen = trial_state.seen
  return TrialLine(
    name, look.trials[name].seed, status, seen, to_success, seconds,
    reason.partition('\n')[0], is_kept,
  )  # fmt: skip


def _updates_of(record: Record, setting: Setting):
  """Training sequences, or epochs, of a trial that has ended."""
  seen = record['metrics'].get('sequences_seen')
  if seen is None or unit_of(setting) == 'sequences':
    return seen
  return setting.budget


def digest(values: object) -> str:
  """A word that is another one when plain values are."""
  return seal.digest(values)[:16]
