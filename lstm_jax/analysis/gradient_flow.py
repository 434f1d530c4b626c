"""The error that flows back: what the last step's error is, q steps earlier.

Hochreiter & Schmidhuber (1997), section 3.1 (conventional nets, where it
vanishes or blows up) and appendix A.2, eq. (41) (memory cells under their rule,
where it does neither).
"""

from collections.abc import Collection

import jax
import jax.numpy as jnp

from lstm_jax.ops.arrays import cast, select
from lstm_jax.ops.unroll import detach
from lstm_jax.types import Array, Carry, Cell, Episode, Params, Task


def error_by_lag(
  cell: Cell,
  task: Task,
  params: Params,
  episode: Episode,
  num_steps: int,
  *,
  cut: Collection[str] = (),
) -> Carry:
  """The error of the last step by the carry of each step before it.

    e(q) = dE(T) / d carry(T-1-q),  q = 0, 1, ...

  with E(T) the error of the last step, T, and carry(t) the state after step t.
  The last step starts from carry(T-1), where the error enters the recurrence:
  e(0). Each lag more is one step travelled back inside the network.

  Args:
    cell, task: any cell, any task.
    params: `[..., *]`.
    episode: the sequence; the lengths of its stream are `[*]`.
    num_steps: lags, a Python int not below any length.
    cut: carry fields that pass no error back, as in `unroll`; the errors of
      these are 0.

  Returns:
    A carry of arrays `[num_steps, C, *]`, lag first, in the dtype of `params`.
    The last lag at which a sequence has an error is its length - 1, where the
    initial carry is; past it there are zeros.

  Raises:
    ValueError: an unknown name in `cut`.

  Example:
    >>> import jax, jax.numpy as jnp, lstm_jax as lj
    >>> task, cell = lj.adding(), lj.srn(2, 1, hidden=3)
    >>> params = cell.init(jax.random.key(0))
    >>> words = jax.random.key_data(jax.random.key(1))
    >>> episode = task.draw(lj.Key(*words), jnp.int32(10))
    >>> errors = lj.error_by_lag(cell, task, params, episode, 11)
    >>> errors.h.shape, lj.error_size(errors).shape
    ((11, 3), (11,))
  """
  stream = task.stream(episode)
  dtype = jax.tree.leaves(params)[0].dtype
  start = cell.initial_carry(stream.length.shape, dtype)
  detach(start, cut)  # names checked once, also for no steps
  last = stream.length - 1

  def error(nudges):
    # The derivative by something that is added to the carry is the carry's.
    def body(carry_tm1, step):
      q, nudge = step
      t = last - q
      nudged = detach(jax.tree.map(jnp.add, carry_tm1, nudge), cut)
      x_t = cast(stream.input_at(jnp.maximum(t, 0)), dtype)
      carry_t, net_k = cell.step(params, nudged, x_t)
      # A shorter sequence starts later: all end together, at lag 0.
      return select(t >= 0, carry_t, carry_tm1), net_k

    lags = jnp.arange(num_steps, dtype=last.dtype)
    _, nets = jax.lax.scan(body, start, (lags, nudges), reverse=True)
    return jnp.sum(task.loss(nets[0], stream.target_at(last).astype(dtype)))

  nothing = jax.tree.map(
    lambda field: jnp.zeros((num_steps, *field.shape), dtype), start
  )
  return jax.grad(error)(nothing)


def error_size(errors: Carry, fields: Collection[str] | None = None) -> Array:
  """Euclidean norm of errors by lag.

  Args:
    errors: of `error_by_lag`.
    fields: names of the carry fields that count; None: all.

  Returns:
    `[num_steps, *]`.

  Example:
    >>> import jax.numpy as jnp, lstm_jax as lj
    >>> carry = type(lj.initial_state(lj.srn(2, 1)))
    >>> lj.error_size(carry(jnp.full((5, 4), 0.5))).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
  """
  fields = errors._fields if fields is None else fields
  squares = (jnp.sum(getattr(errors, name) ** 2, axis=1) for name in fields)
  return jnp.sqrt(sum(squares))


def logistic_bound(w: Array, lags: Array) -> Array:
  """Bounds what an error is multiplied by in a network of logistic units.

    n (n w_max / 4)^q

  since f' <= 1/4: below w_max = 4/n it vanishes, whatever the inputs are.

  Args:
    w: `[n, n, *]`, the recurrent weights.
    lags: `[Q]`, steps q.

  Returns:
    `[Q, *]`.

  Source: Hochreiter & Schmidhuber (1997), section 3.1.
  """
  n = len(w)
  rate = n * jnp.max(jnp.abs(w), axis=(0, 1)) / 4
  lags = jnp.reshape(lags, (-1,) + (1,) * rate.ndim)
  return n * rate[None] ** lags
