"""Finds the weights that an entry of the carry depends on within one step.

Most weights reach few entries: those of one unit, in a plain recurrent net its
own. Entries that share no weight can then be differentiated by one pass
backwards together, and the parts told apart afterwards.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.learners._forward.weight_vector import Vector
from lstm_jax.types import Array, Carry, Cell

# Weights tried at once, and how often each: a choice within a step may hide
# what it does not take.
_AT_ONCE, _TIMES = 256, 2


def touched(
  cell: Cell, weights: Vector, entries: Callable[[Carry], Array]
) -> np.ndarray:
  """The entries of the carry that each weight has a part in within a step.

  A weight that is not a number makes one of every entry that it reaches,
  whatever the arithmetic between them is and however flat.

  Args:
    cell: the cell.
    weights: its weights.
    entries: `carry -> [n, *]`.

  Returns:
    `[n, W]` bool, numpy.
  """
  rng = np.random.default_rng(0)
  lanes = min(weights.size, _AT_ONCE)

  def draw(like):
    return np.asarray(rng.normal(size=(*np.shape(like), lanes)), np.float32)

  @jax.jit
  def spoil(at, params, carry, x_t):
    here = jnp.arange(weights.size)[:, None] == at[None]
    nan = weights.tree(jnp.where(here, jnp.float32(jnp.nan), 0))
    carry_t, _ = cell.step(jax.tree.map(jnp.add, params, nan), carry, x_t)
    return jnp.isnan(entries(carry_t))

  blocks = []
  # Also where a learner is made or run while something else is traced, and
  # where JAX is told to stop at a nan: these are meant.
  with jax.ensure_compile_time_eval(), jax.debug_nans(False):
    for start in range(0, weights.size, lanes):
      at = np.minimum(start + np.arange(lanes), weights.size - 1)
      is_nan = [
        spoil(
          at,
          jax.tree.map(draw, cell.mask),
          jax.tree.map(draw, cell.initial_carry()),
          draw(np.zeros(cell.num_inputs)),
        )
        for _ in range(_TIMES)
      ]
      blocks.append(np.any(is_nan, axis=0)[:, : weights.size - start])
  return np.concatenate(blocks, axis=1)


def groups(touches: np.ndarray) -> np.ndarray:
  """Entries in groups whose members share no weight, by first fit.

  Args:
    touches: `[n, W]` bool.

  Returns:
    `[n]` integers from 0 on, the group of each entry.
  """
  patterns: list[np.ndarray] = []
  group = np.zeros(len(touches), int)
  for i in np.argsort(-np.sum(touches, axis=1), kind='stable'):
    candidates = (
      g
      for g, pattern in enumerate(patterns)
      if not np.any(pattern & touches[i])
    )
    group[i] = next(candidates, len(patterns))
    if group[i] == len(patterns):
      patterns.append(np.zeros_like(touches[i]))
    patterns[group[i]] |= touches[i]
  return group
