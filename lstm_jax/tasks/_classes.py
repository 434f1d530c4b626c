"""The base of tasks that ask for one of several classes, at some steps.

Their outputs are one for each class, and a step is right where that of its
class is larger than every other; an equal one is wrong. A trial is solved when
so many sequences in a row were right, each as it was first seen. That rule is
the project's own: the publications train on batches, for a number of steps.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from lstm_jax.ops.prng import Key, KeyData, integer_at
from lstm_jax.tasks._outputs import ClassOutput, output_unit
from lstm_jax.tasks._stop_rules.streak import streak as right_streak
from lstm_jax.types import Array, Drawn, Episode, OneHot, Source, Stream, Task


class Steps(NamedTuple):
  """A sequence as functions of the step t, `[*]` integers.

  Attributes:
    length: `[*]` integers, number of steps.
    input_at: `t -> x_t`, as in `Stream`.
    class_at: `t -> [*]` integers, the class; read where it is asked for.
    asked_at: `t -> bool [*]`, whether it is asked for.
    drawn: as in `Stream`.
  """

  length: Array
  input_at: Callable[[Array], Source]
  class_at: Callable[[Array], Array]
  asked_at: Callable[[Array], Array]
  drawn: Drawn | None = None


def class_task(
  *,
  num_inputs: int,
  num_classes: int,
  draw: Callable[[KeyData, Array], Episode],
  steps: Callable[..., Steps],
  longest: Callable[[int], int],
  error_at_end: bool,
  output: ClassOutput,
  streak: int,
) -> Task:
  """A task of classes.

  Args:
    num_inputs: I.
    num_classes: K.
    draw: `(key, length [*] int32) -> episode`.
    steps: `episode -> Steps`.
    longest: steps of the longest sequence for a length T.
    error_at_end: whether the last step alone asks for a class.
    output: output unit, see `outputs.output_unit`.
    streak: right sequences in a row that the stop rule asks for.

  Returns:
    The task; targets are one-hot.
  """
  unit = output_unit(output)

  def draw_as_int32(key, length, data=()):
    del data
    return draw(key, jnp.asarray(length).astype(jnp.int32))

  def stream(episode):
    sequence = steps(episode)
    return Stream(
      length=sequence.length,
      input_at=sequence.input_at,
      target_at=lambda t: one_hot(sequence.class_at(t), num_classes),
      scored_at=sequence.asked_at,
      drawn=sequence.drawn,
    )

  def correct(episode, t, y_k):
    own = one_hot(steps(episode).class_at(t), num_classes) > 0
    largest = jnp.max(jnp.where(own, -jnp.inf, y_k), axis=0)
    return jnp.sum(jnp.where(own, y_k, 0), axis=0) > largest

  return Task(
    num_inputs=num_inputs,
    num_outputs=num_classes,
    draw=draw_as_int32,
    fresh=draw_as_int32,
    stream=stream,
    longest=longest,
    error_at_end=error_at_end,
    output=unit.output,
    loss=unit.loss,
    correct=correct,
    stop_rule=right_streak(streak, math.inf),
  )


def one_hot(index: Array, size: int) -> Array:
  """`[size, *]` float32, 1 in row `index` `[*]` and 0 elsewhere."""
  row = jnp.arange(size).reshape((size,) + (1,) * index.ndim)
  return (row == index[None]).astype(jnp.float32)


def symbol(index: Array, size: int) -> OneHot:
  """The input that is one of `size` symbols, `index` `[*]`."""
  return OneHot(index.astype(jnp.int32), size)


def entry(values: Array, index: Array) -> Array:
  """`values[index]`, of `[N, *]` and `[*]`; 0 for an index outside."""
  row = jnp.arange(len(values)).reshape((-1,) + (1,) * index.ndim)
  return jnp.sum(jnp.where(row == index[None], values, 0), axis=0)


def different_integers(
  key: KeyData, first: np.uint32, count: int, size: ArrayLike
) -> Array:
  """Draws different integers, every order of them equally probable.

  Args:
    key: of the sequence, `[*]`.
    first: position of the first random number; `count` of them are used.
    count: how many, at most `size`.
    size: `[*]`, they are of 0, ..., `size` - 1.

  Returns:
    `[count, *]` int32. Probabilities are exact to 2**-23 of each draw.
  """
  keys = Key(*(jnp.asarray(word)[None] for word in key))
  row = jnp.arange(count).reshape((count,) + (1,) * (keys.high.ndim - 1))
  left = jnp.broadcast_to(size, keys.high.shape) - row
  values = integer_at(keys, first + row + 0 * left, 0, left)
  # Each is a rank among those that are left: a Lehmer code.
  for i in reversed(range(count - 1)):
    values += (row > i) & (values >= values[i : i + 1])
  return values


def at_least(length: int, shortest: int, name: str) -> int:
  """`length` itself; refuses one below `shortest`."""
  if length < shortest:
    raise ValueError(f'length={length} must be at least {shortest} for {name}')
  return length


def at_least_two(option: str, value: int) -> None:
  """Refuses an option that says how many there are to tell apart, below 2."""
  if value < 2:
    raise ValueError(f'{option}={value} must be at least 2')
