"""Weights of flax: params of linen, states and modules of nnx."""

from collections.abc import Mapping

import numpy as np

from lstm_jax.choices import listed
from lstm_jax.nn.convert._read import Rows, read

GATES = {'lstm': 'ifgo', 'gru': 'rzn'}
_WAYS = ('forward_rnn', 'backward_rnn')


def directions(weights: object) -> list[object]:
  """The weights of each direction: one, or both of a `Bidirectional`."""
  tree = _unwrap(_tree(weights))
  if any(way in tree for way in _WAYS):
    if set(tree) != set(_WAYS):
      raise ValueError(f'flax: has {listed(tree)}; must be {", ".join(_WAYS)}')
    return [tree[way] for way in _WAYS]
  return [tree]


def from_flax(
  kind: str, weights: object, num_inputs: int, size: int, resets_before: bool
) -> Rows:
  """`(w_x, w_h, b, b_hn)` of one cell."""
  del resets_before
  tree = _unwrap(_tree(weights))
  leaves = {
    f'{part}.{name}': leaf
    for part, branch in tree.items()
    for name, leaf in (branch.items() if isinstance(branch, Mapping) else ())
  }
  names = [
    part for part, branch in tree.items() if not isinstance(branch, Mapping)
  ]
  leaves |= {part: tree[part] for part in names}
  if 'dense_i' in tree or 'dense_h' in tree:
    return _from_dense(kind, leaves, num_inputs, size)
  leaves = {name.replace('if_.', 'if.'): leaf for name, leaf in leaves.items()}
  gates = GATES.get(kind, ('',))
  spec: dict[str, tuple[str, tuple[int, ...]]] = {}
  for gate in gates:
    spec[f'i{gate}.kernel'] = 'w_x', (size, num_inputs)
    spec[f'h{gate}.kernel'] = 'w_h', (size, size)
    way = 'h' if kind == 'lstm' else 'i'
    spec[f'{way}{gate}.bias'] = 'b', (size,)
  if kind == 'gru':
    spec['hn.bias'] = 'b_hn', (size,)
  arrays = read('flax', leaves, spec, [n for n in spec if n.endswith('.bias')])
  way = 'h' if kind == 'lstm' else 'i'
  join = lambda side: np.concatenate(
    [arrays[f'{side}{g}.kernel'] for g in gates]
  )
  b = np.concatenate([arrays[f'{way}{gate}.bias'] for gate in gates])
  return join('i'), join('h'), b, arrays.get('hn.bias')


def _from_dense(kind, leaves, num_inputs, size):
  """Of the cells of nnx that have one matrix for all gates."""
  rows = len(GATES.get(kind, 'h')) * size
  spec = {
    'dense_i.kernel': ('w_x', (rows, num_inputs)),
    'dense_h.kernel': ('w_h', (rows, size)),
    'dense_i.bias': ('b', (rows,)),
    'dense_h.bias': ('b', (rows,)),
  }
  arrays = read('flax', leaves, spec, ('dense_i.bias', 'dense_h.bias'))
  w_x, w_h, b_i, b_h = arrays.values()
  if kind != 'gru':
    return w_x, w_h, b_i + b_h, None
  b = np.concatenate([(b_i + b_h)[: 2 * size], b_i[2 * size :]])
  return w_x, w_h, b, b_h[2 * size :]


def to_flax(
  kind: str,
  w_x: np.ndarray,
  w_h: np.ndarray,
  b: np.ndarray,
  b_hn: np.ndarray | None,
) -> dict[str, dict[str, np.ndarray]]:
  """Params of linen's cell."""
  if kind == 'srn':
    return {'i': {'kernel': w_x.T, 'bias': b}, 'h': {'kernel': w_h.T}}
  gates = GATES[kind]
  params = {}
  for way, w in (('i', w_x), ('h', w_h)):
    for gate, block in zip(gates, np.split(w, len(gates)), strict=True):
      params[way + gate] = {'kernel': block.T}
  way = 'h' if kind == 'lstm' else 'i'
  for gate, block in zip(gates, np.split(b, len(gates)), strict=True):
    params[way + gate]['bias'] = block
  if b_hn is not None:
    params['hn']['bias'] = b_hn
  return params


def _tree(weights):
  """Nested dictionaries of arrays, from such or from modules of nnx."""
  if isinstance(weights, Mapping):
    # Generators of random numbers are no weights.
    return {n: _tree(child) for n, child in weights.items() if n != 'rngs'}
  if getattr(weights, 'residual', False):
    raise ValueError('flax: residual=True: a cell that adds its state again')
  names = ('forward_rnn', 'backward_rnn', 'cell', 'kernel', 'bias')
  present_names = [
    name for name in names if getattr(weights, name, None) is not None
  ]
  if not present_names:
    present_names = [
      name
      for name, child in getattr(weights, '__dict__', {}).items()
      if hasattr(child, 'kernel')
    ]
  if present_names:
    return {name: _tree(getattr(weights, name)) for name in present_names}
  return weights


def _unwrap(tree):
  """The dictionary inside of those with one entry that hold another."""
  while isinstance(tree, Mapping) and len(tree) == 1:
    (inner,) = tree.values()
    if not isinstance(inner, Mapping):
      break
    tree = inner
  if not isinstance(tree, Mapping):
    raise ValueError(
      f'flax: weights are of type {type(tree).__name__}; must be params, a '
      'state or a module of a cell'
    )
  return tree
