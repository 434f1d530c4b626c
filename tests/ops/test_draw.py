"""draw.* gives the very bits that jax.random gives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_jax.ops import prng

uint32 = st.integers(0, 2**32 - 1)
keys = st.tuples(uint32, uint32)
# Few sizes: jax.random compiles one program a size.
sizes = st.sampled_from((1, 7, 1000, 4096))
quick = settings(max_examples=60, deadline=None)


def raw(key):
  return np.array(key, np.uint32)


def wrap(key):
  return jax.random.wrap_key_data(jnp.asarray(key), impl='threefry2x32')


def test_jax_random_is_in_its_default_form():
  # bits_at is the partitionable form, in which an element does not depend on
  # the size of its array.
  assert jax.config.jax_threefry_partitionable


@functools.cache
def arrays(size):
  """Of `jax.random`, compiled: `key -> (bits, uniform)`."""
  return jax.jit(
    lambda key: (
      jax.random.bits(wrap(key), (size,), jnp.uint32),
      jax.random.uniform(wrap(key), (size,), jnp.float32),
    )
  )


@jax.jit
def elements(key, t):
  return prng.bits_at(key, t), prng.uniform_at(key, t)


@quick
@given(keys, sizes, st.data())
def test_bits_and_uniforms_are_elements_of_jax_random_arrays(key, size, data):
  t = data.draw(st.integers(0, size - 1))
  bits, uniform = map(np.asarray, arrays(size)(raw(key)))
  bit, one = elements(raw(key), t)
  assert bit == bits[t] and bit.dtype == jnp.uint32
  assert one == uniform[t] and one.dtype == jnp.float32


def test_whole_arrays_at_once():
  key = (17, 4)
  at = jax.jit(jax.vmap(lambda t: prng.bits_at(raw(key), t)))
  size = 10_000
  np.testing.assert_array_equal(
    at(np.arange(size)), jax.random.bits(wrap(raw(key)), (size,), jnp.uint32)
  )


@pytest.mark.parametrize('partitionable', (True, False))
def test_fold_in_is_that_of_jax(partitionable):
  @quick
  @given(keys, uint32)
  def equal(key, n):
    n = np.uint32(n)
    with jax.threefry_partitionable(partitionable):
      expected = jax.random.key_data(jax.random.fold_in(wrap(raw(key)), n))
    np.testing.assert_array_equal(prng.fold_in(raw(key), n), expected)

  equal()


@quick
@given(keys, uint32)
def test_positions_past_any_array(key, t):
  # An element is the exclusive or of the two words that fold_in returns.
  words = jax.random.key_data(jax.random.fold_in(wrap(raw(key)), np.uint32(t)))
  assert prng.bits_at(raw(key), np.uint32(t)) == words[0] ^ words[1]


def test_lanes_are_alone_whatever_their_shape():
  random = np.random.default_rng(0)
  key = random.integers(2**32, size=(2, 3, 5), dtype=np.uint32)
  t = random.integers(0, 1000, (3, 5))
  bits_at, fold_in = jax.jit(prng.bits_at), jax.jit(prng.fold_in)
  bits, new = jax.tree.map(np.asarray, (bits_at(key, t), fold_in(key, t)))
  assert bits.shape == new.high.shape == new.low.shape == (3, 5)
  # A pair of words is as good as an array of two.
  np.testing.assert_array_equal(bits_at(prng.Key(*key), t), bits)
  for lane in np.ndindex(3, 5):
    alone = key[:, *lane]
    assert bits_at(alone, t[lane]) == bits[lane]
    assert fold_in(alone, t[lane]) == (new.high[lane], new.low[lane])


@pytest.mark.parametrize('function', (prng.bits_at, prng.uniform_at))
def test_x64_changes_nothing(function, x64):
  wide = function(raw((3, 9)), np.int64(7))
  with jax.enable_x64(False):
    narrow = function(raw((3, 9)), 7)
  assert wide == narrow and wide.dtype == narrow.dtype


@quick
@given(
  keys, st.integers(0, 2**31 - 1), st.integers(-(2**30), 2**30),
  st.integers(1, 2**30 - 1),
)  # fmt: skip
def test_integers_keep_their_bounds(key, t, low, width):
  n = prng.integer_at(raw(key), t, low, low + width)
  assert low <= n < low + width
  assert n.dtype == jnp.int32


@pytest.mark.parametrize('width', (1, 2, 11, 2**23, 2**24 + 3, 2**30 - 1))
@pytest.mark.parametrize('u', (0.0, 1 - 2**-23))
def test_integers_at_the_ends_of_the_uniform(width, u, monkeypatch):
  monkeypatch.setattr(prng, 'uniform_at', lambda key, t: jnp.float32(u))
  n = int(prng.integer_at(None, 0, -5, width - 5))
  if u == 0:
    assert n == -5
  else:
    # The spacing of u, and of the width as a float, bounds what is missed.
    assert width - 6 - max(1, width * 2**-22) < n <= width - 6


def test_integers_reach_every_value_equally():
  size, width = 2**20, 11
  n = jax.jit(
    jax.vmap(lambda t: prng.integer_at(raw((1, 2)), t, 3, 3 + width))
  )(np.arange(size))
  counts = np.bincount(np.asarray(n) - 3, minlength=width)
  assert len(counts) == width
  p = 1 / width
  deviation = (counts - size * p) / np.sqrt(size * p * (1 - p))
  assert np.abs(deviation).max() < 5
