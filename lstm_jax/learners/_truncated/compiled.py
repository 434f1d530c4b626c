"""The streaming form whose steps are code in C++ (`nn.native.truncated`).

Inputs are drawn a block at a time, so that memory does not grow with the
sequence; the error of its last step and what it adds to the gradient are those
of the streaming form. Where every step has an error: `every_step`.
"""

import jax
import jax.numpy as jnp

from lstm_jax.learners._truncated import carousel, every_step, traces
from lstm_jax.learners._truncated.packing import Packing
from lstm_jax.nn.native import library, truncated
from lstm_jax.ops import step
from lstm_jax.ops.arrays import cast, to_dense
from lstm_jax.types import (
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
  if not task.error_at_end:
    return every_step.compiled_gradient(cell, task, params, episode)
  stream, (equations, _) = task.stream(episode), carousel.parts_of(cell)
  lanes, dtype = stream.length.shape, jax.tree.leaves(params)[0].dtype
  m = traces.machine(cell, task, episode, dtype)
  packing, carry_0 = Packing(cell, lanes), cell.initial_carry(lanes, dtype)
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
  state = packing.start(carry)
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

  def input_at(i):
    return to_dense(stream.input_at(m.clock(i)), dtype)

  def block(b, c):
    state, _, xs = c
    first = b * _BLOCK
    left = jnp.minimum(m.num_steps - first, _BLOCK)
    xs = packing.draw_inputs(input_at, first, left, xs)
    count = jnp.minimum(m.num_steps - 1 - first, _BLOCK)
    state, net = truncated.steps(
      rule, packing.heard, w, xs, begin, first, count, state
    )
    return state, net, xs

  xs = jnp.zeros((cell.num_inputs, _BLOCK, w.shape[-1]), dtype)
  start = state, jnp.zeros_like(w[:, 0]), xs
  return jax.lax.fori_loop(0, -(-m.num_steps // _BLOCK), block, start)[:2]
