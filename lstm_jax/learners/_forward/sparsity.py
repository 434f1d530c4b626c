"""Finds the weights that an entry of the carry depends on within one step.

Most weights reach few entries: those of one unit, in a plain recurrent net its
own. Entries that share no weight can then be differentiated by one pass
backwards together, and the parts told apart afterwards.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.learners._forward import spoiling
from lstm_jax.learners._forward.weight_vector import Vector
from lstm_jax.types import Array, Carry, Cell

# Sets of weights tried at once, and numbers that all their networks may have.
_AT_ONCE, _NUMBERS = 256, 2**24
# Each set is tried at numbers of each kind: there are functions of positive
# ones alone, and of those near 0.
_KINDS = (lambda x: x, np.abs, lambda x: 0.01 * np.abs(x))


def touched(
  cell: Cell, weights: Vector, entries: Callable[[Carry], Array]
) -> np.ndarray:
  """The entries of the carry that each weight has a part in within a step.

  A weight that is not a number makes one of every entry that it reaches,
  whatever the arithmetic between them is and however flat, and whatever a step
  chooses (`spoiling`). The weights of a row of an array mostly reach the same,
  so that they are tried together: where the first and the last of them each
  reach what all of them do, that is what each is said to reach. It may be more
  than it does, never less. In other rows each weight is tried alone.

  Args:
    cell: the cell.
    weights: its weights.
    entries: `carry -> [n, *]`.

  Returns:
    `[n, W]` bool, numpy.
  """
  row, first, last = _rows(cell, weights)
  reach = _reach(cell, weights, entries)
  of_row = reach(row, len(first))
  is_alike = np.ones(len(first), bool)
  for place in (first, last):
    of_one = reach(_labels(place, weights.size), len(place))
    is_alike &= np.all(of_one == of_row, axis=0)
  touches = of_row[:, row]
  apart = np.flatnonzero(~is_alike[row])
  if len(apart):
    touches[:, apart] = reach(_labels(apart, weights.size), len(apart))
  return touches


def _rows(cell, weights):
  """The row that each weight is in, `[W]`, and of rows the first and last."""
  leaves, structure = jax.tree.flatten(cell.mask)
  count, rows = 0, []
  for leaf in leaves:
    shape = np.shape(leaf)
    row = count + np.arange(np.prod(shape[:-1], dtype=int))
    count += len(row)
    rows.append(np.broadcast_to(row.reshape(*shape[:-1], 1), shape or (1,)))
  rows = [
    row.reshape(leaf.shape) for row, leaf in zip(rows, leaves, strict=True)
  ]
  with jax.ensure_compile_time_eval():
    of_weight = np.asarray(weights.flat(jax.tree.unflatten(structure, rows)))
  # Weights of a row follow one another.
  _, first, row, size = np.unique(
    of_weight, return_index=True, return_inverse=True, return_counts=True
  )
  return row, first, first + size - 1


def _labels(places, size):
  """`[W]`: of the weights at some places their number, of others -1."""
  labels = np.full(size, -1)
  labels[places] = np.arange(len(places))
  return labels


def _reach(cell, weights, entries):
  """`(labels [W], sets) -> [n, sets]` bool: what a set of weights reaches."""
  rng = np.random.default_rng(0)
  lanes = min(weights.size, _AT_ONCE, max(1, _NUMBERS // weights.size))

  def draw(kind, like):
    x = rng.normal(size=(*np.shape(like), lanes))
    return np.asarray(kind(x), np.float32)

  parts = cell.mask, cell.initial_carry(), np.zeros(cell.num_inputs)
  draws = [
    jax.tree.map(functools.partial(draw, kind), parts) for kind in _KINDS
  ]

  def step(params, carry, x_t):
    return entries(cell.step(params, carry, x_t)[0])

  @jax.jit
  def spoil(labels, at, *parts):
    here = labels[:, None] == at[None]
    nan = weights.tree(jnp.where(here, jnp.float32(jnp.nan), 0))
    spoiled = jax.tree.map(jnp.add, parts[0], nan), *parts[1:]
    program = jax.make_jaxpr(step)(*parts)
    ((clean,), (after,)) = spoiling.follow(
      program, jax.tree.leaves(parts), jax.tree.leaves(spoiled)
    )
    is_known = ~jnp.isnan(clean)
    return is_known, is_known & jnp.isnan(after)

  def reach(labels, sets):
    blocks = []
    # Also where a learner is made or run while something else is traced, and
    # where JAX is told to stop at a nan: these are meant.
    with jax.ensure_compile_time_eval(), jax.debug_nans(False):
      for start in range(0, sets, lanes):
        at = np.minimum(start + np.arange(lanes), sets - 1)
        tries = [spoil(labels, at, *of) for of in draws]
        is_known, is_nan = (
          np.any(of, axis=0) for of in zip(*tries, strict=True)
        )
        # Of what is never a number nothing is known: it may be reached.
        blocks.append((is_nan | ~is_known)[:, : sets - start])
    return np.concatenate(blocks, axis=1)

  return reach


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
