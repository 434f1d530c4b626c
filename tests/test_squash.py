"""Squashing functions against numpy's in a wider type, and their derivatives.

Errors are relative to the exact value, from the smallest normal number on.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import layer, squash
from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.lstm1997 import lstm1997

WIDE = np.longdouble
DTYPES = ('float32', 'float64', 'bfloat16', 'float16')
# Bits of the fraction, rounding included, and the error in units of their last.
BITS = {'float32': 24, 'float64': 53, 'bfloat16': 8, 'float16': 11}
UNITS = {'float32': 4, 'float64': 8, 'bfloat16': 1.01, 'float16': 1.02}


def points(dtype='float32'):
  """Dense on [-100, 100], and every magnitude from the smallest to inf."""
  with np.errstate(over='ignore', under='ignore'):
    least = np.finfo(np.float32 if dtype == 'bfloat16' else dtype).minexp
    every = WIDE(2.0) ** np.linspace(least, -least, 4001, dtype=WIDE)
    far = [0.0, 17.0, 87.3, 87.4, 88.0, 104.0, 710.0, 746.0, np.inf]
    one_side = np.concatenate([np.linspace(0, 100, 40_001), every, far])
    x = jnp.asarray(np.float64(np.concatenate([-one_side, one_side])), dtype)
  return x, np.asarray(x.astype(dtype if dtype == 'float64' else 'float32'))


def exact(x):
  """`(f, tanh, f', h = tanh(x/2))` in the widest type."""
  x = x.astype(WIDE)
  small = np.exp(-np.abs(x))
  f = np.where(x < 0, small, 1) / (1 + small)
  return f, np.tanh(x), small / (1 + small) ** 2, np.tanh(x / 2)


def error(found, wanted, dtype):
  """The largest relative error of normal numbers, in units of the last bit."""
  info = jnp.finfo(dtype)
  found = np.asarray(found.astype(jnp.float64)).astype(WIDE)
  normal = np.abs(wanted) >= WIDE(float(info.smallest_normal)) * (
    1 + WIDE(info.eps)
  )
  assert np.all(np.abs(found[~normal]) <= float(info.smallest_normal) * 1.01)
  off = np.abs(found - wanted)[normal] / np.abs(wanted[normal])
  return float(np.max(off)) * 2.0 ** BITS[dtype]


@pytest.mark.parametrize('dtype', DTYPES)
def test_values_and_slopes_keep_their_digits(dtype, x64):
  del x64
  x, wide = points(dtype)
  slope_of = jax.vmap(jax.grad(squash.logistic))

  @jax.jit
  def all_of(x):
    f, tanh, h = squash.logistic(x), squash.tanh(x), squash.half_tanh(x)
    return f, tanh, slope_of(x), h

  for value, wanted in zip(all_of(x), exact(wide), strict=True):
    assert value.dtype == dtype
    assert error(value, wanted, dtype) <= UNITS[dtype]


def test_ends():
  f, tanh = jax.jit(squash.logistic), jax.jit(squash.tanh)
  far = np.float32([17.4, 88.0, 200.0, 3e38, np.inf])
  np.testing.assert_array_equal(f(far), 1)
  np.testing.assert_array_equal(f(-far[1:]), 0)
  np.testing.assert_array_equal(tanh(far), 1)
  np.testing.assert_array_equal(tanh(-far), -1)
  tiny = np.float32([0.0, 2e-38, 1e-20, 1e-5])
  np.testing.assert_allclose(tanh(tiny), tiny, rtol=2e-7)
  np.testing.assert_array_equal(f(tiny[:3]), 0.5)
  for function in (f, tanh, squash.half_tanh, jax.grad(squash.logistic)):
    assert np.isnan(function(jnp.float32(np.nan)))


def test_it_is_odd():
  x, _ = points()
  for function in (squash.tanh, squash.half_tanh):
    y = np.asarray(jax.jit(function)(x))
    np.testing.assert_array_equal(y, -np.asarray(jax.jit(function)(-x)))


@pytest.mark.parametrize('double', [False, True])
def test_derivatives_forwards_backwards_and_twice(double):
  with jax.enable_x64(double):
    dtype = 'float64' if double else 'float32'
    x, wide = points(dtype)
    x, wide = x[::7], wide[::7]
    _, tanh, slope, h = exact(wide)
    last = 2.0 ** -BITS[dtype]
    for function, first, second in (
      (squash.logistic, slope, -slope * h),
      (squash.half_tanh, 2 * slope, -2 * slope * h),
      (squash.tanh, 1 - tanh**2, -2 * tanh * (1 - tanh**2)),
    ):
      ones = jnp.ones_like(x)
      forwards = jax.jit(lambda x, f=function: jax.jvp(f, (x,), (ones,))[1])(x)
      twice = jax.jit(jax.vmap(jax.grad(jax.grad(function))))(x)
      backwards = jax.jit(jax.grad(lambda x, f=function: jnp.sum(f(x))))(x)
      for found, wanted in (
        (forwards, first), (backwards, first), (twice, second),
      ):  # fmt: skip
        assert found.dtype == dtype
        # Those of tanh are of a number rounded, see there.
        assert np.max(np.abs(np.asarray(found) - wanted)) < 8 * last
    second = jax.jit(jax.vmap(jax.grad(jax.grad(squash.logistic))))(x)
    assert error(second[x != 0], (-slope * h)[x != 0], dtype) < 16


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float64'])
@pytest.mark.parametrize('cell', ['lstm', 'lstm1997', 'gru'])
def test_a_shut_gate_does_not_leak(cell, dtype):
  """A state of 1 behind shut gates, a candidate that would change it."""
  made, biases, kept = {
    'lstm': (lstm, [-200, 200, -10, 10], 's_c'),
    'lstm1997': (lstm1997, [-200, 200, -10], 's_c'),
    'gru': (gru, [0, 200, -10], 'h'),
  }[cell]
  sizes = (
    {'blocks': 1, 'block_size': 1} if cell == 'lstm1997' else {'hidden': 1}
  )
  cell = made(1, 1, **sizes)
  with jax.enable_x64(dtype == 'float64'):
    params = jax.tree.map(
      lambda a: jnp.zeros_like(a, dtype),
      cell.init(jax.random.key(0), cell.numbers),
    )._replace(b=jnp.asarray(biases, dtype))
    start = jax.tree.map(
      jnp.zeros_like, cell.initial_carry((), jnp.dtype(dtype))
    )
    start = start._replace(**{kept: jnp.ones_like(getattr(start, kept))})
    _, last = layer.run(
      cell, params, jnp.zeros((30_000, 1), dtype), state=start, kernel='xla'
    )
    assert getattr(last, kept) == 1
