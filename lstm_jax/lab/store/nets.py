"""Networks kept in a run folder, as safetensors files.

Of a row that is counted in sequences the network of whichever trial was solved
first; of one in epochs that of the best epoch of each trial. The first trial of
a row also keeps those along its way, from the start to its end (`.way`).
Results do not depend on them. The JSON files of earlier versions are read too.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np

from lstm_jax.lab.store import faults, files, seal, shape, tensors
from lstm_jax.lab.store.documents import Network, Way
from lstm_jax.lab.store.folder import Folder

# Endings of the files of a trial, those of earlier versions last.
NETWORK, WAY = '.safetensors', '.way.safetensors'
_OLD_NETWORK, _OLD_WAY = '.json', '.way'
ENDINGS = (NETWORK, _OLD_NETWORK, WAY, _OLD_WAY)
# Array path -> array, of a network.
Arrays = dict[str, np.ndarray]


def save(opened: Folder, trial: str, params: Mapping[str, np.ndarray]) -> None:
  """Keeps the network of a trial; one that is there already stays.

  Args:
    opened: the run folder.
    trial: the trial's id.
    params: path -> array.
  """
  facts = {'trial': trial, 'plan': opened.identity}
  _publish(
    opened, trial + NETWORK, tensors.sealed('net', facts, _float(params))
  )


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
  pairs = list(networks)
  facts = {
    'trial': trial,
    'plan': opened.identity,
    'sequences': [seen for seen, _ in pairs],
  }
  arrays = {
    f'{seen}/{name}': array
    for seen, params in pairs
    for name, array in _float(params).items()
  }
  _publish(opened, trial + WAY, tensors.sealed('way', facts, arrays))


def load_way(opened: Folder, trial: str) -> list[tuple[int, Arrays]]:
  """`(sequences seen, path -> array)` each, [] where none are kept.

  Raises:
    Corrupt: the file is damaged.
  """
  path = _folder(opened) / (trial + WAY)
  try:
    facts, arrays = tensors.unsealed('way', tensors.read(path), path)
  except FileNotFoundError:
    return _earlier_way(_folder(opened) / (trial + _OLD_WAY))
  counts = facts.get('sequences')
  networks: dict[int, Arrays] = {}
  try:
    networks = {int(seen): {} for seen in cast(list[int], counts)}
    for name, array in arrays.items():
      seen, _, leaf = name.partition('/')
      networks[int(seen)][leaf] = array
  except (TypeError, ValueError, KeyError) as error:
    raise faults.Corrupt(
      f'{faults.printable(path)}: not written by lstm_jax: {error!r}'
    ) from error
  return list(networks.items())


def _earlier_way(path):
  """`load_way` of a file of an earlier version."""
  try:
    data = files.read(path, start=b'{')
  except FileNotFoundError:
    return []
  content = cast(Way, seal.unseal_json('net', data, path))
  shape.check_way(content, path)
  return [
    (network['sequences'], _arrays(network)) for network in content['networks']
  ]


def take_over(opened: Folder, heirs: Mapping[str, str]) -> None:
  """Gives trials the networks of those whose results they have taken over.

  Args:
    opened: the run folder.
    heirs: trial -> the other, of `reruns.take_over`.
  """
  nets_by_trial = load(opened) if heirs else {}
  for trial, old in heirs.items():
    if old in nets_by_trial:
      save(opened, trial, nets_by_trial[old])
      _set_aside(opened, old, NETWORK, _OLD_NETWORK)
    # One that is damaged is nobody's loss but the eye's.
    with contextlib.suppress(faults.Corrupt):
      if networks := load_way(opened, old):
        save_way(opened, trial, networks)
        _set_aside(opened, old, WAY, _OLD_WAY)


def _set_aside(opened, trial, *endings):
  for ending in endings:
    path = _folder(opened) / (trial + ending)
    if path.exists():
      files.set_aside(path, opened.disk, 'old')


def names(opened: Folder) -> list[str]:
  """Ids of the trials whose networks are kept, sorted."""
  file_names = files.names(_folder(opened))
  return sorted(
    {
      name.removesuffix(ending)
      for ending in (NETWORK, _OLD_NETWORK)
      for name in file_names
      if name.endswith(ending) and not name.endswith(WAY)
    }
  )


def load(opened: Folder) -> dict[str, Arrays]:
  """Trial id -> {path: array} of kept networks; damaged ones are left out."""
  networks = {}
  for name in names(opened):
    if net := load_one(opened, name):
      networks[name] = net
  return networks


def load_one(opened: Folder, trial: str) -> Arrays:
  """Path -> array of a trial's network; {} where none is kept or whole."""
  try:
    return _load(opened, trial)
  except (faults.StoreError, FileNotFoundError):
    return {}


def _load(opened, trial):
  """`load_one`; raises for what is damaged or another's."""
  path = _folder(opened) / (trial + NETWORK)
  try:
    facts, arrays = tensors.unsealed('net', tensors.read(path), path)
  except FileNotFoundError:
    path = path.with_name(trial + _OLD_NETWORK)
    data = files.read(path, start=b'{')
    content = cast(Network, seal.unseal_json('net', data, path))
    shape.check_net(content, path)
    facts, arrays = {**content}, _arrays(content)
  if facts.get('trial') != trial or facts.get('plan') != opened.identity:
    raise faults.Corrupt(f'{faults.printable(path)}: of another trial or plan')
  return arrays


def _publish(opened, name, data):
  path = _folder(opened) / name
  files.make_directory(path.parent, opened.disk)
  files.remove_temporary(path.parent, opened.disk)
  try:
    files.publish(path, data, disk=opened.disk)
  except FileExistsError:
    pass


def _float(params):
  return {name: np.asarray(w, np.float32) for name, w in params.items()}


def _arrays(content):
  """Path -> array of a network that an earlier version has kept."""
  shapes = content.get('shapes', {})  # the first had none
  with np.errstate(over='ignore'):  # what float32 cannot hold is found as inf
    arrays = {
      name: np.asarray(values, np.float32)
      for name, values in content['params'].items()
    }
  if not all(np.isfinite(array).all() for array in arrays.values()):
    raise faults.Corrupt('a weight is not finite')
  try:
    return {
      name: array.reshape(shapes.get(name, array.shape))
      for name, array in arrays.items()
    }
  except (ValueError, TypeError, AttributeError) as error:
    raise faults.Corrupt(f'shapes are not those of arrays: {error}') from error


def _folder(opened):
  return opened.path / 'nets'
