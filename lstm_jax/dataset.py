"""Data sets as batch training sees them: a pool of examples and its parts.

The tasks of `lstm_jax.tasks` draw a sequence when they are asked for one; what
is here was collected, or drawn once, and is shown again every epoch.

Axis letters besides those of `types`: N examples of a pool, B of a batch.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np

# What is measured every epoch; accuracies where classes are asked for, `valid`
# where there is such a part.
CURVES = ('train_loss', 'train_accuracy', 'valid_loss', 'valid_accuracy')


class Examples(NamedTuple):
  """Sequences with what is asked of a network at their end, or at every step.

  Attributes:
    inputs: `[N, T, I]` float32, or `[N, T]` int32 tokens.
    targets: `[N]` int32 classes, `[N, T]` at every step; `[N, K]` float32 where
      numbers are asked for, `[N, T, K]` at every step.
    lengths: `[N]` int32 steps of each sequence, what lies past is never read;
      None: all T.
  """

  inputs: np.ndarray
  targets: np.ndarray
  lengths: np.ndarray | None = None


class Pool(NamedTuple):
  """The examples of one seed and the part that each belongs to.

  Attributes:
    examples: all of them. Seeds that share them share the arrays themselves.
    parts: 'train', 'valid', 'test' -> `[n]` indices; 'valid' may be absent. No
      index is in two, unless a data set is taught without held-out data: then
      'test' is 'train'.
  """

  examples: Examples
  parts: Mapping[str, np.ndarray]


# Outputs `[n, ..., K]` for inputs `[n, T, I]` of any number and length.
Predict = Callable[[np.ndarray], np.ndarray]


class Encoder(NamedTuple):
  """Reads files of another's as a network on some data takes them.

  Attributes:
    endings: of the names of such files.
    encode: `(name, bytes, Pool) -> (inputs [1, T, I] or tokens [1, T], lengths
      [1] or None)`; raises where it is no such file, by its name.
  """

  endings: tuple[str, ...]
  encode: Callable[[str, bytes, Pool], tuple[np.ndarray, np.ndarray | None]]


class Dataset(NamedTuple):
  """A data set: what it asks of a network.

  Attributes:
    num_inputs: I; 0 where the inputs are tokens.
    vocabulary: number of tokens; 0 where the inputs are numbers.
    num_outputs: K.
    loss: 'squared' error of numbers, 'softmax' cross-entropy of K classes,
      'sigmoid' cross-entropy of two classes with K = 1.
    every_step: whether outputs are asked for at every step, not only the last.
    pool: `seed -> Pool`. Deterministic.
    tolerance: an output is right within this distance; 0 where classes count.
    levels: `Pool -> {name: {metric: value}}`: predictors without recurrence on
      the test part; metrics are 'loss' and 'accuracy' (a fraction).
    after: `(predict, Pool) -> {name: plain value}` what is to be kept of a
      trained network besides its errors; `predict([n, T, I]) -> [n, ..., K]`
      gives outputs for inputs of any number and length. None: nothing.
    classes: their names in the order of the targets.
    facts: name -> words for the report: licence, citation, what part was used,
      what was left out.
    checksum: of what was read from files; '' where nothing is.
    parts: `seed -> Pool.parts`, where these are all that the seed decides;
      None: as the pool has them.
    encoder: reads a sound or a text that is not among the examples; None where
      arrays of numbers alone are.
  """

  num_inputs: int
  vocabulary: int
  num_outputs: int
  loss: Literal['squared', 'softmax', 'sigmoid']
  every_step: bool
  pool: Callable[[int], Pool]
  tolerance: float = 0.0
  levels: Callable[[Pool], dict[str, dict[str, float]]] | None = None
  after: Callable[[Predict, Pool], dict[str, object]] | None = None
  classes: tuple[str, ...] = ()
  facts: Mapping[str, str] = {}
  checksum: str = ''
  parts: Callable[[int], Mapping[str, np.ndarray]] | None = None
  encoder: Encoder | None = None
