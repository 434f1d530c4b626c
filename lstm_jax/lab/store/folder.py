"""The run folder: a plan, one sealed record a trial, and what they amount to.

  plan.json               written first: flags, trials, programs, provenance,
                          sources; made again from the command where it is lost
  records/<pack>.jsonl    one sealed record a trial, never overwritten, those of
                          a process in one file, see `record_packs`
  records/<trial>.json    the same in folders of earlier versions
  checkpoints/            of trials under way, see `checkpoints`
  tuning/                 of a run that is tuned: a run folder a round
  results.csv             one row a trial, made from the records alone
  lock*                   who works on the folder, see `lock`
  log                     lines for a reader; never read back

The order of use: `create_or_open` (or `open_folder` to read), then `lock.lock`,
then `results.read_records` and `checkpoints.load` to see what is left to do.
Nothing here imports jax: a finished run is open at once.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from lstm_jax.lab.store import (
  catalog_entry,
  faults,
  files,
  lost,
  plan_trials,
  record_packs,
  schema_1,
  seal,
  shape,
)
from lstm_jax.lab.store.differences import (
  change,
  drift_of,
  first_lines,
  has_changed_data,
)
from lstm_jax.lab.store.documents import Entry, Plan
from lstm_jax.lab.store.growth import merged_plan
from lstm_jax.lab.store.provenance import COMPARED
from lstm_jax.lab.store.setting import Setting, setting_of, with_seed
from lstm_jax.lab.store.sources import code_of

# What makes the plan of an older schema today's.
_OLDER = {1: schema_1.plan, 2: lambda content: content}
_OWN_NAMES = (
  'records', 'checkpoints', 'results.csv', 'log', 'curves.csv', 'figures',
  'nets', 'report.html', 'report.md', 'tuning',
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Folder:
  """An open run folder.

  Attributes:
    path: where it is.
    plan: content of plan.json: what was given, and its 'identity'.
    trials: id -> setting, in the order of the plan.
    identity: hash of the provenance that is compared, of when the folder was
      made. Every record and checkpoint carries it, besides the ids of its
      trials, which are hashes of their settings.
    drift: name -> value of this process's provenance that is not the plan's.
    disk: the calls that change the disk.
    code: trial -> `sources.code_of` what runs it in this process, where known.
    drifted: trial -> files that are not those of its program's results.
    notes: lines for whoever opened it.
    writer: what appends records, see `record_packs`.
    digest: SHA-256 of the plan file that was read.
  """

  path: Path
  plan: Plan
  trials: Mapping[str, Setting]
  identity: str
  drift: Mapping[str, object]
  disk: files.Disk = files.DISK
  code: Mapping[str, str] = dataclasses.field(default_factory=dict)
  drifted: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
  notes: tuple[str, ...] = ()
  writer: record_packs.Writer = dataclasses.field(
    default_factory=record_packs.Writer, compare=False, repr=False
  )
  digest: str = dataclasses.field(default='', compare=False, repr=False)


def create_or_open(
  path: str | Path,
  plan: Plan,
  allow_drift: bool = False,
  disk: files.Disk = files.DISK,
  sources: Mapping[str, Mapping[str, str]] | None = None,
  trials: Mapping[str, Setting] | None = None,
) -> Folder:
  """Makes the run folder of a plan, or opens it to go on.

  A folder of another plan is refused before anything is written. What a plan
  may add to one is in `growth`; flags may differ, since the trials are what
  the flags came to. A plan file that is damaged or gone is made again, if the
  records in the folder are of this plan.

  Args:
    path: the folder; missing parents are made.
    plan: dict of plain values with 'flags', 'trials' (a list
      of `setting.entry_of`), 'programs' (which trials share one),
      'provenance', and 'outside' where there is any.
    allow_drift: go on although the provenance differs; records then say so.
    disk: the calls that change the disk.
    sources: trial -> what `sources.of_modules` found of it; None: not known.
    trials: id -> setting of the plan, where they are at hand.

  Returns:
    `Folder`; its `plan` is the one on disk.

  Raises:
    ValueError: the plan cannot be stored, or two trials have one id.
    Refused: the folder holds another plan; the message is the difference.
    Unusable, StorageError: the folder cannot be written to.
  """
  path, plan = Path(path), _plain_plan(plan)
  code, table = _codes(sources or {})
  if table:
    plan['sources'] = table
  if not plan.get('outside'):
    plan.pop('outside', None)
  files.make_directory(path, disk)
  name = path / 'plan.json'
  known = expected(path, plan['trials'], trials or {})
  fault, lines = None, ()
  try:
    opened = _opened(path, disk, known)
  except faults.Corrupt as error:
    opened, fault = None, error
  if opened is None:
    plan = {**plan, 'identity': _identity(plan)}
    new_plan, lines = lost.plan_again(path, plan, allow_drift, fault)
    if not lines:
      _check_vacant(path)
  else:
    known = opened
    _matching(opened, plan, allow_drift)
  places = (path, path / 'records', path / 'checkpoints')
  for place in places:
    files.make_directory(place, disk)
    files.remove_temporary(place, disk)
    _try_to_write(place, disk)
  if opened is None:
    if fault is not None:
      files.set_aside(name, disk)
    # Where another process comes first, its plan decides.
    with contextlib.suppress(FileExistsError):
      files.publish(name, _sealed(new_plan), disk=disk)
  known = open_folder(path, disk, known)
  folder, is_more = _matching(known, plan, allow_drift)
  if is_more:
    with _sole_holder(path, disk):
      # Read once more: two processes may each have something to add.
      known = open_folder(path, disk, known)
      folder, _ = _matching(known, plan, allow_drift)
      files.publish(name, _sealed(folder.plan), overwrite=True, disk=disk)
  # A killed process may have published without reaching its last fsync.
  for pack in record_packs.names(path / 'records'):
    files.sync(path / 'records' / pack, disk)
  for place in places:
    with files.storage(place):
      disk.fsync_directory(place)
  return dataclasses.replace(folder, code=code, notes=lines)


def expected(
  path: Path,
  entries: Sequence[Entry],
  trials: Mapping[str, Setting],
) -> Folder:
  """The folder of a command, to be the `known` of `open_folder`.

  Args:
    path: of the folder.
    entries: its trials, of `plan_trials.entries_of`.
    trials: id -> setting, of the same.
  """
  plan: Plan = {'trials': entries, 'programs': {}}
  return Folder(path, plan, trials, '', {})


def open_folder(
  path: str | Path,
  disk: files.Disk = files.DISK,
  known: Folder | None = None,
) -> Folder:
  """Opens an existing run folder for reading; writes nothing.

  Args:
    path: of the folder.
    disk: the calls that change the disk.
    known: what is most likely in it, which is then not made again: the folder
      as it was, or one with the trials of a command.

  Raises:
    Unusable: there is no run in `path`, or it cannot be read.
    Corrupt, Refused: its plan is damaged, or of another schema.
  """
  path = Path(path)
  opened = _opened(path, disk, known)
  if opened is None:
    again = ''
    if (path / 'records').is_dir():
      again = '; the command that made this folder makes it again'
    raise faults.Unusable(f'{path}: no run here, it has no plan.json{again}')
  return opened


def note(folder: Folder, line: str) -> None:
  """Appends a line to the log, for a reader; never fails, never read back."""
  timestamp = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
  with contextlib.suppress(OSError):
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    fd = folder.disk.open(folder.path / 'log', flags, 0o666)
    try:
      folder.disk.write(fd, f'{timestamp} {line}\n'.encode())
    finally:
      os.close(fd)


def _opened(path, disk, known):
  """`open_folder`; None where there is no plan file."""
  name = path / 'plan.json'
  try:
    data = files.read(name, start=b'{')
  except FileNotFoundError:
    return None
  digest = hashlib.sha256(data).hexdigest()
  if known and known.digest == digest:
    return known
  like = known and known.plan
  unpacked = functools.partial(plan_trials.unpacked, like=like)
  content = seal.unseal_json('plan', data, name, _OLDER, unpacked)
  known_trials = like and like['trials']
  shape.check_plan(content, name, known_trials)
  plan = cast(Plan, content)
  settings = {}
  if plan['trials'] is not known_trials:
    plan = {**plan, 'trials': plan_trials.of_entries(plan['trials'])}
  elif 'outside' not in plan:
    settings = known.trials
  # What others have written has its place from the plan.
  settings = settings or _settings(plan)
  return Folder(path, plan, settings, plan['identity'], {}, disk, digest=digest)


def _matching(folder, plan, allow_drift):
  """(a folder, grown by `plan` if that may be; whether it has grown)"""
  path = folder.path
  new_plan, lines = merged_plan(folder.plan, plan)
  if lines:
    why = '; the file of data is not what it was' * has_changed_data(lines)
    raise faults.Refused(
      f'{path} holds another plan{why}:\n{first_lines(lines)}\nname another '
      '--out, or give the settings of this folder'
    )
  drift = drift_of(folder.plan, plan)
  if drift and not allow_drift:
    lines = [change(f'provenance.{key}', *pair) for key, pair in drift.items()]
    raise faults.Refused(
      f'{path} was begun by another program or on another machine:\n'
      f'{first_lines(lines)}\nname another --out, or go on with --allow_drift,'
      ' which marks the records made from now on'
    )
  is_more = new_plan is not folder.plan
  folder = dataclasses.replace(
    folder,
    plan=new_plan,
    trials=_settings(new_plan) if is_more else folder.trials,
    drift={key: new_value for key, (_, new_value) in drift.items()},
  )
  return folder, is_more


def _plain_plan(plan: Plan) -> Plan:
  """A plan of plain values, whose trials share what they have in common."""
  if missing_keys := {'trials', 'programs', 'provenance'} - plan.keys():
    raise ValueError(f'plan: {", ".join(sorted(missing_keys))} missing')
  _check_ids(plan['trials'])
  trials = plan_trials.of_entries(plan['trials'])
  others = seal.to_plain(cast(Plan, {**plan, 'trials': []}))
  return {**others, 'trials': trials}


def _sealed(plan):
  return seal.seal_json('plan', plan_trials.packed(plan))


def _codes(sources):
  """trial -> code, and code -> files, of trial -> files."""
  names, code, table = {}, {}, {}
  for trial, files_of_trial in sources.items():
    if id(files_of_trial) not in names:  # most trials share theirs
      names[id(files_of_trial)] = code_of(files_of_trial)
      table[names[id(files_of_trial)]] = dict(files_of_trial)
    code[trial] = names[id(files_of_trial)]
  return code, table


@contextlib.contextmanager
def _sole_holder(path, disk):
  """Waits until no other process changes the plan."""
  with files.storage(path / 'lock-plan'):
    fd = disk.open(path / 'lock-plan', os.O_RDWR | os.O_CREAT, 0o666)
  try:
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield
  finally:
    os.close(fd)


def _identity(plan):
  """Hash of what results depend on; kept, so that it outlives `COMPARED`."""
  return seal.digest({key: plan['provenance'].get(key) for key in COMPARED})


def _check_ids(trials):
  """Raises ValueError where ids are wrong or not unique."""
  ids = set()
  for trial in trials:
    seal.check_name(trial['id'], 'trial id')
    if trial['id'] in ids:
      raise ValueError(f'plan: two trials have the id {trial["id"]}')
    ids.add(trial['id'])


def _settings(plan):
  """id -> `Setting` of a plan's trials."""
  outside_entries = {
    name: catalog_entry.from_plain(name, fields)
    for name, fields in plan.get('outside', {}).items()
  }
  first: dict[int, Setting] = {}
  settings = {}
  for trial in plan['trials']:
    alike = first.get(id(trial.fields))
    if alike is None:
      alike = first[id(trial.fields)] = setting_of(trial, outside_entries)
    settings[trial.id] = with_seed(alike, trial.seed)
  return settings


def _check_vacant(path):
  """Raises `Unusable` where a new run would mix with somebody's files."""
  names = files.names(path)
  if 'plan.json' in names:
    return  # another process has made it a run folder since it was looked for
  strange_names = [
    name
    for name in names
    if name not in _OWN_NAMES and not name.startswith('lock')
  ]
  if strange_names:
    raise faults.Unusable(
      f'{path}: holds {sorted(strange_names)[0]} and no plan.json, so it is '
      'not a run folder; name a new or empty directory'
    )


def _try_to_write(place, disk):
  with files.storage(place, 1):
    fd, name = files.write_temporary(place / 'try', b'.', disk)
    try:
      disk.unlink(name)
    finally:
      os.close(fd)
