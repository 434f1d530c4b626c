"""Weights of recurrent layers of other libraries, in and out.

Plain arrays and dictionaries of arrays, in the form in which each library keeps
them; none of the libraries is imported. `lstm` cells without peepholes, `gru`
and `srn` (tanh). In every case the outputs are the same for the same weights.

| library | rows of an LSTM | of a GRU | biases | carry |
|---|---|---|---|---|
| here | i f g o | r z n | one (GRU: b_hn beside it) | (s_c, y_c) |
| torch, cuDNN | i f g o | r z n | two, added here | (h, c) |
| keras | i f c o | z r h | one (GRU: two) | (h, c) |
| flax | i f g o | r z n | one, at h (GRU: see below) | (c, h) |
| haiku | i g f o, 1 added to f | z r a, z turned round | one | (h, c) |
| equinox | i f g o | r z n | one (GRU: bias_n) | (h, c) |

Haiku's GRU resets before the recurrent product (`reset='before'`), those of
the others after it. Where two biases are added, an export puts the
sum in the first and zeros in the second.
"""

import jax
import jax.numpy as jnp
import numpy as np

LIBRARIES = ('torch', 'keras', 'flax', 'haiku', 'equinox')
KINDS = ('lstm', 'gru', 'srn')


def import_weights(library, kind, cell, weights):
  """The params of a cell from the weights of another library's layer.

  Args:
    library: one of `LIBRARIES`.
    kind: 'lstm', 'gru' or 'srn', the factory of `cell`.
    cell: the cell; its output units keep their weights at 0.
    weights: of one layer in one direction,
      torch: `{'weight_ih': [R, I], 'weight_hh': [R, C], 'bias_ih': [R],
        'bias_hh': [R]}`, the names of `state_dict` without `_l0`;
      keras: `[kernel, recurrent_kernel, bias]`, as `get_weights` gives them;
      flax: `{'ii': {'kernel': ...}, ...}`, the params of `OptimizedLSTMCell`
        or `LSTMCell`, `GRUCell`, `SimpleCell`;
      haiku: `{'w': ..., 'b': ...}` of `LSTM`, `{'w_i', 'w_h', 'b'}` of `GRU`,
        `{'linear': {'w', 'b'}, 'linear_1': {'w', 'b'}}` of
        `VanillaRNN`;
      equinox: `{'weight_ih', 'weight_hh', 'bias'}` and, of `GRUCell`,
        `'bias_n'`, the fields of the cell.

  Returns:
    The params of `cell`.

  Raises:
    ValueError: an unknown library or kind, equinox with 'srn' (it has none),
      haiku's GRU in a cell that resets after the product or another one in a
      cell that resets before it, shapes that are not those of the cell.
  """
  _check(library, kind, cell)
  w_x, w_h, b, b_hn = _IMPORT[library](kind, weights, len(cell.mask.w_h[0]))
  found = {'w_x': w_x, 'w_h': w_h, 'b': b}
  if kind == 'gru':
    found['b_hn'] = b_hn
  held = {}
  for name, mask in cell.mask._asdict().items():
    value = np.asarray(found.get(name, np.zeros(mask.shape)))
    if value.shape != mask.shape:
      raise ValueError(
        f'{library}: {name} has shape {value.shape}; the cell has {mask.shape}'
      )
    dtype = jax.dtypes.canonicalize_dtype(np.asarray(w_x).dtype)
    held[name] = jnp.asarray(value, dtype)
  return type(cell.mask)(**held)


def export_weights(library, kind, cell, params):
  """The inverse of `import_weights`: params as another library keeps them.

  Args:
    library, kind, cell: as there.
    params: of the cell, without lanes.

  Returns:
    Arrays in the form of `import_weights`.

  Raises:
    ValueError: as there.
  """
  _check(library, kind, cell)
  w_x, w_h, b = (np.asarray(p) for p in (params.w_x, params.w_h, params.b))
  b_hn = np.asarray(params.b_hn) if kind == 'gru' else None
  return _EXPORT[library](kind, w_x, w_h, b, b_hn)


def _check(library, kind, cell):
  for name, value, choices in (
    ('library', library, LIBRARIES),
    ('kind', kind, KINDS),
  ):
    if value not in choices:
      raise ValueError(f'{name}={value!r} must be one of {", ".join(choices)}')
  if (library, kind) == ('equinox', 'srn'):
    raise ValueError('equinox has no simple recurrent cell')
  if kind == 'gru':
    before = not np.any(cell.mask.b_hn)
    if before != (library == 'haiku'):
      which = 'before' if library == 'haiku' else 'after'
      raise ValueError(
        f"{library}'s GRU resets {which} the recurrent product; the cell does "
        f'not: make it with reset={which!r}'
      )


def _rows(a, order):
  """Blocks of rows in another order; a minus turns a block round."""
  blocks = np.split(np.asarray(a), len(order))
  return np.concatenate(
    [blocks[abs(i) - 1] * (1 if i > 0 else -1) for i in order]
  )


# Where each of our blocks is in theirs, counted from 1. A GRU whose z is the
# share of the new value has our z turned round: f(-x) = 1 - f(x).
_KERAS = {'lstm': (1, 2, 3, 4), 'gru': (2, 1, 3), 'srn': (1,)}
_HAIKU = {'lstm': (1, 3, 2, 4), 'gru': (2, -1, 3), 'srn': (1,)}
_HAIKU_BACK = {'lstm': (1, 3, 2, 4), 'gru': (-2, 1, 3), 'srn': (1,)}
_FLAX = {'lstm': 'ifgo', 'gru': 'rzn'}


