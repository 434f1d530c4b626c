"""The layers that `bench --layers` compares: ours and those of other libraries.

Each is `(kind, xs [T, B, I], hidden, models) -> (forward, both)`: functions
without arguments that run the layer, and it and its gradient by the weights of
the sum of squared outputs, to their end. Libraries are imported when asked for.
"""

import functools
from collections.abc import Callable, Sequence
from importlib import metadata

import numpy as np

# What makes the two calls of a layer, and the kinds that it has.
Layer = tuple[Callable[..., tuple[Callable[[], object], ...]], tuple[str, ...]]


def _jax_calls(run, params, xs, models):
  """`(forward, both)` of `run(params, xs) -> ys`, vmapped over models."""
  import jax
  import jax.numpy as jnp

  params = jax.tree.map(jnp.asarray, params)
  if models > 1:
    params = jax.tree.map(lambda p: jnp.stack([p] * models), params)
  over = jax.vmap(run, (0, None)) if models > 1 else run
  xs = jnp.asarray(xs)
  forward = jax.jit(over)
  forward_backward = jax.jit(jax.grad(lambda p, xs: jnp.sum(over(p, xs) ** 2)))
  return (
    lambda: jax.block_until_ready(forward(params, xs)),
    lambda: jax.block_until_ready(forward_backward(params, xs)),
  )


def _own_layer(kind, xs, hidden, models, **options):
  import jax

  from lstm_jax.lab.plan import catalog
  from lstm_jax.nn.layer import layer

  cell = catalog.build('cells', kind, xs.shape[-1], 0, hidden=hidden)
  params = cell.init(jax.random.key(0), cell.numbers)
  go = lambda params, xs: layer(cell, params, xs, **options).ys
  return _jax_calls(go, params, xs, models)


def _scan(kind, xs, hidden, models):
  """The layer as it is written by hand: a scan over a cell, features last."""
  import jax
  import jax.numpy as jnp

  rng = np.random.default_rng(0)
  draw = lambda *shape: np.asarray(rng.normal(size=shape), np.float32) * 0.1
  params = draw(xs.shape[-1], 4 * hidden), draw(hidden, 4 * hidden)
  params = (*params, np.zeros(4 * hidden, np.float32))

  def run(params, xs):
    w_x, w_h, b = params

    def step(carry, x):
      h, c = carry
      i, f, g, o = jnp.split(x @ w_x + h @ w_h + b[None], 4, axis=-1)
      c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
      h = jax.nn.sigmoid(o) * jnp.tanh(c)
      return (h, c), h

    zero = jnp.zeros((xs.shape[1], hidden))
    return jax.lax.scan(step, (zero, zero), xs)[1]

  return _jax_calls(run, params, xs, models)


def _flax(kind, xs, hidden, models):
  import jax
  from flax import linen

  cell = {
    'lstm': linen.OptimizedLSTMCell,
    'gru': linen.GRUCell,
    'srn': linen.SimpleCell,
  }[kind]
  layer = linen.RNN(cell(hidden), time_major=True)
  params = layer.init(jax.random.key(0), xs)
  return _jax_calls(layer.apply, params, xs, models)


def _haiku(kind, xs, hidden, models):
  import haiku as hk
  import jax

  core = {'lstm': hk.LSTM, 'gru': hk.GRU, 'srn': hk.VanillaRNN}[kind]

  def forward(xs):
    layer = core(hidden)
    return hk.dynamic_unroll(layer, xs, layer.initial_state(xs.shape[1]))[0]

  net = hk.transform(forward)
  params = net.init(jax.random.key(0), xs)
  apply = lambda params, xs: net.apply(params, None, xs)
  return _jax_calls(apply, params, xs, models)


def _equinox(kind, xs, hidden, models):
  import equinox as eqx
  import jax
  import jax.numpy as jnp

  make = {'lstm': eqx.nn.LSTMCell, 'gru': eqx.nn.GRUCell}[kind]
  cell = make(xs.shape[-1], hidden, key=jax.random.key(0))
  params, static = eqx.partition(cell, eqx.is_array)

  def run(params, xs):
    cell = eqx.combine(params, static)

    def step(state, x):
      state = jax.vmap(cell)(x, state)
      return state, state[0] if kind == 'lstm' else state

    zero = jnp.zeros((xs.shape[1], hidden))
    start = (zero, zero) if kind == 'lstm' else zero
    return jax.lax.scan(step, start, xs)[1]

  return _jax_calls(run, params, xs, models)


def _keras(kind, xs, hidden, models):
  import jax.numpy as jnp
  import keras

  layers = keras.layers
  layer = {'lstm': layers.LSTM, 'gru': layers.GRU, 'srn': layers.SimpleRNN}[
    kind
  ](hidden, return_sequences=True)
  batch_first = np.swapaxes(xs, 0, 1)
  layer.build(batch_first.shape)
  state = [v.value for v in layer.non_trainable_variables]
  weights = [jnp.asarray(v.value) for v in layer.trainable_variables]

  def run(weights, xs):
    return layer.stateless_call(weights, state, xs)[0]

  return _jax_calls(run, weights, batch_first, models)


def _torch(kind, xs, hidden, models):
  import torch

  layer = {'lstm': torch.nn.LSTM, 'gru': torch.nn.GRU, 'srn': torch.nn.RNN}[
    kind
  ](xs.shape[-1], hidden)
  x = torch.tensor(xs)

  def forward():
    # Models cannot be mapped over; they go one after another.
    with torch.no_grad():
      for _ in range(models):
        layer(x)

  def forward_backward():
    for _ in range(models):
      layer.zero_grad()
      (layer(x)[0] ** 2).sum().backward()

  return forward, forward_backward


def _one_by_one(make, kind, xs, hidden, models):
  """Models of a library one after another instead of mapped over."""
  calls = make(kind, xs, hidden, 1)

  def again(call):
    return lambda: [call() for _ in range(models)]

  return tuple(map(again, calls))


def versions() -> dict[str, str | None]:
  """Package -> version, None where it is not installed."""
  by_package: dict[str, str | None] = {}
  for package in ('torch', 'keras', 'flax', 'dm-haiku', 'equinox'):
    try:
      by_package[package] = metadata.version(package)
    except metadata.PackageNotFoundError:
      by_package[package] = None
  return by_package


def libraries_for(models: int, own_names: Sequence[str]) -> dict[str, Layer]:
  """`LIBRARIES`, and where there are many models those not ours in turn."""
  if models == 1:
    return LIBRARIES
  in_turn = {
    f'{name}, one by one': (functools.partial(_one_by_one, make), kinds)
    for name, (make, kinds) in LIBRARIES.items()
    if name not in (*own_names, 'torch')
  }
  return LIBRARIES | in_turn


_ALL_KINDS = ('lstm', 'gru', 'srn')
# Name -> the layer, and the kinds that there are of it.
LIBRARIES: dict[str, Layer] = {
  'ours': (_own_layer, _ALL_KINDS),
  'ours, native': (functools.partial(_own_layer, kernel='native'), _ALL_KINDS),
  'ours, autodiff': (
    functools.partial(_own_layer, backward='autodiff'),
    _ALL_KINDS,
  ),
  'scan by hand': (_scan, ('lstm',)),
  'torch': (_torch, _ALL_KINDS),
  'flax': (_flax, _ALL_KINDS),
  'haiku': (_haiku, _ALL_KINDS),
  'equinox': (_equinox, ('lstm', 'gru')),
  'keras': (_keras, _ALL_KINDS),
}
