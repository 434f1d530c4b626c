"""Checks what a caller gives as a value: a count, an array, an old keyword."""

import functools
import operator
import warnings
from collections.abc import Callable
from typing import ParamSpec, SupportsIndex, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.choices import type_words
from lstm_jax.types import Array

_Inputs = ParamSpec('_Inputs')
_Result = TypeVar('_Result')


def renamed(
  **names: str,
) -> Callable[[Callable[_Inputs, _Result]], Callable[_Inputs, _Result]]:
  """Decorates a function whose keywords had other names: old name -> new one.

  They are read under the old name too, with a warning that says the new one.
  """

  def decorate(
    function: Callable[_Inputs, _Result],
  ) -> Callable[_Inputs, _Result]:
    @functools.wraps(function)
    def reading(*args: _Inputs.args, **options: _Inputs.kwargs) -> _Result:
      for old, new in names.items():
        if old in options and new not in options:
          warnings.warn(
            f'{old}= is called {new}= now', DeprecationWarning, stacklevel=2
          )
          options[new] = options.pop(old)
      return function(*args, **options)

    return reading

  return decorate


def check_count(name: str, value: object) -> None:
  """Raises ValueError unless a value is an integer of at least 1."""
  try:
    if isinstance(value, bool | np.bool_) or not isinstance(
      value, SupportsIndex
    ):
      raise TypeError
    count = operator.index(value)
  except TypeError:
    raise ValueError(
      f'{name}={value} must be an integer, known when the layer is called'
    ) from None
  if count < 1:
    raise ValueError(f'{name}={value} must be at least 1')


def as_array(name: str, value: object, form: str) -> Array:
  """`value` as an array of JAX; ValueError for what is none."""
  if isinstance(value, jax.Array):
    return value
  try:
    if value is None or isinstance(value, str | bytes | np.ma.MaskedArray):
      raise TypeError
    return jnp.asarray(value)
  except (TypeError, ValueError, RuntimeError, OverflowError):
    kind = words_of(value)
    if isinstance(value, np.ndarray):
      kind += f' of dtype {value.dtype}'
    raise ValueError(f'{name} is {kind}; must be {form}') from None


def as_real(name: str, value: object, form: str) -> Array:
  """`_array` of real numbers."""
  array = as_array(name, value, form)
  kinds = jnp.floating, jnp.integer, jnp.bool_
  if not any(jnp.issubdtype(array.dtype, kind) for kind in kinds):
    raise ValueError(f'{name} has dtype {array.dtype}; must be real numbers')
  return array


def words_of(value: object) -> str:
  """Words for the type of a value."""
  return 'an array' if isinstance(value, jax.Array) else type_words(value)
