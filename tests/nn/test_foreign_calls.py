"""The foreign calls alone: what does not fit is an error, never a fault.

`layer.run` checks what it is given; these are made as anybody can make them.
"""

import functools
import os
import resource
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.nn.native import library
from lstm_jax.nn.native.loops import CELLS
from tests import children

pytestmark = pytest.mark.usefixtures('compiled_loops')

T, B, I, C = 3, 2, 4, 5
ROWS = {'lstm': 4, 'gru': 3}
INPUTS = ('w_x', 'w_h', 'b', 'xs', 'h_0', 'c_0', 'lengths')
RESULTS = {
  'forward': ('ys', 'h', 'c'),
  'forward_kept': ('ys', 'h', 'c', 'inside', 'gates'),
  'backward': ('ct_w_x', 'ct_w_h', 'ct_b', 'ct_xs', 'ct_h_0', 'ct_c_0'),
}
KEPT = ('ys', 'inside', 'gates', 'ct_ys', 'ct_h', 'ct_c')


def arrays(call, cell='lstm', sizes=(T, B, I, C), dtype='float32', nets=()):
  """`(inputs, results)` of a call that is right, `{name: (shape, dtype)}`."""
  num_steps, batch, num_inputs, cells = sizes
  rows = ROWS.get(cell, 1) * cells
  lanes = library.load().vector_bytes // np.dtype(dtype).itemsize
  wide = -(-cells // lanes) * lanes
  state, all_of = (batch, cells), (num_steps, batch, cells)
  shapes = {
    'w_x': (rows, num_inputs), 'w_h': (rows, cells),
    'b': ((4 if cell in ROWS else 1) * cells,),
    'xs': (num_steps, batch, num_inputs), 'lengths': (batch,), 'ys': all_of,
    'h_0': state, 'c_0': state, 'h': state, 'c': state,
    'inside': (num_steps, batch, wide if cell == 'lstm' else 0),
    'gates': (num_steps, batch, 4, wide if cell in ROWS else 0),
  }  # fmt: skip
  shapes |= {f'ct_{name}': shape for name, shape in shapes.items()}
  kind = lambda name: 'int32' if name == 'lengths' else dtype
  some = lambda names: {n: ((*nets, *shapes[n]), kind(n)) for n in names}
  given = INPUTS + (KEPT if call == 'backward' else ())
  return some(given), some(RESULTS[call])


def foreign(call, inputs, results, cell=0):
  """The call, inside of a program; what it returns."""
  types = [jax.ShapeDtypeStruct(*result) for result in results.values()]
  # It is made even where nobody reads its results.
  make = jax.ffi.ffi_call(f'lstm_jax_{call}', types, has_side_effect=True)
  return make(*inputs, reverse=False, cell=np.int64(cell))


def one_of(calls):
  """A function of `i` that makes the `i`-th of `calls` with zeros.

  One program for all of them, of which the others are not made.
  """
  library.load()
  # Each array once, and from outside: to fill one takes code.
  held = {
    f'{kind}': np.zeros(*kind)
    for _, given, *_ in calls
    for kind in given.values()
  }

  def branch(call, given, results, cell, held):
    inputs = [held[f'{kind}'] for kind in given.values()]
    foreign(call, inputs, results, cell)

  branches = [functools.partial(branch, *arguments) for arguments in calls]
  make = jax.jit(lambda i, held: jax.lax.switch(i, branches, held))
  make = make.lower(0, held).compile()
  return lambda i: jax.block_until_ready(make(np.int32(i), held))


def check(right, wrong):
  """That calls are made, and others refused: `(arguments, match)` for each."""
  make = one_of([*right, *(arguments for arguments, _ in wrong)])
  for i in range(len(right)):
    make(i)
  for i, ((call, *_), match) in enumerate(wrong, len(right)):
    with pytest.raises(jax.errors.JaxRuntimeError, match=match) as caught:
      make(i)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f'INVALID_ARGUMENT: lstm_jax_{call}: ')


