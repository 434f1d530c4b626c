"""New weights for a trial that has learned nothing.

Of small networks over long lags some start where the gradient leads to a
saddle: the gates shut on what should be remembered, the noise of all that
should not then drives the weights of the outputs to zero, and nothing moves any
more. Such a trial shows no progress for thousands of sequences, and new weights
are the cure. Its sequences count: a restart is part of the learner.
"""

from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from lstm_jax.ops.arrays import select
from lstm_jax.types import Array, Learner, LearnerState, Params, Task

Restart: TypeAlias = Literal['never', 'without_progress']
# What a learner that restarts needs of its task, and when.
LAST_STEP_ALONE = (
  'restart=without_progress is for tasks whose last step alone is scored',
  {'restart': 'without_progress'},
)


class Restarting(NamedTuple):
  """A trial that may start again.

  Attributes:
    inner: the learner's state.
    key: `[2, *]` uint32, what later weights are drawn from.
    numbers: those of the trial, `[..., *]`, 0 where they are nan.
    is_set: like them bool, False where they are nan: drawn like other weights.
    num_restarts: `[*]` int32.
    n: `[*]` int32, sequences of this period.
    error: `[*]` sum of squared errors over its second half.
    target, target_square: `[K, *]` sums over its second half.
  """

  inner: LearnerState
  key: Array
  numbers: dict[str, Array]
  is_set: dict[str, Array]
  num_restarts: Array
  n: Array
  error: Array
  target: Array
  target_square: Array

  @property
  def params(self) -> Params:
    return self.inner.params


def restarting(
  learner: Learner,
  task: Task,
  restart: Restart,
  sequences: int,
  ratio: float,
) -> Learner:
  """A learner that starts again where it has made no progress.

  At the end of a period of `sequences` the mean squared error over its second
  half is held to the variance of the targets, which is the error of the best
  predictor that ignores its input. Above `ratio` of it, the trial has weights
  and optimizer as another draw of the same key gives them.

  Args:
    learner: any.
    task: the task, for its targets; one that scores its last step alone.
    restart: 'never' (the learner as it is) or 'without_progress'.
    sequences: length of a period.
    ratio: of the targets' variance.

  Returns:
    The learner; its state is a `Restarting`.
  """
  if restart == 'never':
    return learner

  def init(key, numbers):
    inner = learner.init(key, numbers)
    zero = jnp.zeros((), jax.tree.leaves(inner.params)[0].dtype)
    num_zero = jnp.zeros((), jnp.int32)
    targets = jnp.zeros(task.num_outputs, zero.dtype)
    is_set = {name: ~jnp.isnan(value) for name, value in numbers.items()}
    return Restarting(
      inner,
      # Of any kind of key.
      jax.random.bits(jax.random.fold_in(key, 0), (2,), 'uint32'),
      {name: jnp.where(is_set[name], numbers[name], 0) for name in is_set},
      is_set,
      num_restarts=num_zero,
      n=num_zero,
      error=zero,
      target=targets,
      target_square=targets,
    )

  def anew(key, numbers, is_set, restarts):
    numbers = {n: jnp.where(is_set[n], numbers[n], jnp.nan) for n in is_set}
    key = jax.random.wrap_key_data(key, impl='threefry2x32')
    return learner.init(jax.random.fold_in(key, restarts), numbers)

  def counted(state, episode, inner, judgement):
    """The state after an update of the inner one, new where it must be."""
    stream = task.stream(episode)
    target = stream.target_at(stream.length - 1).astype(state.target.dtype)
    n = state.n + 1
    counts = 2 * n > sequences
    error = state.error + jnp.where(counts, judgement.squared, 0)
    target = jnp.where(counts, target, 0)
    targets = state.target + target
    squares = state.target_square + target * target
    over = n >= sequences
    half = sequences // 2
    variance = jnp.mean(squares / half - (targets / half) ** 2, axis=0)
    restarts_now = over & (error / half > ratio * variance)
    num_restarts = state.num_restarts + restarts_now

    def restarted(i, inner):
      make = anew
      # Plus 0: the compiler would draw weights after every sequence.
      key = state.key + i.astype(state.key.dtype)
      for _ in n.shape:
        make = jax.vmap(make, in_axes=-1, out_axes=-1)
      new = make(key, state.numbers, state.is_set, num_restarts)
      return select(restarts_now, new, inner)

    inner = jax.lax.fori_loop(
      0, jnp.any(restarts_now).astype(jnp.int32), restarted, inner
    )
    clear = lambda x: jnp.where(over, 0, x)
    return Restarting(
      inner,
      state.key,
      state.numbers,
      state.is_set,
      num_restarts,
      clear(n),
      clear(error),
      clear(targets),
      clear(squares),
    ), judgement

  def update(state, episode):
    return counted(state, episode, *learner.update(state.inner, episode))

  def update_after(state, episode, steps):
    assert learner.foreign is not None
    updated = learner.foreign.update(state.inner, episode, steps)
    return counted(state, episode, *updated)

  foreign = learner.foreign and learner.foreign._replace(update=update_after)
  return Learner(init, update, learner.judge, learner.extra_weights, foreign)
