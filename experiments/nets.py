"""Nets kept in a run folder, and what goes on in them over a sequence.

Of a task one net a row is kept, of whichever trial was solved first; of a data
set that of the best epoch of each trial. Results do not depend on them.
"""

import numpy as np

from experiments import launch
from lstm_jax import catalog
from lstm_jax.store import faults, files, seal, shape


def save(opened, trial, params):
  """Keeps the net of a trial; one that is there already stays.

  Args:
    opened: the run folder.
    trial: the trial's id.
    params: path -> array.
  """
  content = {
    'trial': trial,
    'plan': opened.identity,
    'params': {name: np.asarray(w).tolist() for name, w in params.items()},
    # Lists say nothing of an array without elements.
    'shapes': {name: list(np.shape(w)) for name, w in params.items()},
  }
  path = _folder(opened) / f'{trial}.json'
  files.make_directory(path.parent, opened.disk)
  files.clean(path.parent, opened.disk)
  try:
    files.publish(path, seal.seal_json('net', content), disk=opened.disk)
  except FileExistsError:
    pass


def take_over(opened, taken):
  """Gives trials the nets of those whose results they have taken over.

  Args:
    opened: the run folder.
    taken: trial -> the other, of `reruns.take_over`.
  """
  held = load(opened) if taken else {}
  for trial, old in taken.items():
    if old in held:
      save(opened, trial, held[old])
      files.set_aside(_folder(opened) / f'{old}.json', opened.disk, 'old')


def names(opened):
  """Ids of the trials whose nets are kept, sorted."""
  ending = '.json'
  found = files.names(_folder(opened), ending)
  return [name.removesuffix(ending) for name in found]


def load(opened):
  """Trial id -> {path: array} of the kept nets; damaged ones are left out."""
  found = {}
  for name in names(opened):
    path = _folder(opened) / f'{name}.json'
    try:
      data = files.read(path, start=b'{')
      content = seal.unseal_json('net', data, path)
      shape.check_net(content, path)
    except (faults.StoreError, FileNotFoundError):
      continue
    try:
      if content['trial'] == name and content['plan'] == opened.identity:
        found[name] = _arrays(content)
    except (ValueError, TypeError, KeyError, AttributeError):
      continue  # sealed, but no net
  return found


def _arrays(content):
  """Path -> array of a kept net."""
  shapes = content.get('shapes', {})  # older nets have none
  arrays = {
    name: np.asarray(values, np.float32)
    for name, values in content['params'].items()
  }
  return {
    name: array.reshape(shapes.get(name, array.shape))
    for name, array in arrays.items()
  }


def trace(entry, params, seed=0):
  """One fresh sequence through a kept net, everything on the way recorded.

  Args:
    entry: the trial's entry in the plan.
    params: path -> array, from `load`.
    seed: of the sequence.

  Returns:
    A dict: `inputs` [T, I], `targets` [T, K], `outputs` [T, K], `mask` [T] (1
    where the error counts), `carry`: field -> [T, n] (of lstm1997: `s_c`,
    `y_c`, `y_gates` with input gates first), and `gates`: how many of the
    gates are input and how many are output gates, `(0, 0)` for other cells.

  Raises:
    Machine: this process may have too little memory for JAX.
  """
  launch.check_memory()
  import jax
  import jax.numpy as jnp

  from lstm_jax import lanes
  from lstm_jax.ops.prng import Key
  from lstm_jax.ops.unroll import cast, dense

  task_options, cell_options = _options(entry)
  task = catalog.build('tasks', entry['task'], **task_options)
  cell = catalog.build(
    'cells', entry['cell'], task.num_inputs, task.num_outputs, **cell_options
  )
  structure = jax.tree.structure(cell.mask)
  paths = jax.tree_util.tree_flatten_with_path(cell.mask)[0]
  net = structure.unflatten(
    jnp.asarray(params[jax.tree_util.keystr(p, simple=True, separator='/')])
    for p, _ in paths
  )
  key = Key(*map(jnp.asarray, lanes.key_of(seed)))
  length = jnp.int32(entry['length'] or 1)
  if task.fresh:
    episode = task.fresh(key, length)
  else:
    episode = task.draw(key, length)
  stream = task.stream(episode)
  times = jnp.arange(int(stream.length))

  def step(carry_tm1, t):
    x_t = stream.input_at(t)
    carry_t, net_k = cell.step(net, carry_tm1, cast(x_t, jnp.float32))
    record = {
      'inputs': dense(x_t),
      'targets': stream.target_at(t),
      'outputs': task.output(net_k),
      'mask': stream.scored_at(t).astype(jnp.float32),
      'carry': carry_t._asdict(),
    }
    return carry_t, record

  _, record = jax.lax.scan(step, cell.initial_carry((), jnp.float32), times)
  record = jax.tree.map(np.asarray, record)
  blocks = cell_options.get('blocks', 0)
  record['gates'] = tuple(
    blocks * bool(cell_options.get(kind)) for kind in _GATES
  )
  return record


_GATES = ('input_gates', 'output_gates')


def _folder(opened):
  return opened.path / 'nets'


def _options(entry):
  """Task and cell options of a trial's entry in the plan."""
  found = []
  for kind in ('task', 'cell'):
    prefix = f'{kind}.'
    found.append(
      {
        name.removeprefix(prefix): value
        for name, value in entry['options'].items()
        if name.startswith(prefix)
      }
    )
  task, cell = found
  hidden = entry['hidden']
  if isinstance(hidden, str):
    blocks, size = map(int, hidden.split('x'))
    cell |= {'blocks': blocks, 'block_size': size}
  elif hidden is not None:
    cell['hidden'] = hidden
  return task, cell
