"""Products that respect lanes, one-hot sources, and choices by lane."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from lstm_jax.types import Array, Fields, OneHot, Source, Tree

# Lines up to which writing a one-hot input out costs less than a scatter.
_MAX_DENSE = 16


def affine(w: Array, x: Source) -> Array:
  """`w x` for weights `[U, S, *]` and sources `[S, *]`, giving `[U, *]`.

  Weights without lanes are shared by every lane of `x` (a batch): one matrix
  product. Weights with lanes are one network a lane: multiply and sum, which
  XLA compiles into the surrounding loop where a batched product would become a
  library call. A `OneHot` picks its column.

  Raises:
    TypeError: not one column of weights for each source: a single one would be
      broadcast in silence.
  """
  sources = x.size if isinstance(x, OneHot) else x.shape[0]
  if w.shape[1] != sources:
    raise TypeError(f'weights of shape {w.shape} do not fit {sources} sources')
  if isinstance(x, OneHot):
    return _column(w, x.index)
  if w.ndim == 2:
    return jnp.tensordot(w, x, axes=1)
  return jnp.sum(w * x[None], axis=1)


def add_outer(total: Array, factor: Array, x: Source) -> Array:
  """`total + factor x^T`: `[R, S, *]`, `[R, *]` and sources `[S, *]`.

  A `OneHot` changes its column alone; the cost does not depend on S where
  `total` may be overwritten (the carry of a loop).
  """
  if not isinstance(x, OneHot):
    return total + factor[:, None] * x[None]
  if total.ndim == 2:
    return total.at[:, x.index].add(factor)

  def by_scatter(total, factor, index):
    return _at_column(total, index).add(factor)

  def by_slices(total, factor, index):
    # On a CPU a scatter runs element by element outside the compiled loop;
    # one slice a lane stays inside and is written in place.
    shape = total.shape
    total = total.reshape(*shape[:2], -1)
    factor, index = factor.reshape(len(factor), -1), index.reshape(-1)
    for lane in range(index.size):
      at = tuple(map(jnp.int32, (0, index[lane], lane)))
      old = jax.lax.dynamic_slice(total, at, (len(factor), 1, 1))
      new = old + factor[:, None, lane : lane + 1]
      total = jax.lax.dynamic_update_slice(total, new, at)
    return total.reshape(shape)

  return jax.lax.platform_dependent(
    total, factor, x.index, cpu=by_slices, default=by_scatter
  )


def cast(x: Source, dtype: DTypeLike) -> Source:
  """A source in the network's dtype; a `OneHot` has none."""
  return x if isinstance(x, OneHot) else x.astype(dtype)


def to_dense(x: Source, dtype: DTypeLike = jnp.float32) -> Array:
  """A source written out: `[size, *]` of a `OneHot`, anything else as it is."""
  if not isinstance(x, OneHot):
    return x.astype(dtype)
  row = jnp.arange(x.size).reshape((x.size,) + (1,) * x.index.ndim)
  return (row == x.index[None]).astype(dtype)


def differentiable(x: Source, dtype: DTypeLike) -> Source:
  """A source whose step is to be differentiated by the weights.

  A `OneHot` of few lines is written out: the derivative of picking a column is
  a scatter, which XLA:CPU runs one element at a time and outside the compiled
  loop.
  """
  return (
    to_dense(x, dtype) if isinstance(x, OneHot) and x.size <= _MAX_DENSE else x
  )


def gather_column(params: Fields, x: OneHot) -> tuple[Fields, Array]:
  """The same step with the column of a `OneHot` alone.

  Args:
    params: `[..., *]`, the weights from the input lines in fields whose names
      end in `_x`, `[R, S, *]`.
    x: `OneHot` of size S.

  Returns:
    `(params, x)`: those fields `[R, 1, *]`, and the array `[1, *]` of ones.
  """
  columns = {
    name: _column(w, x.index)[:, None]
    for name, w in params._asdict().items()
    if name.endswith('_x')
  }
  dtype = jax.tree.leaves(params)[0].dtype
  return params._replace(**columns), jnp.ones((1, *x.index.shape), dtype)


