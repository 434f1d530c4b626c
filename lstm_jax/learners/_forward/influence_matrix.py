"""The base of rules in forward mode: how the carry came to depend on weights.

The influence S(t) = d carry(t)/dw of all weights so far obeys

  S(t) = D(t) S(t-1) + I(t),  S(0) = 0,
  D(t) = d carry(t)/d carry(t-1),  I(t) = d carry(t)/dw at constant carry,

and with E(t) the error of step t

  dE(t)/dw = dE(t)/d carry(t-1) S(t-1) + dE(t)/dw at constant carry.

Rows of S are those entries of the carry that carry the past on, its columns
those weights that reach them within a step: the weights of output units outside
the recurrence have the second term alone. The derivatives are those of
`Cell.step`; with lanes, one pass backwards serves every lane, since lanes never
meet.
"""

import functools
import math
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from lstm_jax.learners._forward import sparsity
from lstm_jax.learners._forward.weight_vector import Vector, vector
from lstm_jax.ops.arrays import to_dense
from lstm_jax.types import Array, Carry, Cell, Params, Source

# Numbers of a row of a matrix that are multiplied at once, and rows.
_BLOCK, _ROWS = 256, 32
# Derivatives that are carried whole: of a network, 8 GiB in float32. A step
# takes n times as many products, which is minutes on a core.
_MOST_NUMBERS = 2**31


# The linear maps of a step.
Push = Callable[[Array], Array]
Pull = Callable[[Array], tuple[Array, Array]]
# S itself, or something in its place.
Memory = Array | tuple[Array, ...]


class Past(NamedTuple):
  """The part of a cell's carry that links a step to those before it.

  Attributes:
    fields: names of the fields of the carry that pass errors back.
    size: n, their entries.
    weights: the weights that reach them within a step, a `Vector`.
    initial: `(lanes, dtype) -> carry` before the first step.
    step: `(params, carry_tm1, x_t) -> (carry_t, push, pull)`: the step, and its
      linear maps. `push(s [n, *])` is D s `[n, *]`; `pull(e [n, *])` is
      `(e D [n, *], e I [W, *])`.
    touches: `() -> [n, W]` bool, numpy: which entries each weight reaches
      within a step. A function, as it takes a moment the first time.
  """

  fields: tuple[str, ...]
  size: int
  weights: Vector
  initial: Callable[..., Carry]
  step: Callable[[Params, Carry, Source], tuple[Carry, Push, Pull]]
  touches: Callable[[], np.ndarray]


class Rule(NamedTuple):
  """A rule's memory of the influence, S itself or something in its place.

  Attributes:
    start: `(lanes, dtype) -> memory` at the start of a sequence.
    advance: `(params, carry_tm1, x_t, t [*], memory) -> (carry_t, memory)`.
    credit: `(memory, e [n, *]) -> [W, *]`, e S.
  """

  start: Callable[[tuple[int, ...], DTypeLike], Memory]
  advance: Callable[
    [Params, Carry, Source, Array, Memory], tuple[Carry, Memory]
  ]
  credit: Callable[[Memory, Array], Array]


