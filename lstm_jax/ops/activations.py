"""Squashing functions, accurate relative to their own size at both ends.

The logistic function f(x) = 1/(1+e^-x) of a gate that is shut is as small as
e^x says, and its derivative f(x) f(-x) for an open one as small as e^-x; the
cheaper f(x) = (1 + tanh(x/2)) / 2 ends at the last bit of 1, and a cell whose
gates are shut leaks. The paper's g(x) = 4 f(x) - 2 = 2 tanh(x/2) and h(x) =
2 f(x) - 1 = tanh(x/2) have no digits to lose but near 0.

There are two forms of f, equal to rounding: which one XLA turns into quick code
depends on what is around it (docs/record_of_benchmarks.md has the figures).

Of numbers below the smallest normal one nothing is promised: XLA:CPU has zeros
there.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

# 1/n! in pairs, of 1 and r.
_INVERSE_FACTORIALS = (
  (1, 1),
  (1 / 2, 1 / 6),
  (1 / 24, 1 / 120),
  (1 / 720, 1 / 5040),
)
# The power of two nearest to e^x is 0 below, and finite above.
_LIMIT = np.float32(88.0)
# Moves the nearest integer to the lowest bits.
_MAGIC = np.float32(1.5 * 2**23)
_LOG2_E = np.float32(1.4426950408889634)
# So few bits that products with integers are exact, and a rest.
_LN2, _LN2_REST = np.float32(0.693359375), np.float32(-2.1219444005469058e-4)


def tanh(x: jax.Array) -> jax.Array:
  """tanh(x), elementwise; in float32 within 3e-7 of itself."""
  return half_tanh(2 * x)


def half_tanh(x: jax.Array) -> jax.Array:
  """tanh(x/2) = 2 f(x) - 1, elementwise.

  Its derivative (1 - y^2) / 2 is that of y rounded: within 1.2e-7 of the exact
  one in float32, and 0 from |x| = 18 on. One that keeps its digits there takes
  a division more, a tenth of a small net's step.
  """
  return _widened(_half_tanh, x)


def logistic(x: jax.Array) -> jax.Array:
  """f(x) = 1/(1+e^-x), elementwise; in float32 within 3e-7 of itself.

  The form for layers, whose steps are a row of kernels: one quotient, which is
  read once. Half the time of the other there.
  """
  return _widened(_logistic, x)


def logistic_of_lanes(x: jax.Array) -> jax.Array:
  """f(x), elementwise; in float32 within 3e-7 of itself.

  The form for nets with trials in their lanes, whose whole loop is one
  function: f(-|x|) below 0, and above what 1 has more. A step of a small net
  takes an eighth less with it than with the other.
  """
  return _widened(_logistic_of_lanes, x)


def _widened(function, x):
  """`function(x)`; of 16 bits computed with 32."""
  dtype = jnp.promote_types(x.dtype, jnp.float32)
  return function(x.astype(dtype)).astype(x.dtype)


@jax.custom_jvp
def _logistic(x):
  return 1 / (1 + _power_of_minus(x))


@_logistic.defjvp
def _logistic_jvp(primals, tangents):
  (x,), (x_dot,) = primals, tangents
  return _logistic(x), _slope(x) * x_dot


@jax.custom_jvp
def _slope(x):
  """f'(x) = f(x) f(-x)."""
  power = _power_of_minus(x)
  y = 1 / (1 + power)
  return y * (power * y)


@jax.custom_jvp
def _logistic_of_lanes(x):
  q = _falling(x)
  return jnp.where(x < 0, q, 1 - q)


@_logistic_of_lanes.defjvp
def _logistic_of_lanes_jvp(primals, tangents):
  (x,), (x_dot,) = primals, tangents
  return _logistic_of_lanes(x), _slope_of_lanes(x) * x_dot


@jax.custom_jvp
def _slope_of_lanes(x):
  q = _falling(x)
  return q * (1 - q)


def _second(slope, primals, tangents):
  """The derivative of f', -f'(x) tanh(x/2)."""
  (x,), (x_dot,) = primals, tangents
  y = slope(x)
  return y, -y * _half_tanh(x) * x_dot


_slope.defjvp(functools.partial(_second, _slope))
_slope_of_lanes.defjvp(functools.partial(_second, _slope_of_lanes))


def _power_of_minus(x):
  """e^-x, held within what has a reciprocal."""
  if x.dtype != jnp.float32:
    return jnp.exp(jnp.clip(-x, -709, 709))
  power, r = _parts(jnp.clip(-x, -_LIMIT, _LIMIT))
  r2 = r * r
  pairs = [c + r * d for c, d in np.array(_INVERSE_FACTORIALS, np.float32)]
  return power * (pairs[0] + r2 * (pairs[1] + r2 * (pairs[2] + r2 * pairs[3])))


def _falling(x):
  """f(-|x|) = 1 / (1 + e^|x|), by one division, which no one recomputes."""
  x = -jnp.abs(x)
  if x.dtype != jnp.float32:
    power = jnp.exp(x)
    return power / (1 + power)
  power, r = _parts(jnp.where(x < -_LIMIT, -_LIMIT, x))
  even, odd = _quotient(r)
  numerator = power * (even + odd)
  return numerator / (numerator + (even - odd))


def _parts(x):
  """`(power, r)`: e^x = power e^r, a power of two and |r| <= ln(2)/2; float32.

  nan stays nan.
  """
  bits_of = lambda a: jax.lax.bitcast_convert_type(a, jnp.int32)
  # An integer to subtract: XLA would take a float off the constant at once.
  bits = bits_of(x * _LOG2_E + _MAGIC)
  n = (bits - _MAGIC.view(np.int32)).astype(jnp.float32)
  power = jax.lax.bitcast_convert_type((bits << 23) + 0x3F800000, jnp.float32)
  return power, (x - n * _LN2) - n * _LN2_REST


@jax.custom_jvp
def _half_tanh(x):
  if x.dtype != jnp.float32:
    return jnp.tanh(0.5 * x)
  power, r = _parts(
    jnp.where(x < -_LIMIT, -_LIMIT, jnp.where(x > _LIMIT, _LIMIT, x))
  )
  even, odd = _quotient(r)
  # (e^x - 1) / (e^x + 1); near 0, where `power` is 1, it is odd / even.
  less, more = power - 1, power + 1
  return (less * even + more * odd) / (more * even + less * odd)


@_half_tanh.defjvp
def _half_tanh_jvp(primals, tangents):
  (x,), (x_dot,) = primals, tangents
  y = _half_tanh(x)
  return y, (1 - y) * (0.5 + 0.5 * y) * x_dot


def _quotient(r):
  """`(even, odd)`: e^r = (even + odd) / (even - odd), Pade's, off by 6e-9.

  It waits less than the series, and both who use it divide anyway: a step of a
  small net has nothing else to fill the time with.
  """
  square = r * r
  even = 1 + np.float32(1 / 10) * square
  odd = r * (np.float32(1 / 2) + np.float32(1 / 120) * square)
  return even, odd
