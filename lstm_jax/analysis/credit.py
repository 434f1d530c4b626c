"""Measures how far back a learner looks: the error signal it uses, lag by lag.

`gradient_flow` asks what the error q steps earlier is; this asks what a learner
makes of it. Every step of a sequence gets an input line of its own, which is 1
at that step and 0 at all others, with weights that start at 0. The line changes
nothing in the network, and its weights are used at that step alone: how far one
update moves them is the error signal that the learner has for its units, that
many steps before the error - whatever the learner does inside, and also where
it has no formula for it.
"""

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.arrays import to_dense
from lstm_jax.types import (
  Array,
  Episode,
  Learner,
  LearnerState,
  OneHot,
  Params,
  Task,
)


def probed(task: Task, num_steps: int) -> Task:
  """The task with an input line of its own for every step.

  Args:
    task: any task.
    num_steps: lines, a Python int not below any length.

  Returns:
    The task with I + `num_steps` inputs, its own first. Only the last step of a
    sequence is scored: errors of other steps would reach the same lines.
  """

  def stream(episode):
    stream_of_task = task.stream(episode)

    def input_at(t):
      x_t = stream_of_task.input_at(t)
      x_t = to_dense(x_t) if isinstance(x_t, OneHot) else x_t
      row = jnp.reshape(jnp.arange(num_steps), (-1,) + (1,) * t.ndim)
      return jnp.concatenate([x_t, (row == t[None]).astype(x_t.dtype)])

    return stream_of_task._replace(
      input_at=input_at, scored_at=lambda t: t == stream_of_task.length - 1
    )

  return task._replace(
    num_inputs=task.num_inputs + num_steps, stream=stream, error_at_end=True
  )


def widened(params: Params, mask: Params) -> Params:
  """Weights of a network with more input lines: those of the new ones are 0.

  Args:
    params: `[..., *]` of a cell.
    mask: that of the same cell with more input lines.
  """

  def widen(w, target):
    lanes = w.ndim - np.ndim(target)
    extents = [b - a for a, b in zip(w.shape, np.shape(target), strict=False)]
    return jnp.pad(w, [(0, n) for n in extents] + [(0, 0)] * lanes)

  return jax.tree.map(widen, params, mask)


def by_lag(
  learner: Learner,
  state: LearnerState,
  task: Task,
  episode: Episode,
  num_steps: int,
) -> Array:
  """Size of the error signal that a learner has for its units, by lag.

  Args:
    learner: any learner of a cell with weights `w_x` from its input lines, made
      for `probed(task, num_steps)`.
    state: its state, `[..., *]`, with params as from `widened`.
    task: of `probed`.
    episode: the sequence; the lengths of its stream are `[*]`.
    num_steps: lines and lags.

  Returns:
    `[num_steps, *]`: entry q is the Euclidean norm over hidden units of the
    change of the weights of the line that was on at step T-1-q, T the length;
    zeros past the length. In units of the learner's step: only ratios between
    lags can be compared between learners.
  """
  state_t, _ = learner.update(state, episode)
  w_x, w_x_tm1 = (s.params._asdict()['w_x'] for s in (state_t, state))
  change = w_x - w_x_tm1
  sizes = jnp.sqrt(jnp.sum(change[:, -num_steps:] ** 2, axis=0))
  length = task.stream(episode).length
  lags = jnp.reshape(jnp.arange(num_steps), (-1,) + (1,) * length.ndim)
  t = length[None] - 1 - lags
  at_lag = jnp.take_along_axis(sizes, jnp.maximum(t, 0), axis=0)
  return jnp.where(t >= 0, at_lag, 0)
