"""Tasks of Dask's workers: they prepare a plan, and train bundles of trials.

A worker is one process of one or more threads, each of which runs a bundle on
a device of the process. What a run has compiled stays until another run comes.
"""

import dataclasses
import functools
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from distributed import Worker, get_worker

from lstm_jax.lab.cluster.memory import (
  Refusal,
  check_provenance,
  made_by,
  memory_of,
  open_run,
  set_up,
)
from lstm_jax.lab.cluster.messages import (
  Bundle,
  Ended,
  Ending,
  Prepared,
  Report,
  Session,
  Trials,
)
from lstm_jax.lab.data.files import errors
from lstm_jax.lab.plan.programs import learner_of
from lstm_jax.lab.run import (
  builds,
  groups,
  preparation,
  recorder,
  xla_flags,
)
from lstm_jax.lab.store import (
  checkpoints,
  faults,
  machine,
)
from lstm_jax.lab.store.record_packs import Writer

if TYPE_CHECKING:
  from lstm_jax.lab.run import queue
  from lstm_jax.training.loop import Outcome

_NAME = 'lstm_jax'
_REPORT_SECONDS = 1.0
# A shared file system may show what was written elsewhere some seconds later.
_PATIENCE = 10.0


def dask_setup(worker: Worker) -> None:
  """Leaves Ctrl-C to the command: called by Dask in workers of its own.

  Args:
    worker: which begins.
  """
  del worker
  signal.signal(signal.SIGINT, signal.SIG_IGN)


def prepare(session: Session, trials: Trials) -> Prepared | Ending:
  """Prepares a plan: builds every program, reads the data, makes no file.

  Args:
    session: the run, whose folder need not be there yet.
    trials: id -> setting.

  Returns:
    What was prepared, or why not.
  """

  def work():
    memory = memory_of(get_worker())
    with memory.lock:
      set_up(memory, session)
    device = memory.devices[0]
    prepared, code, facts = preparation.prepare(trials, session.options, device)
    memory.makers = {session.token: dict(prepared[0].makers)}
    process = made_by(memory, facts)
    check_provenance(session, process)
    return Prepared(
      process,
      code,
      {k: names for of in prepared for k, names in of.members.items()},
      tuple(unit for of in prepared for unit in of.units),
      tuple(group for of in prepared for group in of.groups),
    )

  return _guarded(work)


def run_bundle(token: str, session: Session | None, bundle: Bundle) -> Ending:
  """Runs a bundle of trials, and seals a record for each that ends.

  Args:
    token: of the session.
    session: the run; None for a worker that was told of it.
    bundle: the trials.
  """

  def work():
    worker = get_worker()
    memory = memory_of(worker)
    run = open_run(memory, token, session)
    if run is None:
      return Ending(is_unknown=True)
    with run.at_work(bundle.program):
      return _train(worker, memory, run, bundle)

  return cast(Ending, _guarded(work))


async def stop(token: str, dask_worker: Worker) -> None:
  """Has a worker save all that it runs of a session, and stop.

  A coroutine, since Dask waits for everything else that it calls in a worker.

  Args:
    token: of the session.
    dask_worker: the worker, as Dask gives it.
  """
  run = memory_of(dask_worker).runs.get(token)
  if run is not None:
    run.stop.set()


async def release(token: str, number: int, dask_worker: Worker) -> None:
  """Has a worker save one bundle and hand back what has not ended.

  Args:
    token: of the session.
    number: of the bundle.
    dask_worker: the worker, as Dask gives it.
  """
  run = memory_of(dask_worker).runs.get(token)
  if run is not None:
    run.released.add(number)


def _guarded(work):
  """Calls `work`; returns an `Ending` for what it raises."""
  try:
    return work()
  except Refusal as refusal:
    return Ending(refusal=str(refusal))
  except (xla_flags.NoDevice, errors.Missing) as error:
    return Ending(refusal=' '.join(str(error).split()))
  except errors.BadData as error:
    return Ending(fault=str(error), exit_code=int(faults.Exit.BAD_DATA))
  except faults.StoreError as error:
    return Ending(fault=str(error), exit_code=int(error.exit_code))
  except Exception as error:
    line = (
      str(error) if isinstance(error, machine.Fault) else (machine.fault(error))
    )
    if line is None:
      raise
    return Ending(
      fault=line, exit_code=int(faults.Exit.STOPPED), is_machine=True
    )


