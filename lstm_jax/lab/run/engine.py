"""From a plan to a run folder: what has ended stays, what is left runs.

JAX is imported only if something is left to run.
"""

import contextlib
import dataclasses
import sys
from pathlib import Path

from lstm_jax.lab.data.files import errors
from lstm_jax.lab.plan.setting import changed, programs, trial_id
from lstm_jax.lab.run import (
  aborts,
  builds,
  ending,
  groups,
  jax_options,
  mains,
  recorder,
  renewal,
  signals,
  verifying,
  xla_flags,
)
from lstm_jax.lab.run.builds import build
from lstm_jax.lab.store import (
  checkpoints,
  faults,
  files,
  folder,
  lock,
  machine,
  nets,
  provenance,
  reruns,
  seal,
  trial_records,
)

_ABORTED = (
  'sweep: a compiled library has aborted, most likely for want of memory: that '
  'is no result, what was saved is safe, run the same command again; the last '
  'error of the system'
)


def run(plan, how, stop):
  """Runs what is left of a plan and prints its table.

  Args:
    plan: a `plan.Plan`.
    how: a `flags.Run`.
    stop: a `stopping.Stop`, which holds once a signal has come.

  Returns:
    The exit code, see `faults.Exit`. A setting that its cell, task or learner
    refuses is named before anything is written.
  """
  path = Path(how.out or plan.out)
  trials = {trial_id(s): s for s in plan.trials}
  stored = [plan_entry(name, s) for name, s in trials.items()]
  try:
    if how.verify:
      now = builds.code(trials)
      return verifying.verify(path, how, trials, stored, now)
    finished = _finished(path, how, trials, stored)
    if finished is None:
      return _run(plan, how, stop, path, trials, stored)
    mains.tell(f'Nothing left to do in {path}.')
    _tidy(finished)
    return ending.show(finished)
  except faults.StoreError as error:
    print(f'sweep: {error}', file=sys.stderr)
    return int(error.exit_code)
  except (errors.Missing, errors.BadData) as error:
    print(f'sweep: {error}', file=sys.stderr)
    missing = isinstance(error, errors.Missing)
    return int(faults.Exit.NO_DATA if missing else faults.Exit.BAD_DATA)
  except Exception as error:
    line = machine.fault(error)
    if line is None or isinstance(error, OSError):
      raise
    raise faults.Machine(
      f'{line}; that is no result: what was saved is safe, run the same '
      'command again where there is more of it'
    ) from error
  except signals.Stopped as stopped:
    if not stopped.said:
      print(recorder.stopped(len(trials) - _ended(path)))
      stopped.said = True
    raise


def plan_entry(name, setting):
  """A trial as the plan stores it: the columns of its setting."""
  cell = dict(setting.cell_options)
  learner = dict(setting.learner_options)
  numbers = dict(setting.numbers)
  hidden = cell.get('hidden')
  if 'blocks' in cell:
    hidden = f'{cell["blocks"]}x{cell["block_size"]}'
  window = learner.get('window')
  if 'window' in learner and window is None:
    window = 'full'
  if setting.is_comparison:
    window = dict(setting.task_options).get('window')
  shown = {'length', 'window', 'hidden', 'blocks', 'block_size'}
  options = {
    f'{kind}.{key}': value
    for kind, pairs in (
      ('task', setting.task_options),
      ('cell', setting.cell_options),
      ('learner', setting.learner_options),
    )
    for key, value in pairs
    if key not in shown
  }
  options |= {
    key: value for key, value in numbers.items() if key != 'learning_rate'
  }
  return {
    'id': name,
    'trial': name,
    'grid': setting.grid,
    'row': setting.row,
    'line': setting.line,
    'source': setting.source,
    'reading': setting.reading,
    'tried': setting.tried,
    'task': setting.task,
    'cell': setting.cell,
    'learner': setting.learner,
    'length': setting.length,
    'window': window,
    'hidden': hidden,
    'learning_rate': numbers.get('learning_rate'),
    'options': options,
    'changed': ' '.join(changed(setting)),
    'seed': setting.seed,
    'budget': setting.budget,
    'published': dict(setting.published),
  }


def _finished(path, how, trials, stored):
  """The open folder if every trial of this plan has ended in it.

  Raises:
    Refused: its results are of other code.
  """
  try:
    opened = folder.open_folder(path)
  except faults.StoreError:
    return None  # absent or strange: whoever opens it to run will say
  entries = {name: opened.trials.get(name) for name in trials}
  if list(entries.values()) != seal.plain(stored):
    return None
  records, problems = trial_records.read_records(opened)
  if problems or not records.keys() >= trials.keys():
    return None
  again = renewal.plan(opened, how, records, {}, builds.code(trials))
  if again.trials:
    return None  # and whoever runs them says so
  mains.say('sweep', *again.said)
  return opened


def _tidy(opened):
  """Removes what a process left that was killed after its last record."""
  # Of a folder that nobody may write to, it stays.
  with contextlib.suppress(faults.StoreError):
    checkpoints.drop_all(opened)
    _clean(opened)


def _clean(opened):
  """Removes temporary files of writers that are gone."""
  for part in ('', 'records', 'checkpoints', 'nets', 'figures'):
    files.clean(opened.path / part, opened.disk)


def _ended(path):
  """The number of trials that have a record in the folder."""
  try:
    return len(trial_records.read_records(folder.open_folder(path))[0])
  except faults.StoreError:
    return 0


