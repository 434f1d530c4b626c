"""The seam of batch training: what a trainer is.

Its tasks are data sets (`examples`); `epochs` runs it.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from lstm_jax.training.sequence_model import Model
from lstm_jax.types import Array


class Sums(NamedTuple):
  """Sums of an epoch so far, over its examples.

  Attributes:
    loss, right: sums; `right` counts examples.
    examples: how many; of classes, and of sequences of several lengths, that
      are asked for at every step, how many steps, and `right` counts these.
  """

  loss: Array
  right: Array
  examples: Array


class State(NamedTuple):
  """A network in training; of several, every array has a lane axis first.

  Attributes:
    params: of the network.
    optimizer: optax state.
    learning_rate: of this network.
    sums: of the epoch under way.
  """

  params: object
  optimizer: object
  learning_rate: Array
  sums: Sums


class Trainer(NamedTuple):
  """Training of a network on a data set, as pure functions of one lane.

  Attributes:
    model: the network.
    batch: B, examples of an update.
    start: `(params, learning_rate) -> State`.
    advance: `(state, examples, order [n, B], weights [n, B], first, end) ->
      State`: one update for each of the batches first, ..., end - 1 of `order`,
      indices into the examples; an entry of weight 0 does not count.
    measure: `(params, examples, order, weights) -> Sums`, without learning.
    outputs: `(params, inputs [n, T, I], lengths or None) -> [n, ..., K]`, past
      the output units.
  """

  model: Model
  batch: int
  start: Callable[..., State]
  advance: Callable[..., State]
  measure: Callable[..., Sums]
  outputs: Callable[..., Array]


def no_sums() -> Sums:
  """`Sums` of nothing."""
  zero = jnp.zeros(())
  return Sums(zero, zero, zero)
