"""What the workers of a run share: trials waiting, what has begun, the tally.

Every access from any thread, each under the lock.
"""

import collections
import queue
import threading
from collections.abc import Mapping
from typing import NamedTuple

from lstm_jax.lab.store import machine


class Progress(NamedTuple):
  """What the workers have done since they started.

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


class Shared:
  """The shared state of one run."""

  def __init__(self, jobs, build, columns, widths, test_sequences, workers):
    self.widths = widths
    self.test_sequences = test_sequences
    self.outcomes = queue.Queue()
    self.faults = []  # (line, error) of the machine
    self.stop = threading.Event()
    self.asked = [threading.Event() for _ in range(workers)]
    self.compiling = [False] * workers
    self._lock = threading.Lock()
    self._build, self._built = build, {}
    self._building = collections.defaultdict(threading.Lock)
    self._columns = columns
    self._snapshots = [{} for _ in range(workers)]
    self._tallies = [collections.Counter() for _ in range(workers)]
    self._seen = [{} for _ in range(workers)]
    self._note = ''
    self._pools = [None] * workers
    self._waiting = {}
    for job in jobs:
      pool = (job.program, job.length)
      self._waiting.setdefault(pool, collections.deque()).append(job)

  def claim(self, worker, pool=None, most=0):
    """Takes jobs: at most `most` of `pool`, or lanes full of one waiting.

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
        most = self.widths[pool[0]][-1]
      self._pools[worker] = pool
      jobs = self._waiting[pool]
      return pool, [jobs.popleft() for _ in range(min(most, len(jobs)))]

  def begun_before(self, jobs):
    """Job id -> `TrialState`, of the jobs that continue."""
    return {
      job.id: self._columns[job.id] for job in jobs if job.id in self._columns
    }

  def build(self, name):
    """The built program, made by whoever comes first."""
    with self._lock:
      lock = self._building[name]
    with lock:
      if name not in self._built:
        self._built[name] = self._build(name)
      return self._built[name]

  def broken(self):
    """Whether it is the machine, and not one program that is too large."""
    return len(self.faults) > 1

  def fault(self):
    """The `machine.Fault` of a run that has not come to its end."""
    line, error = next(iter(self.faults), ('a worker has ended early', None))
    fault = machine.Fault(line)
    fault.__cause__ = error
    return fault

  def ask(self):
    """Asks every worker for its columns."""
    for event in self.asked:
      event.set()

  def answer(self, worker, columns=None):
    """A worker's columns; None: those it gave before."""
    with self._lock:
      if columns is not None:
        self._snapshots[worker] = columns
    self.asked[worker].clear()

  def answered(self):
    """Whether every worker that was asked has answered."""
    return not any(event.is_set() for event in self.asked)

  def begun(self):
    """Job id -> `TrialState`, the newest known."""
    with self._lock:
      columns = dict(self._columns)
      for snapshot in self._snapshots:
        columns.update(snapshot)
    return columns

  def tell(self, worker, seen, note='', **work):
    """A worker's trials (id -> updates seen), and what it has done more."""
    with self._lock:
      self._seen[worker] = seen
      self._note = note
      self._tallies[worker].update(work)

  def progress(self):
    """The `Progress` of all workers."""
    total = collections.Counter()
    with self._lock:
      for tally in self._tallies:
        total.update(tally)
    return Progress(
      total['sequences'],
      total['useful'],
      total['executed'],
      sum(self.compiling),
      {k: n for seen in self._seen for k, n in seen.items()},
      self._note,
    )
