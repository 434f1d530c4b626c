"""ESC-10: ten classes of sounds, 40 of five seconds each, five folds.

Data: K. J. Piczak, "ESC: dataset for environmental sound classification", ACM
Multimedia 2015.
"""

from lstm_jax.dataset import Dataset
from lstm_jax.lab.data import _audio
from lstm_jax.lab.data._audio import REFUSES as REFUSES
from lstm_jax.lab.data._audio import Scale, Split
from lstm_jax.lab.data._spectra import Kind
from lstm_jax.lab.data.files import prepared as prepared_lib
from lstm_jax.lab.data.files.errors import Source
from lstm_jax.ops.checked import checked

# Of an epoch over three of five folds, hop 10 ms.
MEAN_STEPS = (0, 120_000)


@checked
def esc10(
  *,
  window: float = 10.0,
  hop: float = 10.0,
  features: Kind = 'log_mel',
  rate: int = 16_000,
  split: Split = 'official',
  fold: int | None = None,
  scale: Scale | None = None,
  source: Source | None = None,
) -> Dataset:
  """The class of an everyday sound, said at its end.

  Args:
    window: length of the stretch that a spectrum is of, ms.
    hop: from the start of one stretch to that of the next, ms.
    features, rate, split, fold, scale: as of `urban_sound`.
    source: where the sounds are.

  Returns:
    The `Dataset`, as `urban_sound`; one level more, the five nearest
    time-averaged spectra.

  Raises:
    ValueError: an option outside its choices or range, a fold that is not
      there.
    Missing, BadData: the sounds are not there, or not what was published.
  """
  source = source or Source()
  return _audio.dataset(
    prepared_lib.load('esc10', source.data_dir, skip_bad=source.skip_bad),
    window=window,
    hop=hop,
    features=features,
    rate=rate,
    split=split,
    fold=fold,
    scale=scale,
    neighbours=5,
  )
