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
| haiku | i g f o, 1 added to f | z r a, z is 1 - ours | one | (h, c) |
| equinox | i f g o | r z n | one (GRU: bias_n) | (h, c) |

Haiku's GRU and keras's GRU(reset_after=False) reset before the recurrent
product (`reset='before'`), those of the others after it. Where two biases are
added, an export puts the sum in the first and zeros in the second.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.choices import one_of
from lstm_jax.nn.convert import _flax, _others
from lstm_jax.nn.convert._read import Rows
from lstm_jax.types import Cell, Params

LIBRARIES = ('torch', 'keras', 'flax', 'haiku', 'equinox')
KINDS = ('lstm', 'gru', 'srn')


# Activations of simple networks of libraries that do not take just any.
_ACTIVATIONS = {'torch': ('srn_tanh', 'srn_relu'), 'haiku': ('srn_relu',)}


def import_weights(
  library: str, kind: str, cell: Cell, weights: object
) -> Params:
  """The params of a cell from the weights of another library's layer.

  Args:
    library: one of `LIBRARIES`.
    kind: 'lstm', 'gru' or 'srn', the factory of `cell`. Of an srn the weights
      do not tell the activation: it is the cell's (haiku's is relu).
    cell: the cell; its output units keep their weights at 0.
    weights: of one layer in one direction (`stack_weights.import_stack` takes
      more);
      biases may be left out, as where a layer is made without,
      torch: a `state_dict` of a layer (`weight_ih_l0`, ...) or a cell:
        `{'weight_ih': [R, I], 'weight_hh': [R, C], 'bias_ih': [R],
        'bias_hh': [R]}`; or the module;
      keras: `[kernel, recurrent_kernel, bias]`, as `get_weights` gives them, of
        a GRU in the form of the cell (`reset_after`); or the layer;
      flax: `{'ii': {'kernel': ...}, ...}`, the params of linen's
        `OptimizedLSTMCell` or `LSTMCell`, `GRUCell`, `SimpleCell`, also inside
        of `{'params': {'cell': ...}}`; states of the cells of nnx, or these;
      haiku: `{'w': ..., 'b': ...}` of `LSTM`, `{'w_i', 'w_h', 'b'}` of `GRU`,
        `{'linear': {'w', 'b'}, 'linear_1': {'w', 'b'}}` of
        `VanillaRNN`, also under the names of modules (`'lstm/linear'`);
      equinox: `{'weight_ih', 'weight_hh', 'bias'}` and, of `GRUCell`,
        `'bias_n'`, the fields of the cell; or the cell.

  Returns:
    The params of `cell`.

  Raises:
    ValueError: an unknown library or kind, equinox with 'srn' (it has none), a
      cell of another kind, one with peepholes or without all recurrent weights;
      a GRU of the other form; several layers or both directions; missing or
      superfluous names, shapes that are not those of the cell, a bias other
      than 0 where the cell has none.

  Example:
    >>> import numpy as np, lstm_jax as lj
    >>> cell = lj.srn(3, 0, hidden=8, recurrence='full', activation='tanh')
    >>> weights = {  # of torch.nn.RNN(3, 8)
    ...   'weight_ih_l0': np.ones((8, 3)), 'weight_hh_l0': np.ones((8, 8)),
    ...   'bias_ih_l0': np.ones(8), 'bias_hh_l0': np.ones(8),
    ... }
    >>> params = lj.import_weights('torch', 'srn', cell, weights)
    >>> params.w_x.shape, float(params.b[0])  # both biases added
    ((8, 3), 2.0)
  """
  resets_before = _check(library, kind, cell)
  weights = directions(library, weights)
  if len(weights) != 1 or len(weights[0]) != 1:
    count = sum(map(len, weights))
    raise ValueError(
      f'{library}: weights of {count} layers or directions; a cell takes one: '
      'see stack_weights.import_stack'
    )
  rows = w_x, *_ = _IMPORT[library](
    kind,
    weights[0][0],
    cell.num_inputs,
    cell.mask._asdict()['w_h'].shape[1],
    resets_before,
  )
  arrays = dict(zip(('w_x', 'w_h', 'b', 'b_hn'), rows, strict=True))
  dtype = jax.dtypes.canonicalize_dtype(w_x.dtype)
  params = {}
  for name, mask in cell.mask._asdict().items():
    value = arrays.get(name)
    value = np.zeros(mask.shape) if value is None else value
    if np.any(value[mask == 0]):
      raise ValueError(
        f'{library}: {name} is not 0 where the cell has no weight: make the '
        'cell with all its biases'
      )
    params[name] = jnp.asarray(value, dtype)
  return cell.mask._replace(**params)


