"""The loops in C++: equal to those that XLA compiles, whatever is asked.

Two derivations of the same layer, in float64; the accuracy of its own squashing
functions in float32; what it says where it cannot run.
"""

import os
import platform
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.nn import dispatch
from lstm_jax.nn.dropout import Noise
from lstm_jax.nn.layer import run, which_kernel
from lstm_jax.nn.native import library
from lstm_jax.nn.native import loops as native
from lstm_jax.nn.stack import init_stack, make_stack, run_stack
from tests import children
from tests.jaxprs import equations_of

# T, B, I, C: one of everything; cells just below, at and above whole vectors of
# 4, 8 and 16; blocks of rows of every size; more vectors than go abreast.
SIZES = [
  (1, 1, 1, 1),
  (0, 2, 2, 3),
  (5, 1, 2, 8),
  (9, 3, 2, 16),
  (6, 13, 5, 17),
  (4, 5, 3, 31),
  (7, 8, 20, 33),
  (3, 4, 9, 70),
]


pytestmark = pytest.mark.usefixtures('compiled_loops')
KINDS = native.CELLS


def net(sizes, dtype, seed=0, kind='lstm'):
  """`(cell, params, xs, state, lengths, cotangents)`."""
  num_steps, batch, inputs, hidden = sizes
  rng = np.random.default_rng(seed)
  name, *activation = kind.split('_')
  options = {'activation': activation[0]} if activation else {}
  cell = catalog.build('cells', name, inputs, 0, hidden=hidden, **options)
  draw = lambda shape: rng.normal(size=shape).astype(dtype)
  # Sums of order one at every size: no chaos that would blow rounding up.
  scale = 1 / np.sqrt(hidden)
  params = jax.tree.map(
    lambda m: (scale * m * draw(m.shape)).astype(dtype), cell.mask
  )
  zero = jax.eval_shape(lambda: cell.initial_carry((), dtype))
  state = type(zero)(*(draw((batch, hidden)) for _ in zero))
  lengths = rng.integers(0, num_steps + 1, batch)
  xs, errors = (
    draw((num_steps, batch, inputs)),
    draw((num_steps, batch, hidden)),
  )
  params, xs, state, errors = jax.device_put((params, xs, state, errors))
  return cell, params, xs, state, lengths, errors


def value(kernel, cell, errors, params, xs, state, **how):
  """Something that every output enters, and the outputs."""
  made = run(cell, params, xs, state=state, kernel=kernel, **how)
  last = sum(i * jnp.sum(jnp.sin(a)) for i, a in enumerate(made.last, 1))
  return jnp.sum(made.ys * errors) + last, made


def both(kind, sizes, reverse, ragged, dtype=jnp.float64):
  """Values, outputs and gradients by XLA and by C++."""
  cell, params, xs, state, lengths, errors = net(sizes, dtype, kind=kind)
  how = {'reverse': reverse, 'lengths': lengths if ragged else None}

  def derive(kernel):
    some = lambda *inputs: value(kernel, cell, errors, *inputs, **how)
    some = jax.jit(jax.value_and_grad(some, (0, 1, 2), has_aux=True))
    return some(params, xs, state)

  return derive('xla'), derive('native')


def near(a, b, bound):
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=bound, atol=bound), a, b
  )


CASES = [
  *((sizes, bool(i % 2), True) for i, sizes in enumerate(SIZES)),
  *((sizes, bool(i % 2), i % 4 > 1) for i, sizes in enumerate(SIZES[1:])),
]


@pytest.mark.parametrize('sizes, reverse, ragged', CASES)
@pytest.mark.parametrize('kind', KINDS)
def test_equal(kind, sizes, reverse, ragged):
  with jax.enable_x64(True):
    near(*both(kind, sizes, reverse, ragged), 1e-12)


@pytest.mark.parametrize('sizes, reverse, ragged', CASES[4:8] + CASES[10:12])
@pytest.mark.parametrize('kind', ['lstm', 'gru'])
def test_equal_with_gates_computed_again(
  kind, sizes, reverse, ragged, monkeypatch
):
  with jax.enable_x64(True):
    assert native.keeps(kind, some_inputs(sizes))[1].size > 0
    monkeypatch.setattr(native, '_AGAIN', ((-1, 100),))
    assert native.keeps(kind, some_inputs(sizes))[1].size == 0
    near(*both(kind, sizes, reverse, ragged), 1e-12)


@pytest.mark.parametrize(
  'kind, sizes, reverse',
  [
    ('lstm', (9, 13, 20, 150), True),
    ('srn_tanh', (9, 13, 20, 310), False),
    ('gru', (9, 13, 20, 150), False),
    # Rows of the weights' gradient in several parts.
    ('lstm', (12, 40, 3, 260), False),
  ],
)
def test_threads_that_share_the_cells_of_a_step(kind, sizes, reverse):
  """Weights beyond a core's cache: no thread has rows of its own."""
  with jax.enable_x64(True):
    near(*both(kind, sizes, reverse, True), 1e-11)


