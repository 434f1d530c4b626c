"""Sequences of one's own as a `Dataset`: parts, scales, baselines, facts."""

import functools
from collections.abc import Mapping
from typing import Literal

import numpy as np

from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.own import baselines, parts, scaling, sequences
from lstm_jax.lab.data.own.sequences import Sequences
from lstm_jax.training.examples import Dataset, Examples, Pool

Scale = Literal['standard', 'none']
_SHOWN = 12  # names of features, classes


def check_same(
  name: str, found: Mapping[str, str], planned: Mapping[str, str]
) -> None:
  """Refuses data that are not those of the plan.

  Args:
    name: of the file, for messages.
    found: of `sequences.digests`, what it holds now.
    planned: the same as planned; '' is not compared.

  Raises:
    BadData: the file has changed since.
  """
  for what, now in found.items():
    if planned[what] and planned[what] != now:
      raise BadData(
        f'{name}: has changed: {what} were {planned[what]} and are {now}'
      )


def dataset(
  name: str,
  held: Sequences,
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
    held: the sequences.
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
  said = digests or sequences.digests(held)
  where, how = parts.parts_of(name, held, valid, test, split_seed)
  classes = len(held.classes)
  size = held.inputs.shape[1]
  outputs = classes or held.targets.shape[1]
  of_inputs, of_targets = scaling.unit(size), scaling.unit(outputs)
  if scale == 'standard':
    of_inputs = scaling.of_inputs(held, where['train'])
    if not classes:
      of_targets = scaling.of_targets(held, where['train'])

  @functools.cache
  def pool():
    return Pool(_examples(held, of_inputs, of_targets), where)

  form = {
    'features': list(held.features),
    'outputs': list(held.outputs),
    'num_inputs': size,
    'num_outputs': outputs,
    'every_step': held.every_step,
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
    every_step=held.every_step,
    pool=lambda seed: pool(),
    levels=lambda pool: baselines.levels(pool, classes, held.every_step),
    after=lambda predict, pool: {'form': form},
    classes=held.classes,
    checksum='; '.join(f'{what} {one}' for what, one in said.items()),
    parts=lambda seed: where,
    facts=_facts(held, how, len(where['test']), scale, of_targets)
    | dict(facts or {})
    | dict(said),
  )


def _examples(held, of_inputs, of_targets):
  """Arrays as networks have them."""
  inputs = scaling.padded(held.inputs, held, of_inputs)
  if held.every_step:
    scale = None if held.classes else of_targets
    targets = scaling.padded(held.targets, held, scale)
  elif held.classes:
    targets = held.targets.astype(np.int32)
  else:
    targets = of_targets.scaled(held.targets)
  lengths = None
  if np.ptp(held.lengths):
    lengths = held.lengths.astype(np.int32)
  return Examples(inputs, targets, lengths)


def _facts(held, how, tested, scale, of_targets):
  """Returns what the report is to say of the data."""
  shortest, longest = held.lengths.min(), held.lengths.max()
  steps = (
    f'{shortest:,} to {longest:,}' if longest > shortest else f'{longest:,}'
  )
  features = held.inputs.shape[1]
  data = (
    f'{len(held.lengths):,} sequences of {steps} steps, {len(held.inputs):,} '
    f'in all; {features} feature{"s" * (features != 1)} a step'
  ) + _listed(held.features)
  when = 'at every step' if held.every_step else 'at the end of a sequence'
  if held.classes:
    counts = np.bincount(held.targets, minlength=len(held.classes))
    words = [
      f'{word} ({count:,})'
      for word, count in zip(held.classes, counts, strict=True)
    ]
    asked = f'one of {len(held.classes)} classes {when}' + _listed(words)
  else:
    count = held.targets.shape[1]
    asked = f'{count} number{"s" * (count != 1)} {when}'
    asked += _listed(held.outputs)
  said = {'data': data, 'asked for': asked, 'parts': how}
  if held.classes and not held.every_step:
    said['test part'] = _margin(tested)
  said['scale'] = 'inputs as they are'
  if scale == 'standard':
    said['scale'] = 'inputs have mean 0 and deviation 1 over the training part'
  if not held.classes:
    said['scale'] += _units(scale, of_targets)
  if held.every_step:
    said['errors'] = 'means over all steps of a part, long sequences count more'
  return said


def _margin(tested):
  """Says how much an accuracy owes to which sequences test, whatever the seed.

  The 95 % interval of a share of one half, by the normal approximation.
  """
  points = min(100.0, 98 / np.sqrt(tested))
  return (
    f'{tested:,} sequences: intervals are over seeds alone; which sequences '
    f'test moves an accuracy near 50 % by {points:.0f} points either way'
  )


def _units(scale, of_targets):
  if scale == 'none':
    return '; targets as they are: a loss is in their unit, squared'
  pairs = zip(of_targets.mean, of_targets.deviation, strict=True)
  words = [f'{mean:.4g} ± {deviation:.4g}' for mean, deviation in pairs]
  return (
    '; targets too'
    + _listed(words, ' (there ')
    + ': a loss of 1 is that of their mean'
  )


def _listed(words, before=': '):
  if not words:
    return ''
  more = f', ... ({len(words)})' if len(words) > _SHOWN else ''
  tail = ')' * before.count('(')
  return before + ', '.join(words[:_SHOWN]) + more + tail
