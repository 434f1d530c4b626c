"""No damaged, edited or misplaced file counts as a result."""

import shutil

import pytest

from lstm_jax.lab.store import faults, results_table, seal, trial_records
from lstm_jax.lab.store.folder import open_folder
from tests.fake_sweep import QUICK, damaged, make_plan, sweep, table
from tests.older_records import as_files, packs


@pytest.fixture(scope='module')
def packed(tmp_path_factory):
  """The folder of a finished sweep."""
  return sweep(tmp_path_factory.mktemp('packed') / 'run', QUICK).path


@pytest.fixture(scope='module')
def clean(packed, tmp_path_factory):
  """The same in the form before: a file a record."""
  path = tmp_path_factory.mktemp('clean') / 'run'
  shutil.copytree(packed, path)
  return as_files(path)


def test_every_damage_to_a_pack_is_seen(packed, tmp_path, request):
  path = tmp_path / 'run'
  shutil.copytree(packed, path)
  folder = open_folder(path)
  (file,) = packs(path)
  whole = file.read_bytes()
  ends = [at for at, byte in enumerate(whole) if byte == ord('\n')]
  before, _ = trial_records.read_records(folder)
  apart = 1 if request.config.getoption('--all') else 7
  for at in range(0, len(whole), apart):
    for mask in (1 << at % 8, 0xFF, ord('\n') ^ whole[at]):
      data = bytearray(whole)
      data[at] ^= mask
      file.write_bytes(data)
      found, problems = trial_records.read_records(folder)
      hurt = 2 if at in ends[:-1] and mask else bool(mask)
      assert len(found) == 3 - hurt and bool(problems) == bool(mask), at
      assert all(p.is_damaged and p.path == file for p in problems)
      assert all(str(file) in problem.reason for problem in problems)
      assert found.items() <= before.items()
  renumbered = whole.replace(b'"line":2,', b'"line":7,')
  for data in (
    renumbered, whole + b'x\n', whole + whole, whole[: ends[0] + 1] * 2,
  ):  # fmt: skip
    file.write_bytes(data)
    found, problems = trial_records.read_records(folder)
    assert problems and found.items() <= before.items()


def test_a_pack_that_was_cut_anywhere_goes_on(packed, tmp_path, request):
  """A line that has no end was announced to nobody: its trial runs again."""
  path = tmp_path / 'run'
  (name,) = [file.name for file in packs(packed)]
  whole = (packed / 'records' / name).read_bytes()
  apart = 1 if request.config.getoption('--all') else 97
  ends = [at + 1 for at, byte in enumerate(whole) if byte == ord('\n')]
  for cut in sorted(
    {*range(0, len(whole), apart), *ends, *(e - 1 for e in ends)}
  ):
    shutil.copytree(packed, path)
    for tail in (b'', b'\0' * 9):
      (path / 'records' / name).write_bytes(whole[:cut] + tail)
      found, problems = trial_records.read_records(open_folder(path))
      assert problems == []
      assert len(found) == whole[:cut].count(b'\n')
    sweep(path, QUICK)
    assert table(path) == table(packed), cut
    is_whole = cut in (0, *ends)
    assert len(packs(path)) == 1 + (cut < len(whole)), is_whole
    shutil.rmtree(path)


def test_a_damaged_line_is_named_once_and_its_trial_runs_again(
  packed, tmp_path
):
  path = tmp_path / 'run'
  shutil.copytree(packed, path)
  folder = open_folder(path)
  (file,) = packs(path)
  lines = file.read_bytes().splitlines(True)
  lines[1] = lines[1].replace(b'2560', b'2561')
  file.write_bytes(b''.join(lines))
  assert len(trial_records.repair(folder)) == 1
  assert 'does not count any more' in (path / 'log').read_text()
  assert trial_records.read_records(folder)[1] == []
  sweep(path, QUICK)
  assert table(path) == table(packed)
  assert file.read_bytes() == b''.join(lines)
  # Damage to what repaired it is damage.
  repairs = packs(path)[1]
  repairs.write_bytes(repairs.read_bytes().replace(b'retracts', b'restores'))
  _, problems = trial_records.read_records(folder)
  assert {problem.path for problem in problems} == {file, repairs}


