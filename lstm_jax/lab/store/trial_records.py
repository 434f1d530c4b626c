"""Records of ended trials.

A record holds what was measured; the setting of its trial is in the plan, found
by the trial's id, which is the hash of that setting. `results_table` makes a
table of them.
"""

import array
import contextlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple, cast

from lstm_jax.lab.store import (
  faults,
  files,
  record_packs,
  result_columns,
  schema_1,
  seal,
  shape,
)
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.folder import Folder, note

# What `record_packs.read` gives.
PackLines = tuple[list[record_packs.Line], list[record_packs.Line]]
STATUSES = ('solved', 'budget', 'given_up', 'diverged', 'failed')

_LARGEST = 2**28  # bytes of a record
_PARTS = ('metrics', 'curves', 'details')
_CODES = {float: 'd', int: 'q'}  # of arrays


class Problem(NamedTuple):
  """A record in `records/` that does not count.

  Attributes:
    path: the file.
    reason: one line, with the path.
    is_damaged: True where it is no record of this plan (`repair` sets it
      aside), False for a second result that disagrees with the first.
    line: of a pack, None for a file of one record.
  """

  path: Path
  reason: str
  is_damaged: bool
  line: record_packs.Line | None = None


def write_record(folder: Folder, record: Record) -> str | None:
  """Seals the record of a trial that has ended.

  A record is never overwritten. A trial that is run twice must give the same
  result columns twice; if it does not, the first record counts, the second is
  kept behind it, and `read_records` names it.

  Args:
    folder: the run folder.
    record: dict of plain values: 'trial' (its id), 'status', 'metrics' (name
      -> number, see `metrics`), 'curves' (name -> list) and 'details', what
      else is kept; further keys are kept too. A float that is not finite is
      stored as null, and 'non_finite' says what it was.

  Returns:
    None, or a line that says how the record disagrees with the first.

  Raises:
    ValueError: the record is not one of this plan or lacks a part.
    Corrupt: the record already there is damaged.
    StorageError, Unusable: the disk refused; run the trial again.
  """
  reasons: dict[str, str] = {}
  record = seal.to_plain(record, reasons)
  if reason := record.get('reason'):
    record['reason'] = faults.without_places(reason)
  _check(folder, record)
  record['plan'] = folder.identity
  if reasons:
    record['non_finite'] = reasons
  trial = record['trial']
  if trial in folder.code:
    record['code'] = folder.code[trial]
  drift = dict(folder.drift)
  if trial in folder.drifted:
    drift['code'] = ' '.join(folder.drifted[trial])
  if drift:
    record['drift'] = ';'.join(f'{k}={v}' for k, v in drift.items())
  path = _single(folder, trial)
  earlier = [read(folder, path)] if files.size_of(path) >= 0 else []
  earlier += folder.writer.records_of(trial)
  is_known = any(not _changes(folder, old, record) for old in earlier)
  if not is_known:
    content = {'trial': trial, **record}
    folder.writer.append(path.parent, content, folder.disk)
  changes = _changes(folder, earlier[0], record) if earlier else ''
  return _disagreement(path.parent, trial, changes) if changes else None


def _single(folder, trial):
  """The file of a record in the form before."""
  return folder.path / 'records' / f'{trial}.json'


