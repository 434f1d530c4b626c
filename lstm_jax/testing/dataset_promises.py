"""Checks of a data set: all that the data sets of the catalog promise."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from lstm_jax.dataset import Dataset
from lstm_jax.testing.broken import Broken
from lstm_jax.testing.pools import admit_dataset
from lstm_jax.testing.promises import Failure, Promise, build, hold


class _Subject(NamedTuple):
  """A data set under examination."""

  name: str
  dataset: Dataset
  seeds: tuple[int, ...]


def check_dataset(
  factory: Callable[..., Dataset] | Dataset,
  *,
  seeds: Iterable[int] = (0, 1),
  options: Mapping[str, object] | None = None,
  name: str = '',
  without: Collection[str] = (),
  raises: bool = True,
) -> tuple[Failure, ...]:
  """Checks a data set against all that those of this package promise.

  Args:
    factory: `(**options) -> Dataset`, or a data set.
    seeds: of trials.
    options: of the factory.
    name: for messages; '': that of the factory.
    without: names of promises that are left out.
    raises: whether broken promises are raised, or returned.

  Returns:
    A `Failure` for each broken promise, () for none.

  Raises:
    Broken: with a line for each broken promise: what is wrong, where to look.

  Example:
    >>> from lstm_jax import testing
    >>> from lstm_jax.lab.data.noisy_sine import noisy_sine
    >>> testing.check_dataset(noisy_sine, options={'length': 20})
    ()
  """
  name = name or getattr(factory, '__name__', 'data set')
  dataset = build(factory, Dataset, f'data set {name}', **options or {})
  subject = _Subject(name, dataset, tuple(seeds))
  return hold(f'data set {name}', DATASET_PROMISES, subject, without, raises)


def _examples(of):
  admit_dataset(of.name, of.dataset, of.seeds)


def _seeds(of):
  """The same seed has the same examples, to the bit."""
  for seed in of.seeds:
    pool, again = (of.dataset.pool(seed) for _ in range(2))
    for name, a, b in zip(
      pool.examples._fields, pool.examples, again.examples, strict=True
    ):
      if (a is None) != (b is None) or not (a is b or _same_arrays(a, b)):
        raise Broken(f'pool({seed}) gives other {name} when it is asked again')
    for part in pool.parts:
      if not np.array_equal(pool.parts[part], again.parts.get(part, ())):
        raise Broken(
          f'pool({seed}) gives another part {part!r} when asked again'
        )


def _same_arrays(a, b):
  kind = np.asarray(a).dtype.kind
  return np.array_equal(a, b, equal_nan=kind == 'f')


def _classes(of):
  if of.dataset.loss == 'squared':
    return
  pool = of.dataset.pool(of.seeds[0])
  targets = np.asarray(pool.examples.targets)
  taught = np.unique(targets[pool.parts['train']])
  for part in ('valid', 'test'):
    if part in pool.parts:
      new = np.setdiff1d(targets[pool.parts[part]], taught)
      if new.size:
        raise Broken(
          f'class {new[0]} is in the part {part!r} and no training example has '
          'it'
        )
  if len(taught) < 2:
    raise Broken(f'all training examples are of class {taught[0]}')


def _levels(of):
  """Predictors without recurrence: plain finite numbers by known names."""
  if of.dataset.levels is None:
    return
  pool = of.dataset.pool(of.seeds[0])
  for name, metrics in of.dataset.levels(pool).items():
    for metric, value in metrics.items():
      if metric not in ('loss', 'accuracy'):
        raise Broken(f'levels: {name}: {metric!r} must be loss or accuracy')
      if not isinstance(value, float | int) or not np.isfinite(value):
        raise Broken(f'levels: {name}: {metric} is {value!r}, no finite number')
      if metric == 'accuracy' and not 0 <= value <= 1:
        raise Broken(f'levels: {name}: accuracy {value} is not from 0 to 1')


DATASET_PROMISES: tuple[Promise[_Subject], ...] = (
  Promise('examples', 'see lstm_jax.dataset.Dataset', _examples),
  Promise('seeds', 'see Dataset.pool: deterministic', _seeds),
  Promise('classes', 'see Pool.parts, Examples.targets', _classes),
  Promise('levels', 'see Dataset.levels', _levels),
)
