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
    said: lines for the user.
  """

  trials: dict[str, str]
  drifted: dict[str, tuple[str, ...]]
  said: tuple[str, ...]


def plan(
  opened: Folder,
  how: Run,
  records: Mapping[str, Record],
  begun: Mapping[str, str | None],
  now: Mapping[str, dict[str, str]],
) -> Renewal:
  """Holds what is in a folder to the code of now.

  Args:
    opened: the run folder.
    how: a `flags.Run`.
    records: trial -> record.
    begun: trial -> code of those under way, from their checkpoints.
    now: trial -> the files that run it, see `builds.code`.

  Raises:
    Refused: there are results, or trials under way, of other code, and the
      command does not say what to do about them.
  """
  ended = {name: records[name] for name in now if name in records}
  failed = [name for name in ended if ended[name]['status'] == 'failed']
  made = {**begun} | {
    name: record.get('code') for name, record in ended.items()
  }
  found = reruns.changed(opened, made, now)
  unknown = [name for name in ended if ended[name].get('code') is None]
  if 'began_in_schema' in opened.plan:
    # Whatever it was, it was none of today's.
    found = dict.fromkeys(unknown, ()) | found
    unknown = []
  mended = [name for name in failed if name in found]
  others = {name: found[name] for name in found if name not in mended}
  if others and not (how.rerun_changed or how.allow_drift):
    raise faults.Refused(_refusal(opened, others))
  said, again = [], dict.fromkeys(mended, 'its code has changed')
  if mended:
    where = _words({name: found[name] for name in mended})
    said.append(
      f'{_trials(mended)} failed before and run{"s" * (len(mended) == 1)} '
      f'again, as the code has changed: {where}'
    )
  if how.retry_failed:
    again |= dict.fromkeys(failed, 'asked for by --retry_failed')
  drifted = {}
  if how.rerun_changed:
    again |= {name: 'its code has changed' for name in others if name in ended}
  elif others:
    said.append(
      f'{_trials(others)} of other code than now ({_words(others)}) kept, '
      'as --allow_drift says'
    )
    files = {id(now[name]): of for name, of in others.items()}
    drifted = {n: files[id(now[n])] for n in now if id(now[n]) in files}
  if unknown:
    said.append(
      f'{_trials(unknown)} do not say by which code: the records are older '
      'than that; they are taken as they are'
    )
  return Renewal(again, drifted, tuple(said))


def _refusal(opened, found):
  lines = '\n'.join(f'  {line}' for line in reruns.counted(found))
  return (
    f'{opened.path} holds results or trials under way of other code than '
    f'now; what differs:\n{lines}\n--rerun_changed runs those trials again and '
    'keeps the old records as *.old, --allow_drift keeps them as they are and '
    'marks what is made from now on; or name another --out'
  )


def _words(found):
  return ', '.join(reruns.counted(found))


def _trials(names):
  return f'{len(names):,} trial{"s" * (len(names) != 1)}'


def begun(saved: Iterable[Checkpoint]) -> dict[str, str | None]:
  """Trial -> code, of what `checkpoints.load` has found."""
  codes: dict[str, str | None] = {}
  for _, meta, _ in saved:
    codes |= meta.get('code', {})
  return codes


def going_on(
  opened: Folder,
  how: Run,
  saved: Iterable[Checkpoint],
  names: Iterable[str],
) -> set[str]:
  """The trials of a smaller budget that go on from where they were.

  Args:
    opened: the run folder.
    how: a `flags.Run`.
    saved: what `checkpoints.load` has found.
    names: of trials whose place others have taken.
  """
  successor = successors(opened)
  return {
    name
    for name in names
    for _, meta, _ in saved
    if name in meta.get('code', {})
    and is_of(opened, how, meta, name, successor.get(name, name))
  }


def is_of(opened: Folder, how: Run, meta: Meta, name: str, new: str) -> bool:
  """Tells whether what a checkpoint holds of a trial may go on.

  Args:
    opened: the run folder.
    how: a `flags.Run`.
    meta: of the checkpoint.
    name: the trial's, when it was saved.
    new: its name now, another one where its budget is larger.
  """
  code = meta.get('code', {}).get(name)
  return how.allow_drift or code is None or code == opened.code.get(new)


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
