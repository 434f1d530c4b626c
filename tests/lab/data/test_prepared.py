"""Data sets: prepared whole or not at all, and no bad file goes unnamed."""

import collections
import os
import shutil
import signal
import threading

import numpy as np
import pytest

from lstm_jax.lab.data.files import making, published, reviews
from lstm_jax.lab.data.files.errors import Missing
from tests import children
from tests import tiny_sets as tiny
from tests.tiny_sets import MAKERS, load, prepare, records

REAL = pytest.mark.skipif(
  'LSTM_JAX_DATA' not in os.environ, reason='LSTM_JAX_DATA is not set'
)


@pytest.fixture(autouse=True)
def few_reviews(monkeypatch):
  monkeypatch.setattr(reviews, 'REVIEWS_OF_CLASS', 3)


def test_reviews_are_stored_in_the_order_of_their_numbers(tmp_path):
  tiny.imdb(tmp_path)
  held = prepare('imdb', tmp_path)
  found = records(held)
  assert list(found) == ['train', 'test']
  for split, of in found.items():
    assert [(r['label'], r['id']) for r in of] == [
      (label, number) for label in (0, 1) for number in (0, 2, 10)
    ]
    assert of[1]['text'] == f'{split} neg 2 <br />\u00e9t\u00e9'.encode()
  assert held.counts == {'train': [3, 3], 'test': [3, 3]}
  assert held.classes == ('neg', 'pos')
  assert held.left_out == ()


def test_clips_are_stored_as_they_are(tmp_path):
  tiny.urban(tmp_path)
  held = prepare('urban_sound', tmp_path)
  found = records(held)
  assert list(found) == ['fold1', 'fold2', 'fold10']
  for number, clip in enumerate(clip for of in found.values() for clip in of):
    name, group, fold, label, word = tiny.URBAN_CLIPS[number]
    np.testing.assert_array_equal(
      clip.pop('samples'), tiny.samples(seed=number)
    )
    assert clip == {
      'name': name, 'group': group, 'fold': fold, 'label': label, 'rate': 8000
    }  # fmt: skip
    assert held.classes[label] == word
  assert held.seconds == {'fold1': 0.02, 'fold2': 0.01, 'fold10': 0.01}
  assert 'CC BY-NC' in held.licence and 'Salamon' in held.citation


def test_depths_and_channels_survive(tmp_path):
  home = tiny.urban(tmp_path)
  wide = np.linspace(-1, 1, 30, dtype='<f4').reshape(15, 2)
  stereo = tiny.samples(20, 2)
  (home / 'audio/fold1/7-3-0-0.wav').write_bytes(
    tiny.riff(tiny.fmt(3, channels=2, bits=32), wide.tobytes())
  )
  (home / 'audio/fold2/8-1-0-0.wav').write_bytes(tiny.wav(stereo, 44100))
  found = records(prepare('urban_sound', tmp_path))
  first, second = found['fold1'][0], found['fold2'][0]
  assert first['samples'].dtype == np.float32
  np.testing.assert_array_equal(first['samples'], wide)
  assert second['samples'].dtype == np.int16 and second['rate'] == 44100
  np.testing.assert_array_equal(second['samples'], stereo)


def test_esc10_is_a_part_of_esc50(tmp_path):
  tiny.esc(tmp_path)
  fifty, ten = prepare('esc50', tmp_path), prepare('esc10', tmp_path)
  named = lambda held: [
    (clip['name'], held.classes[clip['label']])
    for of in records(held).values()
    for clip in of
  ]
  assert named(fifty) == [(clip[0], clip[3]) for clip in tiny.ESC_CLIPS]
  assert named(ten) == [c for c in named(fifty) if c[1] != 'cat']
  assert len(fifty.classes) == 50 and len(ten.classes) == 10
  assert list(fifty.splits) == ['fold1', 'fold2', 'fold5']


def test_records_are_a_sequence(tmp_path):
  tiny.urban(tmp_path)
  of = prepare('urban_sound', tmp_path).splits['fold1']
  names = [clip['name'] for clip in of]
  assert names == ['7-3-0-0.wav', '7-3-0-1.wav']
  assert of[-1]['name'] == of[np.int64(1)]['name'] == names[1]
  for wrong in (2, -3):
    with pytest.raises(IndexError, match=f'index {wrong}: there are 2 records'):
      of[wrong]


