"""Workers: a plan's trials, run in lanes on every device.

One thread a device. A worker takes trials of one program and one length, as
many as its share and the lane width allow, and advances them in lock-step; a
trial that has finished is tested, handed over, and its lane given to the next
one waiting. When none is waiting and few are left, the lanes move to a
narrower program. Which lane, width or device a trial has does not change it.
"""

import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from lstm_jax.lab.run import lanes as lanes_of
from lstm_jax.lab.run.lanes import Column, Job
from lstm_jax.lab.run.queue import Progress, Shared
from lstm_jax.lab.store import machine
from lstm_jax.training import online

# A chunk is what runs between two looks at the clock; its length follows the
# measured speed.
_CHUNK_SECONDS = 0.5
# Compiling a narrower width costs seconds; it has to be earned first.
_NARROW_AFTER_SECONDS = 60.0
# What a stop may wait for: workers at the end of their chunk, or compiling.
_STOP_SECONDS = 6.0


class Outcome(NamedTuple):
  """How a trial ended.

  Attributes:
    id: of the job.
    status: 'solved', 'budget', 'given_up', 'diverged' or 'failed'.
    seen: training sequences shown.
    test: the `lanes.Test` on fresh sequences, None unless solved.
    train: mean absolute error over the last finite training sequences.
    seconds: of its device, shared with the lanes beside it.
    reason: of a failure: the error, then its traceback.
    milestone: training sequences until an exam was first right, None before.
    net: path in the params -> array, the net of a solved trial.
    weights: that are trained.
  """

  id: str
  status: str
  seen: int
  test: lanes_of.Test | None
  train: float | None
  seconds: float
  reason: str = ''
  milestone: int | None = None
  net: Mapping[str, np.ndarray] | None = None
  weights: int | None = None


class Hooks(NamedTuple):
  """What `run` calls, always from the thread that called it.

  Attributes:
    outcome: `Outcome -> None`, once a trial.
    progress: `Progress -> None`, several times a second.
    save: `{job id: Column} -> None`: unfinished trials that have begun.
    stopping: `() -> bool`: whether to save and return.
  """

  outcome: Callable[[Outcome], None]
  progress: Callable[[Progress], None] = lambda progress: None
  save: Callable[[Mapping[str, Column]], None] = lambda columns: None
  stopping: Callable[[], bool] = lambda: False


def run(
  jobs: list[Job],
  build: Callable[[str], lanes_of.Build],
  devices: list,
  hooks: Hooks,
  *,
  columns: Mapping[str, Column] | None = None,
  widths: tuple[int, ...] | Mapping[str, tuple[int, ...]] = (),
  save_seconds: float = 20.0,
  test_sequences: int = lanes_of.TEST_SEQUENCES,
) -> bool:
  """Runs jobs until all have ended or `hooks.stopping()` holds.

  Args:
    jobs: the trials, in the order in which they should start.
    build: from a program's name; called once a program, from a worker.
    devices: one worker thread each.
    hooks: what is told about it.
    columns: job id -> Column of the trials that continue.
    widths: lane widths that may be compiled, or program -> those;
      `lanes.widths_of` where there are none.
    save_seconds: time between two calls of `hooks.save`.
    test_sequences: fresh sequences of the test after success.

  Returns:
    True if every job has ended, False if it was stopped before.

  Raises:
    machine.Fault: the machine cannot go on; what had begun was saved, and no
      outcome was made of it.
  """
  usual = widths if isinstance(widths, tuple) and widths else None
  usual = usual or lanes_of.widths_of(devices[0])
  each = widths if isinstance(widths, Mapping) else {}
  shared = Shared(
    jobs,
    build,
    dict(columns or {}),
    {job.program: each.get(job.program, usual) for job in jobs},
    test_sequences,
    len(devices),
  )
  threads = [
    threading.Thread(target=_work, args=(shared, i, device), daemon=True)
    for i, device in enumerate(devices)
  ]
  ended = set()

  def take_outcomes(timeout):
    try:
      while True:
        outcome = shared.outcomes.get(timeout=timeout)
        hooks.outcome(outcome)
        ended.add(outcome.id)
        timeout = 0
    except queue.Empty:
      pass

  def save():
    begun = shared.begun()
    hooks.save({k: c for k, c in begun.items() if k not in ended})

  saved, asked, stopped = time.monotonic(), None, False
  try:
    for thread in threads:
      thread.start()
    while any(thread.is_alive() for thread in threads):
      take_outcomes(0.1)
      hooks.progress(shared.progress())
      stopped = hooks.stopping()
      if stopped or shared.broken():
        break
      now = time.monotonic()
      if asked is None and now - saved >= save_seconds:
        shared.ask()
        asked = now
      # A worker that compiles answers late; its last columns are good.
      if asked is not None and (shared.answered() or now - asked > 5):
        save()
        saved, asked = time.monotonic(), None
  finally:
    shared.stop.set()
    end = time.monotonic() + _STOP_SECONDS
    for thread in threads:
      if thread.ident is not None:  # was started
        thread.join(max(0.0, end - time.monotonic()))
  take_outcomes(0)
  hooks.progress(shared.progress())
  if len(ended) == len(jobs):
    return True
  save()
  if not stopped:
    raise shared.fault()
  return False


