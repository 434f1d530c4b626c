"""Our recurrent layers against those of other libraries, in one run.

For each size two processes, one with XLA's default flags and one with those of
`launch.set_flags` (small loops as one native function), in each of which every
layer is timed in turn. A library counts with the better of the two. Compile
time is apart; the best of several repeats counts.

  python -m experiments.bench --layers
"""

import json
import os
import subprocess
import sys
import time

import numpy as np

from experiments import bench_libraries, launch
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
OURS = ('ours', 'ours, native', 'ours, autodiff')


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
  for name, (make, kinds) in bench_libraries.LIBRARIES.items():
    what = {'size': size, 'profile': profile, 'library': name}
    figures.append(what)
    if kind not in kinds:
      what['why'] = f'has no {kind}'
      continue
    try:
      forward, both = make(kind, xs, hidden, models)
    except ImportError as missing:
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


if __name__ == '__main__':
  _child(*sys.argv[1:4], int(sys.argv[4]), float(sys.argv[5]))
