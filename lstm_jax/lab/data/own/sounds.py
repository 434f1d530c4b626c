"""A folder of sounds in class folders: the class of each, said at its end."""

from pathlib import Path
from typing import Literal

import numpy as np

from lstm_jax.dataset import Dataset
from lstm_jax.lab.data import _sounds, _spectra
from lstm_jax.lab.data._cache import cached
from lstm_jax.lab.data.files import riff
from lstm_jax.lab.data.files.errors import Source
from lstm_jax.lab.data.own import dataset as dataset_lib
from lstm_jax.lab.data.own import folder
from lstm_jax.lab.data.own.sequences import Sequences
from lstm_jax.lab.data.own.sequences import checked as checked_sequences
from lstm_jax.ops.checked import checked

# Counts up where a change of code changes what is made.
_FORM = 1
# Of an epoch; the plan has the seconds of the sounds.
MEAN_STEPS = (0, 100_000)


@checked
def sounds(
  path: Path,
  *,
  window: float = 25.0,
  hop: float = 20.0,
  features: Literal['log_mel', 'same_band'] = 'log_mel',
  rate: int = 16_000,
  valid: float = 0.15,
  test: float = 0.15,
  split_seed: int = 0,
  scale: Literal['standard', 'none'] = 'standard',
  inputs: str = '',
  targets: str = '',
  split: str = '',
  source: Source | None = None,
) -> Dataset:
  """Sounds in class folders of one's own, told apart by their spectra.

  Args:
    path: of the folder.
    window: length of the stretch that a spectrum is of, ms.
    hop: from the start of one stretch to that of the next, ms.
    features: 64 bands on the mel scale in logarithms, or 100 of equal width.
    rate: samples a second that sounds are brought to.
    valid, test: shares of the sounds that validate and test, where the folder
      has no parts; drawn class by class.
    split_seed: of the draw.
    scale: 'standard' gives features mean 0 and deviation 1 over the training
      part; 'none' leaves them.
    inputs, targets, split: what the plan has found in the folder; '' is not
      compared.
    source: not used.

  Returns:
    The `Dataset`; levels as of `given`, on spectra.

  Raises:
    ValueError: a window or a rate too small; shares that leave nothing.
    BadData: the file, and what is wrong with it or has changed.
  """
  del source
  low, high = riff.RATES
  if not low <= rate <= high:
    raise ValueError(f'rate={rate} must be {low} to {high}')
  if max(window, hop) > 1000 * riff.LONGEST:
    raise ValueError(
      f'window={window:g} with hop={hop:g}: no sound lasts longer than '
      f'{riff.LONGEST:g} s'
    )
  recipe = _spectra.recipe(features, window, hop, rate)
  sound_folder = folder.load(path)
  planned_digests = {'inputs': inputs, 'targets': targets, 'split': split}
  dataset_lib.check_same(
    sound_folder.name, sound_folder.digests, planned_digests
  )
  made_of = {
    'form': _FORM,
    'data': sound_folder.digests['inputs'],
    'labels': sound_folder.digests['targets'],
    'features': features,
    'window': recipe.window,
    'hop': recipe.hop,
    'rate': recipe.rate,
  }
  spectra = _sounds.Sounds(
    **cached(
      'own', made_of, lambda: _sounds.compute(sound_folder, recipe)._asdict()
    )
  )
  lengths = np.asarray(spectra.lengths, np.int64)
  is_step = np.arange(spectra.features.shape[1]) < lengths[:, None]
  sequences = Sequences(
    np.asarray(spectra.features)[is_step],
    lengths,
    np.asarray(sound_folder.labels, np.int64),
    False,
    sound_folder.classes,
    part=sound_folder.part,
    names=tuple(path.name for path in sound_folder.paths),
  )
  return dataset_lib.dataset(
    sound_folder.name,
    checked_sequences(sound_folder.name, sequences),
    valid=valid,
    test=test,
    split_seed=split_seed,
    scale=scale,
    digests=sound_folder.digests,
    facts={
      'features': f'{features} of {window:g} ms every {hop:g} ms at '
      f'{recipe.rate:,} Hz, of the first channel'
    },
    more={
      'sound': {
        'features': features, 'window': window, 'hop': hop, 'rate': rate
      }
    },
  )  # fmt: skip
