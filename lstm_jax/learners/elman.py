"""Elman's rule: the context is an input like any other.

Elman (1990), "Finding structure in time": error is propagated through the
current step only. Memory does not depend on the sequence length.
"""

from typing import Literal

import jax
import jax.numpy as jnp

from lstm_jax.learners import _descend, _judge, _steps
from lstm_jax.learners._optimizer import Optimizer
from lstm_jax.learners._restarts import LAST_STEP_ALONE, Restart, restarting
from lstm_jax.ops.arrays import cast, select
from lstm_jax.ops.checked import Count, Positive, checked
from lstm_jax.types import Cell, Learner, Task

NUMBERS = {'learning_rate': 0.1}
TASK_NEEDS = {'error_at_end': LAST_STEP_ALONE}


@checked
def elman(
  cell: Cell,
  task: Task,
  *,
  update: Literal['every_step', 'sequence'] = 'every_step',
  optimizer: Optimizer = 'sgd',
  restart: Restart = 'never',
  restart_sequences: Count = 2000,
  restart_ratio: Positive = 0.7,
) -> Learner:
  """Elman's rule: error through the current step only.

  Args:
    cell: any cell; every field of its carry is cut.
    task: the task, for its error and its sequences.
    update: when the weights move: after every scored step, or once with the
      sum over the sequence. The same where only the last step is scored.
    optimizer: what turns the gradient into an update: a name, or a
      transformation of optax with a learning rate of its own.
    restart: 'without_progress' gives a trial new weights where its mean squared
      error over the second half of `restart_sequences` is above `restart_ratio`
      of the variance of the targets (a learner of long lags; not the paper's).

  Returns:
    The learner.

  Raises:
    ValueError: an unknown `update` or optimizer.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding()
    >>> cell = lj.srn(2, 1, hidden=4)
    >>> learner = lj.elman(cell, task)
    >>> sorted(learner._fields)
    ['extra_weights', 'foreign', 'init', 'judge', 'update']
  """
  init, move = _descend.stepper(cell, optimizer)

  def learn(state, episode):
    stream = task.stream(episode)
    lanes = stream.length.shape
    dtype = jax.tree.leaves(state.params)[0].dtype
    num_steps, clock = _steps.clocks(
      stream, task.steps_at_once, -task.error_at_end
    )

    def score(params, carry_tm1, t, weight, total=None):
      total, _, net_k = _descend.scored_step(
        cell, task, params, carry_tm1, cast(stream.input_at(t), dtype),
        stream.target_at(t).astype(dtype), weight, total=total,
      )  # fmt: skip
      return total, net_k

    def forward(i, params, carry_tm1):
      t = clock(i)
      x_t = cast(stream.input_at(t), dtype)
      carry_t, _ = cell.step(params, carry_tm1, x_t)
      return select(t >= 0, carry_t, carry_tm1)

    carry = cell.initial_carry(lanes, dtype)
    tally = _judge.no_tally(lanes, dtype)
    if task.error_at_end:
      carry = _steps.loop(
        task, num_steps - 1, lambda i, c: forward(i, state.params, c), carry
      )
      t = stream.length - 1
      grads, net_k = score(state.params, carry, t, 1.0)
      tally = _judge.tally_step(tally, task, stream, episode, t, net_k)
      judgement = _judge.judgement_of(tally)
      return move(state, grads, judgement.squared), judgement

    def body(i, c):
      state, total, carry_tm1, tally = c
      t = clock(i)
      counts = (t >= 0) & stream.scored_at(t)
      so_far = total if update == 'sequence' else None
      grads, net_k = score(
        state.params, carry_tm1, t, counts.astype(dtype), so_far
      )
      tally = _judge.tally_step(tally, task, stream, episode, t, net_k)
      carry_t = forward(i, state.params, carry_tm1)
      if update == 'every_step':
        # An optimizer with a memory must not move at steps without an error.
        target = stream.target_at(t).astype(dtype)
        squared = _judge.squared_error(task, target, net_k)
        state = select(counts, move(state, grads, squared), state)
      else:
        total = grads
      return state, total, carry_t, tally

    total = jax.tree.map(jnp.zeros_like, state.params)
    state, total, _, tally = _steps.loop(
      task, num_steps, body, (state, total, carry, tally)
    )
    judgement = _judge.judgement_of(tally)
    if update == 'sequence':
      state = move(state, total, judgement.squared)
    return state, judgement

  def judge(params, episode):
    return _judge.judge_forward(cell, task, params, episode)

  return restarting(
    Learner(init, learn, judge),
    task,
    restart,
    restart_sequences,
    restart_ratio,
  )
