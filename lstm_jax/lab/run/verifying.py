"""Says what is in a run folder, what its command would do; changes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lstm_jax.choices import count_of
from lstm_jax.lab.plan import plan as plans
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.run import builds, mains, renewal
from lstm_jax.lab.store import (
  faults,
  files,
  folder,
  growth,
  lost,
  plan_trials,
  reruns,
  trial_records,
)
from lstm_jax.lab.store.differences import first_lines
from lstm_jax.lab.store.documents import Entry, Plan
from lstm_jax.lab.store.plan_trials import entries_of
from lstm_jax.lab.store.setting import by_id


def verify(
  path: str | Path,
  options: Run,
  trials: Iterable[str],
  entries: Sequence[Entry],
  code_now: Mapping[str, dict[str, str]],
) -> int:
  """Prints what is good, what is not, and what becomes of it.

  Args:
    path: the folder.
    options: a `flags.Run`.
    trials: ids of what the command asks for.
    entries: their entries in a plan.
    code_now: trial -> the files that run it.

  Returns:
    The exit code: 0 where nothing is amiss, 2 where the folder is of another
    plan or other code, else 3.
  """
  try:
    opened = folder.open_folder(path)
  except (faults.Corrupt, faults.Unusable) as error:
    mains.say('sweep', str(error), _check_lost(path, trials))
    return int(faults.Exit.FAILED)
  merged, lines = _merged_plan(opened, entries)
  if lines:
    mains.say('sweep', f'{path} holds another plan:\n{first_lines(lines)}')
    return int(faults.Exit.USAGE)
  mains.tell(f'{path}: plan.json is whole.')
  num_more = len(merged['trials']) - len(opened.trials)
  if num_more:
    print(f'This command adds {count_of(num_more, "trial")} to it.')
  records, problems = trial_records.read_records(opened)
  print(f'{len(records):,} of {len(opened.trials):,} trials have ended.')
  for problem in problems:
    fate = (
      'it is set aside and its trial runs again' if problem.is_damaged else ''
    )
    mains.say('sweep', '; '.join(filter(None, (problem.reason, fate))))
  for reason, count in reruns.failures(records).most_common():
    mains.say('sweep', f'{count_of(count, "trial")} failed: {reason}')
  try:
    mains.say(
      'sweep', *renewal.plan(opened, options, records, {}, code_now).lines
    )
  except faults.Refused as refused:
    mains.say('sweep', str(refused))
    return int(refused.exit_code)
  return int(faults.Exit.FAILED if problems else faults.Exit.OK)


def check_folder(plan: plans.Plan, options: Run) -> None:
  """Refuses a plan whose folder holds another one, or results of other code.

  Args:
    plan: of the command.
    options: a `flags.Run`.

  Raises:
    Refused: in the words of the run that would be refused.
    Unusable, StorageError: the folder cannot be read.
  """
  path = Path(options.out or plan.out)
  if 'plan.json' not in files.names(path):
    return
  try:
    opened = folder.open_folder(path)
  except faults.Corrupt:
    return  # a run makes it again from the command, or says what to do
  trials = by_id(plan.trials)
  _, lines = _merged_plan(opened, entries_of(trials))
  if lines:
    raise faults.Refused(f'{path} holds another plan:\n{first_lines(lines)}')
  records, _ = trial_records.read_records(opened)
  renewal.plan(opened, options, records, {}, builds.code(trials))


def _merged_plan(opened: folder.Folder, entries: Sequence[Entry]):
  """The plan of a folder with the trials asked for, and what differs."""
  new_plan: Plan = {
    **opened.plan,
    'trials': list(plan_trials.of_entries(entries)),
    'programs': {},
  }
  return growth.merged_plan(opened.plan, new_plan)


def _check_lost(path, trials):
  """Says what becomes of a folder whose plan is lost."""
  recorded_ids, _ = lost.recorded(path)
  strange = recorded_ids - set(trials)
  if strange:
    return (
      f'of its {len(recorded_ids):,} records {len(strange):,} are of trials '
      'that this command does not ask for: give the command that made the '
      'folder'
    )
  if recorded_ids:
    return (
      f'its {len(recorded_ids):,} records are of this command: without '
      '--verify it makes the plan again and goes on'
    )
  return 'there are no records: without --verify the command begins'
