"""The places of a cell's arrays in those of the compiled steps."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.learners._truncated import carousel
from lstm_jax.nn.native import truncated
from lstm_jax.ops import step
from lstm_jax.types import Array, Carry, Cell

# Input lines up to which each is drawn by itself.
_MAX_INPUTS = 2
# Steps that are drawn at once: a sequence draws no more than it has, up to
# these.
INPUTS_A_BLOCK = 32


class Packing:
  """The places of a cell's arrays in those of the compiled steps."""

  def __init__(self, cell: Cell, lanes: tuple[int, ...]) -> None:
    equations, self.internal = carousel.parts_of(cell)
    mask, carry = cell.mask._asdict(), cell.initial_carry((), np.float32)
    self.lanes = lanes
    self.names = [c.activations for c in equations.recurrent]
    self.sizes = [len(getattr(carry, name)) for name in self.names]
    # Those that some unit hears, and all behind them.
    any_of = [bool(np.any(mask[c.weights])) for c in equations.recurrent]
    self.silent = any_of.index(True) if any(any_of) else len(any_of)
    self.heard = sum(self.sizes[self.silent :])
    self.inputs = cell.num_inputs
    self.kinds = [k for k in truncated.KINDS if k in self.internal.unit_of_cell]
    self.cells = len(getattr(carry, self.internal.field))
    sources = 1 + self.inputs + self.heard
    self.of_traces = (
      len(self.kinds) * self.cells, sources, math.prod(lanes)
    )  # fmt: skip

  def draw_inputs(
    self,
    input_at: Callable[[Array], Array],
    first: Array,
    count: Array,
    xs: Array,
  ) -> Array:
    """Draws the inputs of some steps, `xs` `[I, N, L]` with them.

    Args:
      input_at: `i -> [I, *lanes]`, a step's.
      first: the first of the steps.
      count: how many, at most N; some more may be drawn.
      xs: the array before.
    """

    def draw(i):
      return self.flatten(jnp.moveaxis(jax.vmap(input_at)(i), 1, 0))

    def some_inputs(lines, j, xs):
      at = j * INPUTS_A_BLOCK
      drawn = draw(first + at + jnp.arange(INPUTS_A_BLOCK))[lines]
      zero = jnp.zeros_like(at)
      place = zero + (lines.start or 0), at, zero
      return jax.lax.dynamic_update_slice(xs, drawn, place)

    for lines in self._lines():
      xs = jax.lax.fori_loop(
        0,
        -(-count // INPUTS_A_BLOCK),
        functools.partial(some_inputs, lines),
        xs,
      )
    return xs

  def _lines(self):
    """Lists the input lines that are drawn at once.

    Few are drawn one by one, in loops of their own: the compiler would else
    draw each number once a line.
    """
    if self.inputs > _MAX_INPUTS:
      return [slice(None)]
    return [slice(k, k + 1) for k in range(self.inputs)]

  def flatten(self, array: Array) -> Array:
    """Joins the axes of the lanes."""
    axes = array.shape[: array.ndim - len(self.lanes)]
    return array.reshape(*axes, math.prod(self.lanes))

  def steps_last(self, array: Array) -> Array:
    """`[N, R, *lanes]` as `[R, N, L]`."""
    return self.flatten(jnp.moveaxis(array, 0, 1))

  def unflatten(self, array: Array) -> Array:
    """Gives the lanes their own axes back."""
    return array.reshape(*array.shape[:-1], *self.lanes)

  def activations(self, carry: Carry) -> list[Array]:
    """Lists what a step hands to the next, `[S_i, *]`."""
    return [getattr(carry, name) for name in self.names]

  def weights(self, weights: step.Weights) -> Array:
    """Weights side by side, as `truncated.steps` takes them."""
    (w_x, *w), b = weights
    parts = b[:, None], w_x, *w[self.silent :]
    return self.flatten(jnp.concatenate(parts, axis=1))

  def start(self, carry: Carry) -> truncated.State:
    """The state of a carry before the first step."""
    s = self.flatten(getattr(carry, self.internal.field))
    y = self.flatten(jnp.concatenate(self.activations(carry)))
    return truncated.State(s, y, jnp.zeros(self.of_traces, s.dtype))

  def carry(self, carry: Carry, state: truncated.State) -> Carry:
    """The carry of a state."""
    ends = np.cumsum(self.sizes)[:-1]
    parts = zip(
      self.names, jnp.split(self.unflatten(state.y), ends), strict=True
    )
    fields = {self.internal.field: self.unflatten(state.s), **dict(parts)}
    return carry._replace(**fields)

  def traces(self, array: Array) -> dict[str, step.Weights]:
    """Traces as `Loop` has them, zeros for what nobody hears."""
    parts = jnp.split(self.unflatten(array), len(self.kinds))
    return dict(zip(self.kinds, map(self._by_source, parts), strict=True))

  def hidden(self, array: Array) -> step.Weights:
    """Rows like the weights of hidden units, in their own places."""
    return self._by_source(self.unflatten(array))

  def _by_source(self, rows):
    """Rows `[R, S, *]` as weights, zeros for what nobody hears."""
    ends = np.cumsum([self.inputs, *self.sizes[self.silent :]])[:-1]
    x, *recurrent = jnp.split(rows[:, 1:], ends, axis=1)
    silent = [
      jnp.zeros((len(rows), size, *self.lanes), rows.dtype)
      for size in self.sizes[: self.silent]
    ]
    return (x, *silent, *recurrent), rows[:, 0]
