"""A run as it goes on: what the scheduler's hooks write to and show."""

import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from lstm_jax.choices import count_of
from lstm_jax.lab.plan import estimate
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.plan.programs import learner_of, steps
from lstm_jax.lab.report.summaries import parts
from lstm_jax.lab.run import renewal
from lstm_jax.lab.run.progress import Progress, Snapshot, TimeLeft, choose_mode
from lstm_jax.lab.store import checkpoints, nets, trial_records
from lstm_jax.lab.store.checkpoints import Checkpoint
from lstm_jax.lab.store.documents import Details, Meta, Record
from lstm_jax.lab.store.folder import Folder
from lstm_jax.lab.store.setting import Setting

if TYPE_CHECKING:
  import jax

  from lstm_jax.lab.run import queue
  from lstm_jax.training.loop import Job, Outcome, TrialState

# What the arrays of a checkpoint are: one more whenever the state of a trial or
# of epochs has other leaves.
FORM = 3
# Checkpoints that stay: of trials that have spent their budget. Such a trial
# goes on from there under a larger one. What is too large to be kept, and what
# a kill took, begins again.
SPENT = 'spent'
_MOST_BYTES, _MOST_BYTES_EACH = 2**24, 2**20


class CheckpointNames(NamedTuple):
  """The names of the checkpoints of a process.

  Attributes:
    begun: of trials under way.
    spent: of trials that have spent their budget.
  """

  begun: str
  spent: str


