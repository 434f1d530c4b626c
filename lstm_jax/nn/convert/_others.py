"""Weights of torch, Keras, Haiku and Equinox, to rows in our order and back."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from lstm_jax.choices import choose
from lstm_jax.nn.convert._read import Rows, as_mapping, as_numpy, read, rows

# Where each of our blocks is in theirs, counted from 1. A GRU whose z is the
# share of the new value has 1 minus our z: f(-x) = 1 - f(x).
_KERAS = {'lstm': (1, 2, 3, 4), 'gru': (2, 1, 3), 'srn': (1,)}
_HAIKU = {'lstm': (1, 3, 2, 4), 'gru': (2, -1, 3), 'srn': (1,)}
_HAIKU_BACK = {'lstm': (1, 3, 2, 4), 'gru': (-2, 1, 3), 'srn': (1,)}
_TORCH = ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')


def torch_layers(weights: object) -> dict[tuple[int, int], dict[str, object]]:
  """`(layer, direction) -> {plain name: array}` of a whole `state_dict`."""
  if hasattr(weights, 'state_dict'):
    weights = weights.state_dict()
  if not isinstance(weights, Mapping):
    raise ValueError(
      f'torch: weights are of type {type(weights).__name__}; must be a '
      'state_dict'
    )
  layers: dict[tuple[int, int], dict[str, object]] = {}
  for name, value in weights.items():
    match = re.fullmatch(
      r'(weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)(?:_l(\d+)(_reverse)?)?',
      str(name),
    )
    if match is None:
      raise ValueError(
        f'torch: {name} is no weight of a recurrent layer; '
        f'{choose(_TORCH)}, with _l0, _l1, ... and _reverse'
      )
    name_in_layer, layer, reverse = match.groups()
    if name_in_layer == 'weight_hr':
      raise ValueError(
        f'torch: {name}: proj_size: no cell here has projections'
      )
    place = int(layer or 0), int(reverse is not None)
    layers.setdefault(place, {})[name_in_layer] = value
  return layers


def from_torch(
  kind: str,
  weights: Mapping[str, object],
  num_inputs: int,
  size: int,
  resets_before: bool,
) -> Rows:
  """`(w_x, w_h, b, b_hn)` of one layer in one direction."""
  del resets_before
  count = _rows_of(kind) * size
  spec = {
    'weight_ih': ('w_x', (count, num_inputs)),
    'weight_hh': ('w_h', (count, size)),
    'bias_ih': ('b', (count,)),
    'bias_hh': ('b', (count,)),
  }
  arrays = read('torch', weights, spec, ('bias_ih', 'bias_hh'))
  w_x, w_h, b_ih, b_hh = arrays.values()
  if kind != 'gru':
    return w_x, w_h, b_ih + b_hh, None
  b = np.concatenate([(b_ih + b_hh)[: 2 * size], b_ih[2 * size :]])
  return w_x, w_h, b, b_hh[2 * size :]


def to_torch(
  kind: str,
  w_x: np.ndarray,
  w_h: np.ndarray,
  b: np.ndarray,
  b_hn: np.ndarray | None,
) -> dict[str, np.ndarray]:
  """The arrays of a cell of torch."""
  del kind
  b_hh = np.zeros_like(b)
  if b_hn is not None:
    b_hh[-len(b_hn) :] = b_hn
  return {'weight_ih': w_x, 'weight_hh': w_h, 'bias_ih': b, 'bias_hh': b_hh}


def keras_directions(weights: object) -> list[object]:
  """The list of `get_weights` of each direction."""
  if hasattr(weights, 'get_weights'):
    weights = weights.get_weights()
  if not isinstance(weights, list | tuple) or len(weights) not in (2, 3, 4, 6):
    have = len(weights) if isinstance(weights, list | tuple) else 'no'
    raise ValueError(
      f'keras: {have} arrays in a list; must be kernel, recurrent_kernel and '
      'bias (none with use_bias=False), once more for a second direction'
    )
  if len(weights) < 4:
    return [weights]
  half = len(weights) // 2
  return [weights[:half], weights[half:]]


def from_keras(
  kind: str,
  weights: Sequence[object],
  num_inputs: int,
  size: int,
  resets_before: bool,
) -> Rows:
  """`(w_x, w_h, b, b_hn)` of one layer in one direction."""
  names = ('kernel', 'recurrent_kernel', 'bias')
  weights = dict(zip(names, weights, strict=False))
  count, order = _rows_of(kind) * size, _KERAS[kind]
  two = kind == 'gru' and not resets_before
  spec = {
    'kernel': ('w_x', (count, num_inputs)),
    'recurrent_kernel': ('w_h', (count, size)),
    'bias': ('b', (2, count) if two else (count,)),
  }
  if kind == 'gru' and 'bias' in weights:
    shape = as_numpy('keras: bias', weights['bias']).shape
    if shape in ((count,), (2, count)) and shape != spec['bias'][1]:
      reset = 'before' if len(shape) == 1 else 'after'
      raise ValueError(
        f"keras's GRU(reset_after={reset == 'after'}) resets {reset} the "
        f'recurrent product; the cell does not: make it with reset={reset!r}'
      )
  w_x, w_h, bias = read('keras', weights, spec, ('bias',)).values()
  b_hn = np.zeros(size, w_x.dtype) if kind == 'gru' else None
  if two:
    b_x, b_h = (rows(part, order) for part in bias)
    b_hn = b_h[2 * size :]
    b = np.concatenate([(b_x + b_h)[: 2 * size], b_x[2 * size :]])
  else:
    b = rows(bias, order)
  return rows(w_x, order), rows(w_h, order), b, b_hn


def to_keras(
  kind: str,
  w_x: np.ndarray,
  w_h: np.ndarray,
  b: np.ndarray,
  b_hn: np.ndarray | None,
  resets_before: bool,
) -> list[np.ndarray]:
  """`[kernel, recurrent_kernel, bias]`."""
  order = _KERAS[kind]  # each is its own inverse
  bias = rows(b, order)
  if b_hn is not None and not resets_before:
    b_h = np.zeros_like(b)
    b_h[-len(b_hn) :] = b_hn
    bias = np.stack([bias, rows(b_h, order)])
  return [rows(w_x, order).T, rows(w_h, order).T, bias]


def from_haiku(
  kind: str, weights: object, num_inputs: int, size: int, resets_before: bool
) -> Rows:
  """`(w_x, w_h, b, b_hn)` of one core; also with the names of its modules."""
  del resets_before
  order, count = _HAIKU[kind], _rows_of(kind) * size
  w_x = 'w_x', (count, num_inputs)
  w_h = 'w_h', (count, size)
  b = 'b', (count,)
  spec = {
    'lstm': {'w': ('w_x and w_h', (count, num_inputs + size)), 'b': b},
    'gru': {'w_i': w_x, 'w_h': w_h, 'b': b},
    'srn': {
      'linear.w': w_x, 'linear.b': b, 'linear_1.w': w_h, 'linear_1.b': b,
    },
  }[kind]  # fmt: skip
  tree = as_mapping('haiku', weights, spec)
  while len(tree) == 1:
    (inner,) = tree.values()
    if not isinstance(inner, Mapping):
      break
    tree = dict(inner)
  leaves: dict[str, object] = {}
  for part, branch in tree.items():
    if isinstance(branch, Mapping):
      last = str(part).rpartition('/')[2]
      leaves |= {f'{last}.{name}': leaf for name, leaf in branch.items()}
    else:
      leaves[part] = branch
  arrays = read('haiku', leaves, spec)
  if kind == 'srn':
    return (
      arrays['linear.w'], arrays['linear_1.w'],
      arrays['linear.b'] + arrays['linear_1.b'], None,
    )  # fmt: skip
  b = rows(arrays['b'], order)
  if kind == 'gru':
    turned = [rows(arrays[name], order) for name in ('w_i', 'w_h')]
    return turned[0], turned[1], b, np.zeros(size, b.dtype)
  w = rows(arrays['w'], order)
  b[size : 2 * size] += 1
  return w[:, :-size], w[:, -size:], b, None


def to_haiku(
  kind: str,
  w_x: np.ndarray,
  w_h: np.ndarray,
  b: np.ndarray,
  b_hn: np.ndarray | None,
) -> dict[str, np.ndarray] | dict[str, dict[str, np.ndarray]]:
  """The params of a core of Haiku."""
  del b_hn
  order = _HAIKU_BACK[kind]
  if kind == 'srn':
    return {
      'linear': {'w': w_x.T, 'b': b},
      'linear_1': {'w': w_h.T, 'b': np.zeros_like(b)},
    }
  if kind == 'gru':
    turned = {'w_i': w_x, 'w_h': w_h, 'b': b}
    return {name: rows(value, order).T for name, value in turned.items()}
  size = w_h.shape[1]
  b = b.copy()
  b[size : 2 * size] -= 1
  w = np.concatenate([w_x, w_h], axis=1)
  return {'w': rows(w, order).T, 'b': rows(b, order)}


def from_equinox(
  kind: str, weights: object, num_inputs: int, size: int, resets_before: bool
) -> Rows:
  """`(w_x, w_h, b, b_hn)` of a cell or of its fields."""
  del resets_before
  count = _rows_of(kind) * size
  spec = {
    'weight_ih': ('w_x', (count, num_inputs)),
    'weight_hh': ('w_h', (count, size)),
    'bias': ('b', (count,)),
  }
  if kind == 'gru':
    spec['bias_n'] = 'b_hn', (size,)
  mapping = as_mapping('equinox', weights, (*spec, 'bias_n'))
  arrays = read('equinox', mapping, spec, ('bias', 'bias_n'))
  w_x, w_h, b = (arrays[name] for name in ('weight_ih', 'weight_hh', 'bias'))
  return w_x, w_h, b, arrays.get('bias_n')


def to_equinox(
  kind: str,
  w_x: np.ndarray,
  w_h: np.ndarray,
  b: np.ndarray,
  b_hn: np.ndarray | None,
) -> dict[str, np.ndarray]:
  """The fields of a cell of Equinox."""
  del kind
  fields = {'weight_ih': w_x, 'weight_hh': w_h, 'bias': b}
  return fields | ({} if b_hn is None else {'bias_n': b_hn})


def _rows_of(kind):
  return {'lstm': 4, 'gru': 3, 'srn': 1}[kind]
