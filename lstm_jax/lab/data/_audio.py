"""The work of `urban_sound` and `esc10`: all but their names and defaults."""

import functools
from typing import Literal

import numpy as np

from lstm_jax.dataset import Dataset, Encoder, Examples, Pool
from lstm_jax.lab.data import _folds, _levels, _sounds, _spectra
from lstm_jax.lab.data._cache import cached
from lstm_jax.lab.data.files import audio
from lstm_jax.lab.data.files.opened import Prepared
from lstm_jax.lab.data.files.published import SOUND

Split = Literal['published', 'official']
Scale = Literal['pcm', 'standard']
REFUSES = (
  (
    {'features': 'log_mel', 'scale': 'pcm'},
    'log_mel features have no such units',
  ),
  ({'split': 'published', 'fold': ...}, 'only split=official has folds'),
)

# Counts up where a change of code changes what is made.
_FORM = 1
_FEWEST = 20  # sounds of which each part of the published split has one


def dataset(
  prepared: Prepared,
  *,
  window: float,
  hop: float,
  features: _spectra.Kind,
  rate: int,
  split: Split,
  fold: int | None,
  scale: Scale | None,
  neighbours: int | None = None,
) -> Dataset:
  """The data set of a collection of sounds.

  Args:
    prepared: `files.opened.Prepared`, folds as splits.
    window, hop, features, rate, split, fold, scale: options, see
      `urban_sound.urban_sound`.
    neighbours: how many vote in a level of nearest neighbours; None: there is
      no such level.

  Raises:
    ValueError: an option outside its choices, too few sounds.
    BadData: a recording with sounds in two folds.
  """
  if scale is None:
    scale = 'standard' if features == 'log_mel' else 'pcm'
  recipe = _spectra.recipe(features, window, hop, rate)
  sounds = _computed(prepared, features, recipe)
  usable = _folds.published_filter(sounds) if split == 'published' else None
  if usable is not None and len(usable) < _FEWEST:
    raise ValueError(
      f'split=published: {len(usable)} sounds of {prepared.name} pass its '
      f'filter; it takes {_FEWEST}'
    )

  @functools.lru_cache(maxsize=1)
  def standard(train):
    # Keyed by the part itself: seeds that train on the same sounds share them.
    return _sounds.standardised(sounds, np.frombuffer(train, np.int64))

  def parts_of(seed):
    if usable is not None:
      return _folds.random_parts(usable, seed)
    return _folds.fold_parts(prepared.name, sounds, seed, fold)

  def pool(seed):
    parts = parts_of(seed)
    inputs = sounds.features
    if scale == 'standard':
      inputs = standard(parts['train'].tobytes())
    return Pool(Examples(inputs, sounds.labels, sounds.lengths), parts)

  def encode(name, content, pool):
    clip = audio.decode(content, name)
    first = clip.samples[:, 0] * _sounds.FULL_SCALE
    row = _spectra.features(first, clip.rate, recipe)
    if scale == 'standard':
      mean, deviation = _sounds.scale_of(sounds, pool.parts['train'])
      row = (row - mean) / deviation
    return row[None], np.array([len(row)], np.int32)

  return Dataset(
    num_inputs=_spectra.num_features(features),
    vocabulary=0,
    num_outputs=len(prepared.classes),
    loss='softmax',
    every_step=False,
    pool=pool,
    levels=functools.partial(
      _spectral_levels, sounds, recipe, len(prepared.classes), neighbours
    ),
    classes=tuple(prepared.classes),
    checksum=prepared.checksum,
    parts=parts_of,
    facts=_facts(prepared, sounds, recipe, usable),
    encoder=Encoder(SOUND, encode),
  )


def _computed(prepared, features, recipe):
  """The sounds as features, kept from one run to the next."""
  made_of = {
    'form': _FORM,
    'data': prepared.checksum,
    'features': features,
    'window': recipe.window,
    'hop': recipe.hop,
    'rate': recipe.rate,
  }
  compute = lambda: _sounds.compute(prepared, recipe)._asdict()
  return _sounds.Sounds(**cached(prepared.name, made_of, compute))


def _spectral_levels(sounds, recipe, num_classes, neighbours, pool):
  """Levels of predictors that see no order in time, by name."""
  spectra = _sounds.mean_spectra(sounds)
  # One unit of 16 bits is no sound.
  spectra = spectra if recipe.log else np.log(spectra + 1)
  spectra = _levels.standardised(spectra, pool.parts['train'])
  labels_and_parts = sounds.labels, pool.parts, num_classes
  by_name = {
    'majority class': _levels.majority(*labels_and_parts),
    'time-averaged spectrum': _levels.softmax_regression(
      spectra, *labels_and_parts
    ),
  }
  if neighbours:
    name = f'{neighbours} nearest time-averaged spectra'
    by_name[name] = _levels.nearest(spectra, *labels_and_parts, neighbours)
  return by_name


def _facts(prepared, sounds, recipe, usable):
  """Returns what the report is to say of the data."""
  facts = {
    'data': f'{len(sounds.labels):,} sounds, '
    + _count_text(sounds.folds, 'in fold {}'),
    'channels': _count_text(sounds.channels, 'with {}')
    + '; the first is heard',
    'rates': _count_text(sounds.rates, 'at {:,} Hz')
    + f'; features are made at {recipe.rate:,} Hz',
    'left out': '; '.join(prepared.left_out) or 'nothing',
    'licence': prepared.licence,
    'citation': prepared.citation,
  }
  if (sounds.rates < recipe.rate).any():
    facts['rates'] += ', the upper part empty where a sound had less'
  if usable is not None:
    rate = f'{_spectra.PUBLISHED_RATE:,} Hz'
    facts['published split'] = (
      f'{len(usable):,} sounds of 16 bits, one or two channels, at least '
      f'{_folds.SHORTEST:g} s, '
    ) + (
      f'at {rate}'
      if (sounds.rates == _spectra.PUBLISHED_RATE).any()
      else f'at any rate, as none is at the published {rate}'
    )
  return facts


def _count_text(values, words):
  """Counts the sounds that have each value, as 'n with v, m with w'."""
  pairs = zip(*np.unique(values, return_counts=True), strict=True)
  return ', '.join(f'{count:,} {words.format(value)}' for value, count in pairs)