def add_column(total: Fields, columns: Fields, x: OneHot) -> Fields:
  """`total + columns`, `columns` a tree like the params of `gather_column`."""

  def add(name, w):
    if not name.endswith('_x'):
      return w + getattr(columns, name)
    return add_outer(w, getattr(columns, name)[:, 0], x)

  return total._replace(**{n: add(n, w) for n, w in total._asdict().items()})


def _column(w, index):
  """Column `index` `[*]` of `w` `[U, S, *]` or `[U, S]`: `[U, *]`."""
  if w.ndim == 2:
    return jnp.take(w, index, axis=1, mode='clip')
  index = jnp.broadcast_to(index[None, None], (len(w), 1, *index.shape))
  return jnp.take_along_axis(w, index, axis=1, mode='clip')[:, 0]


def _at_column(w, index):
  """`w.at[...]` of one column a lane."""
  grids = jnp.meshgrid(*map(jnp.arange, index.shape), indexing='ij')
  rows = jnp.arange(len(w)).reshape((-1,) + (1,) * index.ndim)
  return w.at[(rows, index[None], *(grid[None] for grid in grids))]


def spread(b: Array | np.ndarray, like: Array) -> Array:
  """`b` `[U]` or `[U, *]` with axes of size 1 up to the rank of `like`."""
  return jnp.reshape(b, b.shape + (1,) * (like.ndim - b.ndim))


def same_axes(tree: Tree) -> Tree:
  """`tree` with arrays that vary over the axes of a mesh that any varies over.

  Under `jax.shard_map` a loop's state must say from the start what its end
  depends on, and what all devices share (weights) is cast where it meets a
  device's own: the backward pass then sums its cotangents over devices.
  """
  axes = lambda a: jax.typeof(a).mat.varying
  every = frozenset().union(*map(axes, jax.tree.leaves(tree)))
  if not every:
    return tree
  return jax.tree.map(
    lambda a: jax.lax.pcast(a, tuple(sorted(every - axes(a))), to='varying'),
    tree,
  )


def select(keep: Array, new: Tree, old: Tree) -> Tree:
  """Elementwise over lanes: `new` where `keep` `[*]` holds, else `old`.

  `new` and `old` are pytrees of arrays `[..., *]`.
  """

  def pick(a, b):
    mask = jnp.reshape(keep, (1,) * (a.ndim - keep.ndim) + keep.shape)
    return jnp.where(mask, a, b)

  return jax.tree.map(pick, new, old)


def settle(values: Tree, flag: Array) -> Tree:
  """`values` unchanged, computed once and stored.

  XLA:CPU fuses cheap producers into every consumer and computes them again for
  each element there; an optimization barrier does not stop it, the edge of a
  loop does. `flag` is a traced bool that holds: the loop runs once, and the
  compiler cannot know it.
  """
  start = jax.tree.map(jnp.zeros_like, values)
  trips = jnp.asarray(flag).astype(jnp.int32)
  return jax.lax.fori_loop(0, trips, lambda i, _: values, start)


def add_exactly(total: Array, rest: Array, term: Array) -> tuple[Array, Array]:
  """`total + rest + term` as two numbers: the sum, and what it rounds away.

  Of a sum of many terms `rest` is handed on from term to term: a float32 sum is
  then as good as one of twice the digits. No error is sent through `rest`,
  whose derivative is that of rounding.

  Args:
    total: the sum so far.
    rest: what its rounding has lost so far, 0 at first.
    term: what is added.

  Returns:
    `(total, rest)`.

  Source: D. E. Knuth, The Art of Computer Programming, vol. 2, 4.2.2, theorem
    B: the error of a sum is a float, whatever the magnitudes.

  Example:
    >>> import jax.numpy as jnp
    >>> total, rest = jnp.float32(1), jnp.float32(0)
    >>> for _ in range(4):
    ...   total, rest = add_exactly(total, rest, jnp.float32(2**-25))
    >>> float(total) - 1 == 2**-23, float(jnp.float32(1) + 2**-25)
    (True, 1.0)
  """
  term = term + jax.lax.stop_gradient(rest)
  new = total + term
  of_term = new - total
  rest = (total - (new - of_term)) + (term - of_term)
  return new, jax.lax.stop_gradient(rest)
