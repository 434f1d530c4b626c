"""Finds results of a folder that are not those of the code, to run again.

A record says by which code it was made, see `store.sources`. Records that make
room for a new run are kept: as `<trial>.json.old`, or where they are in a pack,
named by a line as what does not count any more.
"""

import collections
from collections.abc import Collection, Mapping

from lstm_jax.choices import count_of
from lstm_jax.lab.store import (
  faults,
  files,
  nets,
  record_packs,
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


def set_aside(folder: Folder, trials: Mapping[str, str]) -> None:
  """Makes room for trials to run again; what was there is kept.

  A line of a pack stays in its place and counts no more.

  Args:
    folder: the run folder.
    trials: id -> why it runs again.
  """
  if not trials:
    return
  for part in ('records', 'nets'):
    for trial, old in _set_aside(folder, trials, part):
      note(folder, f'{trial} runs again, {trials[trial]}; kept as {part}/{old}')
  lines, _ = record_packs.read(folder.path / 'records', trials)
  for line in lines:
    if line.trial in trials:
      trial_records.retract(folder, line, f'runs again: {trials[line.trial]}')
      note(
        folder,
        f'{line.trial} runs again, {trials[line.trial]}; its record stays in '
        f'records/{line.pack} at byte {line.offset} and counts no more',
      )


def _set_aside(folder, trials, part):
  """(trial, name that a file of it has now) of those that stood in its way."""
  place = folder.path / part
  for name in files.names(place):
    trial = name.partition('.')[0]
    if trial in trials and name.endswith(nets.ENDINGS):
      aside = files.set_aside(place / name, folder.disk, 'old')
      yield trial, aside.name


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
  if not replaced:
    return {}, []
  ids = {*replaced, *replaced.values()}
  lines: dict[str, list[record_packs.Line]] = {}
  for line in record_packs.read(folder.path / 'records', ids)[0]:
    lines.setdefault(line.trial, []).append(line)
  for trial in folder.trials:
    old = replaced.get(trial)
    while old is not None:
      record = _record_of(folder, old, lines.get(old, ()))
      if record is None:
        old = replaced.get(old)  # a smaller budget still
        continue
      if record['status'] not in _FINAL_STATUS:
        spenders.append(old)
        list(_set_aside(folder, (old,), 'nets'))
      elif _record_of(folder, trial, lines.get(trial, ())) is None:
        content = {**record, 'trial': trial}
        folder.writer.append(folder.path / 'records', content, folder.disk)
        heirs[trial] = old
      _lay_aside(folder, old, lines.get(old, ()))
      break
  return heirs, spenders


def _record_of(folder, trial, lines):
  """The first record of a trial, None where none is whole."""
  try:
    path = folder.path / 'records' / f'{trial}.json'
    return trial_records.read(folder, path, (trial,))
  except (faults.Corrupt, FileNotFoundError):
    pass
  for line in lines:
    try:
      return trial_records.checked(folder, line, (trial,))
    except faults.Corrupt:
      continue
  return None


def _lay_aside(folder, old, lines):
  """Has the records of a smaller budget not count any more."""
  for line in lines:
    trial_records.retract(folder, line, 'its budget has grown')
  path = folder.path / 'records' / f'{old}.json'
  if path.exists():
    try:
      files.set_aside(path, folder.disk, 'old')
    except faults.Unusable:
      if path.exists():
        raise  # else the process of another shard has done it


def failures(records: Mapping[str, Record]) -> collections.Counter[str]:
  """Each reason, in one line without folders -> how many trials failed so."""
  return collections.Counter(
    faults.without_places(record.get('reason') or '?').partition('\n')[0][:300]
    for record in records.values()
    if record['status'] == 'failed'
  )
