"""Checks of the arguments of a layer, before any kernel sees them.

Compiled code trusts the shapes and dtypes of its buffers. All checks but that
of lengths need shapes and dtypes alone, so that the answer is the same with and
without `jax.jit`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.choices import listed, one_of
from lstm_jax.nn._values import as_array, as_real, check_count, words_of
from lstm_jax.nn.dropout import Noise
from lstm_jax.nn.equations import equations_of, state_of
from lstm_jax.ops.step import recurrent_input
from lstm_jax.types import Array, Carry, Cell, Params

_BACKWARD = ('products', 'autodiff')
_FLOATS = ('bfloat16', 'float16', 'float32', 'float64')


class Arguments(NamedTuple):
  """The arrays of a call of `layer`, as arrays of JAX of the right dtype.

  Attributes:
    params: of the cell, all of one dtype.
    xs: `[T, B, I]` or `[T, I]`, of the dtype of `params`.
    lengths: `[B]` or scalar integers in 0, ..., T, or None.
    state: a carry, fields `[B, C]` or `[C]`, of that dtype, or None.
    initial: a carry, fields `[C]`, of that dtype, or None.
    reset: `[T, B]` or `[T]` bool, or None.
    noise: a `Noise`, its masks of that dtype.
  """

  params: Params
  xs: Array
  lengths: Array | None
  state: Carry | None
  initial: Carry | None
  reset: Array | None
  noise: Noise


def check_arrays(
  cell: Cell,
  params: object,
  xs: object,
  *,
  lengths: object,
  state: object,
  initial: object,
  reset: object,
  noise: object,
  batch_first: bool = False,
) -> Arguments:
  """Checks the arrays of a call of `layer` against the cell.

  Args:
    cell: the cell.
    params, xs, lengths, state, initial, reset, noise, batch_first: of
      `layer`.

  Returns:
    The `Arguments`, with axes in the order in which they were given. Integers
    and bools of `xs`, `state`, `initial` and `noise` become numbers; lengths
    that are not known yet are held within 0, ..., T.

  Raises:
    ValueError: one that does not fit, by its name, with what it must be.
  """
  equations = equations_of(cell)
  params = check_params(cell, params)
  dtype = jax.tree.leaves(params)[0].dtype
  axes_first = 'B, T' if batch_first else 'T, B'
  form = f'[{axes_first}, {cell.num_inputs}] or [T, {cell.num_inputs}]'
  xs = as_real('xs', xs, form)
  if xs.ndim not in (2, 3) or xs.shape[-1] != cell.num_inputs:
    raise ValueError(f'xs has shape {xs.shape}; must be {form}')
  axes = xs.shape[:-1]
  num_steps, *lanes = axes[::-1] if batch_first else axes
  lanes = tuple(lanes)
  carry = state_of(cell)
  return Arguments(
    params,
    xs.astype(dtype),
    _check_lengths(lengths, num_steps, lanes),
    _check_state('state', state, carry, lanes, dtype),
    _check_state('initial', initial, carry, (), dtype),
    _check_reset(reset, axes),
    _check_noise(cell, equations, noise, carry, num_steps, lanes, dtype),
  )


def check_options(
  cell: Cell,
  *,
  cut_every: object,
  checkpoint_every: object,
  backward: object,
  **flags: object,
) -> None:
  """Checks the options of a call of `layer` that are no arrays.

  Args:
    cell: the cell.
    cut_every, checkpoint_every, backward: of `layer`.
    **flags: its other options, each a bool.

  Raises:
    ValueError: one that does not fit, by its name, with what it must be.
  """
  for name, value in (
    ('cut_every', cut_every),
    ('checkpoint_every', checkpoint_every),
  ):
    if value is not None:
      check_count(name, value)
  if backward not in _BACKWARD:
    raise ValueError(f'backward={backward!r} {one_of(_BACKWARD)}')
  for name, value in flags.items():
    if not isinstance(value, bool | np.bool_):
      raise ValueError(f'{name}={value!r} must be True or False')
  if flags.get('gates') and not equations_of(cell).products:
    raise ValueError('gates=True: the cell has no Equations that name any')


def check_params(cell: Cell, params: object) -> Params:
  """Checks params against the mask of a cell, leaf by leaf.

  Args:
    cell: the cell.
    params: its weights, without lanes; arrays of JAX or numpy.

  Returns:
    The params as arrays of JAX.

  Raises:
    ValueError: another structure, missing or superfluous names, a leaf of
      another shape, one that is not floating, or of another dtype than the
      others.
  """
  mask = cell.mask
  fields = getattr(mask, '_fields', None)
  have = getattr(params, '_fields', None)
  if fields and isinstance(params, tuple) and have == fields:
    params = mask._make(params)
  paths, structure = jax.tree_util.tree_flatten_with_path(mask)
  names = [_name(path) for path, _ in paths]
  leaves: list[object] = []
  try:
    jax.tree.map(lambda exists, leaf: leaves.append(leaf), mask, params)
  except (ValueError, TypeError):
    raise ValueError(_other_structure(mask, names, params)) from None
  arrays, first, dtype = [], '', jnp.dtype(jnp.float32)
  for name, (_, exists), leaf in zip(names, paths, leaves, strict=True):
    name, shape = f'params{name}', np.shape(exists)
    if not hasattr(leaf, 'dtype') or not hasattr(leaf, 'shape'):
      raise ValueError(
        f'{name} is {words_of(leaf)}; must be an array of shape {shape}'
      )
    array = as_array(name, leaf, f'an array of shape {shape}')
    if array.shape != shape:
      raise ValueError(f'{name} has shape {array.shape}; must be {shape}')
    if array.dtype not in _FLOATS:
      raise ValueError(f'{name} has dtype {array.dtype}; {one_of(_FLOATS)}')
    if array.size and not first:
      first, dtype = name, array.dtype
    if array.size and array.dtype != dtype:
      raise ValueError(
        f'{name} has dtype {array.dtype}; must be {dtype}, as {first} is'
      )
    arrays.append(array)
  return jax.tree.unflatten(structure, [a.astype(dtype) for a in arrays])


def _other_structure(mask, names, params):
  """The message for params that are no tree like the mask."""
  fields = getattr(mask, '_fields', None)
  form = ', '.join(fields or [name.lstrip('.') for name in names])
  have = getattr(params, '_fields', None)
  if have is None and isinstance(params, dict):
    have = tuple(map(str, params))
  if fields is None or have is None or set(have) == set(fields):
    return (
      f'params is {words_of(params)}; must be {type(mask).__name__} of the '
      f'cell: {form}'
    )
  missing_names = [name for name in fields if name not in have]
  extra_names = [name for name in have if name not in fields]
  parts = [f'no {", ".join(missing_names)}'] if missing_names else []
  parts += [f'{", ".join(extra_names)} besides the cell'] if extra_names else []
  return f'params has {" and ".join(parts)}; must be {form}'


def _check_lengths(lengths, num_steps, lanes):
  if lengths is None:
    return None
  array = as_array('lengths', lengths, 'integers')
  if array.shape != lanes:
    raise ValueError(
      f'lengths has shape {array.shape}; must be {lanes}: one a sequence'
    )
  if not jnp.issubdtype(array.dtype, jnp.integer):
    raise ValueError(f'lengths has dtype {array.dtype}; must be integers')
  if not isinstance(array, jax.core.Tracer):
    # Of what was given: an array of JAX may hold fewer bits.
    values = np.asarray(lengths)
    outside = values[(values < 0) | (values > num_steps)]
    if outside.size:
      raise ValueError(
        f'lengths has {outside.ravel()[0]}; must be from 0 to T = {num_steps}'
      )
    return array.astype(int)
  maximum = min(num_steps, jnp.iinfo(array.dtype).max)
  clipped = jnp.clip(array, array.dtype.type(0), array.dtype.type(maximum))
  return clipped.astype(int)


def _check_reset(reset, shape):
  if reset is None:
    return None
  reset = as_array('reset', reset, f'bool of shape {shape}')
  if reset.shape != shape:
    raise ValueError(f'reset has shape {reset.shape}; must be {shape}')
  if reset.dtype != bool:
    raise ValueError(
      f'reset has dtype {reset.dtype}; must be bool: write reset != 0'
    )
  return reset


def _check_state(name, state, carry, lanes, dtype):
  """A state, or a tuple of its fields, as a carry of that dtype."""
  if state is None:
    return None
  fields = carry._fields
  form = ', '.join(fields)
  if not isinstance(state, tuple | list):
    raise ValueError(
      f'{name} is {words_of(state)}; must be a tuple of fields: {form}'
    )
  have = getattr(state, '_fields', fields)
  if len(state) != len(fields):
    raise ValueError(f'{name} has {len(state)} fields; must be {form}')
  if have != fields:
    raise ValueError(f'{name} has fields {listed(have)}; must be {form}')
  arrays = []
  for field, like, value in zip(fields, carry, state, strict=True):
    shape = (*lanes, *like.shape)
    value = as_real(f'{name}: {field}', value, f'an array of shape {shape}')
    if value.shape != shape:
      raise ValueError(
        f'{name}: {field} has shape {value.shape}; must be {shape}'
      )
    arrays.append(value.astype(dtype))
  return type(carry)(*arrays)


def _check_noise(cell, equations, noise, carry, num_steps, lanes, dtype):
  if noise is None:
    return Noise()
  if not isinstance(noise, Noise):
    raise ValueError(f'noise is {words_of(noise)}; must be a Noise of masks')
  if noise.heard is not None and not equations.products:
    raise ValueError('noise.heard: the cell has no Equations that hear it')
  recurrent_shape = jax.eval_shape(
    lambda carry: recurrent_input(equations, carry), carry
  ).shape
  size = getattr(carry, equations.output).shape
  shapes = {
    'inputs': ((cell.num_inputs,), (*lanes, cell.num_inputs)),
    'heard': (recurrent_shape, (*lanes, *recurrent_shape)),
    'keep': [
      (steps, *lanes_of, *size)
      for steps in (num_steps, 1)
      for lanes_of in ((), lanes)
    ],
  }
  masks = {}
  for name, mask in noise._asdict().items():
    if mask is None:
      continue
    choices = ' or '.join(map(str, dict.fromkeys(shapes[name])))
    mask = as_real(f'noise.{name}', mask, f'an array of shape {choices}')
    if mask.shape not in shapes[name]:
      raise ValueError(
        f'noise.{name} has shape {mask.shape}; must be {choices}'
      )
    masks[name] = jax.lax.stop_gradient(mask.astype(dtype))
  return Noise(**masks)


def _name(path):
  """The place of a leaf in a tree, as it is written in Python."""
  return jax.tree_util.keystr(path)
