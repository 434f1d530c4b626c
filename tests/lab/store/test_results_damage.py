"""No damaged, edited or misplaced file counts as a result."""

import shutil

import pytest

from lstm_jax.lab.store import faults, seal, trial_records
from lstm_jax.lab.store.folder import open_folder
from tests.fake_sweep import QUICK, damaged, make_plan, sweep, table


@pytest.fixture(scope='module')
def clean(tmp_path_factory):
  """The folder of a finished sweep."""
  return sweep(tmp_path_factory.mktemp('clean') / 'run', QUICK).path


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
  trial_records.write_csv(folder)
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
  sweep(tmp_path / 'other', QUICK, other)
  shutil.copy(tmp_path / 'other' / 'records' / three.name, three)
  shutil.copy(two, path / 'records' / f'{two.stem} (copy).json')
  found, problems = trial_records.read_records(folder)
  assert list(found) == [two.stem]
  assert len(problems) == 3 and all(problem.is_damaged for problem in problems)
  trial_records.repair(folder)
  sweep(path, QUICK)
  assert table(path) == table(clean)
