"""A run that is tuned: rounds of the search, then the run of what was chosen.

Each round is a run folder of its own inside the run's, `tuning/round-1` and so
on, so that stops, kills, shards and engines are what they are in any run. A
round is judged when all of it has ended, by its records; whoever comes to it
with the same records makes the same next round. Nothing else is kept.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from lstm_jax.choices import count_of
from lstm_jax.lab.plan import plan as plans
from lstm_jax.lab.plan import tuned_rows
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.plan.plan import Plan
from lstm_jax.lab.run import engine, mains, parts, signals
from lstm_jax.lab.run.engine import Ending, Execute
from lstm_jax.lab.run.made import made_before
from lstm_jax.lab.store import (
  faults,
  files,
  folder,
  lock,
  results_table,
  rounds,
  trial_records,
)
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.folder import Folder
from lstm_jax.lab.store.setting import Setting, by_id
from lstm_jax.lab.tune import export, search
from lstm_jax.lab.tune.search import Search

# Seconds after which a part that writes nothing, not even checkpoints, is not
# waited for; and between two looks.
PATIENCE = 600.0
_POLL_SECONDS = 2.0
# Programs that stay from one round to the next, 2 GB of them; others are made
# again where they are needed.
_MOST_PROGRAMS = 64
# Runs a round; gives its records, or the exit code of who only looks.
_RunRound = Callable[[Plan, Run], 'Mapping[str, Record] | int']


class Unfinished(faults.StoreError):
  """Other parts of a round are still to come; run again."""

  exit_code = faults.Exit.STOPPED


def complete_run(
  plan: Plan,
  options: Run,
  stop: signals.Stop,
  end: Callable[[Folder, Collection[str]], Ending],
  legacy: parts.Legacy = parts.NOTHING,
  execute: Execute | None = None,
) -> Ending | int:
  """Runs what is left of the rounds of a plan, and of the plan they lead to.

  Args:
    plan: with `tuned_rows`.
    options, stop, end, legacy, execute: as of `engine.complete_run`.

  Returns:
    As of `engine.complete_run`.

  Raises:
    Unfinished: this part of a round has ended, others have not.
    Refused: the folder holds a run that is tuned otherwise, or not at all.
    StoreError, Missing, BadData, Stopped: as of `engine.complete_run`.
  """
  if options.distributed:
    raise faults.Refused(
      '--tune with --distributed: a round has to end before the next begins, '
      'and processes of one JAX program part when one has ended; give each a '
      '--shard=I/N instead'
    )
  check_folder(plan, options)
  path = Path(options.out or plan.out)
  options = options._replace(out=str(path))
  # Rounds have their programs in common.
  execute = execute or functools.partial(
    engine.run_here, made=made_before(_MOST_PROGRAMS)
  )

  def run_round(round_plan, round_options):
    code = engine.complete_run(
      round_plan, round_options, stop, _end_round, legacy, execute
    )
    if options.verify and not _has_ended(round_plan, round_options):
      return code
    if not options.verify:
      _await_others(round_plan, round_options)
    return _records(round_plan, round_options)

  searches = searched(plan, options, run_round)
  if isinstance(searches, int):
    return searches
  if options.export_study:
    _export(searches, Path(options.export_study))
  plan = plans.with_settings(plan, settings_of(plan, searches))
  return engine.complete_run(plan, options, stop, end, legacy, execute)


def searched(
  plan: Plan, options: Run, run_round: _RunRound
) -> list[Search] | int:
  """The search of each row of a plan, once all rounds have ended.

  Args:
    plan: with `tuned_rows`.
    options: how to run it, `out` the run folder.
    run_round: runs what is left of a round.

  Returns:
    In the order of the rows that have something to tune; what `run_round`
    gives where that is a code.
  """
  searches = [
    search.begun(row, plan.search_size) for row in plan.tuned_rows if row.space
  ]
  for number in range(1, search.NUM_ROUNDS + 1):
    trials = by_id(
      trial
      for one in searches
      for of_place in search.trials_of(one, number).values()
      for trial in of_place
    )
    records: Mapping[str, Record] | int = {}
    if trials:
      records = run_round(
        _round_plan(plan, number, trials),
        options._replace(out=str(rounds.path_of(Path(options.out), number))),
      )
    if isinstance(records, int):
      return records
    searches = [search.after(one, number, records) for one in searches]
  return searches


def settings_of(plan: Plan, searches: Iterable[Search]) -> list[Setting]:
  """The settings that the rows of a plan are judged by, all of them.

  Args:
    plan: with `tuned_rows`.
    searches: of those that have something to tune, in their order.
  """
  rest = iter(searches)
  settings = []
  for row in plan.tuned_rows:
    if not row.space:
      settings.append(tuned_rows.setting_of(row.point, {}))
      continue
    one = next(rest)
    setting = tuned_rows.setting_of(row.point, search.winner_of(one).values)
    record = tuple(sorted(search.record_of(one).items()))
    settings.append(dataclasses.replace(setting, tuned=record))
  return settings


def check_folder(plan: Plan, options: Run) -> None:
  """Refuses a folder whose run was tuned otherwise, before anything runs.

  Args:
    plan: of the command.
    options: a `flags.Run`.

  Raises:
    Refused: with how that was.
  """
  path = Path(options.out or plan.out)
  if 'plan.json' not in files.names(path):
    return
  try:
    settings = folder.open_folder(path).trials.values()
  except faults.Corrupt:
    return  # made again by whoever runs it
  size = plan.search_size
  records = [dict(setting.tuned) for setting in settings if setting.tuned]
  sizes = {(record['settings'], record['seeds']) for record in records}
  said = f'{path} holds a run that '
  if not sizes:
    raise faults.Refused(f'{said}is not tuned: name another --out')
  if sizes != {(size.settings, size.seeds)}:
    first = ' on '.join(map(str, next(iter(sizes))))
    raise faults.Refused(
      f'{said}is tuned by {first} seeds, not by {size.settings} on '
      f'{size.seeds}: name another --out'
    )
  budgets = {setting.budget for setting in settings}
  if budgets != {setting.budget for setting in plan.trials}:
    raise faults.Refused(
      f'{said}is tuned for other budgets, which decide what is chosen: name '
      'another --out'
    )


def _round_plan(plan, number, trials):
  """The plan of a round, of id -> trial."""
  settings = (
    dataclasses.replace(trial, grid=plan.grid) for trial in trials.values()
  )
  return plan._replace(
    title=f'Tuning, round {number} of {search.NUM_ROUNDS}',
    source='',
    trials=tuple(settings),
    duplicates=0,
    tuned_rows=(),
  )


def _end_round(opened, mine):
  """Writes the tables of a round that has ended; its exit code is 0."""
  del mine
  if trial_records.all_ended(opened):
    results_table.write_csv(opened)
  return int(faults.Exit.OK)


def _has_ended(round_plan, options):
  try:
    opened = folder.open_folder(options.out)
  except faults.StoreError:
    return False
  return trial_records.ended(opened) >= by_id(round_plan.trials).keys()


def _export(searches, path):
  if path.exists():
    mains.tell(f'{path} is there already and stays as it is.')
    return
  export.write(searches, path)
  mains.tell(f'Studies of Optuna: {path}')


def _await_others(round_plan, options):
  """Waits for the other parts of a round, as long as they are at work.

  Where nobody is, those that are still to come may be waiting for this one's
  place. A process of another machine that was killed looks as if it were at
  work, but writes nothing any more.
  """
  last, since, is_told = None, time.monotonic(), False
  while not _has_ended(round_plan, options):
    opened = folder.open_folder(options.out)
    now, written = time.monotonic(), _signatures(opened)
    if written != last:
      last, since = written, now
    if not lock.holders(opened) or now - since > PATIENCE:
      return
    if not is_told:
      mains.tell(f'Waiting for the other parts of {options.out}.')
      is_told = True
    time.sleep(_POLL_SECONDS)


def _signatures(opened):
  """A value that is another one when a part has written something."""
  places = [opened.path / name for name in ('records', 'checkpoints')]
  return [
    (name, files.signature(place / name))
    for place in places
    for name in files.names(place)
  ]


def _records(round_plan, options):
  """Trial -> record of a round; `Unfinished` where some are still to come."""
  records, _ = trial_records.read_records(folder.open_folder(options.out))
  left = len(by_id(round_plan.trials).keys() - records.keys())
  if left:
    raise Unfinished(
      f'{options.out}: this part of the round has ended, nobody is at work on '
      f'{count_of(left, "trial")} of other parts: run the same command again '
      'when they have ended'
    )
  return records
