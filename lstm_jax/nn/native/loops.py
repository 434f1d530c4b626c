"""Loops of layers in C++: forward, forward with what is kept, and backward.

One call runs all steps of all sequences (`forward.h`), one the backward pass
(`backward.h`), weight gradients included. Rows of weights are those of the
cells `lstm` (y_in, y_f, g, y_out), `gru` (r, z, n) and `srn`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.nn.native.library import load
from lstm_jax.types import Array


class Loop(NamedTuple):
  """The arrays that a loop stores for the backward pass."""

  states: bool = False  # internal states
  gates: bool = False  # activations of its rows


# By the names of `Equations.compiled_loop`, in the order of `LSTM_JAX_CELLS`:
# 'lstm', a carry of s_c and y_c and
# rows y_in, y_f, g, y_out; 'gru', a carry of h, rows r, z, n and the extra
# weights (b_hn,); the others, a carry of h that is the function so named of the
# net input.
LOOPS = {
  'lstm': Loop(states=True, gates=True),
  'gru': Loop(gates=True),
  'srn_tanh': Loop(),
  'srn_logistic': Loop(),
  'srn_relu': Loop(),
}
CELLS = tuple(LOOPS)


class Inputs(NamedTuple):
  """Inputs of the loop. Equations as in the cells' own files; R rows."""

  w_x: Array  # [R, I]
  w_h: Array  # [R, C]
  b: Array  # [R]; of a GRU [4C], those of r, z, n and b_hn
  xs: Array  # [T, B, I]
  h_0: Array  # [B, C] outputs before the first step
  c_0: Array  # [B, C] internal states before it; read of an LSTM only
  lengths: Array | None  # [B] int32, steps past them change nothing


class Outputs(NamedTuple):
  """Outputs of the loop: `ys` is 0 past the end of a sequence."""

  ys: Array  # [T, B, C]
  h: Array  # [B, C] after the last step of each sequence
  c: Array  # [B, C]


def forward(cell: str, reverse: bool, inputs: Inputs) -> Outputs:
  """All steps of a layer; arrays may have axes in front, of networks or size 1.

  Args:
    cell: one of `CELLS`.
    reverse: whether steps are taken from the last to the first.
    inputs: arrays of one dtype, float32 or float64.
  """
  return Outputs(*_call('forward', _outputs(inputs), inputs, cell, reverse))


def forward_kept(
  cell: str, reverse: bool, inputs: Inputs
) -> tuple[Outputs, tuple[Array, Array]]:
  """`forward`, and what the backward pass needs of every step."""
  nets = _nets(inputs)
  kept_shapes = (
    jax.ShapeDtypeStruct((*nets, *a.shape), a.dtype)
    for a in keeps(cell, _of_one_net(inputs))
  )
  shapes = (*_outputs(inputs), *kept_shapes)
  *outputs, states, gates = _call('forward_kept', shapes, inputs, cell, reverse)
  return Outputs(*outputs), (states, gates)


def backward(
  cell: str,
  reverse: bool,
  with_xs: bool,
  inputs: Inputs,
  ys: Array,
  arrays_kept: tuple[Array, Array],
  cotangents: Outputs,
) -> Inputs:
  """The gradient by `Inputs`; None for lengths, empty by xs if not wanted.

  Args:
    cell, reverse, inputs: as in `forward`.
    with_xs: whether the gradient by xs is wanted.
    ys, kept: of `forward_kept`.
    cotangents: those of the `Outputs`.
  """
  arrays = (*inputs, ys, *arrays_kept, *cotangents)
  nets = _nets((*inputs, *cotangents), _AXES + _OUTPUT_AXES)
  shape = lambda a: jax.ShapeDtypeStruct((*nets, *a.shape), a.dtype)
  one_net = _of_one_net(inputs)
  shapes = one_net._replace(lengths=None)
  if not with_xs:
    shapes = shapes._replace(xs=jax.ShapeDtypeStruct((0, 0, 0), ys.dtype))
  shapes = tuple(map(shape, shapes[:-1]))
  gradient = _call('backward', shapes, arrays, cell, reverse)
  return Inputs._make((*gradient, None))


# Axes of one net's arrays.
_AXES = (2, 2, 1, 3, 2, 2, 1)
_OUTPUT_AXES = (3, 2, 2)


def _nets(arrays, axes=_AXES):
  """Sizes of the axes in front."""
  return jnp.broadcast_shapes(
    *(
      a.shape[: a.ndim - num_axes]
      for a, num_axes in zip(arrays, axes, strict=True)
    )
  )


def _of_one_net(inputs):
  return Inputs._make(
    jax.ShapeDtypeStruct(a.shape[a.ndim - num_axes :], a.dtype)
    for a, num_axes in zip(inputs, _AXES, strict=True)
  )


def _outputs(inputs):
  nets, one_net = _nets(inputs), _of_one_net(inputs)
  num_steps, batch, _ = one_net.xs.shape
  dtype = one_net.xs.dtype
  state = jax.ShapeDtypeStruct((*nets, *one_net.h_0.shape), dtype)
  cells = one_net.h_0.shape[-1]
  ys = jax.ShapeDtypeStruct((*nets, num_steps, batch, cells), dtype)
  return ys, state, state


# Bytes of gate activations, and sources (I + C) up to which it pays to compute
# them again: pages of a large new array cost more than a small product. The
# first row is for many networks under `jax.vmap`, whose number is not seen
# here.
_AGAIN = ((1e6, 64), (16e6, 160))


def keeps(
  cell: str, inputs: Inputs
) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
  """Shapes of what the backward pass of one network needs besides ys.

  Cells are filled up to whole vectors.
  """
  num_steps, batch, num_inputs = inputs.xs.shape
  dtype = inputs.xs.dtype
  cells = inputs.h_0.shape[-1]
  states, gates = LOOPS[cell]
  lanes = load().vector_bytes // dtype.itemsize
  padded_cells = -(-cells // lanes) * lanes
  size = 4 * num_steps * batch * padded_cells * dtype.itemsize
  again = any(
    size > min_bytes and num_inputs + cells <= max_rows
    for min_bytes, max_rows in _AGAIN
  )
  gate_cells = padded_cells if gates and not again else 0
  return (
    jax.ShapeDtypeStruct(
      (num_steps, batch, padded_cells if states else 0), dtype
    ),
    jax.ShapeDtypeStruct((num_steps, batch, 4, gate_cells), dtype),
  )


def _call(name, shapes, arrays, cell, reverse):
  load()
  call = jax.ffi.ffi_call(f'lstm_jax_{name}', tuple(shapes))
  return call(*arrays, reverse=reverse, cell=np.int64(CELLS.index(cell)))
