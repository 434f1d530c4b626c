"""Random numbers by position: element t of a `jax.random` array, without it.

A training sequence is a function of (key, t). These functions give the very
bits that `jax.random` gives, one position at a time and elementwise over lanes:
`bits_at(key, t)` is `jax.random.bits(key, (T,))[t]` for every T > t, and
`fold_in` is `jax.random.fold_in`. They exist because the threefry of jax is
lowered on CPU to loops over rounds that cost more than the whole step of a
small net; written out, twenty rounds fuse into the loop that uses them.

Keys are raw key data, two uint32 words with lanes: `Key(high [*], low [*])`, or
any pair such as an array `[2, *]`. They are kept apart because XLA:CPU writes
the stacking of two arrays as scalar code. The generator is threefry2x32 with 20
rounds (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3"),
counters laid out as jax has them by default (`jax_threefry_partitionable`).
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from lstm_jax.types import Key, KeyData

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def key_of(seed: int) -> tuple[np.uint32, np.uint32]:
  """Raw key data of `jax.random.key(seed)`, a pair of uint32."""
  key = jax.random.key(seed, impl='threefry2x32')
  high, low = np.asarray(jax.random.key_data(key))
  return high, low


def keys_of(seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
  """Raw key data of `jax.random.key` of each seed, made as one array.

  Args:
    seeds: `[N]`.

  Returns:
    A pair of uint32 `[N]`.
  """
  keys = jax.vmap(lambda seed: jax.random.key(seed, impl='threefry2x32'))(
    # As `jax.random.key` takes a Python int.
    jnp.asarray(np.array(seeds, np.int64))
  )
  high, low = np.asarray(jax.random.key_data(keys)).T
  return high, low


# Its hundred operations are traced once for a shape and then copied to where
# they are asked for: every sequence of every program asks some ten times.
@functools.partial(jax.jit, inline=True)
def _threefry(key, high, low):
  """threefry2x32 of the counter (high, low) under `key`."""

  def rotate(x, by):
    return (x << jnp.uint32(by)) | (x >> jnp.uint32(32 - by))

  keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
  x, y = high + keys[0], low + keys[1]
  for group in range(5):
    for by in _ROTATIONS[group % 2]:
      x = x + y
      y = x ^ rotate(y, by)
    x = x + keys[(group + 1) % 3]
    y = y + keys[(group + 2) % 3] + jnp.uint32(group + 1)
  return x, y


def fold_in(key: KeyData, n: ArrayLike) -> Key:
  """A new `Key` from `key` and the integers `n` `[*]`.

  Equal to `jax.random.fold_in` for threefry keys.
  """
  n = jnp.asarray(n).astype(jnp.uint32)
  return Key(*_threefry(key, jnp.zeros_like(n), n))


def bits_at(key: KeyData, t: ArrayLike) -> jax.Array:
  """`[*]` uint32: element `t` `[*]` of `jax.random.bits(key, (T,))`."""
  t = jnp.asarray(t).astype(jnp.uint32)
  x, y = _threefry(key, jnp.zeros_like(t), t)
  return x ^ y


def uniform_at(key: KeyData, t: ArrayLike) -> jax.Array:
  """`[*]` float32 in [0, 1): element `t` of `jax.random.uniform(key, (T,))`."""
  mantissa = (bits_at(key, t) >> jnp.uint32(9)) | jnp.uint32(0x3F800000)
  return jax.lax.bitcast_convert_type(mantissa, jnp.float32) - 1.0


def integer_at(
  key: KeyData, t: ArrayLike, low: jax.Array | int, high: jax.Array | int
) -> jax.Array:
  """`[*]` int32, uniform on `low, ..., high - 1` (`high` is excluded).

  `low + floor(u (high - low))` with 23-bit u: the probabilities of two values
  differ by less than 2**-23.
  """
  # u is at most 1 - 2**-23: the product never reaches the width, not even by
  # rounding, for widths up to 2**24.
  width = jnp.asarray(high - low).astype(jnp.float32)
  return low + jnp.floor(uniform_at(key, t) * width).astype(jnp.int32)