@pytest.mark.parametrize('kind', ['srn_tanh', 'srn_logistic', 'srn_relu'])
def test_the_way_back_of_an_srn_needs_its_outputs_only(kind):
  with jax.enable_x64(True):
    for sizes in SIZES:
      assert [a.size for a in native.keeps(kind, some_inputs(sizes))] == [0, 0]


def some_inputs(sizes):
  cell, params, xs, state, lengths, _ = net(sizes, jnp.float64)
  return native.Inputs(
    params.w_x, params.w_h, params.b, xs, state.y_c, state.s_c, lengths
  )


def test_errors_of_inputs_only_where_wanted():
  cell, params, xs, *_ = net((4, 3, 2, 5), np.float32)
  some = lambda params, xs: jnp.sum(run(cell, params, xs, kernel='native').ys)
  for wanted, shapes in ((0, []), (1, [(4, 3, 2)])):
    jaxpr = jax.make_jaxpr(jax.grad(some, wanted))(params, xs).jaxpr
    (backward,) = equations_of(jaxpr, 'lstm_jax_loop_backward')
    assert [a.aval.shape for a in backward.outvars[3:-2]] == shapes


@pytest.mark.parametrize(
  'kind, sizes',
  [('lstm', (40, 33, 3, 40)), *((kind, (9, 3, 2, 16)) for kind in KINDS)],
)
def test_equal_in_float32(kind, sizes):
  near(*both(kind, sizes, False, True, jnp.float32), 1e-4)


@pytest.mark.parametrize('kind', ['lstm', 'srn_logistic'])
def test_many_threads_and_nets(kind):
  """Enough work to be shared out, weights of each network and of all."""
  with jax.enable_x64(True):
    cell, params, xs, state, lengths, errors = net(
      (30, 37, 3, 30), np.float64, kind=kind
    )
    params, xs = jax.tree.map(np.asarray, (params, xs))
    nets = jax.tree.map(lambda w: np.stack([w, 0.5 * w, -w]), params)
    data = np.stack([xs, 2 * xs, -xs])

    def derive(kernel, *axes):
      """Values, outputs and gradients, along axes from the outermost on."""
      some = lambda params, xs: value(
        kernel, cell, errors, params, xs, state, lengths=lengths
      )
      some = jax.value_and_grad(some, (0, 1), has_aux=True)
      for pair in reversed(axes):
        some = jax.vmap(some, pair)
      over_nets, over_data = (0 in over for over in zip(*axes, strict=True))
      return jax.jit(some)(
        nets if over_nets else params, data if over_data else xs
      )

    # Axes that meet: 3 nets by 3 data sets, in either order.
    by_net, by_data = (0, None), (None, 0)
    table = jax.tree.map(np.asarray, derive('xla', by_net, by_data))
    pick = lambda *index: jax.tree.map(lambda a: a[index], table)
    near(derive('native', by_net), pick(slice(None), 0), 1e-11)
    near(derive('native', by_data), pick(0), 1e-11)
    near(derive('native', (0, 0)), pick(range(3), range(3)), 1e-11)
    turned = jax.tree.map(lambda a: a.swapaxes(0, 1), table)
    for made, wanted in (
      (derive('native', by_net, by_data), table),
      (derive('native', by_data, by_net), turned),
    ):
      near(made[0][1].ys, wanted[0][1].ys, 1e-12)
      near(made, wanted, 1e-11)


@pytest.mark.parametrize('kind', KINDS)
def test_second_derivatives(kind):
  with jax.enable_x64(True):
    cell, params, xs, state, lengths, errors = net(
      (5, 3, 2, 4), np.float64, kind=kind
    )

    def derive(kernel):
      def first(params, xs):
        return jax.grad(
          lambda p: value(kernel, cell, errors, p, xs, state, lengths=lengths)[
            0
          ]
        )(params)

      norm = lambda *inputs: sum(
        jnp.sum(g**2) for g in jax.tree.leaves(first(*inputs))
      )
      return jax.jit(jax.grad(norm, (0, 1)))(params, xs)

    near(derive('xla'), derive('native'), 1e-11)


@pytest.mark.parametrize('kind', ['lstm', 'gru', 'srn_tanh'])
def test_a_sequence_has_the_same_bits_in_any_batch(kind):
  cell, params, xs, state, *_ = net((20, 41, 3, 30), np.float32, kind=kind)
  go = jax.jit(
    lambda xs, state: run(cell, params, xs, state=state, kernel='native')
  )
  whole = jax.tree.map(np.asarray, go(xs, state))
  xs, state = jax.tree.map(np.asarray, (xs, state))
  for row in (0, 6, 40):
    alone = go(xs[:, row], jax.tree.map(lambda a, row=row: a[row], state))
    np.testing.assert_array_equal(alone.ys, whole.ys[:, row])
    for one, all_rows in zip(alone.last, whole.last, strict=True):
      np.testing.assert_array_equal(one, all_rows[row])


