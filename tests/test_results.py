"""The run folder: plan, records, checkpoints, table, locks, provenance."""

import concurrent.futures
import csv
import errno
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from lstm_jax import results
from lstm_jax.store import checkpoints, faults, files, seal
from lstm_jax.store import provenance as provenance_module
from lstm_jax.store.folder import create_or_open, note, open_folder, trial_id
from lstm_jax.store.lock import lock
from lstm_jax.store.provenance import COMPARED, PACKAGES, provenance
from tests import fake_sweep
from tests.fake_sweep import make_plan, record_of, sweep

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tmp_path):
  return create_or_open(tmp_path / 'run', make_plan())


def record(folder, index=0, **changes):
  made = record_of(list(folder.trials)[index], np.arange(4.0) / 3)
  return {**made, **changes}


def strict(path):
  """Content of a JSON file, read by the letter of the standard."""

  def refuse(name):
    raise AssertionError(f'{name} is not JSON')

  return json.loads(path.read_text(), parse_constant=refuse)


def test_reading_needs_neither_jax_nor_numpy(folder):
  code = (
    'import sys; from lstm_jax import results; from lstm_jax.store import'
    ' folder, lock, provenance;'
    f'results.write_csv(folder.open_folder({str(folder.path)!r}));'
    'provenance.provenance();'
    'sys.exit(" ".join({"jax", "numpy", "pickle"} & {*sys.modules}) or 0)'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True
  )
  assert (done.returncode, done.stderr) == (0, '')


# --- ids and plan


def test_trial_id_is_a_hash_of_the_setting():
  setting = {'task': 'adding', 'length': 100, 'options': {'a': 1, 'b': (2, 3)}}
  shuffled = {'options': {'b': [2, 3], 'a': 1}, 'length': 100, 'task': 'adding'}
  assert trial_id(setting) == trial_id(shuffled)
  assert trial_id({**setting, 'length': np.int64(100)}) == trial_id(setting)
  # For ever: an id that moves orphans every record ever made.
  assert trial_id({'seed': 1, 'rate': 0.1}) == '319acb0de21e43ae'
  others = [
    {**setting, 'length': 101},
    {**setting, 'length': 100.0},
    {**setting, 'length': '100'},
    {**setting, 'options': {'a': 1, 'b': [3, 2]}},
    {**setting, 'window': None},
  ]
  assert len({trial_id(s) for s in [setting, *others]}) == 6


def test_plan_is_kept_and_continued(folder):
  plan = strict(folder.path / 'plan.json')['content']
  assert plan.items() > json.loads(json.dumps(make_plan())).items()
  again = create_or_open(
    folder.path, {**make_plan(), 'created': 'later', 'flags': {'quiet': True}}
  )
  assert again.plan == plan and again == folder
  assert open_folder(folder.path) == folder


@pytest.mark.parametrize(
  'broken, reason',
  [
    ({**make_plan(), 'trials': [fake_sweep.setting(0)] * 2}, 'two trials'),
    ({**make_plan(), 'trials': [{'id': '../x'}]}, 'trial id'),
    ({**make_plan(), 'created': math.nan}, 'created: nan is not finite'),
    ({**make_plan(), 'flags': {'f': {1}}}, 'flags/f: set has no JSON form'),
    ({**make_plan(), 'flags': {1: 2}}, 'keys must be strings'),
    ({'trials': []}, 'programs, provenance missing'),
  ],
)
def test_plans_that_cannot_be(tmp_path, broken, reason):
  with pytest.raises(ValueError, match=reason):
    create_or_open(tmp_path / 'run', broken)
  assert list(tmp_path.iterdir()) == []


def snapshot(path):
  return {
    p: (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else None)
    for p in path.rglob('*')
  }


