"""Reviews as rows of ids: Keras's file by definition, row by row.

What is documented of that file: the ids of its first reviews, some ranks, the
order of Python 2's dicts. It is met on the real reviews where they are.
"""

import os

import numpy as np
import pytest

from lstm_jax.lab.data import _ranks, _text
from lstm_jax.lab.data import imdb as imdb_module
from lstm_jax.lab.data.files import prepared as prepared_lib
from lstm_jax.lab.data.files.errors import BadData, Source
from lstm_jax.lab.data.imdb import imdb
from lstm_jax.lab.plan import catalog

# The first reviews of Keras's training and test part at 10,000 words, as
# notebooks print them.
FIRST = '''
1 14 22 16 43 530 973 1622 1385 65 458 4468 66 3941 4 173 36 256 5 25 100 43 838
112 50 670 2 9 35 480 284 5 150 4 172 112 167 2 336 385 39 4 172 4536 1111 17
546 38 13 447 4 192 50 16 6 147 2025 19 14 22 4 1920 4613 469 4 22 71 87 12 16
43 530 38 76 15 13 1247 4 22 17 515 17 12 16 626 18 2 5 62 386 12 8 316 8 106 5
4 2223 5244 16 480 66 3785 33 4 130 12 16 38 619 5 25 124 51 36 135 48 25 1415
33 6 22 12 215 28 77 52 5 14 407 16 82 2 8 4 107 117 5952 15 256 4 2 7 3766 5
723 36 71 43 530 476 26 400 317 46 7 4 2 1029 13 104 88 4 381 15 297 98 32 2071
56 26 141 6 194 7486 18 4 226 22 21 134 476 26 480 5 144 30 5535 18 51 36 28 224
92 25 104 4 226 65 16 38 1334 88 12 16 283 5 16 4472 113 103 32 15 16 5345 19
178 32'''  # fmt: skip
SECOND_BEGINS = [1, 194, 1153, 194, 8255, 78, 228, 5, 6, 1463, 4369, 5012, 134]
FIRST_TEST_BEGINS = [1, 591, 202, 14, 31, 6, 717, 10, 10, 2, 2, 5, 4, 360, 7, 4]
FIRST_LABELS = [1, 0, 0, 1, 0, 0, 1, 0, 1, 0]
# Ranks of Keras's index, among words that are as frequent as many others.
RANKS = {
  'brilliant': 527, 'casting': 970, "everyone's": 4465, 'profile': 7483,
  'burgade': 14129, 'wayan': 30528, 'footwork': 34698, 'fawn': 34701,
  "hangin'": 34702, 'tsukino': 52006, 'nunnery': 52007, 'trawling': 52008,
  "'royale": 52010, 'vani': 63951,
}  # fmt: skip

DATA = os.environ.get('LSTM_JAX_DATA')
real_data = pytest.mark.skipif(not DATA, reason='LSTM_JAX_DATA is not set')


class Reviews:
  """Stands for `files.opened.Prepared`."""

  name = 'imdb'
  classes = ('neg', 'pos')
  citation, licence, left_out = 'cite', 'free', ()

  def __init__(self, train=40, test=20):
    self.checksum = f'{train} {test}'
    self.splits = {
      split: [
        {
          'text': f'{"good" if i % 2 else "bad"} film {split}{i}'.encode(),
          'label': i % 2,
          'id': i // 2,
        }
        for i in range(count)
      ]
      for split, count in (('train', train), ('test', test))
    }


