"""Values of a program, clean and spoiled side by side: see `spoiling`."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun

from lstm_jax.types import Array


class Value(NamedTuple):
  """A value within a program, as it is and spoiled.

  Attributes:
    clean: as it is.
    spoiled: the same, nan where one that was none has a part in it.
    is_fixed: it follows from no argument of the program.
  """

  clean: Array
  spoiled: Array
  is_fixed: bool


def bound(
  program: Jaxpr, equation: JaxprEqn, values: Sequence[Array]
) -> list[Array]:
  """The results of an equation of a program on some values."""
  values_by_variable = {
    atom: value
    for atom, value in zip(equation.invars, values, strict=True)
    if not isinstance(atom, Literal)
  }
  alone = program.replace(
    constvars=[],
    invars=[*values_by_variable],
    eqns=[equation],
    outvars=equation.outvars,
  )
  return jaxpr_as_fun(ClosedJaxpr(alone, ()))(*values_by_variable.values())


def is_spoiled(value: Value) -> Array:
  """Marks the numbers that are none where they were one."""
  if not jnp.issubdtype(jnp.result_type(value.clean), jnp.inexact):
    return jnp.zeros(jnp.shape(value.clean), bool)
  return jnp.isnan(value.spoiled) & ~jnp.isnan(value.clean)


def spoil(value: Array, where: Array) -> Array:
  """A value, nan somewhere; what is no number stays."""
  if not jnp.issubdtype(jnp.result_type(value), jnp.inexact):
    return value
  return jnp.where(where, jnp.nan, value)
