"""A training set: the first sequences that come, kept and shown again."""

import jax
import jax.numpy as jnp

from lstm_jax.ops.prng import Key
from lstm_jax.types import Array, Episode, Task


def empty(task: Task, sequences: int) -> Episode:
  """Room for so many sequences of the task, `[sequences, ...]`."""
  word = jax.ShapeDtypeStruct((), jnp.uint32)
  key = Key._make((word, word))
  number = jax.ShapeDtypeStruct((), jnp.int32)
  data = jax.eval_shape(task.prepare, key, number)
  episode = jax.eval_shape(task.draw, key, number, data)
  return jax.tree.map(
    lambda a: jnp.zeros((sequences, *a.shape), a.dtype), episode
  )


def shown(
  kept: Episode, complete: Array, n: Array, episode: Episode
) -> tuple[Episode, Episode]:
  """Sequence number `n` of the training set; `episode` while it grows.

  Args:
    kept: the training set, `[N, ..., *]`.
    complete: `[*]` bool, whether it takes no more.
    n: `[*]` integers below N.
    episode: the sequence that comes.

  Returns:
    `(kept, sequence)`.
  """
  lanes = n.ndim

  def fill(kept, episode):
    row = jnp.arange(len(kept)).reshape((-1,) + (1,) * lanes)
    here = (row == n[None]) & ~complete[None]
    between = (1,) * (kept.ndim - here.ndim)
    here = here.reshape(here.shape[:1] + between + n.shape)
    return jnp.where(here, episode[None], kept)

  def pick(kept):
    index = jnp.reshape(n, (1,) * (kept.ndim - lanes) + n.shape)
    index = jnp.broadcast_to(index, (1, *kept.shape[1:]))
    return jnp.take_along_axis(kept, index, axis=0, mode='clip')[0]

  kept = jax.lax.cond(
    jnp.all(complete),
    lambda: kept,
    lambda: jax.tree.map(fill, kept, episode),
  )
  return kept, jax.tree.map(pick, kept)
