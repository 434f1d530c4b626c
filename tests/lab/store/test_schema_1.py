"""Folders of the first schema: they open, report, and go on on request."""

import csv
import json
import shutil
import sys

import pytest

from experiments import predict, sweep
from lstm_jax.lab.plan import flags
from lstm_jax.lab.report import write
from lstm_jax.lab.run import renewal
from lstm_jax.lab.store import (
  faults,
  nets,
  results_table,
  schema_1,
  seal,
  trial_records,
)
from lstm_jax.lab.store.folder import open_folder
from lstm_jax.lab.store.setting import trial_id
from tests.children import ROOT

DATA = ROOT / 'tests' / 'data'
SINE = (
  '--task=noisy_sine --cell=srn --hidden=2 --window=5 --budget=2 '
  '--progress=none'
).split()


def rows(path):
  return list(csv.DictReader((path / 'results.csv').read_text().splitlines()))


@pytest.mark.parametrize('name', ['schema_1_task', 'schema_1_data'])
def test_settings_and_numbers_are_what_they_were(name, tmp_path):
  shutil.copytree(DATA / name, tmp_path / 'run')
  opened = open_folder(tmp_path / 'run')
  # An id is the hash of the setting: nothing was lost in reading it back.
  assert [trial_id(s) for s in opened.trials.values()] == list(opened.trials)
  before = rows(DATA / name)
  records, problems = results_table.write_csv(opened)
  assert problems == [] and len(records) == len(before)
  for old, new in zip(before, rows(opened.path), strict=True):
    new['milestone'] = new.pop('first_passed')  # its name then
    assert {column: new[column] for column in old} == old


def test_what_a_network_came_to_is_in_the_metrics():
  opened = open_folder(DATA / 'schema_1_data')
  records, _ = trial_records.read_records(opened)
  for name, record in records.items():
    path = DATA / 'schema_1_data' / 'records' / f'{name}.json'
    old = json.loads(path.read_text())['content']
    assert record['metrics']['test_loss'] == old['test']['loss']
    assert record['metrics']['train_loss'] == old['curves']['train_loss'][-1]
    rmse = old['after']['free_run_rmse']
    assert record['metrics']['free_run_rmse'] == rmse
    assert record['details']['after']['free_run'] == old['after']['free_run']
    assert record['details']['levels'] == old['levels']
  assert nets.load(opened).keys() == records.keys()


def test_both_kinds_are_one_report_and_their_networks_answer(tmp_path, capsys):
  folders = [
    open_folder(DATA / f'schema_1_{name}') for name in ('task', 'data')
  ]
  page, *_ = write.write(folders, tmp_path / 'out')
  text = page.read_text('utf-8')
  assert 'free run rmse' in text and 'adding' in text and 'noisy_sine' in text
  place = str(DATA / 'schema_1_data')
  assert predict.main(['predict', place, '--count=1']) == 0
  assert 'mean squared error' in capsys.readouterr().out


def test_they_go_on_on_request_and_new_rows_are_marked(
  tmp_path, capsys, monkeypatch
):
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  out = tmp_path / 'run'
  shutil.copytree(DATA / 'schema_1_data', out)
  line = ['sweep', *SINE, f'--out={out}']
  assert sweep.main([*line, '--seeds=3']) == 2
  assert '--allow_drift' in capsys.readouterr().err
  assert sweep.main([*line, '--seeds=3', '--allow_drift']) == 0
  opened = open_folder(out)
  records, _ = trial_records.read_records(opened)
  drift = {trial: bool(one.get('drift')) for trial, one in records.items()}
  marked = {opened.trials[trial].seed: mark for trial, mark in drift.items()}
  assert marked == {0: False, 1: False, 2: True}


def test_records_that_do_not_say_by_which_code_wait_for_a_request():
  opened = open_folder(DATA / 'schema_1_task')
  records, _ = trial_records.read_records(opened)
  bare = {name: {**one, 'code': None} for name, one in records.items()}
  now = dict.fromkeys(opened.trials, {'lstm_jax/cells/srn.py': '1'})
  with pytest.raises(faults.Refused, match='not known any more .4 trials.'):
    renewal.plan(opened, flags.Run(), bare, {}, now)
  kept = renewal.plan(opened, flags.Run(allow_drift=True), bare, {}, now)
  assert kept.trials == {} and kept.drifted.keys() == opened.trials.keys()
  again = renewal.plan(opened, flags.Run(rerun_changed=True), bare, {}, now)
  assert again.trials.keys() == opened.trials.keys()


@pytest.mark.parametrize(
  'damage',
  [
    {'hidden': '2xq'},
    {'hidden': '2x2x2'},
    {'options': []},
    {'row': 7},
    {'published': []},
  ],
)
def test_a_plan_that_none_of_ours_has_written_is_refused(tmp_path, damage):
  content = json.loads((DATA / 'schema_1_task' / 'plan.json').read_text())
  content = content['content']
  content['trials'][0] |= damage
  (tmp_path / 'plan.json').write_bytes(seal.seal_json('plan', content, 1))
  with pytest.raises(seal.Corrupt, match='plan.json'):
    open_folder(tmp_path)
  assert schema_1.entry(content['trials'][1])['task'] == 'adding'
