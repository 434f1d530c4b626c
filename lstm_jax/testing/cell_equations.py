"""Checks of what a cell says of itself: its equations, its internal state."""

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops import step as step_lib
from lstm_jax.testing.broken import Broken
from lstm_jax.testing.numeric import require_same, weights_of
from lstm_jax.types import Cell


def check_equations(cell: Cell) -> None:
  """Checks that the parts of a step, put together, are the step.

  Raises:
    Broken: they are another one.
  """
  if cell.equations is None or not cell.equations.products:
    return
  params, carry, x_t = _arguments(cell)
  composed = step_lib.step_of(cell.equations, cell.num_outputs)
  require_same(
    'equations give another step than step',
    jax.jit(composed)(params, carry, x_t),
    jax.jit(cell.step)(params, carry, x_t),
  )


def check_internal(cell: Cell) -> None:
  """Checks that an internal state is what the cell says it is.

  Raises:
    Broken: it acts on another entry or less than it hands on, or other rows of
      the net input act on it.
  """
  equations = cell.equations
  if cell.internal is None or equations is None:
    return
  name = cell.internal.field
  params, carry, x_t = _arguments(cell)

  def internal(state, net):
    carry_before = carry._replace(**{name: state})
    return getattr(step_lib.advance(equations, carry_before, net), name)

  @jax.jit
  def slopes(params, carry, x_t):
    w, b = step_lib.hidden_weights(equations, params)
    z = step_lib.hidden_sources(equations, carry, x_t)
    net = step_lib.net_input((w, b), z)
    return jax.jacobian(internal, (0, 1))(getattr(carry, name), net)

  by_state, by_net = map(np.asarray, slopes(params, carry, x_t))
  diagonal = np.diag(by_state)
  if np.any(by_state != np.diag(diagonal)):
    raise Broken(
      f'internal.field {name} is not elementwise: an entry of it acts on '
      'another one step later'
    )
  if np.all(diagonal == 1) != cell.internal.carousel:
    raise Broken(
      f'internal.carousel is {cell.internal.carousel}, and {name} hands on '
      f'{diagonal.min():.3g} to {diagonal.max():.3g} of itself'
    )
  serving = np.zeros(by_net.shape, bool)
  for rows in cell.internal.unit_of_cell.values():
    serving[np.arange(len(by_state)), rows] = True
  if np.any((by_net != 0) != serving):
    raise Broken(
      f'internal.unit_of_cell does not name the rows of the net input that act '
      f'on {name}'
    )


def _arguments(cell):
  """`(params, carry, x_t)` of some step, all drawn."""
  random = np.random.default_rng(3)
  carry = jax.tree.map(
    lambda c: random.uniform(0.1, 0.9, c.shape),
    cell.initial_carry((), np.float64),
  )
  params = jax.tree.map(jnp.asarray, weights_of(cell))
  return params, carry, jnp.asarray(random.normal(size=cell.num_inputs))
