"""Finds results that are not of today's code, and what a command does then."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.store import faults, reruns
from lstm_jax.lab.store.checkpoints import Checkpoint
from lstm_jax.lab.store.documents import Meta, Record
from lstm_jax.lab.store.folder import Folder


class Renewal(NamedTuple):
  """The trials that run again, and what is said about it.

  Attributes:
    trials: that have a record and run again -> why.
    drifted: trials that go on although results of their program are of other
      code -> the files that differ.
    lines: lines for the user.
  """

  trials: dict[str, str]
  drifted: dict[str, tuple[str, ...]]
  lines: tuple[str, ...]


def plan(
  opened: Folder,
  options: Run,
  records: Mapping[str, Record],
  code_begun: Mapping[str, str | None],
  code_now: Mapping[str, dict[str, str]],
) -> Renewal:
  """Holds what is in a folder to the code of now.

  Args:
    opened: the run folder.
    options: a `flags.Run`.
    records: trial -> record.
    code_begun: trial -> code of those under way, from their checkpoints.
    code_now: trial -> the files that run it, see `builds.code`.

  Raises:
    Refused: there are results, or trials under way, of other code, and the
      command does not say what to do about them.
  """
  records_now = {name: records[name] for name in code_now if name in records}
  failed_names = [
    name for name in records_now if records_now[name]['status'] == 'failed'
  ]
  old_codes = {**code_begun} | {
    name: record.get('code') for name, record in records_now.items()
  }
  changes = reruns.changed_trials(opened, old_codes, code_now)
  without_code = [
    name for name in records_now if records_now[name].get('code') is None
  ]
  if 'began_in_schema' in opened.plan:
    # Whatever it was, it was none of today's.
    changes = dict.fromkeys(without_code, ()) | changes
    without_code = []
  mended = [name for name in failed_names if name in changes]
  other_changes = {
    name: changes[name] for name in changes if name not in mended
  }
  if other_changes and not (options.rerun_changed or options.allow_drift):
    raise faults.Refused(_refusal(opened, other_changes))
  lines, again = [], dict.fromkeys(mended, 'its code has changed')
  if mended:
    where = _words({name: changes[name] for name in mended})
    lines.append(
      f'{_trials(mended)} failed before and run{"s" * (len(mended) == 1)} '
      f'again, as the code has changed: {where}'
    )
  if options.retry_failed:
    again |= dict.fromkeys(failed_names, 'asked for by --retry_failed')
  drifted = {}
  if options.rerun_changed:
    again |= {
      name: 'its code has changed'
      for name in other_changes
      if name in records_now
    }
  elif other_changes:
    lines.append(
      f'{_trials(other_changes)} of other code than now '
      f'({_words(other_changes)}) kept, as --allow_drift says'
    )
    files = {id(code_now[name]): of for name, of in other_changes.items()}
    drifted = {
      n: files[id(code_now[n])] for n in code_now if id(code_now[n]) in files
    }
  if without_code:
    lines.append(
      f'{_trials(without_code)} do not say by which code: the records are '
      'older than that; they are taken as they are'
    )
  return Renewal(again, drifted, tuple(lines))


def _refusal(opened, changes):
  lines = '\n'.join(f'  {line}' for line in reruns.lines_of(changes))
  return (
    f'{opened.path} holds results or trials under way of other code than '
    f'now; what differs:\n{lines}\n--rerun_changed runs those trials again and '
    'keeps the old records, --allow_drift keeps them as they are and '
    'marks what is made from now on; or name another --out'
  )


def _words(changes):
  return ', '.join(reruns.lines_of(changes))


def _trials(names):
  return f'{len(names):,} trial{"s" * (len(names) != 1)}'


def code_of_begun(saved_trials: Iterable[Checkpoint]) -> dict[str, str | None]:
  """Trial -> code, of what `checkpoints.load` has found."""
  codes: dict[str, str | None] = {}
  for _, meta, _ in saved_trials:
    codes |= meta.get('code', {})
  return codes


def going_on(
  opened: Folder,
  options: Run,
  saved_trials: Iterable[Checkpoint],
  names: Iterable[str],
) -> set[str]:
  """The trials of a smaller budget that go on from where they were.

  Args:
    opened: the run folder.
    options: a `flags.Run`.
    saved_trials: what `checkpoints.load` has found.
    names: of trials whose place others have taken.
  """
  successor = successors(opened)
  return {
    name
    for name in names
    for _, meta, _ in saved_trials
    if name in meta.get('code', {})
    and is_of(opened, options, meta, name, successor.get(name, name))
  }


def is_of(
  opened: Folder, options: Run, meta: Meta, name: str, new: str
) -> bool:
  """Tells whether what a checkpoint holds of a trial may go on.

  Args:
    opened: the run folder.
    options: a `flags.Run`.
    meta: of the checkpoint.
    name: the trial's, when it was saved.
    new: its name now, another one where its budget is larger.
  """
  code = meta.get('code', {}).get(name)
  return options.allow_drift or code is None or code == opened.code.get(new)


def successors(opened: Folder) -> dict[str, str]:
  """Trial -> the one that has its place now, where its budget has grown."""
  replaced = opened.plan.get('replaced', {})
  next_one = {old: new for new, old in replaced.items()}
  successor_of = {}
  for name in next_one:
    new = next_one[name]
    while new in next_one:
      new = next_one[new]
    successor_of[name] = new
  return successor_of
