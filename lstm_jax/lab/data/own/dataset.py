"""Sequences of one's own as a `Dataset`: parts, scales, baselines, facts."""

import functools
from collections.abc import Mapping
from typing import Literal

import numpy as np

from lstm_jax.dataset import Dataset, Examples, Pool
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.own import baselines, parts, scaling, sequences
from lstm_jax.lab.data.own.sequences import Sequences

Scale = Literal['standard', 'none']
_MAX_NAMES = 12  # names of features, classes


def check_same(
  name: str, digests: Mapping[str, str], planned: Mapping[str, str]
) -> None:
  """Refuses data that are not those of the plan.

  Args:
    name: of the file, for messages.
    digests: of `sequences.digests`, what it holds now.
    planned: the same as planned; '' is not compared.

  Raises:
    BadData: the file has changed since.
  """
  for name_of, digest in digests.items():
    if planned[name_of] and planned[name_of] != digest:
      raise BadData(
        f'{name}: has changed: {name_of} were {planned[name_of]} and are '
        f'{digest}'
      )


def dataset(
  name: str,
  data: Sequences,
  *,
  valid: float,
  test: float,
  split_seed: int,
  scale: Scale,
  digests: Mapping[str, str] | None = None,
  facts: Mapping[str, str] | None = None,
  more: Mapping[str, object] | None = None,
) -> Dataset:
  """The data set of some sequences.

  Args:
    name: of the file, for messages.
    data: the sequences.
    valid, test: shares of parts that are drawn.
    split_seed: of the draw.
    scale: 'standard' gives inputs, and targets that are numbers, mean 0 and
      deviation 1 over the training part; 'none' leaves them.
    digests: what the data are; None: of `sequences.digests`.
    facts: more for the report.
    more: plain values that `fresh` needs besides.

  Raises:
    ValueError: shares that leave nothing to train on.
    BadData: too few different sequences for the parts.
  """
  if not (0 < valid < 1 and 0 < test < 1 and valid + test < 1):
    raise ValueError(
      f'valid={valid:g} with test={test:g}: both must be above 0 and their sum '
      'below 1'
    )
  marks = digests or sequences.digests(data)
  where, parts_text = parts.parts_of(name, data, valid, test, split_seed)
  classes = len(data.classes)
  size = data.inputs.shape[1]
  outputs = classes or data.targets.shape[1]
  of_inputs, of_targets = scaling.unit(size), scaling.unit(outputs)
  if scale == 'standard':
    of_inputs = scaling.of_inputs(data, where['train'])
    if not classes:
      of_targets = scaling.of_targets(data, where['train'])

  @functools.cache
  def pool():
    return Pool(_examples(data, of_inputs, of_targets), where)

  form = {
    'features': list(data.features),
    'outputs': list(data.outputs),
    'num_inputs': size,
    'num_outputs': outputs,
    'every_step': data.every_step,
    'mean': of_inputs.mean.tolist(),
    'deviation': of_inputs.deviation.tolist(),
    'target_mean': [] if classes else of_targets.mean.tolist(),
    'target_deviation': [] if classes else of_targets.deviation.tolist(),
    **(more or {}),
  }
  return Dataset(
    num_inputs=size,
    vocabulary=0,
    num_outputs=outputs,
    loss='softmax' if classes else 'squared',
    every_step=data.every_step,
    pool=lambda seed: pool(),
    levels=lambda pool: baselines.levels(pool, classes, data.every_step),
    after=lambda predict, pool: {'form': form},
    classes=data.classes,
    checksum='; '.join(
      f'{name_of} {digest}' for name_of, digest in marks.items()
    ),
    parts=lambda seed: where,
    facts=_facts(data, parts_text, len(where['test']), scale, of_targets)
    | dict(facts or {})
    | dict(marks),
  )


def _examples(data, of_inputs, of_targets):
  """Arrays as networks have them."""
  inputs = scaling.padded(data.inputs, data, of_inputs)
  if data.every_step:
    scale = None if data.classes else of_targets
    targets = scaling.padded(data.targets, data, scale)
  elif data.classes:
    targets = data.targets.astype(np.int32)
  else:
    targets = of_targets.scaled(data.targets)
  lengths = None
  if np.ptp(data.lengths):
    lengths = data.lengths.astype(np.int32)
  return Examples(inputs, targets, lengths)


def _facts(data, parts_text, num_test, scale, of_targets):
  """Returns what the report is to say of the data."""
  shortest, longest = data.lengths.min(), data.lengths.max()
  steps = (
    f'{shortest:,} to {longest:,}' if longest > shortest else f'{longest:,}'
  )
  features = data.inputs.shape[1]
  size_text = (
    f'{len(data.lengths):,} sequences of {steps} steps, {len(data.inputs):,} '
    f'in all; {features} feature{"s" * (features != 1)} a step'
  ) + _list_text(data.features)
  when = 'at every step' if data.every_step else 'at the end of a sequence'
  if data.classes:
    counts = np.bincount(data.targets, minlength=len(data.classes))
    words = [
      f'{word} ({count:,})'
      for word, count in zip(data.classes, counts, strict=True)
    ]
    target_text = f'one of {len(data.classes)} classes {when}' + _list_text(
      words
    )
  else:
    count = data.targets.shape[1]
    target_text = f'{count} number{"s" * (count != 1)} {when}'
    target_text += _list_text(data.outputs)
  facts = {'data': size_text, 'asked for': target_text, 'parts': parts_text}
  if data.classes and not data.every_step:
    facts['test part'] = _margin(num_test)
  facts['scale'] = 'inputs as they are'
  if scale == 'standard':
    facts['scale'] = 'inputs have mean 0 and deviation 1 over the training part'
  if not data.classes:
    facts['scale'] += _units(scale, of_targets)
  if data.every_step:
    facts['errors'] = (
      'means over all steps of a part, long sequences count more'
    )
  return facts


def _margin(num_test):
  """Says how much an accuracy owes to which sequences test, whatever the seed.

  The 95 % interval of a share of one half, by the normal approximation.
  """
  points = min(100.0, 98 / np.sqrt(num_test))
  return (
    f'{num_test:,} sequences: intervals are over seeds alone; which sequences '
    f'test moves an accuracy near 50 % by {points:.0f} points either way'
  )


def _units(scale, of_targets):
  if scale == 'none':
    return '; targets as they are: a loss is in their unit, squared'
  pairs = zip(of_targets.mean, of_targets.deviation, strict=True)
  words = [f'{mean:.4g} ± {deviation:.4g}' for mean, deviation in pairs]
  return (
    '; targets too'
    + _list_text(words, ' (there ')
    + ': a loss of 1 is that of their mean'
  )


def _list_text(words, prefix=': '):
  if not words:
    return ''
  tail_text = f', ... ({len(words)})' if len(words) > _MAX_NAMES else ''
  tail = ')' * prefix.count('(')
  return prefix + ', '.join(words[:_MAX_NAMES]) + tail_text + tail
