"""Kept networks of the lag law: small files, right on fresh sequences."""

import dataclasses
import importlib

import numpy as np
import pytest

import lstm_jax as lj
from experiments import predict
from lstm_jax.lab.run import predict_lengths
from lstm_jax.lab.run.predict_request import Request
from lstm_jax.lab.store import faults, nets, network_file
from tests.children import ROOT
from tests.lab.plan.test_plan import made
from tests.lab.run.test_predict import kept

FILES = sorted((ROOT / 'docs' / 'lag_networks').glob('*.safetensors'))


def test_networks_of_the_law_are_small_and_solved_their_task():
  assert {path.stem.rpartition('-')[0] for path in FILES} >= {'adding', '6a'}
  for path in FILES:
    assert path.stat().st_size < 10_000
    network = network_file.load(path)
    assert path.stem.endswith(f'-{network.setting.length}')
    assert network.metrics['test_wrong'] <= 0.02 * network.metrics['test_total']


def test_they_know_fresh_sequences():
  """The adding network at a length of its own and one it never saw."""
  path = ROOT / 'docs' / 'lag_networks' / 'adding-10000.safetensors'
  network = network_file.load(path)
  own = network.setting.length
  shorter = own // 2
  asked = Request(str(path), count=32, length=(shorter,), seed=5)
  head, rows = predict_lengths.answers(
    network.setting, network.params, asked, {}
  )
  assert head == [f'Learned at T = {own:,}; 32 fresh sequences each:']
  length, lag, right, _, mean, _ = rows[1]
  assert length == f'{shorter:,}'
  assert int(lag.replace(',', '')) >= shorter // 2
  # A shut gate leaks in proportion to the length: half of it is no harder.
  assert int(right.split('/')[0]) >= 30 and float(mean) < 0.03


@pytest.fixture(scope='module')
def solved(tmp_path_factory):
  (setting,) = made('--task=adding --length=5 --seeds=1').trials
  return kept(tmp_path_factory.mktemp('lag') / 'run', setting)


def test_a_network_goes_into_a_file_and_is_asked_again(
  solved, tmp_path, capsys
):
  path = tmp_path / 'net.safetensors'
  words = [str(solved.path), '--count=1', f'--keep={path}']
  assert predict.main(['predict', *words]) == 0
  network = network_file.load(path)
  (setting,) = made('--task=adding --length=5 --seeds=1').trials
  assert network.setting == setting and network.metrics == {}
  there = nets.load(solved)['abcdef012345']
  for name, array in network.params.items():
    np.testing.assert_array_equal(array, there[name])
  capsys.readouterr()
  words = [str(path), '--count=40', '--length=5,12']
  assert predict.main(['predict', *words]) == 0
  out = capsys.readouterr().out
  lines = [line.split() for line in out.splitlines()]
  assert [line[0] for line in lines if '/40' in ' '.join(line)] == ['5', '12']
  assert predict.main(['predict', str(solved.path), *words[1:]]) == 0
  assert capsys.readouterr().out.splitlines()[2:] == out.splitlines()[2:]


def test_a_file_is_loaded_as_a_folder_is(solved, tmp_path):
  path, there = tmp_path / 'net.safetensors', lj.load(solved.path)
  params = nets.load(solved)['abcdef012345']
  network_file.save(path, there.setting, {}, params)
  ours = lj.load(path)
  assert ours.setting == there.setting and ours.cell == there.cell
  for one, other in zip(ours.params, there.params, strict=True):
    np.testing.assert_array_equal(one, other)
  with pytest.raises(ValueError, match='one network, of no folder'):
    lj.load(path, 'adding')
  with pytest.raises(ValueError, match='there is no such file'):
    lj.load(tmp_path / 'none.safetensors')


def test_what_a_file_cannot_do_is_refused(solved, tmp_path, capsys):
  path = tmp_path / 'net.safetensors'
  network_file.save(path, solved.trials['abcdef012345'], {}, {})
  folder = str(solved.path)
  for words, said in (
    ([str(path), '--net=x'], '--net and --keep are for run folders'),
    ([folder, '--length=0'], '--length=0'),
    (['none.safetensors'], 'there is no such file'),
    ([folder, '--length=3'], '--length=3: '),
    ([folder, '--keep=net'], '--keep=net: the name must end in .safetensors'),
    ([folder, '--length=9', '--data=x'], 'adding draws its own sequences'),
  ):
    assert predict.main(['predict', *words]) == 2, words
    err = capsys.readouterr().err
    assert said in err and err.count('\n') == 1, err
  path.write_bytes(path.read_bytes().replace(b'adding', b'edding', 1))
  with pytest.raises(faults.Corrupt, match='checksum'):
    network_file.load(path)
  (setting,) = made('--task=adding --length=5 --seeds=1').trials
  other = dataclasses.replace(setting, outside={'cell': setting})
  with pytest.raises(ValueError, match='code of others'):
    network_file.save(path, other, {}, {})


def test_a_longer_lag_takes_the_place_of_a_shorter_one(
  solved, tmp_path, monkeypatch
):
  monkeypatch.syspath_prepend(ROOT / 'docs' / '_figures')
  script = importlib.import_module('lag_networks')
  monkeypatch.setattr(script, 'KEPT', tmp_path / 'nets')
  setting = solved.trials['abcdef012345']
  for row, length in (
    ('adding', 5), ('adding-early', 7), ('adding-longest', 9), ('adding', 8),
    ('sgd', 30),
  ):  # fmt: skip
    one = dataclasses.replace(setting, row=row, axes=(), length=length)
    script.keep(one, {}, {})
  assert sorted(p.stem for p in script.KEPT.iterdir()) == [
    'adding-9', 'adding-early-7',
  ]  # fmt: skip