@pytest.mark.parametrize('kind', ['lstm', 'srn_relu'])
def test_nan_stays_in_its_sequence(kind):
  cell, params, xs, state, *_ = net((6, 9, 2, 5), np.float32, kind=kind)
  bad = np.array(xs)
  bad[2, 4] = np.nan
  go = jax.jit(lambda x: run(cell, params, x, state=state, kernel='native').ys)
  good, made = np.asarray(go(xs)), np.asarray(go(bad))
  assert np.isnan(made[2:, 4]).all()
  others = np.arange(9) != 4
  np.testing.assert_array_equal(made[:, others], good[:, others])
  np.testing.assert_array_equal(made[:2, 4], good[:2, 4])


@pytest.mark.parametrize('double', [False, True])
def test_squashing_functions(double):
  """Of one cell, whose state is g, by arguments from 1e-30 to 1e30."""
  with jax.enable_x64(True):
    dtype = jnp.float64 if double else jnp.float32
    bound = 3 * np.finfo(dtype).eps
    size = np.logspace(-30, 30, 4001)
    size = np.concatenate((size, np.linspace(0, 90, 9001), [708.0]))
    x = np.concatenate((size, -size)).astype(dtype)
    cell = catalog.build('cells', 'lstm', 1, 0, hidden=1)
    zeros = jax.tree.map(lambda m: np.zeros(m.shape, dtype), cell.mask)
    go = jax.jit(lambda params, xs: run(cell, params, xs, kernel='native'))

    def made(row, others):
      """The cell with x as the net input of one row and biases elsewhere."""
      w_x = np.eye(4, dtype=dtype)[:, [row]]
      params = zeros._replace(w_x=w_x, b=np.array(others, dtype))
      return go(params, x[None, :, None])

    # All gates open (f(1000) = 1 to rounding): s_c = g, y_c = tanh(s_c).
    g = np.asarray(made(2, [1000, 1000, 0, 1000]).last.s_c)[:, 0]
    np.testing.assert_allclose(g, np.tanh(x.astype(np.float64)), rtol=bound)
    # g = tanh(1000) = 1: s_c = y_in.
    y_in = np.asarray(made(0, [0, 1000, 1000, 1000]).last.s_c)[:, 0]
    small = np.exp(-np.abs(x.astype(np.longdouble)))
    exact = np.where(x < 0, small, 1) / (1 + small)
    # Below the smallest normal number, 0.
    least = np.finfo(dtype).smallest_normal
    np.testing.assert_allclose(y_in, exact, rtol=bound, atol=least)
    far = np.abs(x) > 40
    np.testing.assert_array_equal(y_in[far & (x > 0)], 1)
    np.testing.assert_array_equal(g[far], np.sign(x[far]))


@pytest.mark.slow
@pytest.mark.skipif(
  platform.machine() != 'x86_64', reason='the widths are those of x86-64'
)
@pytest.mark.parametrize('family', ['x86-64', 'haswell'])
def test_other_vectors_than_this_processors(family, tmp_path):
  """Vectors of 16 bytes without fused products, and of 32 with them.

  Part of this file once more, with a library for a family of processors.
  """
  if family == 'haswell' and ' avx2 ' not in Path('/proc/cpuinfo').read_text():
    pytest.skip('this processor has no AVX2')
  code = (
    'import sys, pytest\n'
    'from lstm_jax.nn.native import library\n'
    f'other = {{"-march=native": "-march={family}", "-O3": "-O1"}}\n'
    'library.FLAGS = tuple(other.get(f, f) for f in library.FLAGS)\n'
    'words = "squashing or same_bits or equal_in_float32 or srn_needs"\n'
    'words = ["-q", "-p", "no:xdist", "--sample", "-k", words, sys.argv[1]]\n'
    'sys.exit(pytest.main(words))'
  )
  environ = os.environ | {'XDG_CACHE_HOME': str(tmp_path)}
  done = children.python('-c', code, __file__, env=environ)
  assert len(list((tmp_path / 'lstm_jax').glob('native-*.so'))) == 1
  assert ' passed' in done.stdout and 'skipped' not in done.stdout


