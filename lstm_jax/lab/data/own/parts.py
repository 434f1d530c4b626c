"""Parts of sequences that their file does not divide.

Drawn by a hash of each sequence's own numbers: the same on every machine,
whatever their order in the file. Sequences that are equal stay in one part.
"""

import hashlib

import numpy as np

from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.own.sequences import PARTS, Sequences, plain

_TRAIN, _VALID, _TEST = range(3)


def parts_of(
  name: str, data: Sequences, valid: float, test: float, seed: int
) -> tuple[dict[str, np.ndarray], str]:
  """The parts of sequences, those of the file or drawn ones.

  Args:
    name: of the file, for messages.
    data: the sequences.
    valid, test: shares of the parts that are drawn.
    seed: of the draw.

  Returns:
    ('train', 'valid', 'test' -> `[n]` indices, words for the report).

  Raises:
    BadData: too few different sequences, of a class or of all.
  """
  if data.part is None:
    part = np.full(len(data.lengths), _TRAIN)
    _draw(name, data, part, {_TEST: test, _VALID: valid}, seed)
    words = f'drawn, {_stratified(data)}seed {seed}, the same on every machine'
  elif not (data.part == _VALID).any():
    part = np.array(data.part, int)
    _draw(name, data, part, {_VALID: valid}, seed)
    words = (
      'test as the file says; the validation part is drawn from what the file '
      f'trains on, {_stratified(data)}seed {seed}, the same on every machine'
    )
  else:
    part, words = data.part, 'as the file says'
  indices = {word: np.flatnonzero(part == at) for at, word in enumerate(PARTS)}
  sizes = [f'{len(indices[word]):,}' for word in PARTS]
  summary = '{} to train, {} to validate, {} to test; '.format(*sizes) + words
  return indices, summary


def _stratified(data):
  by_class = data.classes and not data.every_step
  return 'class by class, ' if by_class else ''


def _draw(name, data, part, shares, seed):
  """Moves shares of what trains, class by class, into other parts."""
  alike = np.zeros(len(part), int)
  if data.classes and not data.every_step:
    alike = data.targets
  marks = _marks(data, seed)
  for of in np.unique(alike):
    members = np.flatnonzero((alike == of) & (part == _TRAIN))
    whose = f' of class {data.classes[of]}' if alike.any() else ''
    by_content: dict[bytes, list[int]] = {}
    for i in sorted(members.tolist(), key=lambda i: marks[i]):
      by_content.setdefault(marks[i], []).append(i)
    if len(by_content) <= len(shares):
      raise BadData(
        f'{name}: {len(by_content)} different sequences{whose}: to draw '
        f'{" and ".join(PARTS[at] for at in shares)} parts takes '
        f'{len(shares) + 1}; say in the file which part each is in'
      )
    order, left = iter(by_content.values()), len(by_content)
    for number, (at, share) in enumerate(shares.items()):
      num_wanted, num_taken = max(1, round(share * len(members))), 0
      # One for each part that is still to come, and one to train.
      while num_taken < num_wanted and left > len(shares) - number:
        places = next(order)
        part[places] = at
        num_taken, left = num_taken + len(places), left - 1


def _marks(data, seed):
  """`[N]` a hash of the seed and of all that a sequence is."""
  head = f'{seed}/'.encode()
  dtype = '<i8' if data.classes else '<f8'
  marks = []
  for number, (start, length) in enumerate(
    zip(data.starts, data.lengths, strict=True)
  ):
    steps = slice(start, start + length)
    mark = hashlib.sha256(head)
    mark.update(plain(data.inputs[steps], '<f8').tobytes())
    targets = data.targets[steps] if data.every_step else data.targets[number]
    mark.update(plain(targets, dtype).tobytes())
    marks.append(mark.digest())
  return marks
