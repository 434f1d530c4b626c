"""Networks kept in a run folder.

Of a row that is counted in sequences the network of whichever trial was solved
first; of one in epochs that of the best epoch of each trial. The first trial of
a row also keeps those along its way, from the start to its end (`.way`).
Results do not depend on them.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np

from lstm_jax.lab.store import faults, files, seal, shape
from lstm_jax.lab.store.documents import Network, Way
from lstm_jax.lab.store.folder import Folder

_WAY = '.way'


def save(opened: Folder, trial: str, params: Mapping[str, np.ndarray]) -> None:
  """Keeps the network of a trial; one that is there already stays.

  Args:
    opened: the run folder.
    trial: the trial's id.
    params: path -> array.
  """
  content = {'trial': trial, 'plan': opened.identity, **_plain(params)}
  _publish(opened, f'{trial}.json', content)


def save_way(
  opened: Folder,
  trial: str,
  networks: Iterable[tuple[int, Mapping[str, np.ndarray]]],
) -> None:
  """Keeps the networks along the way of a trial; those there already stay.

  Args:
    opened: the run folder.
    trial: the trial's id.
    networks: `(sequences seen, path -> array)` each, ascending.
  """
  content = {
    'trial': trial,
    'plan': opened.identity,
    'networks': [
      {'sequences': seen, **_plain(params)} for seen, params in networks
    ],
  }
  _publish(opened, f'{trial}{_WAY}', content)


def load_way(
  opened: Folder, trial: str
) -> list[tuple[int, dict[str, np.ndarray]]]:
  """`(sequences seen, path -> array)` each, [] where none are kept.

  Raises:
    Corrupt: the file is damaged.
  """
  path = _folder(opened) / f'{trial}{_WAY}'
  try:
    data = files.read(path, start=b'{')
  except FileNotFoundError:
    return []
  content = cast(Way, seal.unseal_json('net', data, path))
  shape.check_way(content, path)
  return [(one['sequences'], _arrays(one)) for one in content['networks']]


def take_over(opened: Folder, taken: Mapping[str, str]) -> None:
  """Gives trials the networks of those whose results they have taken over.

  Args:
    opened: the run folder.
    taken: trial -> the other, of `reruns.take_over`.
  """
  held = load(opened) if taken else {}
  for trial, old in taken.items():
    if old in held:
      save(opened, trial, held[old])
      files.set_aside(_folder(opened) / f'{old}.json', opened.disk, 'old')
    # One that is damaged is nobody's loss but the eye's.
    with contextlib.suppress(faults.Corrupt):
      if networks := load_way(opened, old):
        save_way(opened, trial, networks)
        files.set_aside(_folder(opened) / f'{old}{_WAY}', opened.disk, 'old')


def names(opened: Folder) -> list[str]:
  """Ids of the trials whose networks are kept, sorted."""
  ending = '.json'
  found = files.names(_folder(opened), ending)
  return [name.removesuffix(ending) for name in found]


def load(opened: Folder) -> dict[str, dict[str, np.ndarray]]:
  """Trial id -> {path: array} of kept networks; damaged ones are left out."""
  networks = {}
  for name in names(opened):
    if net := load_one(opened, name):
      networks[name] = net
  return networks


def load_one(opened: Folder, trial: str) -> dict[str, np.ndarray]:
  """Path -> array of a trial's network; {} where none is kept or whole."""
  path = _folder(opened) / f'{trial}.json'
  try:
    data = files.read(path, start=b'{')
    content = cast(Network, seal.unseal_json('net', data, path))
    shape.check_net(content, path)
  except (faults.StoreError, FileNotFoundError):
    return {}
  try:
    if content['trial'] == trial and content['plan'] == opened.identity:
      return _arrays(content)
  except (ValueError, TypeError, KeyError, AttributeError):
    pass  # sealed, but no net
  return {}


def _publish(opened, name, content):
  path = _folder(opened) / name
  files.make_directory(path.parent, opened.disk)
  files.clean(path.parent, opened.disk)
  try:
    files.publish(path, seal.seal_json('net', content), disk=opened.disk)
  except FileExistsError:
    pass


def _plain(params):
  """The arrays of a network as a sealed file holds them."""
  return {
    'params': {name: np.asarray(w).tolist() for name, w in params.items()},
    # Lists say nothing of an array without elements.
    'shapes': {name: list(np.shape(w)) for name, w in params.items()},
  }


def _arrays(content):
  """Path -> array of a kept network."""
  shapes = content.get('shapes', {})  # older nets have none
  arrays = {
    name: np.asarray(values, np.float32)
    for name, values in content['params'].items()
  }
  return {
    name: array.reshape(shapes.get(name, array.shape))
    for name, array in arrays.items()
  }


def _folder(opened):
  return opened.path / 'nets'
