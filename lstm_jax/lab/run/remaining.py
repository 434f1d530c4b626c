"""The part of a plan that a run folder has: its records and checkpoints."""

import contextlib
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import cast

from lstm_jax.choices import count_of
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.run import builds, mains, recorder, renewal
from lstm_jax.lab.store import (
  checkpoints,
  faults,
  files,
  folder,
  nets,
  reruns,
  trial_records,
)
from lstm_jax.lab.store.checkpoints import Checkpoint
from lstm_jax.lab.store.documents import Entry, Record
from lstm_jax.lab.store.folder import Folder
from lstm_jax.lab.store.plan_trials import PlanTrial
from lstm_jax.lab.store.setting import Setting


def finished_folder(
  path: Path,
  options: Run,
  trials: Mapping[str, Setting],
  entries: Sequence[Entry],
) -> Folder | None:
  """The open folder if every trial of a plan has ended in it, or None.

  Args:
    path: of the folder.
    options: a `flags.Run`.
    trials: id -> setting, all of the plan.
    entries: the same as plan.json has them.

  Raises:
    Refused: its results are of other code.
  """
  known = folder.expected(path, entries, trials)
  try:
    if trial_records.most(path) < len(trials):
      return None
    opened = folder.open_folder(path, known=known)
  except faults.StoreError:
    return None  # absent or strange: whoever opens it to run will say
  planned = cast(list[PlanTrial], opened.plan['trials'])
  if planned is not entries:
    old_entries = {trial.id: trial for trial in planned}
    if [old_entries.get(name) for name in trials] != entries:
      return None
  # Lines may be many and records few: some are retracted, some there twice.
  if not trial_records.ended(opened) >= trials.keys():
    return None
  records, problems = trial_records.read_records(opened, is_lean=True)
  if problems or not records.keys() >= trials.keys():
    return None
  again = renewal.plan(opened, options, records, {}, builds.code(trials))
  if again.trials:
    return None  # and whoever runs them says so
  mains.note('sweep', *again.lines)
  return opened


def what_counts(
  opened: Folder,
  options: Run,
  part: Collection[str] | None,
  code_now: Mapping[str, dict[str, str]],
) -> tuple[Folder, dict[str, Record], list[Checkpoint]]:
  """Sets aside what does not count or runs again.

  Args:
    opened: the run folder.
    options: a `flags.Run`.
    part: ids of the trials of this shard; None: all.
    code_now: trial -> file -> digest, the code of each as it is.

  Returns:
    `(opened, records, saved)`: the folder with its drift, the records of its
    part that count, and the checkpoints, as `checkpoints.load` has them.
  """
  heirs, spenders = reruns.take_over(opened)
  nets.take_over(opened, heirs)
  records, problems = trial_records.read_records(opened, trials=part)
  mains.note('sweep', *(problem.reason for problem in problems))
  if any(problem.is_damaged for problem in problems):
    trial_records.repair(opened)
    records, _ = trial_records.read_records(opened, trials=part)
  trials_saved, lines = checkpoints.load(opened)
  mains.note('sweep', *lines)
  current = [one for one in trials_saved if one[1].get('form') == recorder.FORM]
  if len(current) < len(trials_saved):
    mains.note(
      'sweep',
      'a checkpoint has the form of an older version, which is not read any '
      'more: what it holds begins again',
    )
  if heirs or spenders:
    going_on = len(renewal.going_on(opened, options, current, spenders))
    mains.note(
      'sweep',
      f'a larger budget: {count_of(len(heirs), "trial")} had ended within the '
      'smaller one and keep their results; of those that had spent it '
      f'{going_on:,} go on from there, {len(spenders) - going_on:,} run again '
      'from the beginning',
    )
  code_begun = renewal.code_of_begun(current)
  renewed = renewal.plan(opened, options, records, code_begun, code_now)
  mains.note('sweep', *renewed.lines)
  reruns.set_aside(opened, renewed.trials)
  records = {n: one for n, one in records.items() if n not in renewed.trials}
  return (
    dataclasses.replace(opened, drifted=renewed.drifted),
    records,
    current,
  )


def tidy(opened: Folder) -> None:
  """Removes what a process left that was killed after its last record."""
  # Of a folder that nobody may write to, it stays.
  with contextlib.suppress(faults.StoreError):
    checkpoints.drop_all(opened, but=recorder.SPENT)
    remove_leftovers(opened)


def remove_leftovers(opened: Folder) -> None:
  """Removes temporary files of writers that are gone."""
  for part in ('', 'records', 'checkpoints', 'nets', 'figures'):
    files.remove_temporary(opened.path / part, opened.disk)


def num_records(path: Path) -> int:
  """The number of trials that have a record in the folder."""
  try:
    return len(trial_records.ended(folder.open_folder(path)))
  except faults.StoreError:
    return 0