@pytest.mark.parametrize(
  'changes, shown',
  [
    ({'learning_rate': 0.2}, 'trials.learning_rate: 0.1 in the folder, 0.2'),
    ({'window': 10}, 'trials.window: null in the folder, 10 asked for (3 of 3'),
    ({'options': {'output': 'logistic'}}, 'trials.options.output: "linear" in'),
    ({'hidden': '1x1', 'task': 'temporal_order'}, 'trials.task: "adding" in'),
  ],
)
def test_changed_setting_is_refused(folder, changes, shown):
  before = snapshot(folder.path)
  with pytest.raises(faults.Refused) as caught:
    create_or_open(folder.path, make_plan(changes=changes), allow_drift=True)
  assert shown in str(caught.value) and 'trials.id' not in str(caught.value)
  assert caught.value.exit_code == 2
  assert snapshot(folder.path) == before


def test_changed_flag_is_shown_first(folder):
  with pytest.raises(faults.Refused) as caught:
    create_or_open(folder.path, make_plan(changes={'learning_rate': 0.5}))
  lines = str(caught.value).splitlines()
  assert (
    lines[1] == '  flags.learning_rate[0]: 0.1 in the folder, 0.5 asked for'
  )


def test_other_trials_are_refused(folder):
  with pytest.raises(faults.Refused) as caught:
    create_or_open(folder.path, make_plan(trials=5))
  assert 'number of trials: 3 in the folder, 5 asked for' in str(caught.value)
  assert 'seed: [0,1,2] in the folder, [0,1,2,3,4] asked' in str(caught.value)
  regrouped = make_plan()
  regrouped['programs']['p0']['lanes'] = 4
  with pytest.raises(
    faults.Refused, match=r'programs\.p0\.lanes: 2 in the fol'
  ):
    create_or_open(folder.path, regrouped)


def test_many_differences_are_counted(folder):
  changes = {'options': {f'o{i}': i for i in range(30)}}
  with pytest.raises(faults.Refused, match='22 more') as caught:
    create_or_open(folder.path, make_plan(changes=changes))
  assert len(str(caught.value).splitlines()) == 13


@pytest.mark.parametrize('key', COMPARED)
def test_other_provenance_is_refused_or_tagged(tmp_path, key):
  made = {name: 'then' for name in COMPARED}
  folder = create_or_open(tmp_path / 'run', make_plan(**made))
  results.write_record(folder, record(folder))
  for other in (make_plan(**{**made, key: 'now'}), make_plan(**made)):
    if key not in other['provenance'] or other['provenance'][key] == 'then':
      del other['provenance'][key]
    with pytest.raises(faults.Refused, match=f'provenance.{key}: "then" in'):
      create_or_open(folder.path, other)
    drifted = create_or_open(folder.path, other, allow_drift=True)
    assert list(drifted.drift) == [key]
  results.write_record(drifted, record(folder, 1))
  found, problems = results.read_records(open_folder(folder.path))
  assert [row['drift'] for row in results.rows(folder, found)] == [
    None,
    f'{key}=None',
  ]
  assert problems == []


def test_uncompared_provenance_may_differ(folder):
  again = create_or_open(folder.path, make_plan(python='4.0', cores=64))
  assert again.drift == {}


def test_two_plans_at_once(tmp_path):
  plans = [make_plan(), make_plan(changes={'length': 7})]
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    for i in range(20):

      def attempt(plan, path=tmp_path / f'{i}'):
        try:
          return create_or_open(path, plan).plan
        except faults.Refused as error:
          return error

      won = list(pool.map(attempt, plans))
      refused = [isinstance(one, faults.Refused) for one in won]
      assert sorted(refused) == [False, True]
      there = open_folder(tmp_path / f'{i}').plan
      assert there == won[refused.index(False)]


# --- folders that cannot be used


@pytest.fixture
def places():
  """A directory of places that a run cannot live in."""
  with tempfile.TemporaryDirectory() as name:
    at = Path(name)
    at.chmod(0o755)
    (at / 'file').write_text('')
    (at / 'dangling').symlink_to(at / 'nowhere')
    (at / 'loop').symlink_to(at / 'loop')
    for place, mode in [('unwritable', 0o555), ('closed', 0), ('full', 0o777)]:
      (at / place).mkdir()
      (at / place).chmod(mode)
    (at / 'full' / 'thesis.tex').write_text('')
    yield at
    (at / 'closed').chmod(0o755)


