"""Every bad file of a data set is named, and left out only where asked."""

import shutil

import numpy as np
import pytest

from lstm_jax.lab.data.files import reviews
from lstm_jax.lab.data.files.errors import BadData
from tests import tiny_sets as tiny
from tests.tiny_sets import CLIP, MAKERS, load, prepare, records


@pytest.fixture(autouse=True)
def few_reviews(monkeypatch):
  monkeypatch.setattr(reviews, 'REVIEWS_OF_CLASS', 3)


# Every way in which a set can be bad. Name of the set, what is done to its
# folder, the reason that is given, and what is left if it is left out (clips or
# reviews; None: nothing can go on).
def rewrite(name, old, new):
  def spoil(home):
    text = (home / name).read_text()
    assert old in text
    (home / name).write_text(text.replace(old, new, 1))

  return spoil


def put(name, content):
  return lambda home: (home / name).write_bytes(content)


TABLE = 'metadata/UrbanSound8K.csv'
NAN = tiny.riff(tiny.fmt(3, bits=32), np.full(4, np.nan, '<f4').tobytes())
BAD = {
  'truncated WAV': ('urban_sound', put(CLIP, tiny.wav()[:-9]), 'cut short', 3),
  'empty WAV': ('urban_sound', put(CLIP, b''), r'is empty \(0 bytes', 3),
  'header length': (
    'urban_sound', put(CLIP, tiny.riff(tiny.fmt(), bytes(80), said=40)),
    'wrong length in the header', 3),
  'unknown codec': (
    'urban_sound', put(CLIP, tiny.riff(tiny.fmt(0x55AA), bytes(80))),
    'unknown codec 0x55aa', 3),
  'NaN samples': ('urban_sound', put(CLIP, NAN), '4 samples are no numbers', 3),
  'zero length': (
    'urban_sound', put(CLIP, tiny.riff(tiny.fmt(), b'')), 'length zero', 3),
  'the only clip of a fold': (
    'urban_sound', put('audio/fold2/8-1-0-0.wav', b''), 'is empty', 3),
  'missing column': (
    'urban_sound', rewrite(TABLE, ',fold,', ',gold,'), 'no column fold', None),
  'extra column': (
    'urban_sound',
    put(TABLE, '\n'.join(
      f'{line},{"more" if line == tiny.URBAN else 1}' for line in (
        tiny.URBAN, *(f'{n},{g},0,4,1,{f},{i},{w}'
                      for n, g, f, i, w in tiny.URBAN_CLIPS))).encode()),
    "column 'more' that is not known", 4),
  'ragged row': (
    'urban_sound', rewrite(TABLE, ',3,dog_bark', ',3,dog_bark,1'),
    'line 2: 9 fields', 3),
  'label out of range': (
    'urban_sound', rewrite(TABLE, ',3,dog_bark', ',10,dog_bark'),
    'line 2: classID 10 is outside 0 to 9', 3),
  'fold out of range': (
    'urban_sound', rewrite(TABLE, '1,1,3,dog', '1,11,3,dog'),
    'line 2: fold 11 is outside 1 to 10', 3),
  'label against class': (
    'urban_sound', rewrite(TABLE, ',3,dog_bark', ',4,dog_bark'),
    'contradict each other', 3),
  'label against name': (
    'urban_sound', rewrite(TABLE, ',3,dog_bark', ',4,drilling'),
    'contradict each other', 3),
  'unknown class': (
    'urban_sound', rewrite(TABLE, 'dog_bark', 'dog_park'),
    "class 'dog_park' is not one of", 3),
  'duplicate': (
    'urban_sound', rewrite(TABLE, '8-1-0-0.wav,8,0.0,4.0,1,2,1,car_horn',
                           '7-3-0-0.wav,7,0.0,4.0,1,1,3,dog_bark'),
    'listed on line 2 already', 3),
  'listed but absent': (
    'urban_sound', lambda home: (home / CLIP).unlink(),
    'is listed in UrbanSound8K.csv, but is not there', 3),
  'present but not listed': (
    'urban_sound', put('audio/fold1/7-3-0-9.wav', tiny.wav()),
    'is not listed in UrbanSound8K.csv', 4),
  'in another fold': (
    'urban_sound',
    lambda home: (home / CLIP).rename(home / 'audio/fold2/7-3-0-0.wav'),
    'is not there', 3),
  'empty table': ('urban_sound', put(TABLE, b''), 'is empty', None),
  'Latin-1 table': ('urban_sound', put(TABLE, b'\xe9'), 'not UTF-8', None),
  'no clip left': (
    'urban_sound', lambda home: shutil.rmtree(home / 'audio'),
    r'1 more \(4 in all\)|nothing is left', None),
  'ESC label': (
    'esc10', rewrite('meta/esc50.csv', '0,dog', '50,dog'),
    'line 2: target 50 is outside 0 to 49', 2),
  'ESC label against class': (
    'esc10', rewrite('meta/esc50.csv', '0,dog', '1,dog'), 'contradict', 2),
  'ESC part': (
    'esc10', rewrite('meta/esc50.csv', 'cat,False', 'cat,True'),
    'contradict', 3),
  'ESC clip': ('esc10', put('audio/1-7-A-0.wav', NAN), 'no numbers', 2),
  'review missing': (
    'imdb', lambda home: (home / 'train/pos/2_9.txt').unlink(),
    'train/pos: 2 reviews, the published folder has 3', 11),
  'empty review': ('imdb', put('test/neg/2_3.txt', b''), 'is empty', 11),
  'Latin-1 review': (
    'imdb', put('test/neg/2_3.txt', b'caf\xe9'), 'is not UTF-8', 11),
  'review of no number': (
    'imdb', put('test/neg/copy.txt', b'x'), 'of the form ID_RATING', 12),
  'rating against class': (
    'imdb', put('test/neg/3_9.txt', b'x'), 'rating 9 in the folder neg', 12),
}  # fmt: skip


