"""A network for whole sequences: embedding, recurrent layers, output units.

What batch training trains. Arrays are as layers have them, features last; the
pool of examples has its batch first, the layers have time first.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.nn import convert
from lstm_jax.nn.equations import (
  equations_of,
  name_of,
  output_size,
  state_of,
)
from lstm_jax.nn.layer import layer, which_kernel
from lstm_jax.ops.checked import checked
from lstm_jax.types import Array, Cell
from lstm_jax.types import Params as CellParams


class Params(NamedTuple):
  """Weights of the network.

  Attributes:
    embedding: `[V, E]`; None where the inputs are numbers.
    layers: params of each layer's cell.
    w: `[C, K]` from the last layer to the output units.
    b: `[K]`.
  """

  embedding: Array | None
  layers: tuple[CellParams, ...]
  w: Array
  b: Array


class Model(NamedTuple):
  """A network, as pure functions.

  Attributes:
    init: `key -> Params`, in Python: not to be traced.
    apply: `(params, inputs [B, T, I] or [B, T] tokens, lengths [B] or None) ->`
      net inputs of the output units, `[B, K]` or `[B, T, K]` at every step.
    weights: number that is trained.
    kernel: which code runs the layers, see `layer.which_kernel`.
  """

  init: Callable[..., Params]
  apply: Callable[..., Array]
  weights: int
  kernel: Callable[[], str]


@checked
def make_model(
  make_cell: Callable[[int], Cell],
  *,
  num_inputs: int,
  num_outputs: int,
  vocabulary: int = 0,
  embedding: int = 0,
  layers: int = 1,
  every_step: bool = False,
  reads: Literal['output', 'state', 'mean'] = 'output',
  initial: Literal['keras', 'normal', 'cell'] = 'keras',
  kernel: str = 'auto',
) -> Model:
  """A network of recurrent layers of one kind and size.

  Args:
    make_cell: `num_inputs -> Cell` without output units.
    num_inputs: I; with a vocabulary it is the embedding's size instead.
    num_outputs: K.
    vocabulary: V, tokens; 0: the inputs are numbers.
    embedding: E, numbers that stand for a token.
    layers: how many, each of which reads the one below at every step.
    every_step: outputs at every step, not only after the last.
    reads: what the output units read of the last layer: its 'output' h_T; its
      internal 'state' c_T, which no gate and no tanh has bounded; or the 'mean'
      of its outputs over the steps of a sequence.
    initial: 'keras': input weights Glorot-uniform over the whole matrix of a
      layer, recurrent weights orthogonal over it, biases 0 but a forget gate's
      1, embedding uniform in [-0.05, 0.05]; 'normal': every matrix N(0, 0.03),
      the same biases; 'cell': what the cell's own `init` draws.
    kernel: of `layer`.

  Raises:
    ValueError: an unknown word; `reads='state'` of a cell whose state is its
      output, or at every step; `initial` other than 'cell' of a cell that no
      other library has; tokens without an embedding.
  """
  if layers < 1:
    raise ValueError(f'layers={layers} must be at least 1')
  if vocabulary and embedding < 1:
    raise ValueError(f'embedding={embedding} must be at least 1 for tokens')
  first = make_cell(embedding if vocabulary else num_inputs)
  carry, output = state_of(first), equations_of(first).output
  size = output_size(first)
  cells = (first, *(make_cell(size) for _ in range(layers - 1)))
  state = next((field for field in carry._fields if field != output), None)
  read_field = output
  if reads == 'state':
    if state is None:
      raise ValueError(
        f'reads=state: cell {name_of(first)} has no state besides its output'
      )
    read_field = state
  if every_step and reads != 'output':
    raise ValueError(f'reads={reads}: outputs at every step read the output')
  kind = convert.kind_of(first)
  if initial != 'cell' and kind is None:
    raise ValueError(
      f'initial={initial}: cell {name_of(first)} is in no other library; '
      'write initial=cell'
    )

  def init(key):
    keys = iter(jax.random.split(key, layers + 2))
    table = None
    if vocabulary:
      shape = (vocabulary, embedding)
      table = _table(next(keys), shape, initial)
    made = [_layer(cell, kind, next(keys), initial) for cell in cells]
    w = _matrix(next(keys), (size, num_outputs), initial)
    return Params(table, tuple(made), w, jnp.zeros(num_outputs))

  def apply(params, inputs, lengths=None):
    inputs = jnp.moveaxis(inputs, 0, 1)
    xs = inputs if params.embedding is None else params.embedding[inputs]
    for i, (cell, cell_params) in enumerate(
      zip(cells, params.layers, strict=True)
    ):
      last = i == layers - 1
      result = layer(
        cell,
        cell_params,
        xs,
        lengths=lengths,
        outputs=not last or every_step or reads == 'mean',
        kernel=kernel,
      )
      if result.ys is not None:
        xs = result.ys
    if every_step:
      return jnp.moveaxis(_affine(xs, params), 0, 1)
    if reads == 'mean':
      steps = len(inputs) if lengths is None else jnp.maximum(lengths, 1)
      steps = jnp.asarray(steps, xs.dtype)
      features = jnp.sum(xs, 0) / steps.reshape(-1, 1)
    else:
      features = getattr(result.last, read_field)
    return _affine(features, params)

  def kernels():
    xs = jnp.zeros((1, 1, first.num_inputs))
    return which_kernel(first, first.mask, xs, kernel=kernel).kernel

  count = sum(int(np.sum(m)) for c in cells for m in jax.tree.leaves(c.mask))
  count += vocabulary * embedding + (size + 1) * num_outputs
  return Model(init, apply, count, kernels)


def _affine(x, params):
  return x @ params.w + jnp.expand_dims(params.b, tuple(range(x.ndim - 1)))


def _matrix(key, shape, initial):
  if initial == 'normal':
    return 0.03 * jax.random.normal(key, shape)
  return jax.nn.initializers.glorot_uniform()(key, shape)


def _table(key, shape, initial):
  if initial == 'normal':
    return 0.03 * jax.random.normal(key, shape)
  return jax.random.uniform(key, shape, minval=-0.05, maxval=0.05)


def _layer(cell, kind, key, initial):
  """Params of one layer, drawn in the layout of Keras."""
  if initial == 'cell':
    return cell.init(key, cell.numbers)
  # Biases alone: 0, or what a number of the cell says (a forget gate's 1).
  biases = cell.init(key, {'init_range': 0.0})
  kernel, recurrent, bias = _in_keras(kind, cell, biases)
  key_x, key_h = jax.random.split(key)
  kernel = _matrix(key_x, kernel.shape, initial)
  if initial == 'normal':
    recurrent = _matrix(key_h, recurrent.shape, initial)
  else:
    recurrent = jax.nn.initializers.orthogonal()(key_h, recurrent.shape)
  return convert.import_weights('keras', kind, cell, [kernel, recurrent, bias])


def _in_keras(kind, cell, params):
  """The kernel, the recurrent kernel and the biases of a layer of Keras."""
  return convert.export_weights('keras', kind, cell, params)
