"""The float32 tanh against numpy's in double precision, and its derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import squash


def points():
  """Dense on [-20, 20], the ends of the range, and numbers near zero."""
  tiny = np.float32(10.0) ** np.arange(-38, 0, dtype=np.float32)
  far = np.array([0.0, 7.905311, 7.9053116, 1e3, 3e38, np.inf], np.float32)
  one_side = np.concatenate([np.linspace(0, 20, 200_001), tiny, far])
  return np.concatenate([-one_side, one_side]).astype(np.float32)


def test_float32_is_within_3e_7():
  x = points()
  y = jax.jit(squash.tanh)(x)
  assert y.dtype == jnp.float32
  exact = np.tanh(x.astype(np.float64))
  assert np.max(np.abs(np.asarray(y, np.float64) - exact)) < 3e-7
  assert np.max(np.abs(y)) <= 1 + 3e-7


def test_it_is_odd_and_small_numbers_keep_their_digits():
  x = points()
  y = np.asarray(jax.jit(squash.tanh)(x))
  np.testing.assert_array_equal(y, -np.asarray(jax.jit(squash.tanh)(-x)))
  small = (np.abs(x) < 1e-4) & (np.abs(x) > 1e-34)
  np.testing.assert_allclose(y[small], x[small], rtol=5e-7)
  assert np.all(y[x == 0] == 0)


def test_nan_stays_nan():
  assert np.isnan(squash.tanh(jnp.float32(np.nan)))
  assert np.isnan(squash.logistic(jnp.float32(np.nan)))


def test_derivatives_forwards_and_backwards():
  x = points()[::50]
  exact = 1 - np.tanh(x.astype(np.float64)) ** 2
  _, forwards = jax.jit(
    lambda x: jax.jvp(squash.tanh, (x,), (jnp.ones_like(x),))
  )(x)
  backwards = jax.jit(jax.grad(lambda x: jnp.sum(squash.tanh(x))))(x)
  for slope in (forwards, backwards):
    assert slope.dtype == jnp.float32
    assert np.max(np.abs(slope - exact)) < 7e-7
  # Twice: the derivative is a function of tanh again.
  second = jax.jit(jax.vmap(jax.grad(jax.grad(squash.tanh))))(x)
  exact *= -2 * np.tanh(x.astype(np.float64))
  assert np.max(np.abs(second - exact)) < 2e-6


def test_float64_is_the_exact_function(x64):
  x = np.linspace(-20, 20, 10_001)
  y = jax.jit(squash.tanh)(x)
  assert y.dtype == jnp.float64
  np.testing.assert_array_equal(y, jax.jit(jnp.tanh)(x))
  slope = jax.jit(jax.grad(lambda x: jnp.sum(squash.tanh(x))))(x)
  np.testing.assert_allclose(slope, 1 / np.cosh(x) ** 2, rtol=0, atol=4e-15)


@pytest.mark.parametrize(
  ('double', 'tolerance'), [(False, 3e-7), (True, 1e-15)]
)
def test_logistic(double, tolerance):
  with jax.enable_x64(double):
    x = points().astype(np.float64 if double else np.float32)
    y = jax.jit(squash.logistic)(x)
    assert y.dtype == x.dtype
    with np.errstate(over='ignore'):
      exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    assert np.max(np.abs(np.asarray(y, np.float64) - exact)) < tolerance