@pytest.fixture
def as_ordinary_user(places):
  """Root may do anything: become somebody who may not."""
  user = os.geteuid()
  if user == 0:
    os.seteuid(65534)
  yield
  os.seteuid(user)


@pytest.mark.parametrize(
  'make, reason',
  [
    (lambda at: at / ('x' * 300), 'File name too long'),
    (lambda at: at / 'file', 'not a directory'),
    (lambda at: at / 'file' / 'run', 'ot a directory'),
    (lambda at: at / 'dangling', 'a link to nothing'),
    (lambda at: at / 'loop', 'a link to nothing'),
    (lambda at: at / 'unwritable', 'Permission denied'),
    (lambda at: at / 'unwritable' / 'run', 'Permission denied'),
    (lambda at: at / 'closed', 'Permission denied'),
    (lambda at: at / 'closed' / 'run', 'Permission denied'),
    (lambda at: at / 'full', 'holds thesis.tex and no plan.json'),
  ],
)
def test_unusable_folders(places, as_ordinary_user, make, reason):
  with pytest.raises(faults.Unusable, match=reason) as caught:
    create_or_open(make(places), make_plan())
  assert str(places) in str(caught.value) and caught.value.exit_code == 73


@pytest.mark.parametrize('inside', ['.', 'records', 'checkpoints'])
def test_read_only_is_found_before_any_work(folder, inside):
  place = folder.path / inside

  def refuse(name, arguments):
    if name == 'open' and Path(arguments[0]).parent == place:
      raise OSError(errno.EROFS, 'read-only')

  disk = fake_sweep.stepwise(refuse)
  with pytest.raises(faults.Unusable, match='Read-only file system') as caught:
    create_or_open(folder.path, make_plan(), disk=disk)
  assert str(place) in str(caught.value) and 'mode 0' in str(caught.value)


@pytest.mark.parametrize(
  'name', ['with space', 'größe 長さ', 'y' * 255, 'a/b/c', "quote'[*]?"]
)
def test_legal_names_work(tmp_path, name):
  made = sweep(tmp_path / name)
  assert len(results.read_records(made)[0]) == 3
  assert sweep(tmp_path / name).plan == made.plan


def test_a_link_to_a_directory_works(tmp_path):
  (tmp_path / 'there').mkdir()
  (tmp_path / 'link').symlink_to(tmp_path / 'there')
  sweep(tmp_path / 'link')
  assert (tmp_path / 'there' / 'results.csv').is_file()


def test_opening_what_is_not_there(tmp_path):
  with pytest.raises(faults.Unusable, match='no run here'):
    open_folder(tmp_path)
  assert list(tmp_path.iterdir()) == []


# --- records


def test_record_is_strict_and_readable(folder):
  values = {'train_absolute': math.inf, 'curve': [1.5, -math.inf, np.nan]}
  written = record(folder, **values)
  assert results.write_record(folder, written) is None
  (path,) = (folder.path / 'records').iterdir()
  content = strict(path)['content']
  assert path.name == f'{written["trial"]}.json'
  assert content['curve'] == [1.5, None, None]
  assert content['non_finite'] == {
    'train_absolute': 'inf',
    'curve/1': '-inf',
    'curve/2': 'nan',
  }
  found, problems = results.read_records(folder)
  assert found == {written['trial']: content} and problems == []
  # The seal can be checked by hand with what is printed here.
  outer = strict(path)
  claimed = outer.pop('sha256')
  assert claimed == seal.digest(list(outer.values()))


@pytest.mark.parametrize(
  'changes, reason',
  [
    ({'trial': 'ffff'}, "trial 'ffff' is not in the plan"),
    ({'status': 'done'}, "status 'done'; allowed are solved, budget, diverged"),
    ({'length': 99}, 'length is 99, 100 in the plan'),
    ({'curve': {1, 2}}, 'curve: set has no JSON form'),
  ],
)
def test_records_that_cannot_be(folder, changes, reason):
  with pytest.raises(ValueError, match=reason):
    results.write_record(folder, record(folder, **changes))
  assert list((folder.path / 'records').iterdir()) == []


