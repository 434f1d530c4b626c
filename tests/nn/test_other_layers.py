"""The layers of other libraries: the same weights, outputs and gradients.

Each library's own layer runs on random sizes, sequences and lengths; float64
where it can, else float32. Weights go in and out by `convert`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.srn import srn
from lstm_jax.nn.convert import export_weights, import_weights
from lstm_jax.nn.layer import run

# Of each library a function `(kind, weights, xs, factors, lengths) -> (ys,
# gradients, gradient of xs)` of the loss sum(ys factors), ys past the end 0.
FACTORIES = {'lstm': lstm, 'gru': gru, 'srn': srn}
SIZES = [(5, 3, 2, 4), (9, 1, 1, 7), (2, 6, 5, 3)]  # T, B, I, C
EXACT, SINGLE = 1e-12, 1e-5


def cell_of(library, kind, num_inputs, hidden):
  options = {}
  if kind == 'gru' and library == 'haiku':
    options['reset'] = 'before'
  if kind == 'srn' and library == 'haiku':
    options['activation'] = 'relu'
  return FACTORIES[kind](num_inputs, 0, hidden=hidden, **options)


def gradients(loss, weights, x):
  """`((gradients, gradient of x), ys)` of a loss that also returns ys."""
  # Compiled as a whole: one program, not one for each operation of each size.
  return jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(weights, x)


def of_torch(kind, weights, xs, factors, lengths):
  import torch

  layer = {'lstm': torch.nn.LSTM, 'gru': torch.nn.GRU, 'srn': torch.nn.RNN}[
    kind
  ](xs.shape[-1], weights['weight_hh'].shape[1], dtype=torch.float64)
  for name, value in weights.items():
    getattr(layer, f'{name}_l0').data = torch.tensor(value)
  x = torch.tensor(xs, requires_grad=True)
  packed = torch.nn.utils.rnn.pack_padded_sequence(
    x, torch.tensor(lengths), enforce_sorted=False
  )
  ys, _ = torch.nn.utils.rnn.pad_packed_sequence(
    layer(packed)[0], total_length=len(xs)
  )
  (ys * torch.tensor(factors)).sum().backward()
  grads = {n: getattr(layer, f'{n}_l0').grad.numpy() for n in weights}
  return ys.detach().numpy(), grads, x.grad.numpy()


def of_keras(kind, weights, xs, factors, lengths):
  import keras

  layers = keras.layers
  layer = {'lstm': layers.LSTM, 'gru': layers.GRU, 'srn': layers.SimpleRNN}[
    kind
  ](
    weights[1].shape[0], return_sequences=True, dtype='float64',
    kernel_initializer='zeros', recurrent_initializer='zeros',
  )  # fmt: skip
  batch_first = np.swapaxes(xs, 0, 1)
  layer.build(batch_first.shape)
  mask = np.arange(len(xs)) < np.asarray(lengths)[:, None]

  # Keras's layers have a seed among the state that is no weight.
  state = [v.value for v in layer.non_trainable_variables]

  def loss(weights, x):
    ys, _ = layer.stateless_call(weights, state, x, mask=mask)
    ys = jnp.swapaxes(ys, 0, 1) * mask.T[..., None]
    return jnp.sum(ys * factors), ys

  (grads, x_grad), ys = gradients(loss, weights, batch_first)
  return ys, grads, np.swapaxes(x_grad, 0, 1)


def of_flax(kind, weights, xs, factors, lengths):
  from flax import linen

  cells = {
    'lstm': linen.OptimizedLSTMCell,
    'gru': linen.GRUCell,
    'srn': linen.SimpleCell,
  }
  hidden = np.shape(jax.tree.leaves(weights)[-1])[-1]
  layer = linen.RNN(
    cells[kind](hidden, param_dtype=jnp.float64), time_major=True
  )

  def loss(weights, x):
    ys = layer.apply({'params': {'cell': weights}}, x, seq_lengths=lengths)
    inside = np.arange(len(xs))[:, None] < np.asarray(lengths)
    ys = ys * inside[..., None]
    return jnp.sum(ys * factors), ys

  (grads, x_grad), ys = gradients(loss, weights, xs)
  return ys, grads, x_grad


def of_haiku(kind, weights, xs, factors, lengths):
  import haiku as hk

  hidden = {
    'lstm': lambda: weights['w'].shape[1] // 4,
    'gru': lambda: weights['w_h'].shape[0],
    'srn': lambda: weights['linear_1']['w'].shape[0],
  }[kind]()
  core = {'lstm': hk.LSTM, 'gru': hk.GRU, 'srn': hk.VanillaRNN}[kind]

  def forward(x):
    layer = core(hidden)
    return hk.dynamic_unroll(layer, x, layer.initial_state(x.shape[1]))[0]

  net = hk.without_apply_rng(hk.transform(forward))
  path = {'lstm': 'lstm/linear', 'gru': 'gru', 'srn': 'vanilla_rnn'}[kind]
  inside = np.arange(len(xs))[:, None] < np.asarray(lengths)

  def loss(weights, x):
    params = {path: weights}
    if kind == 'srn':
      params = {f'{path}/{name}': own for name, own in weights.items()}
    ys = net.apply(params, x) * inside[..., None]
    return jnp.sum(ys * factors), ys

  (grads, x_grad), ys = gradients(loss, weights, xs)
  return ys, grads, x_grad


def of_equinox(kind, weights, xs, factors, lengths):
  import equinox as eqx

  hidden = weights['weight_hh'].shape[1]
  make = {'lstm': eqx.nn.LSTMCell, 'gru': eqx.nn.GRUCell}[kind]
  cell = jax.jit(lambda key: make(xs.shape[-1], hidden, key=key))(
    jax.random.key(0)
  )
  inside = np.arange(len(xs))[:, None] < np.asarray(lengths)

  def loss(weights, x):
    names = list(weights)
    own = eqx.tree_at(
      lambda c: [getattr(c, n) for n in names], cell, list(weights.values())
    )

    def step(state, x_t):
      state = own(x_t, state)
      return state, state[0] if kind == 'lstm' else state

    zero = jnp.zeros(hidden)
    start = (zero, zero) if kind == 'lstm' else zero
    ys = jax.vmap(lambda x: jax.lax.scan(step, start, x)[1], 1, 1)(x)
    ys = ys * inside[..., None]
    return jnp.sum(ys * factors), ys

  (grads, x_grad), ys = gradients(loss, weights, xs)
  return ys, grads, x_grad


THEIRS = {
  'torch': (of_torch, EXACT),
  # Its layers compute part of a step in float32 whatever they are told.
  'keras': (of_keras, SINGLE),
  'flax': (of_flax, EXACT),
  'haiku': (of_haiku, EXACT),
  'equinox': (of_equinox, EXACT),
}
PAIRS = [
  (library, kind)
  for library in THEIRS
  for kind in FACTORIES
  if (library, kind) != ('equinox', 'srn')
]


@pytest.fixture
def float64():
  with jax.enable_x64(True), jax.numpy_rank_promotion('allow'):
    yield


@functools.cache
def drawn(cell, size):
  """`(params, xs, factors, lengths)`, the same for every library."""
  num_steps, batch, num_inputs, hidden = size
  rng = np.random.default_rng(sum(size))
  params = jax.tree.map(
    lambda m: jax.device_put(m * rng.normal(size=m.shape)), cell.mask
  )
  xs = rng.normal(size=(num_steps, batch, num_inputs))
  lengths = rng.integers(1, num_steps + 1, batch)
  return params, xs, rng.normal(size=(num_steps, batch, hidden)), lengths


@functools.cache
def ours(cell, size):
  params, xs, factors, lengths = drawn(cell, size)

  def loss(params, x):
    ys = run(cell, params, x, lengths=lengths).ys
    return jnp.sum(ys * factors), ys

  (grads, x_grad), ys = gradients(loss, params, xs)
  return ys, grads, x_grad


def close(one, other, tolerance):
  np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('library, kind', PAIRS)
@pytest.mark.parametrize('size', SIZES, ids=str)
def test_outputs_and_gradients_are_the_same(float64, library, kind, size):
  *_, num_inputs, hidden = size
  cell = cell_of(library, kind, num_inputs, hidden)
  params, xs, factors, lengths = drawn(cell, size)
  weights = export_weights(library, kind, cell, params)
  theirs, tolerance = THEIRS[library]
  their_ys, their_grads, their_x_grad = theirs(
    kind, weights, xs, factors, lengths
  )
  our_ys, our_grads, our_x_grad = ours(cell, size)
  close(our_ys, their_ys, tolerance)
  close(our_x_grad, their_x_grad, tolerance)
  # Gradients are weights too, but for the 1 that haiku adds to a bias and for
  # a bias that is the sum of two: each of the two has the gradient of the sum.
  again = export_weights(library, kind, cell, our_grads)
  if library == 'haiku' and kind == 'lstm':
    again['b'][2 * hidden : 3 * hidden] += 1
  compare = dict(_named(again))
  for path, theirs_grad in _named(their_grads):
    if path in _SECOND_BIAS.get((library, kind), ()):
      continue
    close(compare[path], theirs_grad, 10 * tolerance)


# The second of two biases, of which an export makes zeros.
_SECOND_BIAS = {
  ('torch', 'lstm'): ("['bias_hh']",),
  ('torch', 'gru'): ("['bias_hh']",),
  ('torch', 'srn'): ("['bias_hh']",),
  ('keras', 'gru'): ('[2]',),
  ('haiku', 'srn'): ("['linear_1']['b']",),
}


def _named(tree):
  return [
    (jax.tree_util.keystr(path), np.asarray(leaf))
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  ]


@pytest.mark.parametrize('library, kind', PAIRS)
def test_in_and_out_again(float64, library, kind):
  cell = cell_of(library, kind, 3, 4)
  rng = np.random.default_rng(0)
  params = jax.tree.map(
    lambda m: jax.device_put(m * rng.normal(size=m.shape)), cell.mask
  )
  weights = export_weights(library, kind, cell, params)
  found = import_weights(library, kind, cell, weights)
  for a, b in zip(found, params, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-15, atol=1e-15)
    assert a.dtype == b.dtype


def test_two_biases_are_added():
  cell = lstm(2, 0, hidden=3)
  rng = np.random.default_rng(0)
  weights = {
    'weight_ih': rng.normal(size=(12, 2)),
    'weight_hh': rng.normal(size=(12, 3)),
    'bias_ih': rng.normal(size=12),
    'bias_hh': rng.normal(size=12),
  }
  found = import_weights('torch', 'lstm', cell, weights)
  close(found.b, weights['bias_ih'] + weights['bias_hh'], 1e-6)


BAD = [
  (('theano', 'lstm', lstm(2, 0, hidden=3)), "library='theano' must be one of"),
  (('torch', 'cfc', lstm(2, 0, hidden=3)), "kind='cfc' must be one of lstm"),
  (('equinox', 'srn', srn(2, 0, hidden=3)), 'equinox has no simple recurrent'),
  (('haiku', 'gru', gru(2, 0, hidden=3)), "make it with reset='before'"),
  (
    ('torch', 'gru', gru(2, 0, hidden=3, reset='before')),
    "make it with reset='after'",
  ),
]


@pytest.mark.parametrize('args, message', BAD)
def test_refusals(args, message):
  with pytest.raises(ValueError, match=message):
    import_weights(*args, {})
  with pytest.raises(ValueError, match=message):
    export_weights(*args, None)


def test_a_layer_of_another_size_is_refused():
  cell, other = lstm(2, 0, hidden=3), lstm(4, 0, hidden=3)
  params = other.init(jax.random.key(0), other.numbers)
  weights = export_weights('torch', 'lstm', other, params)
  with pytest.raises(
    ValueError, match=r'w_x has shape \(12, 4\); the cell has'
  ):
    import_weights('torch', 'lstm', cell, weights)
