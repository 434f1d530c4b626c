"""Records of trials and the table made from them."""

import array
import csv
import hashlib
import json
import math
import shutil

import numpy as np
import pytest

from lstm_jax.lab.report import write
from lstm_jax.lab.store import (
  checkpoints,
  faults,
  files,
  result_columns,
  results_table,
  seal,
  trial_records,
)
from lstm_jax.lab.store.folder import create_or_open, open_folder
from tests import children
from tests.children import ROOT
from tests.fake_sweep import (
  make_plan,
  record,
  stepwise,
  sweep,
)
from tests.older_records import as_files, packs


@pytest.fixture
def folder(tmp_path):
  return create_or_open(tmp_path / 'run', make_plan())


def strict(path):
  """Content of a JSON file, read by the letter of the standard."""

  def refuse(name):
    raise AssertionError(f'{name} is not JSON')

  return json.loads(path.read_text(), parse_constant=refuse)


def test_reading_needs_neither_jax_nor_numpy(folder):
  code = (
    'import sys; from lstm_jax.lab.store import results_table;'
    'from lstm_jax.lab.store import folder, lock, provenance;'
    f'results_table.write_csv(folder.open_folder({str(folder.path)!r}));'
    'provenance.provenance();'
    'sys.exit(" ".join({"jax", "numpy", "pickle"} & {*sys.modules}) or 0)'
  )
  assert children.python('-c', code).stderr == ''


def test_record_is_strict_and_readable(folder):
  values = {'train_absolute': math.inf, 'curve': [1.5, -math.inf, np.nan]}
  written = record(folder, **values)
  assert trial_records.write_record(folder, written) is None
  (path,) = (folder.path / 'records').iterdir()
  content = strict(path)['content']
  assert content['curve'] == [1.5, None, None]
  assert content['non_finite'] == {
    'metrics/train_absolute': 'inf',
    'curve/1': '-inf',
    'curve/2': 'nan',
  }
  found, problems = trial_records.read_records(folder)
  assert found == {written['trial']: content} and problems == []
  # The seal can be checked by hand with what is printed here.
  outer = strict(path)
  whose = ['lstm_jax pack', outer['schema'], path.name, 0, outer['at']]
  text = path.read_bytes().partition(b'"content":')[2].removesuffix(b'}\n')
  sealed = seal.canonical(whose).encode() + text
  assert outer['sha256'] == hashlib.sha256(sealed).hexdigest()


@pytest.mark.parametrize(
  'changes, reason',
  [
    ({'trial': 'ffff'}, "trial 'ffff' is not in the plan"),
    ({'status': 'done'}, "status 'done'; allowed are solved, budget, given_up"),
    ({'curve': {1, 2}}, 'curve: set has no JSON form'),
  ],
)
def test_records_that_cannot_be(folder, changes, reason):
  with pytest.raises(ValueError, match=reason):
    trial_records.write_record(folder, record(folder, **changes))
  assert list((folder.path / 'records').iterdir()) == []


@pytest.mark.parametrize('part', ['metrics', 'curves', 'details'])
def test_every_part_is_required(folder, part):
  made = record(folder)
  del made[part]
  for strange in (made, {**made, part: [1]}):
    with pytest.raises(ValueError, match=f'{part} missing'):
      trial_records.write_record(folder, strange)


def test_records_are_never_overwritten(folder):
  trial_records.write_record(folder, record(folder, seconds=1.0))
  (path,) = (folder.path / 'records').iterdir()
  before = path.read_bytes()
  # The same results, measured again: the first stays.
  assert trial_records.write_record(folder, record(folder, seconds=2.0)) is None
  assert trial_records.read_records(folder)[1] == []
  # Others: both are kept and named, once each however often they come.
  for value in (-0.0, 0.0, 0.0, -0.0):
    line = trial_records.write_record(
      folder, record(folder, test_absolute=value)
    )
    assert (
      'two results' in line
      and 'test_absolute 0.3333333333333333 and ' in (line)
    )
  found, problems = trial_records.read_records(folder)
  assert path.read_bytes().startswith(before)
  assert [one['seconds'] for one in found.values()] == [1.0]
  assert [problem.path for problem in problems] == [path, path]
  for value, problem in zip(('-0.0', '0.0'), problems, strict=True):
    assert f'first counts: test_absolute 0.3333333333333333 and {value}' in (
      problem.reason
    )
  assert not any(problem.is_damaged for problem in problems)
  assert trial_records.repair(folder) == []