class RunState:
  """The hooks of `scheduler.run` for one run folder, and the live display.

  Args:
    opened: the run folder.
    how: a `flags.Run`.
    trials: id -> setting, all of the plan.
    shared: program key -> ids of the trials that share it.
    mine: ids of this shard's trials, those of a program in its order.
    records: id -> record of the trials that have ended.
    devices: the devices that run them.
    names_on_disk: of its checkpoints; None: those of the run or its shard.
  """

  def __init__(
    self,
    opened: Folder,
    options: Run,
    trials: Mapping[str, Setting],
    shared: Mapping[str, Iterable[str]],
    names: Sequence[str],
    records: Mapping[str, Record],
    devices: 'Sequence[jax.Device]',
    names_on_disk: CheckpointNames | None = None,
  ) -> None:
    self._folder, self._how = opened, options
    self._trials = trials
    self._program = {name: key for key, of in shared.items() for name in of}
    self._mine = names
    self._status = {n: records[n]['status'] for n in names if n in records}
    # Updates: of a data set they are epochs, and all were seen.
    self._seen_by = {
      name: min(_updates_of(records[name]['metrics']), trials[name].budget)
      for name in self._status
    }
    # Rows that have a network kept, for the picture of a sequence.
    settings_kept = [
      trials[name] for name in nets.names(opened) if name in trials
    ]
    self._nets = {(setting.grid, setting.row) for setting in settings_kept}
    self._device = devices[0].device_kind
    self._checkpoints = names_on_disk or checkpoint_names(options)
    self._spent: dict[str, TrialState] = {}
    self._spent_bytes = 0
    self._saved_spent: frozenset[str] = frozenset()
    mode = options.progress
    if mode == 'auto':
      mode = choose_mode(sys.stderr)
    self.display = Progress(len(names), sys.stderr, mode)
    # Of epochs there are no sequences to success.
    self._counts_sequences = 'sequences' in {
      learner_of(trials[name]).unit for name in names
    }
    self._began, self._left = time.monotonic(), TimeLeft()
    self._last: queue.Progress | None = None

  def _row(self, name):
    return self._trials[name].grid, self._trials[name].row

  def jobs(self, left: Iterable[str]) -> 'list[Job]':
    """The trials left as jobs, those that take longest first."""
    from lstm_jax.training.loop import Job

    rows = parts(self._trials, self._row)
    first = {names[0] for names in rows.values()}

    def longest_first(name):
      setting = self._trials[name]
      return -estimate.sequences(setting) * steps(setting)

    return [
      Job(
        name,
        self._program[name],
        self._trials[name].seed,
        {
          key: np.nan if value is None else value
          for key, value in self._trials[name].numbers
        },
        # A task without a length is never asked for one.
        self._trials[name].length or 1,
        self._trials[name].budget,
        keep=name in first,
      )
      for name in sorted(left, key=longest_first)
    ]

  def columns(
    self, left: Collection[str], saved_trials: Iterable[Checkpoint]
  ) -> 'dict[str, TrialState]':
    """The trials left that have begun.

    Args:
      left: their ids.
      saved_trials: the checkpoints, of `checkpoints.load`.
    """
    from lstm_jax.training.loop import TrialState

    columns: dict[str, TrialState] = {}
    successor = renewal.successors(self._folder)
    for kind, meta, name, seconds, leaves in checkpoints.trials(saved_trials):
      new = successor.get(name, name)
      if not renewal.is_of(self._folder, self._how, meta, name, new):
        continue
      column = TrialState(
        {leaf: np.array(array) for leaf, array in leaves.items()}, seconds
      )
      if kind.startswith(SPENT) and name in self._status:
        self._keep_spent(name, column)
      # A trial of a larger budget goes on where one of a smaller was.
      if new != name and 'budget' in column.leaves:
        name = new
        column.leaves['budget'][...] = self._trials[name].budget
      # Two shards may both know a trial; the one further on is right.
      column_known = columns.get(name)
      if name in left and (
        column_known is None or _place(column_known) < _place(column)
      ):
        columns[name] = column
    self._saved_spent = frozenset(self._spent)
    return columns

  def take_over(self, earlier: 'RunState') -> None:
    """Has the next checkpoint of what is spent hold that of an earlier run."""
    self._program = {**earlier._program, **self._program}
    self._spent = dict(earlier._spent)
    self._spent_bytes = earlier._spent_bytes
    self._saved_spent = earlier._saved_spent

  def save(self, columns: 'Mapping[str, TrialState]') -> None:
    """A checkpoint of the trials that have begun."""
    self._save(self._checkpoints.begun, columns)
    self.save_spent()

  def save_spent(self) -> None:
    """A checkpoint of the trials that have spent their budget, if there are
    more of them than the last one has."""
    if self._spent.keys() != self._saved_spent:
      self._save(self._checkpoints.spent, self._spent)
      self._saved_spent = frozenset(self._spent)

  def _save(self, checkpoint, columns):
    # Side by side those that have the same leaves: a trial whose networks are
    # kept along its way has more.
    alike: dict[tuple[str, ...], list[tuple[str, TrialState]]] = {}
    for name, column in columns.items():
      leaves = self._program[name], *column.leaves
      alike.setdefault(leaves, []).append((name, column))
    arrays = {}
    meta: dict[str, list[tuple[str, float]]] = {}
    for i, ((program, *leaves), pairs) in enumerate(alike.items()):
      key = f'{program}.{i}'
      meta[key] = [(name, column.seconds) for name, column in pairs]
      for leaf in leaves:
        arrays[f'{key}/{leaf}'] = np.stack(
          [column.leaves[leaf] for _, column in pairs], axis=-1
        )
    code = {name: self._folder.code.get(name) for name in columns}
    meta_: Meta = {'form': FORM, 'programs': meta, 'code': code}
    checkpoints.save(self._folder, checkpoint, arrays, meta_)

  def outcome(self, outcome: 'Outcome') -> None:
    """Seals the record of a trial."""
    if outcome.id in self._status:
      return  # ran beside those that had not ended
    # The network first: a trial that has a record is not run again.
    setting = self._trials[outcome.id]
    row = self._row(outcome.id)
    # Of a row that is counted in sequences one network shows how it works.
    is_counted = learner_of(setting).unit == 'sequences'
    shows = outcome.status == 'solved' and row not in self._nets
    if outcome.net and (shows or not is_counted):
      self._nets.add(row)
      nets.save(self._folder, outcome.id, outcome.net)
    if outcome.networks:
      nets.save_way(self._folder, outcome.id, outcome.networks)
    disagreement = trial_records.write_record(
      self._folder,
      {
        'trial': outcome.id,
        'status': outcome.status,
        # Where it failed no one has counted more than its updates.
        'metrics': {
          **({'sequences_seen': int(outcome.seen)} if is_counted else {}),
          **outcome.metrics,
        },
        'curves': {k: list(v) for k, v in outcome.curves.items()},
        'details': cast(Details, dict(outcome.details)),
        'reason': outcome.reason or None,
        'seconds': round(outcome.seconds, 3),
        'device': self._device,
      },
    )
    if disagreement:
      self.display.say(f'sweep: {disagreement}')
    if outcome.final_state:
      self._keep_spent(outcome.id, outcome.final_state)
    self._status[outcome.id] = outcome.status
    self._seen_by[outcome.id] = min(outcome.seen, setting.budget)

  def _keep_spent(self, name, state):
    """Keeps the state of a trial that has spent its budget, if it has room."""
    size = sum(array.nbytes for array in state.leaves.values())
    if size <= min(_MOST_BYTES_EACH, _MOST_BYTES - self._spent_bytes):
      self._spent[name] = state
      self._spent_bytes += size

  def progress(self, progress: 'queue.Progress') -> None:
    """Shows how far the run is."""
    self._last = progress
    status = list(self._status.values())
    elapsed = time.monotonic() - self._began
    snapshot: Snapshot = {
      'done': len(status),
      'solved': None,
      'diverged': status.count('diverged'),
      'note': progress.note,
      'running': len(progress.seen),
      'eta_seconds': self._left.after(
        lambda: self._time_left(progress, elapsed)
      ),
      'compiling': (
        count_of(progress.compiling, 'program') if progress.compiling else False
      ),
    }
    if self._counts_sequences:
      snapshot |= {
        'solved': status.count('solved'),
        'sequences': int(progress.sequences),
        'sequences_per_second': progress.sequences / max(elapsed, 1e-9),
        'lane_share': progress.useful / max(progress.executed, 1.0),
      }
    self.display.update(snapshot)

  def _time_left(self, progress, elapsed):
    """Seconds: steps that the trials left are expected to take, at the pace
    so far."""
    if progress.useful < 1e5:
      return None
    trials = {name: self._trials[name] for name in self._mine}
    to_come = estimate.steps_to_come(trials, self._seen_by, progress.seen)
    return to_come / (progress.useful / elapsed)

  def say_work(self) -> None:
    """One line on what the devices did."""
    work = self._last
    if work is None or not work.executed or not self._counts_sequences:
      return
    seconds = time.monotonic() - self._began
    print(
      f'{work.useful:.3g} lane-steps in {seconds:.1f} s, compiling included;'
      f' {work.useful / work.executed:.0%} of the lanes did useful work.'
    )

  def say_stopped(self) -> None:
    """Prints one line where a run was stopped."""
    print(stop_line(len(self._mine) - len(self._status)))


def _updates_of(metrics):
  return metrics.get('sequences_seen') or 0


def _place(state):
  """Returns how far a trial is, to be compared with itself."""
  leaves = state.leaves
  return tuple(
    int(leaves[name]) for name in ('seen', 'epoch', 'batch') if name in leaves
  )


def checkpoint_names(options: Run) -> CheckpointNames:
  """The names of the checkpoints of a run or of its shard."""
  shard, parts = options.shard
  ending = '' if parts == 1 else f'-{shard}-of-{parts}'
  return CheckpointNames(f'state{ending}', f'{SPENT}{ending}')


def stop_line(left: int) -> str:
  """Returns the line of a run that was stopped."""
  return (
    f'Stopped with {count_of(left, "trial")} to go; all is saved. '
    'The same command continues.'
  )
