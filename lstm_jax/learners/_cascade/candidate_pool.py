"""A pool of candidate units: what they compute, their score and its slopes.

Fahlman & Lebiere (1990) for the score, Fahlman (1991) for the self link. A
candidate reads the input lines, the installed units, a bias and itself:

  V(t) = f(w_x x(t) + w_h V_h(t) + b + w_s V(t-1))
  dV(t)/dw = f'(net) (z(t) + w_s dV(t-1)/dw),  z = x, V_h, 1 or V(t-1)

V(0) = 0 at the start of each sequence. With E_o the residual error of output
unit o, sums over all scored steps of an epoch and bars for means, its score

  S = sum_o |sum (V - mean V)(E_o - mean E_o)| / sum E^2

has the slopes dS/dw = sum_o sign_o sum (E_o - mean E_o) dV/dw / sum E^2.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from lstm_jax.ops.arrays import add_outer, affine, select
from lstm_jax.ops.prng import Key, KeyData, fold_in, uniform_at
from lstm_jax.types import Array, Params


class Pool(NamedTuple):
  """Weights of P candidates; fields like those of the cell's params."""

  w_x: Array  # [P, I, *]
  w_h: Array  # [P, C, *]
  w_s: Array  # [P, *]
  b: Array  # [P, *]


class Trace(NamedTuple):
  """Candidates between two steps."""

  value: Array  # [P, *] V(t)
  slope: Pool  # dV(t)/dw


class Products(NamedTuple):
  """Sums over the scored steps of an epoch."""

  slope: Pool  # of -dS/dw
  value: Array  # [P, *] of V
  product: Array  # [P, K, *] of V E_o


class Aim(NamedTuple):
  """Sums over a whole epoch that slopes need: those of the one before."""

  correlation: Array  # [P, K, *] each output unit's part of S, with its sign
  mean: Array  # [K, *] of E_o
  square: Array  # [*] sum of E^2


def draw_pool(
  key: KeyData,
  n: Array,
  mask: Params,
  num: int,
  init_range: Array,
  installed: Array,
) -> Pool:
  """The n-th pool of a network.

  Args:
    key: a `Key`, `[*]`.
    n: `[*]` integers.
    mask: the cell's mask.
    num: P.
    init_range: `[*]` r, weights are uniform in [-r, r].
    installed: `[*]` integers, units that there are to hear.

  Returns:
    The `Pool`; weights that do not exist are 0.
  """
  lanes, dtype = init_range.shape, init_range.dtype
  exists = mask._asdict()
  units, inputs = exists['w_x'].shape
  key = Key(*(word[None] for word in fold_in(key, n)))
  count = num * (inputs + units + 2)
  index = jnp.arange(count).reshape((-1,) + (1,) * len(lanes))
  weights = uniform_at(key, jnp.broadcast_to(index, (count, *lanes)))
  weights = (2 * weights.astype(dtype) - 1) * init_range[None]
  weights = weights.reshape(num, -1, *lanes)
  bias = float(exists['b'][0])
  return Pool(
    w_x=weights[:, :inputs],
    w_h=weights[:, inputs:-2] * unit_flags(units, installed, dtype)[None],
    w_s=weights[:, -2],
    b=weights[:, -1] * bias,
  )


def unit_flags(units: int, installed: Array, dtype: DTypeLike) -> Array:
  """`[units, *]`: 1 for the installed units, 0 for those still to come."""
  index = jnp.arange(units).reshape((-1,) + (1,) * installed.ndim)
  return (index < installed[None]).astype(dtype)


def no_trace(pool: Pool) -> Trace:
  """Candidates before the first step."""
  zeros = jax.tree.map(jnp.zeros_like, pool)
  return Trace(zeros.b, zeros)


def no_aim(pool: Pool, outputs: int) -> Aim:
  """Nothing known yet, for `outputs` output units."""
  zeros = no_products(pool, outputs).product
  return Aim(zeros, zeros[0], zeros[0, 0])


def no_products(pool: Pool, outputs: int) -> Products:
  """Empty sums for `outputs` output units."""
  zeros = jax.tree.map(jnp.zeros_like, pool)
  value = zeros.b
  product = jnp.zeros((len(value), outputs, *value.shape[1:]), value.dtype)
  return Products(zeros, value, product)


