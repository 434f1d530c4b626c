"""From a plan to a run folder: what has ended stays, what is left runs.

JAX is imported only if something is left to run.
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from experiments import estimate, figures, launch, summaries, table
from experiments.progress import Progress, choose_mode
from experiments.setting import changed, length_is_static, programs, trial_id
from lstm_jax import catalog, results
from lstm_jax.store import checkpoints, faults, folder, lock, provenance, seal

_EXIT_OF_SIGNAL = {
  signal.SIGINT: faults.Exit.SIGINT,
  signal.SIGTERM: faults.Exit.SIGTERM,
  signal.SIGUSR1: faults.Exit.STOPPED,
}


def run(plan, how):
  """Runs what is left of a plan and prints its table.

  Args:
    plan: a `plan.Plan`.
    how: a `flags.Run`.

  Returns:
    The exit code, see `faults.Exit`.
  """
  path = Path(how.out or plan.out)
  trials = {trial_id(s): s for s in plan.trials}
  stored = [plan_entry(name, s) for name, s in trials.items()]
  try:
    finished = _finished(path, stored)
    if finished is None:
      return _run(plan, how, path, trials, stored)
    print(f'Nothing left to do in {path}.')
    return _show(finished, plan)
  except faults.StoreError as error:
    print(f'sweep: {error}', file=sys.stderr)
    return int(error.exit_code)


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
    'reading': setting.reading,
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


def _finished(path, stored):
  """The open folder if it holds this plan and every trial has ended."""
  try:
    opened = folder.open_folder(path)
  except faults.StoreError:
    return None  # absent or strange: whoever opens it to run will say
  if [dict(t) for t in opened.trials.values()] != seal.plain(stored):
    return None
  records, problems = results.read_records(opened)
  done = len(records) == len(opened.trials)
  return opened if done and not problems else None


class _Stop:
  """Whether a signal has asked the run to stop; a second one ends it."""

  def __init__(self):
    self.signal = None
    for number in _EXIT_OF_SIGNAL:
      signal.signal(number, self._on_signal)

  def _on_signal(self, number, frame):
    del frame
    if self.signal is not None:
      os._exit(int(_EXIT_OF_SIGNAL[number]))
    self.signal = number

  def __call__(self):
    return self.signal is not None


def _run(plan, how, path, trials, stored):
  stop = _Stop()
  print(f'{plan.title}\n{len(trials):,} trials in {path}', flush=True)
  launch.set_flags(how.xla_profile, how.devices)
  import jax

  from lstm_jax import workers

  jax.config.update('jax_numpy_rank_promotion', 'raise')
  devices = jax.devices()
  if how.devices:
    devices = devices[: how.devices]
  settings = list(trials.values())
  names = list(trials)
  shared = {
    key: [names[i] for i in where] for key, where in programs(settings).items()
  }
  opened = folder.create_or_open(
    path,
    {
      'flags': {'grid': plan.grid, 'out': str(path.name)},
      'trials': stored,
      'programs': shared,
      'provenance': provenance.provenance(devices[0].device_kind, len(devices)),
    },
    how.allow_drift,
  )
  shard, parts = how.shard
  shard_name = None if parts == 1 else (shard, parts)
  with lock.lock(opened, shard_name):
    records, problems = results.read_records(opened)
    for problem in problems:
      print(f'sweep: {problem.reason}', file=sys.stderr)
    if any(problem.damaged for problem in problems):
      results.repair(opened)
      records, _ = results.read_records(opened)
    mine = names[shard::parts]
    left = [name for name in mine if name not in records]
    state = _State(opened, how, trials, shared, mine, records, devices)
    if left and not stop():
      build = lambda key: _build(trials[shared[key][0]])
      workers.run(
        state.jobs(left),
        build,
        devices,
        workers.Hooks(state.outcome, state.progress, state.save, stop),
        columns=state.columns(left),
        save_seconds=how.checkpoint_seconds,
      )
    state.display.close()
    state.say_work()
    results.write_csv(opened)
    if stop():
      state.say_stopped()
      sys.stdout.flush()
      # Not sys.exit: a worker may be inside the compiler, which cannot be
      # interrupted, and everything that counts is on disk.
      os._exit(int(_EXIT_OF_SIGNAL[stop.signal]))
    checkpoints.drop(opened, state.checkpoint_name)
  return _show(opened, plan)


def _build(setting):
  """The `lanes.Build` of a setting's program."""
  from lstm_jax import lanes, trial

  task = catalog.build('tasks', setting.task, **dict(setting.task_options))
  cell = catalog.build(
    'cells',
    setting.cell,
    task.num_inputs,
    task.num_outputs,
    **dict(setting.cell_options),
  )
  static = {'length': setting.length} if length_is_static(setting) else {}
  learner = catalog.build(
    'learners',
    setting.learner,
    cell,
    task,
    **dict(setting.learner_options),
    **static,
  )
  numbers = {'learning_rate': np.float32(np.nan), **cell.numbers}
  return lanes.Build(trial.program(task, learner), numbers)


