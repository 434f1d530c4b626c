"""Training between two batches, as plain arrays."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np


class Snapshot(NamedTuple):
  """Lanes between two batches, as numpy; what a checkpoint holds.

  Attributes:
    leaves: name -> array, lanes first: the state, and under `best/` the nets
      of the best epochs.
    curves: name of a curve -> `[lanes, epochs]`, nan where not known yet.
    epoch, batch: the next batch is this one of this epoch, counted from 0.
    seconds: device time so far.
  """

  leaves: dict[str, np.ndarray]
  curves: dict[str, np.ndarray]
  epoch: int
  batch: int
  seconds: float


def named(tree):
  """`(name, leaf)` of every leaf."""
  paths = jax.tree_util.tree_flatten_with_path(tree)[0]
  name = lambda path: jax.tree_util.keystr(path, simple=True, separator='/')
  return [(name(path), leaf) for path, leaf in paths]


def restored(tree, leaves: Mapping[str, np.ndarray]):
  """`tree` with these leaves in place of its own.

  Args:
    tree: any.
    leaves: by the names of `named`.

  Raises:
    ValueError: a leaf is missing or of another shape.
  """
  own = named(tree)
  for name, leaf in own:
    if name not in leaves or leaves[name].shape != leaf.shape:
      raise ValueError(f'a snapshot of another net: {name} does not fit')
  return jax.tree.unflatten(
    jax.tree.structure(tree), [leaves[name] for name, _ in own]
  )
