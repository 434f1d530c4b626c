"""Checks what a data set promises: see `examples.Dataset`, `examples.Pool`."""

import itertools
import zlib
from collections.abc import Iterable

import numpy as np

from lstm_jax.dataset import Dataset, Examples, Pool
from lstm_jax.testing.broken import Broken, must_be, words

_ROWS = 2**22  # numbers looked at in one piece
_PARTS = ('train', 'valid', 'test')
# Copies of training examples in the test part that may be chance: published
# collections hold a few; short texts repeat each other.
_COPIES = {'numbers': 0.01, 'tokens': 0.5}


def admit_dataset(
  name: str, dataset: Dataset, seeds: Iterable[int] = (0,)
) -> None:
  """Checks the examples and the parts of a data set for some seeds.

  Where `Dataset.parts` is all that a seed decides, the examples are those of
  the first seed; else all different ones are looked at.

  Args:
    name: for messages.
    dataset: what its factory has made.
    seeds: of the trials.

  Raises:
    Broken: see `check_pool`.
  """
  title = f'data set {name}'
  must_be(title, dataset, Dataset)
  earlier_pools: list[Examples] = []
  for number, seed in enumerate(seeds):
    if dataset.parts is None or not number:
      pool = dataset.pool(seed)
      must_be(f'{title}: pool({seed})', pool, Pool)
      is_same = [
        all(map(_identical, old, pool.examples)) for old in earlier_pools
      ]
      if any(is_same) and dataset.parts is None:
        check_parts(title, pool)
      else:
        check_pool(name, dataset, pool)
        # One: of drawn ones there may be hundreds.
        earlier_pools = [pool.examples]
    if dataset.parts is not None:
      parts = dataset.parts(seed)
      check_parts(title, pool._replace(parts=parts))
      if not number and not _same_parts(parts, pool.parts):
        raise Broken(f'{title}: parts({seed}) are not those of pool({seed})')


def check_pool(name: str, dataset: Dataset, pool: Pool) -> None:
  """Checks the examples of a pool and its parts.

  Args:
    name: for messages.
    dataset: what they have to suit.
    pool: the examples of one seed.

  Raises:
    Broken: arrays of other shapes or dtypes; lengths, tokens or labels out of
      range; an input within its length, or a target, that is not finite; what
      `check_parts` raises; a test part that consists of training examples.
  """
  title = f'data set {name}'
  inputs, targets, lengths = pool.examples
  tokens, count = bool(dataset.vocabulary), len(inputs)
  kind, rank = ('iu', 2) if tokens else ('f', 3)
  must = 'integers [N, T]' if tokens else f'floats [N, T, {dataset.num_inputs}]'
  if (
    inputs.dtype.kind not in kind
    or inputs.ndim != rank
    or not inputs.size
    or (not tokens and inputs.shape[2] != dataset.num_inputs)
  ):
    raise Broken(f'{title}: inputs are {words(inputs)}, must be {must}')
  steps = inputs.shape[1]
  if lengths is not None:
    if lengths.dtype.kind not in 'iu' or lengths.shape != (count,):
      raise Broken(
        f'{title}: lengths are {words(lengths)}, must be integers [{count}]'
      )
    _in_range(title, 'length', lengths, 1, steps)
  _check_inputs(title, dataset, inputs, lengths)
  _check_targets(title, dataset, targets, count, steps)
  check_parts(title, pool)
  _check_copies(title, pool, 'tokens' if tokens else 'numbers')


