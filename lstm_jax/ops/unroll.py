"""The scan over time, and cuts.

`unroll` is the one place where a cell meets a sequence stored as arrays. A
gradient rule is a *cut*: the carry fields that pass no error back from one
step to the one before. No cut is BPTT; every field cut is Elman's rule; the
hidden activations cut and the internal state kept is the 1997 rule.
"""

from collections.abc import Collection

import jax
import jax.numpy as jnp

from lstm_jax.ops.arrays import select
from lstm_jax.types import Array, Carry, Cell, Fields, OneHot, Params, Source


def detach(carry: Fields, cut: Collection[str]) -> Fields:
  """`carry` with no gradient through the fields named in `cut`.

  Raises:
    ValueError: a name in `cut` that is not a field of the carry.
  """
  names = set(cut) - set(carry._fields)
  if names:
    raise ValueError(
      f'cut={sorted(names)} names no field of the carry; '
      f'the fields are {", ".join(carry._fields)}'
    )
  return carry._replace(
    **{name: jax.lax.stop_gradient(getattr(carry, name)) for name in cut}
  )


def unroll(
  cell: Cell,
  params: Params,
  inputs: Source,
  length: Array | None = None,
  carry: Carry | None = None,
  cut: Collection[str] = (),
  window: int | None = None,
) -> tuple[Carry, Array]:
  """Runs `cell` over a sequence stored as arrays.

  Args:
    cell: the cell.
    params: its weights, `[..., *]` or without lanes (shared by all).
    inputs: `[T, I, *]`, or a `OneHot` with `index` `[T, *]`.
    length: `[*]` integers; past it the carry stays as it is and the outputs
      are zero. None: T everywhere.
    carry: the carry to start from; None: the cell's initial carry.
    cut: carry fields that pass no error back.
    window: steps that an error travels back; the carry is detached whole
      before steps 0, window, 2 window, ... counted from the *last* step, so
      that an error at the end passes through exactly `window` steps. None: no
      limit.

  Returns:
    `(carry, nets)`: the carry after the last step and the net inputs of the
    output units, `[T, K, *]`.

  Raises:
    ValueError: an unknown name in `cut`, a window below 1.

  Example:
    >>> import jax, jax.numpy as jnp, lstm_jax as lj
    >>> cell = lj.srn(2, 1, hidden=3)
    >>> params = cell.init(jax.random.key(0))
    >>> carry, nets = lj.unroll(cell, params, jnp.ones((5, 2)))
    >>> carry.h.shape, nets.shape
    ((3,), (5, 1))
  """
  if isinstance(inputs, OneHot):
    num_steps, *axes = inputs.index.shape
    dtype = jax.tree.leaves(params)[0].dtype
  else:
    num_steps, _, *axes = inputs.shape
    dtype = inputs.dtype
  lanes = tuple(axes)
  if window is not None and window < 1:
    raise ValueError(f'window={window} must be at least 1')
  if carry is None:
    carry = cell.initial_carry(lanes, dtype)
  detach(carry, cut)  # names checked once, also for T = 0
  steps = jnp.arange(num_steps)
  end = num_steps if length is None else length

  def body(carry_before, step):
    t, x_t = step
    carry_tm1 = detach(carry_before, cut)
    if window is not None:
      # Counted from the end of each lane's own sequence.
      is_cut = jnp.broadcast_to((end - t) % window == 0, lanes)
      carry_tm1 = select(is_cut, jax.lax.stop_gradient(carry_tm1), carry_tm1)
    carry_t, net_t = cell.step(params, carry_tm1, x_t)
    if length is not None:
      active = t < length
      carry_t = select(active, carry_t, carry_before)
      net_t = select(active, net_t, jnp.zeros_like(net_t))
    return carry_t, net_t

  return jax.lax.scan(body, carry, (steps, inputs))
