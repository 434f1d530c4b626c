"""What the factories of cells share: checks, initial weights, net inputs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.arrays import affine, spread
from lstm_jax.ops.initial import check_numbers


def shared(factory):
  """`factory`, whose cells of the same size and options share their functions.

  JAX knows a program by the functions that it was made of: a layer whose cell
  is made anew at every call, as a module of flax makes it, would else be
  compiled anew. Numbers are each cell's own.
  """
  make = functools.lru_cache(maxsize=64, typed=True)(factory)

  @functools.wraps(factory)
  def cell(*sizes, **options):
    try:
      hash((sizes, *options.values()))
    except TypeError:
      return factory(*sizes, **options)  # says itself what is wrong with it
    made = make(*sizes, **options)
    return made._replace(
      numbers={name: np.copy(value) for name, value in made.numbers.items()}
    )

  return cell


def check_sizes(**sizes):
  """Raises ValueError for a size below 1, by the name of its argument.

  `num_outputs` may be 0: a layer without output units.
  """
  for name, size in sizes.items():
    least = 0 if name == 'num_outputs' else 1
    if isinstance(size, bool) or not isinstance(size, int | np.integer):
      raise ValueError(f'{name}={size!r} must be an integer, at least {least}')
    if size < least:
      raise ValueError(f'{name}={size} must be at least {least}')


def checked(init, defaults):
  """`init` of a cell with numbers that are checked and filled up first.

  It is one program: what it does one thing after another would each be compiled
  for every new size.

  Args:
    init: `(key, numbers) -> params`, of all numbers.
    defaults: name -> default, `Cell.numbers`.
  """
  drawn = jax.jit(init)
  return lambda key, numbers=None: drawn(key, check_numbers(numbers, defaults))


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


def set_biases(drawn, *parts):
  """Biases `[U]`: drawn ones, with numbers in their places.

  A nan stands for the drawn one. It is put aside before anything is computed:
  JAX's search for nan (`jax_debug_nans`) must not find a mark.

  Args:
    drawn: `[U]`.
    *parts: one behind the other, numbers `[n]`, or how many stay as drawn.
  """
  made, at = [], 0
  for part in parts:
    if isinstance(part, int):
      made.append(drawn[at : at + part])
    else:
      rows = drawn[at : at + len(part)]
      np_ = np if isinstance(part, np.ndarray) else jnp
      given = np_.logical_not(np_.isnan(part))
      number = np_.where(given, part, 0).astype(drawn.dtype)
      made.append(jnp.where(given, number, rows))
    at += len(made[-1])
  return jnp.concatenate(made)


def gate_biases(drawn, numbers):
  """`set_biases` for rows y_in, y_f, g, y_out `[4C]` by the names of numbers.

  `input_gate_bias`, `forget_bias`, `output_gate_bias` `[C]`; g keeps the drawn.
  """
  return set_biases(
    drawn,
    numbers['input_gate_bias'],
    numbers['forget_bias'],
    len(drawn) // 4,
    numbers['output_gate_bias'],
  )


def net_input(weights, sources, b):
  """`sum_i W_i z_i + b` `[U, *]` for tuples of `[U, S_i, *]` and `[S_i, *]`."""
  net = sum(map(affine, weights, sources))
  return net + spread(b, net)
