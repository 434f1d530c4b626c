"""Which sounds train, validate, test: no recording twice, one split a seed."""

import numpy as np
import pytest

from lstm_jax.lab.data import _folds, _sounds
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.urban_sound import urban_sound
from tests import sound_collection
from tests.sound_collection import OPTIONS, RATE, longer


@pytest.fixture
def use(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  return sound_collection.loader(monkeypatch)


def known(**changes):
  """`Sounds` of 8 with nothing to hear."""
  n = 8
  facts = {
    'features': np.zeros((n, 3, 2), np.float32),
    'lengths': np.full(n, 3, np.int32),
    'labels': np.zeros(n, np.int32),
    'folds': np.arange(n, dtype=np.int32) // 2,
    'groups': np.arange(n, dtype=np.int32),
    'rates': np.full(n, 44_100, np.int32),
    'channels': np.ones(n, np.int32),
    'seconds': np.full(n, 4.0),
    'bits16': np.ones(n, bool),
  }
  return _sounds.Sounds(**facts | changes)


@pytest.mark.parametrize('seed', range(9))
def test_no_recording_is_in_two_official_parts(use, seed):
  held = use(folds=(1, 2, 3, 4, 5))
  pool = urban_sound(**OPTIONS).pool(seed)
  records = [r for split in held.splits.values() for r in split]
  assert sum(map(len, pool.parts.values())) == len(records)
  groups = [
    {records[i]['group'] for i in indices} for indices in pool.parts.values()
  ]
  assert len(set.union(*groups)) == sum(map(len, groups))
  folds = {p: {records[i]['fold'] for i in ii} for p, ii in pool.parts.items()}
  test = 1 + seed % 5
  assert folds['test'] == {test} and folds['valid'] == {test % 5 + 1}


def test_the_fold_that_tests_can_be_chosen(use):
  for seed in (0, 3):
    parts = urban_sound(**OPTIONS, fold=10).pool(seed).parts
    assert parts['test'].tolist() == list(range(36, 48))
    assert parts['valid'].tolist() == list(range(12))


def test_a_recording_in_two_folds_is_bad_data(use):
  def change(splits):
    splits['fold2'][0]['group'] = splits['fold1'][0]['group']

  use(change=change)
  data = urban_sound(**OPTIONS)
  with pytest.raises(BadData, match='urban_sound: 3 sounds are of recordings'):
    data.pool(0)


def test_the_published_shares():
  parts = _folds.random_parts(np.arange(2552), 0)
  assert {part: len(indices) for part, indices in parts.items()} == {
    'train': 2040,
    'valid': 127,
    'test': 385,
  }
  everything = np.sort(np.concatenate(list(parts.values())))
  assert everything.tolist() == list(range(2552))
  again, other = (_folds.random_parts(np.arange(2552), s) for s in (0, 1))
  assert (parts['test'] == again['test']).all()
  assert (parts['test'] != other['test']).any()


def test_the_published_filter():
  sounds = known(
    rates=np.array([44_100, 48_000] + [44_100] * 6, np.int32),
    bits16=np.array([1, 1, 0, 1, 1, 1, 1, 1], bool),
    channels=np.array([1, 1, 1, 2, 3, 1, 1, 1], np.int32),
    seconds=np.array([4, 4, 4, 4, 4, 0.99, 1, 4.0]),
  )
  assert _folds.published_filter(sounds).tolist() == [0, 3, 6, 7]
  resampled = known(rates=np.full(8, 22_050, np.int32))
  assert _folds.published_filter(resampled).tolist() == list(range(8))


def test_sounds_that_the_filter_refuses_are_in_no_part(use):
  # All are shorter than a second but these.
  def change(splits):
    for fold in ('fold2', 'fold3'):
      for record in splits[fold]:
        record['samples'] = np.zeros((RATE, 1), np.int16)

  use(change=change)
  data = urban_sound(**OPTIONS | {'split': 'published'})
  used = np.concatenate(list(data.pool(0).parts.values()))
  assert sorted(used) == list(range(12, 36))
  assert data.facts['published split'].startswith('24 sounds of 16 bits')


@pytest.mark.parametrize('split', ['published', 'official'])
def test_every_window_has_the_same_parts(use, split):
  use(change=longer)
  options = OPTIONS | {'split': split}
  pools = [
    urban_sound(**options | changes).pool(3)
    for changes in (
      {'window': 10.0},
      {'window': 100.0},
      {'features': 'log_mel'},
      {'features': 'published_slice'},
    )
  ]
  for pool in pools[1:]:
    for part, indices in pool.parts.items():
      assert (indices == pools[0].parts[part]).all() and len(indices)
    assert (pool.examples.targets == pools[0].examples.targets).all()


def test_too_few_sounds_pass_the_published_filter(use):
  with pytest.raises(
    ValueError, match='0 sounds of urban_sound pass its filter'
  ):
    urban_sound()


def test_refusals_of_folds(use):
  with pytest.raises(ValueError, match='fold=4 must be one of 1, 2, 3, 10'):
    urban_sound(**OPTIONS, fold=4).pool(0)
  use(folds=(1, 2))
  with pytest.raises(ValueError, match='urban_sound has the folds 1, 2; it'):
    urban_sound(**OPTIONS).pool(0)
