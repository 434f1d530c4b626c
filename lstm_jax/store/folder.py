"""The run folder: a plan, one sealed record a trial, and what they amount to.

  plan.json               written first: flags, trials, programs, provenance
  records/<trial>.json    one sealed record a trial, never overwritten
  checkpoints/            of trials under way, see `checkpoints`
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
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lstm_jax.store import faults, files, seal
from lstm_jax.store.differences import change, differences, shown
from lstm_jax.store.provenance import COMPARED

_OURS = ('records', 'checkpoints', 'results.csv', 'log')


@dataclasses.dataclass(frozen=True)
class Folder:
  """An open run folder.

  Attributes:
    path: where it is.
    plan: content of plan.json: what was given, and its 'identity'.
    trials: id -> setting, in the order of the plan.
    identity: hash of what results depend on: trials, programs and the
      provenance that is compared. Every record and checkpoint carries it.
    drift: name -> value of this process's provenance that is not the plan's.
    disk: the calls that change the disk.
  """

  path: Path
  plan: Mapping[str, Any]
  trials: Mapping[str, Mapping[str, Any]]
  identity: str
  drift: Mapping[str, Any]
  disk: files.Disk = files.DISK


def trial_id(setting):
  """The id of a trial: 16 hexadecimal digits of the hash of its setting.

  Args:
    setting: dict of plain values with every default filled in; the order of
      its keys does not matter.
  """
  return seal.digest([seal.SCHEMA, seal.plain(setting)])[:16]


def create_or_open(path, plan, allow_drift=False, disk=files.DISK):
  """Makes the run folder of a plan, or opens it to go on.

  A folder of another plan is refused before anything is written. Two plans are
  the same if their trials, programs and compared provenance are; their flags
  may differ, since the trials are what the flags came to.

  Args:
    path: the folder; missing parents are made.
    plan: dict of plain values with 'flags', 'trials' (a list of settings, each
      with its 'id'), 'programs' (which trials share one) and 'provenance'.
    allow_drift: go on although the provenance differs; records then say so.
    disk: the calls that change the disk.

  Returns:
    `Folder`; its `plan` is the one on disk.

  Raises:
    ValueError: the plan cannot be stored, or two trials have one id.
    Refused: the folder holds another plan; the message is the difference.
    Unusable, StorageError: the folder cannot be written to.
    Corrupt: its plan is damaged.
  """
  path, plan = Path(path), seal.plain(plan)
  _by_id(plan)
  files.make_directory(path, disk)
  name = path / 'plan.json'
  is_new = not os.path.lexists(name)
  if is_new:
    _check_vacant(path)
  else:
    _matching(path, plan, allow_drift, disk)
  places = (path, path / 'records', path / 'checkpoints')
  for place in places:
    files.make_directory(place, disk)
    files.clean(place, disk)
    _try_to_write(place, disk)
  if is_new:
    # Where another process comes first, its plan decides.
    with contextlib.suppress(FileExistsError):
      content = seal.seal_json('plan', {**plan, 'identity': _identity(plan)})
      files.publish(name, content, disk=disk)
  folder = _matching(path, plan, allow_drift, disk)
  # A killed process may have published without reaching its last fsync.
  for place in places:
    with files.storage(place):
      disk.fsync_directory(place)
  return folder


def open_folder(path, disk=files.DISK):
  """Opens an existing run folder for reading; writes nothing.

  Raises:
    Unusable: there is no run in `path`, or it cannot be read.
    Corrupt, Refused: its plan is damaged, or of another schema.
  """
  path = Path(path)
  name = path / 'plan.json'
  try:
    plan = seal.unseal_json('plan', files.read(name, start=b'{'), name)
  except FileNotFoundError as error:
    raise faults.Unusable(
      f'{path}: no run here, it has no plan.json'
    ) from error
  return Folder(path, plan, _by_id(plan), plan['identity'], {}, disk)


def note(folder, line):
  """Appends a line to the log, for a reader; never fails, never read back."""
  now = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
  with contextlib.suppress(OSError):
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    fd = folder.disk.open(folder.path / 'log', flags, 0o666)
    try:
      folder.disk.write(fd, f'{now} {line}\n'.encode())
    finally:
      os.close(fd)


def _matching(path, plan, allow_drift, disk):
  """The folder in `path`, if it is one of `plan`."""
  folder = open_folder(path, disk)
  lines, drift = differences(folder.plan, plan)
  if lines:
    raise faults.Refused(
      f'{path} holds another plan:\n{shown(lines)}\nname another --out, or'
      ' give the settings of this folder'
    )
  if drift and not allow_drift:
    lines = [change(f'provenance.{key}', *pair) for key, pair in drift.items()]
    raise faults.Refused(
      f'{path} was begun by another program or on another machine:\n'
      f'{shown(lines)}\nname another --out, or go on with --allow_drift,'
      ' which marks the records made from now on'
    )
  return dataclasses.replace(
    folder, drift={key: asked for key, (_, asked) in drift.items()}
  )


def _identity(plan):
  """Hash of what results depend on; kept, so that it outlives `COMPARED`."""
  provenance = {key: plan['provenance'].get(key) for key in COMPARED}
  return seal.digest([plan['trials'], plan['programs'], provenance])


def _by_id(plan):
  """id -> setting; raises ValueError where ids are wrong or not unique."""
  missing = {'trials', 'programs', 'provenance'} - plan.keys()
  if missing:
    raise ValueError(f'plan: {", ".join(sorted(missing))} missing')
  trials = {}
  for trial in plan['trials']:
    seal.check_name(trial['id'], 'trial id')
    if trial['id'] in trials:
      raise ValueError(f'plan: two trials have the id {trial["id"]}')
    trials[trial['id']] = trial
  return trials


def _check_vacant(path):
  """Raises `Unusable` where a new run would mix with somebody's files."""
  names = files.names(path)
  if 'plan.json' in names:
    return  # another process has made it a run folder since it was looked for
  foreign = [
    name for name in names if name not in _OURS and not name.startswith('lock')
  ]
  if foreign:
    raise faults.Unusable(
      f'{path}: holds {sorted(foreign)[0]} and no plan.json, so it is not a run'
      ' folder; name a new or empty directory'
    )


def _try_to_write(place, disk):
  with files.storage(place, 1):
    fd, name = files.write_temporary(place / 'try', b'.', disk)
    try:
      disk.unlink(name)
    finally:
      os.close(fd)