def test_stack():
  stack = make_stack(
    lambda *sizes, **how: catalog.build('cells', 'lstm', *sizes, **how),
    3, layers=2, bidirectional=True, hidden=5,
  )  # fmt: skip
  params = init_stack(stack, jax.random.key(0))
  xs = np.random.default_rng(1).normal(size=(6, 4, 3))
  lengths = np.array([6, 0, 2, 5])
  made = jax.jit(
    lambda params: [
      run_stack(stack, params, xs, lengths=lengths, kernel=kernel).ys
      for kernel in ('xla', 'native')
    ]
  )(params)
  near(*made, 1e-6)


def case(**how):
  cell, params, xs, *_ = net((4, 3, 2, 5), np.float32)
  return run(cell, params, xs, **how)


@pytest.mark.parametrize(
  'how, reason',
  [
    ({'reset': np.zeros((4, 3), bool)}, 'it has no reset'),
    ({'cut_every': 2}, 'it has no cut_every'),
    ({'states': True}, 'it has no states'),
    ({'gates': True}, 'it has no gates'),
    ({'checkpoint_every': 2}, 'it has no checkpoint_every'),
    ({'noise': Noise(heard=np.ones(5, np.float32))}, 'it has no noise.heard'),
    ({'noise': Noise(keep=np.ones((4, 5), np.float32))}, 'no noise.keep'),
    ({'backward': 'autodiff'}, "backward='products'"),
  ],
)
def test_what_it_cannot_do_is_said(how, reason):
  with pytest.raises(ValueError, match=f"kernel='native' cannot.*{reason}"):
    case(kernel='native', **how)
  cell, params, xs, *_ = net((4, 3, 2, 5), np.float32)
  choice = which_kernel(cell, params, xs, **how)
  assert choice.kernel == 'xla'
  assert reason in choice.why_not['native']
  auto, plain = case(kernel='auto', **how), case(**how)
  np.testing.assert_array_equal(auto.ys, plain.ys)


def test_noise_on_the_inputs_is_no_obstacle():
  noise = Noise(inputs=np.array([0.0, 2.0], np.float32))
  near(case(kernel='native', noise=noise).ys, case(noise=noise).ys, 1e-6)


def test_which_kernel():
  cell, params, xs, *_ = net((4, 3, 2, 5), np.float32)
  choice = which_kernel(cell, params, xs)
  assert choice.kernel == 'native'
  assert choice.why_not == {
    'cudnn': 'it runs on NVIDIA GPUs; the default device is cpu'
  }
  assert which_kernel(cell, params, xs, kernel='xla') == ('xla', {})
  half = jax.tree.map(lambda w: w.astype(jnp.bfloat16), params)
  choice = which_kernel(cell, half, xs)
  assert (
    choice.kernel == 'xla' and 'not in bfloat16' in choice.why_not['native']
  )
  with pytest.raises(ValueError, match="kernel='gpu' must be one of auto, xla"):
    case(kernel='gpu')
  with pytest.raises(TypeError, match='windows'):
    which_kernel(cell, params, xs, windows=3)


@pytest.mark.parametrize('name', catalog.names('cells'))
def test_only_the_cell_that_it_knows(name):
  size = {'blocks': 2} if name == 'lstm1997' else {'hidden': 3}
  cells = [catalog.build('cells', name, 2, 0, **size)]
  other = {
    'lstm': {'peepholes': True},
    'gru': {'reset': 'before'},
    'srn': {'recurrence': 'self'},
  }
  if name in other:
    assert dispatch.choose('auto', cells[0], jnp.float32, ()).kernel == 'native'
    cells = [catalog.build('cells', name, 2, 0, **size, **other[name])]
  for cell in cells:
    choice = dispatch.choose('auto', cell, jnp.float32, ())
    assert choice.kernel == 'xla'
    assert 'is not an LSTM' in choice.why_not['native']


def test_not_compiled(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  with pytest.raises(ValueError, match='python -m lstm_jax.nn.native'):
    case(kernel='native')
  assert library.path().parent.parent == tmp_path
  case(kernel='auto')


def test_no_compiler(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.setenv('PATH', str(tmp_path))
  monkeypatch.delenv('CXX', raising=False)
  with pytest.raises(RuntimeError, match=r'none of \$CXX, c\+\+'):
    library.build()


def test_a_compiler_that_fails(tmp_path, monkeypatch):
  failing = tmp_path / 'compiler'
  failing.write_text('#!/bin/sh\necho no such flag >&2\nexit 3\n')
  failing.chmod(0o755)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.setenv('CXX', str(failing))
  with pytest.raises(RuntimeError, match='ended with 3 and said: no such flag'):
    library.build()
  assert not library.path().exists()


def test_an_import_loads_and_compiles_nothing():
  code = (
    'import sys, lstm_jax.nn.layer, lstm_jax.nn.native.library as l;'
    'print(l.load.cache_info().currsize, "jax.experimental.rnn" in sys.modules)'
  )
  done = children.python('-c', code)
  assert done.stdout.split() == ['0', 'False']
