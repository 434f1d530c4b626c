"""Results: the records of ended trials, and the table that follows from them.

The table is a pure function of the plan and the sealed records. A record holds
what was measured; the setting of its trial is in the plan, found by the trial's
id, which is the hash of that setting.
"""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from lstm_jax.lab.store import faults, files, seal, shape
from lstm_jax.lab.store.folder import note

STATUSES = ('solved', 'budget', 'given_up', 'diverged', 'failed')

# (name, description, whether two runs of a plan must agree on it bit by bit)
_COLUMNS = (
  ('trial', 'id of the trial: hash of its setting', True),
  ('grid', 'name of the grid it belongs to', True),
  ('row', 'row of the grid: trials that differ in the seed alone', True),
  ('task', 'name of the task', True),
  ('cell', 'name of the cell', True),
  ('learner', 'name of the learner', True),
  ('length', 'T, time steps', True),
  ('window', 'steps an error travels back; empty where there is none', True),
  ('hidden', 'units, or blocks x size', True),
  ('learning_rate', 'learning rate', True),
  ('options', 'all further settings, JSON', True),
  ('weights', 'weights that are trained', True),
  ('seed', 'seed of the trial', True),
  ('budget', 'training sequences allowed', True),
  ('status', 'solved, budget, given_up, diverged or failed', True),
  ('sequences_to_success', 'training sequences until solved; or empty', True),
  ('sequences_seen', 'training sequences shown', True),
  ('milestone', 'training sequences until an exam was right; or empty', True),
  ('test_wrong', 'test sequences judged wrong', True),
  ('test_total', 'test sequences', True),
  ('test_absolute', 'mean absolute error on the test sequences', True),
  ('test_squared', 'mean squared error on the test sequences', True),
  ('train_absolute', 'last finite mean absolute error in training', True),
  ('reason', 'why it diverged or failed', False),
  ('seconds', 'wall time of the trial', False),
  ('device', 'kind of device', False),
  ('drift', "provenance that was not the plan's: name=value;...", False),
)
COLUMNS = tuple((name, text) for name, text, _ in _COLUMNS)
_LARGEST = 2**28  # bytes of a record
_FORMULA = ('=', '+', '-', '@', '\t', '\r')
RESULT_COLUMNS = tuple(name for name, _, is_result in _COLUMNS if is_result)


class Problem(NamedTuple):
  """A file in `records/` that does not count.

  Attributes:
    path: the file.
    reason: one line, with the path.
    damaged: True where it is no record of this plan (`repair` sets it aside),
      False for a second result that disagrees with the first.
  """

  path: Path
  reason: str
  damaged: bool


def write_record(folder, record):
  """Seals the record of a trial that has ended.

  A record is never overwritten. A trial that is run twice must give the same
  result columns twice; if it does not, the first record counts, the second is
  kept as `<trial>.conflict-<n>.json`, and `read_records` names it.

  Args:
    folder: the run folder.
    record: dict of plain values: 'trial' (its id), 'status' and every result
      column that is not in the trial's setting; further keys are kept. A float
      that is not finite is stored as null, and 'non_finite' says what it was.

  Returns:
    None, or a line that says how the record disagrees with the first.

  Raises:
    ValueError: the record is not one of this plan or lacks a column.
    Corrupt: the record already there is damaged.
    StorageError, Unusable: the disk refused; run the trial again.
  """
  reasons = {}
  record = seal.plain(record, reasons)
  if isinstance(record.get('reason'), str):
    record['reason'] = faults.without_places(record['reason'])
  _check(folder, record)
  added = {'plan': folder.identity}
  if reasons:
    added['non_finite'] = reasons
  trial = record['trial']
  if trial in folder.code:
    added['code'] = folder.code[trial]
  drift = dict(folder.drift)
  if trial in folder.drifted:
    drift['code'] = ' '.join(folder.drifted[trial])
  if drift:
    added['drift'] = ';'.join(f'{k}={v}' for k, v in drift.items())
  record = {**record, **added}
  data = seal.seal_json('record', record)
  first = folder.path / 'records' / f'{record["trial"]}.json'
  target, number = first, 0
  while True:
    try:
      files.publish(target, data, disk=folder.disk)
      break
    except FileExistsError:
      there = read(folder, target)
    if not _changes(folder, there, record):
      break
    number += 1
    target = first.with_name(f'{first.stem}.conflict-{number}.json')
  return _disagreement(folder, target) if number else None


def read_records(folder):
  """The records that count, and the files that do not.

  Returns:
    (records, problems): dict of trial id -> record in the order of the plan,
    and a list of `Problem`: damaged, edited, misplaced or foreign files, and
    second results of a trial that disagree with the first.

  Raises:
    Refused: a record is whole, but of another schema version.
  """
  found, problems = {}, []
  records = folder.path / 'records'
  replaced = {*folder.plan.get('replaced', {}).values()} - {*folder.trials}
  for path in (records / name for name in files.names(records, '.json')):
    if path.name.partition('.')[0] in replaced:
      continue  # `reruns.take_over` looks at it
    try:
      record = read(folder, path)
      if '.conflict-' in path.name:
        problems.append(Problem(path, _disagreement(folder, path), False))
      else:
        found[record['trial']] = record
    except FileNotFoundError:
      pass  # set aside by another process since it was listed
    except faults.Corrupt as error:
      problems.append(Problem(path, str(error), True))
  ordered = {trial: found[trial] for trial in folder.trials if trial in found}
  return ordered, problems


