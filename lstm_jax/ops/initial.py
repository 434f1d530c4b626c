"""Numbers by which initial weights are drawn: names, shapes and values."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from lstm_jax.choices import listed, type_words, unknown
from lstm_jax.types import Array, Cell, Params


def check_numbers(
  numbers: Mapping[str, ArrayLike | None] | None,
  defaults: Mapping[str, ArrayLike],
) -> dict[str, ArrayLike]:
  """Numbers of `Cell.init`, whole and in the shapes that it reads.

  Args:
    numbers: name -> value; a scalar stands for every entry; None: for a bias
      that it is drawn like the weights. Names left out have their defaults.
    defaults: `Cell.numbers`.

  Returns:
    name -> array for every name of `defaults`.

  Raises:
    ValueError: a name that the cell has not, another shape, not a number, an
      infinite one, an `init_range` that is nan or below 0.
  """
  if numbers is None:
    return dict(defaults)
  if not isinstance(numbers, Mapping):
    raise ValueError(
      f'numbers is {type_words(numbers)}; must be a dictionary of '
      f'{listed(defaults)}'
    )
  for name in numbers:
    if name not in defaults:
      raise ValueError(
        f'numbers: {name!r} is none of this cell: '
        f'{unknown(str(name), tuple(defaults))}'
      )
  return {
    name: _number(name, numbers[name], default) if name in numbers else default
    for name, default in defaults.items()
  }


def initial_params(
  cell: Cell, key: Array, numbers: Mapping[str, ArrayLike]
) -> Params:
  """Initial params by those of the numbers of a trial that are the cell's."""
  cell_numbers = {
    name: numbers[name] for name in cell.numbers if name in numbers
  }
  return cell.init(key, cell_numbers)


def _number(name, value, default):
  is_bias = name.endswith('_bias')
  if value is None and is_bias:
    value = np.float32(np.nan)
  shape = np.shape(default)
  kind = f'a number or an array of shape {shape}' if shape else 'a number'
  try:
    array = value if isinstance(value, jax.Array) else np.asarray(value)
  except ValueError:
    array = np.asarray(None)
  is_integer = jnp.issubdtype(array.dtype, jnp.integer)
  if not is_integer and not jnp.issubdtype(array.dtype, jnp.floating):
    raise ValueError(f'numbers: {name}={value!r} must be {kind}')
  if array.shape not in ((), shape):
    raise ValueError(f'numbers: {name} has shape {array.shape}; must be {kind}')
  if not isinstance(array, jax.core.Tracer):
    # Of numpy: a nan is a mark here, which JAX's search for nan must not see.
    array = np.asarray(array)
    values = array.astype(np.float64)
    fits = np.isfinite(values) | (is_bias & np.isnan(values))
    if name.endswith('_range'):
      fits &= values >= 0
    if not fits.all():
      raise ValueError(
        f'numbers: {name} has {values[~fits].ravel()[0]:g}; must be finite'
        + (' (nan: drawn like the weights)' if is_bias else ' and not below 0')
      )
  if is_integer:
    array = jnp.asarray(array).astype(float)
  broadcast = (
    jnp.broadcast_to if isinstance(array, jax.Array) else np.broadcast_to
  )
  return broadcast(array, shape) if array.shape != shape else array