@pytest.mark.parametrize(
  'column', sorted({*results.RESULT_COLUMNS} & {*record_of('', np.ones(3))})
)
def test_every_result_column_is_required(folder, column):
  made = record(folder)
  del made[column]
  with pytest.raises(ValueError):
    results.write_record(folder, made)


def test_records_are_never_overwritten(folder):
  results.write_record(folder, record(folder, seconds=1.0))
  (path,) = (folder.path / 'records').iterdir()
  before = path.read_bytes()
  # The same results, measured again: the first stays.
  assert results.write_record(folder, record(folder, seconds=2.0)) is None
  assert results.read_records(folder)[1] == []
  # Others: both are kept and named, once each however often they come.
  for value in (-0.0, 0.0, 0.0, -0.0):
    line = results.write_record(folder, record(folder, test_absolute=value))
    assert (
      'two results' in line
      and 'test_absolute 0.3333333333333333 and ' in (line)
    )
  found, problems = results.read_records(folder)
  assert path.read_bytes() == before
  assert found[path.stem]['seconds'] == 1.0
  names = [f'{path.stem}.conflict-{n}.json' for n in (1, 2)]
  assert [problem.path.name for problem in problems] == names
  assert not any(problem.damaged for problem in problems)
  assert results.repair(folder) == []
  path.unlink()
  assert 'bad or gone' in results.read_records(folder)[1][0].reason


def test_a_damaged_record_is_not_papered_over(folder):
  results.write_record(folder, record(folder))
  (path,) = (folder.path / 'records').iterdir()
  path.write_bytes(path.read_bytes().replace(b'2560', b'2561'))
  with pytest.raises(faults.Corrupt, match='damaged or edited'):
    results.write_record(folder, record(folder))
  results.repair(folder)
  results.write_record(folder, record(folder))
  path.write_text('')
  results.repair(folder)
  assert sorted(p.suffix for p in path.parent.iterdir()) == ['.bad', '.bad2']


@pytest.mark.parametrize('schema, advice', [(0, 'an older'), (2, 'a newer')])
def test_other_schemas_are_refused(folder, schema, advice):
  advice = f'use {advice} lstm_jax'
  results.write_record(folder, record(folder))
  checkpoints.save(folder, 'lane', {}, {})
  (path,) = (folder.path / 'records').iterdir()
  content = strict(path)['content']
  path.write_bytes(seal.seal_json('record', content, schema))
  with pytest.raises(faults.Refused, match=advice):
    results.read_records(folder)
  with pytest.raises(faults.Refused, match=advice):
    results.repair(folder)
  (path,) = (folder.path / 'checkpoints').iterdir()
  path.write_bytes(seal.seal(seal.unseal(path.read_bytes(), path), schema))
  with pytest.raises(faults.Refused, match=advice):
    checkpoints.load(folder)
  assert path.exists()
  path = folder.path / 'plan.json'
  path.write_bytes(seal.seal_json('plan', make_plan(), schema))
  with pytest.raises(faults.Refused, match=advice):
    open_folder(folder.path)


def test_the_first_schema_can_be_read(tmp_path):
  """Files written by the first release of the format, byte for byte."""
  shutil.copytree(ROOT / 'tests' / 'data' / 'schema_1', tmp_path / 'run')
  folder = open_folder(tmp_path / 'run')
  written = (folder.path / 'results.csv').read_bytes()
  _, problems = results.write_csv(folder)
  assert problems == []
  assert (folder.path / 'results.csv').read_bytes() == written
  ((name, meta, arrays),), problems = checkpoints.load(folder)
  assert (name, meta, problems) == ('lane', {'chunk': 1}, [])
  assert arrays['state/x'].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
  'text', ['', '[]', '{}', '{"schema": 1}', '[' * 10**5, 'null', '\ufeff{}']
)
def test_what_is_not_a_record(folder, text):
  (folder.path / 'records' / 'x.json').write_text(text)
  found, problems = results.read_records(folder)
  assert found == {} and 'not a record' in problems[0].reason


