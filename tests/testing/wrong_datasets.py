"""A wrong data set for each promise of data sets, and words that are said."""

import numpy as np

from lstm_jax.dataset import Dataset, Examples, Pool

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(12, 5, 2)).astype(np.float32)
LABELS = np.arange(12, dtype=np.int32) % 3
PARTS = {
  'train': np.arange(8),
  'valid': np.arange(8, 10),
  'test': np.arange(10, 12),
}


def data_of(pool):
  return Dataset(2, 0, 3, 'softmax', False, pool)


def pool_of(inputs=INPUTS, labels=LABELS):
  return Pool(Examples(inputs, labels), PARTS)


def drawn_anew(seed):
  return pool_of(RANDOM.normal(size=INPUTS.shape).astype(np.float32))


DATA = data_of(lambda seed: pool_of())

WRONG = {
  'examples': (
    data_of(lambda seed: pool_of(INPUTS * np.nan)),
    'input 0 of example 0 is nan',
  ),
  'seeds': (data_of(drawn_anew), r'pool\(0\) gives other inputs'),
  'classes': (
    data_of(lambda seed: pool_of(labels=np.repeat([0, 1, 2], [5, 4, 3]))),
    "class 2 is in the part 'valid' and no training example",
  ),
  'levels': (
    DATA._replace(levels=lambda pool: {'mean': {'precision': 0.5}}),
    "'precision' must be loss or accuracy",
  ),
}
