"""The reviews of IMDB, in the order of their numbers."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lstm_jax.lab.data.files import faults
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.files.sources import Source

SPLITS = ('train', 'test')
CLASSES = ('neg', 'pos')
REVIEWS_OF_CLASS = 12_500  # reviews of a class in a split

_FILE = re.compile(r'(train|test)/(neg|pos)/([^/]+)')
_NAME = re.compile(r'(\d{1,5})_(\d{1,2})\.txt', re.ASCII)
# Ratings that the authors took, by class.
_RATINGS = {'neg': range(1, 5), 'pos': range(7, 11)}


class Review(NamedTuple):
  """The place of a review.

  Attributes:
    split: 'train' or 'test'.
    label: 0 negative, 1 positive.
    number: the first number of its file name; unique in split and class.
    name: its file, from the folder of the set.
  """

  split: str
  label: int
  number: int
  name: str


def listed(
  source: Source, report: faults.Report = faults.stop
) -> dict[str, list[Review]]:
  """All reviews: by split, negative ones first, by number.

  Args:
    source: the files.
    report: is given names that no review has, and classes that are not whole.

  Returns:
    split -> list of `Review`.

  Raises:
    BadData: `report` raises it.
  """
  by_split: dict[str, list[Review]] = {split: [] for split in SPLITS}
  faults = []
  for name in source.sizes:
    if not (place := _FILE.fullmatch(name)):
      continue
    split, kind, file = place.groups()
    parts = _NAME.fullmatch(file)
    if not parts:
      faults.append(f'{source.path}/{name}: no name of the form ID_RATING.txt')
    elif int(parts[2]) not in _RATINGS[kind]:
      faults.append(
        f'{source.path}/{name}: rating {parts[2]} in the folder {kind}'
      )
    else:
      by_split[split].append(
        Review(split, CLASSES.index(kind), int(parts[1]), name)
      )
  for split, reviews in by_split.items():
    reviews.sort()
    for label, kind in enumerate(CLASSES):
      num_reviews = sum(review.label == label for review in reviews)
      if num_reviews != REVIEWS_OF_CLASS:
        faults.append(
          f'{source.path}/{split}/{kind}: {num_reviews:,} reviews, the '
          f'published folder has {REVIEWS_OF_CLASS:,}'
        )
  report(faults)
  return by_split


def records(
  source: Source,
  reviews: Sequence[Review],
  report: faults.Report = faults.stop,
) -> Iterator[dict[str, object] | None]:
  """Reads reviews, those that are text.

  Args:
    source: the files.
    reviews: of `listed`.
    report: is given the files that are not.

  Yields:
    `{'text': bytes, 'label': int, 'id': int}`, or None for a file left out.

  Raises:
    BadData: `report` raises it.
  """
  for review in reviews:
    try:
      text = source.read(review.name)
      text.decode()
      if not text.strip():
        raise BadData(f'{source.path}/{review.name}: is empty')
    except UnicodeDecodeError:
      report([f'{source.path}/{review.name}: is not UTF-8'])
      yield None
    except BadData as error:
      report([str(error)])
      yield None
    else:
      yield {'text': text, 'label': review.label, 'id': review.number}
