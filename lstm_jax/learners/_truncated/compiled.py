"""The streaming form whose steps are code in C++ (`nn.native.truncated`).

Inputs are drawn a block at a time, so that memory does not grow with the
sequence; the error of its last step and what it adds to the gradient are those
of the streaming form.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.learners._truncated import carousel, traces
from lstm_jax.nn.native import library, truncated
from lstm_jax.ops import step
from lstm_jax.ops.arrays import cast, to_dense
from lstm_jax.types import (
  Array,
  Carry,
  Cell,
  Episode,
  Judgement,
  Key,
  OneHot,
  Params,
  Task,
)

# Steps of a call: what a call costs by itself is a hundredth of it then, and
# its inputs stay in the second cache.
_BLOCK = 512
# Lines of a one-hot input up to which it is written out.
_LINES = 16
# Steps that are drawn at once: a sequence draws no more than it has, up to
# these.
_INPUTS_A_BLOCK = 32
# Input lines up to which each is drawn by itself.
_MAX_INPUTS = 2


def refusal(task: Task) -> str | None:
  """Says why steps of a task cannot be compiled code here; None: they can."""
  if task.num_inputs > _LINES and _is_one_hot(task):
    return (
      f'compiled code takes one-hot inputs of at most {_LINES} lines, and this '
      f'task has {task.num_inputs}: use form=streaming'
    )
  if jax.default_backend() != 'cpu':
    return f'compiled code is for CPUs, and this is {jax.default_backend()}'
  return library.why_not()


def _is_one_hot(task):
  def first(key, length):
    return task.stream(task.fresh(key, length)).input_at(jnp.zeros_like(length))

  key = Key(jnp.uint32(0), jnp.uint32(0))
  return isinstance(jax.eval_shape(first, key, jnp.int32(1000)), OneHot)


def compiled_gradient(
  cell: Cell, task: Task, params: Params, episode: Episode
) -> tuple[Params, Judgement]:
  """The gradient of one sequence, its steps in C++.

  Args:
    cell, task, params, episode: as in `streaming_gradient`, where there is no
      `refusal`.

  Returns:
    As `streaming_gradient`.
  """
  stream, (equations, _) = task.stream(episode), carousel.parts_of(cell)
  lanes, dtype = stream.length.shape, jax.tree.leaves(params)[0].dtype
  m = traces.machine(cell, task, episode, dtype)
  packing, carry_0 = _Packing(cell, lanes), cell.initial_carry(lanes, dtype)
  state_and_net = _before_last(cell, task, params, episode, m, packing)

  def end(i, _):
    # Plus 0: what does not depend on i is moved out of the loop.
    state, net = jax.tree.map(lambda a: a + i, state_and_net)
    carry = packing.carry(carry_0, state)
    x_t = cast(stream.input_at(stream.length - 1), dtype)
    loop = traces.Loop(
      carry_tm1=carry,
      net=packing.unflatten(net),
      z=step.hidden_sources(equations, carry, x_t),
      x_tp1=x_t,
      traces=packing.traces(state.traces),
    )
    return traces.gradient_at_end(m, cell, task, params, episode, loop)

  # In a loop it is one function, and not a list of kernels.
  start = jax.tree.map(
    lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(end, 0, None)
  )
  return jax.lax.fori_loop(0, jnp.minimum(m.num_steps, 1), end, start)


def _before_last(cell, task, params, episode, m, packing):
  """`(state, net)` of `truncated.steps` before the last step."""
  stream, (equations, internal) = task.stream(episode), carousel.parts_of(cell)
  weights = step.hidden_weights(equations, params)
  dtype, lanes = weights[1].dtype, stream.length.shape
  carry = cell.initial_carry(lanes, dtype)
  rule = internal.compiled
  assert rule is not None
  w = packing.weights(weights)
  state = truncated.State(
    packing.flatten(getattr(carry, internal.field)),
    packing.flatten(jnp.concatenate(packing.activations(carry))),
    jnp.zeros(packing.of_traces, dtype),
  )
  begin = packing.flatten(m.num_steps - stream.length)
  if stream.drawn is not None:
    drawn = jax.tree.map(
      lambda a: a if isinstance(a, (int, float)) else packing.flatten(a),
      stream.drawn,
    )
    none = jnp.zeros((cell.num_inputs, 0, w.shape[-1]), dtype)
    return truncated.steps(
      rule, packing.heard, w, none, begin, jnp.int32(0), m.num_steps - 1, state,
      drawn,
    )  # fmt: skip

  def draw(i):
    x = jax.vmap(lambda i: to_dense(stream.input_at(m.clock(i)), dtype))(i)
    return packing.flatten(jnp.moveaxis(x, 1, 0))

  def block(b, c):
    state, _, xs = c
    first = b * _BLOCK
    left = jnp.minimum(m.num_steps - first, _BLOCK)

    def inputs_block(lines, j, xs):
      at = j * _INPUTS_A_BLOCK
      drawn = draw(first + at + jnp.arange(_INPUTS_A_BLOCK))[lines]
      zero = jnp.zeros_like(at)
      place = zero + (lines.start or 0), at, zero
      return jax.lax.dynamic_update_slice(xs, drawn, place)

    for lines in packing.lines():
      xs = jax.lax.fori_loop(
        0,
        -(-left // _INPUTS_A_BLOCK),
        functools.partial(inputs_block, lines),
        xs,
      )
    count = jnp.minimum(m.num_steps - 1 - first, _BLOCK)
    state, net = truncated.steps(
      rule, packing.heard, w, xs, begin, first, count, state
    )
    return state, net, xs

  xs = jnp.zeros((cell.num_inputs, _BLOCK, w.shape[-1]), dtype)
  start = state, jnp.zeros_like(w[:, 0]), xs
  return jax.lax.fori_loop(0, -(-m.num_steps // _BLOCK), block, start)[:2]


class _Packing:
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

  def lines(self) -> list[slice]:
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
    by_kind = {}
    parts = jnp.split(self.unflatten(array), len(self.kinds))
    for kind, part in zip(self.kinds, parts, strict=True):
      ends = np.cumsum([self.inputs, *self.sizes[self.silent :]])[:-1]
      x, *recurrent = jnp.split(part[:, 1:], ends, axis=1)
      silent = [
        jnp.zeros((self.cells, size, *self.lanes), part.dtype)
        for size in self.sizes[: self.silent]
      ]
      by_kind[kind] = (x, *silent, *recurrent), part[:, 0]
    return by_kind
