"""Loops of layers in C++, as a function that JAX differentiates and maps.

One call runs all steps of all sequences (`there.h`), and one all steps back,
weight gradients included. Rows of weights are those of the cells `lstm` (y_in,
y_f, g, y_out), `gru` (r, z, n) and `srn`.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.native.library import load
from lstm_jax.types import Array

# The cells that it knows, in the order of `LSTM_JAX_CELLS`.
CELLS = ('lstm', 'gru', 'srn_tanh', 'srn_logistic', 'srn_relu')


class Inputs(NamedTuple):
  """What the loop reads. Equations as in the cells' own files; R rows."""

  w_x: Array  # [R, I]
  w_h: Array  # [R, C]
  b: Array  # [R]; of a GRU [4C], those of r, z, n and b_hn
  xs: Array  # [T, B, I]
  h_0: Array  # [B, C] outputs before the first step
  c_0: Array  # [B, C] internal states before it; read of an LSTM only
  lengths: Array  # [B] int32, steps past them change nothing


class Made(NamedTuple):
  """What it made: `ys` is 0 past the end of a sequence."""

  ys: Array  # [T, B, C]
  h: Array  # [B, C] after the last step of each sequence
  c: Array  # [B, C]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def loop(cell: str, reverse: bool, plain, inputs: Inputs) -> Made:
  """All steps of a layer.

  Args:
    cell: one of `CELLS`.
    reverse: whether steps are taken from the last to the first.
    plain: the same function of `Inputs` in JAX. Its derivative is that of the
      derivative, which C++ does not have.
    inputs: arrays of one dtype, float32 or float64.
  """
  shapes = _made(inputs)
  return Made(*_call('forward', shapes, inputs, cell, reverse))


@jax.tree_util.register_static
class Wanted(NamedTuple):
  """What the way back is asked for beside the weights: no array, a plan."""

  xs: bool


def _there(cell, reverse, plain, inputs):
  wanted = Wanted(xs=inputs.xs.perturbed)
  inputs = jax.custom_derivatives.custom_vjp_primal_tree_values(inputs)
  made, inside, gates = _keep(cell, reverse, plain, inputs)
  return made, (wanted, (inputs, made.ys, inside, gates))


def _back(cell, reverse, plain, stored, errors):
  wanted, kept = stored
  errors = jax.tree.map(_written_out, errors, is_leaf=_is_zero)
  return (_gradients(cell, reverse, wanted, plain, kept, errors),)


def _is_zero(error):
  return isinstance(error, jax.custom_derivatives.SymbolicZero)


def _written_out(error):
  return jnp.zeros(error.shape, error.dtype) if _is_zero(error) else error


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _keep(cell, reverse, plain, inputs):
  """`loop`, and what the way back needs of every step."""
  shapes = (*_made(inputs), *_kept(cell, inputs))
  *made, inside, gates = _call('forward_kept', shapes, inputs, cell, reverse)
  return Made(*made), inside, gates


def _keep_there(cell, reverse, plain, inputs):
  made, inside, gates = _keep(cell, reverse, plain, inputs)
  return (made, inside, gates), (inputs, made.ys, inside, gates)


def _keep_back(cell, reverse, plain, stored, errors):
  # `_gradients` sends no errors to what is kept.
  return (_gradients(cell, reverse, Wanted(xs=True), plain, stored, errors[0]),)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2, 3))
def _gradients(cell, reverse, wanted, plain, stored, errors):
  """The gradient by `Inputs`, that of lengths left out."""
  (w_x, w_h, b, xs, h_0, c_0, lengths), *kept = stored
  like = lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype)
  e_xs = like(xs) if wanted.xs else jax.ShapeDtypeStruct((0, 0, 0), xs.dtype)
  found = _call(
    'backward',
    (like(w_x), like(w_h), like(b), e_xs, like(h_0), like(c_0)),
    (*stored[0], *kept, *errors),
    cell,
    reverse,
  )
  found = Inputs(*found, lengths=None)
  return found if wanted.xs else found._replace(xs=jnp.zeros_like(xs))


def _gradients_there(cell, reverse, wanted, plain, stored, errors):
  found = _gradients(cell, reverse, wanted, plain, stored, errors)
  return found, (stored, errors)


def _gradients_back(cell, reverse, wanted, plain, kept, seconds):
  # What the way there kept is a function of the inputs: `again` accounts for
  # it, and its own derivative is 0.
  (inputs, *arrays), errors = kept

  def again(inputs, errors):
    return jax.vjp(plain, inputs)[1](errors)[0]._replace(lengths=None)

  e_inputs, e_errors = jax.vjp(again, inputs, errors)[1](seconds)
  return (e_inputs, *jax.tree.map(jnp.zeros_like, arrays)), e_errors


loop.defvjp(_there, _back, symbolic_zeros=True)
_keep.defvjp(_keep_there, _keep_back)
_gradients.defvjp(_gradients_there, _gradients_back)


def _made(inputs):
  num_steps, batch, _ = inputs.xs.shape
  state = jax.ShapeDtypeStruct(inputs.h_0.shape, inputs.xs.dtype)
  cells = inputs.h_0.shape[-1]
  ys = jax.ShapeDtypeStruct((num_steps, batch, cells), inputs.xs.dtype)
  return ys, state, state


# Bytes of gate activations, and sources (I + C) up to which it pays to compute
# them again: pages of a large new array cost more than a small product. The
# first row is for many nets under `jax.vmap`, whose number is not seen here.
_AGAIN = ((1e6, 64), (16e6, 160))


def _kept(cell, inputs):
  """Shapes of what the way back needs beside ys, cells up to whole vectors."""
  num_steps, batch, num_inputs = inputs.xs.shape
  dtype = inputs.xs.dtype
  cells = inputs.h_0.shape[-1]
  states, gates = cell == 'lstm', cell in ('lstm', 'gru')
  lanes = load().vector_bytes // dtype.itemsize
  wide = -(-cells // lanes) * lanes
  size = 4 * num_steps * batch * wide * dtype.itemsize
  again = any(
    size > least and num_inputs + cells <= most for least, most in _AGAIN
  )
  kept = wide if gates and not again else 0
  return (
    jax.ShapeDtypeStruct((num_steps, batch, wide if states else 0), dtype),
    jax.ShapeDtypeStruct((num_steps, batch, 4, kept), dtype),
  )


def _call(name, shapes, arrays, cell, reverse):
  load()
  call = jax.ffi.ffi_call(
    f'lstm_jax_{name}', tuple(shapes), vmap_method='expand_dims'
  )
  return call(*arrays, reverse=reverse, cell=np.int64(CELLS.index(cell)))