def past(cell: Cell, cut: Collection[str] = ()) -> Past:
  """The `Past` of a cell, found once from the program of its step.

  Args:
    cell: any cell.
    cut: fields of the carry that pass no error back.

  Raises:
    ValueError: no weight has a part in the carry.
  """
  carry = cell.initial_carry((), np.float32)
  x_t = np.zeros(cell.num_inputs, np.float32)
  program = jax.make_jaxpr(cell.step)(cell.mask, carry, x_t).jaxpr
  num_leaves, names = len(jax.tree.leaves(cell.mask)), carry._fields
  is_read = _reached(program, program.outvars)[num_leaves:]
  is_carried = [name not in cut for name in names]
  # Those that no later step reads carry nothing on. Where none is read, the
  # influence on any of them will do.
  is_used = [k and r for k, r in zip(is_carried, is_read, strict=False)]
  is_used = is_used if any(is_used) else is_carried
  fields = tuple(name for name, u in zip(names, is_used, strict=True) if u)
  ends = [out for out, u in zip(program.outvars, is_used, strict=False) if u]
  is_inside = _reached(program, ends)[:num_leaves]
  if not any(is_inside):
    raise ValueError(
      'no weight of this cell has a part in what it carries from step to step: '
      'a rule that goes forwards has nothing to follow; bptt and elman train '
      'its readout'
    )
  weights = vector(cell.mask, is_inside)
  sizes = [len(getattr(carry, name)) for name in fields]

  def unpack(s):
    return dict(zip(fields, jnp.split(s, np.cumsum(sizes)[:-1]), strict=True))

  def step(params, carry_tm1, x_t):
    # Written out: the derivative of picking a column is a scatter, which
    # XLA:CPU runs one element at a time.
    x_t = to_dense(x_t, jax.tree.leaves(params)[0].dtype)

    def move(s_tm1, params):
      carry = carry_tm1._replace(**unpack(s_tm1))
      carry_t, _ = cell.step(params, carry, x_t)
      return pack(fields, carry_t), carry_t

    s_tm1 = pack(fields, carry_tm1)
    _, back, carry_t = jax.vjp(move, s_tm1, params, has_aux=True)

    def push(s):
      return jax.jvp(lambda p: move(p, params)[0], (s_tm1,), (s,))[1]

    def pull(e):
      e_tm1, grads = back(e)
      return e_tm1, weights.flat(grads)

    return carry_t, push, pull

  @functools.cache
  def touches():
    return sparsity.touched(cell, weights, lambda carry: pack(fields, carry))

  return Past(fields, sum(sizes), weights, cell.initial_carry, step, touches)


def _reached(program, ends):
  """Tells which inputs of a jaxpr have a part in one of the outputs `ends`."""
  ids = set(map(id, ends))
  for equation in reversed(program.eqns):
    if not ids.isdisjoint(map(id, equation.outvars)):
      ids.update(map(id, equation.invars))
  return [id(v) in ids for v in program.invars]


def pack(fields: Collection[str], carry: Carry | Mapping[str, Array]) -> Array:
  """The fields of a carry, or of a mapping, as one array `[n, *]`."""
  values = carry if isinstance(carry, Mapping) else carry._asdict()
  return jnp.concatenate([values[name] for name in fields])


def jacobians(
  past: Past, params: Params, carry_tm1: Carry, x_t: Source
) -> tuple[Carry, Array, Array]:
  """One step and its derivatives in full.

  Returns:
    `(carry_t, D [n, n, *], I [n, W, *])`.
  """
  touches = past.touches()
  group = sparsity.groups(touches)
  carry_t, by_carry, columns = jacobians_by_group(
    past, params, carry_tm1, x_t, group
  )
  shape = (*touches.shape, *(1,) * (columns.ndim - 2))
  by_weights = sum(
    jnp.where((touches & (group == g)[:, None]).reshape(shape), part[None], 0)
    for g, part in enumerate(columns)
  )
  return carry_t, by_carry, jnp.asarray(by_weights)


def jacobians_by_group(
  past: Past,
  params: Params,
  carry_tm1: Carry,
  x_t: Source,
  group: np.ndarray,
) -> tuple[Carry, Array, Array]:
  """One step, and its derivatives by weights summed over groups of entries.

  Args:
    past, params, carry_tm1, x_t: as of `jacobians`.
    group: `[n]` of `sparsity.groups`: entries of a group share no weight, so
      that the sum over a group is the derivative of the one that a weight
      reaches. One by one they would make n W numbers, nearly all 0.

  Returns:
    `(carry_t, D [n, n, *], [groups, W, *])`.
  """
  carry_t, _, pull = past.step(params, carry_tm1, x_t)
  lanes = jax.tree.leaves(carry_tm1)[0].shape[1:]
  dtype = jax.tree.leaves(params)[0].dtype
  number = np.arange(max(group, default=0) + 1)

  def expand(rows):
    """`[rows, n, *]` errors from a table of 0 and 1."""
    rows = rows.astype(dtype).reshape(*rows.shape, *(1,) * len(lanes))
    return jnp.broadcast_to(rows, (*rows.shape[:2], *lanes))

  by_carry = jax.vmap(lambda e: pull(e)[0])(expand(np.eye(past.size)))
  columns = jax.vmap(lambda e: pull(e)[1])(expand(number[:, None] == group))
  return carry_t, by_carry, columns


