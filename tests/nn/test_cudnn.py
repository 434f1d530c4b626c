"""The cuDNN path, on a machine without a GPU up to the library's own door.

There `jax.experimental.rnn.lstm` gives way to the reference that comes with it,
which reads the same packed weights. Where there is an NVIDIA GPU the same tests
are of the library: `JAX_PLATFORMS=cuda pytest tests/nn/test_cudnn.py`.
"""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from lstm_jax.lab.plan import catalog
from lstm_jax.nn import _fused
from lstm_jax.nn.layer import run, which_kernel

T, B, I, C = 6, 5, 3, 4


@pytest.fixture
def gpu(monkeypatch):
  """A machine that has an NVIDIA GPU or says so; the precisions asked for."""
  calls = []
  if jax.default_backend() == 'gpu':
    for name, at in (('lstm', -1), ('lstm_fwd', -1), ('lstm_bwd', 5)):
      monkeypatch.setattr(rnn, name, recorded(getattr(rnn, name), at, calls))
    return calls

  def reference(
    x, h_0, c_0, weights, lengths, inputs, hidden, layers, dropout, both,
    precision,
  ):  # fmt: skip
    sizes = inputs, hidden, layers, both
    unpacked = rnn.unpack_lstm_weights(weights, *sizes)
    return rnn.lstm_ref(
      x, h_0, c_0, *unpacked, lengths, inputs, hidden, layers, dropout, both
    )

  def forward(*args):
    arrays, sizes = args[:5], args[5:]
    ys, h, c = reference(*arrays, *sizes)
    return (ys, h, c), (*arrays, ys, jnp.zeros(7))

  def backward(*args):
    *sizes, (*arrays, lengths, ys, reserve), errors = args
    assert reserve.shape == (7,)
    made = lambda *arrays: reference(*arrays, lengths, *sizes)
    found, back = jax.vjp(made, *arrays)
    np.testing.assert_equal(found[0].shape, ys.shape)
    return *back(errors), jnp.zeros_like(lengths)

  monkeypatch.setattr(rnn, 'lstm', recorded(reference, -1, calls))
  monkeypatch.setattr(rnn, 'lstm_fwd', recorded(forward, -1, calls))
  monkeypatch.setattr(rnn, 'lstm_bwd', recorded(backward, 5, calls))
  here = _fused.CODES['cudnn']._replace(platform='cpu')
  monkeypatch.setitem(_fused.CODES, 'cudnn', here)
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  device = types.SimpleNamespace(device_kind='NVIDIA H100')
  monkeypatch.setattr(jax, 'local_devices', lambda: [device])
  return calls


def recorded(function, precision, calls):
  """`function` that notes the precision that it is asked for."""

  def call(*args):
    calls.append(args[precision])
    return function(*args)

  return call


def net(dtype=np.float32):
  rng = np.random.default_rng(0)
  cell = catalog.build('cells', 'lstm', I, 0, hidden=C)
  draw = lambda shape: jax.device_put(rng.normal(size=shape).astype(dtype))
  params = jax.tree.map(lambda m: draw(m.shape), cell.mask)
  zero = cell.initial_carry((), dtype)
  state = type(zero)(*(draw((B, C)) for _ in zero))
  return cell, params, draw((T, B, I)), state


@pytest.mark.parametrize('lengths', [None, np.array([6, 0, 3, 1, 6])])
def test_equal(gpu, lengths):
  cell, params, xs, state = net()

  def derive(kernel):
    def value(params, xs, state):
      made = run(cell, params, xs, lengths=lengths, state=state, kernel=kernel)
      last = jnp.sum(jnp.sin(made.last.s_c)) + jnp.sum(made.last.y_c**2)
      return jnp.sum(jnp.cos(made.ys)) + last, made

    derive = jax.jit(jax.value_and_grad(value, (0, 1, 2), has_aux=True))
    return derive(params, xs, state)

  with jax.default_matmul_precision('highest'):  # of XLA, on a GPU
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
      derive('xla'),
      derive('cudnn'),
    )
  # Full float32, not the tensor cores' ten bits.
  assert set(gpu) == {jax.lax.Precision.HIGHEST}


def test_one_sequence(gpu):
  cell, params, xs, state = net()
  one = jax.tree.map(lambda a: np.asarray(a)[2], state)
  with jax.default_matmul_precision('highest'):
    made = [
      run(cell, params, xs[:, 2], state=one, kernel=kernel).ys
      for kernel in ('xla', 'cudnn')
    ]
  assert made[1].shape == (T, C)
  np.testing.assert_allclose(*made, rtol=1e-5, atol=1e-6)


def test_which_kernel(gpu, monkeypatch):
  cell, params, xs, _ = net()
  choice = which_kernel(cell, params, xs)
  assert choice.kernel == 'cudnn'
  assert choice.why_not == {
    'native': 'it runs on CPUs; the default device is gpu'
  }
  assert not gpu  # asking runs nothing
  said = which_kernel(cell, params, xs, reverse=True).why_not
  assert said['cudnn'] == 'alone it runs forward only'
  double = jax.tree.map(lambda w: w.astype(jnp.bfloat16), params)
  said = which_kernel(cell, double, xs).why_not
  assert said['cudnn'] == 'it computes in float32, not in bfloat16'
  other = types.SimpleNamespace(device_kind='AMD Instinct')
  monkeypatch.setattr(jax, 'local_devices', lambda: [other])
  said = which_kernel(cell, params, xs).why_not
  assert 'the device is AMD Instinct' in said['cudnn']


def test_refused_without_a_gpu(monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'cpu')
  cell, params, xs, _ = net()
  with pytest.raises(ValueError, match="kernel='cudnn'.*default device is cpu"):
    run(cell, params, xs, kernel='cudnn')


def many_nets(value):
  mapped = jax.vmap(jax.grad(value, 1), (None, 0))
  return lambda params, xs: mapped(params, jnp.stack([xs, -xs]))


def second_derivatives(value):
  derive = jax.grad(value)
  return lambda *at: jax.jvp(derive, at, at)[1]


@pytest.mark.parametrize(
  'what',
  # The code that takes derivatives further is that of the C++ loops too.
  [many_nets, pytest.param(second_derivatives, marks=pytest.mark.slow)],
)
def test_what_the_library_cannot_do_is_done_by_xla(gpu, what):
  cell, params, xs, state = net()

  def derive(kernel):
    value = lambda params, xs: jnp.sum(
      jnp.sin(run(cell, params, xs, state=state, kernel=kernel).ys)
    )
    return jax.jit(what(value))(params, xs)

  with jax.default_matmul_precision('highest'):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
      derive('xla'),
      derive('cudnn'),
    )
