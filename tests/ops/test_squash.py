"""Squashing functions against numpy's in a wider type, and their derivatives.

Errors are relative to the exact value, from the smallest normal number on.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.lstm1997 import lstm1997
from lstm_jax.nn import layer
from lstm_jax.ops import activations

WIDE = np.longdouble
DTYPES = ('float32', 'float64', 'bfloat16', 'float16')
# Bits of the fraction, rounding included, and the error in units of their last.
BITS = {'float32': 24, 'float64': 53, 'bfloat16': 8, 'float16': 11}
UNITS = {'float32': 5, 'float64': 8, 'bfloat16': 1.01, 'float16': 1.02}


def points(dtype='float32'):
  """Dense on [-100, 100], and every magnitude from the smallest to inf."""
  with np.errstate(over='ignore', under='ignore'):
    least = np.finfo(np.float32 if dtype == 'bfloat16' else dtype).minexp
    every = WIDE(2.0) ** np.linspace(least, -least, 4001, dtype=WIDE)
    far = [0.0, 17.0, 87.3, 87.4, 88.0, 104.0, 710.0, 746.0, np.inf]
    one_side = np.concatenate([np.linspace(0, 100, 40_001), every, far])
    x = np.float64(np.concatenate([-one_side, one_side]))
    x = x.astype(jnp.dtype(dtype))
  return x, x.astype(dtype if dtype == 'float64' else 'float32')


def exact(x):
  """`(f, tanh, f', h = tanh(x/2))` in the widest type."""
  x = x.astype(WIDE)
  small = np.exp(-np.abs(x))
  f = np.where(x < 0, small, 1) / (1 + small)
  return f, np.tanh(x), small / (1 + small) ** 2, np.tanh(x / 2)


def error(found, wanted, dtype):
  """The largest relative error of normal numbers, in units of the last bit."""
  info = jnp.finfo(dtype)
  found = np.asarray(found).astype(np.float64).astype(WIDE)
  normal = np.abs(wanted) >= WIDE(float(info.smallest_normal)) * (
    1 + WIDE(info.eps)
  )
  assert np.all(np.abs(found[~normal]) <= float(info.smallest_normal) * 1.01)
  off = np.abs(found - wanted)[normal] / np.abs(wanted[normal])
  return float(np.max(off)) * 2.0 ** BITS[dtype]


LOGISTIC = (activations.logistic, activations.logistic_of_lanes)


@pytest.mark.parametrize('logistic', LOGISTIC)
@pytest.mark.parametrize('dtype', DTYPES)
def test_values_and_slopes_keep_their_digits(dtype, logistic, x64):
  del x64
  x, wide = points(dtype)
  slope_of = jax.vmap(jax.grad(logistic))

  @jax.jit
  def all_of(x):
    f, tanh, h = logistic(x), activations.tanh(x), activations.half_tanh(x)
    return f, tanh, slope_of(x), h

  for value, wanted in zip(all_of(x), exact(wide), strict=True):
    assert value.dtype == dtype
    assert error(value, wanted, dtype) <= UNITS[dtype]


@pytest.mark.parametrize('logistic', LOGISTIC)
def test_ends(logistic):
  far = np.float32([17.4, 88.0, 200.0, 3e38, np.inf])
  tiny = np.float32([0.0, 2e-38, 1e-20, 1e-5])
  slope = jax.vmap(jax.grad(logistic))
  functions = logistic, activations.tanh, activations.half_tanh, slope
  all_of = jax.jit(lambda x: [function(x) for function in functions])
  made = all_of(np.concatenate([far, -far, tiny, [np.float32(np.nan)]]))
  f, tanh, *_ = (np.split(np.asarray(y), [5, 10, 14]) for y in made)
  np.testing.assert_array_equal(f[0], 1)
  np.testing.assert_array_equal(f[1][1:], 0)
  np.testing.assert_array_equal(tanh[0], 1)
  np.testing.assert_array_equal(tanh[1], -1)
  np.testing.assert_allclose(tanh[2], tiny, rtol=2e-7)
  np.testing.assert_array_equal(f[2][:3], 0.5)
  for y in made:
    assert np.isnan(np.asarray(y)[-1])


def test_it_is_odd():
  x, _ = points()
  for function in (activations.tanh, activations.half_tanh):
    y = np.asarray(jax.jit(function)(x))
    np.testing.assert_array_equal(y, -np.asarray(jax.jit(function)(-x)))


def derivatives(function, x):
  """The first forwards and backwards, and the second."""
  total = lambda x: jnp.sum(function(x))

  @jax.jit
  def all_of(x):
    forwards = jax.jvp(function, (x,), (jnp.ones_like(x),))[1]
    twice = jax.vmap(jax.grad(jax.grad(function)))(x)
    return forwards, jax.grad(total)(x), twice

  return all_of(x)


@pytest.mark.parametrize('logistic', LOGISTIC)
@pytest.mark.parametrize('double', [False, True])
def test_derivatives_forwards_backwards_and_twice(double, logistic):
  with jax.enable_x64(double):
    dtype = 'float64' if double else 'float32'
    x, wide = points(dtype)
    x, wide = x[::7], wide[::7]
    _, tanh, slope, h = exact(wide)
    found = derivatives(logistic, x)
    wanted = (slope, slope, -slope * h)
    for value, right in zip(found, wanted, strict=True):
      assert value.dtype == dtype
      value = np.asarray(value)
      assert error(value[x != 0], right[x != 0], dtype) < 16
    # Those of tanh are of a number rounded, see there.
    last, slope_t = 2.0 ** -BITS[dtype], 1 - tanh**2
    for function, first, second in (
      (activations.half_tanh, 2 * slope, -2 * slope * h),
      (activations.tanh, slope_t, -2 * tanh * slope_t),
    ):
      found = derivatives(function, x)
      for value, right in zip(found, (first, first, second), strict=True):
        assert value.dtype == dtype
        assert np.max(np.abs(np.asarray(value) - right)) < 32 * last


@pytest.mark.parametrize('cell', ['lstm', 'lstm1997', 'gru'])
def test_a_shut_gate_does_not_leak(cell):
  """A state of 1 behind shut gates, a candidate that would change it."""
  made, biases, kept = {
    'lstm': (lstm, [-200, 200, -10, 10], 's_c'),
    'lstm1997': (lstm1997, [-200, 200, -10], 's_c'),
    'gru': (gru, [0, 200, -10], 'h'),
  }[cell]
  sizes = ('blocks', 'block_size') if cell == 'lstm1997' else ('hidden',)
  cell = made(1, 1, **dict.fromkeys(sizes, 1))
  zeros = lambda tree: jax.tree.map(
    lambda a: np.zeros(a.shape, np.float32), tree
  )
  params = zeros(cell.mask)._replace(b=np.float32(biases))
  start = zeros(jax.eval_shape(cell.initial_carry))
  start = start._replace(**{kept: np.ones(1, np.float32)})
  xs = np.zeros((30_000, 1), np.float32)
  last = layer.run(cell, *jax.device_put((params, xs)), state=start).last
  assert getattr(last, kept) == 1