def _work(shared, worker, device):
  """A worker thread: one pool of lanes after another."""

  def on_compile(compiling):
    shared.compiling[worker] = compiling

  compiled = lanes_of.Compiled(device, on_compile)
  while not (shared.stop.is_set() or shared.broken()):
    pool, jobs = shared.claim(worker)
    if not jobs:
      break
    unfinished = {job.id: 0 for job in jobs}
    try:
      _run_pool(shared, worker, compiled, pool, jobs, unfinished)
    except Exception as error:
      if line := machine.fault(error):
        shared.faults.append((line, error))
        shared.tell(worker, {})
        continue
      # One program that cannot run must not take the others with it. The
      # traceback of an error within jax ends with a note, not the error.
      reason = f'{type(error).__name__}: {error}\n{traceback.format_exc()}'
      for job_id, seen in unfinished.items():
        shared.outcomes.put(
          Outcome(job_id, 'failed', seen, None, None, 0.0, reason)
        )
    shared.tell(worker, {})
  shared.answer(worker)


def _run_pool(shared, worker, compiled, pool, jobs, unfinished):
  """Runs the jobs taken, and those that get their lanes, to their ends.

  `unfinished` (job id -> sequences seen) is kept current, for a failure.
  """
  name, _ = pool
  build, widths = shared.build(name), shared.widths[name]
  began, chunk, width, running = time.monotonic(), 16, 0, []
  while jobs or running:
    if jobs:
      columns, structure = lanes_of.start(
        compiled, name, build, jobs, widths[-1]
      )
      running += [
        (job, shared.column(job) or column)
        for job, column in zip(jobs, columns, strict=True)
      ]
    late = time.monotonic() - began > _NARROW_AFTER_SECONDS
    if late or len(running) > width:
      width = lanes_of.width_for(widths, len(running))
    trials = lanes_of.stack([c for _, c in running], structure, width)
    ids = [job.id for job, _ in running]
    seconds = np.array([column.seconds for _, column in running])
    while True:
      clock = time.monotonic()
      (trials, work), fresh = compiled(
        name, build.program.advance, trials, np.int32(chunk)
      )
      status = np.asarray(trials.status)[: len(ids)]
      spent = time.monotonic() - clock
      seen = np.asarray(trials.seen)[: len(ids)].tolist()
      unfinished.update(zip(ids, seen, strict=True))
      shared.tell(
        worker,
        dict(zip(ids, seen, strict=True)),
        sequences=float(work.sequences),
        useful=float(work.useful),
        executed=float(work.executed),
      )
      ended = status != online.RUNNING
      if not fresh:
        seconds += spent / len(ids)
        chunk = next_chunk(chunk, spent, whole=not ended.any())
      if shared.asked[worker].is_set() or shared.stop.is_set():
        columns = lanes_of.columns_of(trials, seconds)
        shared.answer(worker, dict(zip(ids, columns, strict=True)))
      if shared.stop.is_set():
        return
      late = time.monotonic() - began > _NARROW_AFTER_SECONDS
      narrower = lanes_of.width_for(widths, len(ids)) < width
      if ended.any() or (late and narrower):
        break
    columns = lanes_of.columns_of(trials, seconds)
    for (job, _), column, over in zip(running, columns, ended, strict=True):
      if over:
        shared.outcomes.put(
          _outcome(shared, compiled, name, build, job, column, structure)
        )
        del unfinished[job.id]
    running = [
      (job, column)
      for (job, _), column, over in zip(running, columns, ended, strict=True)
      if not over
    ]
    _, jobs = shared.claim(worker, pool, width - len(running))
    unfinished.update({job.id: 0 for job in jobs})


def next_chunk(chunk, spent, whole):
  """Sequences of the next chunk.

  Args:
    chunk: of the last one.
    spent: seconds that it took.
    whole: whether it ran to its end. One that a lane's end cut short does not
      say that there is time for more: sixteen in a row that end one after
      another would else make a chunk of minutes.
  """
  pace = np.clip(_CHUNK_SECONDS / max(spent, 1e-3), 0.25, 4 if whole else 1)
  return int(np.clip(chunk * pace, 1, 10**6))


def _outcome(shared, compiled, name, build, job, column, structure):
  """The outcome of a trial that has ended, with its test if it was solved."""
  status = online.STATUS[int(column.leaves['status'])]
  test = None
  if status == 'solved':
    test = lanes_of.test(
      compiled, name, build, column, structure, shared.test_sequences
    )
  return Outcome(
    job.id,
    status,
    int(column.leaves['seen']),
    test,
    float(column.leaves['error/absolute']),
    column.seconds,
    milestone=int(column.leaves['milestone']) or None,
    net=lanes_of.net_of(column, structure) if test else None,
    weights=build.weights,
  )
