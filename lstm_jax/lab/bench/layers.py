"""Our recurrent layers against those of other libraries, in one run.

For each size two processes, one with XLA's default flags and one with those of
`launch.set_flags` (small loops as one native function; for a few hundred states
only, more are slower so), in each of which every layer is timed in turn. Ours
count with the better of the two; the ratios are against the best of the others
as they come, with the default flags, and against the best of them with either.
Compile time is apart; the best of several repeats counts. Several models are
run mapped over, and those of other libraries also one by one.

  lstm-jax bench --layers
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable

import numpy as np

from lstm_jax.lab.bench import libraries
from lstm_jax.lab.bench.rows import Figure, Pace
from lstm_jax.lab.plan.text_columns import aligned
from lstm_jax.lab.run import xla_flags

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
OWN_LIBRARIES = ('ours', 'ours, native', 'ours, autodiff')
_MAX_SMALL = 256  # states up to which the flags for small loops are of use
_LONG_SECONDS = 4.0  # seconds of a call that is not repeated
_SIDE = 1024  # of the matrices whose product is the peak


def compile_loops() -> None:
  """Has the loops of `kernel='native'` compiled, where they are not yet.

  In a process of its own, since this one must not import JAX. Where that fails
  it says why, and the benchmark goes on without them.
  """
  print('Compiled loops (made in a minute, once):', end=' ', flush=True)
  process = subprocess.run(
    [sys.executable, '-m', 'lstm_jax.nn.native'],
    capture_output=True, text=True, check=False,
  )  # fmt: skip
  print(*(process.stdout + process.stderr).splitlines()[-1:])


def measure(kind: str, sizes: Iterable[str], pace: Pace) -> list[Figure]:
  """Times every library at every size.

  Args:
    kind: 'lstm', 'gru' or 'srn'.
    sizes: keys of `SIZES`.
    pace: a `bench_rows.Pace`.

  Returns:
    A dict a measurement: `kind`, `size`, `profile`, `library`, `forward_ms`,
    `both_ms`, `compile_s`; or `why` where a library was not there. One of each
    process, `library` 'peak': GFLOP/s of a product of 1024, GB/s of a copy,
    bytes of the vectors that the native loops use.
  """
  figures = []
  for size in sizes:
    figures_here = []
    for profile in PROFILES if _states(size) <= _MAX_SMALL else PROFILES[:1]:
      words = [kind, size, profile, str(pace.repeats), str(pace.seconds)]
      environ = dict(os.environ)
      environ['KERAS_BACKEND'] = 'jax'
      if profile != 'default':
        xla_flags.set_flags(environ=environ)
      process = subprocess.run(
        [sys.executable, '-m', 'lstm_jax.lab.bench.layers', *words],
        env=environ, capture_output=True, text=True, check=False,
      )  # fmt: skip
      if process.returncode:
        raise RuntimeError(f'{size}, {profile}: {process.stderr[-2000:]}')
      figures_here += json.loads(process.stdout.splitlines()[-1])
    print(
      f'{kind} (T, B, I, H) = ({size})',
      _table(kind, size, figures_here),
      sep='\n',
    )
    print(flush=True)
    figures += figures_here
  return figures


def _states(size):
  _, batch, _, hidden, models = SIZES[size]
  return batch * hidden * models


def _work(kind, size):
  """MFLOP of a call forward; both ways three times as many."""
  num_steps, batch, inputs, hidden, models = SIZES[size]
  products = _GATES[kind] * hidden * (inputs + hidden)
  return 2e-6 * models * num_steps * batch * products


def _table(kind, size, figures):
  """A line a library, and what it comes to."""
  work = _work(kind, size)
  timed = [figure for figure in figures if 'both_ms' in figure]
  names = list(dict.fromkeys(figure['library'] for figure in timed))
  other_libraries = [name for name in names if name not in OWN_LIBRARIES]

  def fastest(field, names, profiles=PROFILES):
    return min(
      (f[field], f['library']) for f in timed
      if f['library'] in names and f['profile'] in profiles
    )  # fmt: skip

  head = 'forward ms', 'GFLOP/s', 'both ms', 'GFLOP/s', 'compile s'
  lines = [['', *head, 'small loops']]
  for name in names:
    forward, _ = fastest('forward_ms', [name], PROFILES[:1])
    both_ms, _ = fastest('both_ms', [name], PROFILES[:1])
    small_loops = [
      f'{f["forward_ms"]:.3g}, {f["both_ms"]:.3g} ms' for f in timed
      if f['library'] == name and f['profile'] != PROFILES[0]
    ]  # fmt: skip
    compiling, _ = fastest('compile_s', [name], PROFILES[:1])
    lines.append(
      [
        name,
        f'{forward:.3g}',
        f'{work / forward:.3g}',
        f'{both_ms:.3g}',
        f'{3 * work / both_ms:.3g}',
        f'{compiling:.1f}',
        *(small_loops or '-'),
      ]
    )
  sentences = [f'{f["library"]}: {f["why"]}' for f in figures if 'why' in f]
  for words, field in (('Forward', 'forward_ms'), ('Both ways', 'both_ms')):
    own_ms, name = fastest(field, OWN_LIBRARIES)
    other_ms, best = fastest(field, other_libraries, PROFILES[:1])
    any_ms, too = fastest(field, other_libraries)
    sentences.append(
      f'{words}: {name} {own_ms:.3g} ms; {other_ms / own_ms:.2f} times as fast '
      f'as {best} as it comes, {any_ms / own_ms:.2f} as {too} with the better '
      'flags.'
    )
  sentences.append(
    _limits(size, work, fastest('both_ms', OWN_LIBRARIES), figures)
  )
  return '\n'.join([*aligned(lines), *dict.fromkeys(sentences)])


def _limits(size, work, own_best, figures):
  """Says what the time of our fastest layer could be at least."""
  num_steps, batch, inputs, hidden, models = SIZES[size]
  peak = max(f['peak'] for f in figures if 'peak' in f)
  in_row = max(f['sustained'] for f in figures if 'sustained' in f)
  speed = max(f['copied'] for f in figures if 'copied' in f)
  both_ms, name = own_best
  # xs is read twice; ys and states are written and read, errors of ys read.
  gigabytes = 4e-9 * models * num_steps * batch * (2 * inputs + 5 * hidden)
  product, memory = 3 * work / peak / both_ms, 1e3 * gigabytes / speed / both_ms
  limit = 'products' if product > 0.5 else 'memory' if memory > 0.5 else ''
  if not limit:
    limit = 'neither: a step is short, and squashing, waiting and calls count'
  return (
    f'{name}, both ways: its products would take {product:.0%} of this at'
    f' {peak:.0f} GFLOP/s (a product of {_SIDE} at its best),'
    f' {product * peak / in_row:.0%} at {in_row:.0f} (as many of them in a row'
    ' as the arithmetic of a call makes), its least traffic'
    f' {memory:.0%} at {speed:.1f} GB/s (a copy); '
    f'{1e3 * both_ms / num_steps:.3g} us a step.\n'
    f'Limited by: {limit}.'
  )


def _child(kind, size, profile, repeats, seconds, *only):
  """Times all libraries, or `only` some, at one size here; prints JSON."""
  import jax
  import jax.numpy as jnp

  from lstm_jax.nn.native import library

  num_steps, batch, inputs, hidden, models = SIZES[size]
  rng = np.random.default_rng(0)
  xs = rng.normal(size=(num_steps, batch, inputs)).astype(np.float32)
  figures, loops = [], []
  for name, (make, kinds) in libraries.libraries_for(
    models, OWN_LIBRARIES
  ).items():
    figure = {'kind': kind, 'size': size, 'profile': profile, 'library': name}
    figures.append(figure)
    if only and name not in only:
      figure['why'] = 'not asked for'
      continue
    if kind not in kinds:
      figure['why'] = f'has no {kind}'
      continue
    if name == 'ours, native' and library.why_not() is not None:
      figure['why'] = library.why_not()
      continue
    try:
      forward, forward_backward = make(kind, xs, hidden, models)
    except ImportError as missing:
      figure['why'] = str(missing)
      continue
    began = time.monotonic()
    forward_backward()
    figure['compile_s'] = time.monotonic() - began
    forward()
    loops += [
      (figure, 'forward_ms', forward),
      (figure, 'both_ms', forward_backward),
    ]
  multiply, copy = jax.jit(jnp.matmul), jax.jit(lambda a: a + 1)
  a, vector = jnp.ones((_SIDE, _SIDE)), jnp.ones(2**24)
  products, rows, copies = [], [], []
  repetitions = max(round(1e6 * 3 * _work(kind, size) / (2 * _SIDE**3)), 1)
  for turn in range(repeats):
    # What calls are held against is taken when they are: hosts are shared. A
    # long call meets what one product can miss: a row of them does as well.
    products.append(_quickest(multiply, a, a))
    began = time.monotonic()
    for _ in range(repetitions):
      jax.block_until_ready(multiply(a, a))
    rows.append((time.monotonic() - began) / repetitions)
    copies.append(_quickest(copy, vector))
    for figure, field, call in loops:
      if turn and figure[field] > 1e3 * _LONG_SECONDS:
        continue
      count, total = 0, 0.0
      while total < seconds / repeats or not count:
        began = time.monotonic()
        call()
        seconds_once = time.monotonic() - began
        total, count = total + seconds_once, count + 1
        figure[field] = min(figure.get(field, 1e9), 1e3 * seconds_once)
  compiled = library.why_not() is None
  figures.append(
    {'kind': kind, 'size': size, 'profile': profile, 'library': 'peak',
     'peak': 2e-9 * _SIDE**3 / min(products),
     'sustained': 2e-9 * _SIDE**3 / min(rows),
     'copied': 2e-9 * vector.nbytes / min(copies),
     'vector_bytes': library.load().vector_bytes if compiled else None}
  )  # fmt: skip
  print(json.dumps(figures))


def _quickest(call, *inputs):
  """Seconds of the quickest of some calls."""
  import jax

  best = 1e9
  for _ in range(20):
    began = time.monotonic()
    jax.block_until_ready(call(*inputs))
    best = min(best, time.monotonic() - began)
  return best


if __name__ == '__main__':
  _child(*sys.argv[1:4], int(sys.argv[4]), float(sys.argv[5]), *sys.argv[6:])
