"""From a plan to a run folder: what has ended stays, what is left runs.

JAX is imported only if something is left to run.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from lstm_jax.choices import count_of
from lstm_jax.lab.data.files import errors
from lstm_jax.lab.plan import dealing
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.plan.plan import Plan
from lstm_jax.lab.run import (
  aborts,
  builds,
  compile_cache,
  ending,
  jax_options,
  mains,
  own_part,
  parts,
  preparation,
  recorder,
  remaining,
  signals,
  teams,
  verifying,
  xla_flags,
)
from lstm_jax.lab.run.made import Made, made_before
from lstm_jax.lab.store import (
  checkpoints,
  faults,
  folder,
  lock,
  machine,
  provenance,
  trial_records,
)
from lstm_jax.lab.store.documents import Entry
from lstm_jax.lab.store.folder import Folder
from lstm_jax.lab.store.plan_trials import entries_of
from lstm_jax.lab.store.setting import Setting, by_id

Ending = TypeVar('Ending')
_ABORTED = (
  'sweep: a compiled library has aborted, most likely for want of memory: that '
  'is no result, what was saved is safe, run the same command again; the last '
  'error of the system'
)


class Work(NamedTuple):
  """A plan, of which what is left is to be run.

  Attributes:
    plan: the plan.
    options: how to run it.
    stop: holds once a signal has come.
    path: of the run folder.
    trials: id -> setting, all of the plan.
    entries: the same as plan.json has them.
    legacy: what the next part of the plan is left, if it runs in parts.
  """

  plan: Plan
  options: Run
  stop: signals.Stop
  path: Path
  trials: Mapping[str, Setting]
  entries: Sequence[Entry]
  legacy: parts.Legacy


# Runs what is left; returns the open folder, and the ids of this part's trials.
Execute = Callable[[Work], tuple[Folder, Collection[str]]]
# As `complete_run`, which prints what it ends with.
Complete = Callable[..., int]


def run(
  plan: Plan,
  options: Run,
  stop: signals.Stop,
  legacy: parts.Legacy = parts.NOTHING,
  execute: Execute | None = None,
  complete: Complete | None = None,
) -> int:
  """Runs what is left of a plan and prints its table.

  Args:
    plan: a `plan.Plan`.
    options: a `flags.Run`.
    stop: a `signals.Stop`, which holds once a signal has come.
    legacy: what the next part of the plan is left, if it runs in parts.
    execute: what runs what is left; None: `run_here`.
    complete: what runs a plan with its rounds; None: `complete_run`.

  Returns:
    The exit code, see `faults.Exit`. A setting that its cell, task or learner
    refuses is named before anything is written.
  """
  try:
    return (complete or complete_run)(
      plan, options, stop, ending.show, legacy, execute
    )
  except faults.StoreError as error:
    # A line for each setting that is refused.
    mains.say('sweep', *str(error).split('\n'))
    return int(error.exit_code)
  except (errors.Missing, errors.BadData) as error:
    mains.say('sweep', error)
    is_missing = isinstance(error, errors.Missing)
    return int(faults.Exit.NO_DATA if is_missing else faults.Exit.BAD_DATA)
  except signals.Stopped as stopped:
    if not stopped.is_told:
      path = Path(options.out or plan.out)
      print(recorder.stop_line(len(plan.trials) - remaining.num_records(path)))
      stopped.is_told = True
    raise


def complete_run(
  plan: Plan,
  options: Run,
  stop: signals.Stop,
  end: Callable[[Folder, Collection[str]], Ending],
  legacy: parts.Legacy = parts.NOTHING,
  execute: Execute | None = None,
) -> Ending | int:
  """Runs what is left of a plan.

  Args:
    plan, options, stop: as of `run`.
    end: called with the open folder and the ids of this part's trials, when
      all of them have ended; one process at a time.
    legacy, execute: as of `run`.

  Returns:
    What `end` returns; where `options` asks to verify the folder, an exit code.

  Raises:
    StoreError, Missing, BadData: a setting that is refused, a folder of another
      plan, the data, the disk, the machine.
    Stopped: at a signal, after saving.
  """
  path = Path(options.out or plan.out)
  options = options._replace(paths=tuple(plan.paths.items()))
  trials = by_id(plan.trials)
  entries = entries_of(trials)
  try:
    if options.verify:
      code_now = builds.code(trials)
      return verifying.verify(path, options, trials, entries, code_now)
    finished = remaining.finished_folder(path, options, trials, entries)
    if finished is None:
      opened, mine = (execute or run_here)(
        Work(plan, options, stop, path, trials, entries, legacy)
      )
    else:
      mains.tell(f'Nothing left to do in {path}.')
      remaining.tidy(finished)
      opened = finished
      mine = dealing.names_of_part(trials, options.shard)
    # One after another, each from all records: the last report is of all.
    with lock.tables(opened):
      return end(opened, mine)
  except (faults.StoreError, errors.Missing, errors.BadData):
    raise
  except Exception as error:
    line = machine.fault(error)
    if line is None or isinstance(error, OSError):
      raise
    raise faults.Machine(
      f'{line}; that is no result: what was saved is safe, run the same '
      'command again where there is more of it'
    ) from error


def run_here(
  work: Work, made: Made | None = None
) -> tuple[Folder, Collection[str]]:
  """Runs what is left of a plan, or of a part of it, by this process.

  Args:
    work: what is to be run.
    made: programs of earlier runs of this process; None: none, none are kept.

  Returns:
    The open folder, and the ids of the trials of this part.

  Raises:
    StoreError, Missing, BadData, Stopped: as of `complete_run`.
  """
  plan, options, stop, path, trials, entries, legacy = work
  part = parts.next_part(plan.trials, options.xla_profile, mains.is_process())
  if part.ended:
    # An earlier part has done so.
    options = options._replace(retry_failed=False)
  _check_kinds(part, options)
  title = plan.title, f'{count_of(len(trials), "trial")} in {path}'
  is_part = options.shard[1] > 1 or options.distributed
  if not (part.ended or is_part):
    mains.note('sweep', *filter(None, [options.shard_reason]))
    mains.tell(*title)
  environ = dict(os.environ)
  xla_flags.set_flags(part.profile)
  with stop.polled():  # an import is no place for an exception
    devices, options = own_part.workers_of(options, plan.trials)
    if is_part and not part.ended:
      mains.tell(own_part.part_words(options, devices), *title)
    jax_options.pin()
    kept = compile_cache.set_up(options.compile_cache)
    if mains.is_process():
      aborts.arm(int(faults.Exit.STOPPED), _ABORTED)
  made = made or made_before()
  prepared, code, facts = preparation.prepare(
    trials, options, devices[0], kept, made.builds
  )
  opened = folder.create_or_open(
    path,
    preparation.plan_content(
      plan.grid,
      path.name,
      trials,
      entries,
      provenance.provenance(
        devices[0].device_kind,
        len(devices),
        jax_config=jax_options.recorded(),
        xla_flags={
          profile: xla_flags.flags_of(profile, environ)
          for profile in part.all_profiles
        }
        or None,
        **facts,
      ),
    ),
    options.allow_drift,
    sources=code,
    trials=trials,
  )
  mains.note('sweep', *opened.notes)
  shard, shards = options.shard
  mine = own_part.ids_of_shard(prepared, trials, options)
  folder_lock = lock.lock(opened, None if shards == 1 else (shard, shards))
  looked_at = None if shards == 1 else mine
  with stop.polled(), folder_lock:
    remaining.remove_leftovers(opened)
    opened, records, saved = remaining.what_counts(
      opened, options, looked_at, code
    )
    state = _train(
      opened, options, trials, mine, prepared, part, records, saved, devices,
      made, stop,
    )  # fmt: skip
    if trial_records.all_ended(opened):
      # Nothing of anybody is under way any more, also if a stop came just now.
      checkpoints.drop_all(opened, but=recorder.SPENT)
    if stop.exit_code is not None:
      # Tables wait for the next command: who stops has seconds.
      state.say_stopped()
      records, _ = trial_records.read_records(opened, trials=looked_at)
      ending.say_failures(records)
      raise signals.Stopped(stop.exit_code, is_told=True)
    checkpoints.drop(opened, recorder.checkpoint_names(options).begun)
  if part.all_profiles:
    ended = trial_records.ended(opened)
    left = [trials[name] for name in mine if name not in ended]
    if not parts.is_last(part, left):
      parts.execute_anew(part, environ, legacy)
  return opened, mine


def _check_kinds(part, options):
  """Refuses processes of one JAX program that would execute themselves anew."""
  if part.all_profiles and options.distributed:
    raise faults.Refused(
      '--distributed: a plan of tasks and data sets runs in parts, each a '
      'process of its own; run one kind at a time, or give --xla_profile=none'
    )


def _train(
  opened, options, trials, mine, prepared, part, records, saved_trials, devices,
  made, stop,
):  # fmt: skip
  """Runs what is left of this shard and part; returns its `RunState`."""
  from lstm_jax.lab.run import scheduler

  units = [
    unit for work in prepared for unit in work.units if mine.issuperset(unit)
  ]
  left = [
    name
    for unit in units
    if not records.keys() >= {*unit}
    for name in unit
    if parts.of_part(part, trials[name])
  ]
  members, widths = (
    {
      key: value
      for program in prepared
      for key, value in getattr(program, of).items()
    }
    for of in ('members', 'widths')
  )

  def maker_of(name):
    # Taken out: a build that nobody holds any more lets go of its trace.
    (maker,) = (p.makers.pop(name) for p in prepared if name in p.makers)
    return maker

  names = [name for unit in units for name in unit]
  state = recorder.RunState(
    opened, options, trials, members, names, records, devices
  )
  # Of all that is left, so that none is missing from what is saved meanwhile.
  columns = state.columns(left, saved_trials)
  for workers, ids in teams.of_trials(devices, left, trials):
    if not stop():
      scheduler.run(
        state.jobs(ids),
        maker_of,
        workers,
        scheduler.Hooks(state.outcome, state.progress, state.save, stop),
        columns=columns,
        widths=widths,
        save_seconds=options.checkpoint_seconds,
        programs=made.compiled,
        keeps=made.keeps,
      )
  state.save_spent()
  state.display.close()
  state.say_work()
  return state
