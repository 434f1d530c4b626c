"""The C++ under AddressSanitizer and UndefinedBehaviorSanitizer: no report.

In a child that loads the sanitizers first. Sizes are odd ones: nothing of each,
one of each, just below and above whole vectors, lengths at both ends, nets side
by side, threads that share a batch and threads that share a step.
"""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.nn.native import library, truncated
from lstm_jax.nn.native.loops import CELLS
from lstm_jax.types import CompiledRule
from tests import children
from tests.nn.test_foreign_calls import RESULTS, arrays

# T, B, I, C.
SIZES = [
  (1, 1, 1, 1), (0, 2, 2, 3), (3, 0, 2, 3), (3, 2, 0, 3), (5, 1, 2, 8),
  (4, 3, 2, 16), (3, 13, 5, 17), (2, 8, 20, 33),
]  # fmt: skip
# Enough work for threads: over a batch, and within a step.
LARGE = [(20, 9, 30, 65), (4, 3, 8, 250)]
# Of the truncated rule, six cells each.
RULES = [
  CompiledRule(True), CompiledRule(False, 3, 3, 2, 0, 0),
  CompiledRule(False, 0, 2, 3, 1, 1), CompiledRule(False, 6, 0, 1, 2, 2),
]  # fmt: skip
WORDS = ('-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-g1')


def runtime(compiler):
  """What is loaded first; None: the compiler has no sanitizers.

  The sanitizers hand exceptions on to the library of C++, which must be there
  before them in time, whoever brings it along later.
  """
  found = []
  for name in ('libasan.so', 'libstdc++.so'):
    done = subprocess.run(
      [compiler, f'-print-file-name={name}'],
      capture_output=True, text=True, check=False,
    )  # fmt: skip
    found.append(Path(done.stdout.strip()))
  if not all(path.is_absolute() and path.exists() for path in found):
    return None
  return ' '.join(map(str, found))


@pytest.mark.slow
def test_no_report(tmp_path, monkeypatch):
  names = (os.environ.get('CXX'), 'c++', 'g++')
  compiler = next(filter(None, map(shutil.which, filter(None, names))), None)
  first = compiler and runtime(compiler)
  if first is None:
    pytest.skip('this machine has no compiler with libasan')
  other = {'-O3': '-O0'}
  flags = tuple(other.get(flag, flag) for flag in library.FLAGS)
  monkeypatch.setattr(library, 'FLAGS', flags + WORDS)
  made = tmp_path / 'sanitized.so'
  library._compile(compiler, made)
  code = 'from tests.nn import test_sanitizers as t; t.everything()'
  environ = os.environ | {
    'LD_PRELOAD': first, 'ASAN_OPTIONS': 'detect_leaks=0',
    'JAX_PLATFORMS': 'cpu', 'JAX_ENABLE_X64': '1',
  }  # fmt: skip
  done = children.python('-c', code, made, env=environ)
  assert done.stdout == 'all\n'


def everything():
  """In the child: every call, for every cell, in both directions."""
  library.path = lambda: Path(sys.argv[1])
  library._fault_of = lambda target: None
  kinds = itertools.product(CELLS, ('float32', 'float64'), (False, True))
  for cell, dtype, reverse in kinds:
    for sizes in SIZES:
      for call in RESULTS:
        made(call, cell, sizes, dtype, reverse, nets=())
    made('backward', cell, (3, 2, 2, 5), dtype, reverse, nets=(3,))
  for cell, sizes, call in itertools.product(('lstm', 'gru'), LARGE, RESULTS):
    made(call, cell, sizes, 'float32', False, nets=())
  for rule, heard, lanes, dtype in itertools.product(
    RULES, (0, 1, 2), (1, 16, 19), ('float32', 'float64')
  ):
    rule_steps(rule, heard, lanes, dtype)
  print('all')


def rule_steps(rule, heard, lanes, dtype):
  """Steps of the truncated rule, none, some and all that are given."""
  cells, gates = 6, rule.in_gates + rule.out_gates
  y, kinds = gates + cells, 1 + bool(rule.in_gates) + 2 * rule.forgets
  heard = (0, cells, y)[heard]
  units, sources = (4 * cells if rule.forgets else y), 3 + heard
  rng = np.random.default_rng(0)
  draw = lambda *shape: jnp.asarray(rng.normal(size=(*shape, lanes)), dtype)
  state = truncated.State(draw(cells), draw(y), draw(kinds * cells, sources))
  begin = jnp.arange(lanes, dtype=jnp.int32)
  for count in (0, 1, 16, 35, 36):
    out = truncated.steps(
      rule, heard, draw(units, sources), draw(2, 36), begin, jnp.int32(3),
      jnp.int32(count), state,
    )  # fmt: skip
    jax.block_until_ready(out)
    error_steps(rule, heard, draw, begin, count, state)


def error_steps(rule, heard, draw, begin, count, state):
  """Steps that are kept, and their errors."""
  rows, sources = state.traces.shape[:2]
  units = 24 if rule.forgets else len(state.y)
  *_, kept = truncated.kept_steps(
    rule, heard, draw(units, sources), draw(2, 36), begin, jnp.int32(3),
    jnp.int32(count), state.s, state.y,
  )  # fmt: skip
  z, total = draw(sources, 36), draw(rows, sources)
  out = truncated.add_trace_errors(
    jnp.int32(count), draw(6, 36), kept, z, state.traces, total
  )
  products = truncated.add_products(
    jnp.int32(count), kept.nets, z, draw(units, sources)
  )
  jax.block_until_ready((out, products))


def made(call, cell, sizes, dtype, reverse, nets):
  """Makes a call with random numbers; lengths are 0, T and between."""
  library.load()
  rng = np.random.default_rng(0)
  given, results = arrays(call, cell, sizes, dtype, nets)
  if call == 'backward' and not reverse:
    # Computed again.
    shape, _ = given['gates']
    given['gates'] = ((*shape[:-1], 0), dtype)
  inputs = {
    name: jnp.asarray(rng.normal(size=shape), kind)
    for name, (shape, kind) in given.items()
  }
  shape, _ = given['lengths']
  steps = np.arange(np.prod(shape, dtype=int)) % (sizes[0] + 1)
  inputs['lengths'] = jnp.asarray(steps.reshape(shape)[..., ::-1], 'int32')
  types = [jax.ShapeDtypeStruct(*result) for result in results.values()]
  run = jax.ffi.ffi_call(f'lstm_jax_{call}', types)
  index = np.int64(CELLS.index(cell))
  jax.block_until_ready(run(*inputs.values(), reverse=reverse, cell=index))