# --- the table


def test_table_is_what_was_sealed(tmp_path):
  folder = sweep(tmp_path / 'run')
  text = (folder.path / 'results.csv').read_bytes().decode()
  assert '\r' not in text
  table = list(csv.DictReader(text.splitlines()))
  assert [row['trial'] for row in table] == list(folder.trials)
  assert list(table[0]) == [name for name, _ in results.COLUMNS]
  found, _ = results.read_records(folder)
  for row in table:
    sealed = found[row['trial']]
    setting = folder.trials[row['trial']]
    for name in ('test_absolute', 'test_squared', 'seconds'):
      assert float(row[name]) == sealed[name]
    assert row['train_absolute'] == row['window'] == row['reason'] == ''
    assert int(row['seed']) == setting['seed'] and row['row'] == setting['row']
    assert json.loads(row['options']) == setting['options']
  # Nobody's edit survives, no record's loss is hidden.
  (folder.path / 'results.csv').write_text('edited')
  results.write_csv(folder)
  assert (folder.path / 'results.csv').read_bytes().decode() == text
  (folder.path / 'records' / f'{table[1]["trial"]}.json').unlink()
  results.write_csv(folder)
  lines = text.splitlines(True)
  left = (folder.path / 'results.csv').read_text()
  assert left == ''.join(lines[:2] + lines[3:])


def test_table_sees_records_sealed_meanwhile(tmp_path):
  """The last table written holds every record, whoever writes it."""
  folder = create_or_open(tmp_path / 'run', make_plan())
  results.write_record(folder, record(folder))

  def meanwhile(name, arguments):
    if name == 'rename' and len(results.read_records(folder)[0]) == 1:
      results.write_record(folder, record(folder, 1))
      results.write_csv(folder)

  late = create_or_open(
    folder.path, make_plan(), disk=fake_sweep.stepwise(meanwhile)
  )
  found, _ = results.write_csv(late)
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
    results.write_record(folder, record(folder, **changes))
    digests.append(results.results_digest(folder))
  assert digests[0] == digests[1] != digests[2]


def test_columns_are_documented_once():
  names = [name for name, text in results.COLUMNS if text]
  assert len(names) == len(set(names)) == len(results.COLUMNS)
  assert {*results.RESULT_COLUMNS} < {*names}
  assert not {*results.RESULT_COLUMNS} & {'seconds', 'device', 'drift'}


def test_reader_during_a_run(tmp_path):
  """Every snapshot is a part of the final table."""
  plan, path = make_plan(trials=8), tmp_path / 'run'
  seen = []

  def look(name, arguments):
    if (path / 'plan.json').exists():
      found, problems = results.read_records(open_folder(path))
      assert problems == []
      seen.append(found)

  final, _ = results.read_records(sweep(path, fake_sweep.stepwise(look), plan))
  assert {len(found) for found in seen} == {*range(9)}
  assert all(found.items() <= final.items() for found in seen)


# --- checkpoints


def test_arrays_come_back_bit_by_bit(folder):
  arrays = {
    'state/params/w_x': np.float32([[1, -0.0], [np.nan, np.inf]]),
    'state/rho': np.array(1e-320),
    'key': np.uint32([2**32 - 1, 0]),
    'met': np.array([True, False]),
    'none': np.zeros((3, 0, 2), np.int8),
    'swapped': np.arange(3, dtype='>i4'),
    'transposed': np.arange(6.0).reshape(2, 3).T,
    'complex': np.array([1j]),
    'half': np.float16([0.1]),
  }
  meta = {'sequence': 12, 'trials': ['a', 'b'], 'none': None}
  checkpoints.save(folder, 'lane-0', arrays, meta)
  ((name, found, loaded),), problems = checkpoints.load(folder)
  assert (name, found, problems) == ('lane-0', meta, [])
  assert list(loaded) == list(arrays)
  for key, value in arrays.items():
    assert loaded[key].shape == value.shape
    assert loaded[key].dtype == value.dtype.newbyteorder('=')
    assert loaded[key].tobytes() == value.astype(loaded[key].dtype).tobytes()
    assert loaded[key].flags.writeable and loaded[key].flags.aligned


