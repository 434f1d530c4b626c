"""The scheduler: a plan's trials, run as loops on every device.

One thread a worker, which has a device or, of accelerators, all of them. It
takes trials of one program and one length, as many as its share and the lane
width allow, and advances their `Loop` by as many updates as fit between two
looks at the clock. What has ended is handed over, and the lanes that are free
are given to the next ones waiting. Where a device has no memory for as many
lanes, fewer are tried. Trials and supervised runs are told apart by their loops
alone.
"""

import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from lstm_jax.lab.run.queue import Maker, Progress, Shared
from lstm_jax.lab.store import machine, memory
from lstm_jax.training import lanes as lanes_of
from lstm_jax.training.compilation import (
  Compiled,
  CompiledPrograms,
  ProgramsByWorker,
  widths_of,
)
from lstm_jax.training.loop import Job, OtherSnapshot, Outcome, TrialState

# A chunk is what runs between two looks at the clock; its length follows the
# measured speed.
_CHUNK_SECONDS = 0.5
# What a stop may wait for: workers at the end of their chunk, or compiling.
_STOP_SECONDS = 6.0


class Hooks(NamedTuple):
  """Functions that `run` calls, always from the thread that called it.

  Attributes:
    outcome: `Outcome -> None`, once a trial.
    progress: `Progress -> None`, several times a second.
    save: `{job id: TrialState} -> None`: unfinished trials that have begun.
    stopping: `() -> bool`: whether to save and return.
  """

  outcome: Callable[[Outcome], None]
  progress: Callable[[Progress], None] = lambda progress: None
  save: Callable[[Mapping[str, TrialState]], None] = lambda states: None
  stopping: Callable[[], bool] = lambda: False


def run(
  jobs: Sequence[Job],
  build: Callable[[str], Maker],
  workers: Sequence[Sequence[jax.Device]],
  hooks: Hooks,
  *,
  columns: Mapping[str, TrialState] | None = None,
  widths: tuple[int, ...] | Mapping[str, tuple[int, ...]] = (),
  save_seconds: float = 20.0,
  test_sequences: int = lanes_of.TEST_SEQUENCES,
  programs: ProgramsByWorker | None = None,
  keeps: Callable[[str], bool] = lambda name: False,
) -> bool:
  """Runs jobs until all have ended or `hooks.stopping()` holds.

  Args:
    jobs: the trials, in the order in which they should start.
    build: from a program's name what makes its `Loop`: a `lanes.Build` or the
      like, with `loop(name, compiled, widths, tests)`; called once a program,
      from a worker.
    workers: the devices of each worker, a thread; lanes go over all of them.
    hooks: what is told about it.
    columns: job id -> `TrialState` of the trials that continue.
    widths: lane widths of one device that may be compiled, or program ->
      those; `compilation.widths_of` where there are none.
    save_seconds: time between two calls of `hooks.save`.
    test_sequences: fresh sequences of the test after success.
    programs: compiled in earlier runs on these devices; more are added. None:
      they are for this run alone.
    keeps: program -> whether it is kept in `programs` when its trials have all
      ended; asked by each worker that has run it.

  Returns:
    True if every job has ended, False if it was stopped before.

  Raises:
    machine.Fault: the machine cannot go on; what had begun was saved, and no
      outcome was made of it.
    Refused: a column is of other code; all else has ended, and what had begun
      was saved.
  """
  usual = widths if isinstance(widths, tuple) and widths else None
  usual = usual or widths_of(workers[0][0])
  widths_by_program = widths if isinstance(widths, Mapping) else {}
  shared = Shared(
    jobs,
    build,
    dict(columns or {}),
    {
      job.program: tuple(
        width * len(workers[0])
        for width in widths_by_program.get(job.program, usual)
      )
      for job in jobs
    },
    test_sequences,
    len(workers),
  )
  programs = {} if programs is None else programs
  for i, devices in enumerate(workers):
    programs.setdefault((i, *devices), CompiledPrograms({}, {}))
  threads = [
    threading.Thread(
      target=_work,
      args=(shared, i, devices, programs[i, *devices], keeps),
      daemon=True,
    )
    for i, devices in enumerate(workers)
  ]
  ended_ids = set()

  def take_outcomes(timeout):
    try:
      while True:
        outcome = shared.outcomes.get(timeout=timeout)
        hooks.outcome(outcome)
        ended_ids.add(outcome.id)
        timeout = 0
    except queue.Empty:
      pass

  def save():
    states = shared.begun()
    hooks.save({k: c for k, c in states.items() if k not in ended_ids})

  last_save, request_time, is_stopping = time.monotonic(), None, False
  try:
    for thread in threads:
      thread.start()
    while any(thread.is_alive() for thread in threads):
      take_outcomes(0.1)
      hooks.progress(shared.progress())
      is_stopping = hooks.stopping()
      if is_stopping or shared.broken():
        break
      clock = time.monotonic()
      if request_time is None and clock - last_save >= save_seconds:
        shared.ask()
        request_time = clock
      # A worker that compiles answers late; its last columns are good.
      if request_time is not None and (
        shared.answered() or clock - request_time > 5
      ):
        save()
        last_save, request_time = time.monotonic(), None
  finally:
    shared.stop.set()
    end = time.monotonic() + _STOP_SECONDS
    for thread in threads:
      if thread.ident is not None:  # was started
        thread.join(max(0.0, end - time.monotonic()))
  take_outcomes(0)
  hooks.progress(shared.progress())
  if len(ended_ids) == len(jobs):
    return True
  save()
  if not is_stopping:
    raise shared.fault()
  return False


