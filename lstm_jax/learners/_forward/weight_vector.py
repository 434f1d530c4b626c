"""A network's weights as one vector, without those that do not exist."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.types import Array, Params


class Vector(NamedTuple):
  """Some leaves of a tree of weights as one vector, without absent weights.

  Attributes:
    size: W, weights in the vector.
    flat: `tree [..., *] -> [W, *]`.
    tree: `[W, *] -> tree [..., *]`, zeros for all other weights.
  """

  size: int
  flat: Callable[[Params], Array]
  tree: Callable[[Array], Params]


def vector(mask: Params, selection: Sequence[bool] | None = None) -> Vector:
  """The `Vector` of the leaves of a mask for which `selection` holds.

  Args:
    mask: pytree of numpy arrays, 1 where a weight exists.
    selection: a bool for each leaf; None: all of them.
  """
  leaves, structure = jax.tree.flatten(mask)
  selection = [True] * len(leaves) if selection is None else selection
  leaves_of_mask = [
    leaf for leaf, take in zip(leaves, selection, strict=True) if take
  ]
  exists = np.concatenate([np.ravel(leaf) for leaf in leaves_of_mask]) != 0
  places = np.flatnonzero(exists)
  # Absent weights are read from a zero behind the last.
  place = np.where(exists, np.cumsum(exists) - 1, len(places))
  ends = np.cumsum([leaf.size for leaf in leaves_of_mask])

  def flat(tree):
    values = [
      value.reshape(leaf.size, *value.shape[leaf.ndim :])
      for value, leaf, take in zip(
        jax.tree.leaves(tree), leaves, selection, strict=True
      )
      if take
    ]
    values = jnp.concatenate(values)
    return values if np.all(exists) else values[places]

  def tree(values):
    lanes = values.shape[1:]
    if not np.all(exists):
      nothing = jnp.zeros((1, *lanes), values.dtype)
      values = jnp.concatenate([values, nothing])[place]
    parts = iter(jnp.split(values, ends[:-1]))
    return jax.tree.unflatten(
      structure,
      (
        next(parts).reshape(*leaf.shape, *lanes)
        if take
        else jnp.zeros((*leaf.shape, *lanes), values.dtype)
        for leaf, take in zip(leaves, selection, strict=True)
      ),
    )

  return Vector(len(places), flat, tree)
