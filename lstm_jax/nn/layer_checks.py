"""Checks of the arguments of a layer, before any kernel sees them.

Compiled code trusts the shapes and dtypes of its buffers. All checks but that
of lengths need shapes and dtypes alone, so that the answer is the same with and
without `jax.jit`.
"""

import functools
import operator
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.nn.dropout import Noise
from lstm_jax.nn.equations import equations_of, state_of
from lstm_jax.ops.step import recurrent_input
from lstm_jax.types import Array

_FLOATS = ('bfloat16', 'float16', 'float32', 'float64')


class Arguments(NamedTuple):
  """The arrays of a call of `layer.run`, as arrays of JAX of the right dtype.

  Attributes:
    params: of the cell, all of one dtype.
    xs: `[T, B, I]` or `[T, I]`, of the dtype of `params`.
    lengths: `[B]` or scalar integers in 0, ..., T, or None.
    state: a carry, fields `[B, C]` or `[C]`, of that dtype, or None.
    initial: a carry, fields `[C]`, of that dtype, or None.
    reset: `[T, B]` or `[T]` bool, or None.
    noise: a `Noise`, its masks of that dtype.
  """

  params: Any
  xs: Array
  lengths: Array | None
  state: Any
  initial: Any
  reset: Array | None
  noise: Noise


def check_arrays(
  cell, params, xs, *, lengths, state, initial, reset, noise
) -> Arguments:
  """Checks the arrays of a call of `layer.run` against the cell.

  Args:
    cell: the cell.
    params, xs, lengths, state, initial, reset, noise: of `layer.run`.

  Returns:
    The `Arguments`. Integers and bools of `xs`, `state`, `initial` and `noise`
    become numbers; lengths that are not known yet are held within 0, ..., T.

  Raises:
    ValueError: one that does not fit, by its name, with what it must be.
  """
  equations = equations_of(cell)
  params = check_params(cell, params)
  dtype = jax.tree.leaves(params)[0].dtype
  wanted = f'[T, B, {cell.num_inputs}] or [T, {cell.num_inputs}]'
  xs = _real('xs', xs, wanted)
  if xs.ndim not in (2, 3) or xs.shape[-1] != cell.num_inputs:
    raise ValueError(f'xs has shape {xs.shape}; must be {wanted}')
  num_steps, *lanes = xs.shape[:-1]
  lanes = tuple(lanes)
  carry = state_of(cell)
  return Arguments(
    params,
    xs.astype(dtype),
    _check_lengths(lengths, num_steps, lanes),
    _check_state('state', state, carry, lanes, dtype),
    _check_state('initial', initial, carry, (), dtype),
    _check_reset(reset, (num_steps, *lanes)),
    _check_noise(cell, equations, noise, carry, num_steps, lanes, dtype),
  )


def renamed(**names):
  """Decorates a function whose keywords had other names: old name -> new one.

  They are read under the old name too, with a warning that says the new one.
  """

  def decorate(function):
    @functools.wraps(function)
    def reading(*args, **options):
      for old, new in names.items():
        if old in options and new not in options:
          warnings.warn(
            f'{old}= is called {new}= now', DeprecationWarning, stacklevel=2
          )
          options[new] = options.pop(old)
      return function(*args, **options)

    return reading

  return decorate


def check_options(cell, *, cut_every, checkpoint_every, backward, **flags):
  """Checks the options of a call of `layer.run` that are no arrays.

  Args:
    cell: the cell.
    cut_every, checkpoint_every, backward: of `layer.run`.
    **flags: its other options, each a bool.

  Raises:
    ValueError: one that does not fit, by its name, with what it must be.
  """
  for name, value in (
    ('cut_every', cut_every),
    ('checkpoint_every', checkpoint_every),
  ):
    if value is not None:
      _check_count(name, value)
  if backward not in ('products', 'autodiff'):
    raise ValueError(f'backward={backward!r} must be one of products, autodiff')
  for name, value in flags.items():
    if not isinstance(value, bool | np.bool_):
      raise ValueError(f'{name}={value!r} must be True or False')
  if flags.get('gates') and not equations_of(cell).products:
    raise ValueError('gates=True: the cell has no Equations that name any')


def check_params(cell, params):
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
  if fields and getattr(params, '_fields', None) == fields:
    params = type(mask)(*params)
  paths, structure = jax.tree_util.tree_flatten_with_path(mask)
  names = [_name(path) for path, _ in paths]
  try:
    leaves = structure.flatten_up_to(params)
  except (ValueError, TypeError):
    raise ValueError(_other_structure(mask, names, params)) from None
  arrays, first = [], None
  for name, (_, exists), leaf in zip(names, paths, leaves, strict=True):
    name, shape = f'params{name}', np.shape(exists)
    if not hasattr(leaf, 'dtype') or not hasattr(leaf, 'shape'):
      raise ValueError(
        f'{name} is {_kind(leaf)}; must be an array of shape {shape}'
      )
    array = _array(name, leaf, f'an array of shape {shape}')
    if array.shape != shape:
      raise ValueError(f'{name} has shape {array.shape}; must be {shape}')
    if array.dtype not in _FLOATS:
      raise ValueError(
        f'{name} has dtype {array.dtype}; must be one of {", ".join(_FLOATS)}'
      )
    if array.size and first is None:
      first = name, array.dtype
    if array.size and array.dtype != first[1]:
      raise ValueError(
        f'{name} has dtype {array.dtype}; must be {first[1]}, as {first[0]} is'
      )
    arrays.append(array)
  dtype = first[1] if first else jnp.float32
  return structure.unflatten([array.astype(dtype) for array in arrays])