def read(folder, path, trials=None):
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
  record = seal.unseal_json('record', data, path)
  shape.check_record(record, STATUSES, path)
  trial, _, rest = path.stem.partition('.')
  if record.get('trial') != trial or (
    rest and not rest.startswith('conflict-')
  ):
    raise faults.Corrupt(
      f'{path}: holds trial {record.get("trial")}, misplaced'
    )
  known = trial in (folder.trials if trials is None else trials)
  if not known or record.get('plan') != folder.identity:
    raise faults.Corrupt(f'{path}: a record of another plan')
  return record


def repair(folder):
  """Sets damaged and foreign files aside as `*.bad`; their trials run again.

  Second results that disagree stay: they are a finding, not damage. The reasons
  go to the log.

  Returns:
    The list of `Problem` that was set aside.
  """
  damaged = [problem for problem in read_records(folder)[1] if problem.damaged]
  for problem in damaged:
    bad = files.set_aside(problem.path, folder.disk)
    note(folder, f'{problem.reason}; set aside as {bad.name}')
  return damaged


def rows(folder, records):
  """One dict a record, in the order of the plan, with every column.

  Args:
    folder: the run folder.
    records: trial id -> record, from `read_records`.
  """
  return [
    _row(setting, records[trial])
    for trial, setting in folder.trials.items()
    if trial in records
  ]


def write_csv(folder):
  """Makes results.csv from the sealed records; untouched if nothing changed.

  Text columns are quoted where needed, floats are written so that reading them
  gives the same bits, missing values are empty, lines end in LF.

  Returns:
    (records, problems) of `read_records`.
  """
  path = folder.path / 'results.csv'
  while True:
    records, problems = read_records(folder)
    data = _table(rows(folder, records))
    files.write(path, data, folder.disk)
    # The process of another shard may have sealed more and written its table
    # before ours: whoever writes last must have seen every record.
    if read_records(folder)[0] == records:
      return records, problems


def write_joined(folders, path, disk):
  """Makes one table of folders; of a trial in two of them the first counts.

  Args:
    folders: run folders, in order.
    path: of the table.
    disk: the calls that change the disk.
  """
  joined = {}
  for folder in folders:
    for row in rows(folder, read_records(folder)[0]):
      joined.setdefault(row['trial'], row)
  data = _table(joined.values())
  if not path.is_file() or files.read(path) != data:
    files.publish(path, data, overwrite=True, disk=disk)


def results_digest(folder):
  """SHA-256 over the result columns: equal for runs with equal results."""
  table = rows(folder, read_records(folder)[0])
  return seal.digest([[row[name] for name in RESULT_COLUMNS] for row in table])


def _check(folder, record):
  """Raises ValueError unless a record fits the plan."""
  trial = record.get('trial')
  if trial not in folder.trials:
    raise ValueError(f'record: trial {trial!r} is not in the plan')
  setting = folder.trials[trial]
  if record.get('status') not in STATUSES:
    raise ValueError(
      f'record {trial}: status {record.get("status")!r}; allowed are'
      f' {", ".join(STATUSES)}'
    )
  missing = [name for name in RESULT_COLUMNS if name not in setting | record]
  if missing:
    raise ValueError(f'record {trial}: {", ".join(missing)} missing')
  for name in setting.keys() & record.keys():
    if setting[name] != record[name]:
      raise ValueError(
        f'record {trial}: {name} is {record[name]!r}, {setting[name]!r} in the'
        ' plan'
      )


def _row(setting, record):
  values = record | setting
  return {name: values.get(name) for name, _ in COLUMNS}


def _changes(folder, one, other):
  """The result columns in which two records of a trial differ, as text."""
  setting = folder.trials[one['trial']]
  a, b = (_row(setting, record) for record in (one, other))
  # As text: 0.0 equals -0.0 and 1 equals 1.0 as numbers.
  pairs = [
    (name, seal.canonical(a[name]), seal.canonical(b[name]))
    for name in RESULT_COLUMNS
  ]
  return ', '.join(f'{name} {x} and {y}' for name, x, y in pairs if x != y)


def _disagreement(folder, path):
  """One line on a second result of a trial."""
  trial = path.name.partition('.')[0]
  first = path.with_name(f'{trial}.json')
  try:
    changes = _changes(folder, read(folder, first), read(folder, path))
  except (faults.Corrupt, FileNotFoundError):
    changes = 'the first is bad or gone'
  return f'{path}: trial {trial} gave two results, the first counts: {changes}'


def _table(table):
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow([name for name, _ in COLUMNS])
  for row in table:
    writer.writerow([_field(row[name]) for name, _ in COLUMNS])
  return text.getvalue().encode()


def _field(value):
  """A value as it stands in the table."""
  if isinstance(value, str) and value.startswith(_FORMULA):
    return f"'{value}"  # text to a spreadsheet, too
  if value is None or isinstance(value, str):
    return value
  if isinstance(value, float):
    return repr(value)
  return seal.canonical(value)
