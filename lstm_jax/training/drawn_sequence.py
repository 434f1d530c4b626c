"""One sequence of a task as arrays, to look at or to ask a network about."""

import jax
import jax.numpy as jnp

from lstm_jax.learners._steps import materialise
from lstm_jax.ops import prng
from lstm_jax.ops.arrays import to_dense
from lstm_jax.ops.prng import Key
from lstm_jax.training.trial_program import length_of
from lstm_jax.types import OneHot, Sequence, Task


def draw_sequence(
  task: Task, length: int | None = None, *, seed: int = 0
) -> Sequence:
  """Draws one fresh sequence of a task, as those of the test after success.

  Args:
    task: the task, as `lstm_jax.adding()` makes it.
    length: the task's T, in steps; needed unless the task has none.
    seed: of the sequence.

  Returns:
    A `Sequence` without lanes, as long as the sequence is: `inputs` `[T, I]`
    float32, `targets` `[T, K]`, `mask` `[T]`, 1 at steps whose error counts.

  Raises:
    ValueError: a length that the task cannot have, none where it needs one.

  Example:
    >>> import jax, lstm_jax as lj
    >>> task = lj.adding(output='linear')
    >>> sequence = lj.draw_sequence(task, 20, seed=3)
    >>> sequence.inputs.shape[1], int(sequence.mask.sum())
    (2, 1)
    >>> cell = lj.srn(task.num_inputs, task.num_outputs)
    >>> params = cell.init(jax.random.key(0))
    >>> _, nets = lj.unroll(cell, params, sequence.inputs)
    >>> answers = task.output(nets[-1])  # beside sequence.targets[-1]
    >>> answers.shape
    (1,)
  """
  number = jnp.int32(length_of(task, length))
  key = Key(*map(jnp.asarray, prng.key_of(seed)))
  stream = task.stream(task.fresh(key, number))
  steps = int(stream.length)
  sequence = materialise(task, stream, steps, jnp.float32)
  inputs = sequence.inputs
  if isinstance(inputs, OneHot):
    inputs = jax.vmap(to_dense)(inputs)
  return sequence._replace(inputs=inputs.astype(jnp.float32))
