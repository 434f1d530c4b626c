"""Reviews as rows of word ids, as Keras's `imdb.load_data` prepares them.

Ids: 0 fills rows up, 1 starts a review, 2 stands for a word outside the
vocabulary, 3 is not used; the word of rank r is r + 3. Words that no training
text has were dropped when Keras's file was made, and are dropped here. Reviews
are permuted with seed 113, and a row keeps the last ids of a long review.

Letters: N reviews, M ids of all of them in one row, T steps.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from lstm_jax.lab.data._ranks import words_of

FILLED, START, UNKNOWN = 0, 1, 2
OFFSET = 3
SEED = 113


class Reviews(NamedTuple):
  """Whole reviews, one after the other.

  Attributes:
    ids: `[M]` int32, all words, each review behind its `START`.
    lengths: `[N]` int32, ids of each review, `START` among them.
  """

  ids: np.ndarray
  lengths: np.ndarray


def encode(texts: Sequence[bytes], ranks: Mapping[bytes, int]) -> Reviews:
  """Reviews as ids of all ranks.

  Args:
    texts: `[N]` reviews.
    ranks: word -> rank; words without one are dropped.
  """
  ids, lengths = [], []
  for text in texts:
    word_ids = [ranks[word] for word in words_of(text) if word in ranks]
    row = np.array([START - OFFSET, *word_ids], np.int32)
    ids.append(row + np.int32(OFFSET))
    lengths.append(len(row))
  return Reviews(np.concatenate(ids), np.array(lengths, np.int32))


def orders(train: int, test: int) -> tuple[np.ndarray, np.ndarray]:
  """The order in which Keras gives the reviews back, as two permutations.

  Args:
    train: number of training reviews.
    test: number of test reviews.
  """
  draw = np.random.RandomState(SEED)
  return draw.permutation(train), draw.permutation(test)


def rows(
  reviews: Reviews,
  words: int,
  length: int,
  keep: Literal['last', 'first'] = 'last',
  left_aligned: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
  """Rows of one length, long reviews cut and short ones filled up.

  Args:
    reviews: N whole reviews.
    words: ids from here on become `UNKNOWN`.
    length: T.
    keep: which ids a review longer than T keeps. The start goes with the first
      ids.
    left_aligned: whether a short review begins at the first step of its row,
      not ends at the last.

  Returns:
    `[N, T]` int32 ids and `[N]` int32 how many of each row are a review's.
  """
  ids = np.where(reviews.ids < words, reviews.ids, np.int32(UNKNOWN))
  total = reviews.lengths
  num_kept = np.minimum(total, np.int32(length))
  # The place of each id in its review, counted from the end that is kept.
  ends = np.cumsum(total, dtype=np.int64)
  if keep == 'first':
    place = np.arange(len(ids)) - np.repeat(ends - total, total)
  else:
    place = np.repeat(ends, total) - 1 - np.arange(len(ids))
  steps = np.arange(length, dtype=np.int32)
  if left_aligned:
    filled = steps < num_kept[:, None]
  else:
    filled = steps >= length - num_kept[:, None]
  tokens = np.full((len(total), length), FILLED, np.int32)
  tokens[filled] = ids[place < length]
  return tokens, num_kept
