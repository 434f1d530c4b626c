"""A training set: the first sequences that come, kept and shown again."""

import jax
import jax.numpy as jnp

from lstm_jax.ops.prng import Key
from lstm_jax.types import Array, Episode, Task


def empty_set(task: Task, sequences: int) -> Episode:
  """Room for so many sequences of the task, `[sequences, ...]`."""
  word = jax.ShapeDtypeStruct((), jnp.uint32)
  key = Key._make((word, word))
  number = jax.ShapeDtypeStruct((), jnp.int32)
  data = jax.eval_shape(task.prepare, key, number)
  episode = jax.eval_shape(task.draw, key, number, data)
  return jax.tree.map(
    lambda a: jnp.zeros((sequences, *a.shape), a.dtype), episode
  )


def show(
  training_set: Episode, is_full: Array, n: Array, episode: Episode
) -> tuple[Episode, Episode]:
  """Sequence number `n` of the training set; `episode` while it grows.

  Args:
    training_set: the training set, `[N, ..., *]`.
    is_full: `[*]` bool, whether it takes no more.
    n: `[*]` integers below N.
    episode: the sequence that comes.

  Returns:
    `(training_set, sequence)`.
  """
  lanes = n.ndim

  def fill(training_set, episode):
    row = jnp.arange(len(training_set)).reshape((-1,) + (1,) * lanes)
    place = (row == n[None]) & ~is_full[None]
    between = (1,) * (training_set.ndim - place.ndim)
    place = place.reshape(place.shape[:1] + between + n.shape)
    return jnp.where(place, episode[None], training_set)

  def pick(training_set):
    index = jnp.reshape(n, (1,) * (training_set.ndim - lanes) + n.shape)
    index = jnp.broadcast_to(index, (1, *training_set.shape[1:]))
    return jnp.take_along_axis(training_set, index, axis=0, mode='clip')[0]

  training_set = jax.lax.cond(
    jnp.all(is_full),
    lambda: training_set,
    lambda: jax.tree.map(fill, training_set, episode),
  )
  return training_set, jax.tree.map(pick, training_set)