def directions(library: str, weights: object) -> list[list[object]]:
  """Weights of one layer or more, taken apart.

  Args:
    library: one of `LIBRARIES`.
    weights: as for `import_weights`, or a list of such, one a layer, of both
      directions: whole `state_dict`s of torch (all layers in one), weights of
      a `Bidirectional` of keras and flax, `(forward, backward)` of haiku and
      equinox.

  Returns:
    For each layer a list of the weights of its directions, forward first.
  """
  if library == 'torch':
    by_place = _others.torch_layers(weights)
    layers = sorted({layer for layer, _ in by_place})
    return [
      [by_place[layer, way] for way in (0, 1) if (layer, way) in by_place]
      for layer in layers
    ]
  layers_given = weights if isinstance(weights, list | tuple) else [weights]
  if library == 'keras':
    is_nested = any(
      isinstance(layer, list | tuple) or hasattr(layer, 'get_weights')
      for layer in layers_given
    )
    return list(
      map(_others.keras_directions, layers_given if is_nested else [weights])
    )
  if library == 'flax':
    return list(map(_flax.directions, layers_given))
  return [
    list(layer) if isinstance(layer, list | tuple) else [layer]
    for layer in layers_given
  ]


def export_weights(
  library: str, kind: str, cell: Cell, params: Params
) -> object:
  """The inverse of `import_weights`: params as another library keeps them.

  Args:
    library, kind, cell: as there.
    params: of the cell, without lanes.

  Returns:
    Arrays in the first form that `import_weights` names.

  Raises:
    ValueError: as there; params that are not those of the cell.

  Example:
    >>> import numpy as np, lstm_jax as lj
    >>> cell = lj.lstm(3, 0, hidden=8)
    >>> weights = lj.export_weights('keras', 'lstm', cell, cell.mask)
    >>> [array.shape for array in weights]  # kernel, recurrent kernel, bias
    [(3, 32), (8, 32), (32,)]
  """
  resets_before = _check(library, kind, cell)
  if len({*map(jax.tree.structure, (params, cell.mask))}) > 1:
    raise ValueError(
      f'params are of type {type(params).__name__}; must be those of the cell'
    )
  for name, mask in cell.mask._asdict().items():
    shape = np.shape(getattr(params, name))
    if shape != mask.shape:
      raise ValueError(f'params.{name} has shape {shape}; must be {mask.shape}')
  w_x, w_h, b = (
    np.asarray(getattr(params, name)) * getattr(cell.mask, name).astype(
      np.asarray(getattr(params, name)).dtype
    )
    for name in ('w_x', 'w_h', 'b')
  )  # fmt: skip
  b_hn = np.asarray(params._asdict()['b_hn']) if kind == 'gru' else None
  if library == 'keras':
    return _others.to_keras(kind, w_x, w_h, b, b_hn, resets_before)
  return _EXPORT[library](kind, w_x, w_h, b, b_hn)


def _check(library, kind, cell):
  """Checks that the cell is one of that kind; whether it resets before."""
  for name, value, choices in (
    ('library', library, LIBRARIES),
    ('kind', kind, KINDS),
  ):
    if value not in choices:
      raise ValueError(f'{name}={value!r} {one_of(choices)}')
  if (library, kind) == ('equinox', 'srn'):
    raise ValueError('equinox has no simple recurrent cell')
  cell_kind = _kind_of(cell)
  if cell_kind != kind:
    raise ValueError(f'kind={kind!r}: the cell is {cell_kind}')
  activation = cell.equations.compiled_loop if kind == 'srn' else None
  known = _ACTIVATIONS.get(library)
  if activation and known and activation not in known:
    names = ' or '.join(name.removeprefix('srn_') for name in known)
    raise ValueError(
      f"{library}'s simple net has the activation {names}; the cell does not: "
      f'make it with activation={known[0].removeprefix("srn_")!r}'
    )
  resets_before = kind == 'gru' and not np.any(cell.mask.b_hn)
  if (
    kind == 'gru'
    and library != 'keras'
    and resets_before != (library == 'haiku')
  ):
    reset = 'before' if library == 'haiku' else 'after'
    raise ValueError(
      f"{library}'s GRU resets {reset} the recurrent product; the cell does "
      f'not: make it with reset={reset!r}'
    )
  return resets_before


def kind_of(cell: Cell) -> str | None:
  """One of `KINDS`, or None where the other libraries have no such cell."""
  kind = _kind_of(cell)
  return kind if kind in KINDS else None


def _kind_of(cell):
  """One of `KINDS`, or words for what the other libraries have not."""
  fields = getattr(getattr(cell, 'mask', None), '_fields', ())
  equations = getattr(cell, 'equations', None)
  loop = getattr(equations, 'compiled_loop', None) or ''
  if loop == 'lstm' or loop.startswith('srn'):
    return loop[:4].rstrip('_')
  if 'b_hn' in fields:
    return 'gru'
  if 'w_peep_in' in fields:
    return 'an lstm with peepholes, which the other libraries have not'
  if fields == ('w_x', 'w_h', 'b', 'w_out', 'w_out_x', 'b_out'):
    return (
      'an srn with a leak or without all recurrent weights: make it with '
      "recurrence='full' and leak=1"
    )
  return f'none of {", ".join(KINDS)}: its params are {", ".join(fields)}'


_IMPORT: dict[str, Callable[..., Rows]] = {
  'torch': _others.from_torch,
  'keras': _others.from_keras,
  'flax': _flax.from_flax,
  'haiku': _others.from_haiku,
  'equinox': _others.from_equinox,
}
_EXPORT = {
  'torch': _others.to_torch,
  'flax': _flax.to_flax,
  'haiku': _others.to_haiku,
  'equinox': _others.to_equinox,
}