def test_two_generations_are_kept(folder):
  for chunk in range(4):
    checkpoints.save(folder, 'b', {'x': np.full(2, chunk)}, {'chunk': chunk})
  checkpoints.save(folder, 'a', {}, {})
  names = lambda: sorted(
    p.name for p in (folder.path / 'checkpoints').iterdir()
  )
  assert names() == ['a.1', 'b.3', 'b.4']
  (folder.path / 'checkpoints' / 'b.4').write_bytes(b'')
  loaded, problems = checkpoints.load(folder)
  assert [(name, meta) for name, meta, _ in loaded] == [
    ('a', {}),
    ('b', {'chunk': 2}),
  ]
  assert len(problems) == 1 and 'cut short at 0 bytes' in problems[0]
  # A number once used for a bad file is not used again.
  checkpoints.save(folder, 'b', {}, {})
  assert names() == ['a.1', 'b.3', 'b.4.bad', 'b.5']
  checkpoints.drop(folder, 'b')
  checkpoints.drop(folder, 'never')
  assert names() == ['a.1', 'b.4.bad']
  assert [name for name, _, _ in checkpoints.load(folder)[0]] == ['a']


@pytest.mark.parametrize(
  'name, arrays, meta, reason',
  [
    ('a.b', {}, {}, 'allowed are 1 to 100 letters'),
    ('a', {'x': np.array([{}])}, {}, 'x: dtype object is not stored'),
    ('a', {'x': np.array(['s'])}, {}, 'x: dtype <U1 is not stored'),
    ('a', {1: np.zeros(1)}, {}, 'key 1 is not a string'),
    ('a', {}, {'error': math.nan}, 'error: nan is not finite'),
  ],
)
def test_checkpoints_that_cannot_be(folder, name, arrays, meta, reason):
  with pytest.raises(ValueError, match=reason):
    checkpoints.save(folder, name, arrays, meta)
  assert list((folder.path / 'checkpoints').iterdir()) == []


# --- who works on it


def holder(path, shard=None):
  """A process that holds the folder until it is killed."""
  code = (
    'import sys; from lstm_jax.store import folder, lock\n'
    f'with lock.lock(folder.open_folder({str(path)!r}), {shard}):\n'
    '  print(flush=True); sys.stdin.read()'
  )
  process = subprocess.Popen(
    [sys.executable, '-c', code],
    cwd=ROOT,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
  )
  process.stdout.readline()
  return process


@pytest.mark.parametrize(
  'theirs, ours, shares',
  [
    (None, None, False),
    (None, (1, 2), False),
    ((1, 2), None, False),
    ((1, 2), (1, 2), False),
    ((1, 2), (2, 2), True),
  ],
)
def test_lock_is_held_and_freed_by_death(folder, theirs, ours, shares):
  with holder(folder.path, theirs) as process:
    if shares:
      with lock(folder, ours):
        pass
    else:
      with pytest.raises(faults.Busy) as caught, lock(folder, ours):
        pass
      message = str(caught.value)
      assert f'process {process.pid} on ' in message and 'since 20' in message
      assert ('shard 1 of 2' in message) == (theirs is not None)
      assert '--shard=i/n' in message and caught.value.exit_code == 75
    process.kill()
  with lock(folder, ours):
    pass


def test_shards_make_one_table(tmp_path):
  command = [sys.executable, '-m', 'tests.fake_sweep', str(tmp_path / 'run')]
  shards = [
    subprocess.Popen([*command, str(i), '4'], cwd=ROOT) for i in range(1, 5)
  ]
  assert [shard.wait() for shard in shards] == [0, 0, 0, 0]
  sweep(tmp_path / 'alone', plan=make_plan(trials=40))
  tables = [tmp_path / name / 'results.csv' for name in ('run', 'alone')]
  assert tables[0].read_bytes() == tables[1].read_bytes()
  folder = open_folder(tmp_path / 'run')
  assert results.read_records(folder)[1] == []
  assert list((folder.path / 'checkpoints').iterdir()) == []


