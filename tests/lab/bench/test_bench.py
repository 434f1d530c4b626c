"""The benchmark from the command line: flags, plans, growth, a record."""

import json
import math
from importlib import metadata

import pytest

from experiments import bench
from lstm_jax.lab.bench import epochs, layers, learners
from lstm_jax.lab.bench import libraries as bench_libraries
from lstm_jax.lab.commands import bench as command
from lstm_jax.lab.plan import catalog
from tests import children

BAD = {
  '--learners=rtlr': ['--learners=rtlr', 'did you mean rtrl?'],
  '--lanes=many': ['--lanes=many', 'an integer from 1'],
  '--learners=rtrl --sizes=0': ['--sizes=0', 'an integer from 1'],
  '--grid=tabel3': ['--grid=tabel3', 'table3'],
  '--layers=lstn': ['--layers=lstn', 'lstm, gru, srn'],
  '--epochs=cifar': ['--epochs=cifar', 'imdb, urban_sound'],
  '--epochs=imdb --cells=rnn': ['--cells=rnn', 'lstm, gru, srn'],
}


def test_a_wrong_flag_has_one_line_and_does_not_wait_for_jax():
  code = (
    'import sys\n'
    'from experiments import bench\n'
    'for words in sys.argv[1:]:\n'
    '  assert bench.main(["bench", *words.split()]) == 2, words\n'
    '  assert "jax" not in sys.modules, words\n'
  )
  done = children.python('-c', code, *BAD)
  for words, line in zip(BAD, done.stderr.splitlines(), strict=True):
    for word in BAD[words]:
      assert word in line


def test_help_names_every_flag(capsys):
  assert bench.main(['bench', '--help']) == 0
  said = capsys.readouterr().out
  for name in command.define():
    assert f'--{name}' in said
  assert max(map(len, said.splitlines())) <= 80


def test_every_learner_is_timed_at_every_size():
  plans = learners.plan(['all'], [4, 128])
  assert set(plans) == set(catalog.names('learners'))
  for learner, by_size in plans.items():
    assert set(by_size) == {4, 128}
    for size, setting in by_size.items():
      assert setting.learner == learner
      assert dict(setting.cell_options)['hidden'] == size


def test_the_power_is_that_of_the_last_sizes():
  sizes = [4, 8, 16, 32, 64]
  costs = [50, 50, *(3 * n**4 for n in sizes[2:])]
  assert learners.growth(sizes, costs) == pytest.approx(4)
  assert math.isnan(learners.growth(sizes[:3], costs[:3]))


def test_what_was_timed_is_recorded(tmp_path, capsys):
  """Sizes that a learner refuses are there, with the reason."""
  path = tmp_path / 'record' / 'bench.json'
  words = '--learners=kf --sizes=4,64 --lanes=2 --repeats=1 --seconds=0.01'
  assert bench.main(['bench', *words.split(), f'--record={path}']) == 0
  record = json.loads(path.read_text(encoding='utf-8'))
  small, large = record['learners']
  assert small['weights'] == 4 * (2 + 4 + 1) + 5 and small['ns'] > 0
  assert small['ns_a_weight'] == small['ns'] / small['weights']
  # The filter keeps a number for each pair of weights.
  assert small['bytes'] >= 4 * small['weights'] ** 2
  assert 'ns' not in large and 'most_weights' in large['why']
  assert record['provenance']['jax']
  text = capsys.readouterr().out
  assert 'kf, 64 units, 2 lanes: kf: the network has 4353 weights' in text


def test_some_libraries_alone(monkeypatch, capsys):
  """What others leave in the machine does not reach the one asked for."""
  monkeypatch.setitem(layers.SIZES, 'tiny', (3, 2, 2, 4, 1))
  layers._child('srn', 'tiny', 'default', 1, 0.0, 'ours')
  *figures, _ = json.loads(capsys.readouterr().out.splitlines()[-1])
  timed = [f['library'] for f in figures if 'both_ms' in f]
  assert timed == ['ours']
  assert {f['why'] for f in figures if 'why' in f} == {'not asked for'}


