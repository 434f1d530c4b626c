"""What TFDS has prepared is read without TensorFlow, or refused in one line."""

import json
import sys

import numpy as np
import pytest

from lstm_jax.lab.data.files.errors import BadData, Missing
from lstm_jax.lab.data.own import loading, prepared_set
from tests import prepared_sets


@pytest.fixture(scope='module')
def walks(tmp_path_factory):
  """The data folder, and the folder of a set in it."""
  place = tmp_path_factory.mktemp('data')
  splits = {
    'train': prepared_sets.walks(),
    'test': prepared_sets.walks(6, 1),
    'validation': prepared_sets.walks(4, 2),
  }
  return place, prepared_sets.prepare(place, prepared_sets.WALKS, splits)


@pytest.fixture
def copied(walks, tmp_path):
  """A copy of a set that may be spoiled."""
  home = tmp_path / 'mine' / '1.0.0'
  home.mkdir(parents=True)
  for path in walks[1].iterdir():
    (home / path.name).write_bytes(path.read_bytes())
  return home


def edit(path, *keys, value):
  """Sets a value within a file of JSON."""
  content = tree = json.loads(path.read_text())
  for key in keys[:-1]:
    tree = tree[key]
  tree[keys[-1]] = value
  path.write_text(json.dumps(content))


def test_sequences_are_those_that_were_prepared(walks):
  place, home = walks
  held = prepared_set.read(home)
  assert held.classes == ('down', 'up') and not held.every_step
  records = [
    *prepared_sets.walks(),
    *prepared_sets.walks(6, 1),
    *prepared_sets.walks(4, 2),
  ]
  assert np.allclose(
    held.inputs, np.concatenate([r['series'] for r in records])
  )
  assert held.lengths.tolist() == [len(r['series']) for r in records]
  assert [held.classes[i] for i in held.targets] == [
    r['label'] for r in records
  ]
  assert held.part.tolist() == [0] * 12 + [2] * 6 + [1] * 4
  assert 'tensorflow' not in sys.modules
  assert prepared_set.name_of(home) == 'mine:1.0.0'
  for name in ('mine', 'mine:1.0.0'):
    assert prepared_set.find(name, str(place)) == home
  assert loading.load(home) is loading.load(home)


@pytest.mark.parametrize(
  'name', ['none', 'mine:2.0.0', '../data', 'mine/x', '']
)
def test_names_under_which_nothing_is_prepared(walks, name):
  with pytest.raises(Missing, match='nothing is prepared in') as error:
    prepared_set.find(name, str(walks[0]))
  assert str(error.value).isprintable()


def test_the_latest_version_is_taken(tmp_path):
  for version in ('1.9.0', '1.10.0', '1.2.0'):
    (tmp_path / 'mine' / version).mkdir(parents=True)
    (tmp_path / 'mine' / version / 'dataset_info.json').write_text('{}')
  assert prepared_set.find('mine', str(tmp_path)).name == '1.10.0'


def numbers(of):
  return of.Sequence(np.float32)


@pytest.mark.parametrize(
  ('features', 'record', 'shape', 'every_step'),
  [
    (
      {'x': numbers, 'y': lambda of: of.Scalar(np.float32)},
      lambda i, x: {'x': x, 'y': x.sum()},
      (1,),
      False,
    ),
    (
      {
        'x': numbers,
        'label': lambda of: of.Sequence(of.ClassLabel(names=['lo', 'hi'])),
      },
      lambda i, x: {'x': x, 'label': [int(v > 0) for v in x]},
      (),
      True,
    ),
    (
      {
        'inputs': lambda of: of.Tensor(shape=(4, 1), dtype=np.float32),
        'targets': lambda of: of.Tensor(shape=(3,), dtype=np.float32),
        'name': lambda of: of.Text(),
      },
      lambda i, x: {
        'inputs': np.resize(x, (4, 1)), 'targets': np.resize(x, 3) + i,
        'name': 'a',
      },
      (3,),
      False,
    ),
  ],
)  # fmt: skip
def test_features_of_several_kinds(
  features, record, shape, every_step, tmp_path
):
  random = np.random.default_rng(0)
  series = [random.normal(size=2 + i % 4).astype(np.float32) for i in range(12)]
  records = [record(i, x) for i, x in enumerate(series)]
  home = prepared_sets.prepare(tmp_path, features, {'train': records})
  held = prepared_set.read(home)
  assert held.inputs.shape[1] == 1 and held.part is None
  assert held.every_step == every_step and held.targets.shape[1:] == shape
  if 'x' in features:
    assert np.allclose(held.inputs[:, 0], np.concatenate(series))
  if every_step:
    assert held.classes == ('0', '1') or held.classes == ('lo', 'hi')
    assert held.targets.tolist() == (held.inputs[:, 0] > 0).astype(int).tolist()


_FEATURES = 'featuresDict', 'features'


@pytest.mark.parametrize(
  ('spoil', 'words'),
  [
    (
      lambda home: edit(
        home / 'dataset_info.json', 'fileFormat', value='tfrecord'
      ),
      'is stored as tfrecord, which takes TensorFlow to read; prepare it again',
    ),
    (
      lambda home: edit(
        home / 'features.json', *_FEATURES, 'series', 'pythonClassName',
        value='tensorflow_datasets.core.features.audio_feature.Audio',
      ),
      'audio_feature.Audio, which is not read without TensorFlow',
    ),
    (
      lambda home: edit(
        home / 'features.json', *_FEATURES, 'series', 'pythonClassName',
        value='antigravity.fly',
      ),
      'antigravity.fly, which is not read',
    ),
    (
      lambda home: edit(home / 'features.json', *_FEATURES, value={}),
      'records have no features',
    ),
    (
      lambda home: edit(
        home / 'features.json', *_FEATURES, 'series', 'tensor', 'shape',
        'dimensions', value=['2'],
      ),
      '0 features have a step axis',
    ),
    (
      lambda home: edit(home / 'dataset_info.json', 'splits', value=[]),
      'has no split',
    ),
    (
      lambda home: edit(
        home / 'dataset_info.json', 'splits', 0, 'shardLengths', value=['99']
      ),
      'cannot be read',
    ),
    (
      lambda home: (home / 'features.json').write_text('{'),
      'features.json: damaged',
    ),
    (
      lambda home: (home / 'features.json').unlink(), 'json: is not there'
    ),
    (
      lambda home: (home / 'mine-train.array_record-00000-of-00001').unlink(),
      'cannot be read',
    ),
    (
      lambda home: cut(home / 'mine-train.array_record-00000-of-00001'),
      'cannot be read',
    ),
    (
      lambda home: turned(home / 'mine-train.array_record-00000-of-00001'),
      'cannot be read|finite|no class',
    ),
  ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(spoil, words, copied):
  spoil(copied)
  with pytest.raises(BadData, match=words) as error:
    prepared_set.read(copied)
  said = str(error.value)
  assert said.startswith(str(copied)) and said.isprintable()
  assert 'antigravity' not in sys.modules


def cut(path):
  path.write_bytes(path.read_bytes()[:-400])


def turned(path):
  content = bytearray(path.read_bytes())
  middle = len(content) // 2
  content[middle : middle + 64] = bytes(64)
  path.write_bytes(bytes(content))


def test_no_module_that_a_folder_names_is_imported(copied, monkeypatch):
  edit(copied / 'dataset_info.json', 'moduleName', value='antigravity')
  assert len(prepared_set.read(copied).lengths) == 22
  assert 'antigravity' not in sys.modules
