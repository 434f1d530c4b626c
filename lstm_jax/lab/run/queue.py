"""The queue that workers share: trials waiting, what has begun, the tally.

Every access from any thread, each under the lock.
"""

import collections
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from lstm_jax.lab.store import faults, machine
from lstm_jax.training.compilation import Compiled
from lstm_jax.training.loop import (
  Job,
  Loop,
  OtherSnapshot,
  Outcome,
  TrialState,
)


class Progress(NamedTuple):
  """The work done since the workers started.

  Attributes:
    sequences: training sequences shown.
    useful: time steps of running trials.
    executed: time steps of all lanes.
    compiling: programs being compiled now.
    seen: job id -> updates so far, for trials in lanes.
    note: words on the one that was last heard of.
  """

  sequences: float
  useful: float
  executed: float
  compiling: int
  seen: Mapping[str, float]
  note: str = ''


_MISFIT = (
  'trials under way were begun by other code, whose arrays this one does not '
  'have; they are left as they are: go on with the code that began them, or '
  'without --allow_drift, by --rerun_changed, from their beginning'
)
# A program and a length, which jobs in one worker's lanes share.
Pool = tuple[str, int]


class Maker(Protocol):
  """The maker of the loops of a program."""

  def loop(
    self, name: str, compiled: Compiled, widths: tuple[int, ...], tests: int
  ) -> Loop:
    """The loop on the device of `compiled`."""


