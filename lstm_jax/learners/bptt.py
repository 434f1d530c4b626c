"""Back-propagation through time, whole or truncated to a window.

Rumelhart, Hinton & Williams (1986); truncated: Williams & Peng (1990).
"""

from collections.abc import Collection

import jax
import jax.numpy as jnp

from lstm_jax.learners import _descend, _judge, _steps
from lstm_jax.learners._optimizer import Optimizer
from lstm_jax.learners._restarts import LAST_STEP_ALONE, Restart, restarting
from lstm_jax.ops.arrays import differentiable
from lstm_jax.ops.checked import Count, Positive, checked
from lstm_jax.ops.unroll import unroll
from lstm_jax.types import Cell, Episode, Judgement, Learner, Params, Task

NUMBERS = {'learning_rate': 0.1}
TASK_NEEDS = {'error_at_end': LAST_STEP_ALONE}
PROVIDES = {
  'exact_gradient': {'window': None, 'optimizer': 'sgd', 'restart': 'never'}
}
# The arrays of the forward pass are as long as the longest sequence.
STATIC = ('length',)


@checked
def bptt(
  cell: Cell,
  task: Task,
  *,
  length: int,
  window: Count | None = None,
  optimizer: Optimizer = 'sgd',
  restart: Restart = 'never',
  restart_sequences: Count = 2000,
  restart_ratio: Positive = 0.7,
) -> Learner:
  """Back-propagation through time over the whole sequence or a window of it.

  The gradient of the summed error by automatic differentiation. With a window
  w the carry is detached before every w-th step counted from the end of the
  sequence, so that the error of the last step passes through exactly w steps:
  w = 1 is Elman's rule, w at least the sequence length is the full gradient.

  Args:
    cell: any cell.
    task: the task, for its error and its sequences.
    length: the task's T, which sizes the stored forward pass.
    window: steps that an error travels back; None: all of them.
    optimizer: what turns the gradient into an update: a name, or a
      transformation of optax with a learning rate of its own.
    restart: 'without_progress' gives a trial new weights where its mean squared
      error over the second half of `restart_sequences` is above `restart_ratio`
      of the variance of the targets (a learner of long lags; not the paper's).

  Returns:
    The learner: one update a sequence.

  Raises:
    ValueError: a window below 1, an unknown optimizer.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding()
    >>> cell = lj.srn(2, 1, hidden=4)
    >>> learner = lj.bptt(cell, task, length=10, window=5)
    >>> sorted(learner._fields)
    ['extra_weights', 'foreign', 'init', 'judge', 'update']
  """
  num_steps = task.longest(length)

  def gradient(params, episode):
    return through_time(cell, task, params, episode, num_steps, window=window)

  def judge(params, episode):
    return _judge.judge_forward(cell, task, params, episode)

  learner = _descend.descend(cell, gradient, judge, optimizer)
  return restarting(learner, task, restart, restart_sequences, restart_ratio)


def through_time(
  cell: Cell,
  task: Task,
  params: Params,
  episode: Episode,
  num_steps: int,
  *,
  window: int | None = None,
  cut: Collection[str] = (),
) -> tuple[Params, Judgement]:
  """The gradient of one sequence by automatic differentiation.

  Args:
    cell, task: the network and the task.
    params: `[..., *]`.
    episode: the sequence; the lengths of its stream are `[*]`.
    num_steps: length of the arrays, a Python int not below any length.
    window: steps that an error travels back; None: all.
    cut: carry fields that pass no error back, see `unroll`.

  Returns:
    `(grads, judgement)`: dE/dw, E the sum of `task.loss` over scored steps,
    and the judgement of the outputs.
  """
  stream = task.stream(episode)
  dtype = jax.tree.leaves(params)[0].dtype
  sequence = _steps.materialise(task, stream, num_steps, dtype)
  inputs = jax.vmap(lambda x_t: differentiable(x_t, dtype))(sequence.inputs)

  def error(params):
    _, nets = unroll(
      cell, params, inputs, stream.length, cut=cut, window=window
    )
    losses = jax.vmap(task.loss)(nets, sequence.targets)
    # A step that is not scored has no error, whatever its target says.
    return jnp.sum(jnp.where(sequence.mask > 0, losses, 0)), nets

  grads, nets = jax.grad(error, has_aux=True)(params)
  return grads, _judge.judge_sequence(task, stream, episode, nets)
