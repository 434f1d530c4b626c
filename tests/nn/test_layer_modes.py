"""Layers in JAX's other modes: its searches for mistakes, strict types, eager.

In each the answer is that of the ordinary mode, and what is documented as
usable outside of a program compiles once.
"""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.srn import srn
from lstm_jax.lab.plan import catalog
from lstm_jax.nn.flax_modules import LinenRecurrent
from lstm_jax.nn.layer import run
from lstm_jax.nn.native import library
from lstm_jax.nn.stack import init_stack, make_stack, run_stack

KERNELS = ('xla', 'native')
XS = np.random.default_rng(0).normal(size=(3, 2, 2)).astype(np.float32)
MODES = {
  'nan is searched for': lambda: jax.debug_nans(True),
  'inf is searched for': lambda: jax.debug_infs(True),
  'types are checked': lambda: jax.enable_checks(True),
  'strict types': lambda: jax.numpy_dtype_promotion('strict'),
  'strict ranks': lambda: jax.numpy_rank_promotion('raise'),
  'leaks are searched for': jax.checking_leaks,
  'no programs': jax.disable_jit,
}


@pytest.fixture(scope='module', autouse=True)
def built():
  library.build()


def small(name='lstm'):
  size = {'blocks': 2} if name == 'lstm1997' else {'hidden': 2}
  return catalog.build('cells', name, 2, 0, **size)


def training(kernel, name='lstm'):
  """Outputs and a gradient, from the first key on; typed keys are JAX's own."""
  cell = small(name)
  params = cell.init(jax.random.key(0), cell.numbers)
  xs = jax.device_put(XS)
  lengths = np.array([3, 1])
  first = run(cell, params, xs, lengths=lengths, kernel=kernel)

  def error(params):
    made = run(cell, params, xs, state=first.last, kernel=kernel)
    return jnp.sum(made.ys * made.ys)

  return first.ys, *jax.value_and_grad(error)(params)


@pytest.fixture(scope='module')
def ordinary():
  return training('xla')


def near(found, wanted, bound=1e-5):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=bound, atol=bound),
    found,
    wanted,
  )


@pytest.mark.parametrize('mode', MODES)
def test_modes(mode, ordinary):
  with MODES[mode]():
    found = training('native')
  near(found, ordinary)


@pytest.mark.slow
@pytest.mark.parametrize('mode', MODES)
def test_modes_of_the_default_kernel(mode, ordinary):
  with MODES[mode]():
    found = training('xla')
  near(found, ordinary)


@pytest.mark.slow
def test_in_float64():
  """Else the tests of the compiled loops say it."""
  with jax.enable_x64(True):
    near(training('native'), training('xla'))


@pytest.mark.parametrize('name', catalog.names('cells'))
def test_initial_weights_where_nan_is_searched_for(name):
  """A nan among the numbers is a mark, not a mistake."""
  cell = small(name)
  wanted = cell.init(jax.random.key(3), cell.numbers)
  searching = jax.debug_nans(True)
  for programs in (contextlib.nullcontext(), jax.disable_jit()):
    with searching, programs:
      near(cell.init(jax.random.key(3), cell.numbers), wanted)
  on_device = jax.tree.map(jnp.asarray, dict(cell.numbers))
  with jax.debug_nans(True):
    near(cell.init(jax.random.key(3), on_device), wanted)


def test_numbers_of_biases_are_where_they_belong():
  cell = lstm(2, 0, hidden=2)
  given = {
    'input_gate_bias': np.array([1.0, np.nan], np.float32),
    'forget_bias': np.array([np.nan, 2.0], np.float32),
    'output_gate_bias': np.array([3.0, 4.0], np.float32),
  }
  drawn = cell.init(
    jax.random.key(0),
    cell.numbers | {name: np.full(2, np.nan, np.float32) for name in given},
  )
  b = cell.init(jax.random.key(0), cell.numbers | given).b
  wanted = np.array(drawn.b)
  wanted[[0, 3, 6, 7]] = 1, 2, 3, 4
  np.testing.assert_array_equal(b, wanted)


def test_nothing_is_moved_to_the_device_unasked():
  cell = small()
  params = cell.init(jax.random.key(0), cell.numbers)
  xs, lengths = jnp.ones((3, 2, 2)), jnp.array([3, 1])
  state = run(cell, params, xs).last
  for kernel in KERNELS:
    with jax.transfer_guard_host_to_device('disallow'):
      run(cell, params, xs, state=state, lengths=lengths, kernel=kernel)


@pytest.fixture
def compiled():
  """A list that grows by one with each program that is compiled."""
  seen = []

  def listen(name, seconds, **more):
    del seconds, more
    if name == '/jax/core/compile/backend_compile_duration':
      seen.append(name)

  jax.monitoring.register_event_duration_secs_listener(listen)
  yield seen
  jax.monitoring.unregister_event_duration_listener(listen)


def go_on(kernel):
  """As the documentation shows it: chunks, each from the last state."""

  def calls(cell, params, xs):
    state = None
    while True:
      state = run(cell, params, xs, state=state, kernel=kernel).last
      yield

  return calls


def with_options(cell, params, xs):
  while True:
    run(
      cell, params, xs, lengths=np.array([3, 1]), reverse=True, states=True,
      gates=True, cut_every=2, checkpoint_every=2, reset=np.ones((3, 2), bool),
    )  # fmt: skip
    yield


def cells_made_anew(cell, params, xs):
  while True:
    run(lstm(2, 0, hidden=2), params, xs)
    yield


def cells_without_equations(cell, params, xs):
  bare = srn(2, 0, hidden=2)._replace(equations=None)
  params = bare.init(jax.random.key(0), bare.numbers)
  while True:
    run(bare, params, xs)
    yield


def initial_weights(cell, params, xs):
  while True:
    cell.init(jax.random.key(0), cell.numbers)
    yield


def stacks(cell, params, xs):
  stack = make_stack(lstm, 2, layers=2, bidirectional=True, hidden=2)
  params = init_stack(stack, jax.random.key(0))
  state = None
  while True:
    state = run_stack(stack, params, xs, state=state).last
    yield


def modules(cell, params, xs):
  layer = LinenRecurrent(lambda inputs: lstm(inputs, 0, hidden=2))
  params = layer.init(jax.random.key(0), xs)
  while True:
    layer.apply(params, xs)
    yield


@pytest.mark.parametrize(
  'calls',
  [
    go_on('xla'), go_on('native'), with_options, cells_made_anew,
    cells_without_equations, initial_weights, stacks, modules,
  ],
  ids=[
    'xla', 'native', 'options', 'cells made anew', 'without recurrence',
    'initial weights', 'stacks', 'modules',
  ],
)  # fmt: skip
def test_calls_outside_of_programs_compile_once(calls, compiled):
  cell = small()
  params = cell.init(jax.random.key(0), cell.numbers)
  steps = calls(cell, params, jax.device_put(XS))
  for _ in range(2):  # without a state, and from one
    next(steps)
  before = len(compiled)
  for _ in range(3):
    next(steps)
  assert len(compiled) == before


def test_numbers_of_one_cell_are_not_those_of_another():
  one, other = (lstm(2, 0, hidden=2) for _ in range(2))
  one.numbers['forget_bias'][:] = 7
  del one.numbers['init_range']
  assert list(other.numbers['forget_bias']) == [1, 1]
  assert 'init_range' in lstm(2, 0, hidden=2).numbers
  assert one.step is other.step
  with pytest.raises(ValueError, match='hidden'):
    lstm(2, 0, hidden=0)