def product(a: Array, b: Array) -> Array:
  """`a b` of matrices `[m, n, *]` and `[n, W, *]`, one product a lane."""
  # Loops start kernels on an accelerator, hundreds a time step; at once it is
  # one, which nowhere has what it sums, and in full precision.
  at_once = lambda a, b: jnp.sum(a[:, :, None] * b[None], axis=1)
  return jax.lax.platform_dependent(a, b, cpu=_in_blocks, default=at_once)


def _in_blocks(a, b):
  num_rows = len(b)
  if num_rows <= _ROWS:
    return _few_rows(a, b)

  def body(i, total):
    # The last rows begin where there are still enough; some were added before.
    start = jnp.minimum(i * _ROWS, num_rows - _ROWS)
    new = start + jnp.arange(_ROWS) >= i * _ROWS
    rows_of_a = jax.lax.dynamic_slice_in_dim(a, start, _ROWS, axis=1)
    rows_of_a = jnp.where(
      new.reshape(1, -1, *(1,) * (a.ndim - 2)), rows_of_a, 0
    )
    rows = jax.lax.dynamic_slice_in_dim(b, start, _ROWS)
    return total + _few_rows(rows_of_a, rows)

  shape = (a.shape[0], *b.shape[1:])
  return jax.lax.fori_loop(
    0, -(-num_rows // _ROWS), body, jnp.zeros(shape, b.dtype)
  )


def _few_rows(a, b):
  # Inside a compiled loop XLA:CPU has no library call for a product, and its
  # own goes down the columns of b from memory. Here a block of columns at a
  # time is in the first cache, and serves every row of a.
  width = b.shape[1]
  block = min(width, max(1, _BLOCK // math.prod(b.shape[2:])))

  def body(i, total):
    # The last block begins where it still has its width.
    start = jnp.minimum(i * block, width - block)
    part = jax.lax.dynamic_slice_in_dim(b, start, block, axis=1)
    row = sum(a[:, i, None] * row[None] for i, row in enumerate(part))
    return jax.lax.dynamic_update_slice_in_dim(total, row, start, axis=1)

  shape = (a.shape[0], *b.shape[1:])
  return jax.lax.fori_loop(
    0, -(-width // block), body, jnp.zeros(shape, b.dtype)
  )


def combine(e: Array, rows: Array) -> Array:
  """`e S`: the sum of the rows `[n, W, *]` weighed by `e` `[n, *]`."""
  zeros = jnp.zeros_like(rows[0])
  return sum((e[i][None] * row for i, row in enumerate(rows)), zeros)


def full(past: Past) -> Rule:
  """The `Rule` that carries S whole, `[n, W, *]`: exact.

  Raises:
    ValueError: S has more numbers than any machine of today can use.
  """
  numbers = past.size * past.weights.size
  if numbers > _MOST_NUMBERS:
    raise ValueError(
      f'the derivatives of {past.size:,} carried numbers by '
      f'{past.weights.size:,} weights are {numbers:,} numbers, more than '
      f'{_MOST_NUMBERS:,}: take fewer units, or a rule that carries less '
      '(bptt, snap1, uoro, eprop)'
    )

  def start(lanes, dtype):
    return jnp.zeros((past.size, past.weights.size, *lanes), dtype)

  def advance(params, carry_tm1, x_t, t, influence):
    del t
    carry_t, by_carry, by_weights = jacobians(past, params, carry_tm1, x_t)
    return carry_t, product(by_carry, influence) + by_weights

  def credit(influence, e):
    return combine(e, influence)

  return Rule(start, advance, credit)
