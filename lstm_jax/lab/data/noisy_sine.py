"""A sine with noise; its next value is the target at every step.

The lesson that many tutorials share: 50 noisy points of two periods, windows of
ten of them, a network that gives each window shifted by one. As taught there is
no held-out data and the network is judged by eye on what it was trained on;
`split='continuation'` keeps the end of a longer series for the test.
"""

from typing import Literal

import numpy as np

from lstm_jax.dataset import Dataset, Examples, Pool
from lstm_jax.lab.data.files.errors import Source
from lstm_jax.ops.checked import checked

MEAN_STEPS = (0, 400)


@checked
def noisy_sine(
  *,
  window: int = 10,
  points: int = 50,
  noise: float = 0.1,
  split: Literal['none', 'continuation'] = 'none',
  source: Source | None = None,
) -> Dataset:
  r"""Next-value prediction on a noisy sine, at every step of a window.

    y_i = sin(x_i) + noise * N(0, 1),  x_i = -2 pi + 4 pi i / 49

  An example is (y_i, ..., y_{i+window-1}) -> (y_{i+1}, ..., y_{i+window}). The
  noise follows from the seed.

  Args:
    window: steps of an example, how much past the network sees.
    points: of the series that is trained on; 24.5 are a period.
    noise: standard deviation.
    split: 'none': every window is trained on and there is nothing else, as
      taught; the test part is the training part. 'continuation': the series
      goes on for as many points again, a quarter of which validate and the rest
      test; no window reaches over an edge.
    source: not used; nothing is read.

  Returns:
    The `Dataset`: one input, one output, no tolerance. Its levels are
    persistence (the value before) and AR(2), fitted to the training points by
    least squares. What is kept of a network is its free run: from the first
    window on its last output is the newest input.

  Raises:
    ValueError: a window that leaves no example.

  Source: seed experiment "noisy sine": 50 points, window 10, 40 examples.
  """
  del source
  ends = {'train': points}
  if split == 'continuation':
    ends |= {'valid': points + points // 4, 'test': 2 * points}
  shortest = min(np.diff([0, *ends.values()]))
  if window >= shortest:
    raise ValueError(
      f'window={window}: must be below {shortest}, the points of the shortest '
      'part'
    )
  total = max(ends.values())
  x = -2 * np.pi + 4 * np.pi * np.arange(total) / 49

  def series(seed):
    draws = np.random.default_rng(seed).standard_normal(total)
    return np.sin(x) + noise * draws

  def pool(seed):
    y = series(seed).astype(np.float32)
    input_windows = np.lib.stride_tricks.sliding_window_view(y[:-1], window)
    target_windows = np.lib.stride_tricks.sliding_window_view(y[1:], window)
    examples = Examples(
      np.ascontiguousarray(input_windows)[..., None],
      np.ascontiguousarray(target_windows)[..., None],
    )
    parts, begin = {}, 0
    for name, end in ends.items():
      parts[name] = np.arange(begin, end - window)
      begin = end
    parts.setdefault('test', parts['train'])
    return Pool(examples, parts)

  def levels(pool):
    train, test = (
      [np.asarray(a[pool.parts[part]], np.float64) for a in pool.examples[:2]]
      for part in ('train', 'test')
    )
    return {
      'persistence': {'loss': float(np.mean((test[0] - test[1]) ** 2))},
      'AR(2)': {'loss': _autoregression(train, test)},
    }

  def after(predict, pool):
    series = pool.examples.inputs[..., 0]
    values = list(map(float, series[0]))
    for _ in range(total - window):
      window_values = np.asarray(values[-window:], np.float32)[None, :, None]
      values.append(float(predict(window_values)[0, -1, 0]))
    y = np.concatenate([series[0], pool.examples.targets[:, -1, 0]])
    sine = np.sin(x)
    rollout = np.asarray(values[window:])
    return {
      'x': x.tolist(),
      'points': y.astype(float).tolist(),
      'clean': sine.tolist(),
      'fitted': points,
      'free_run': rollout.tolist(),
      'start': window,
      'free_run_rmse': float(np.sqrt(np.mean((rollout - sine[window:]) ** 2))),
    }

  return Dataset(
    num_inputs=1,
    vocabulary=0,
    num_outputs=1,
    loss='squared',
    every_step=True,
    pool=pool,
    levels=levels,
    after=after,
    facts={
      'data': f'{points} points, 24.5 a period, noise {noise:g}, drawn anew '
      'for each seed',
      'parts': 'trained on all, tested on the same'
      if split == 'none'
      else f'{points} points to train, {points // 4} to validate, '
      f'{total - points - points // 4} to test, one after another',
    },
  )


def _autoregression(train, test):
  """Squared error of y_{t+1} = a + b y_t + c y_{t-1}, where y_{t-1} is seen.

  The first step of a window has one value only; it gets a fit of its own, so
  that the mean is over the same steps as a net's.
  """
  total = 0.0
  for steps, lags in ((slice(0, 1), 1), (slice(1, None), 2)):

    def table(windows, steps=steps, lags=lags):
      columns = [np.ones_like(windows[:, steps])]
      columns += [
        np.roll(windows, lag, axis=1)[:, steps] for lag in range(lags)
      ]
      return np.stack([c.ravel() for c in columns], axis=-1)

    (seen, asked), (seen_test, asked_test) = (
      [a[..., 0] for a in part] for part in (train, test)
    )
    weights, *_ = np.linalg.lstsq(
      table(seen), asked[:, steps].ravel(), rcond=None
    )
    error = table(seen_test) @ weights - asked_test[:, steps].ravel()
    total += float(np.sum(error**2))
  return total / test[1].size
