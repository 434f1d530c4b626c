"""Sequences of a `.npz`, told by the shapes and types of its arrays.

inputs   [N, T, F] padded, or [S, F]: one sequence after another
lengths  [N] steps of each; may be left out of a padded one
targets  [N] whole numbers or words: the class of each sequence
         [N], [N, K] floats: numbers at its end
         [N, T] or [S] whole numbers or words: a class at every step
         [N, T], [N, T, K], [S] or [S, K] floats: numbers at every step
split    [N] words: train, valid, test
classes  [C] words: names of the classes 0 to C - 1
"""

from pathlib import Path

import numpy as np

from lstm_jax.choices import listed
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.own.npz_file import NEEDED, NUMBERS, arrays
from lstm_jax.lab.data.own.sequences import PARTS, Sequences, checked

# Other words for the parts.
_WORDS = {'validation': 'valid', 'val': 'valid', 'dev': 'valid'}


def read(path: Path) -> Sequences:
  """The sequences of a file.

  Raises:
    BadData: file and reason.
  """
  by_name = arrays(path)
  name = str(path)
  missing_names = [
    array_name for array_name in NEEDED if array_name not in by_name
  ]
  if missing_names:
    raise BadData(
      f'{name}: has no array {" and no ".join(missing_names)}; it has '
      f'{listed(by_name)}'
    )
  inputs, lengths = steps_of(name, by_name)
  count = len(lengths)
  split = _split(name, by_name.get('split'), count)
  is_padded = by_name['inputs'].ndim == 3
  targets_of_steps, every_step = _flat_targets(
    name, by_name, lengths, is_padded
  )
  targets, classes = _targets(name, targets_of_steps, by_name.get('classes'))
  return checked(
    name,
    Sequences(inputs, lengths, targets, every_step, classes, part=split),
  )


