"""Our recurrent layers against those of other libraries, in one run.

For each size two processes, one with XLA's default flags and one with those of
`launch.set_flags` (small loops as one native function), in each of which every
layer is timed in turn. A library counts with the better of the two. Compile
time is apart; the best of several repeats counts.

  python -m experiments.bench --layers
"""

import functools
import json
import os
import subprocess
import sys
import time

import numpy as np

from experiments import launch
from experiments.layout import aligned

# T, B, I, H; models side by side.
SIZES = {
  '1000,1,2,8': (1000, 1, 2, 8, 1),
  '100,32,2,30': (100, 32, 2, 30, 1),
  '500,128,32,32': (500, 128, 32, 32, 1),
  '400,32,100,20': (400, 32, 100, 20, 1),
  '1000,64,2,128': (1000, 64, 2, 128, 1),
  '256,64,256,512': (256, 64, 256, 512, 1),
  '16 x 100,32,2,30': (100, 32, 2, 30, 16),
}
KINDS = ('lstm', 'gru', 'srn')
_GATES = {'lstm': 4, 'gru': 3, 'srn': 1}
PROFILES = ('default', 'small loops')
OURS = ('ours', 'ours, autodiff')


def measure(kind, sizes, pace):
  """Times every library at every size.

  Args:
    kind: 'lstm', 'gru' or 'srn'.
    sizes: keys of `SIZES`.
    pace: a `bench_rows.Pace`.

  Returns:
    A dict a measurement: `size`, `profile`, `library`, `forward_ms`,
    `both_ms`, `compile_s`; or `why` where a library was not there.
  """
  figures = []
  for size in sizes:
    here = []
    for profile in PROFILES:
      words = [kind, size, profile, str(pace.repeats), str(pace.seconds)]
      environ = dict(os.environ)
      environ['KERAS_BACKEND'] = 'jax'
      if profile != 'default':
        launch.set_flags(environ=environ)
      done = subprocess.run(
        [sys.executable, '-m', 'experiments.bench_layers', *words],
        env=environ, capture_output=True, text=True, check=False,
      )  # fmt: skip
      if done.returncode:
        raise RuntimeError(f'{size}, {profile}: {done.stderr[-2000:]}')
      here += json.loads(done.stdout.splitlines()[-1])
    print(f'{kind} (T, B, I, H) = ({size})', _table(kind, size, here), sep='\n')
    print(flush=True)
    figures += here
  return figures


def _table(kind, size, figures):
  """A line a library, with the best of both profiles."""
  num_steps, batch, inputs, hidden, models = SIZES[size]
  products = _GATES[kind] * hidden * (inputs + hidden)
  work = 2e-6 * models * num_steps * batch * products  # MFLOP forward
  lines = [
    ['', 'forward ms', 'GFLOP/s', 'both ms', 'GFLOP/s', 'ratio', 'flags']
  ]
  best = {}
  for figure in figures:
    name = figure['library']
    if 'both_ms' not in figure:
      continue
    if name not in best or figure['both_ms'] < best[name]['both_ms']:
      best[name] = figure
  forward = {
    name: min(
      f['forward_ms'] for f in figures
      if f['library'] == name and 'forward_ms' in f
    )
    for name in best
  }  # fmt: skip
  others = [f['both_ms'] for n, f in best.items() if n not in OURS]
  for name, figure in best.items():
    both = figure['both_ms']
    lines.append(
      [
        name,
        f'{forward[name]:.3g}',
        f'{work / forward[name]:.3g}',
        f'{both:.3g}',
        f'{3 * work / both:.3g}',
        f'{min(others) / both:.2f}' if others else '-',
        figure['profile'],
      ]
    )
  missing = {f['library']: f['why'] for f in figures if 'why' in f}
  said = [f'{name}: {why}' for name, why in missing.items()]
  peak = max((f['peak'] for f in figures if 'peak' in f), default=None)
  if peak:
    said.append(f'Peak of a matrix product of 1024: {peak:.0f} GFLOP/s.')
  return '\n'.join([aligned(lines), *said])


