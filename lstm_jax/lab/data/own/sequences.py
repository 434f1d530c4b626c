"""Sequences of one's own in one form, whatever file they come from.

Letters: N sequences, S steps of all of them together, F features of a step, K
numbers of a target.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lstm_jax.choices import count_of
from lstm_jax.lab.data.files.errors import BadData

PARTS = ('train', 'valid', 'test')
FEWEST = 10  # sequences
MOST_CLASSES = 1_000
# Numbers in memory once every sequence is as long as the longest.
MOST_NUMBERS = 2**31
_LARGEST = float(np.finfo(np.float32).max)
_PIECE = 2**16  # steps at a time
_DIGITS = 12


class Sequences(NamedTuple):
  """Sequences, what is asked of each, and the part it belongs to.

  Attributes:
    inputs: `[S, F]` numbers, the steps of one sequence after those of another.
    lengths: `[N]` int64, their sum S.
    targets: `[N]` int64 classes or `[N, K]` float64; `[S]` or `[S, K]` where
      each step has one.
    every_step: whether each step has a target.
    classes: names of the classes, () where targets are numbers.
    features: names of the F features, () where they have none.
    outputs: names of the K numbers, () where they have none.
    part: `[N]` places in `PARTS`, None where the file does not say.
    names: what messages call the sequences; () by their place, from 0.
  """

  inputs: np.ndarray
  lengths: np.ndarray
  targets: np.ndarray
  every_step: bool
  classes: tuple[str, ...] = ()
  features: tuple[str, ...] = ()
  outputs: tuple[str, ...] = ()
  part: np.ndarray | None = None
  names: tuple[str, ...] = ()

  @property
  def starts(self) -> np.ndarray:
    """`[N]` the first step of each sequence."""
    return np.cumsum(self.lengths) - self.lengths


def digests(data: Sequences) -> dict[str, str]:
  """Says what data are, so that no others are taken for them.

  The numbers count: a file's name, place and compression do not, nor whether it
  holds them in 32 or 64 bits.

  Returns:
    'inputs' as NxSxF and 12 digits of a SHA-256, 'targets' as what they are and
    digits, 'split' as 'drawn', or 'given' and digits.
  """
  steps, features = data.inputs.shape
  inputs = hashlib.sha256(data.lengths.astype('<i8').tobytes())
  for piece in pieces(data.inputs):
    inputs.update(plain(piece, '<f8').tobytes())
  kind = f'{len(data.classes)}-classes' if data.classes else 'numbers'
  kind += '-a-step' * data.every_step
  targets = hashlib.sha256(repr((kind, data.classes)).encode())
  dtype = '<i8' if data.classes else '<f8'
  targets.update(plain(data.targets, dtype).tobytes())
  split = 'drawn'
  if data.part is not None:
    content = data.part.astype('u1').tobytes()
    split = f'given-{hashlib.sha256(content).hexdigest()[:_DIGITS]}'
  head = f'{len(data.lengths)}x{steps}x{features}'
  return {
    'inputs': f'{head}-{inputs.hexdigest()[:_DIGITS]}',
    'targets': f'{kind}-{targets.hexdigest()[:_DIGITS]}',
    'split': split,
  }


def plain(values: np.ndarray, dtype: str) -> np.ndarray:
  """Numbers whose bytes are equal where they are: -0.0 is 0.0."""
  return values.astype(dtype) + np.zeros((), dtype)


def pieces(inputs: np.ndarray) -> Iterator[np.ndarray]:
  """Steps, some thousands at a time."""
  for at in range(0, len(inputs), _PIECE):
    yield inputs[at : at + _PIECE]


def checked(name: str, data: Sequences) -> Sequences:
  """Returns sequences that can be trained on.

  Args:
    name: of the file, for messages.
    data: what was read.

  Raises:
    BadData: too few or too long sequences; an input or target that is no finite
      number; targets that are all the same, or each a 1 among 0s; a class
      without an example; a part without a sequence, or without one of a class.
  """
  count = len(data.lengths)
  if count < FEWEST:
    raise BadData(
      f'{name}: {count_of(count, "sequence")}; it takes at least {FEWEST}'
    )
  check_inputs(name, data)
  if data.classes:
    _check_classes(name, data)
  else:
    _check_numbers(name, data)
  if data.part is not None:
    _check_parts(name, data)
  return data


def check_inputs(name: str, data: Sequences) -> None:
  """Checks the inputs alone, of further sequences too; raises as `checked`."""
  count, longest = len(data.lengths), int(data.lengths.max())
  total = count * longest * data.inputs.shape[1]
  if total > MOST_NUMBERS:
    raise BadData(
      f'{name}: {count:,} sequences, the longest of {longest:,} steps, are '
      f'{total:,} numbers once all are as long; at most {MOST_NUMBERS:,} fit: '
      'cut or thin out the long ones'
    )
  at = 0
  for piece in pieces(data.inputs):
    is_bad = ~(np.abs(piece) <= _LARGEST)  # not a number, too
    if is_bad.any():
      step, feature = np.argwhere(is_bad)[0]
      raise BadData(
        f'{name}: {_feature(data, feature)} of {_place(data, at + step)} is '
        f'{piece[step, feature]}; inputs must be finite numbers of float32'
      )
    at += len(piece)


def _feature(data, feature):
  return data.features[feature] if data.features else f'feature {feature}'


def _place(data, step):
  """Names the sequence of a step, and the step within it."""
  number = int(np.searchsorted(data.starts, step, 'right')) - 1
  return f'{sequence(data, number)}, step {step - data.starts[number]:,}'


def sequence(data: Sequences, one: int) -> str:
  """The words for a sequence."""
  return f'sequence {data.names[one] if data.names else one}'


def _check_classes(name, data):
  count = len(data.classes)
  if count < 2:
    class_name = data.classes[0] if data.classes else 'none'
    raise BadData(f'{name}: one class ({class_name}); it takes two')
  if count > MOST_CLASSES:
    raise BadData(
      f'{name}: {count:,} classes, at most {MOST_CLASSES:,}; where targets are '
      'numbers to be predicted, store them as floats'
    )
  counts = np.bincount(data.targets, minlength=count)
  if not counts.all():
    raise BadData(
      f'{name}: class {data.classes[int(np.argmin(counts))]} has no example; '
      f'{count} classes are 0 to {count - 1}, each with some'
    )


def _check_numbers(name, data):
  is_bad = ~(np.abs(data.targets) <= _LARGEST)
  if is_bad.any():
    row = int(np.argwhere(is_bad)[0][0])
    where = _place(data, row) if data.every_step else sequence(data, row)
    raise BadData(
      f'{name}: the target of {where} is {data.targets[is_bad][0]}; targets '
      'must be finite numbers of float32'
    )
  ones = data.targets == 1
  singles = ones.shape[1] > 1 and np.all(ones.sum(axis=1) == 1)
  if singles and not data.targets[~ones].any():
    raise BadData(
      f'{name}: each target is a single 1 among 0s, a class as numbers; '
      'classes are whole numbers or words: targets.argmax(-1), or a label'
    )
  is_constant = np.ptp(data.targets, axis=0) == 0
  if is_constant.any():
    column = int(np.argmax(is_constant))
    words = data.outputs[column] if data.outputs else f'target {column}'
    raise BadData(
      f'{name}: {words} is {data.targets[0, column]:g} everywhere: there is '
      'nothing to learn'
    )


def _check_parts(name, data):
  of_step = np.repeat(data.part, data.lengths) if data.every_step else data.part
  for at, part in enumerate(PARTS):
    if not (data.part == at).any():
      if part == 'valid':
        continue  # it is drawn from those that train
      raise BadData(f'{name}: split: no sequence is in part {part}')
    if not data.classes or part == 'valid':
      continue
    counts = np.bincount(
      data.targets[of_step == at], minlength=len(data.classes)
    )
    if not counts.all():
      raise BadData(
        f'{name}: split: part {part} has no example of class '
        f'{data.classes[int(np.argmin(counts))]}'
      )
