"""Spectral features: the published slice as it was, and what mends it."""

import numpy as np
import pytest

from lstm_jax.lab.data import _spectra

RATE = 44_100


def tone(frequency, seconds=1.0, rate=RATE, amplitude=1000.0):
  t = np.arange(round(seconds * rate)) / rate
  return amplitude * np.sin(2 * np.pi * frequency * t)


def found(kind, samples, window, rate=RATE, hop=10):
  return _spectra.features(
    samples, rate, _spectra.recipe(kind, window, hop, rate)
  )


@pytest.mark.parametrize('window', [10, 20, 50, 100, 200])
def test_published_slice_is_the_slice_of_the_complex_spectrum(window):
  samples = np.random.RandomState(0).normal(0, 1000, RATE)
  width = window * RATE // 1000
  n = width // 200
  rows = [
    samples[start : start + width]
    for start in range(0, len(samples) - width + 1, 441)
  ]
  spectrum = np.abs(np.fft.fft(rows)) / (width / 2)
  expected = spectrum[:, -200 * n : -100 * n].reshape(-1, 100, n).mean(2)
  ours = found('published_slice', samples, window)
  np.testing.assert_allclose(ours, expected, rtol=1e-5)


@pytest.mark.parametrize('frequency', [200, 1000, 2000, 4000])
def test_the_short_published_window_hears_no_low_tone(frequency):
  samples = tone(frequency)
  short = found('published_slice', samples, 10)
  long = found('published_slice', samples, 100)
  assert np.abs(short).max() < 1e-8
  # One bin of 22 has the amplitude, all others nothing.
  np.testing.assert_allclose(long.sum(1), 1000 / 22, rtol=1e-6)


@pytest.mark.parametrize('frequency', [5000, 8000, 12_000])
def test_both_published_windows_hear_a_high_tone(frequency):
  samples = tone(frequency)
  short = found('published_slice', samples, 10)
  long = found('published_slice', samples, 100)
  np.testing.assert_allclose(short.max(1), 1000 / 2, rtol=1e-6)
  np.testing.assert_allclose(short.max() / long.max(), 11, rtol=1e-6)


@pytest.mark.parametrize(
  'window, skipped, last, distinct', [(10, 41, 240, 90), (100, 10, 2209, 100)]
)
def test_what_the_published_slice_takes(window, skipped, last, distinct):
  weights = _spectra.recipe('published_slice', window, 10, RATE).weights
  used = np.flatnonzero(weights.sum(0))
  assert used[0] == skipped
  width = window * 441 // 10
  # Bins past the middle are those before it, mirrored.
  assert used[-1] == width // 2 and width - last > 0
  assert weights.sum() == pytest.approx(100)
  rows = np.unique(weights.toarray(), axis=0)
  assert len(rows) == distinct
  if window == 10:
    dense = weights.toarray()
    np.testing.assert_array_equal(dense[90:], dense[80:90][::-1])


@pytest.mark.parametrize(
  'seconds, window, stretches',
  [(4, 10, 400), (4, 100, 391), (1, 10, 100), (1, 100, 91)],
)
def test_stretches(seconds, window, stretches):
  samples = np.zeros(seconds * RATE, np.float32)
  assert found('published_slice', samples, window).shape == (stretches, 100)


@pytest.mark.parametrize('rate', [16_000, 22_050])
@pytest.mark.parametrize('kind', ['same_band', 'log_mel'])
def test_no_window_changes_what_band_is_heard(kind, rate):
  for frequency in (300, 1000, 2000, 4000, 7000):
    places = [
      found(kind, tone(frequency, rate=rate), window, rate).mean(0).argmax()
      for window in (10, 20, 50, 100, 200)
    ]
    assert max(places) - min(places) <= 1


@pytest.mark.parametrize('rate', [16_000, 22_050])
@pytest.mark.parametrize('window', [10, 20, 50, 100, 200])
def test_every_band_of_every_window_is_a_mean(window, rate):
  for kind in ('same_band', 'log_mel'):
    recipe = _spectra.recipe(kind, window, 10, rate)
    weights = recipe.weights.toarray()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    assert len(np.unique(weights, axis=0)) == _spectra.num_features(kind)
    heard = np.flatnonzero(weights.sum(0)) * rate / recipe.size
    assert heard[0] <= 100 + rate / recipe.size
    assert heard[-1] >= rate / 2 - 2 * rate / recipe.size


def test_a_log_mel_level_is_no_matter_of_the_window():
  noise = np.random.RandomState(0).normal(0, 1000, 2 * 22_050)
  per_hertz = np.log(1000**2 / (22_050 / 2))
  for window in (20, 50, 100, 200):
    level = found('log_mel', noise, window, 22_050)
    assert np.log(np.exp(level).mean()) == pytest.approx(per_hertz, abs=0.1)
    of_tone = found('log_mel', tone(5000, rate=22_050), window, 22_050)
    assert of_tone.mean(0).max() == pytest.approx(7.3, abs=0.4)


def test_silence_is_finite():
  silence = np.zeros(RATE, np.int16)
  for kind in _spectra.KINDS:
    assert np.isfinite(found(kind, silence, 10)).all()


def test_a_sound_shorter_than_a_window_is_one_stretch():
  short = tone(1000, seconds=0.05)
  padded = np.pad(short, (0, 4410 - len(short)))
  ours = found('published_slice', short, 100)
  assert ours.shape == (1, 100)
  np.testing.assert_array_equal(ours, found('published_slice', padded, 100))


def test_another_rate_is_resampled():
  recipe = _spectra.recipe('published_slice', 100, 10, RATE)
  low = tone(5000, rate=22_050).astype(np.int16)
  ours = _spectra.features(low, 22_050, recipe)
  expected = found('published_slice', tone(5000), 100)
  assert ours.shape == expected.shape and ours.dtype == np.float32
  middle = slice(5, -5)  # off the ends, where the filter has less to go by
  peak = expected.max()
  np.testing.assert_allclose(ours[middle], expected[middle], atol=0.01 * peak)


def test_rows_are_the_sound_in_time():
  samples = np.concatenate([np.zeros(RATE), tone(8000)])
  loud = found('published_slice', samples, 10).sum(1) > 100
  assert not loud[:100].any() and loud[100:].all()


@pytest.mark.parametrize(
  'options, message',
  [
    (('fft', 10, 10, RATE), "features='fft' must be one of published_slice,"),
    (('published_slice', 4, 10, RATE), 'window=4 ms must be at least 4.54'),
    (('same_band', 0.1, 10, RATE), 'window=0.1 ms must be at least'),
    (('same_band', 10, 0.01, RATE), 'hop=0.01 ms must be at least 0.0227'),
    (('log_mel', 10, 10, 400), 'rate=400 must be above 400'),
  ],
)
def test_refusals(options, message):
  with pytest.raises(ValueError, match=message):
    _spectra.recipe(*options)