def test_a_second_result_of_another_process_is_named(folder):
  trial_records.write_record(folder, record(folder))
  other = open_folder(folder.path)
  trial_records.write_record(other, record(folder, seconds=7.0))
  assert trial_records.read_records(folder)[1] == []
  trial_records.write_record(
    open_folder(folder.path), record(folder, test_wrong=2)
  )
  (found,), (problem,) = trial_records.read_records(folder)
  assert found == record(folder)['trial'] and 'test_wrong 1 and 2' in problem[1]
  assert len(packs(folder.path)) == 3


def test_a_second_result_in_the_form_before_is_named(folder):
  trial_records.write_record(folder, record(folder))
  (first,) = (as_files(folder.path) / 'records').iterdir()
  whole = strict(first)['content']
  other = {**whole, 'metrics': {**whole['metrics'], 'test_wrong': 2}}
  second = first.with_name(f'{first.stem}.conflict-1.json')
  second.write_bytes(seal.seal_json('record', other))
  line = trial_records.write_record(folder, record(folder, test_wrong=3))
  assert 'test_wrong 1 and 3' in line
  found, problems = trial_records.read_records(folder)
  assert found == {first.stem: whole}
  assert ['1 and 2', '1 and 3'] == [p.reason[-7:] for p in problems]
  first.unlink()
  for pack in packs(folder.path):
    pack.unlink()
  assert 'bad or gone' in trial_records.read_records(folder)[1][0].reason


def test_a_damaged_record_is_not_papered_over(folder):
  trial_records.write_record(folder, record(folder))
  trial_records.write_record(folder, record(folder, 1))
  (path,) = (folder.path / 'records').iterdir()
  damaged = path.read_bytes().replace(b'2560', b'2561', 1)
  path.write_bytes(damaged)
  with pytest.raises(faults.Corrupt, match='damaged, edited or misplaced'):
    trial_records.write_record(folder, record(folder))
  assert len(trial_records.repair(folder)) == 1
  assert path.read_bytes().startswith(damaged)  # nothing is taken out
  found, problems = trial_records.read_records(folder)
  assert problems == [] and [*found] == [record(folder, 1)['trial']]
  again = open_folder(folder.path)
  trial_records.write_record(again, record(folder))
  assert len(trial_records.read_records(folder)[0]) == 2
  as_files(folder.path)
  path = folder.path / 'records' / f'{record(folder)["trial"]}.json'
  path.write_bytes(path.read_bytes().replace(b'2560', b'2561'))
  with pytest.raises(faults.Corrupt, match='damaged or edited'):
    trial_records.write_record(folder, record(folder))
  trial_records.repair(folder)
  trial_records.write_record(folder, record(folder))
  path.write_text('')
  trial_records.repair(folder)
  suffixes = sorted(p.suffix for p in path.parent.glob(f'{path.name}*'))
  assert suffixes == ['.bad', '.bad2']


@pytest.mark.parametrize('schema, advice', [(0, 'an older'), (2, 'a newer')])
def test_other_schemas_are_refused(folder, schema, advice, monkeypatch):
  advice = f'use {advice} lstm_jax'
  trial_records.write_record(folder, record(folder))
  checkpoints.save(folder, 'lane', {}, {})
  (path,) = packs(folder.path)
  with monkeypatch.context() as patch:
    patch.setitem(seal._SCHEMAS, 'pack', schema)
    trial_records.write_record(folder, record(folder, 1))
  with pytest.raises(faults.Refused, match=advice):
    trial_records.read_records(folder)
  with pytest.raises(faults.Refused, match=advice):
    trial_records.repair(folder)
  shutil.rmtree(path.parent)
  path.parent.mkdir()
  trial_records.write_record(folder, record(folder))
  (path,) = (as_files(folder.path) / 'records').iterdir()
  content = strict(path)['content']
  path.write_bytes(seal.seal_json('record', content, schema and schema + 1))
  with pytest.raises(faults.Refused, match=advice):
    trial_records.read_records(folder)
  with pytest.raises(faults.Refused, match=advice):
    trial_records.repair(folder)
  (path,) = (folder.path / 'checkpoints').iterdir()
  path.write_bytes(seal.seal(seal.unseal(path.read_bytes(), path), schema))
  with pytest.raises(faults.Refused, match=advice):
    checkpoints.load(folder)
  assert path.exists()
  path = folder.path / 'plan.json'
  path.write_bytes(seal.seal_json('plan', make_plan(), schema and schema + 2))
  with pytest.raises(faults.Refused, match=advice):
    open_folder(folder.path)


