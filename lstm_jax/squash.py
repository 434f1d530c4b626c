"""Squashing functions, accurate relative to their own size at both ends.

The logistic function f(x) = 1/(1+e^-x) is made of q(x) = f(-|x|), in [0, 1/2]:
q below 0, 1 - q above, and its derivative is q (1 - q). So a gate that is shut
is as small as e^x says, and the derivative of an open one as small as e^-x; the
cheaper f(x) = (1 + tanh(x/2)) / 2 ends at the last bit of 1, and a cell whose
gates are shut leaks. The paper's g(x) = 4 f(x) - 2 = 2 tanh(x/2) and h(x) =
2 f(x) - 1 = tanh(x/2) have no digits to lose but near 0.

Of numbers below the smallest normal one nothing is promised: XLA:CPU has zeros
there.
"""

import jax
import jax.numpy as jnp
import numpy as np

# The power of two nearest to e^x is 0 below, and finite above.
_MOST = np.float32(88.0)
# Moves the nearest integer to the lowest bits.
_MAGIC = np.float32(1.5 * 2**23)
_LOG2_E = np.float32(1.4426950408889634)
# So few bits that products with integers are exact, and a rest.
_LN2, _LN2_REST = np.float32(0.693359375), np.float32(-2.1219444005469058e-4)


def tanh(x):
  """tanh(x), elementwise; in float32 within 3e-7 of itself."""
  return half_tanh(2 * x)


def half_tanh(x):
  """tanh(x/2) = 2 f(x) - 1, elementwise.

  Its derivative (1 - y^2) / 2 is that of y rounded: within 1.2e-7 of the exact
  one in float32, and 0 from |x| = 18 on. One that keeps its digits there takes
  a division more, a tenth of a small net's step.
  """
  return _widened(_half_tanh, x)


def logistic(x):
  """f(x) = 1/(1+e^-x), elementwise; in float32 within 3e-7 of itself."""
  return _widened(_logistic, x)


def _widened(function, x):
  """`function(x)`; of 16 bits computed with 32."""
  wide = jnp.promote_types(x.dtype, jnp.float32)
  return function(x.astype(wide)).astype(x.dtype)


@jax.custom_jvp
def _logistic(x):
  q = _q(x)
  return jnp.where(x < 0, q, 1 - q)


@_logistic.defjvp
def _logistic_jvp(primals, tangents):
  (x,), (x_dot,) = primals, tangents
  return _logistic(x), _slope(x) * x_dot


@jax.custom_jvp
def _slope(x):
  """f'(x) = f(x) f(-x)."""
  q = _q(x)
  return q * (1 - q)


@_slope.defjvp
def _slope_jvp(primals, tangents):
  (x,), (x_dot,) = primals, tangents
  slope = _slope(x)
  return slope, -slope * _half_tanh(x) * x_dot


def _q(x):
  """1 / (1 + e^|x|), by one division, which no one recomputes."""
  x = -jnp.abs(x)
  if x.dtype != jnp.float32:
    power = jnp.exp(x)
    return power / (1 + power)
  power, even, odd = _exponential(jnp.where(x < -_MOST, -_MOST, x))
  above = power * (even + odd)
  return above / (above + (even - odd))


@jax.custom_jvp
def _half_tanh(x):
  if x.dtype != jnp.float32:
    return jnp.tanh(0.5 * x)
  x = jnp.where(x < -_MOST, -_MOST, jnp.where(x > _MOST, _MOST, x))
  power, even, odd = _exponential(x)
  # (e^x - 1) / (e^x + 1); near 0, where `power` is 1, it is odd / even.
  less, more = power - 1, power + 1
  return (less * even + more * odd) / (more * even + less * odd)


@_half_tanh.defjvp
def _half_tanh_jvp(primals, tangents):
  (x,), (x_dot,) = primals, tangents
  y = _half_tanh(x)
  return y, (1 - y) * (0.5 + 0.5 * y) * x_dot


def _exponential(x):
  """`(power, even, odd)`: e^x = power (even + odd) / (even - odd), float32.

  Pade's quotient in what is left of x beside a power of two, off by 6e-9. It
  waits less than the series, and both who use it divide anyway: a step of a
  small net has nothing else to fill the time with. nan stays nan.
  """
  bits_of = lambda a: jax.lax.bitcast_convert_type(a, jnp.int32)
  # An integer to subtract: XLA would take a float off the constant at once.
  bits = bits_of(x * _LOG2_E + _MAGIC)
  n = (bits - _MAGIC.view(np.int32)).astype(jnp.float32)
  power = jax.lax.bitcast_convert_type((bits << 23) + 0x3F800000, jnp.float32)
  r = (x - n * _LN2) - n * _LN2_REST
  square = r * r
  even = 1 + np.float32(1 / 10) * square
  odd = r * (np.float32(1 / 2) + np.float32(1 / 120) * square)
  return power, even, odd
