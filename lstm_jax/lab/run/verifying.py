"""Says what is in a run folder, what its command would do; changes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.run import mains, renewal
from lstm_jax.lab.store import (
  faults,
  folder,
  growth,
  lost,
  reruns,
  seal,
  trial_records,
)
from lstm_jax.lab.store.differences import shown
from lstm_jax.lab.store.documents import Entry, Plan


def verify(
  path: str | Path,
  how: Run,
  trials: Iterable[str],
  stored: Sequence[Entry],
  now: Mapping[str, dict[str, str]],
) -> int:
  """Prints what is good, what is not, and what becomes of it.

  Args:
    path: the folder.
    how: a `flags.Run`.
    trials: ids of what the command asks for.
    stored: their entries in a plan.
    now: trial -> the files that run it.

  Returns:
    The exit code: 0 where nothing is amiss, 2 where the folder is of another
    plan or other code, else 3.
  """
  try:
    opened = folder.open_folder(path)
  except (faults.Corrupt, faults.Unusable) as error:
    mains.say('sweep', str(error), _lost(path, trials))
    return int(faults.Exit.FAILED)
  asked: Plan = {
    **opened.plan,
    'trials': list(map(seal.plain, stored)),
    'programs': {},
  }
  after, lines = growth.grown(opened.plan, asked)
  if lines:
    mains.say('sweep', f'{path} holds another plan:\n{shown(lines)}')
    return int(faults.Exit.USAGE)
  mains.tell(f'{path}: plan.json is whole.')
  more = len(after['trials']) - len(opened.trials)
  if more:
    print(f'This command adds {more:,} trials to it.')
  records, problems = trial_records.read_records(opened)
  print(f'{len(records):,} of {len(opened.trials):,} trials have ended.')
  for problem in problems:
    fate = 'it is set aside and its trial runs again' if problem.damaged else ''
    mains.say('sweep', '; '.join(filter(None, (problem.reason, fate))))
  for reason, count in reruns.failures(records).most_common():
    mains.say('sweep', f'{count:,} trials failed: {reason}')
  try:
    mains.say('sweep', *renewal.plan(opened, how, records, {}, now).said)
  except faults.Refused as refused:
    mains.say('sweep', str(refused))
    return int(refused.exit_code)
  return int(faults.Exit.FAILED if problems else faults.Exit.OK)


def _lost(path, trials):
  """Says what becomes of a folder whose plan is lost."""
  known, _ = lost.recorded(path)
  strange = known - set(trials)
  if strange:
    return (
      f'of its {len(known):,} records {len(strange):,} are of trials that this '
      'command does not ask for: give the command that made the folder'
    )
  if known:
    return (
      f'its {len(known):,} records are of this command: without --verify it '
      'makes the plan again and goes on'
    )
  return 'there are no records: without --verify the command begins'
