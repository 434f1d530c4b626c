"""The ranks of words in the IMDB file that Keras hands out, by definition.

That file was made once, by Keras's `Tokenizer` under Python 2, from the 25,000
training texts: those of positive reviews first, each class in the order of its
file names as text. Ranks go by frequency, and words as frequent as each other
stand in the order in which a dict of Python 2 gave them back, which follows
from their hashes and from the order of their first occurrence. So made, the
index has its 88,584 words, and every published rank that was looked up, ties
among them, is met (`tests/lab/data/test_text.py`).

Source: the ranks in the printed outputs of public notebooks; CPython 2.7 for
how strings hash and where a dict puts them.
"""

from collections import Counter
from collections.abc import Iterable

_MASK = 2**64 - 1
# What the Tokenizer takes for blanks; the apostrophe is part of a word.
_BLANKS = b'!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_TO_BLANKS = bytes.maketrans(_BLANKS, b' ' * len(_BLANKS))
# A dict of Python 2 grows fourfold up to so many keys, twofold from there.
_GROWS_FAST = 50_000


def words_of(text: bytes) -> list[bytes]:
  """The words of a review: no punctuation, ASCII in lower case.

  Words are bytes, as they were under Python 2: of `É` and `é` neither becomes
  the other.
  """
  return [
    word for word in text.translate(_TO_BLANKS).lower().split(b' ') if word
  ]


def ranks(texts: Iterable[bytes]) -> dict[bytes, int]:
  """The rank of each word of the texts, 1 the most frequent.

  Args:
    texts: reviews in the order in which they were counted.
  """
  counts: Counter[bytes] = Counter()
  for text in texts:
    counts.update(words_of(text))
  # `sorted` keeps the order of what compares equal.
  ordered = sorted(python2_order(counts), key=lambda word: -counts[word])
  return {word: rank for rank, word in enumerate(ordered, 1)}


def python2_order(keys: Iterable[bytes]) -> list[bytes]:
  """The keys as a dict of 64-bit Python 2 lists them.

  Args:
    keys: distinct, in the order in which they were put in.

  Returns:
    The same keys in the order of their places in the table.
  """
  hashes = {key: _hash(key) for key in keys}
  places: list[bytes | None] = [None] * 8
  for count, key in enumerate(hashes, 1):
    _put(places, key, hashes)
    if 3 * count >= 2 * len(places):
      num_places = count * (2 if count > _GROWS_FAST else 4)
      new_places: list[bytes | None] = [None] * max(
        8, 1 << num_places.bit_length()
      )
      for old_key in filter(None, places):
        _put(new_places, old_key, hashes)
      places = new_places
  return [key for key in places if key is not None]


def _hash(key):
  """The hash of a string in 64-bit Python 2, as an unsigned number."""
  value = key[0] << 7
  for byte in key:
    value = (1_000_003 * value ^ byte) & _MASK
  value ^= len(key)
  return _MASK - 1 if value == _MASK else value


def _put(places, key, hashes):
  """Puts a key in the first free place of its sequence of places."""
  perturb = at = hashes[key]
  last = len(places) - 1
  while places[at & last] is not None:
    at = (5 * at + perturb + 1) & _MASK
    perturb >>= 5
  places[at & last] = key
