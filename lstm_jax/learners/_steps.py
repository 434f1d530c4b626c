"""Steps of sequences: a clock for lanes that end together, steps as arrays."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from lstm_jax.ops.arrays import cast
from lstm_jax.types import Array, Sequence, Stream, Task


def clocks(stream: Stream) -> tuple[Array, Callable[[ArrayLike], Array]]:
  """Clocks for a loop in which lanes of different lengths end together.

  A shorter lane starts later, so that the last step is the same iteration for
  all and can be taken out of the loop.

  Returns:
    `(num_steps, clock)`: iterations, and `i -> t [*]`, negative before a lane
    has started.
  """
  num_steps = jnp.max(stream.length)
  return num_steps, lambda i: i - (num_steps - stream.length)


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