@pytest.fixture
def reviews(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.setattr(prepared_lib, 'load', lambda *args, **kwargs: Reviews())


def test_words_are_what_blanks_and_punctuation_part():
  text = b"It's a <br />well-made\tfilm -- (1999) caf\xc3\x89.\nYES"
  assert _ranks.words_of(text) == [
    b"it's", b'a', b'br', b'well', b'made', b'film', b'1999', b'caf\xc3\x89',
    b'yes',
  ]  # fmt: skip


def test_python2_hash():
  # As 64-bit Python 2.7 prints it.
  assert _ranks._hash(b'a') == 12416037344


def test_python2_dicts_have_their_known_order():
  assert _ranks.python2_order([b'a', b'b', b'c']) == [b'a', b'c', b'b']


def test_python2_dicts_grow_when_two_thirds_are_taken():
  # Pinned from the code that meets Keras's index on the real reviews.
  words = b'one two three four five six seven eight nine ten'.split()
  assert b' '.join(_ranks.python2_order(words)) == (
    b'seven ten nine six three two four five eight one'
  )


@pytest.mark.parametrize('count', [5, 6, 21, 22, 1000])
def test_python2_order_loses_nothing_when_a_dict_grows(count):
  keys = [str(i).encode() for i in range(count)]
  assert sorted(_ranks.python2_order(keys)) == sorted(keys)


def test_ranks_go_by_frequency_then_by_the_dict():
  ranks = _ranks.ranks([b'b a c', b'd d d', b'c b a d'])
  assert ranks == {b'd': 1, b'a': 2, b'c': 3, b'b': 4}


def test_encode_starts_shifts_and_drops_unknown_words():
  found = _text.encode([b'a b', b'new', b'b'], {b'a': 1, b'b': 9})
  assert found.ids.tolist() == [1, 4, 12, 1, 1, 12]
  assert found.lengths.tolist() == [3, 1, 2]


@pytest.mark.parametrize('left_aligned', [False, True])
@pytest.mark.parametrize('keep', ['last', 'first'])
@pytest.mark.parametrize('length', [1, 4, 7, 12])
def test_rows_are_reviews_cut_and_filled(length, keep, left_aligned):
  reviews = [[1, 4, 9, 30], [1], [1, *range(4, 14)], [1, 20, 4, 5, 6, 7, 8]]
  lengths = np.array([len(review) for review in reviews], np.int32)
  tokens, kept = _text.rows(
    _text.Reviews(np.concatenate(reviews).astype(np.int32), lengths),
    12,
    length,
    keep,
    left_aligned,
  )
  for row, number, review in zip(tokens, kept, reviews, strict=True):
    known = [i if i < 12 else 2 for i in review]
    cut = known[-length:] if keep == 'last' else known[:length]
    filled = [0] * (length - len(cut))
    assert row.tolist() == (cut + filled if left_aligned else filled + cut)
    assert number == len(cut)
  assert tokens.dtype == kept.dtype == np.int32


def test_keras_read_positive_reviews_first_and_names_as_text(reviews):
  held = Reviews()
  for records in held.splits.values():
    for record in records:
      record['text'] = b'w ' * record['id']
  found = imdb_module._encoded(held)
  order = np.random.RandomState(113).permutation(40)
  names = sorted(f'{i}_7.txt' for i in range(20))
  numbers = [int(name.split('_')[0]) for name in names]
  assert (found['lengths'][:40] - 1).tolist() == [
    numbers[i % 20] for i in order
  ]
  assert found['labels'][:40].tolist() == [int(i < 20) for i in order]


def test_parts_are_the_last_fifth_and_the_test_reviews(reviews):
  pool = imdb(length=6).pool(0)
  assert [len(pool.parts[p]) for p in ('train', 'valid', 'test')] == [32, 8, 20]
  assert np.concatenate(list(pool.parts.values())).tolist() == list(range(60))
  assert pool.examples.inputs.shape == (60, 6)
  assert pool.examples.lengths is None


def test_every_seed_has_the_same_arrays(reviews):
  data = imdb(length=6)
  assert data.pool(0).examples is data.pool(1).examples


def test_targets_are_the_labels_of_their_rows(reviews):
  data = imdb(length=6)
  inputs, targets, _ = data.pool(0).examples
  # 'film' is more frequent than either; then the two, then the numbers.
  ids = {row[row > 1][0] for row in inputs[targets == 1]}
  assert len(ids) == 1 and not ids & {
    row[row > 1][0] for row in inputs[targets == 0]
  }


def test_masked_reviews_begin_at_the_first_step(reviews):
  examples = imdb(length=6, mask=True).pool(0).examples
  assert (examples.inputs[:, 0] == 1).all()
  # A test review has a word that no training review has.
  assert set(examples.lengths[:40]) == {4} and set(examples.lengths[40:]) == {3}


def test_levels_see_words_and_are_kept(reviews):
  data = imdb(length=6, words=6)
  levels = data.levels(data.pool(0))
  assert levels['majority class']['accuracy'] == 0.5
  assert levels['naive Bayes']['accuracy'] == 1
  assert levels['logistic regression on words']['accuracy'] == 1
  assert data.levels(data.pool(0)) == levels


def test_a_text_is_read_as_a_review(reviews):
  held = Reviews()
  for mask in (False, True):
    data = imdb(length=6, mask=mask)
    pool = data.pool(0)
    record = held.splits['train'][0]
    ids, lengths = data.encoder.encode('a.txt', record['text'], pool)
    assert data.encoder.endings == ('.txt',)
    same = (pool.examples.inputs == ids).all(1)
    assert same.any() and ids.shape == (1, 6)
    if mask:
      assert set(pool.examples.lengths[same]) == set(lengths)
  for content, words in (
    (b'caf\xe9', 'not UTF-8 text at byte 3'),
    (b' ', 'em'),
  ):
    with pytest.raises(BadData, match=f'a.txt: is {words}'):
      data.encoder.encode('a.txt', content, pool)


def test_options_are_in_the_catalog():
  entry = catalog.describe('datasets', 'imdb')
  assert list(entry.options) == ['words', 'keep', 'mask', 'valid']
  assert entry.numbers == {'length': 500}


@pytest.mark.parametrize(
  'options, message',
  [
    ({'length': 0}, 'length=0 must be at least 1'),
    ({'words': 3}, 'words=3 must be above 3'),
    ({'keep': 'middle'}, "keep='middle' must be one of last, first"),
    ({'valid': 1.0}, 'valid=1.0 must be between 0 and 1'),
  ],
)
def test_refusals(reviews, options, message):
  with pytest.raises(ValueError, match=message):
    imdb(**options)


@real_data
def test_keras_file_is_met():
  data = imdb(source=Source(DATA))
  inputs, targets, _ = data.pool(0).examples
  first = list(map(int, FIRST.split()))
  assert inputs[0][-218:].tolist() == first and not inputs[0][:-218].any()
  begins = [row[np.flatnonzero(row)[0] :] for row in inputs[[1, 25_000]]]
  for row, known in zip(
    begins, (SECOND_BEGINS, FIRST_TEST_BEGINS), strict=True
  ):
    assert row[: len(known)].tolist() == known
  assert targets[:10].tolist() == FIRST_LABELS
  assert {k: len(v) for k, v in data.pool(0).parts.items()} == {
    'train': 20_000,
    'valid': 5_000,
    'test': 25_000,
  }


@real_data
def test_keras_index_is_met():
  records = prepared_lib.load('imdb', DATA).splits['train']
  texts = [
    record['text']
    for record in sorted(records, key=lambda r: (-r['label'], f'{r["id"]}_'))
  ]
  ranks = _ranks.ranks(texts)
  assert len(ranks) == 88_584
  assert {word: ranks[word.encode()] for word in RANKS} == RANKS
  lengths = _text.encode(texts, ranks).lengths
  assert lengths.mean() == pytest.approx(238.71364, abs=1e-5)
  assert lengths.max() == 2494
