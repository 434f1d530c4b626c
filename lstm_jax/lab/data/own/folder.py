"""Sounds in class folders.

  FOLDER/CLASS/*.wav                      parts are drawn
  FOLDER/train/CLASS/*.wav, FOLDER/test/...   (and valid) parts as they lie

What is hidden, and files beside the class folders that are no sounds, are not
part of the data. Everything in a class folder is.
"""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lstm_jax.lab.data.files import archives, audio, riff
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.files.published import SOUND
from lstm_jax.lab.data.own.arrays import part_of
from lstm_jax.lab.data.own.sequences import FEWEST, MOST_CLASSES, PARTS
from lstm_jax.lab.store import files
from lstm_jax.lab.store.faults import StoreError

_MAX_SOUNDS = 100_000  # sounds
_DIGITS = 12
# Bytes a second of a file whose head is not read here, for an estimate.
_BYTES = 20_000


@dataclasses.dataclass(frozen=True)
class Folder:
  """The sounds of a folder, as `_sounds.compute` asks for them: a split.

  Attributes:
    name: of the folder, for messages.
    paths: of the sounds, class by class, by name.
    labels: `[N]` classes.
    classes: their names.
    part: `[N]` places in `PARTS`, None where the folder does not say.
    digests: as of `sequences.digests`; 'inputs' as Nx(seconds)s and digits.
  """

  name: str
  paths: tuple[Path, ...]
  labels: np.ndarray
  classes: tuple[str, ...]
  part: np.ndarray | None
  digests: Mapping[str, str]

  @property
  def splits(self) -> 'Mapping[str, Records]':
    """All sounds as one split of records."""
    return {'all': Records(self)}


class Records:
  """The sounds of a folder, decoded when they are asked for."""

  def __init__(self, of: Folder) -> None:
    self._of = of

  def __len__(self) -> int:
    return len(self._of.paths)

  def __getitem__(self, index: int) -> Mapping[str, object]:
    if not 0 <= index < len(self):
      raise IndexError(index)
    path = self._of.paths[index]
    clip = audio.read(path)
    return {
      'samples': clip.samples, 'rate': clip.rate, 'name': path.name,
      'label': self._of.labels[index], 'fold': 0, 'group': index,
    }  # fmt: skip


def load(path: Path) -> Folder:
  """Finds and reads the sounds of a folder; they are not decoded yet.

  Raises:
    BadData: the folder or a file, and the reason.
  """
  path = Path(path)
  parts = _parts(path)
  by_class: dict[str, list[tuple[Path, int]]] = {}
  for part, place in parts:
    for name in _names(place):
      if (place / name).is_dir():
        by_class.setdefault(name, []).extend(
          (sound, part) for sound in _sounds(place / name)
        )
      elif name.lower().endswith(SOUND):
        raise BadData(f'{place / name}: is in no class folder')
  classes = tuple(sorted(by_class))
  if not 2 <= len(classes) <= MOST_CLASSES:
    raise BadData(
      f'{path}: {len(classes)} class folders with sounds; it takes 2 to '
      f'{MOST_CLASSES:,}, FOLDER/CLASS/*.wav'
    )
  for name in classes:
    if not name.isprintable() or len(name) > 100:
      raise BadData(f'{path}: {name[:100]!r} is no name of a class')
  sounds = [
    (*sound, i) for i, name in enumerate(classes) for sound in by_class[name]
  ]
  if not FEWEST <= len(sounds) <= _MAX_SOUNDS:
    raise BadData(
      f'{path}: {len(sounds):,} sounds; it takes {FEWEST} to {_MAX_SOUNDS:,}'
    )
  paths = tuple(sound for sound, _, _ in sounds)
  part = np.array([at for _, at, _ in sounds])
  labels = np.array([label for *_, label in sounds])
  facts = tuple(map(_stamp, paths))
  digest, seconds = _read(paths, facts)
  return Folder(
    str(path),
    paths,
    labels,
    classes,
    None if len(parts) == 1 else part,
    {
      'inputs': f'{len(paths)}x{seconds:.0f}s-{digest}',
      'targets': f'{len(classes)}-classes-{_hash(classes, labels.tolist())}',
      'split': 'drawn' if len(parts) == 1 else f'given-{_hash(part.tolist())}',
    },
  )


def _hash(*values):
  return hashlib.sha256(repr(values).encode()).hexdigest()[:_DIGITS]


def _names(place):
  try:
    return files.names(place)
  except StoreError as error:
    raise BadData(str(error)) from error


def _parts(path):
  """Pairs of a place in `PARTS` and a folder; one where there are no parts."""
  places = {}
  folders = [name for name in _names(path) if (path / name).is_dir()]
  for name in folders:
    try:
      places[name] = part_of(name)
    except ValueError:
      continue
  if not places:
    return [(0, path)]
  if missing_parts := {'train', 'test'} - {PARTS[at] for at in places.values()}:
    raise BadData(
      f'{path}: has a folder {next(iter(places))} and none for '
      f'{" and ".join(sorted(missing_parts))}'
    )
  if strange_folders := [name for name in folders if name not in places]:
    raise BadData(
      f'{path}: folder {strange_folders[0]} stands beside those of parts'
    )
  if len({*places.values()}) < len(places):
    raise BadData(f'{path}: two folders for one part: {", ".join(places)}')
  return [(at, path / name) for name, at in places.items()]


def _sounds(place):
  paths = []
  for name in _names(place):
    path = place / name
    if path.is_dir():
      raise BadData(f'{path}: a folder within a class folder')
    if not name.lower().endswith(SOUND):
      raise BadData(
        f'{path}: is no sound ({", ".join(SOUND)}), and all that is in a class '
        'folder must be one'
      )
    paths.append(path)
  if not paths:
    raise BadData(f'{place}: a class without a sound')
  return paths


def _stamp(path):
  try:
    facts = os.stat(path)
  except OSError as error:
    raise BadData(f'{path}: {error.strerror}') from error
  return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


@functools.lru_cache(maxsize=2)
def _read(paths, facts):
  """A digest of the bytes of all sounds, and about the seconds they last."""
  del facts
  mark, seconds = hashlib.sha256(), 0.0
  for path in paths:
    try:
      content = files.read(path, archives.LARGEST)
      mark.update(hashlib.sha256(content).digest())
      seconds += _seconds(content)
    except (StoreError, ValueError) as error:
      message = str(error)
      message = message if str(path) in message else f'{path}: {message}'
      raise BadData(message) from error
    except OSError as error:
      raise BadData(f'{path}: {error.strerror}') from error
  return mark.hexdigest()[:_DIGITS], seconds


def _seconds(content):
  if content[:4] != b'RIFF':
    return len(content) / _BYTES
  head = riff.header(content)
  return head.size / max(head.align, 1) / max(head.rate, 1)