def test_the_first_schema_can_be_read(tmp_path):
  """Its sealed files, byte for byte; metrics that came later are empty."""
  shutil.copytree(ROOT / 'tests' / 'data' / 'schema_1', tmp_path / 'run')
  folder = open_folder(tmp_path / 'run')
  read = lambda: list(
    csv.DictReader((folder.path / 'results.csv').read_text().splitlines())
  )
  before = read()
  _, problems = results_table.write_csv(folder)
  assert problems == []
  for old, row in zip(before, read(), strict=True):
    row['milestone'] = row.pop('first_passed')  # its name then
    assert {name: row[name] for name in old} == old
    assert not any(value for name, value in row.items() if name not in old)
  ((name, meta, arrays),), problems = checkpoints.load(folder)
  assert (name, meta, problems) == ('lane', {'chunk': 1}, [])
  assert arrays['state/x'].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
  'text', ['', '[]', '{}', '{"schema": 1}', '[' * 10**5, 'null', '\ufeff{}']
)
def test_what_is_not_a_record(folder, text):
  (folder.path / 'records' / 'x.json').write_text(text)
  found, problems = trial_records.read_records(folder)
  assert found == {} and 'not a record' in problems[0].reason


def test_table_is_what_was_sealed(tmp_path):
  folder = sweep(tmp_path / 'run')
  text = (folder.path / 'results.csv').read_bytes().decode()
  assert '\r' not in text
  table = list(csv.DictReader(text.splitlines()))
  assert [row['trial'] for row in table] == list(folder.trials)
  assert list(table[0]) == [name for name, _ in result_columns.COLUMNS]
  found, _ = trial_records.read_records(folder)
  for row in table:
    sealed = found[row['trial']]
    setting = folder.trials[row['trial']]
    for name in ('test_absolute', 'test_squared', 'seconds'):
      held = sealed if name == 'seconds' else sealed['metrics']
      assert float(row[name]) == held[name]
    assert row['train_absolute'] == row['window'] == row['reason'] == ''
    assert int(row['seed']) == setting.seed and row['row'] == setting.row
    assert json.loads(row['options']) == seal.to_plain(setting.options)
  # Nobody's edit survives, no record's loss is hidden.
  (folder.path / 'results.csv').write_text('edited')
  results_table.write_csv(folder)
  assert (folder.path / 'results.csv').read_bytes().decode() == text
  as_files(folder.path)
  (folder.path / 'records' / f'{table[1]["trial"]}.json').unlink()
  results_table.write_csv(folder)
  lines = text.splitlines(True)
  left = (folder.path / 'results.csv').read_text()
  assert left == ''.join(lines[:2] + lines[3:])


def test_table_sees_records_sealed_meanwhile(tmp_path):
  """The last table written holds every record, whoever writes it."""
  folder = create_or_open(tmp_path / 'run', make_plan())
  trial_records.write_record(folder, record(folder))

  def meanwhile(name, arguments):
    if name == 'rename' and len(trial_records.read_records(folder)[0]) == 1:
      trial_records.write_record(folder, record(folder, 1))
      results_table.write_csv(folder)

  late = create_or_open(folder.path, make_plan(), disk=stepwise(meanwhile))
  found, _ = results_table.write_csv(late)
  assert len(found) == 2
  assert len((folder.path / 'results.csv').read_text().splitlines()) == 3


def test_digest_is_of_results_alone(tmp_path):
  digests = []
  for name, changes in [
    ('a', {}),
    ('b', {'seconds': 9.0, 'device': 'elsewhere', 'reason': 'x'}),
    ('c', {'test_wrong': 2}),
  ]:
    folder = create_or_open(tmp_path / name, make_plan())
    trial_records.write_record(folder, record(folder, **changes))
    digests.append(results_table.results_digest(folder))
  assert digests[0] == digests[1] != digests[2]


def test_columns_are_documented_once():
  names = [name for name, text in result_columns.COLUMNS if text]
  assert len(names) == len(set(names)) == len(result_columns.COLUMNS)
  assert {*result_columns.RESULT_COLUMNS} < {*names}
  assert not {*result_columns.RESULT_COLUMNS} & {'seconds', 'device', 'drift'}


def test_reader_during_a_run(tmp_path):
  """Every snapshot is a part of the final table."""
  plan, path = make_plan(trials=8), tmp_path / 'run'
  seen = []

  def look(name, arguments):
    if (path / 'plan.json').exists():
      found, problems = trial_records.read_records(open_folder(path))
      assert problems == []
      seen.append(found)

  final, _ = trial_records.read_records(sweep(path, stepwise(look), plan))
  assert {len(found) for found in seen} == {*range(9)}
  assert all(found.items() <= final.items() for found in seen)