def read_records(
  folder: Folder,
  read_one: Callable[[Folder, Path], Record] | None = None,
  packs: PackLines | None = None,
  trials: Collection[str] | None = None,
  is_lean: bool = False,
) -> tuple[dict[str, Record], list[Problem]]:
  """The records that count, and those that do not.

  Args:
    folder: the run folder.
    read_one: reads the record in a file, as `read`; None: that.
    packs: the lines of the packs, of `record_packs.read`; None: they are read.
    trials: ids whose records are wanted; of others in packs it is only made
      sure that they are whole. None: all.
    is_lean: whether curves come as arrays, a quarter of a list's memory. They
      are the most of a record, and have no JSON form so.

  Returns:
    (records, problems): dict of trial id -> record in the order of the plan,
    and a list of `Problem`: damaged, edited, misplaced or foreign records, and
    second results of a trial that disagree with the first.

  Raises:
    Refused: a record is whole, but of another schema version.
  """
  keep = _lean if is_lean else lambda record: record
  found, problems = {}, []
  others: list[tuple[Path, record_packs.Line | None, Record]] = []
  records = folder.path / 'records'
  replaced = {*folder.plan.get('replaced', {}).values()} - {*folder.trials}
  for path in (records / name for name in files.names(records, '.json')):
    trial = path.name.partition('.')[0]
    if trial in replaced:
      continue  # `reruns.take_over` looks at it
    if trials is not None and trial in folder.trials and trial not in trials:
      continue
    try:
      record = keep((read_one or read)(folder, path))
      if '.conflict-' in path.name:
        others.append((path, None, record))
      else:
        found[record['trial']] = record
    except FileNotFoundError:
      pass  # set aside by another process since it was listed
    except faults.Corrupt as error:
      problems.append(Problem(path, str(error), True))
  lines, damaged = packs or record_packs.read(records, trials, keep)
  problems += [
    Problem(records / line.pack, line.fault, True, line) for line in damaged
  ]
  for line in lines:
    if line.trial in replaced or line.content is None:
      continue
    try:
      record = checked(folder, line)
    except faults.Corrupt as error:
      path = records / line.pack
      problems.append(Problem(path, str(error), True, line))
      continue
    if found.setdefault(line.trial, record) is not record:
      others.append((records / line.pack, line, record))
  for path, other_line, record in others:
    trial = record['trial']
    first = found.get(trial)
    changes = (
      _changes(folder, first, record) if first else 'the first is bad or gone'
    )
    if changes:
      reason = _disagreement(path, trial, changes)
      problems.append(Problem(path, reason, False, other_line))
  ordered = {trial: found[trial] for trial in folder.trials if trial in found}
  return ordered, problems


def _lean(record):
  """A record with arrays in place of curves that are all of one kind."""
  curves = record.get('curves') if isinstance(record, dict) else None
  if not isinstance(curves, dict):
    return record  # whoever checks it will say
  for name, values in curves.items():
    kinds = {*map(type, values)} if isinstance(values, list) else ()
    if len(kinds) == 1 and (code := _CODES.get(kinds.pop())):
      with contextlib.suppress(OverflowError):  # 2^63, which a record may hold
        curves[name] = array.array(code, values)
  return record


def most(path: Path) -> int:
  """As many records as a run folder can have at most; nothing is looked into.

  Args:
    path: of the folder.
  """
  place = path / 'records'
  return record_packs.most(place) + len(files.names(place, '.json'))


def ended(folder: Folder) -> set[str]:
  """The trials of the plan that have a whole record, or one in a file.

  Nothing is looked into, so this is quick; who counts on a record reads it.
  """
  place = folder.path / 'records'
  lines, _ = record_packs.read(place, ())
  names_of_files = (
    n.removesuffix('.json') for n in files.names(place, '.json')
  )
  return {*names_of_files, *(line.trial for line in lines)} & {*folder.trials}


def all_ended(folder: Folder) -> bool:
  """Tells whether every trial of the plan has a record, see `ended`."""
  count = len(folder.trials)
  return most(folder.path) >= count and len(ended(folder)) == count


def checked(
  folder: Folder,
  line: record_packs.Line,
  trials: Collection[str] | None = None,
) -> Record:
  """The record in a line of a pack, which is whole.

  Args:
    folder: the run folder.
    line: the line, looked into.
    trials: ids that it may be of; None: those of the plan.

  Raises:
    Corrupt: none of ours has written it, or it is of another plan.
  """
  name = f'{folder.path}/records/{line.pack}: line at byte {line.offset}'
  shape.check_record(line.content, STATUSES, name)
  record = cast(Record, line.content)
  _check_owner(folder, record, trials, name)
  return record