@pytest.mark.parametrize('case', BAD)
def test_a_bad_file_stops_or_is_left_out_and_counted(case, tmp_path):
  name, spoil, reason, left = BAD[case]
  spoil(MAKERS[name](tmp_path))
  with pytest.raises(BadData, match=reason) as raised:
    prepare(name, tmp_path)
  assert str(raised.value).startswith(str(tmp_path))
  assert '\n' not in str(raised.value)
  assert not list(tmp_path.rglob('whole.json'))
  if left is None:
    with pytest.raises(BadData, match=reason):
      prepare(name, tmp_path, skip_bad=True)
    return
  held = prepare(name, tmp_path, skip_bad=True)
  assert sum(len(of) for of in records(held).values()) == left
  assert held.left_out
  assert all(
    ': ' in line and str(tmp_path) not in line for line in held.left_out
  )
  # What was left out once is not forgotten.
  with pytest.raises(BadData, match=reason):
    load(name, tmp_path)
  assert load(name, tmp_path, skip_bad=True).left_out == held.left_out


def test_a_set_without_what_was_left_out_is_refused_without_sources(tmp_path):
  home = tiny.urban(tmp_path)
  (home / CLIP).write_bytes(b'')
  prepare('urban_sound', tmp_path, skip_bad=True)
  shutil.rmtree(home)
  assert load('urban_sound', tmp_path, skip_bad=True)
  with pytest.raises(BadData, match='7-3-0-0.wav: is empty'):
    load('urban_sound', tmp_path)


def spoiled_archives(folder):
  """name of a set -> archive that cannot be used, reason."""
  home = tiny.urban(folder / 'whole')
  path = tiny.packed(home, folder / 'UrbanSound8K.tar.gz', 'w:gz')
  return path, path.read_bytes()


def test_a_truncated_archive_cannot_be_gone_on_with(tmp_path):
  path, content = spoiled_archives(tmp_path)
  path.write_bytes(content[:-20])
  for skip_bad in (False, True):
    with pytest.raises(BadData, match='UrbanSound8K.tar.gz: damaged or cut'):
      prepare('urban_sound', tmp_path, skip_bad=skip_bad)


@pytest.mark.parametrize('member', ['/etc/7-3-0-7.wav', '../7-3-0-7.wav'])
def test_a_dishonest_archive(member, tmp_path):
  home = tiny.urban(tmp_path / 'whole')
  held = [
    (f'UrbanSound8K/{file.relative_to(home)}', file.read_bytes())
    for file in sorted(home.rglob('*.*'))
  ]
  tiny.tar(tmp_path / 'UrbanSound8K.tar', [(member, tiny.wav()), *held])
  with pytest.raises(BadData, match=f'UrbanSound8K.tar: member {member}: a'):
    prepare('urban_sound', tmp_path)
  found = prepare('urban_sound', tmp_path, skip_bad=True)
  assert len(found.left_out) == 1
  assert sum(map(len, found.splits.values())) == 4


def test_an_archive_of_something_else(tmp_path):
  tiny.tar(tmp_path / 'UrbanSound8K.tar', [('a.txt', b'')])
  with pytest.raises(BadData, match='holds no metadata/UrbanSound8K.csv'):
    prepare('urban_sound', tmp_path)


def test_the_published_archive_is_checked(tmp_path):
  home = tiny.imdb(tmp_path / 'whole')
  tiny.packed(home, tmp_path / 'aclImdb_v1.tar.gz', 'w:gz')
  for skip_bad in (False, True):
    with pytest.raises(BadData, match='the published file has 84,125,825'):
      prepare('imdb', tmp_path, skip_bad=skip_bad)