def _work(shared, worker, devices, programs, keeps):
  """A worker thread: one pool of lanes after another."""

  def on_compile(compiling):
    shared.compiling[worker] = compiling

  compiled = Compiled(
    *devices,
    on_compile=on_compile,
    programs=programs,
    memory_left=memory.left,
  )
  while not (shared.stop.is_set() or shared.broken()):
    # A plan may have a thousand programs.
    for name in shared.names_over(worker):
      shared.forget(worker, name)
      if not keeps(name):
        programs.drop(name)
    pool, jobs = shared.claim(worker)
    if not jobs:
      break
    unfinished = {job.id: 0 for job in jobs}
    try:
      _run_pool(shared, worker, compiled, pool, jobs, unfinished)
    except OtherSnapshot as error:
      shared.misfits.append(error)
      shared.tell(worker, {})
      continue
    except Exception as error:
      if line := machine.fault(error):
        if machine.is_memory(line) and shared.narrow(worker, pool, unfinished):
          shared.tell(worker, {})
          continue
        shared.faults.append((line, error))
        shared.tell(worker, {})
        continue
      # One program that cannot run must not take the others with it. The
      # traceback of an error within jax ends with a note, not the error.
      reason = f'{type(error).__name__}: {error}\n{traceback.format_exc()}'
      for job_id, updates in unfinished.items():
        shared.outcomes.put(
          Outcome(job_id, 'failed', updates, 0.0, reason=reason)
        )
    shared.tell(worker, {})
  shared.answer(worker)


def _run_pool(shared, worker, compiled, pool, jobs, unfinished):
  """Runs the jobs taken, and those that get their lanes, to their ends.

  `unfinished` (job id -> updates seen) is kept current, for a failure.
  """
  name, _ = pool
  loop = shared.build(name).loop(
    name, compiled, shared.widths[name], shared.test_sequences
  )
  state, chunk = loop.start(jobs, shared.begun_before(jobs)), loop.first
  while unfinished:
    clock = time.monotonic()
    state, advanced = loop.advance(state, chunk)
    seconds = time.monotonic() - clock
    unfinished.update(advanced.seen)
    shared.tell(
      worker,
      advanced.seen,
      advanced.note,
      sequences=advanced.sequences,
      useful=advanced.useful,
      executed=advanced.executed,
    )
    if not advanced.has_compiled:
      state = loop.charge(state, seconds)
      chunk = next_chunk(chunk, seconds, advanced.is_complete)
    # Tests of what has ended take a while: a stop meanwhile must find it.
    if (
      advanced.has_ended
      or shared.asked[worker].is_set()
      or shared.stop.is_set()
    ):
      shared.answer(worker, loop.snapshot(state))
    if shared.stop.is_set():
      return
    if advanced.has_ended:
      state, outcomes = loop.results(state)
      for outcome in outcomes:
        shared.outcomes.put(outcome)
        del unfinished[outcome.id]
      _, jobs = shared.claim(worker, pool, loop.num_free(state))
      if jobs:
        unfinished.update({job.id: 0 for job in jobs})
        state = loop.join(state, jobs, shared.begun_before(jobs))


def next_chunk(chunk: int, seconds: float, whole: bool) -> int:
  """Updates of the next chunk.

  Args:
    chunk: updates of the last one.
    seconds: seconds that it took.
    whole: whether it ran to its end. One that a lane's end cut short does not
      say that there is time for more: sixteen in a row that end one after
      another would else make a chunk of minutes.
  """
  pace = np.clip(_CHUNK_SECONDS / max(seconds, 1e-3), 0.25, 4 if whole else 1)
  return int(np.clip(chunk * pace, 1, 10**6))
