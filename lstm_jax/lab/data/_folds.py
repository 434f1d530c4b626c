"""Splits sounds to train, validate and test: at random, or by whole folds.

Letters: n sounds of a part.
"""

import numpy as np

from lstm_jax.choices import listed, one_of
from lstm_jax.lab.data import _spectra
from lstm_jax.lab.data._sounds import Sounds
from lstm_jax.lab.data.files.errors import BadData

SHORTEST = 1.0  # seconds of a sound that the published split takes


def published_filter(sounds: Sounds) -> np.ndarray:
  """The sounds that the published split takes, `[n]` indices.

  16 bits, one or two channels, at least a second, at 44,100 samples a second;
  where no sound is at that rate the collection has been resampled, and the rate
  decides nothing.
  """
  right_rate = sounds.rates == _spectra.PUBLISHED_RATE
  if not right_rate.any():
    right_rate = np.ones_like(right_rate)
  return np.flatnonzero(
    right_rate
    & sounds.bits16
    & (sounds.channels <= 2)
    & (sounds.seconds >= SHORTEST)
  )


def random_parts(usable: np.ndarray, seed: int) -> dict[str, np.ndarray]:
  """One shuffle, cut in three, whatever recording a sound is from.

  Args:
    usable: `[n]` indices.
    seed: of the shuffle.

  Returns:
    'train': 80 % of them, rounded down to a multiple of ten; 'valid': 5 %,
    rounded down; 'test': the rest.
  """
  mixed = np.random.RandomState(seed).permutation(usable)
  train = len(usable) * 8 // 100 * 10
  valid = train + len(usable) * 5 // 100
  return {
    'train': np.sort(mixed[:train]),
    'valid': np.sort(mixed[train:valid]),
    'test': np.sort(mixed[valid:]),
  }


def fold_parts(
  name: str, sounds: Sounds, seed: int, fold: int | None
) -> dict[str, np.ndarray]:
  """Whole folds: one tests, the next one validates, the others train.

  Args:
    name: of the collection, for messages.
    sounds: folds and recordings of all sounds.
    seed: where `fold` is None, which of the folds tests: the first for seed 0.
    fold: the number of the fold that tests.

  Raises:
    ValueError: there is no such fold, or there are fewer than three.
    BadData: a recording has sounds in two folds.
  """
  folds = np.unique(sounds.folds)
  if len(folds) < 3:
    raise ValueError(
      f'split=official: {name} has the folds {listed(folds)}; it takes three'
    )
  if fold is not None and fold not in folds:
    raise ValueError(f'fold={fold} {one_of(folds)}')
  pairs = np.unique(np.stack([sounds.groups, sounds.folds]), axis=1)
  recordings, counts = np.unique(pairs[0], return_counts=True)
  if counts.max() > 1:
    shared = np.isin(sounds.groups, recordings[counts > 1]).sum()
    raise BadData(
      f'{name}: {shared} sounds are of recordings with sounds in two folds'
    )
  at = seed % len(folds) if fold is None else int(np.searchsorted(folds, fold))
  test, valid = folds[at], folds[(at + 1) % len(folds)]
  return {
    'train': np.flatnonzero((sounds.folds != test) & (sounds.folds != valid)),
    'valid': np.flatnonzero(sounds.folds == valid),
    'test': np.flatnonzero(sounds.folds == test),
  }