def _other_structure(mask, names, params):
  """The message for params that are no tree like the mask."""
  fields = getattr(mask, '_fields', None)
  wanted = ', '.join(fields or [name.lstrip('.') for name in names])
  have = getattr(params, '_fields', None)
  if have is None and isinstance(params, dict):
    have = tuple(map(str, params))
  if fields is None or have is None or set(have) == set(fields):
    return (
      f'params is {_kind(params)}; must be {type(mask).__name__} of the cell: '
      f'{wanted}'
    )
  missing = [name for name in fields if name not in have]
  more = [name for name in have if name not in fields]
  parts = [f'no {", ".join(missing)}'] if missing else []
  parts += [f'{", ".join(more)} beside the cell'] if more else []
  return f'params has {" and ".join(parts)}; must be {wanted}'


def _check_lengths(lengths, num_steps, lanes):
  if lengths is None:
    return None
  array = _array('lengths', lengths, 'integers')
  if array.shape != lanes:
    raise ValueError(
      f'lengths has shape {array.shape}; must be {lanes}: one a sequence'
    )
  if not jnp.issubdtype(array.dtype, jnp.integer):
    raise ValueError(f'lengths has dtype {array.dtype}; must be integers')
  if not isinstance(array, jax.core.Tracer):
    # Of what was given: an array of JAX may hold fewer bits.
    held = np.asarray(lengths)
    wrong = held[(held < 0) | (held > num_steps)]
    if wrong.size:
      raise ValueError(
        f'lengths has {wrong.ravel()[0]}; must be from 0 to T = {num_steps}'
      )
    return array.astype(int)
  most = min(num_steps, jnp.iinfo(array.dtype).max)
  within = jnp.clip(array, array.dtype.type(0), array.dtype.type(most))
  return within.astype(int)


def _check_reset(reset, shape):
  if reset is None:
    return None
  reset = _array('reset', reset, f'bool of shape {shape}')
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
  wanted = ', '.join(fields)
  if not isinstance(state, tuple | list):
    raise ValueError(
      f'{name} is {_kind(state)}; must be a tuple of fields: {wanted}'
    )
  have = getattr(state, '_fields', fields)
  if len(state) != len(fields):
    raise ValueError(f'{name} has {len(state)} fields; must be {wanted}')
  if have != fields:
    raise ValueError(f'{name} has fields {", ".join(have)}; must be {wanted}')
  arrays = []
  for field, like, value in zip(fields, carry, state, strict=True):
    shape = (*lanes, *like.shape)
    value = _real(f'{name}: {field}', value, f'an array of shape {shape}')
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
    raise ValueError(f'noise is {_kind(noise)}; must be a Noise of masks')
  if noise.heard is not None and not equations.products:
    raise ValueError('noise.heard: the cell has no Equations that hear it')
  heard = jax.eval_shape(
    lambda carry: recurrent_input(equations, carry), carry
  ).shape
  size = getattr(carry, equations.output).shape
  shapes = {
    'inputs': ((cell.num_inputs,), (*lanes, cell.num_inputs)),
    'heard': (heard, (*lanes, *heard)),
    'keep': [
      (steps, *some, *size) for steps in (num_steps, 1) for some in ((), lanes)
    ],
  }
  masks = {}
  for name, mask in noise._asdict().items():
    if mask is None:
      continue
    choices = ' or '.join(map(str, dict.fromkeys(shapes[name])))
    mask = _real(f'noise.{name}', mask, f'an array of shape {choices}')
    if mask.shape not in shapes[name]:
      raise ValueError(
        f'noise.{name} has shape {mask.shape}; must be {choices}'
      )
    masks[name] = jax.lax.stop_gradient(mask.astype(dtype))
  return Noise(**masks)


def _check_count(name, value):
  try:
    if isinstance(value, bool | np.bool_):
      raise TypeError
    count = operator.index(value)
  except TypeError:
    raise ValueError(
      f'{name}={value} must be an integer, known when the layer is called'
    ) from None
  if count < 1:
    raise ValueError(f'{name}={value} must be at least 1')


def _array(name, value, wanted):
  """`value` as an array of JAX; ValueError for what is none."""
  if isinstance(value, jax.Array):
    return value
  try:
    if value is None or isinstance(value, str | bytes | np.ma.MaskedArray):
      raise TypeError
    return jnp.asarray(value)
  except (TypeError, ValueError, RuntimeError, OverflowError):
    kind = _kind(value)
    if isinstance(value, np.ndarray):
      kind += f' of dtype {value.dtype}'
    raise ValueError(f'{name} is {kind}; must be {wanted}') from None


def _real(name, value, wanted):
  """`_array` of real numbers."""
  array = _array(name, value, wanted)
  kinds = jnp.floating, jnp.integer, jnp.bool_
  if not any(jnp.issubdtype(array.dtype, kind) for kind in kinds):
    raise ValueError(f'{name} has dtype {array.dtype}; must be real numbers')
  return array


def _kind(value):
  """Words for the type of a value."""
  if value is None:
    return 'None'
  if isinstance(value, jax.Array):
    return 'an array'
  name = type(value).__name__
  return f'{"an" if name[0] in "aeiouAEIOU" else "a"} {name}'


def _name(path):
  """The place of a leaf in a tree, as it is written in Python."""
  return jax.tree_util.keystr(path)
