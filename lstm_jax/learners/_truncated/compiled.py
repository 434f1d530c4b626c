"""The streaming form whose steps are code in C++ (`nn.native.truncated`).

Inputs are drawn a block at a time, so that memory does not grow with the
sequence; the error of its last step and what it adds to the gradient are those
of the streaming form. Where every step has an error: `every_step`.
"""

import jax
import jax.numpy as jnp

from lstm_jax.learners import _steps
from lstm_jax.learners._truncated import carousel, every_step, traces
from lstm_jax.learners._truncated.packing import Packing
from lstm_jax.nn.native import library, truncated
from lstm_jax.ops import parts, step
from lstm_jax.ops.arrays import cast, to_dense
from lstm_jax.types import (
  Array,
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
  return library.why_never() or library.why_not()


def is_one_call(task: Task) -> bool:
  """Tells whether all steps of a sequence but its last are one call of C++."""
  return task.error_at_end and parts.OF_TASKS['drawn_inputs'](task)


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
  if task.stream(episode).drawn is not None:
    steps = truncated.run_steps(prepare_steps(cell, task, params, episode))
    state_and_net = steps.state, steps.net
  else:
    state_and_net = _steps_in_blocks(cell, task, params, episode)
  return gradient_at_end(cell, task, params, episode, *state_and_net)


def prepare_steps(
  cell: Cell, task: Task, params: Params, episode: Episode
) -> truncated.PreparedSteps:
  """All steps of a sequence but its last, for `truncated.run_steps`.

  Args:
    cell, task, params, episode: as in `streaming_gradient`, of a task whose
      last step alone is scored and whose inputs C++ draws.
  """
  stream = task.stream(episode)
  packing = Packing(cell, stream.length.shape)
  (rule, heard, w), begin, state = _start(cell, packing, params, stream)
  drawn = jax.tree.map(
    lambda a: a if isinstance(a, (int, float)) else packing.flatten(a),
    stream.drawn,
  )
  none = jnp.zeros((cell.num_inputs, 0, w.shape[-1]), w.dtype)
  count = jnp.max(stream.length) - 1
  return truncated.prepare_steps(
    rule, heard, w, none, begin, jnp.int32(0), count, state, drawn
  )


def gradient_at_end(
  cell: Cell,
  task: Task,
  params: Params,
  episode: Episode,
  state: truncated.State,
  net: Array,
) -> tuple[Params, Judgement]:
  """`compiled_gradient` of a sequence whose steps but the last are taken.

  Args:
    cell, task, params, episode: as there, of a task whose last step alone is
      scored.
    state, net: of `truncated.steps`, after them.
  """
  stream, (equations, _) = task.stream(episode), carousel.parts_of(cell)
  lanes, dtype = stream.length.shape, jax.tree.leaves(params)[0].dtype
  m = traces.machine(cell, task, episode, dtype)
  packing, carry_0 = Packing(cell, lanes), cell.initial_carry(lanes, dtype)

  def end(i, _):
    # Plus 0: what does not depend on i is moved out of the loop.
    state_i, net_i = jax.tree.map(lambda a: a + i, (state, net))
    carry = packing.carry(carry_0, state_i)
    x_t = cast(stream.input_at(stream.length - 1), dtype)
    loop = traces.Loop(
      carry_tm1=carry,
      net=packing.unflatten(net_i),
      z=step.hidden_sources(equations, carry, x_t),
      x_tp1=x_t,
      traces=packing.traces(state_i.traces),
    )
    return traces.gradient_at_end(m, cell, task, params, episode, loop)

  # In a loop it is one function, and not a list of kernels.
  start = jax.tree.map(
    lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(end, 0, None)
  )
  return jax.lax.fori_loop(0, jnp.minimum(m.num_steps, 1), end, start)


def _start(cell, packing, params, stream):
  """`((rule, heard, w), begin, state)`, as `truncated.steps` takes them."""
  equations, internal = carousel.parts_of(cell)
  weights = step.hidden_weights(equations, params)
  carry = cell.initial_carry(stream.length.shape, weights[1].dtype)
  begin = packing.flatten(jnp.max(stream.length) - stream.length)
  net = internal.compiled, packing.heard, packing.weights(weights)
  return net, begin, packing.start(carry)


def _steps_in_blocks(cell, task, params, episode):
  """`(state, net)` before the last step, of inputs that XLA draws."""
  stream = task.stream(episode)
  packing = Packing(cell, stream.length.shape)
  (rule, heard, w), begin, state = _start(cell, packing, params, stream)
  num_steps, clock = _steps.clocks(stream)

  def input_at(i):
    return to_dense(stream.input_at(clock(i)), w.dtype)

  def block(b, c):
    state, _, xs = c
    first = b * _BLOCK
    left = jnp.minimum(num_steps - first, _BLOCK)
    xs = packing.draw_inputs(input_at, first, left, xs)
    count = jnp.minimum(num_steps - 1 - first, _BLOCK)
    state, net = truncated.steps(rule, heard, w, xs, begin, first, count, state)
    return state, net, xs

  xs = jnp.zeros((cell.num_inputs, _BLOCK, w.shape[-1]), w.dtype)
  start = state, jnp.zeros_like(w[:, 0]), xs
  return jax.lax.fori_loop(0, -(-num_steps // _BLOCK), block, start)[:2]