class _State:
  """A run as it goes on: what the hooks of the workers write to."""

  def __init__(self, opened, how, trials, shared, mine, records, devices):
    self._folder = opened
    self._trials = trials
    self._program = {name: key for key, of in shared.items() for name in of}
    self._mine = mine
    self._status = {n: records[n]['status'] for n in mine if n in records}
    self._seen_by = {}
    self._device = devices[0].device_kind
    shard, parts = how.shard
    self.checkpoint_name = (
      'state' if parts == 1 else f'state-{shard}-of-{parts}'
    )
    mode = how.progress
    if mode == 'auto':
      mode = choose_mode(sys.stderr)
    self.display = Progress(len(mine), sys.stderr, mode)
    self._began = time.monotonic()
    self._last = None

  def jobs(self, left):
    """The trials left as jobs, those that take longest first."""
    from lstm_jax import lanes

    def steps(name):
      setting = self._trials[name]
      return -estimate.sequences(setting) * setting.length

    return [
      lanes.Job(
        name,
        self._program[name],
        self._trials[name].seed,
        {
          key: np.nan if value is None else value
          for key, value in self._trials[name].numbers
        },
        self._trials[name].length,
        self._trials[name].budget,
      )
      for name in sorted(left, key=steps)
    ]

  def columns(self, left):
    """The trials left that have begun, from the checkpoints."""
    from lstm_jax import lanes

    found, problems = checkpoints.load(self._folder)
    for problem in problems:
      print(f'sweep: {problem}', file=sys.stderr)
    columns = {}
    for _, meta, arrays in found:
      for key, of in meta['programs'].items():
        leaves = {
          name.removeprefix(f'{key}/'): array
          for name, array in arrays.items()
          if name.startswith(f'{key}/')
        }
        for i, (name, spent) in enumerate(of):
          column = lanes.Column(
            {leaf: np.array(a[..., i]) for leaf, a in leaves.items()}, spent
          )
          # Two shards may both know a trial; the one further on is right.
          known = columns.get(name)
          if name in left and (
            known is None or known.leaves['seen'] < column.leaves['seen']
          ):
            columns[name] = column
    return columns

  def save(self, columns):
    """A checkpoint of the trials that have begun."""
    by_program = {}
    for name, column in columns.items():
      by_program.setdefault(self._program[name], []).append((name, column))
    arrays, meta = {}, {}
    for key, pairs in by_program.items():
      meta[key] = [[name, column.seconds] for name, column in pairs]
      for leaf in pairs[0][1].leaves:
        arrays[f'{key}/{leaf}'] = np.stack(
          [column.leaves[leaf] for _, column in pairs], axis=-1
        )
    checkpoints.save(
      self._folder, self.checkpoint_name, arrays, {'programs': meta}
    )

  def outcome(self, outcome):
    """Seals the record of a trial."""
    solved = outcome.status == 'solved'
    test = outcome.test
    disagreement = results.write_record(
      self._folder,
      {
        'trial': outcome.id,
        'status': outcome.status,
        'sequences_to_success': outcome.seen if solved else None,
        'sequences_seen': outcome.seen,
        'test_wrong': test.wrong if test else None,
        'test_total': test.total if test else None,
        'test_absolute': test.absolute if test else None,
        'test_squared': test.squared if test else None,
        'train_absolute': outcome.train,
        'reason': outcome.reason or None,
        'seconds': round(outcome.seconds, 3),
        'device': self._device,
      },
    )
    if disagreement:
      self.display.say(f'sweep: {disagreement}')
    if outcome.reason:
      error = outcome.reason.partition('\n')[0]
      self.display.say(f'sweep: trial {outcome.id} failed: {error}')
    self._status[outcome.id] = outcome.status
    self._seen_by[outcome.id] = outcome.seen

  def progress(self, progress):
    """Shows how far the run is."""
    self._last = progress
    status = list(self._status.values())
    elapsed = time.monotonic() - self._began
    self.display.update(
      {
        'done': len(status),
        'solved': status.count('solved'),
        'diverged': status.count('diverged'),
        'running': len(progress.seen),
        'sequences': int(progress.sequences),
        'sequences_per_second': progress.sequences / max(elapsed, 1e-9),
        'lane_share': progress.useful / max(progress.executed, 1.0),
        'eta_seconds': self._time_left(progress, elapsed),
        'compiling': (
          f'{progress.compiling} programs' if progress.compiling else False
        ),
      }
    )

  def _time_left(self, progress, elapsed):
    """Seconds: steps that the trials left are expected to take, at the pace
    so far. What the trials of a setting took stands for those to come."""
    if progress.useful < 1e5:
      return None
    took = {}
    for name, seen in self._seen_by.items():
      took.setdefault(self._alike(name), []).append(seen)
    steps = 0.0
    for name in self._mine:
      if name in self._status:
        continue
      known = took.get(self._alike(name))
      setting = self._trials[name]
      total = np.mean(known) if known else estimate.sequences(setting)
      left = max(total - progress.seen.get(name, 0), 0.1 * total)
      steps += left * setting.length * 1.05
    return steps / (progress.useful / elapsed)

  def _alike(self, name):
    setting = self._trials[name]
    return setting.row, setting.length, self._program[name]

  def say_work(self):
    """One line on what the devices did."""
    work = self._last
    if work is None or not work.executed:
      return
    seconds = time.monotonic() - self._began
    print(
      f'{work.useful:.3g} lane-steps in {seconds:.1f} s, compiling included;'
      f' {work.useful / work.executed:.0%} of the lanes did useful work.'
    )

  def say_stopped(self):
    left = len(self._mine) - len(self._status)
    print(
      f'Stopped with {left:,} trials to go; all is saved. '
      'The same command continues.'
    )


def _show(opened, plan):
  """Prints the table, draws the figures; returns the exit code."""
  records, problems = results.write_csv(opened)
  rows = results.rows(opened, records)
  published = {}
  for trial in opened.trials.values():
    if trial['published']:
      published.setdefault(trial['grid'], {})[trial['row']] = trial['published']
  print()
  print(table.text(summaries.summarize(rows, published)))
  drawn = figures.draw_all(rows, opened.path / 'figures', published)
  pictures = [str(p) for p in drawn if p.suffix == '.png']
  print()
  missing = len(opened.trials) - len(records)
  if missing:
    print(f'{missing:,} of {len(opened.trials):,} trials are still to come.')
  print(f'Trials: {opened.path / "results.csv"}')
  if pictures:
    print(f'Figures: {", ".join(pictures)}')
  for problem in problems:
    print(f'sweep: {problem.reason}', file=sys.stderr)
  failed = any(record['status'] == 'failed' for record in records.values())
  if failed or problems:
    return int(faults.Exit.FAILED)
  return int(faults.Exit.OK)
