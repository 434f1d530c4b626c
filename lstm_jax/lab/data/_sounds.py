"""All sounds of a collection as features, made once.

Letters: N sounds, T stretches of the longest, F features.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np

from lstm_jax.lab.data import _spectra
from lstm_jax.lab.data.files import riff
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.store import machine, messages

FULL_SCALE = 32768.0  # of a sample that is 1 in floating point
_LINE_EVERY = 2.0  # seconds


class Records(Protocol):
  """Sounds, each read when it is asked for."""

  def __len__(self) -> int:
    """Returns how many there are."""

  def __getitem__(self, index: int) -> Mapping[str, object]:
    """Returns one: 'samples', 'rate', 'label', 'fold', 'group', 'name'."""


class Collection(Protocol):
  """Sounds in splits, as `files.opened.Prepared` has them."""

  @property
  def name(self) -> str:
    """The name of the collection, for messages."""

  @property
  def splits(self) -> Mapping[str, Records]:
    """Name of a split -> its sounds."""


class Sounds(NamedTuple):
  """All sounds of a collection, as features, and what is known of each.

  Attributes:
    features: `[N, T, F]` float32, zeros past the end of a sound.
    lengths: `[N]` int32 stretches.
    labels: `[N]` int32 classes.
    folds: `[N]` int32.
    groups: `[N]` int32, the recording that a sound was cut from.
    rates: `[N]` int32 samples a second.
    channels: `[N]` int32.
    seconds: `[N]` float64.
    bits16: `[N]` bool, whether samples are of 16 bits.
  """

  features: np.ndarray
  lengths: np.ndarray
  labels: np.ndarray
  folds: np.ndarray
  groups: np.ndarray
  rates: np.ndarray
  channels: np.ndarray
  seconds: np.ndarray
  bits16: np.ndarray


def compute(prepared: Collection, recipe: _spectra.Recipe) -> Sounds:
  """The features of every sound, its first channel, on all cores.

  A line on stderr says how far it is.

  Args:
    prepared: the sounds.
    recipe: of the features.
  """
  places = [
    (records, i)
    for records in prepared.splits.values()
    for i in range(len(records))
  ]

  def features_of(place):
    records, i = place
    record = records[i]
    samples, rate = record['samples'], int(record['rate'])
    try:  # of a set that somebody has prepared
      riff.bounded(rate, samples.shape[1], len(samples))
    except ValueError as error:
      name = f'{prepared.name}: {record["name"]}'
      raise BadData(f'{name}: {error}') from error
    bits16 = samples.dtype == np.int16
    first = samples[:, 0] if bits16 else samples[:, 0] * FULL_SCALE
    facts = (
      record['label'],
      record['fold'],
      rate,
      samples.shape[1],
      len(samples) / rate,
      bits16,
    )
    return _spectra.features(first, rate, recipe), record['group'], facts

  rows, groups, known = [], [], []
  began = last_line_time = time.monotonic()
  threads = ThreadPoolExecutor(machine.cores())
  try:
    for found, group, facts in threads.map(features_of, places):
      rows.append(found)
      groups.append(group)
      known.append(facts)
      clock = time.monotonic()
      if clock - last_line_time > _LINE_EVERY or len(rows) == len(places):
        last_line_time = clock
        messages.tell(
          f'{prepared.name}: features of {len(rows):,} of {len(places):,} '
          f'sounds, {clock - began:.0f} s'
        )
  finally:  # a stop waits for the sounds at hand, not for thousands
    threads.shutdown(cancel_futures=True)
  lengths = np.array([len(row) for row in rows], np.int32)
  features = np.zeros((len(rows), lengths.max(), rows[0].shape[1]), np.float32)
  for i, row in enumerate(rows):
    features[i, : len(row)] = row
  labels, folds, rates, channels, seconds, bits16 = zip(*known, strict=True)
  return Sounds(
    features=features,
    lengths=lengths,
    labels=np.array(labels, np.int32),
    folds=np.array(folds, np.int32),
    groups=np.unique(groups, return_inverse=True)[1].astype(np.int32),
    rates=np.array(rates, np.int32),
    channels=np.array(channels, np.int32),
    seconds=np.array(seconds),
    bits16=np.array(bits16),
  )


def standardised(sounds: Sounds, train: np.ndarray) -> np.ndarray:
  """Features with mean 0 and deviation 1 over the training part's stretches.

  Args:
    sounds: all.
    train: indices of the training part.

  Returns:
    `[N, T, F]` float32, zeros past the end of a sound.
  """
  mean, deviation = scale_of(sounds, train)
  out = np.zeros_like(sounds.features)
  for i, length in enumerate(sounds.lengths):
    out[i, :length] = (sounds.features[i, :length] - mean) / deviation
  return out


def scale_of(
  sounds: Sounds, train: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Mean and deviation `[F]` float32 over the training part's stretches.

  Args:
    sounds: all.
    train: indices of the training part.
  """
  features, lengths = sounds.features, sounds.lengths
  sums = np.zeros((2, features.shape[2]))
  # Stretches past an end are zeros and add nothing.
  for i in train:
    row = features[i].astype(np.float64)
    sums += row.sum(0), (row**2).sum(0)
  mean, square = sums / lengths[train].sum()
  deviation = np.sqrt(np.maximum(square - mean**2, 0))
  deviation = np.where(deviation > 0, deviation, 1).astype(np.float32)
  return mean.astype(np.float32), deviation


def mean_spectra(sounds: Sounds) -> np.ndarray:
  """The mean of each feature over a sound, `[N, F]` float64."""
  sums = sounds.features.sum(1, dtype=np.float64)
  return sums / sounds.lengths[:, None]