def _train(worker, memory, run, bundle):
  """Runs the trials of a bundle that have not ended; returns its `Ending`."""
  from lstm_jax.lab.run import scheduler
  from lstm_jax.training.compilation import widths_of

  device = memory.devices[bundle.slot % len(memory.devices)]
  with run.lock:
    writer = run.writers.setdefault(bundle.slot, Writer())
    maker = _maker(run, bundle)
  opened = dataclasses.replace(run.opened, writer=writer)
  is_on_line = learner_of(opened.trials[bundle.names[0]]).kind == 'learners'
  widths = (
    widths_of(device, maker.carried) if is_on_line else (len(bundle.names),)
  )
  state = recorder.RunState(
    opened,
    run.session.options._replace(progress='none'),
    opened.trials,
    {bundle.program: bundle.names},
    bundle.names,
    {name: {'status': '', 'metrics': {}} for name in bundle.ended},
    [device],
    recorder.CheckpointNames(
      bundle.checkpoint, f'{recorder.SPENT}-{run.name}-{bundle.slot}'
    ),
  )
  if earlier := run.states.get(bundle.slot):
    state.take_over(earlier)
  run.states[bundle.slot] = state
  left = (
    [name for name in bundle.names if name not in bundle.ended]
    if is_on_line
    else list(bundle.names)
  )
  saved, _ = checkpoints.load(opened, names=bundle.resume)
  current = [one for one in saved if one[1].get('form') == recorder.FORM]
  telling = _Telling(worker, run.session.token, bundle.number)
  is_complete = scheduler.run(
    state.jobs(left),
    lambda name: maker,
    [(device,)],
    scheduler.Hooks(
      telling.outcome(state.outcome),
      telling.progress,
      state.save,
      _stopping(worker, memory, run, bundle),
    ),
    columns=state.columns(left, current),
    widths={bundle.program: widths},
    save_seconds=run.session.options.checkpoint_seconds,
    programs=run.programs,
    keeps=lambda name: True,
  )
  state.save_spent()
  if is_complete:
    checkpoints.drop(opened, bundle.checkpoint)
  return Ending(is_complete, tuple(telling.ended), telling.work)


def _maker(run, bundle):
  """The maker of the loop of a bundle's program."""
  trials = run.opened.trials
  setting = trials[bundle.names[0]]
  if learner_of(setting).kind == 'learners':
    if bundle.program not in run.makers:
      run.makers[bundle.program] = builds.build(setting)
    return run.makers[bundle.program]
  dataset, trainer = run.build(setting)
  expected = run.session.provenance
  for key, name, found in (
    ('data', setting.task, dataset.checksum),
    ('layer_code', setting.cell, trainer.model.kernel()),
  ):
    known = cast(dict[str, str], expected.get(key) or {}).get(name, found)
    if known != found and not run.session.options.allow_drift:
      raise Refusal(f'{key} of {name} is {found} there and {known} here')
  group = groups.Group(
    bundle.program, bundle.names, tuple(trials[n] for n in bundle.names)
  )
  return groups.Build(group, run.build, run.levels)


def _stopping(worker, memory, run, bundle) -> Callable[[], bool]:
  """`() -> bool`: whether the scheduler is to save and stop."""
  key = worker.get_current_task()

  def is_wanted():
    # Where the command has gone, Dask takes the task back.
    task = worker.state.tasks.get(key)
    return task is not None and task.state not in ('cancelled', 'resumed')

  return lambda: (
    memory.closing.is_set()
    or run.stop.is_set()
    or bundle.number in run.released
    or not is_wanted()
  )


class _Telling:
  """Tells the command how far a bundle is."""

  def __init__(self, worker: Worker, token: str, number: int) -> None:
    self.ended: list[Ended] = []
    self.work = 0.0, 0.0, 0.0
    self._send = functools.partial(worker.log_event, topic_of(token))
    self._number, self._num_told = number, 0
    self._last, self._has_seen = time.monotonic(), False

  def outcome(
    self, seal: 'Callable[[Outcome], None]'
  ) -> 'Callable[[Outcome], None]':
    """A hook that seals a record and notes that its trial has ended."""

    def hook(outcome):
      seal(outcome)
      self.ended.append((outcome.id, outcome.status, float(outcome.seen)))

    return hook

  def progress(self, progress: 'queue.Progress') -> None:
    """Sends a report now and then."""
    self.work = (
      float(progress.sequences),
      float(progress.useful),
      float(progress.executed),
    )
    clock = time.monotonic()
    # That a worker gets somewhere with its trials is news.
    is_first = bool(progress.seen) and not self._has_seen
    if clock - self._last < _REPORT_SECONDS and not is_first:
      return
    self._has_seen = self._has_seen or is_first
    report = Report(
      self._number,
      tuple(self.ended[self._num_told :]),
      dict(progress.seen),
      self.work,
      progress.compiling,
    )
    self._last, self._num_told = clock, len(self.ended)
    self._send(tuple(report))


def topic_of(token: str) -> str:
  """The name of Dask's events of a session."""
  return f'{_NAME}-{token}'