def advance(
  f: Callable[[Array], Array],
  pool: Pool,
  trace: Trace,
  x_t: Array,
  h_t: Array,
  bias: float,
  active: Array,
) -> Trace:
  """One step of the candidates and of their derivatives.

  Args:
    f: squashing function, `[P, *] -> [P, *]`, elementwise.
    pool: the weights.
    trace: one step ago.
    x_t: `[I, *]`.
    h_t: `[C, *]` activations of the units, 0 for those to come.
    bias: 1, or 0 where hidden units have no bias.
    active: `[*]` bool; the other lanes stay as they are.

  Returns:
    The trace of now.
  """
  value_tm1 = trace.value
  net = affine(pool.w_x, x_t) + affine(pool.w_h, h_t)
  net = net + pool.b + pool.w_s * value_tm1
  value, prime = jax.jvp(f, (net,), (jnp.ones_like(net),))
  back = prime * pool.w_s
  slope = Pool(
    w_x=add_outer(back[:, None] * trace.slope.w_x, prime, x_t),
    w_h=add_outer(back[:, None] * trace.slope.w_h, prime, h_t),
    w_s=back * trace.slope.w_s + prime * value_tm1,
    b=back * trace.slope.b + prime * bias,
  )
  return select(active, Trace(value, slope), trace)


def gather(
  products: Products, trace: Trace, residual: Array, aim: Aim, scored: Array
) -> Products:
  """The sums with one step added.

  Args:
    products: the sums so far.
    trace: candidates of now.
    residual: `[K, *]` E.
    aim: of the epoch before.
    scored: `[*]` 1 or 0, whether the step counts.

  Returns:
    The `Products`.
  """
  # A score of exactly 0 is pushed upwards.
  sign = jnp.where(aim.correlation < 0, -1, 1).astype(residual.dtype)
  centred = scored[None] * (residual - aim.mean)
  size = jnp.where(aim.square > 0, aim.square, 1)
  push = -jnp.sum(sign * centred[None], axis=1) / size[None]
  add = lambda total, slope: (
    total
    + slope
    * push.reshape(
      push.shape[:1] + (1,) * (slope.ndim - push.ndim) + push.shape[1:]
    )
  )
  value = scored[None] * trace.value
  return Products(
    slope=jax.tree.map(add, products.slope, trace.slope),
    value=products.value + value,
    product=products.product + value[:, None] * residual[None],
  )


def correlations(
  products: Products, error: Array, square: Array, steps: Array
) -> Array:
  """`[P, K, *]`, whose absolute values sum up to the scores.

  Args:
    products: sums of a whole epoch.
    error: `[K, *]` sum of E.
    square: `[*]` sum of E^2.
    steps: `[*]` number of steps.
  """
  mean = error / jnp.maximum(steps, 1)[None]
  covariance = products.product - products.value[:, None] * mean[None]
  return covariance / jnp.where(square > 0, square, 1)[None, None]


def best(correlation: Array) -> tuple[Array, Array]:
  """`(chosen [P, *] one-hot, score [*])` of the candidate with the most."""
  scores = jnp.sum(jnp.abs(correlation), axis=1)
  # Steps that double every epoch may overflow.
  scores = jnp.where(jnp.isfinite(scores), scores, 0)
  index = jnp.arange(len(scores)).reshape((-1,) + (1,) * (scores.ndim - 1))
  winner = index == jnp.argmax(scores, axis=0)[None]
  return winner, jnp.max(scores, axis=0)


def install(
  params: Params, pool: Pool, correlation: Array, installed: Array
) -> Params:
  """The network with the best candidate as unit number `installed` `[*]`.

  Its incoming weights are the candidate's; each output unit reads it with the
  weight minus its correlation with that unit's error.
  """
  winner, _ = best(correlation)

  def of_best(array):
    fits = winner.reshape(
      winner.shape[:1] + (1,) * (array.ndim - winner.ndim) + winner.shape[1:]
    )
    return jnp.sum(jnp.where(fits, array, 0), axis=0)

  old = params._asdict()
  units = jnp.arange(len(old['b'])).reshape((-1,) + (1,) * installed.ndim)
  row = units == installed[None]
  new = jax.tree.map(of_best, pool)
  return params._replace(
    w_x=jnp.where(row[:, None], new.w_x[None], old['w_x']),
    w_h=jnp.where(row[:, None], new.w_h[None], old['w_h']),
    w_s=jnp.where(row, new.w_s[None], old['w_s']),
    b=jnp.where(row, new.b[None], old['b']),
    w_out=jnp.where(row[None], -of_best(correlation)[:, None], old['w_out']),
  )
