"""Arrays of other libraries: names and shapes checked, as numpy."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np


def read(library, given, spec, optional=()):
  """The arrays of one layer in one direction, by their names.

  Args:
    library: for messages.
    given: name -> array of that library; None: not there.
    spec: name -> `(our name, shape)`, the shape that the array has here: a
      matrix of a library that multiplies from the left is turned round.
    optional: names that may be absent.

  Returns:
    name -> array of numpy, None where it is absent.

  Raises:
    ValueError: missing or superfluous names, another shape, no numbers.
  """
  given = {name: value for name, value in given.items() if value is not None}
  missing = [name for name in spec if name not in (*given, *optional)]
  more = [str(name) for name in given if name not in spec]
  if missing or more:
    parts = [f'has no {", ".join(missing)}'] if missing else []
    parts += [f'has {", ".join(more)} beside what the cell has'] if more else []
    raise ValueError(
      f'{library}: {" and ".join(parts)}; must be {", ".join(spec)}'
    )
  arrays = dict.fromkeys(spec)
  for name, value in given.items():
    ours, shape = spec[name]
    array = as_numpy(f'{library}: {name}', value)
    turned = library in ('keras', 'flax', 'haiku') and array.ndim == 2
    if turned and len(shape) == 2 and name != 'bias':
      array = array.T
    if array.shape != shape:
      raise ValueError(
        f'{library}: {name}, here {ours} has shape {array.shape}; the cell has '
        f'{shape}'
      )
    arrays[name] = array
  return arrays


def as_numpy(name, value):
  """An array of floating numbers of any library as one of numpy."""
  if hasattr(value, 'detach'):  # torch
    value = value.detach().cpu()
    if 'bfloat16' in str(value.dtype):
      value = np.asarray(value.float()).astype(jnp.bfloat16)
  try:
    array = np.asarray(value)
  except (TypeError, ValueError, RuntimeError):
    array = np.asarray(None)
  if not jnp.issubdtype(array.dtype, jnp.floating):
    kind = type(value).__name__
    raise ValueError(f'{name} is a {kind}; must be an array of numbers')
  return array


def as_mapping(library, weights, names):
  """A dictionary of the weights, from one or from the fields of an object."""
  if isinstance(weights, Mapping):
    return dict(weights)
  found = {n: getattr(weights, n) for n in names if hasattr(weights, n)}
  if not found:
    raise ValueError(
      f'{library}: weights are of type {type(weights).__name__}; must be a '
      f'dictionary of {", ".join(names)}'
    )
  return found


def rows(a, order):
  """Blocks of rows in another order; a minus turns a block round."""
  blocks = np.split(np.asarray(a), len(order))
  return np.concatenate(
    [blocks[abs(i) - 1] * (1 if i > 0 else -1) for i in order]
  )


def zeros_if_none(b, like, size):
  """A bias, or zeros `[size]` of the dtype of `like`."""
  return np.zeros(size, like.dtype) if b is None else b
