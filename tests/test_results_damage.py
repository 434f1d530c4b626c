"""No damaged, edited or misplaced file counts as a result."""

import shutil

import pytest

from lstm_jax import results
from lstm_jax.store import checkpoints, faults, files, seal
from lstm_jax.store.folder import create_or_open, open_folder
from tests.fake_sweep import QUICK, damaged, make_plan, stepwise, sweep, table


@pytest.fixture(scope='module')
def clean(tmp_path_factory):
  """A sweep nothing happened to: its folder and how many steps it took."""
  path = tmp_path_factory.mktemp('clean') / 'run'
  steps = []
  sweep(path, stepwise(lambda *s: steps.append(s), QUICK))
  assert {name for name, _ in steps} == set(files.Disk._fields)
  assert len(table(path).splitlines()) == 4
  return path, len(steps)


def test_every_damage_to_a_record_is_seen(clean, tmp_path):
  path = tmp_path / 'run'
  shutil.copytree(clean[0], path)
  folder = open_folder(path)
  trial = list(folder.trials)[1]
  file = path / 'records' / f'{trial}.json'
  whole = file.read_bytes()
  for data in damaged(whole):
    with pytest.raises(faults.Corrupt, match=trial):
      seal.unseal_json('record', data, file)
  for data in list(damaged(whole))[::40]:
    file.write_bytes(data)
    found, problems = results.read_records(folder)
    assert len(found) == 2 and [p.path for p in problems] == [file]
    assert problems[0].damaged and str(file) in problems[0].reason
  results.write_csv(folder)
  assert trial.encode() not in table(path)
  assert [p.path for p in results.repair(folder)] == [file]
  assert file.with_name(f'{file.name}.bad').read_bytes() == data
  assert f'set aside as {file.name}.bad' in (path / 'log').read_text()
  sweep(path, QUICK)
  assert table(path) == table(clean[0])


def test_every_damage_to_the_plan_is_seen(clean, tmp_path):
  path = tmp_path / 'run'
  path.mkdir()
  every = list(damaged((clean[0] / 'plan.json').read_bytes()))
  for data in every:
    with pytest.raises(faults.Corrupt, match=r'plan\.json'):
      seal.unseal_json('plan', data, path / 'plan.json')
  for data in every[::200]:
    (path / 'plan.json').write_bytes(data)
    with pytest.raises(faults.Corrupt, match=r'plan\.json'):
      open_folder(path)


def test_files_swapped_in_from_elsewhere(clean, saved, tmp_path):
  # Another trial's record, another plan's record.
  path = tmp_path / 'copy'
  shutil.copytree(clean[0], path)
  folder = open_folder(path)
  one, two, three = (path / 'records' / f'{t}.json' for t in folder.trials)
  shutil.copy(two, one)
  other = make_plan(changes=None, jax='0.11.0')
  sweep(tmp_path / 'other', QUICK, other)
  shutil.copy(tmp_path / 'other' / 'records' / three.name, three)
  shutil.copy(two, path / 'records' / f'{two.stem} (copy).json')
  found, problems = results.read_records(folder)
  assert list(found) == [two.stem]
  assert len(problems) == 3 and all(problem.damaged for problem in problems)
  results.repair(folder)
  sweep(path, QUICK)
  assert table(path) == table(clean[0])
  # Another checkpoint, another plan's checkpoint.
  lane = saved.path / 'checkpoints'
  shutil.copy(lane / 'lane.2', lane / 'other.1')
  foreign = create_or_open(
    tmp_path / 'foreign', make_plan(trials=2), disk=QUICK
  )
  checkpoints.save(foreign, 'lane', {}, {})
  shutil.copy(foreign.path / 'checkpoints' / 'lane.1', lane / 'lane.3')
  loaded, problems = checkpoints.load(saved)
  assert [(name, meta) for name, meta, _ in loaded] == [('lane', {'chunk': 2})]
  assert len(problems) == 2 and all('misplaced' in p for p in problems)