@pytest.mark.usefixtures('compiled_loops')
@pytest.mark.slow
def test_every_library_runs_its_layers(monkeypatch, capsys):
  """Each layer there is, once, as the process that times them runs it."""
  import jax

  monkeypatch.setitem(layers.SIZES, 'tiny', (3, 2, 2, 4, 2))
  with jax.numpy_rank_promotion('allow'):  # theirs does
    layers._child('gru', 'tiny', 'default', 1, 0.0)
  *figures, peak = json.loads(capsys.readouterr().out.splitlines()[-1])
  libraries = bench_libraries.libraries_for(2, layers.OWN_LIBRARIES)
  assert [f['library'] for f in figures] == [*libraries]
  assert 'flax, one by one' in libraries
  assert 'ours, one by one' not in libraries
  assert peak['peak'] > 0 and peak['sustained'] > 0
  assert peak['vector_bytes'] in (16, 32, 64, None)
  assert {figure['kind'] for figure in (*figures, peak)} == {'gru'}
  table = layers._table('gru', 'tiny', [*figures, peak])
  for line in (
    'ours ',
    'keras, one by one ',
    'Both ways: ours',
    'Limited by: ',
  ):
    assert f'\n{line}' in table
  for figure in figures:
    if figure['library'].startswith('scan by hand'):
      assert figure['why'] == 'has no gru'
    else:
      assert 0 < figure['forward_ms'] and 0 < figure['both_ms']


def test_a_record_names_the_libraries_it_compares(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(layers, 'measure', lambda kind, *_: [{'kind': kind}])
  record = tmp_path / 'record.json'
  assert bench.main(['bench', '--layers=gru', f'--record={record}']) == 0
  figures = json.loads(record.read_text())
  assert figures['layers'] == [{'kind': 'gru'}]
  assert set(figures['libraries']) == {
    'torch', 'keras', 'flax', 'dm-haiku', 'equinox',
  }  # fmt: skip
  assert figures['libraries']['flax'] == metadata.version('flax')
  assert 'Recorded in' in capsys.readouterr().out


def test_a_call_knows_nothing_of_the_one_before(monkeypatch):
  asked = []

  def measure(what, *_):
    asked.append(what)
    return [{}] if what else []

  for timed in (layers, epochs):
    monkeypatch.setattr(timed, 'measure', measure)
  assert bench.main(['bench', '--layers=gru']) == 0
  assert bench.main(['bench', '--epochs=imdb', '--cells=gru']) == 0
  assert asked == ['gru', (), ('imdb',)]


# Keras asks jax 0.12 for int64 where it has none.
@pytest.mark.filterwarnings('ignore:Explicitly requested dtype int64')
@pytest.mark.parametrize('vocabulary', [0, 7])
@pytest.mark.parametrize('library', epochs.LIBRARIES)
def test_every_library_makes_an_update(library, vocabulary):
  import jax

  outputs = 1 if vocabulary else 3
  size = epochs.Size(5, 2, vocabulary, 4, 3, outputs, 6)
  inputs, targets = epochs._data(size, 3)
  assert inputs.shape == ((6, 5) if vocabulary else (6, 5, 4))
  with jax.numpy_rank_promotion('allow'):
    getattr(epochs, library)(size, 'lstm', inputs, targets)()


def test_epochs_are_told_from_the_best_turns(monkeypatch, capsys):
  said = iter([2.0, 6.0, 9.0, 1.0, 7.0, 8.0])
  monkeypatch.setattr(epochs, '_turn', lambda *what: next(said))
  figures = epochs.measure(['imdb'], 2, ('lstm',))
  # 20,000 reviews are 157 batches of 128.
  assert [f['epoch_s'] for f in figures] == [157.0, 942.0, 1256.0]
  lines = capsys.readouterr().out.splitlines()
  assert lines[3].split() == ['keras', '6e+03', '942', '6.00']