class Shared:
  """The shared state of one run."""

  def __init__(
    self,
    jobs: Iterable[Job],
    build: Callable[[str], Maker],
    columns: dict[str, TrialState],
    widths: Mapping[str, tuple[int, ...]],
    test_sequences: int,
    workers: int,
  ) -> None:
    self.widths = dict(widths)
    self.test_sequences = test_sequences
    self.outcomes: queue.Queue[Outcome] = queue.Queue()
    # (line, error) of the machine.
    self.faults: list[tuple[str, BaseException]] = []
    self.misfits: list[OtherSnapshot] = []
    self.stop = threading.Event()
    self.asked = [threading.Event() for _ in range(workers)]
    self.compiling = [False] * workers
    self._lock = threading.Lock()
    self._build = build
    self._built: dict[str, Maker] = {}
    self._building: dict[str, threading.Lock] = collections.defaultdict(
      threading.Lock
    )
    self._columns = columns
    self._snapshots: list[dict[str, TrialState]] = [{} for _ in range(workers)]
    self._tallies: list[dict[str, float]] = [{} for _ in range(workers)]
    self._seen: list[Mapping[str, float]] = [{} for _ in range(workers)]
    self._note = ''
    self._pools: list[Pool | None] = [None] * workers
    self._run_by: list[set[str]] = [set() for _ in range(workers)]
    self._waiting: dict[Pool, collections.deque[Job]] = {}
    self._jobs: dict[str, Job] = {}
    for job in jobs:
      self._jobs[job.id] = job
      pool = (job.program, job.length)
      self._waiting.setdefault(pool, collections.deque()).append(job)

  def claim(
    self, worker: int, pool: Pool | None = None, max_jobs: int = 0
  ) -> tuple[Pool | None, list[Job]]:
    """Takes jobs: at most `max_jobs` of `pool`, or lanes full of one waiting.

    Returns:
      `(pool, jobs)`; no jobs when nothing is waiting.
    """
    with self._lock:
      if pool is None:
        pools = [p for p, jobs in self._waiting.items() if jobs]
        if not pools:
          return None, []
        # A pool that nobody runs comes first: its jobs then share one worker's
        # lanes and wait for them, and only one worker compiles the program.
        pool = next((p for p in pools if p not in self._pools), pools[0])
        max_jobs = self.widths[pool[0]][-1]
      self._pools[worker] = pool
      self._run_by[worker].add(pool[0])
      jobs = self._waiting[pool]
      return pool, [jobs.popleft() for _ in range(min(max_jobs, len(jobs)))]

  def narrow(self, worker: int, pool: Pool, unfinished: Iterable[str]) -> bool:
    """Gives jobs back, to be run in narrower lanes by whoever takes them next.

    They go on from what the worker has answered last.

    Args:
      worker: the one that had no memory for them.
      pool: theirs.
      unfinished: ids of its jobs that have not ended.

    Returns:
      False where there is no narrower width: then nothing is changed.
    """
    program, _ = pool
    with self._lock:
      *narrower, _ = self.widths[program]
      if not narrower:
        return False
      self.widths[program] = tuple(narrower)
      self._columns.update(self._snapshots[worker])
      self._snapshots[worker] = {}
      self._pools[worker] = None
      self._waiting[pool].extendleft(
        reversed([self._jobs[name] for name in unfinished])
      )
      return True

  def begun_before(self, jobs: Iterable[Job]) -> dict[str, TrialState]:
    """Job id -> `TrialState`, of the jobs that continue."""
    return {
      job.id: self._columns[job.id] for job in jobs if job.id in self._columns
    }

  def build(self, name: str) -> Maker:
    """The built program; the first caller builds it."""
    with self._lock:
      lock = self._building[name]
    with lock:
      if name not in self._built:
        self._built[name] = self._build(name)
      return self._built[name]

  def names_over(self, worker: int) -> list[str]:
    """The programs that a worker has run and of which no trial is left."""
    with self._lock:
      self._pools[worker] = None
      at_work = {name for name, _ in filter(None, self._pools)}
      at_work |= {name for (name, _), jobs in self._waiting.items() if jobs}
      return [name for name in self._run_by[worker] if name not in at_work]

  def forget(self, worker: int, name: str) -> None:
    """Lets go of what was built of a program of which no trial is left."""
    with self._lock:
      self._built.pop(name, None)
      self._run_by[worker].discard(name)

  def broken(self) -> bool:
    """Tells whether it is the machine, not one program that is too large."""
    return len(self.faults) > 1

  def fault(self) -> machine.Fault | faults.Refused:
    """The error that stood in the way of a run that has not ended."""
    if self.misfits and not self.faults:
      refusal = faults.Refused(_MISFIT)
      refusal.__cause__ = self.misfits[0]
      return refusal
    line, error = next(iter(self.faults), ('a worker has ended early', None))
    fault = machine.Fault(line)
    fault.__cause__ = error
    return fault

  def ask(self) -> None:
    """Asks every worker for its columns."""
    for event in self.asked:
      event.set()

  def answer(
    self, worker: int, columns: dict[str, TrialState] | None = None
  ) -> None:
    """A worker's columns; None: those it gave before."""
    with self._lock:
      if columns is not None:
        self._snapshots[worker] = columns
    self.asked[worker].clear()

  def answered(self) -> bool:
    """Tells whether every worker that was asked has answered."""
    return not any(event.is_set() for event in self.asked)

  def begun(self) -> dict[str, TrialState]:
    """Job id -> `TrialState`, the newest known."""
    with self._lock:
      columns = dict(self._columns)
      for snapshot in self._snapshots:
        columns.update(snapshot)
    return columns

  def tell(
    self,
    worker: int,
    updates: Mapping[str, float],
    note: str = '',
    **work: float,
  ) -> None:
    """A worker's trials (id -> updates seen), and what it has done more."""
    with self._lock:
      self._seen[worker] = updates
      self._note = note
      tally = self._tallies[worker]
      for key, amount in work.items():
        tally[key] = tally.get(key, 0.0) + amount

  def progress(self) -> Progress:
    """The `Progress` of all workers."""
    with self._lock:
      total = {
        key: sum(tally.get(key, 0.0) for tally in self._tallies)
        for key in ('sequences', 'useful', 'executed')
      }
    return Progress(
      total['sequences'],
      total['useful'],
      total['executed'],
      sum(self.compiling),
      {k: n for seen in self._seen for k, n in seen.items()},
      self._note,
    )
