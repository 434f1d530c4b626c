"""What the factories of cells share: checks, initial weights, net inputs."""

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.initial import check_numbers
from lstm_jax.unroll import affine, spread


def check_sizes(**sizes):
  """Raises ValueError for a size below 1, by the name of its argument.

  `num_outputs` may be 0: a layer without output units.
  """
  for name, size in sizes.items():
    least = 0 if name == 'num_outputs' else 1
    if size < least:
      raise ValueError(f'{name}={size} must be at least {least}')


def check_choice(name, value, choices):
  """Raises ValueError where option `name` has a value not in `choices`."""
  if value not in choices:
    raise ValueError(f'{name}={value!r} must be one of {", ".join(choices)}')


def checked(init, defaults):
  """`init` of a cell with numbers that are checked and filled up first.

  Args:
    init: `(key, numbers) -> params`, of all numbers.
    defaults: name -> default, `Cell.numbers`.
  """
  return lambda key, numbers=None: init(key, check_numbers(numbers, defaults))


def draw_weights(key, mask, init_range):
  """Initial weights of one net, uniform in [-r, r].

  Args:
    key: one key. All weights are slices of one draw: the generator, which is
      most of what there is to compile here, is then compiled once.
    mask: pytree of numpy arrays, 1 where a weight exists.
    init_range: r, a traced scalar; its dtype is that of the weights.

  Returns:
    A pytree like `mask`, 0 where no weight exists.
  """
  arrays, structure = jax.tree.flatten(mask)
  r = jnp.asarray(init_range)
  ends = np.cumsum([exists.size for exists in arrays])
  drawn = jax.random.uniform(key, (ends[-1],), r.dtype, -r, r)
  return structure.unflatten(
    drawn[end - exists.size : end].reshape(exists.shape)
    * jnp.asarray(exists, r.dtype)
    for end, exists in zip(ends, arrays, strict=True)
  )


def set_biases(drawn, numbers):
  """`drawn` `[U]` with numbers `[U]` in their places; nan keeps the drawn."""
  numbers = numbers.astype(drawn.dtype)
  return jnp.where(jnp.isnan(numbers), drawn, numbers)


def gate_biases(drawn, numbers):
  """`set_biases` for rows y_in, y_f, g, y_out `[4C]` by the names of numbers.

  `input_gate_bias`, `forget_bias`, `output_gate_bias` `[C]`; g keeps the drawn.
  """
  y_in, y_f = numbers['input_gate_bias'], numbers['forget_bias']
  g = np.full(len(y_f), np.nan, np.float32)
  y_out = numbers['output_gate_bias']
  return set_biases(drawn, jnp.concatenate((y_in, y_f, g, y_out)))


def net_input(weights, sources, b):
  """`sum_i W_i z_i + b` `[U, *]` for tuples of `[U, S_i, *]` and `[S_i, *]`."""
  net = sum(map(affine, weights, sources))
  return net + spread(b, net)