@pytest.mark.parametrize('cell', CELLS)
@pytest.mark.parametrize('call', RESULTS)
def test_one_array_that_is_another(call, cell):
  """Each in turn: a longer last axis, an axis less, and another type."""
  given, results = arrays(call, cell)
  index = CELLS.index(cell)
  wrong = []
  for name, (shape, dtype) in (given | results).items():
    others = [((*shape[:-1], shape[-1] + 1), dtype)]
    if index == 0:
      others += [(shape[1:], dtype), ((), dtype), (shape, 'float16')]
      others += [((shape[0] + 1, *shape[1:]), dtype)]
    for other in others:
      # xs and h_0 say the sizes: by theirs the others are judged.
      match = ': ' if name in ('xs', 'h_0') else f': {name} is '
      bad = lambda of, other=other, name=name: (
        of | ({name: other} if name in of else {})
      )
      wrong.append(((call, bad(given), bad(results), index), match))
  check([(call, given, results, index)], wrong)


@pytest.mark.parametrize('call', RESULTS)
def test_nets_side_by_side(call):
  """All of one number, or of 1 where they are read."""
  given, results = arrays(call, nets=(3,))
  shared, _ = arrays(call, nets=(1,))
  right = [
    (call, given, results, 0),
    (call, given | {'w_x': shared['w_x']}, results, 0),
  ]
  two, fewer = arrays(call, nets=(2,))
  wrong = [
    ((call, given | {name: two[name]}, results, 0), f': {name} is .* nets')
    for name in given
    if name not in ('xs', 'h_0')
  ]
  one = arrays(call, nets=(1,))[1]
  wrong += [
    ((call, given, results | {name: other[name]}, 0), ' is .*must be')
    for name in results
    for other in (fewer, one)
  ]
  check(right, wrong)


@pytest.mark.parametrize('cell', [-1, 5, 2**40, -(2**63)])
def test_a_cell_that_does_not_exist(cell):
  match = f'cell={cell} must be one of 0'
  check([], [((call, *arrays(call), cell), match) for call in RESULTS])


@pytest.mark.parametrize(
  'sizes',
  [
    (0, B, I, C), (T, 0, I, C), (T, B, 0, C), (0, 0, 0, 1), (2**60, 0, I, C),
  ],
)  # fmt: skip
def test_nothing_of_something(sizes):
  library.load()

  def run():
    for call in RESULTS:
      given, results = arrays(call, sizes=sizes)
      inputs = [jnp.zeros(*kind) for kind in given.values()]
      yield foreign(call, inputs, results)

  for result in jax.tree.leaves(jax.jit(lambda: list(run()))()):
    assert not np.any(result)


def test_lengths_outside_the_sequence_are_its_ends():
  rng = np.random.default_rng(0)
  given, results = arrays('forward')
  inputs = {
    name: rng.normal(size=shape).astype(dtype)
    for name, (shape, dtype) in given.items()
  }
  types = [jax.ShapeDtypeStruct(*result) for result in results.values()]
  library.load()
  call = jax.ffi.ffi_call('lstm_jax_forward', types)
  for reverse in (False, True):
    run = jax.jit(functools.partial(call, reverse=reverse, cell=np.int64(0)))
    made = [
      run(*(inputs | {'lengths': np.int32(lengths)}).values())
      for lengths in ([0, T], [-7, T + 1], [-(2**31), 2**31 - 1])
    ]
    for other in made[1:]:
      for a, b in zip(made[0], other, strict=True):
        np.testing.assert_array_equal(a, b)


def without_memory():
  """In a child: calls whose own memory is more than there is left."""
  for call in RESULTS:
    # Small arrays of which a call makes copies up to whole vectors, net by net.
    given, results = arrays(call, sizes=(0, 1, 1, 1), nets=(200_000,))
    inputs = [jnp.zeros(shape, dtype) for shape, dtype in given.values()]
    run = jax.jit(
      lambda inputs, call=call, results=results: foreign(call, inputs, results)
    )
    run = run.lower(inputs).compile()
    jax.block_until_ready(run(inputs))
    with open('/proc/self/statm') as pages:
      held = int(pages.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + (30 << 20), limits[1]))
    try:
      jax.block_until_ready(run(inputs))
    except (ValueError, jax.errors.JaxRuntimeError) as error:
      print(str(error).splitlines()[0])
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.skipif(sys.platform != 'linux', reason='limits are those of Linux')
def test_without_memory_it_says_so():
  code = 'from tests.nn import test_foreign_calls as t; t.without_memory()'
  done = children.python('-c', code, env=os.environ | {'JAX_PLATFORMS': 'cpu'})
  assert done.stdout.splitlines() == [
    f'RESOURCE_EXHAUSTED: lstm_jax_{call}: not enough memory'
    for call in RESULTS
  ]
