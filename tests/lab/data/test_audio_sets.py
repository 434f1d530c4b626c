"""UrbanSound8K and ESC-10 as data sets: inputs, standards, levels, facts."""

import os

import numpy as np
import pytest

from lstm_jax.lab.data import _sounds
from lstm_jax.lab.data.esc10 import esc10
from lstm_jax.lab.data.files.errors import BadData, Source
from lstm_jax.lab.data.urban_sound import urban_sound
from lstm_jax.lab.plan import catalog
from tests import sound_collection, tiny_sets
from tests.sound_collection import CLASSES, OPTIONS, longer

DATA = os.environ.get('LSTM_JAX_DATA')
real_data = pytest.mark.skipif(not DATA, reason='LSTM_JAX_DATA is not set')


@pytest.fixture
def use(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  return sound_collection.loader(monkeypatch)


def test_inputs_are_the_stretches_and_zeros_past_them(use):
  held = use()
  inputs, targets, lengths = urban_sound(**OPTIONS).pool(0).examples
  records = [r for split in held.splits.values() for r in split]
  assert lengths.tolist() == [
    (len(r['samples']) - 80) // 80 + 1 for r in records
  ]
  assert targets.tolist() == [r['label'] for r in records]
  assert inputs.dtype == np.float32 and inputs.shape[1] == max(lengths)
  past = np.arange(inputs.shape[1]) >= lengths[:, None]
  assert not inputs[past].any() and inputs[~past].any(1).all()


def test_seeds_share_what_no_seed_changes(use):
  data = urban_sound(**OPTIONS)
  assert data.pool(0).examples.inputs is data.pool(1).examples.inputs
  data = urban_sound(**OPTIONS, scale='standard', fold=2)
  assert data.pool(0).examples.inputs is data.pool(1).examples.inputs


@pytest.mark.parametrize('scale', ['pcm', 'standard'])
def test_a_file_is_heard_as_a_sound_of_the_set(use, scale):
  held = use()
  data = urban_sound(**OPTIONS, scale=scale)
  pool = data.pool(1)
  record = held.splits['fold2'][3]
  content = tiny_sets.wav(record['samples'], record['rate'])
  inputs, (length,) = data.encoder.encode('a.wav', content, pool)
  place = len(held.splits['fold1']) + 3
  assert length == pool.examples.lengths[place] == inputs.shape[1]
  assert np.array_equal(inputs[0], pool.examples.inputs[place, :length])
  with pytest.raises(BadData, match=r'a\.wav: no RIFF'):
    data.encoder.encode('a.wav', b'<html>', pool)


def test_standards_are_of_the_training_part_alone(use):
  held = use()
  data = urban_sound(**OPTIONS, scale='standard')
  pool = data.pool(0)
  inputs, _, lengths = pool.examples
  inside = np.arange(inputs.shape[1]) < lengths[:, None]
  train = inputs[pool.parts['train']][inside[pool.parts['train']]]
  np.testing.assert_allclose(train.mean(0), 0, atol=1e-4)
  np.testing.assert_allclose(train.std(0), 1, atol=1e-4)
  assert not inputs[~inside].any()
  # Other test sounds change nothing of what trains.
  for record in held.splits['fold1']:
    record['samples'] = record['samples'] // 2
  held.checksum = 'other'
  other = urban_sound(**OPTIONS, scale='standard').pool(0)
  np.testing.assert_array_equal(
    other.examples.inputs[pool.parts['train']], inputs[pool.parts['train']]
  )


def test_samples_are_in_16_bit_units_however_stored(use):
  inputs = urban_sound(**OPTIONS).pool(0).examples.inputs

  def change(splits):
    for records in splits.values():
      for record in records:
        record['samples'] = record['samples'].astype(np.float32) / 32768
        silence = np.zeros_like(record['samples'])
        record['samples'] = np.concatenate([record['samples'], silence], 1)

  use(change=change)
  # The first of two channels.
  other = urban_sound(**OPTIONS).pool(0).examples.inputs
  np.testing.assert_allclose(other, inputs, rtol=1e-5, atol=1e-3)


def test_features_are_made_once(use, monkeypatch):
  inputs = urban_sound(**OPTIONS).pool(0).examples.inputs
  monkeypatch.setattr(_sounds, 'compute', None)
  again = urban_sound(**OPTIONS).pool(0).examples.inputs
  np.testing.assert_array_equal(again, inputs)


def test_progress_is_said(use, capsys):
  urban_sound(**OPTIONS)
  assert 'features of 48 of 48 sounds' in capsys.readouterr().err


@pytest.mark.parametrize(
  ('factory', 'features'),
  [
    *((urban_sound, 'same_band'), (urban_sound, 'log_mel')),
    *((esc10, 'log_mel'), (esc10, 'same_band')),
  ],
)
def test_levels_tell_a_hum_from_a_hiss(use, factory, features):
  data = factory(**OPTIONS | {'features': features})
  levels = data.levels(data.pool(0))
  assert levels['majority class']['accuracy'] == 0.5
  assert levels['time-averaged spectrum']['accuracy'] == 1
  if factory is esc10:
    assert levels['5 nearest time-averaged spectra'] == {'accuracy': 1}


def test_facts(use):
  data = urban_sound(**OPTIONS, window=20.0)
  assert data.facts == {
    'data': '48 sounds, 12 in fold 1, 12 in fold 2, 12 in fold 3, '
    '12 in fold 10',
    'channels': '48 with 1; the first is heard',
    'rates': '48 at 8,000 Hz; features are made at 8,000 Hz',
    'left out': 'fold1/a.wav: truncated',
    'licence': 'CC BY-NC 3.0',
    'citation': 'cite',
  }
  assert data.classes == CLASSES and data.num_outputs == 2
  assert data.num_inputs == 100 and data.loss == 'softmax'


def test_facts_of_a_resampled_copy(use):
  use(change=longer)
  facts = urban_sound().facts
  assert facts['rates'] == (
    '48 at 8,000 Hz; features are made at 44,100 Hz, the upper part empty '
    'where a sound had less'
  )
  assert facts['published split'].endswith('none is at the published 44,100 Hz')


@pytest.mark.parametrize('name', ['urban_sound', 'esc10'])
def test_options_are_in_the_catalog(name):
  entry = catalog.describe('datasets', name)
  assert list(entry.options) == [
    'window', 'hop', 'features', 'rate', 'split', 'fold', 'scale',
  ]  # fmt: skip
  assert len(entry.refuses) == 2


@pytest.mark.parametrize(
  'options, message',
  [
    ({'split': 'random'}, "split='random' must be one of published, official"),
    ({'scale': 'db'}, "scale='db' must be one of None, pcm, standard"),
    ({'features': 'log_mel', 'scale': 'pcm'}, 'scale=pcm: log_mel features'),
    ({'split': 'published', 'fold': 1}, 'fold=1: only split=official'),
    ({'features': 'fft'}, "features='fft' must be one of published_slice,"),
  ],
)
def test_refusals(use, options, message):
  with pytest.raises(ValueError, match=message):
    urban_sound(**OPTIONS | options)


@real_data
def test_esc10_is_there():
  data = esc10(source=Source(DATA))
  pool = data.pool(0)
  assert {part: len(i) for part, i in pool.parts.items()} == {
    'train': 240,
    'valid': 80,
    'test': 80,
  }
  assert pool.examples.inputs.shape == (400, 500, 64)
  assert np.bincount(pool.examples.targets).tolist() == [40] * 10
  levels = [data.levels(data.pool(seed)) for seed in range(5)]
  reached = np.mean([l['time-averaged spectrum']['accuracy'] for l in levels])
  assert 0.6 < reached < 0.75


@real_data
def test_urban_sound_is_there():
  data = urban_sound(features='log_mel', split='official', source=Source(DATA))
  parts = data.pool(0).parts
  assert {part: len(i) for part, i in parts.items()} == {
    'train': 1224,
    'valid': 888,
    'test': 873,
  }