def _child(kind, size, profile, repeats, seconds):
  """Times all libraries at one size in this process; prints JSON."""
  import jax
  import jax.numpy as jnp

  num_steps, batch, inputs, hidden, models = SIZES[size]
  rng = np.random.default_rng(0)
  xs = rng.normal(size=(num_steps, batch, inputs)).astype(np.float32)
  figures, loops = [], []
  for name, make in _LIBRARIES.items():
    what = {'size': size, 'profile': profile, 'library': name}
    figures.append(what)
    try:
      forward, both = make(kind, xs, hidden, models)
    except (ImportError, NotImplementedError) as missing:
      what['why'] = str(missing)
      continue
    began = time.monotonic()
    both()
    what['compile_s'] = time.monotonic() - began
    forward()
    loops += [(what, 'forward_ms', forward), (what, 'both_ms', both)]
  for _ in range(repeats):
    for what, field, call in loops:
      count, spent = 0, 0.0
      while spent < seconds / repeats or not count:
        began = time.monotonic()
        call()
        once = time.monotonic() - began
        spent, count = spent + once, count + 1
        what[field] = min(what.get(field, 1e9), 1e3 * once)
  a = jnp.ones((1024, 1024))
  product = jax.jit(jnp.matmul)
  best = 1e9
  for _ in range(8):
    began = time.monotonic()
    jax.block_until_ready(product(a, a))
    best = min(best, time.monotonic() - began)
  figures.append(
    {'size': size, 'profile': profile, 'library': 'peak',
     'peak': 2 * 1024**3 / best / 1e9}
  )  # fmt: skip
  print(json.dumps(figures))


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
  both = jax.jit(jax.grad(lambda p, xs: jnp.sum(over(p, xs) ** 2)))
  return (
    lambda: jax.block_until_ready(forward(params, xs)),
    lambda: jax.block_until_ready(both(params, xs)),
  )


def _ours(kind, xs, hidden, models, backward='products'):
  import jax

  from lstm_jax import catalog
  from lstm_jax.layer import run

  cell = catalog.build('cells', kind, xs.shape[-1], 0, hidden=hidden)
  params = cell.init(jax.random.key(0), cell.numbers)
  go = lambda params, xs: run(cell, params, xs, backward=backward).ys
  return _jax_calls(go, params, xs, models)


def _scan(kind, xs, hidden, models):
  """The layer as it is written by hand: a scan over a cell, features last."""
  import jax
  import jax.numpy as jnp

  if kind != 'lstm':
    raise NotImplementedError('by hand for lstm alone')
  rng = np.random.default_rng(0)
  draw = lambda *shape: rng.normal(size=shape).astype(np.float32) * 0.1
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

  net = hk.without_apply_rng(hk.transform(forward))
  params = net.init(jax.random.key(0), xs)
  return _jax_calls(net.apply, params, xs, models)


def _equinox(kind, xs, hidden, models):
  import equinox as eqx
  import jax
  import jax.numpy as jnp

  if kind == 'srn':
    raise NotImplementedError('equinox has no simple recurrent cell')
  make = {'lstm': eqx.nn.LSTMCell, 'gru': eqx.nn.GRUCell}[kind]
  cell = make(xs.shape[-1], hidden, key=jax.random.key(0))
  params, rest = eqx.partition(cell, eqx.is_array)

  def run(params, xs):
    cell = eqx.combine(params, rest)

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

  def both():
    for _ in range(models):
      layer.zero_grad()
      (layer(x)[0] ** 2).sum().backward()

  return forward, both


_LIBRARIES = {
  'ours': _ours,
  'ours, autodiff': functools.partial(_ours, backward='autodiff'),
  'scan by hand': _scan,
  'torch': _torch,
  'flax': _flax,
  'haiku': _haiku,
  'equinox': _equinox,
  'keras': _keras,
}


if __name__ == '__main__':
  _child(*sys.argv[1:4], int(sys.argv[4]), float(sys.argv[5]))