def test_a_reason_says_nothing_of_the_machine():
  said = faults.without_places(
    'ValueError: no "/home/a b/c/x.wav", nor /home/u/y.csv; https://jax.dev/a/b\n'
    '  File "/home/u/src/lstm_jax/lstm_jax/training/online.py", line 3\n'
    '  File "/opt/v/lib/python3.11/site-packages/jax/_src/api.py", line 9'
  )
  assert 'home' not in said and 'opt' not in said
  assert '".../x.wav"' in said and ' .../y.csv;' in said
  assert 'https://jax.dev/a/b' in said
  assert (
    '"lstm_jax/training/online.py", line 3' in said
    and '"jax/_src/api.py"' in said
  )


@pytest.mark.parametrize('start', ['=', '+', '-', '@'])
def test_no_cell_of_the_table_is_a_formula(tmp_path, start):
  name = f"{start}cmd|' /C calc'!A0"
  plan = make_plan(trials=1, changes={'row': name})
  folder = create_or_open(tmp_path / 'run', plan)
  trial_records.write_record(folder, record(folder, reason='/home/u/x: bad'))
  results_table.write_csv(folder)
  with open(folder.path / 'results.csv', newline='') as file:
    (row,) = csv.DictReader(file)
  assert row['row'] == f"'{name}" and row['reason'] == '.../x: bad'
  assert not any(value.startswith((start, '=')) for value in row.values())


def test_a_row_is_a_mapping_and_its_line_is_that_of_a_dict(folder):
  for i in range(3):
    trial_records.write_record(folder, record(folder, i))
  records, _ = trial_records.read_records(folder)
  rows = results_table.rows(folder, records)
  for row, (name, setting) in zip(rows, folder.trials.items(), strict=True):
    assert list(row) == [column for column, _ in result_columns.COLUMNS]
    assert row['trial'] == name and row['seed'] == setting.seed
    assert row['options'] == setting.options and row['window'] is None
    assert row.get('sequences_seen') == row['sequences_seen'] == 100
    assert row.get('nothing', 7) == 7
    with pytest.raises(KeyError):
      row['nothing']
  plain = [{name: row[name] for name in row} for row in rows]
  assert plain == rows
  data = b''.join(result_columns.csv_of(rows))
  assert data == b''.join(result_columns.csv_of(plain))
  odd = [row | {'grid': '=1,2', 'drift': True} for row in plain[:1]]
  line = b''.join(result_columns.csv_of(odd)).splitlines()[1]
  assert line.startswith(name_of(odd) + b',"\'=1,2",') and line.endswith(
    b',true'
  )


def name_of(table):
  return table[0]['trial'].encode()


@pytest.mark.parametrize('size', [1, 100, 10_000])
def test_blocks_of_a_table_or_of_a_file_make_no_difference(
  folder, monkeypatch, size
):
  for i in range(3):
    trial_records.write_record(folder, record(folder, i))
  records, _ = results_table.write_csv(folder)
  whole = (folder.path / 'results.csv').read_bytes()
  signature = files.signature(folder.path / 'results.csv')
  monkeypatch.setattr(files, '_PART', size)
  monkeypatch.setattr(result_columns, '_BLOCK', size)
  rows = results_table.rows(folder, records)
  blocks = result_columns.csv_of(rows)
  assert b''.join(blocks) == whole and (len(blocks) > 1) == (size < 1000)
  again, problems = results_table.write_csv(folder)
  assert again == records and not problems
  assert files.signature(folder.path / 'results.csv') == signature
  files.write(folder.path / 'results.csv', [*blocks, b'x'])
  assert (folder.path / 'results.csv').read_bytes() == whole + b'x'


def test_lean_records_hold_the_same_numbers(folder):
  curves = {
    'floats': [0.5, 1e-300, -0.0],
    'counts': [1, 2**62],
    'large': [1, 2**63],
    'gaps': [0.5, None],
    'mixed': [1, 0.5],
    'nothing': [],
  }
  trial_records.write_record(folder, record(folder, 0) | {'curves': curves})
  records, _ = trial_records.read_records(folder)
  lean, _ = trial_records.read_records(folder, is_lean=True)
  (one,), (other,) = records.values(), lean.values()
  kinds = {name: type(values) for name, values in other['curves'].items()}
  assert [n for n, kind in kinds.items() if kind is array.array] == [
    'floats',
    'counts',
  ]
  assert one['curves'] == curves
  assert {k: repr([*v]) for k, v in other['curves'].items()} == {
    k: repr(v) for k, v in curves.items()
  }
  assert other | {'curves': curves} == one
  assert write._digest(lean) == write._digest(dict(lean))
  changed = {k: v | {'curves': {'floats': [0.5]}} for k, v in lean.items()}
  assert write._digest(changed) != write._digest(lean)
