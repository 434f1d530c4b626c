"""Folders of the second schema: each trial with all of its setting."""

import json
import shutil

import pytest

from lstm_jax.lab.report import write
from lstm_jax.lab.store import (
  checkpoints,
  nets,
  plan_trials,
  results_table,
  seal,
  trial_records,
)
from lstm_jax.lab.store.folder import create_or_open, open_folder
from lstm_jax.lab.store.setting import by_id, trial_id
from tests.children import ROOT
from tests.fake_sweep import QUICK, make_plan

DATA = ROOT / 'tests' / 'data' / 'schema_2'


@pytest.fixture
def path(tmp_path):
  """A copy of a folder that the version before has written."""
  shutil.copytree(DATA, tmp_path / 'run')
  return tmp_path / 'run'


def test_settings_records_and_networks_are_what_they_were(path):
  opened = open_folder(path)
  assert [trial_id(s) for s in opened.trials.values()] == list(opened.trials)
  assert by_id(opened.trials.values()) == opened.trials
  records, problems = results_table.write_csv(opened)
  assert len(records) == 3 and problems == []
  table = (path / 'results.csv').read_bytes()
  assert table == (DATA / 'results.csv').read_bytes()
  saved, lines = checkpoints.load(opened)
  assert {trial for *_, trial, _, _ in checkpoints.trials(saved)} == {*records}
  assert lines == []
  ways = [trial for trial in records if nets.load_way(opened, trial)]
  assert len(ways) == 1
  page, *_ = write.write([opened])
  assert '3 of 3 ended' in page.read_text('utf-8')


def test_it_goes_on_and_its_files_stay_until_it_grows(path):
  before = {p: p.read_bytes() for p in path.rglob('*') if p.is_file()}
  old_plan = open_folder(path).plan
  again = create_or_open(path, old_plan, disk=QUICK)
  assert again.plan == old_plan
  assert {p: p.read_bytes() for p in before} == before
  entry = {**old_plan['trials'][0], 'id': 'another', 'seed': 7}
  larger = {**old_plan, 'trials': [*old_plan['trials'], entry]}
  grown = create_or_open(path, larger, disk=QUICK)
  assert [setting.seed for setting in grown.trials.values()] == [0, 1, 2, 7]
  document = json.loads((path / 'plan.json').read_text())
  assert document['schema'] == 3 and len(document['content']['settings']) == 1
  assert open_folder(path).plan == grown.plan
  assert len(trial_records.read_records(grown)[0]) == 3


def test_a_plan_is_packed_and_unpacked():
  plan = make_plan(trials=5)
  plan['trials'] = plan_trials.of_entries(plan['trials'])
  content = plan_trials.packed(plan)
  assert len(content['settings']) == 2  # odd and even seeds are two rows
  assert content['programs'] == {'p0': {'trials': [[0, 4]], 'lanes': 2}}
  again = plan_trials.unpacked(json.loads(json.dumps(content)))
  assert again == plan
  assert again['trials'][0] == dict(plan['trials'][0])


@pytest.mark.parametrize(
  'block',
  [
    {'setting': 2},
    {'setting': -1},
    {'setting': True},
    {'setting': '0'},
    {'seeds': [[0, 10**15]]},
    {'seeds': [[0, 0], [0, 0]]},
    {'seeds': [[1, 0]]},
    {'seeds': [[0.0, 0.0]]},
    {'seeds': [[-1, -1]]},
    {'seeds': 7},
    {'ids': ['a']},
    {'ids': '../x'},
    {'ids': 'twice'},
    {'ids': ''},
  ],
)
def test_a_plan_that_none_of_ours_has_written_is_refused(tmp_path, block):
  folder = create_or_open(tmp_path / 'run', make_plan(), disk=QUICK)
  content = json.loads((folder.path / 'plan.json').read_text())['content']
  content['trials'][0] |= block
  if block.get('ids') == 'twice':
    content['trials'][0]['ids'] = content['trials'][1]['ids']
  (folder.path / 'plan.json').write_bytes(seal.seal_json('plan', content))
  with pytest.raises(seal.Corrupt, match=r'plan\.json'):
    open_folder(folder.path)


def test_programs_that_name_places_beyond_the_plan_are_refused(tmp_path):
  folder = create_or_open(tmp_path / 'run', make_plan(), disk=QUICK)
  content = json.loads((folder.path / 'plan.json').read_text())['content']
  for places in ([[0, 10**15]], [[3, 3]], [[-1, -1]]):
    content['programs']['p0']['trials'] = places
    (folder.path / 'plan.json').write_bytes(seal.seal_json('plan', content))
    with pytest.raises(seal.Corrupt, match=r'plan\.json'):
      open_folder(folder.path)
