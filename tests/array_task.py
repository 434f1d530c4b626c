"""A task over given arrays: any inputs, targets and scored steps."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.types import StopRule, Stream, Task


class Arrays(NamedTuple):
  inputs: jax.Array  # [T, I, *]
  targets: jax.Array  # [T, K, *]
  scored: jax.Array  # [T, *]
  length: jax.Array  # [*]


def at(array, t):
  """`array[t]` for `array` `[T, ..., *]` and clocks `t` `[*]`."""
  t = jnp.clip(t, 0, len(array) - 1)
  index = t.reshape((1,) * (array.ndim - t.ndim) + t.shape)
  return jnp.take_along_axis(array, index, axis=0)[0]


def array_task(num_inputs, num_outputs, *, error_at_end):
  def stream(episode):
    return Stream(
      episode.length,
      lambda t: at(episode.inputs, t),
      lambda t: at(episode.targets, t),
      lambda t: at(episode.scored, t),
    )

  def correct(episode, t, y_k):
    error = jnp.abs(at(episode.targets, t).astype(y_k.dtype) - y_k)
    return jnp.all(error < 0.3, axis=0)

  return Task(
    num_inputs,
    num_outputs,
    draw=None,
    fresh=None,
    stream=stream,
    longest=lambda length: length,
    error_at_end=error_at_end,
    output=jax.nn.sigmoid,
    loss=lambda net, target: jnp.sum(
      0.5 * (target - jax.nn.sigmoid(net)) ** 2, axis=0
    ),
    correct=correct,
    stop_rule=StopRule(None, None),
  )


def random_arrays(seed, num_steps, num_inputs, num_outputs, lanes=(), *, end):
  """Random sequences of 1 to `num_steps` steps, nan past their ends."""
  rng = np.random.default_rng(seed)
  length = rng.integers(1, num_steps + 1, lanes)
  inputs = rng.normal(size=(num_steps, num_inputs, *lanes))
  targets = rng.uniform(size=(num_steps, num_outputs, *lanes))
  times = np.arange(num_steps).reshape((-1,) + (1,) * len(lanes))
  scored = times == length - 1
  if not end:
    scored = (rng.uniform(size=(num_steps, *lanes)) < 0.5) & (times < length)
  past = np.broadcast_to((times >= length)[:, None], inputs.shape)
  inputs = np.where(past, 7.0, inputs)
  return Arrays(*map(np.asarray, (inputs, targets, scored, length)))
