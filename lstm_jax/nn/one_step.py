"""One step of a layer: for agents, and for data that comes bit by bit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from lstm_jax.nn._values import as_array, as_real, check_count
from lstm_jax.nn.dropout import Noise
from lstm_jax.nn.equations import equations_of
from lstm_jax.nn.layer import layer
from lstm_jax.types import Array, Carry, Cell, Params


class StepRun(NamedTuple):
  """Outputs of one step.

  Attributes:
    y: `[B, C]` or `[C]`, the layer's outputs.
    state: the state after it, fields `[B, C]` or `[C]`: the next step's.
    gates: name -> `[B, ...]`, activations inside the cell; None if not asked
      for.
  """

  y: Array
  state: Carry
  gates: dict[str, Array] | None = None


def initial_state(
  cell: Cell, batch: int | None = None, dtype: DTypeLike = jnp.float32
) -> Carry:
  """The state with which sequences start, as layers have it.

  Args:
    cell: any cell.
    batch: B; None: one sequence.
    dtype: of the arrays.

  Returns:
    The carry, fields `[B, C]` or `[C]`.

  Raises:
    ValueError: a `batch` that is no integer of at least 1; not a `Cell`.

  Example:
    >>> import lstm_jax as lj
    >>> lj.initial_state(lj.gru(3, 0, hidden=8), batch=2).h.shape
    (2, 8)
  """
  equations_of(cell)  # says what is no cell
  if batch is None:
    return cell.initial_carry((), dtype)
  check_count('batch', batch)
  carry = cell.initial_carry((batch,), dtype)
  return jax.tree.map(lambda field: jnp.moveaxis(field, -1, 0), carry)


def layer_step(
  cell: Cell,
  params: Params,
  x: ArrayLike,
  state: Carry | None = None,
  *,
  initial: Carry | None = None,
  reset: ArrayLike | None = None,
  noise: Noise | None = None,
  gates: bool = False,
) -> StepRun:
  """Runs the hidden layer of a cell for one step.

  The same function as `layer` over one step: T calls, each with the state of
  the one before, give what `layer` gives for the whole sequence, and so do
  their gradients. Meant to be called inside of `jax.jit` or `jax.lax.scan`, as
  a policy that meets its environment there.

  Args:
    cell: any cell; its output units play no part.
    params: its weights, without lanes.
    x: `[B, I]` or `[I]`, the inputs of this step.
    state: the state before it, fields `[B, C]` or `[C]`; None: `initial`.
    initial: the state of a start and of a reset, fields `[C]`; None: the
      cell's.
    reset: `[B]` or scalar bool: the state is `initial` before this step, as
      where an episode has ended.
    noise: masks for dropout and zoneout, `keep` with T = 1.
    gates: whether to give the activations inside the cell.

  Returns:
    A `StepRun`.

  Raises:
    ValueError: arrays whose structure, shape or dtype does not fit the cell.

  Example:
    >>> import jax, jax.numpy as jnp, lstm_jax as lj
    >>> cell = lj.lstm(3, 0, hidden=8)
    >>> params = cell.init(jax.random.key(0))
    >>> state = lj.initial_state(cell, batch=2)
    >>> xs = jnp.ones((5, 2, 3))
    >>> for x in xs:
    ...   y, state, _ = lj.layer_step(cell, params, x, state)
    >>> bool(jnp.allclose(y, lj.layer(cell, params, xs).ys[-1], atol=1e-6))
    True
  """
  equations_of(cell)
  form = f'[B, {cell.num_inputs}] or [{cell.num_inputs}]'
  x = as_real('x', x, form)
  if x.ndim not in (1, 2) or x.shape[-1] != cell.num_inputs:
    raise ValueError(f'x has shape {x.shape}; must be {form}')
  if reset is not None:
    reset = as_array('reset', reset, f'bool of shape {x.shape[:-1]}')
    if reset.shape != x.shape[:-1]:
      raise ValueError(f'reset has shape {reset.shape}; must be {x.shape[:-1]}')
    reset = reset[None]
  result = layer(
    cell, params, x[None], state=state, initial=initial, reset=reset,
    noise=noise, gates=gates,
  )  # fmt: skip
  assert result.ys is not None  # they were asked for
  of_step = result.gates and {
    name: gate[0] for name, gate in result.gates.items()
  }
  return StepRun(result.ys[0], result.last, of_step)
