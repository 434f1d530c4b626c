"""What tests of gradients share: nets, distances, programs cheap to compile."""

import functools

import jax
import numpy as np

# Compiled programs run once here: compiling is all they cost. Identities hold
# in float64 however the code was optimised.
_CHEAP = {
  'xla_backend_optimization_level': 0,
  'xla_cpu_use_fusion_emitters': False,  # gone in jax 0.11
}


@functools.cache
def _known():
  """Those of the options that this version of XLA knows."""

  def accepted(option):
    program = jax.jit(lambda: 0, compiler_options=dict([option]))
    try:
      program.lower().compile()
    except jax.errors.JaxRuntimeError as error:
      assert 'No such compile option' in str(error)
      return False
    return True

  return dict(filter(accepted, _CHEAP.items()))


def by_cost(names):
  """The names of cells, those whose units take turns last: they compile long.

  The default run takes the first ones.
  """
  return sorted(names, key=lambda name: name == 'cascaded')


def cheap_jit(function):
  """`jax.jit(function)` that compiles fast and runs slowly."""
  return jax.jit(function, compiler_options=_known())


def random_net(cell, seed, lanes=(), size=0.7):
  """Weights large enough that every derivative matters."""
  random = np.random.default_rng(seed)

  def draw(exists):
    w = size * random.normal(size=(*exists.shape, *lanes))
    return w * exists.reshape(*exists.shape, *(1,) * len(lanes))

  return jax.tree.map(draw, cell.mask)


def existing(cell, grads):
  """`grads` where the connectivity has a weight."""
  return jax.tree.map(
    lambda g, m: np.asarray(g) * m.reshape(m.shape + (1,) * (g.ndim - m.ndim)),
    grads,
    cell.mask,
  )


def distance(a, b):
  """Largest difference between two trees."""
  pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  return max(
    float(np.max(np.abs(np.subtract(x, y, dtype=float)), initial=0))
    for x, y in pairs
  )


def largest(tree):
  """Largest absolute value in a tree."""
  return max(float(np.max(np.abs(x), initial=0)) for x in jax.tree.leaves(tree))
