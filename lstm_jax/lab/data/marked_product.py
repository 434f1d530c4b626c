"""The product of two marked numbers of a sequence, as a book teaches it.

A relative of Experiment 5 of the 1997 paper (`tasks.multiplication`) with fixed
examples, marks anywhere, and no minimal lag.
"""

import numpy as np

from lstm_jax.dataset import Dataset, Examples, Pool
from lstm_jax.lab.data.files.errors import Source
from lstm_jax.ops.checked import checked

NUMBERS = {'length': 100}
STATIC = ('length',)
SHORTEST = 2
MEAN_STEPS = (2048, 0)


@checked
def marked_product(
  *,
  length: int = 100,
  train: int = 2048,
  valid: int = 512,
  test: int = 440,
  tolerance: float = 0.04,
  source: Source | None = None,
) -> Dataset:
  """Two of many numbers are marked; their product is asked for at the end.

  Every step is (marker, value) with values uniform in [0, 1) and two distinct
  marked positions, uniform. All follows from the seed.

  Args:
    length: T, steps of every sequence.
    train, valid, test: examples of each part.
    tolerance: an output is right within this distance.
    source: not used; nothing is read.

  Returns:
    The `Dataset`. Its levels: the mean of the training targets; the constant
    that is within the tolerance most often in training; the best quadratic
    function of the sum of the marked values (memory for a sum, no product).

  Raises:
    ValueError: fewer than two steps.

  Source: seed experiment "multiplication problem": 3,000 sequences of 100
  pairs, of which 2,048 train, 512 validate, 440 test; right within 0.04.
  """
  del source
  if length < 2:
    raise ValueError(f'length={length} must be at least 2')
  counts = {'train': train, 'valid': valid, 'test': test}
  total = sum(counts.values())

  def pool(seed):
    random = np.random.default_rng(seed)
    values = random.random((total, length), np.float32)
    first = random.integers(0, length, total)
    second = (first + random.integers(1, length, total)) % length
    rows = np.arange(total)
    markers = np.zeros((total, length), np.float32)
    markers[rows, first] = markers[rows, second] = 1
    product = values[rows, first] * values[rows, second]
    examples = Examples(np.stack([markers, values], -1), product[:, None])
    ends = np.cumsum(list(counts.values()))
    parts = dict(zip(counts, np.split(rows, ends[:-1]), strict=True))
    return Pool(examples, parts)

  def levels(pool):
    def part(name):
      index = pool.parts[name]
      inputs = pool.examples.inputs[index].astype(np.float64)
      sums = (inputs[..., 0] * inputs[..., 1]).sum(1)
      return sums, pool.examples.targets[index, 0].astype(np.float64)

    (sums, targets), (sums_test, wanted_test) = part('train'), part('test')
    ordered = np.sort(targets)
    width = np.searchsorted(ordered, ordered + 2 * tolerance, 'right')
    most_frequent = (
      ordered[np.argmax(width - np.arange(len(ordered)))] + tolerance
    )
    quadratic = np.polynomial.Polynomial.fit(sums, targets, 2)

    def level(predicted):
      error = predicted - wanted_test
      return {
        'loss': float(np.mean(error**2)),
        'accuracy': float(np.mean(np.abs(error) <= tolerance)),
      }

    return {
      'mean of the targets': level(targets.mean()),
      'constant most often right': level(most_frequent),
      'quadratic in the sum': level(quadratic(sums_test)),
    }

  return Dataset(
    num_inputs=2,
    vocabulary=0,
    num_outputs=1,
    loss='squared',
    every_step=False,
    pool=pool,
    tolerance=tolerance,
    levels=levels,
    facts={
      'data': f'{train:,} sequences of {length} steps to train, {valid:,} to '
      f'validate, {test:,} to test, drawn anew for each seed'
    },
  )