def _from_torch(kind, weights, size):
  b_ih, b_hh = (np.asarray(weights[k]) for k in ('bias_ih', 'bias_hh'))
  b_hn = None
  b = b_ih + b_hh
  if kind == 'gru':
    b_hn, b = (
      b_hh[2 * size :],
      np.concatenate([b[: 2 * size], b_ih[2 * size :]]),
    )
  return weights['weight_ih'], weights['weight_hh'], b, b_hn


def _to_torch(kind, w_x, w_h, b, b_hn):
  b_hh = np.zeros_like(b)
  if kind == 'gru':
    b_hh[-len(b_hn) :] = b_hn
  return {'weight_ih': w_x, 'weight_hh': w_h, 'bias_ih': b, 'bias_hh': b_hh}


def _from_keras(kind, weights, size):
  kernel, recurrent, bias = (np.asarray(w) for w in weights)
  order, b_hn = _KERAS[kind], None
  if kind == 'gru':
    b_x, b_h = (_rows(part, order) for part in bias)
    b_hn = b_h[2 * size :]
    b = np.concatenate([(b_x + b_h)[: 2 * size], b_x[2 * size :]])
  else:
    b = _rows(bias, order)
  return _rows(kernel.T, order), _rows(recurrent.T, order), b, b_hn


def _to_keras(kind, w_x, w_h, b, b_hn):
  order = _KERAS[kind]  # each is its own inverse
  bias = _rows(b, order)
  if kind == 'gru':
    b_h = np.zeros_like(b)
    b_h[-len(b_hn) :] = b_hn
    bias = np.stack([bias, _rows(b_h, order)])
  return [_rows(w_x, order).T, _rows(w_h, order).T, bias]


def _from_flax(kind, weights, size):
  del size
  if kind == 'srn':
    kernel = np.asarray(weights['i']['kernel'])
    b = np.asarray(weights['i']['bias'])
    return kernel.T, np.asarray(weights['h']['kernel']).T, b, None
  join = lambda way, what: np.concatenate(
    [np.asarray(weights[way + gate][what]).T for gate in _FLAX[kind]]
  )
  b = join('h' if kind == 'lstm' else 'i', 'bias')
  b_hn = np.asarray(weights['hn']['bias']) if kind == 'gru' else None
  return join('i', 'kernel'), join('h', 'kernel'), b, b_hn


def _to_flax(kind, w_x, w_h, b, b_hn):
  if kind == 'srn':
    return {'i': {'kernel': w_x.T, 'bias': b}, 'h': {'kernel': w_h.T}}
  gates = _FLAX[kind]
  made = {}
  for way, w in (('i', w_x), ('h', w_h)):
    for gate, block in zip(gates, np.split(w, len(gates)), strict=True):
      made[way + gate] = {'kernel': block.T}
  way = 'h' if kind == 'lstm' else 'i'
  for gate, block in zip(gates, np.split(b, len(gates)), strict=True):
    made[way + gate]['bias'] = block
  if kind == 'gru':
    made['hn']['bias'] = b_hn
  return made


def _from_haiku(kind, weights, size):
  order = _HAIKU[kind]
  if kind == 'srn':
    x, h = weights['linear'], weights['linear_1']
    b = np.asarray(x['b']) + np.asarray(h['b'])
    return np.asarray(x['w']).T, np.asarray(h['w']).T, b, None
  if kind == 'gru':
    w_x, w_h = (_rows(np.asarray(weights[k]).T, order) for k in ('w_i', 'w_h'))
    return w_x, w_h, _rows(weights['b'], order), np.zeros(size)
  w = _rows(np.asarray(weights['w']).T, order)
  b = _rows(weights['b'], order)
  b[size : 2 * size] += 1
  return w[:, :-size], w[:, -size:], b, None


def _to_haiku(kind, w_x, w_h, b, b_hn):
  del b_hn
  order = _HAIKU_BACK[kind]
  if kind == 'srn':
    return {
      'linear': {'w': w_x.T, 'b': b},
      'linear_1': {'w': w_h.T, 'b': np.zeros_like(b)},
    }
  if kind == 'gru':
    turned = {'w_i': w_x, 'w_h': w_h, 'b': b}
    return {name: _rows(value, order).T for name, value in turned.items()}
  size = w_h.shape[1]
  b = b.copy()
  b[size : 2 * size] -= 1
  w = np.concatenate([w_x, w_h], axis=1)
  return {'w': _rows(w, order).T, 'b': _rows(b, order)}


def _from_equinox(kind, weights, size):
  del size
  b_hn = weights['bias_n'] if kind == 'gru' else None
  return weights['weight_ih'], weights['weight_hh'], weights['bias'], b_hn


def _to_equinox(kind, w_x, w_h, b, b_hn):
  made = {'weight_ih': w_x, 'weight_hh': w_h, 'bias': b}
  return made | ({'bias_n': b_hn} if kind == 'gru' else {})


_IMPORT = {
  'torch': _from_torch,
  'keras': _from_keras,
  'flax': _from_flax,
  'haiku': _from_haiku,
  'equinox': _from_equinox,
}
_EXPORT = {
  'torch': _to_torch,
  'keras': _to_keras,
  'flax': _to_flax,
  'haiku': _to_haiku,
  'equinox': _to_equinox,
}
