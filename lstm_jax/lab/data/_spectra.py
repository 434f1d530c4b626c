"""Features of sound: spectra of short stretches, a row a stretch.

Three kinds, by `recipe`:

* 'published_slice': the magnitudes of a book's urban-noise example. It counts
  200 n and 100 n bins back from the end of the complex spectrum, n the window's
  samples over 200, rounded down; of the window the 200 n leave a rest, and with
  it the lowest bins out: 41 bins or 4.1 kHz at 10 ms and 44,100 Hz, 10 bins or
  100 Hz at 100 ms. What is taken reaches past the middle of the spectrum, where
  it is mirrored, so that at 10 ms the last ten of the 100 features repeat ten
  others. No taper, no logarithm.
* 'same_band': 100 bands of equal width from `LOWEST` to half the rate, whatever
  the window; else as published.
* 'log_mel': logarithms of the power per Hz in `MEL_BANDS` bands of equal width
  on the mel scale, over the same range, under a Hann taper. Neither a tone nor
  noise changes its level with the window.

Samples are in the units of 16-bit sound, -32768 to 32767.

Letters: n samples of a sound, W of a window, B bins, F features, S stretches.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import scipy.fft  # scipy.signal loads where it is first used: it takes a second
import scipy.sparse

from lstm_jax.choices import one_of

Kind = Literal['published_slice', 'same_band', 'log_mel']
KINDS = ('published_slice', 'same_band', 'log_mel')
PUBLISHED_RATE = 44_100
LOWEST = 100.0  # Hz
BANDS, MEL_BANDS = 100, 64
# About what rounding to 16 bits leaves: a power of 1/12 over half the rate, Hz.
_FLOOR = 1e-5
# Finer than the lowest mel band is wide, Hz.
_MEL_BIN = 25


class Recipe(NamedTuple):
  """The way from a sound to features.

  Attributes:
    rate: samples a second.
    window: W.
    hop: samples from the start of one stretch to that of the next.
    size: of the transform, at least W; B = size // 2 + 1.
    taper: `[W]` what samples are multiplied by; None: nothing.
    scale: what magnitudes are multiplied by.
    weights: `[F, B]` sparse, the share of each bin in each feature.
    log: whether features are logarithms of powers, else sums of magnitudes.
  """

  rate: int
  window: int
  hop: int
  size: int
  taper: np.ndarray | None
  scale: float
  weights: scipy.sparse.csr_array
  log: bool


def recipe(kind: Kind, window: float, hop: float, rate: int) -> Recipe:
  """The recipe of a kind of features.

  Args:
    kind: one of `KINDS`.
    window: length of a stretch, ms.
    hop: from the start of one stretch to that of the next, ms.
    rate: samples a second; 'published_slice' has its own.

  Raises:
    ValueError: an unknown kind; a window too short for its bands; a hop below
      one sample.
  """
  if kind not in KINDS:
    raise ValueError(f'features={kind!r} {one_of(KINDS)}')
  if kind == 'published_slice':
    rate = PUBLISHED_RATE
  if not rate > 4 * LOWEST:
    raise ValueError(f'rate={rate} must be above {4 * LOWEST:g}')
  # Half a sample more or less is no matter; 10 ms at 44,100 Hz are 441.
  width, step = round(window * rate / 1000), round(hop * rate / 1000)
  shortest = 2 * BANDS if kind == 'published_slice' else 16
  if width < shortest:
    raise ValueError(
      f'window={window} ms must be at least {1000 * shortest / rate:.3g} for '
      f'features={kind}'
    )
  if step < 1:
    raise ValueError(f'hop={hop} ms must be at least {1000 / rate:.3g}')
  taper, size, scale = None, width, 2 / width
  if kind == 'log_mel':
    taper = scipy.signal.get_window('hann', width).astype(np.float32)
    scale = float(np.sqrt(2 / (rate * np.sum(taper**2))))
    size = 1 << (max(width, rate // _MEL_BIN) - 1).bit_length()
  weights = {
    'published_slice': lambda: _slice_weights(width),
    'same_band': lambda: _band_weights(width, rate),
    'log_mel': lambda: _mel_weights(size, rate),
  }[kind]()
  return Recipe(
    rate=rate,
    window=width,
    hop=step,
    size=size,
    taper=taper,
    scale=scale,
    weights=weights,
    log=kind == 'log_mel',
  )


def features(samples: np.ndarray, rate: int, recipe: Recipe) -> np.ndarray:
  """The features of one sound.

  Args:
    samples: `[n]`, n at least 1.
    rate: samples a second; where it is not the recipe's the sound is resampled.
    recipe: of the features.

  Returns:
    `[S, F]` float32, S = (n - W) // hop + 1 with n at the recipe's rate; 1
    where the sound is shorter than a window: zeros follow it.
  """
  samples = np.asarray(samples, np.result_type(samples, np.float32))
  if rate != recipe.rate:
    divisor = math.gcd(rate, recipe.rate)
    samples = scipy.signal.resample_poly(
      samples, recipe.rate // divisor, rate // divisor
    )
  if len(samples) < recipe.window:
    samples = np.pad(samples, (0, recipe.window - len(samples)))
  stretches = np.lib.stride_tricks.sliding_window_view(samples, recipe.window)
  stretches = stretches[:: recipe.hop]
  if recipe.taper is not None:
    stretches = stretches * recipe.taper
  spectrum = np.abs(scipy.fft.rfft(stretches, recipe.size)) * recipe.scale
  if recipe.log:
    spectrum = spectrum**2
  bands = (recipe.weights @ spectrum.T).T
  if recipe.log:
    bands = np.log(bands + _FLOOR)
  return np.ascontiguousarray(bands, np.float32)


def num_features(kind: Kind) -> int:
  """F of a kind of features."""
  return MEL_BANDS if kind == 'log_mel' else BANDS


def _slice_weights(window):
  """The published slice: means of n neighbouring bins from W - 200 n on."""
  n = window // (2 * BANDS)
  bins = window - 2 * BANDS * n + np.arange(BANDS * n)
  bins = np.minimum(bins, window - bins)  # the mirrored ones, where they are
  feature = np.repeat(np.arange(BANDS), n)
  return _sparse_matrix(1 / n, feature, bins, (BANDS, window // 2 + 1))


def _band_weights(window, rate):
  """Means over bands of equal width; a bin is as wide as its distance."""
  edges = np.linspace(LOWEST, rate / 2, BANDS + 1)
  width = rate / window
  centres = np.arange(window // 2 + 1) * width
  low = np.maximum(edges[:-1, None], centres - width / 2)
  high = np.minimum(edges[1:, None], centres + width / 2)
  # Of an odd window the highest bin ends below half the rate.
  shares = np.maximum(high - low, 0)
  shares /= shares.sum(1, keepdims=True)
  return scipy.sparse.csr_array(shares.astype(np.float32))


def _mel_weights(size, rate):
  """Triangles over three neighbouring edges on the mel scale; sums are 1."""
  lowest, highest = 2595 * np.log10(1 + np.array([LOWEST, rate / 2]) / 700)
  edges = 700 * (10 ** (np.linspace(lowest, highest, MEL_BANDS + 2) / 2595) - 1)
  centres = np.arange(size // 2 + 1) * rate / size
  low, middle, high = (edges[i : i + MEL_BANDS, None] for i in range(3))
  rising = (centres - low) / (middle - low)
  falling = (high - centres) / (high - middle)
  shares = np.maximum(np.minimum(rising, falling), 0)
  shares /= shares.sum(1, keepdims=True)
  return scipy.sparse.csr_array(shares.astype(np.float32))


def _sparse_matrix(share, rows, columns, shape):
  shares = np.full(len(rows), share, np.float32)
  # Two entries at one place add up.
  return scipy.sparse.coo_array((shares, (rows, columns)), shape).tocsr()
