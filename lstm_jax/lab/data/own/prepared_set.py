"""Sets that TensorFlow Datasets has prepared, read without TensorFlow.

Of its formats `array_record` alone can be; of its features those of numbers,
classes and text. A folder is looked at before TFDS is: TFDS imports whatever
classes a folder names.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstm_jax.choices import listed
from lstm_jax.lab.data.files.errors import BadData, Missing
from lstm_jax.lab.data.files.sources import default_folder
from lstm_jax.lab.data.own.arrays import part_of
from lstm_jax.lab.data.own.sequences import MOST_NUMBERS, Sequences, checked
from lstm_jax.lab.store import files, machine, places
from lstm_jax.lab.store.faults import StoreError

INFO, FEATURES = 'dataset_info.json', 'features.json'
_LONGEST = 2**22  # bytes of what describes a set
_FORMAT = 'array_record'
_OURS = 'tensorflow_datasets.core.features.'
# Class in features.json -> what it holds.
_KINDS = {
  'features_dict.FeaturesDict': 'dict',
  'class_label_feature.ClassLabel': 'class',
  'tensor_feature.Tensor': 'numbers',
  'scalar.Scalar': 'numbers',
  'text_feature.Text': 'text',
  'sequence_feature.Sequence': 'sequence',
}
_MOST_RECORDS = 10_000_000


class _Feature(NamedTuple):
  """A feature of a set: `kind` of `_KINDS`, its shape and its type."""

  kind: str
  shape: tuple[int | None, ...]
  dtype: str
  inner: '_Feature | None' = None


def find(name: str, data_dir: str = '') -> Path:
  """The folder of a prepared set by its name: NAME, NAME/CONFIG or NAME:1.0.0.

  Raises:
    Missing: it is not prepared there.
  """
  place = places.expanded(data_dir) if data_dir else default_folder()
  path, _, version = name.partition(':')
  home = None
  if not {'..', ''} & set(path.split('/')):
    home = home_of(place / path / version if version else place / path)
  if home is None:
    raise Missing(
      f'tfds:{name}: nothing is prepared in {place / path}; say --data_dir, or '
      'prepare it there with file_format="array_record"'
    )
  return home.absolute()


def home_of(path: Path) -> Path | None:
  """The folder of one version in or below a path, the latest; None without."""
  folders = files.folders_with(path, INFO)
  return max(folders, key=lambda folder: _version(folder.name), default=None)


def name_of(home: Path) -> str:
  """The name of a prepared set, with its version."""
  info = _read_json(home / INFO)
  name = '/'.join(
    str(info[key]) for key in ('name', 'configName') if info.get(key)
  )
  return f'{name or home.parent.name}:{info.get("version", home.name)}'


def _version(name):
  return [int(part) for part in re.findall(r'\d+', name)], name


def read(home: Path) -> Sequences:
  """The sequences of a prepared set.

  Its features are one with a step axis, the inputs, and one more, the target: a
  class, or numbers, of a sequence or of every step. If there are others, those
  called inputs (or features, x, series) and targets (or target, label, y) are
  taken.

  Raises:
    BadData: the folder, and why it cannot be read.
  """
  info = _read_json(home / INFO)
  kind = info.get('fileFormat', 'tfrecord')
  if kind != _FORMAT:
    raise BadData(
      f'{home}: is stored as {str(kind)[:40]}, which takes TensorFlow to read; '
      f'prepare it again with file_format="{_FORMAT}"'
    )
  features = _features(home, _read_json(home / FEATURES))
  x, y = _choose_features(home, features)
  splits = [
    str(one.get('name'))
    for one in info.get('splits', ())
    if isinstance(one, dict)
  ]
  if not splits:
    raise BadData(f'{home}: has no split')
  return _collected(home, splits, x, y, features[y])


def _read_json(path):
  try:
    content = json.loads(files.read_text(path, _LONGEST))
  except StoreError as error:
    raise BadData(str(error)) from error
  except FileNotFoundError:
    raise BadData(f'{path}: is not there; TFDS has not prepared this') from None
  except (ValueError, RecursionError) as error:
    raise BadData(f'{path}: damaged ({error})') from error
  if not isinstance(content, dict):
    raise BadData(f'{path}: damaged: no object')
  return content


def _features(home, tree):
  """Name -> `_Feature` of what every record has."""
  where = home / FEATURES
  if _kind(where, tree) != 'dict':
    raise BadData(f'{where}: records are no dictionaries')
  inner = tree.get('featuresDict', {}).get('features', {})
  if not isinstance(inner, dict) or not inner:
    raise BadData(f'{where}: records have no features')
  return {
    name: _feature(where, description) for name, description in inner.items()
  }


def _kind(where, tree):
  name = tree.get('pythonClassName') if isinstance(tree, dict) else None
  type_name = str(name).removeprefix(_OURS)
  if type_name not in _KINDS or type_name == name:
    raise BadData(
      f'{where}: has a feature {str(name)[:80]}, which is not read without '
      'TensorFlow; features are Tensor, Scalar, ClassLabel, Text and Sequence '
      'of them'
    )
  return _KINDS[type_name]


def _feature(where, tree):
  kind = _kind(where, tree)
  if kind == 'dict':
    raise BadData(f'{where}: has features within features')
  if kind == 'sequence':
    inner = tree.get('sequence', {}).get('feature', {})
    return _Feature('sequence', (), '', _feature(where, inner))
  shape, dtype = (), ''
  if kind == 'numbers':
    tensor = tree.get('tensor', {})
    sizes = tensor.get('shape', {}).get('dimensions', [])
    shape = tuple(None if int(n) < 0 else int(n) for n in sizes)
    dtype = str(tensor.get('dtype', ''))
  return _Feature(kind, shape, dtype)


def _choose_features(home, features):
  """Names of the inputs and of the target."""
  series = [name for name, one in features.items() if _has_steps(one)]
  x = _one(home, 'a step axis', series, ('inputs', 'features', 'series', 'x'))
  rest = [
    name
    for name, one in features.items()
    if name != x and _plain(one).kind in ('class', 'numbers')
  ]
  labels = [name for name in rest if _plain(features[name]).kind == 'class']
  wanted = ('targets', 'target', 'label', 'labels', 'y')
  if len(labels) == 1 and not {*rest} & {*wanted}:
    rest = labels
  return x, _one(home, 'a class or numbers to be asked for', rest, wanted)


def _plain(feature):
  return feature.inner if feature.inner else feature


def _has_steps(feature):
  inner = _plain(feature)
  if inner.kind != 'numbers' or inner.dtype == 'string':
    return False
  rank = len(inner.shape) + (feature.kind == 'sequence')
  return (
    rank == 2
    or rank == 1
    and (feature.kind == 'sequence' or inner.shape == (None,))
  )


def _one(home, what, names, wanted):
  if len(names) == 1:
    return names[0]
  for name in wanted:
    if name in names:
      return name
  raise BadData(
    f'{home}: {len(names)} features have {what} '
    f'({listed(names)[:200]}); call one of them {wanted[0]}'
  )


def _collected(home, splits, x, y, target):
  """The sequences of all splits, in their order."""
  inputs: list[np.ndarray] = []
  targets: list[np.ndarray] = []
  part: list[str] = []
  total = 0
  for split, record in _records(home, splits):
    steps = np.asarray(record[x])
    steps = steps[:, None] if steps.ndim == 1 else steps
    if not len(steps):
      raise BadData(f'{home}: record {len(inputs)} of {split} has no step')
    total += steps.size
    if total > MOST_NUMBERS:
      raise BadData(f'{home}: more than {MOST_NUMBERS:,} numbers')
    inputs.append(steps.astype(np.float64))
    targets.append(np.asarray(record[y]))
    part.append(split)
  if not inputs:
    raise BadData(f'{home}: holds no record')
  lengths = np.array([len(array) for array in inputs])
  every_step = all(
    array.ndim and len(array) == n
    for array, n in zip(targets, lengths, strict=True)
  ) and (target.kind == 'sequence' or target.shape[:1] == (None,))
  kind = _plain(target).kind
  is_whole = kind == 'class' or targets[0].dtype.kind in 'iub'
  try:
    values = np.concatenate(targets) if every_step else np.stack(targets)
  except ValueError:
    raise BadData(
      f'{home}: targets {y} differ in shape, and are not one at every step'
    ) from None
  classes: tuple[str, ...] = ()
  if is_whole:
    if values.ndim != 1:
      raise BadData(f'{home}: {y} is several classes; one is asked for')
    classes = _class_names(home, y, int(values.max()) + 1)
    values = values.astype(np.int64)
    if values.min() < 0:
      raise BadData(f'{home}: {y} is {values.min()}: no class')
  else:
    values = values.reshape(len(values), -1).astype(np.float64)
  return checked(
    str(home),
    Sequences(
      np.concatenate(inputs), lengths, values, every_step, classes,
      part=_part(home, part),
    ),
  )  # fmt: skip


def _class_names(home, feature, count):
  """Names that TFDS keeps beside a set, else numbers."""
  path = home / f'{feature}.labels.txt'
  try:
    names = files.read_text(path, _LONGEST).split('\n')
  except (OSError, StoreError):
    return tuple(str(i) for i in range(count))
  names = [name for name in names if name]
  return tuple(names) if len(names) >= count else tuple(map(str, range(count)))


def _part(home, words):
  """Places of the splits in `PARTS`; None where there is one split alone."""
  if len({*words}) == 1:
    return None
  try:
    return np.array([part_of(word) for word in words])
  except ValueError as error:
    raise BadData(f'{home}: split {error}') from None


def _records(home, splits) -> Iterator[tuple[str, Mapping[str, object]]]:
  """`(split, record)` of every record, through TFDS."""
  try:
    import tensorflow_datasets as tfds
  except ImportError:
    raise BadData(
      f'{home}: takes tensorflow-datasets to read: pip install "lstm_jax[data]"'
    ) from None
  count = 0
  try:
    builder = tfds.builder_from_directory(str(home))
    for split in splits:
      source = builder.as_data_source(split=split)
      for i in range(len(source)):
        count += 1
        if count > _MOST_RECORDS:
          raise BadData(f'{home}: more than {_MOST_RECORDS:,} records')
        yield split, source[i]
  except BadData:
    raise
  except Exception as error:  # whatever its readers make of a damaged file
    if machine.fault(error):
      raise
    reason = ' '.join(str(error).split())[:300]
    raise BadData(f'{home}: cannot be read ({reason})') from error