@pytest.mark.parametrize('ending, mode', [('tar', 'w'), ('tar.xz', 'w:xz')])
@pytest.mark.parametrize('name', MAKERS)
def test_an_archive_is_the_folder(name, ending, mode, tmp_path):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'b').mkdir()
  home = MAKERS[name](tmp_path / 'a')
  tiny.packed(home, tmp_path / 'b' / f'{home.name}.{ending}', mode)
  folder, archive = (load(name, tmp_path / of) for of in 'ab')
  assert folder.checksum == archive.checksum
  assert folder.counts == archive.counts


def test_where_sets_are_looked_for(tmp_path):
  home = tiny.urban(tmp_path / 'downloads' / 'manual')
  assert len(load('urban_sound', tmp_path).splits) == 3
  assert len(load('urban_sound', home).splits) == 3


def test_the_checksum_is_of_the_content(tmp_path):
  first = tiny.urban(tmp_path / 'a')
  tiny.urban(tmp_path / 'b')
  same = [prepare('urban_sound', tmp_path / of).checksum for of in 'ab']
  assert same[0] == same[1]
  (first / 'audio/fold1/7-3-0-0.wav').write_bytes(tiny.wav(tiny.samples(81)))
  assert prepare('urban_sound', tmp_path / 'a').checksum != same[0]


def test_what_is_prepared_is_read_and_not_made_again(tmp_path):
  home = tiny.urban(tmp_path)
  first = load('urban_sound', tmp_path)
  again = load('urban_sound', tmp_path, say=pytest.fail)
  assert again._replace(splits=0) == first._replace(splits=0)
  shutil.rmtree(home)  # not needed any more
  assert load('urban_sound', tmp_path, say=pytest.fail).counts == first.counts


def test_changed_files_are_prepared_anew(tmp_path):
  home = tiny.urban(tmp_path)
  assert load('urban_sound', tmp_path).counts['fold2'][1] == 1
  (home / 'audio/fold2/8-1-0-1.wav').write_bytes(tiny.wav())
  with open(home / 'metadata/UrbanSound8K.csv', 'a') as table:
    table.write('8-1-0-1.wav,8,0,1,1,2,1,car_horn\n')
  assert load('urban_sound', tmp_path).counts['fold2'][1] == 2


@pytest.mark.parametrize('damage', ['no seal', 'torn seal', 'cut', 'gone'])
def test_half_of_a_prepared_set_is_not_taken_for_one(damage, tmp_path):
  tiny.urban(tmp_path)
  whole = load('urban_sound', tmp_path)
  place = tmp_path / 'lstm_jax/urban_sound/1.0.0'
  shard = next(place.glob('*fold2*'))
  if damage == 'no seal':
    (place / 'whole.json').unlink()
  elif damage == 'torn seal':
    (place / 'whole.json').write_bytes(b'{')
  elif damage == 'cut':
    shard.write_bytes(shard.read_bytes()[:-1])
  else:
    shard.unlink()
  said = []
  again = load('urban_sound', tmp_path, say=said.append)
  assert said and again.checksum == whole.checksum
  assert len(records(again)['fold2']) == 1


def test_damage_is_told_where_the_sources_are_gone(tmp_path):
  home = tiny.urban(tmp_path)
  load('urban_sound', tmp_path)
  (tmp_path / 'lstm_jax/urban_sound/1.0.0/whole.json').write_bytes(b'{')
  shutil.rmtree(home)
  with pytest.raises(Missing, match='what was prepared is damaged'):
    load('urban_sound', tmp_path)


def test_a_killed_preparation_leaves_nothing_that_is_read(tmp_path):
  tiny.urban(tmp_path)
  code = (
    'import os, signal\n'
    'from lstm_jax.lab.data.files import builders, prepared\n'
    'builders._EVERY = 0\n'
    'def say(line):\n'
    "  if ': 3 of' in line: os.kill(os.getpid(), signal.SIGKILL)\n"
    f'prepared.prepare("urban_sound", {str(tmp_path)!r}, say=say)\n'
  )
  children.python('-c', code, returns=-signal.SIGKILL)
  left = list((tmp_path / 'lstm_jax').rglob('*array_record*'))
  assert left and not list((tmp_path / 'lstm_jax').rglob('whole.json'))
  assert len(records(load('urban_sound', tmp_path))['fold1']) == 2
  assert not any(path.exists() for path in left)