def steps_of(
  name: str, by_name: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
  """Inputs `[S, F]` and lengths `[N]` of padded or joined sequences.

  Args:
    name: of the file, for messages.
    by_name: its arrays, 'inputs' among them.

  Raises:
    BadData: other shapes; lengths that are not those of the inputs.
  """
  inputs, lengths = by_name['inputs'], by_name.get('lengths')
  text = f'{name}: inputs are {inputs.dtype} {list(inputs.shape)}'
  if inputs.dtype.kind not in NUMBERS or not inputs.size:
    raise BadData(f'{text}; they must be numbers')
  if inputs.ndim not in (2, 3) or (inputs.ndim == 2 and lengths is None):
    raise BadData(
      f'{text}; they must be [N, T, F], or [S, F] with lengths: of one feature '
      'F is 1'
    )
  if lengths is None:
    lengths = np.full(len(inputs), inputs.shape[1])
  if lengths.dtype.kind not in 'iu' or lengths.ndim != 1:
    raise BadData(
      f'{name}: lengths are {lengths.dtype} {list(lengths.shape)}; they must '
      'be whole numbers [N]'
    )
  max_steps = inputs.shape[1] if inputs.ndim == 3 else len(inputs)
  is_bad = (lengths < 1) | (lengths > max_steps)
  if is_bad.any():
    place = int(np.argmax(is_bad))
    raise BadData(
      f'{name}: length {lengths[place]} of sequence {place} must be 1 to '
      f'{max_steps:,}'
    )
  lengths = lengths.astype(np.int64)
  if inputs.ndim == 2:
    if lengths.sum() != len(inputs):
      raise BadData(
        f'{name}: lengths add up to {lengths.sum():,} where inputs have '
        f'{len(inputs):,} steps'
      )
    return _as_floats(inputs), lengths
  if len(lengths) != len(inputs):
    raise BadData(
      f'{name}: {len(lengths):,} lengths of {len(inputs):,} sequences'
    )
  return _as_floats(_without_padding(inputs, lengths)), lengths


def _without_padding(arrays, lengths):
  """`[N, T, ...]` without what is past each length, as `[S, ...]`."""
  is_step = np.arange(arrays.shape[1]) < lengths[:, None]
  return arrays[is_step]


def _as_floats(values):
  """Numbers in a type that every later step can bear; not to be written to."""
  if values.dtype.kind != 'f':
    values = values.astype(np.float64)
  elif values.dtype.itemsize not in (4, 8) or not values.dtype.isnative:
    values = values.astype(np.float64)
  values = np.ascontiguousarray(values)
  values.flags.writeable = False
  return values


def _flat_targets(name, by_name, lengths, is_padded):
  """Targets `[N, ...]`, or `[S, ...]` and that each step has one."""
  targets = by_name['targets']
  count, steps = len(lengths), int(lengths.sum())
  longest = by_name['inputs'].shape[1] if is_padded else None
  shape, floats = targets.shape, targets.dtype.kind == 'f'
  at_end, at_steps = shape[:1] == (count,), False
  if is_padded:
    at_steps = shape[:2] == (count, longest)
    at_end &= targets.ndim == 1 or floats and targets.ndim == 2
    if at_end and at_steps:
      raise BadData(
        f'{name}: targets {list(shape)} are either {longest} numbers of each '
        f'sequence or one at each of {longest} steps: write '
        f'[{count}, {longest}, 1] for every step, or pad inputs by one more '
        'step'
      )
    at_steps &= targets.ndim == 2 or floats and targets.ndim == 3
  else:
    at_steps = shape[:1] == (steps,) and steps != count
    inner = targets.ndim == 1 or floats and targets.ndim == 2
    at_end, at_steps = at_end and inner, at_steps and inner
  if not (at_end or at_steps):
    shape_text = f'[{count}, {longest}]' if is_padded else f'[{steps}]'
    raise BadData(
      f'{name}: targets are {targets.dtype} {list(shape)}; of {count} '
      f'sequences they must be [{count}], or {shape_text} for every step; '
      'floats may have one axis more'
    )
  if at_steps and is_padded:
    targets = _without_padding(targets, lengths)
  return targets, at_steps


def _targets(name, flat, named):
  """Classes and their names, or numbers and ()."""
  kind = flat.dtype.kind
  if kind == 'f':
    if named is not None:
      raise BadData(
        f'{name}: targets are {flat.dtype}, numbers to be predicted, and '
        'classes names classes: for these store whole numbers'
      )
    return _as_floats(flat).reshape(len(flat), -1), ()
  names = None if named is None else words_of(name, 'classes', named)
  if names is not None and len({*names}) != len(names):
    raise BadData(f'{name}: classes has a name twice')
  if kind in 'US':
    words = words_of(name, 'targets', flat)
    names = sorted({*words}) if names is None else names
    place = {word: i for i, word in enumerate(names)}
    if odd := next((word for word in words if word not in place), None):
      raise BadData(f'{name}: target {odd!r} is not among classes')
    return np.array([place[word] for word in words], np.int64), tuple(names)
  if kind == 'b':
    names = ['False', 'True'] if names is None else names
  most = len(names) if names is not None else int(flat.max()) + 1
  bad = (flat < 0) | (flat >= most)
  if bad.any():
    raise BadData(
      f'{name}: target {flat[bad][0]} of {flat.dtype} must be a class, 0 to '
      f'{most - 1}; numbers to be predicted are floats'
    )
  flat = flat.astype(np.int64)
  if names is None:
    there = np.unique(flat)
    if len(there) < min(most, 10**6):
      absent = int(np.setdiff1d(np.arange(min(most, 10**6)), there)[0])
      raise BadData(
        f'{name}: targets are whole numbers and so classes, 0 to {most - 1}, '
        f'but none is {absent}; numbers to be predicted are floats'
      )
    names = [str(i) for i in range(min(most, 10**6))]
  return flat, tuple(names)


def words_of(name: str, title: str, array: np.ndarray) -> list[str]:
  """The words of an array of text `[n]`.

  Raises:
    BadData: it is no such array; a word that is empty or cannot be printed.
  """
  if array.dtype.kind not in 'US' or array.ndim != 1:
    raise BadData(
      f'{name}: {title} is {array.dtype} {list(array.shape)}; it must be text '
      'in one row'
    )
  if array.dtype.kind == 'S':
    try:
      array = np.char.decode(array, 'utf-8')
    except UnicodeDecodeError:
      raise BadData(f'{name}: {title} is not UTF-8') from None
  words = [str(word) for word in array]
  for word in {*words}:
    if not word or not word.isprintable() or len(word) > 100:
      raise BadData(
        f'{name}: {title}: {word[:100]!r} is no name: 1 to 100 characters that '
        'can be printed'
      )
  return words


def part_of(word: str) -> int:
  """The place in `PARTS` of a word for a part.

  Raises:
    ValueError: the words there are.
  """
  part_word = word.strip().lower()
  part_word = _WORDS.get(part_word, part_word)
  if part_word not in PARTS:
    raise ValueError(f'{word!r} is no part; parts are {", ".join(PARTS)}')
  return PARTS.index(part_word)


def _split(name, array, count):
  if array is None:
    return None
  words = words_of(name, 'split', array)
  if len(words) != count:
    raise BadData(f'{name}: split has {len(words):,} words of {count:,}')
  try:
    return np.array([part_of(word) for word in words])
  except ValueError as error:
    raise BadData(f'{name}: split: {error}') from None
