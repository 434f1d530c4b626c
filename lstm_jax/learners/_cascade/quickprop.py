"""Quickprop: a secant step for each weight by itself.

Fahlman, "Faster-learning variations on back-propagation: an empirical study",
Proceedings of the 1988 Connectionist Models Summer School; the details are
those of Fahlman's public program for cascade-correlation (CMU, 1990). With S
the slope dE/dw, summed over an epoch, and d the last step of the weight,

  d(t) = d(t-1) S(t) / (S(t-1) - S(t))

leads to the minimum of the parabola through both slopes. Where the parabola
would lead further than mu times the last step, or upwards, the step is
mu d(t-1); while the slope still points the way of the last step, -epsilon S(t)
is added; and a weight that has not moved yet moves by -epsilon S(t) alone.
"""

from typing import Generic, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.types import Array, Tree


class Memory(NamedTuple, Generic[Tree]):
  """The last step, as far as the next needs it; trees like the weights."""

  step: Tree
  slope: Tree


def nothing(weights: Tree) -> Memory[Tree]:
  """The memory of weights that have not moved yet."""
  zeros = jax.tree.map(jnp.zeros_like, weights)
  return Memory(zeros, zeros)


def move(
  weights: Tree,
  memory: Memory[Tree],
  slopes: Tree,
  epsilon: Array,
  mu: float,
  decay: float,
) -> tuple[Tree, Memory[Tree]]:
  """One step of Quickprop.

  Args:
    weights: tree of `[..., *]`.
    memory: of the step before.
    slopes: dE/dw like `weights`.
    epsilon: `[*]`, step per slope of the linear term.
    mu: the largest growth of a step.
    decay: times the weight is added to its slope.

  Returns:
    `(weights, memory)` after the step.
  """

  def update(w, d, p, s):
    rate = epsilon.reshape((1,) * (w.ndim - epsilon.ndim) + epsilon.shape)
    s = s + decay * w
    # Both slopes as seen in the direction of the last step, downhill positive.
    ahead, behind = -jnp.sign(d) * s, -jnp.sign(d) * p
    # Without a slope there is nowhere to go, however flat it was before.
    jumps = (ahead > 0) & (ahead >= mu / (1 + mu) * behind)
    secant = s / jnp.where(jumps | (s == p), 1, p - s)
    step = d * jnp.where(jumps, mu, secant)
    step = step - jnp.where((ahead > 0) | (d == 0), rate * s, 0)
    return w + step, step, s

  leaves, structure = jax.tree.flatten(weights)
  updates = [
    update(*each)
    for each in zip(
      leaves, *map(jax.tree.leaves, (*memory, slopes)), strict=True
    )
  ]
  weights, steps, slopes = (
    jax.tree.unflatten(structure, each) for each in zip(*updates, strict=True)
  )
  return weights, Memory(steps, slopes)