def test_two_processes_prepare_one_after_the_other(tmp_path):
  tiny.urban(tmp_path)
  (tmp_path / 'lstm_jax').mkdir()
  said, held = [], []
  path = tmp_path / 'lstm_jax' / 'urban_sound.lock'
  waiting = threading.Event()

  def say(line):
    said.append(line)
    waiting.set()

  other = threading.Thread(
    target=lambda: held.append(load('urban_sound', tmp_path, say=say))
  )
  with making.alone(path, tiny.silent):
    other.start()
    assert waiting.wait(60)
    other.join(0.7)
    assert other.is_alive()
  other.join()
  assert said[0] == 'another process prepares urban_sound; waiting for it'
  assert sum(map(len, held[0].splits.values())) == 4


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
  tiny.urban(tmp_path / 'data')
  access = os.access
  monkeypatch.setattr(
    os,
    'access',
    lambda path, mode: 'data' not in str(path) and access(path, mode),
  )
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  assert len(load('urban_sound', tmp_path / 'data').splits) == 3
  assert not (tmp_path / 'data' / 'lstm_jax').exists()
  assert list((tmp_path / 'cache/lstm_jax/prepared').rglob('whole.json'))


@pytest.mark.parametrize('name', ['urban_sound', 'esc10', 'esc50'])
def test_a_missing_set_says_how_to_get_it(name, tmp_path):
  with pytest.raises(Missing) as raised:
    load(name, tmp_path)
  text, facts = str(raised.value), published.PUBLISHED[name]
  for part in (
    facts.title,
    facts.page,
    facts.layout,
    str(tmp_path),
    'need none',
  ):
    assert part in text
  assert '\n' not in text
  assert list(tmp_path.iterdir()) == []


def test_an_unknown_name(tmp_path):
  with pytest.raises(
    ValueError, match="name='mnist' must be one of imdb, urban"
  ):
    load('mnist', tmp_path)


def test_the_default_folder(monkeypatch, tmp_path):
  tiny.urban(tmp_path)
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
  monkeypatch.delenv('LSTM_JAX_DATA', raising=False)
  assert len(load('urban_sound').splits) == 3
  monkeypatch.setenv('LSTM_JAX_DATA', str(tmp_path / 'other'))
  with pytest.raises(Missing, match='other'):
    load('urban_sound')


def test_neither_tensorflow_nor_jax_is_imported():
  code = (
    'import sys, lstm_jax.lab.data.files.builders\n'
    'import lstm_jax.lab.data.files.prepared\n'
    "sys.exit(bool({'jax', 'tensorflow'} & set(sys.modules)))"
  )
  children.python('-c', code)


@REAL
def test_the_real_reviews(monkeypatch):
  monkeypatch.setattr(reviews, 'REVIEWS_OF_CLASS', 12_500)
  held = load('imdb')
  assert held.counts == {'train': [12_500] * 2, 'test': [12_500] * 2}
  for split, size, unique in (
    ('train', 33_132_823, 24_904),
    ('test', 32_350_685, 24_801),
  ):
    texts = [review['text'] for review in held.splits[split]]
    assert sum(map(len, texts)) == size
    assert len(set(texts)) == unique


@REAL
def test_the_real_sounds():
  ten = load('esc10')
  assert np.sum(list(ten.counts.values()), axis=0).tolist() == [40] * 10
  assert list(ten.seconds.values()) == [400.0] * 5
  urban = load('urban_sound')
  of = collections.Counter()
  for split, clips in urban.splits.items():
    for clip in clips:
      assert clip['label'] == int(clip['name'].split('-')[1])
      assert clip['group'] == int(clip['name'].split('-')[0])
      assert split == f'fold{clip["fold"]}'
      of[split] += 1
  assert sum(of.values()) in (2_985, 8_732)  # the part for tests, or all