def _check_inputs(title, dataset, inputs, lengths):
  """Values that are read; in pieces, as there may be gigabytes."""
  rows = max(1, _ROWS // inputs[0].size)
  for at in range(0, len(inputs), rows):
    values = np.asarray(inputs[at : at + rows])
    if dataset.vocabulary:
      _in_range(title, 'token', values, 0, dataset.vocabulary - 1, at)
      continue
    with np.errstate(over='ignore'):  # what float32 cannot hold becomes inf
      is_bad = ~np.isfinite(values.astype(np.float32, copy=False))
    if lengths is not None and is_bad.any():
      past = np.arange(values.shape[1]) >= lengths[at : at + rows, None]
      is_bad &= ~past[..., None]
    if is_bad.any():
      example, step, line = np.argwhere(is_bad)[0]
      raise Broken(
        f'{title}: input {line} of example {at + example:,} is '
        f'{values[example, step, line]} at step {step:,} '
        f'({int(is_bad.sum()):,} like it); inputs must be finite float32'
      )


def _check_targets(title, dataset, targets, count, steps):
  """Labels of the classes, or finite numbers, one for each example."""
  outputs = dataset.num_outputs
  if dataset.loss == 'squared':
    shape = (count, steps, outputs) if dataset.every_step else (count, outputs)
    if targets.dtype.kind != 'f' or targets.shape != shape:
      raise Broken(
        f'{title}: targets are {words(targets)}, must be floats {list(shape)}'
      )
    is_bad = ~np.isfinite(targets.reshape(count, -1)).all(1)
    if is_bad.any():
      raise Broken(
        f'{title}: a target of example {np.argmax(is_bad):,} is not finite (of '
        f'{int(is_bad.sum()):,} examples)'
      )
    return
  shape = (count, steps) if dataset.every_step else (count,)
  if targets.dtype.kind not in 'iu' or targets.shape != shape:
    place = 'step' if dataset.every_step else 'example'
    raise Broken(
      f'{title}: targets are {words(targets)}, must be integers {list(shape)}: '
      f'the class of each {place}'
    )
  if dataset.loss == 'sigmoid' and (outputs != 1 or dataset.every_step):
    raise Broken(
      f'{title}: num_outputs={outputs} must be 1 for loss sigmoid, at the end'
    )
  classes = 2 if dataset.loss == 'sigmoid' else outputs
  if dataset.classes and len(dataset.classes) != classes:
    raise Broken(
      f'{title}: {len(dataset.classes)} names of classes, must be {classes}'
    )
  _in_range(title, 'label', targets, 0, classes - 1)


def check_parts(title: str, pool: Pool) -> None:
  """Checks which examples train, validate and test.

  Args:
    title: for messages.
    pool: the examples and their parts.

  Raises:
    Broken: a part that is missing, empty, unknown or no list of indices; an
      index that no example has; an example in two parts, unless the test part
      is the training part.
  """
  parts, count = pool.parts, len(pool.examples.inputs)
  if names := [part for part in parts if part not in _PARTS]:
    raise Broken(
      f'{title}: part {names[0]!r} is unknown, known are {", ".join(_PARTS)}'
    )
  for part in _PARTS:
    if part not in parts:
      if part == 'valid':
        continue
      raise Broken(f'{title}: has no part {part!r}')
    index = np.asarray(parts[part])
    if index.dtype.kind not in 'iu' or index.ndim != 1:
      raise Broken(
        f'{title}: part {part!r} is {words(index)}, must be a list of indices'
      )
    if not len(index):
      raise Broken(f'{title}: part {part!r} is empty, must hold an example')
    _in_range(title, f'index in part {part!r}', index, 0, count - 1)
  for part, other in itertools.combinations(parts, 2):
    if {part, other} == {'train', 'test'} and _same_part(parts):
      continue  # taught without held-out data
    shared = np.intersect1d(parts[part], parts[other])
    if len(shared):
      raise Broken(
        f'{title}: {len(shared):,} examples are in both {part!r} and '
        f'{other!r}, the first is {shared[0]:,}; parts must not share any'
      )


def _same_part(parts):
  return np.array_equal(parts['train'], parts['test'])


def _check_copies(title, pool, kind):
  """The test part is not the training part under other indices."""
  if _same_part(pool.parts):
    return
  # Labels alone are alike often; all that is known of an example is not.
  arrays = [np.asarray(a) for a in pool.examples if a is not None]
  content = lambda i: b''.join(a[i].tobytes() for a in arrays)
  marks = lambda part: [zlib.crc32(content(i)) for i in pool.parts[part]]
  taught = dict(zip(marks('train'), pool.parts['train'], strict=True))
  copies = [
    (i, taught[mark])
    for i, mark in zip(pool.parts['test'], marks('test'), strict=True)
    if mark in taught and content(i) == content(taught[mark])
  ]
  if len(copies) > _COPIES[kind] * len(pool.parts['test']):
    test, train = copies[0]
    raise Broken(
      f'{title}: {len(copies):,} of {len(pool.parts["test"]):,} test examples '
      f'are copies of training examples, {test:,} of {train:,} for one'
    )


def _in_range(title, name, values, low, high, first=0):
  """Raises `Broken` for a value outside `low` to `high`."""
  if values.min() < low or values.max() > high:
    where = np.argwhere((values < low) | (values > high))[0]
    raise Broken(
      f'{title}: {name} {values[tuple(where)]} of example {first + where[0]:,} '
      f'must be {low:,} to {high:,}'
    )


def _identical(array, other):
  return array is other


def _same_parts(parts, others):
  return parts.keys() == others.keys() and all(
    np.array_equal(parts[part], others[part]) for part in parts
  )
