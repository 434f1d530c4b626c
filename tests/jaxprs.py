"""Programs looked into: their equations, at any depth."""

from collections.abc import Iterator

import jax


def equations_of(jaxpr, name: str) -> Iterator:
  """All uses of a primitive in a program, in those that it calls too."""
  for equation in jaxpr.eqns:
    if equation.primitive.name == name:
      yield equation
    for inner in jax.tree.leaves(
      list(equation.params.values()),
      is_leaf=lambda leaf: hasattr(leaf, 'jaxpr') or hasattr(leaf, 'eqns'),
    ):
      if hasattr(inner, 'jaxpr') or hasattr(inner, 'eqns'):
        yield from equations_of(getattr(inner, 'jaxpr', inner), name)