def test_packs_of_elsewhere_do_not_count(packed, tmp_path):
  path = tmp_path / 'run'
  shutil.copytree(packed, path)
  folder = open_folder(path)
  (file,) = packs(path)
  shutil.copy(file, file.with_name('000007-copy.jsonl'))
  sweep(tmp_path / 'other', QUICK, make_plan(jax='0.11.0'))
  (foreign,) = packs(tmp_path / 'other')
  shutil.copy(foreign, file.parent)
  found, problems = trial_records.read_records(folder)
  assert len(found) == 3 and len(problems) == 6
  assert {p.path.name for p in problems} == {'000007-copy.jsonl', foreign.name}
  assert all(problem.is_damaged for problem in problems)
  trial_records.repair(folder)
  assert trial_records.read_records(folder) == (found, [])
  assert (file.parent / '000007-copy.jsonl.bad').exists()
  sweep(path, QUICK)
  assert table(path) == table(packed)


def test_a_line_that_none_of_ours_has_written_is_refused(packed, tmp_path):
  path = tmp_path / 'run'
  shutil.copytree(packed, path)
  folder = open_folder(path)
  record = next(iter(trial_records.read_records(folder)[0].values()))
  for content in (
    {**record, 'metrics': {'test_wrong': 'none'}},
    {**record, 'status': 'done'},
    {'trial': record['trial']},
    {'status': 'solved', **record, 'trial': 7},
    {'retracts': 'all'},
    {},
  ):
    folder.writer.append(path / 'records', content, QUICK)
  found, problems = trial_records.read_records(folder)
  assert len(found) == 3 and len(problems) == 6
  trial_records.repair(folder)
  assert trial_records.read_records(folder)[1] == []


def test_every_damage_to_a_record_is_seen(clean, tmp_path):
  path = tmp_path / 'run'
  shutil.copytree(clean, path)
  folder = open_folder(path)
  trial = list(folder.trials)[1]
  file = path / 'records' / f'{trial}.json'
  whole = file.read_bytes()
  for data in damaged(whole):
    with pytest.raises(faults.Corrupt, match=trial):
      seal.unseal_json('record', data, file)
  for data in list(damaged(whole))[::40]:
    file.write_bytes(data)
    found, problems = trial_records.read_records(folder)
    assert len(found) == 2 and [p.path for p in problems] == [file]
    assert problems[0].is_damaged and str(file) in problems[0].reason
  results_table.write_csv(folder)
  assert trial.encode() not in table(path)
  assert [p.path for p in trial_records.repair(folder)] == [file]
  assert file.with_name(f'{file.name}.bad').read_bytes() == data
  assert f'set aside as {file.name}.bad' in (path / 'log').read_text()
  sweep(path, QUICK)
  assert table(path) == table(clean)


def test_every_damage_to_the_plan_is_seen(clean, tmp_path):
  path = tmp_path / 'run'
  path.mkdir()
  every = list(damaged((clean / 'plan.json').read_bytes()))
  for data in every:
    with pytest.raises(faults.Corrupt, match=r'plan\.json'):
      seal.unseal_json('plan', data, path / 'plan.json')
  for data in every[::200]:
    (path / 'plan.json').write_bytes(data)
    with pytest.raises(faults.Corrupt, match=r'plan\.json'):
      open_folder(path)


def test_records_swapped_in_from_elsewhere(clean, tmp_path):
  path = tmp_path / 'copy'
  shutil.copytree(clean, path)
  folder = open_folder(path)
  one, two, three = (path / 'records' / f'{t}.json' for t in folder.trials)
  shutil.copy(two, one)
  other = make_plan(jax='0.11.0')
  as_files(sweep(tmp_path / 'other', QUICK, other).path)
  shutil.copy(tmp_path / 'other' / 'records' / three.name, three)
  shutil.copy(two, path / 'records' / f'{two.stem} (copy).json')
  found, problems = trial_records.read_records(folder)
  assert list(found) == [two.stem]
  assert len(problems) == 3 and all(problem.is_damaged for problem in problems)
  trial_records.repair(folder)
  sweep(path, QUICK)
  assert table(path) == table(clean)
