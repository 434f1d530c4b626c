"""Finds results of a folder that are not those of the code, to run again.

A record says by which code it was made, see `store.sources`. Records that make
room for a new run are kept as `<trial>.json.old`.
"""

import collections
from collections.abc import Collection, Iterable, Mapping

from lstm_jax.choices import count_of
from lstm_jax.lab.store import (
  faults,
  files,
  nets,
  seal,
  sources,
  trial_records,
)
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.folder import Folder, note

# How a trial ends that a larger budget would not have changed.
_FINAL_STATUS = ('solved', 'given_up', 'diverged')


def changed_trials(
  folder: Folder,
  old_codes: Mapping[str, str | None],
  now: Mapping[str, dict[str, str]],
) -> dict[str, tuple[str, ...]]:
  """The trials whose code is not the code of now.

  Args:
    folder: the run folder.
    old_codes: trial -> code, as its record or checkpoint has it; None: unknown.
    now: trial -> what `sources.of_modules` finds of it.

  Returns:
    trial -> the files that differ, of those trials that are in both and whose
    code is known; no files where they are not known any more.
  """
  table = folder.plan.get('sources', {})
  answers: dict[tuple[str, int], tuple[str, ...] | None] = {}
  by_trial = {}
  for trial, code in old_codes.items():
    if code is None or trial not in now:
      continue
    key = (code, id(now[trial]))  # most trials share theirs
    if key not in answers:
      old_files, files_now = table.get(code), now[trial]
      if old_files is not None and sources.is_native(old_files):
        # Before the networks are made it is not known which code runs layers.
        files_now = files_now | sources.of_native()
      is_same = sources.code_of(files_now) == code
      differ = (
        sources.differing(old_files, files_now)
        if old_files and not is_same
        else ()
      )
      answers[key] = None if is_same else tuple(differ)
    if (names := answers[key]) is not None:
      by_trial[trial] = names
  return by_trial


def lines_of(changes: Mapping[str, Collection[str]]) -> list[str]:
  """Lines on the changes: a file, and the number of trials that it is of."""
  counts = collections.Counter(
    name for names in changes.values() for name in names
  )
  num_unknown = sum(not names for names in changes.values())
  lines = [
    f'{name} ({count_of(of, "trial")})' for name, of in sorted(counts.items())
  ]
  if num_unknown:
    unknown_of = count_of(num_unknown, 'trial')
    lines.append(f'files that are not known any more ({unknown_of})')
  return lines


def set_aside(folder: Folder, trials: Iterable[str], why: str) -> None:
  """Makes room for trials to run again; their old records are kept."""
  for trial in trials:
    for part in ('records', 'nets'):
      for old in _set_aside(folder, trial, part):
        note(folder, f'{trial} runs again, {why}; kept as {part}/{old}')


def _set_aside(folder, trial, part):
  """The names that files of a trial have now that stood in its way."""
  place = folder.path / part
  return [
    files.set_aside(place / name, folder.disk, 'old').name
    for name in files.names(place)
    if name.startswith(trial) and name.endswith(nets.ENDINGS)
  ]


def take_over(folder: Folder) -> tuple[dict[str, str], list[str]]:
  """Gives trials of a larger budget the results that it does not change.

  A trial that was solved, given up or has diverged within a smaller budget
  ends so under any larger one; one that had spent it goes on or runs again.

  Args:
    folder: a run folder whose plan has grown.

  Returns:
    `(taken, spent)`: trial -> the one whose result it has taken over, and the
    ids that those trials had that had spent their budget.
  """
  heirs, spenders = {}, []
  replaced = folder.plan.get('replaced', {})
  for trial in folder.trials:
    old = replaced.get(trial)
    while old is not None:
      path = folder.path / 'records' / f'{old}.json'
      try:
        record = trial_records.read(folder, path, (old,))
      except (faults.Corrupt, FileNotFoundError):
        old = replaced.get(old)  # a smaller budget still
        continue
      if record['status'] in _FINAL_STATUS:
        data = seal.seal_json('record', {**record, 'trial': trial})
        try:
          target = path.with_name(f'{trial}.json')
          files.publish(target, data, disk=folder.disk)
          heirs[trial] = old
        except FileExistsError:
          pass
      else:
        spenders.append(old)
        _set_aside(folder, old, 'nets')
      try:
        files.set_aside(path, folder.disk, 'old')
      except faults.Unusable:
        if path.exists():
          raise  # else the process of another shard has done it
      break
  return heirs, spenders


def failures(records: Mapping[str, Record]) -> collections.Counter[str]:
  """Each reason, in one line without folders -> how many trials failed so."""
  return collections.Counter(
    faults.without_places(record.get('reason') or '?').partition('\n')[0][:300]
    for record in records.values()
    if record['status'] == 'failed'
  )