def test_leftovers_of_the_dead_alone_are_removed(folder):
  place = folder.path / 'records'
  (place / '.x.json.123.tmp').write_text('half a rec')
  fd, alive = files.write_temporary(place / 'y.json', b'half')
  create_or_open(folder.path, make_plan())
  assert list(place.iterdir()) == [alive]
  os.close(fd)
  create_or_open(folder.path, make_plan())
  assert list(place.iterdir()) == []


def test_log_is_for_reading_only(folder):
  note(folder, 'one')
  with open(folder.path / 'log', 'ab') as log:
    log.write(b'half a li')
  note(folder, 'two')
  assert 'one\nhalf a li20' in (folder.path / 'log').read_text()
  (folder.path / 'log').unlink()
  (folder.path / 'log').mkdir()
  note(folder, 'nowhere to go, no harm')
  assert create_or_open(folder.path, make_plan()) == folder


# --- provenance


def test_provenance_is_complete_and_an_allow_list():
  made = provenance('cpu', 2)
  others = {'python', 'code', 'commit', 'changes', 'system', 'machine', 'cpu'}
  others |= {'cores', 'device_kind', 'device_count', 'xla_flags'}
  assert made.keys() == others | {*PACKAGES}
  assert {*COMPARED} <= made.keys()
  assert (
    made['jax'] and made['device_kind'] == 'cpu' and len(made['code']) == 64
  )
  assert provenance('cpu', 2) == made


def test_no_secret_reaches_a_file(tmp_path, monkeypatch):
  canary = 'c4n4ry-t0ken'
  monkeypatch.setenv('API_TOKEN', canary)
  monkeypatch.setattr(sys, 'argv', ['sweep', f'--token={canary}'])
  monkeypatch.setenv(
    'XLA_FLAGS',
    '--xla_cpu_enable_fast_math=false'
    ' --xla_force_host_platform_device_count=4'
    f' --xla_dump_to=/home/{canary}/dump --xla_log=https://u:{canary}@host'
    f' {canary}',
  )
  made = provenance('cpu', 1)
  assert made['xla_flags'] == [
    '--xla_cpu_enable_fast_math=false',
    '--xla_dump_to=(path)',
    '--xla_log=(path)',
  ]
  path = tmp_path / 'run'
  sweep(path, plan={**make_plan(), 'provenance': made})
  contents = [p.read_bytes() for p in path.rglob('*') if p.is_file()]
  assert len(contents) > 5
  for secret in (canary, str(tmp_path), str(ROOT)):
    assert not any(secret.encode() in content for content in contents)


def test_commit_and_changes(tmp_path, monkeypatch):
  def git(*arguments):
    who = ['-c', 'user.name=x', '-c', 'user.email=x@example.org']
    subprocess.run(['git', *who, *arguments], cwd=tmp_path, check=True)

  source = tmp_path / 'provenance.py'
  source.write_text('1\n')
  monkeypatch.setattr(provenance_module, '__file__', str(source))
  facts = lambda: [provenance()[key] for key in ('commit', 'changes')]
  assert facts() == [None, None]
  git('init', '-q')
  # Installed inside somebody's checkout: not a commit of ours.
  assert facts() == [None, None]
  git('add', '.')
  git('commit', '-q', '-m', 'one')
  commit, changes = facts()
  assert len(commit) == 40 and changes is None
  source.write_text('2\n')
  assert facts()[0] == commit and len(facts()[1]) == 64
  monkeypatch.setenv('PATH', str(tmp_path))
  assert facts() == [None, None]


def test_no_pickle_in_the_store():
  for path in [
    ROOT / 'lstm_jax/results.py',
    *(ROOT / 'lstm_jax/store').iterdir(),
  ]:
    if path.suffix == '.py':
      text = path.read_text()
      assert not any(bad in text for bad in ('pickle', 'eval(', 'exec('))
