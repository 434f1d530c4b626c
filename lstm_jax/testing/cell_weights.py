"""Checks of the weights that a cell begins with, and what they are drawn by."""

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.choices import type_words
from lstm_jax.testing.broken import Broken, leaves, same
from lstm_jax.testing.numeric import key_of, require_finite
from lstm_jax.types import Cell


def check_init(cell: Cell) -> None:
  """Checks the weights that a cell begins with, of one network and of lanes.

  Raises:
    Broken: they are no finite numbers in the form of the mask, or the same for
      every key.
  """
  numbers = _numbers(cell)
  params = cell.init(key_of(3), numbers)
  same('init', 'params', params, 'the mask', cell.mask, dtypes=False)
  for (at, w), (_, exists) in zip(
    leaves(params), leaves(cell.mask), strict=True
  ):
    if np.any(np.where(exists == 0, w, 0)):
      raise Broken(f'init gives params{at} a weight where the mask has none')
  require_finite('init', params)
  other = cell.init(key_of(4), numbers)
  pairs = zip(jax.tree.leaves(params), jax.tree.leaves(other), strict=True)
  if all(np.array_equal(a, b) for a, b in pairs):
    raise Broken('init gives the same weights for every key')
  # Networks side by side, each with numbers of its own.
  stacked = {
    name: np.stack([value, value * 0.5], axis=-1)
    for name, value in numbers.items()
  }
  keys = jnp.stack([key_of(3), key_of(4)])
  networks = jax.vmap(cell.init, in_axes=-1, out_axes=-1)(keys, stacked)
  same(
    'init, mapped over keys and numbers', 'params', networks, 'two networks',
    jax.tree.map(lambda a: np.stack([a, a], axis=-1), params),
  )  # fmt: skip


def check_numbers(cell: Cell) -> None:
  """Checks that the numbers of a cell are arrays and that each does something.

  Raises:
    Broken: the first that is not, or does nothing.
  """
  numbers = _numbers(cell)
  for name, value in cell.numbers.items():
    if not isinstance(value, np.ndarray | np.generic):
      raise Broken(
        f'numbers[{name!r}] is {type_words(value)}, must be a numpy array'
      )
  params_before = cell.init(key_of(0), numbers)
  for name, value in numbers.items():
    value_moved = np.where(np.isnan(value), 3.0, value * 0.37 + 0.211)
    params_after = cell.init(key_of(0), {**numbers, name: value_moved})
    pairs = zip(
      jax.tree.leaves(params_before), jax.tree.leaves(params_after), strict=True
    )
    if all(np.array_equal(a, b) for a, b in pairs):
      raise Broken(f'the number {name} does nothing: init does not read it')


def _numbers(cell):
  """Numbers in float64; biases that are drawn stay so."""
  return {k: np.asarray(v, np.float64) for k, v in cell.numbers.items()}
