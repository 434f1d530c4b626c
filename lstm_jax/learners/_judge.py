"""Judgements of outputs: step by step, of stored ones, by a forward run."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from lstm_jax.learners import _steps
from lstm_jax.ops.arrays import cast, select
from lstm_jax.types import (
  Array,
  Cell,
  Episode,
  Judgement,
  Params,
  Stream,
  Task,
)


def squared_error(task: Task, target: Array, net_k: Array) -> Array:
  """The mean squared error of one step's outputs, `[*]`.

  Args:
    task: the task.
    target: `[K, *]`.
    net_k: net inputs of the output units, `[K, *]`.
  """
  error = target - task.output(net_k)
  return jnp.mean(error * error, axis=0)


class Tally(NamedTuple):
  """A judgement in the making, over the scored steps so far."""

  right: Array  # [*] bool
  absolute: Array  # [*] sum of mean absolute errors
  squared: Array  # [*] sum of mean squared errors
  steps: Array  # [*] scored steps


def no_tally(lanes: tuple[int, ...], dtype: DTypeLike) -> Tally:
  """The tally before the first step."""
  zeros = jnp.zeros(lanes, dtype)
  return Tally(jnp.ones(lanes, bool), zeros, zeros, zeros)


def is_scored(stream: Stream, t: Array) -> Array:
  """Tells whether step `t` `[*]` is one of the sequence that is scored."""
  return (t >= 0) & (t < stream.length) & stream.scored_at(t)


def tally_step(
  tally: Tally,
  task: Task,
  stream: Stream,
  episode: Episode,
  t: Array,
  net_k: Array,
) -> Tally:
  """The tally after step `t` `[*]` with output net inputs `net_k` `[K, *]`.

  Steps outside the sequence and steps that are not scored change nothing.
  """
  counts = is_scored(stream, t)
  y_k = task.output(net_k)
  error = stream.target_at(t).astype(y_k.dtype) - y_k
  add = lambda total, new: total + jnp.where(counts, new, 0)
  return Tally(
    tally.right & (task.correct(episode, t, y_k) | ~counts),
    add(tally.absolute, jnp.mean(jnp.abs(error), axis=0)),
    add(tally.squared, jnp.mean(error * error, axis=0)),
    add(tally.steps, 1.0),
  )


def judgement_of(tally: Tally) -> Judgement:
  """The judgement of a finished tally."""
  steps = jnp.maximum(tally.steps, 1)
  return Judgement(tally.right, tally.absolute / steps, tally.squared / steps)


def judge_sequence(
  task: Task, stream: Stream, episode: Episode, nets: Array
) -> Judgement:
  """The judgement of stored outputs `nets` `[T, K, *]`."""

  def body(tally, step):
    t, net_k = step
    t = jnp.broadcast_to(t, stream.length.shape)
    return tally_step(tally, task, stream, episode, t, net_k), None

  start = no_tally(stream.length.shape, nets.dtype)
  tally, _ = jax.lax.scan(body, start, (jnp.arange(len(nets)), nets))
  return judgement_of(tally)


def judge_forward(
  cell: Cell, task: Task, params: Params, episode: Episode
) -> Judgement:
  """The judgement of a sequence by a forward run that stores nothing.

  Any cell, lanes of any lengths; what the criterion's test needs.

  Args:
    cell, task: the network and the task.
    params: `[..., *]`.
    episode: a sequence of the task.

  Returns:
    The `Judgement`, `[*]` each.

  Example:
    >>> import jax, jax.numpy as jnp, lstm_jax as lj
    >>> task, cell = lj.adding(), lj.gru(2, 1)
    >>> key = lj.Key(jnp.uint32(1), jnp.uint32(2))
    >>> episode = task.draw(key, jnp.int32(5), ())
    >>> params = cell.init(jax.random.key(0))
    >>> lj.judge_forward(cell, task, params, episode).squared.shape
    ()
  """
  stream = task.stream(episode)
  lanes = stream.length.shape
  dtype = jax.tree.leaves(params)[0].dtype
  num_steps, clock = _steps.clocks(stream, task.steps_at_once, -1)
  input_at = lambda t: cast(stream.input_at(t), dtype)

  def body(i, c):
    carry_tm1, tally = c
    t = clock(i)
    carry_t, net_k = cell.step(params, carry_tm1, input_at(t))
    carry_t = select(t >= 0, carry_t, carry_tm1)
    if not task.error_at_end:
      tally = tally_step(tally, task, stream, episode, t, net_k)
    return carry_t, tally

  start = (cell.initial_carry(lanes, dtype), no_tally(lanes, dtype))
  carry, tally = _steps.loop(task, num_steps - 1, body, start)
  t = stream.length - 1
  _, net_k = cell.step(params, carry, input_at(t))
  return judgement_of(tally_step(tally, task, stream, episode, t, net_k))
