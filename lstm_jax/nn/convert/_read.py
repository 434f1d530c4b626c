"""Arrays of other libraries: names and shapes checked, as numpy."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from lstm_jax.choices import listed, type_words

# name -> `(our name, shape)`; weights and biases as rows in our order, b_hn of
# a GRU alone.
Spec = Mapping[str, tuple[str, tuple[int, ...]]]
Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]


def read(
  library: str,
  arrays_given: Mapping[str, object],
  spec: Spec,
  optional_names: Collection[str] = (),
) -> dict[str, np.ndarray]:
  """The arrays of one layer in one direction, by their names.

  Args:
    library: for messages.
    arrays_given: name -> array of that library; None: not there.
    spec: name -> `(our name, shape)`, the shape that the array has here: a
      matrix of a library that multiplies from the left is transposed.
    optional_names: names that may be absent; the first of `spec` is none of
      them.

  Returns:
    name -> array of numpy, zeros where it is absent.

  Raises:
    ValueError: missing or superfluous names, another shape, no numbers.
  """
  arrays_given = {
    name: value for name, value in arrays_given.items() if value is not None
  }
  missing_names = [
    name for name in spec if name not in (*arrays_given, *optional_names)
  ]
  extra_names = [str(name) for name in arrays_given if name not in spec]
  if missing_names or extra_names:
    parts = [f'has no {", ".join(missing_names)}'] if missing_names else []
    parts += (
      [f'has {", ".join(extra_names)} that the cell lacks']
      if extra_names
      else []
    )
    raise ValueError(
      f'{library}: {" and ".join(parts)}; must be {", ".join(spec)}'
    )
  arrays = {}
  for name, value in arrays_given.items():
    field, shape = spec[name]
    array = as_numpy(f'{library}: {name}', value)
    turned = library in ('keras', 'flax', 'haiku') and array.ndim == 2
    if turned and len(shape) == 2 and name != 'bias':
      array = array.T
    if array.shape != shape:
      raise ValueError(
        f'{library}: {name}, here {field} has shape {array.shape}; '
        f'the cell has {shape}'
      )
    arrays[name] = array
  dtype = arrays[next(iter(spec))].dtype
  return {
    name: arrays[name] if name in arrays else np.zeros(shape, dtype)
    for name, (_, shape) in spec.items()
  }


def as_numpy(name: str, value: object) -> np.ndarray:
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
    raise ValueError(
      f'{name} is {type_words(value)}; must be an array of numbers'
    )
  return array


def as_mapping(
  library: str, weights: object, names: Iterable[str]
) -> dict[str, object]:
  """A dictionary of the weights, from one or from the fields of an object."""
  if isinstance(weights, Mapping):
    return dict(weights)
  attributes = {n: getattr(weights, n) for n in names if hasattr(weights, n)}
  if not attributes:
    raise ValueError(
      f'{library}: weights are of type {type(weights).__name__}; must be a '
      f'dictionary of {listed(names)}'
    )
  return attributes


def rows(a: np.ndarray, order: Sequence[int]) -> np.ndarray:
  """Blocks of rows in another order; a minus turns a block round."""
  blocks = np.split(np.asarray(a), len(order))
  return np.concatenate(
    [blocks[abs(i) - 1] * (1 if i > 0 else -1) for i in order]
  )
