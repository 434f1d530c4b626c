"""UrbanSound8K: ten classes of sounds of a city, up to four seconds each.

Data: J. Salamon, C. Jacoby and J. P. Bello, "A dataset and taxonomy for urban
sound research", ACM Multimedia 2014. Its authors fix ten folds, none of which
shares a recording with another, and ask for no other split.
"""

from lstm_jax.dataset import Dataset
from lstm_jax.lab.data import _audio
from lstm_jax.lab.data._audio import REFUSES as REFUSES
from lstm_jax.lab.data._audio import Scale, Split
from lstm_jax.lab.data._spectra import Kind
from lstm_jax.lab.data.files import prepared as prepared_lib
from lstm_jax.lab.data.files.errors import Source
from lstm_jax.ops.checked import checked

# Of an epoch over 80 % of the 2,985 sounds of the copy at hand, hop 10 ms.
MEAN_STEPS = (0, 850_000)


@checked
def urban_sound(
  *,
  window: float = 10.0,
  hop: float = 10.0,
  features: Kind = 'published_slice',
  rate: int = 22_050,
  split: Split = 'published',
  fold: int | None = None,
  scale: Scale | None = None,
  source: Source | None = None,
) -> Dataset:
  """The class of a sound of UrbanSound8K, said at its end.

  Args:
    window: length of the stretch that a spectrum is of, ms.
    hop: from the start of one stretch to that of the next, ms.
    features: 'published_slice' counts bins from the end of the spectrum, so
      that the window decides which band is heard; 'same_band' has 100 bands of
      equal width from 100 Hz to half the rate for every window; 'log_mel' 64
      bands on the mel scale, in logarithms. See `_spectra`.
    rate: samples a second that sounds are brought to; 'published_slice' has
      44,100.
    split: 'published' shuffles sounds by the seed, whatever recording they were
      cut from: 80 % train, 5 % validate, the rest tests. 'official' takes whole
      folds. Both follow from the list of sounds alone, not from the features.
    fold: the fold that tests, the next one that is there validates; None: the
      first fold for seed 0, the second for seed 1, ...
    scale: 'pcm' has magnitudes of 16-bit samples as they are, 'standard' mean 0
      and deviation 1 over the training part; None: 'standard' for log_mel,
      else 'pcm'.
    source: where the sounds are.

  Returns:
    The `Dataset`: 100 or 64 inputs, 10 classes. A sound shorter than a window
    is one stretch. The level of time-averaged spectra is softmax regression on
    the logarithms of each sound's mean spectrum.

  Raises:
    ValueError: an option outside its choices or range, a fold that is not
      there.
    Missing, BadData: the sounds are not there, or not what was published.

  Source: seed experiment "urban-noise classification", sections 2 and 3.
  """
  source = source or Source()
  return _audio.dataset(
    prepared_lib.load('urban_sound', source.data_dir, skip_bad=source.skip_bad),
    window=window,
    hop=hop,
    features=features,
    rate=rate,
    split=split,
    fold=fold,
    scale=scale,
  )
