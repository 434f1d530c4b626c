"""Steps of sequences: a clock for lanes that end together, steps as arrays."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from lstm_jax.ops.arrays import cast, settle
from lstm_jax.types import Array, Sequence, Stream, Task

Tree = TypeVar('Tree')


def clocks(
  stream: Stream, at_once: int | None = None, extra: int = 0
) -> tuple[Array, Callable[[ArrayLike], Array]]:
  """Clocks for a loop in which lanes of different lengths end together.

  A shorter lane starts later, so that the last step is the same iteration for
  all and can be taken out of the loop.

  Args:
    stream: the sequences of all lanes.
    at_once: `Task.steps_at_once`; all lanes then start so much later that
      `loop` takes whole blocks.
    extra: iterations of that loop more than there are steps: -1 where the last
      step is taken out of it.

  Returns:
    `(num_steps, clock)`: iterations, and `i -> t [*]`, negative before a lane
    has started.
  """
  num_steps = jnp.max(stream.length)
  if at_once is not None:
    num_steps = -(-(num_steps + extra) // at_once) * at_once - extra
  return num_steps, lambda i: i - (num_steps - stream.length)


def loop(
  task: Task,
  count: Array,
  body: Callable[[Array, Tree], Tree],
  start: Tree,
) -> Tree:
  """A loop over the steps of a sequence, `Task.steps_at_once` at a time.

  Args:
    task: the task.
    count: iterations: those of `clocks`, `extra` included.
    body: `(i, carry) -> carry`.
    start: the carry before the first one.

  Returns:
    The carry after the last one.
  """
  at_once = task.steps_at_once
  if at_once is None:
    return jax.lax.fori_loop(0, count, body, start)

  def block(j, carry):
    return jax.lax.fori_loop(
      0, at_once, lambda i, c: body(j * at_once + i, c), carry
    )

  return jax.lax.fori_loop(0, count // at_once, block, start)


def settled(task: Task, values: Tree, flag: Array) -> Tree:
  """`settle`, but where it would cost a question, see `Task.steps_at_once`."""
  return values if task.steps_at_once is not None else settle(values, flag)


def materialise(
  task: Task, stream: Stream, num_steps: int, dtype: DTypeLike
) -> Sequence:
  """The stream as arrays: a `Sequence` of `num_steps` steps."""
  lanes = stream.length.shape
  times = jnp.broadcast_to(
    jnp.arange(num_steps).reshape((-1,) + (1,) * len(lanes)),
    (num_steps, *lanes),
  )
  inputs = cast(jax.vmap(stream.input_at)(times), dtype)
  targets = jax.vmap(stream.target_at)(times).astype(dtype)
  if task.error_at_end:
    mask = times == stream.length[None] - 1
  else:
    mask = (times < stream.length[None]) & jax.vmap(stream.scored_at)(times)
  return Sequence(inputs, targets, mask.astype(dtype), stream.length)
