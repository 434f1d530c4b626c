"""Squashing functions: one `tanh`, from which the others follow.

logistic f(x) = 1/(1+e^-x) = (1 + tanh(x/2))/2; the paper's g(x) = 4 f(x) - 2 =
2 tanh(x/2) and h(x) = 2 f(x) - 1 = tanh(x/2).
"""

import jax
import jax.numpy as jnp

# Odd rational approximation of tanh on [-7.9, 7.9], degrees 13 and 6 (the one
# that Eigen and XLA use), lowest power first.
_LIMIT = 7.90531110763549805
_NUMERATOR = (
  4.89352455891786e-03,
  6.37261928875436e-04,
  1.48572235717979e-05,
  5.12229709037114e-08,
  -8.60467152213735e-11,
  2.00018790482477e-13,
  -2.76076847742355e-16,
)
_DENOMINATOR = (
  4.89352518554385e-03,
  2.26843463243900e-03,
  1.18534705686654e-04,
  1.19825839466702e-06,
)


@jax.custom_jvp
def tanh(x):
  """tanh(x), elementwise, within 3e-7 of the exact value in float32.

  The float32 form exists for speed: XLA:CPU's own tanh becomes scalar code in
  loops of 16 lanes (half the speed of a small net's step), and a polynomial by
  pairs (Estrin) waits less than one by powers (Horner), of which the step of a
  small net has nothing else to fill the time with. Other dtypes use jnp.tanh.
  """
  if x.dtype != jnp.float32:
    return jnp.tanh(x)
  a = [jnp.float32(c) for c in _NUMERATOR]
  b = [jnp.float32(c) for c in _DENOMINATOR]
  x = jnp.clip(x, -_LIMIT, _LIMIT)
  x2 = x * x
  x4 = x2 * x2
  x8 = x4 * x4
  numerator = (a[0] + a[1] * x2) + x4 * (a[2] + a[3] * x2)
  numerator += x8 * ((a[4] + a[5] * x2) + x4 * a[6])
  denominator = (b[0] + b[1] * x2) + x4 * (b[2] + b[3] * x2)
  return x * numerator / denominator


@tanh.defjvp
def _tanh_jvp(primals, tangents):
  (x,), (x_dot,) = primals, tangents
  y = tanh(x)
  return y, (1 - y * y) * x_dot


def logistic(x):
  """f(x) = 1/(1+e^-x), elementwise, in [0, 1]."""
  return 0.5 * tanh(0.5 * x) + 0.5
