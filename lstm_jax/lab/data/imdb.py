"""IMDB reviews, positive or negative: 25,000 to train, 25,000 to test.

Data: A. L. Maas et al., "Learning word vectors for sentiment analysis", ACL
2011. Prepared as Keras's `imdb.load_data` and `pad_sequences` do; that Keras
keeps the last ids of a long review, where the books that use it say the first,
and that networks run over the filling, are options here.
"""

import functools
from typing import Literal

import numpy as np
import scipy.sparse

from lstm_jax.dataset import Dataset, Encoder, Examples, Pool
from lstm_jax.lab.data import _levels, _text
from lstm_jax.lab.data._cache import cached
from lstm_jax.lab.data._ranks import ranks
from lstm_jax.lab.data.files import prepared as prepared_lib
from lstm_jax.lab.data.files.errors import BadData, Source
from lstm_jax.ops.checked import Count, checked

NUMBERS = {'length': 500}
STATIC = ('length',)
MEAN_STEPS = (20000, 0)
# Counts up where a change of code changes what is made.
_FORM = 1


@checked
def imdb(
  *,
  length: Count = 500,
  words: int = 10_000,
  keep: Literal['last', 'first'] = 'last',
  mask: bool = False,
  valid: float = 0.2,
  source: Source | None = None,
) -> Dataset:
  """Sentiment of IMDB reviews from their words, said at the end.

  Args:
    length: T, ids of a row.
    words: size of the vocabulary, the ids 0 to 3 among it.
    keep: which ids of a longer review are kept.
    mask: whether reviews begin at the first step and the network stops at their
      end; else they end at the last step and the network runs over the filling
      before them, whose embedding it learns, as Keras does unless told.
    valid: share of the training reviews, the last of Keras's order, that
      validates.
    source: where the reviews are.

  Returns:
    The `Dataset`: tokens, one logit; every seed has the same arrays. Its levels
    see the ids that a network sees, without their order: naive Bayes on how
    often, logistic regression on whether a word occurs.

  Raises:
    ValueError: an option out of its range.
    Missing, BadData: the reviews are not there, or not what was published.

  Source: seed experiment "IMDB"; Chollet, "Deep Learning with Python" (2018),
  section 6.2.
  """
  if words <= _text.OFFSET:
    raise ValueError(f'words={words} must be above {_text.OFFSET}')
  if not 0 < valid < 1:
    raise ValueError(f'valid={valid} must be between 0 and 1')
  source = source or Source()
  prepared = prepared_lib.load(
    'imdb', source.data_dir, skip_bad=source.skip_bad
  )
  made_of = {'form': _FORM, 'data': prepared.checksum}
  arrays = cached('imdb', made_of, lambda: _encoded(prepared))
  tokens, lengths = _text.rows(
    _text.Reviews(arrays['ids'], arrays['lengths']), words, length, keep, mask
  )
  labels = np.asarray(arrays['labels'])
  num_train = int(arrays['num_train'][0])
  fitted = int(num_train * (1 - valid))
  index = np.arange(len(labels))
  pool = Pool(
    Examples(tokens, labels, lengths if mask else None),
    {
      'train': index[:fitted],
      'valid': index[fitted:num_train],
      'test': index[num_train:],
    },
  )

  def levels(pool):
    options = {'words': words, 'length': length, 'keep': keep, 'valid': valid}
    by_name = cached(
      'imdb-levels',
      made_of | options,
      lambda: {
        name: np.array([level['loss'], level['accuracy']])
        for name, level in _bags(pool, words).items()
      },
    )
    return {
      name: {'loss': float(loss), 'accuracy': float(accuracy)}
      for name, (loss, accuracy) in by_name.items()
    }

  @functools.cache
  def known():
    return ranks(_texts(prepared, 'train')[0])

  def encode(name, content, pool):
    del pool
    try:
      content.decode('utf-8')
    except UnicodeDecodeError as error:
      raise BadData(
        f'{name}: is not UTF-8 text at byte {error.start}'
      ) from None
    if not content.strip():
      raise BadData(f'{name}: is empty')
    review = _text.encode([content], known())
    ids, ends = _text.rows(review, words, length, keep, mask)
    return ids, ends if mask else None

  return Dataset(
    num_inputs=0,
    vocabulary=words,
    num_outputs=1,
    loss='sigmoid',
    every_step=False,
    pool=lambda seed: pool,
    levels=levels,
    classes=tuple(prepared.classes),
    checksum=prepared.checksum,
    encoder=Encoder(('.txt',), encode),
    facts={
      'data': f'{fitted:,} reviews to train, {num_train - fitted:,} to '
      f'validate, {len(labels) - num_train:,} to test; {words:,} word ids, the '
      f'{keep} {length} of a review',
      'left out': '; '.join(prepared.left_out) or 'nothing',
      'licence': prepared.licence,
      'citation': prepared.citation,
    },
  )


def _encoded(prepared):
  """All reviews in Keras's order, those of the training part first."""
  texts, labels = {}, {}
  for split in ('train', 'test'):
    texts[split], labels[split] = _texts(prepared, split)
  word_ranks = ranks(texts['train'])
  orders = _text.orders(len(texts['train']), len(texts['test']))
  split = dict(zip(texts, orders, strict=True))
  ordered = [texts[s][i] for s, order in split.items() for i in order]
  reviews = _text.encode(ordered, word_ranks)
  return {
    'ids': reviews.ids,
    'lengths': reviews.lengths,
    'labels': np.concatenate([labels[s][order] for s, order in split.items()]),
    'num_train': np.array([len(texts['train'])]),
  }


def _texts(prepared, split):
  """The texts of a split in Keras's order before it is mixed, and labels."""
  records = sorted(prepared.splits[split], key=_place)
  labels = np.array([record['label'] for record in records], np.int32)
  return [record['text'] for record in records], labels


def _place(record):
  """Positive reviews first, file names in the order of text: Keras read so."""
  return -int(record['label']), f'{record["id"]}_'


def _bags(pool, words):
  tokens, labels = pool.examples.inputs, pool.examples.targets
  rows, steps = np.nonzero(tokens > _text.OFFSET)
  # Ones at one place add up to how often the word occurs.
  counts = scipy.sparse.coo_array(
    (np.ones(len(rows)), (rows, tokens[rows, steps])), (len(tokens), words)
  ).tocsr()
  occurs = counts.copy()
  occurs.data = np.minimum(occurs.data, 1.0)
  return {
    'majority class': _levels.majority(labels, pool.parts, 2),
    'naive Bayes': _levels.naive_bayes(counts, labels, pool.parts, 2),
    'logistic regression on words': _levels.softmax_regression(
      occurs, labels, pool.parts, 2
    ),
  }