def _check_owner(folder, record, trials, name):
  """Raises `Corrupt` where a record is not of the folder's plan."""
  known = folder.trials if trials is None else trials
  if record['trial'] not in known or record.get('plan') != folder.identity:
    raise faults.Corrupt(f'{name}: a record of another plan')


def read(
  folder: Folder, path: Path, trials: Collection[str] | None = None
) -> Record:
  """The record in a file that is named after its trial.

  Args:
    folder: the run folder.
    path: the file.
    trials: ids that it may be of; None: those of the plan.

  Raises:
    FileNotFoundError: there is none.
    Corrupt: it is damaged, misplaced, or of another plan.
  """
  data = files.read(path, _LARGEST)
  content = seal.unseal_json('record', data, path, {1: schema_1.record})
  record = cast(Record, content)
  shape.check_record(record, STATUSES, path)
  trial, _, suffix = path.stem.partition('.')
  if record.get('trial') != trial or (
    suffix and not suffix.startswith('conflict-')
  ):
    raise faults.Corrupt(
      f'{path}: holds trial {record.get("trial")}, misplaced'
    )
  _check_owner(folder, record, trials, path)
  return record


def repair(folder: Folder) -> list[Problem]:
  """Sets damaged and foreign records aside; their trials run again.

  A file is renamed to `*.bad`, a line of a pack stays where it is and is named
  by another as one that does not count. Second results that disagree stay: they
  are a finding, not damage. The reasons go to the log.

  Returns:
    The list of `Problem` that was set aside.
  """
  damaged = [
    problem for problem in read_records(folder)[1] if problem.is_damaged
  ]
  for problem in damaged:
    if problem.line is not None and _holds_any(problem.path):
      retract(folder, problem.line, problem.reason)
      note(folder, f'{problem.reason}; it does not count any more')
    elif problem.line is None or files.size_of(problem.path) >= 0:
      aside = files.set_aside(problem.path, folder.disk)
      note(folder, f'{problem.reason}; set aside as {aside.name}')
  return damaged


def _holds_any(path):
  """Tells whether a pack has a whole line."""
  try:
    lines, _ = record_packs.lines_of(path, trials=())
  except (faults.Corrupt, FileNotFoundError):
    return False
  return not all(line.fault for line in lines)


def retract(folder: Folder, line: record_packs.Line, why: str) -> None:
  """Says durably that a line of a pack counts no more; the line stays."""
  content = record_packs.retraction(line, faults.without_places(why))
  folder.writer.append(folder.path / 'records', content, folder.disk)


def _check(folder, record):
  """Raises ValueError unless a record fits the plan."""
  trial = record.get('trial')
  if trial not in folder.trials:
    raise ValueError(f'record: trial {trial!r} is not in the plan')
  if record.get('status') not in STATUSES:
    raise ValueError(
      f'record {trial}: status {record.get("status")!r}; allowed are'
      f' {", ".join(STATUSES)}'
    )
  missing_parts = [
    name for name in _PARTS if not isinstance(record.get(name), dict)
  ]
  if missing_parts:
    raise ValueError(f'record {trial}: {", ".join(missing_parts)} missing')


def _changes(folder, record, other):
  """The result columns in which two records of a trial differ, as text."""
  setting = folder.trials[record['trial']]
  row_of = result_columns.row_maker()
  a, b = (row_of(setting, record) for record in (record, other))
  # As text: 0.0 equals -0.0 and 1 equals 1.0 as numbers.
  pairs = [
    (name, seal.canonical(a[name]), seal.canonical(b[name]))
    for name in result_columns.RESULT_COLUMNS
  ]
  return ', '.join(f'{name} {x} and {y}' for name, x, y in pairs if x != y)


def _disagreement(path, trial, changes):
  """One line on a second result of a trial."""
  return f'{path}: trial {trial} gave two results, the first counts: {changes}'
