"""The progress of a run of several workers, and its display."""

import sys
import time
from collections import Counter
from collections.abc import Mapping

from lstm_jax.choices import count_of
from lstm_jax.lab.cluster.messages import Ending, Report
from lstm_jax.lab.plan import estimate
from lstm_jax.lab.plan.programs import learner_of
from lstm_jax.lab.run.progress import Progress, Snapshot, TimeLeft, choose_mode
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.setting import Setting


class Board:
  """The trials of a run, and the display of them.

  Args:
    trials: id -> setting, all of the plan.
    records: id -> record of those that have ended.
    mode: of the display.
  """

  def __init__(
    self,
    trials: Mapping[str, Setting],
    records: Mapping[str, Record],
    mode: str,
  ) -> None:
    self._trials = trials
    # Id -> (status, updates) of the trials that have ended.
    self.ended: dict[str, tuple[str, float]] = {
      name: (record['status'], _updates_of(record))
      for name, record in records.items()
    }
    self.begun: set[str] = set()
    self._reports: dict[int, Report] = {}
    self._work = [(0.0, 0.0, 0.0)]  # of bundles that have ended
    self._began, self._left = time.monotonic(), TimeLeft()
    if mode == 'auto':
      mode = choose_mode(sys.stderr)
    self.display = Progress(len(trials), sys.stderr, mode)
    self._counts_sequences = 'sequences' in {
      learner_of(setting).unit for setting in trials.values()
    }

  def report(self, report: Report) -> None:
    """Takes how far a bundle is."""
    self._reports[report.number] = report
    self.begun.update(report.seen)
    self._add(report.ended)

  def ending(self, number: int, ending: Ending | None) -> None:
    """Takes the end of a bundle; None: its worker was lost."""
    last = self._reports.pop(number, None)
    if ending is not None:
      self._add(ending.ended)
      self._work.append(ending.work)
    elif last is not None:
      self._work.append(last.work)

  def _add(self, ended):
    for name, status, updates in ended:
      self.ended[name] = status, updates

  def show(self, num_bundles: int, num_workers: int) -> None:
    """Shows it.

    Args:
      num_bundles: that are under way.
      num_workers: that there are.
    """
    reports = [*self._reports.values()]
    self._work = [_total(self._work)]
    sequences, useful, executed = _total(
      [*self._work, *(report.work for report in reports)]
    )
    seen = {k: n for report in reports for k, n in report.seen.items()}
    status = Counter(status for status, _ in self.ended.values())
    elapsed = time.monotonic() - self._began
    compiling = sum(report.compiling for report in reports)
    workers = count_of(num_workers, 'worker')
    snapshot: Snapshot = {
      'done': len(self.ended),
      'solved': status['solved'] if self._counts_sequences else None,
      'diverged': status['diverged'],
      'note': f'{count_of(num_bundles, "group")} on {workers}',
      'running': len(seen),
      'eta_seconds': self._left.after(
        lambda: self._time_left(useful, seen, elapsed)
      ),
      'compiling': count_of(compiling, 'program') if compiling else False,
    }
    if self._counts_sequences:
      snapshot |= {
        'sequences': int(sequences),
        'sequences_per_second': sequences / max(elapsed, 1e-9),
        'lane_share': useful / max(executed, 1.0),
      }
    self.display.update(snapshot)

  def _time_left(self, useful, seen, elapsed):
    """Seconds, at the pace so far; None where that is not known."""
    if useful < 1e5:
      return None
    ended = {name: int(updates) for name, (_, updates) in self.ended.items()}
    to_come = estimate.steps_to_come(self._trials, ended, seen)
    return to_come / (useful / elapsed)


def _total(work):
  """The sum of (sequences, useful, executed)."""
  sequences, useful, executed = map(sum, zip(*work, strict=True))
  return sequences, useful, executed


def _updates_of(record):
  return float(record['metrics'].get('sequences_seen') or 0)