def _run(plan, how, stop, path, trials, stored):
  mains.tell(plan.title, f'{len(trials):,} trials in {path}')
  # The flags for small nets turn the products of a batch into plain loops:
  # twenty times as slow where the compiled loop of a layer is not there.
  small = not any(setting.is_comparison for setting in plan.trials)
  xla_flags.set_flags(how.xla_profile if small else 'none', how.devices)
  with stop.polled():  # an import is no place for an exception
    devices = xla_flags.devices()
    jax_options.pin()
    if mains.is_process():
      aborts.arm(int(faults.Exit.STOPPED), _ABORTED)
  if how.devices:
    devices = devices[: how.devices]
  names = list(trials)
  shared = {
    key: [names[i] for i in where]
    for key, where in programs(list(trials.values())).items()
  }
  of_data = [s for s in trials.values() if s.is_comparison]
  prepared, reasons = groups.prepare(of_data, how)
  made, more = _builds(trials, shared)
  reasons += more
  for reason in reasons:
    print(f'sweep: {reason}', file=sys.stderr)
  if reasons:
    return int(faults.Exit.USAGE)
  now = builds.code(trials, prepared.is_native)
  opened = folder.create_or_open(
    path,
    {
      'flags': {'grid': plan.grid, 'out': str(path.name)},
      'trials': stored,
      'programs': shared,
      'provenance': provenance.provenance(
        devices[0].device_kind,
        len(devices),
        jax_config=jax_options.recorded(),
        **prepared.provenance,
      ),
    },
    how.allow_drift,
    sources=now,
  )
  mains.say('sweep', *opened.said)
  shard, parts = how.shard
  held = lock.lock(opened, None if parts == 1 else (shard, parts))
  with stop.polled(), held:
    _clean(opened)
    opened, records, saved = _what_is_left(opened, how, trials, now)
    state = _train(
      opened, how, trials, shared, records, saved, prepared, made, devices, stop
    )
    records, _ = ending.write_tables(opened)
    if len(records) == len(opened.trials):
      # Nothing of anybody is under way any more, also if a stop came just now.
      checkpoints.drop_all(opened)
    if stop():
      state.say_stopped()
      ending.say_failures(records)
      raise signals.Stopped(stop.exit_code, said=True)
    checkpoints.drop(opened, recorder.checkpoint_name(how))
  return ending.show(opened)


def _what_is_left(opened, how, trials, now):
  """Sets aside what does not count or runs again.

  Returns:
    `(opened, records, saved)`: the folder with its drift, the records that
    count, and the checkpoints, as `checkpoints.load` has them.
  """
  shard, parts = how.shard
  mine = set(list(trials)[shard::parts])
  taken, again = reruns.take_over(opened)
  nets.take_over(opened, taken)
  if taken or again:
    mains.say(
      'sweep',
      f'a larger budget: {len(taken):,} trials had ended within the smaller '
      f'one and keep their results, {again:,} had spent it and run again from '
      'the beginning',
    )
  records, problems = trial_records.read_records(opened)
  mains.say('sweep', *(problem.reason for problem in problems))
  if any(problem.damaged for problem in problems):
    trial_records.repair(opened)
    records, _ = trial_records.read_records(opened)
  saved, lines = checkpoints.load(opened)
  mains.say('sweep', *lines)
  whole = [one for one in saved if one[1].get('form') == recorder.FORM]
  if len(whole) < len(saved):
    mains.say(
      'sweep',
      'a checkpoint has the form of an older version, which is not read any '
      'more: what it holds begins again',
    )
  begun = renewal.begun(whole)
  renewed = renewal.plan(opened, how, records, begun, now)
  mains.say('sweep', *renewed.said)
  for name, why in renewed.trials.items():
    if name in mine:
      reruns.set_aside(opened, [name], why)
      del records[name]
  return (
    dataclasses.replace(opened, drifted=renewed.drifted),
    records,
    whole,
  )


def _train(
  opened, how, trials, shared, records, saved, prepared, made, devices, stop
):
  """Runs what is left of this shard's part; returns its `RunState`."""
  from lstm_jax.lab.run import scheduler
  from lstm_jax.training import lanes

  of_data = {name: s for name, s in trials.items() if s.is_comparison}
  side_by_side = groups.lanes_of(devices[0])
  held = groups.groups_of(of_data, prepared, side_by_side)
  shard, parts = how.shard
  # A group is trained whole: its lanes have the bits of their program.
  units = [(name,) for name in trials if name not in of_data][shard::parts]
  units += [group.names for group in held][shard::parts]
  left = [
    name for unit in units if not records.keys() >= {*unit} for name in unit
  ]
  levels = groups.levels_of()
  makers = made | {g.key: groups.Build(g, prepared, levels) for g in held}
  widths = {
    key: lanes.widths_of(devices[0], m.carried) for key, m in made.items()
  }
  widths |= {group.key: (len(group.names),) for group in held}
  programs_of = {
    key: [name for name in names if name not in of_data]
    for key, names in shared.items()
  }
  programs_of |= {group.key: group.names for group in held}
  mine = [name for unit in units for name in unit]
  state = recorder.RunState(
    opened, how, trials, programs_of, mine, records, devices
  )
  if left and not stop():
    scheduler.run(
      state.jobs(left),
      makers.__getitem__,
      devices,
      scheduler.Hooks(state.outcome, state.progress, state.save, stop),
      columns=state.columns(left, saved),
      widths=widths,
      save_seconds=how.checkpoint_seconds,
    )
  state.display.close()
  state.say_work()
  return state


def _builds(trials, shared):
  """Program key -> `lanes.Build` of tasks, and why settings are refused."""
  found, reasons, checked = {}, [], set()
  for key, members in shared.items():
    setting = trials[members[0]]
    if setting.is_comparison:
      continue
    try:
      found[key] = build(setting, checked)
    except ValueError as why:
      reasons.append(f'row {setting.row}: {why}')
  return found, reasons
