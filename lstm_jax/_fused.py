"""A layer's loop by code that runs it whole: C++ and cuDNN."""

import functools

import jax
import jax.numpy as jnp

from lstm_jax import _layer_loop
from lstm_jax.native import loops as native


def loop(kernel, cell, params, xs, start, lengths, reverse):
  """All steps of a layer of a cell with `Recurrence.fused`, features last.

  Args:
    kernel: 'native' or 'cudnn'.
    cell: the cell.
    params: its weights.
    xs: `[T, B, I]` or `[T, I]`, without nan past the end of a sequence.
    start: the carry to start from, fields `[B, C]` or `[C]`.
    lengths: `[B]` or scalar, or None.
    reverse: from the last step to the first.

  Returns:
    `(ys, last)`, `[T, B, C]` and a carry.
  """
  single = xs.ndim == 2
  if single:
    xs, start = xs[:, None], jax.tree.map(lambda a: a[None], start)
  num_steps, batch, _ = xs.shape
  if lengths is None:
    lengths = num_steps
  lengths = jnp.broadcast_to(jnp.asarray(lengths, jnp.int32), (batch,))
  recurrence = cell.recurrence
  w_x, b = recurrence.inputs(params)
  w_h = recurrence.recurrent(params)
  if recurrence.fused == 'lstm':
    h_0, c_0 = start.y_c, start.s_c
  else:
    h_0, c_0 = start.h, jnp.zeros_like(start.h)
    b = jnp.concatenate((b, *recurrence.rest(params)))
  inputs = native.Inputs(w_x, w_h, b, xs, h_0, c_0, lengths)
  if kernel == 'native':
    plain = functools.partial(_plain, recurrence, type(start), reverse)
    made = native.loop(recurrence.fused, reverse, plain, inputs)
  else:
    made = _cudnn(inputs)
  last = _carry(recurrence, type(start), made.h, made.c)
  if single:
    return made.ys[:, 0], jax.tree.map(lambda a: a[0], last)
  return made.ys, last


def _plain(recurrence, carry, reverse, inputs):
  """`native.loop` by XLA, for derivatives of the derivative."""
  first = lambda a: jnp.moveaxis(a, -1, 0)
  start = _carry(recurrence, carry, first(inputs.h_0), first(inputs.c_0))
  rows = len(inputs.w_x)
  t = jnp.arange(len(inputs.xs))[:, None]
  steps = _layer_loop.Steps(
    jnp.moveaxis(inputs.xs, -1, 1), t < inputs.lengths[None], None, None, None
  )
  asked = _layer_loop.Asked(True, False, False, reverse)
  # Of a GRU the last biases are those inside the reset gate's product.
  rest = (inputs.b[rows:],) if rows < len(inputs.b) else ()
  weights = _layer_loop.Weights(inputs.w_x, inputs.b[:rows], inputs.w_h, rest)
  last, (ys, _, _) = _layer_loop.through(
    recurrence, asked, 'products', weights, start, start, None, steps
  )
  back = lambda a: jnp.moveaxis(a, 0, -1)
  h = back(getattr(last, recurrence.output))
  c = back(last.s_c) if recurrence.fused == 'lstm' else inputs.c_0
  return native.Made(jnp.moveaxis(ys, 1, -1), h, c)


def _carry(recurrence, carry, h, c):
  return carry(s_c=c, y_c=h) if recurrence.fused == 'lstm' else carry(h)


def _cudnn(inputs):
  """`native.loop` forward in time by `jax.experimental.rnn`."""
  from jax.experimental import rnn

  w_x, w_h, b, xs, h_0, c_0, lengths = inputs
  batch_first = jnp.moveaxis(xs, 1, 0)
  # A second bias, which our net has not: zeros.
  weights = jnp.concatenate([w_x.ravel(), w_h.ravel(), b, jnp.zeros_like(b)])
  # A sequence without steps is more than it takes: one step, then forgotten.
  some = lengths > 0
  ys, h, c = rnn.lstm(
    batch_first, h_0[None], c_0[None], weights, jnp.maximum(lengths, 1),
    xs.shape[-1], h_0.shape[-1], 1, 0.0, False, jax.lax.Precision.HIGHEST,
  )  # fmt: skip
  keep = lambda new, old: jnp.where(some[:, None], new, old)
  ys = jnp.moveaxis(ys, 0, 1)
  return native.Made(keep(ys, 0), keep(h[0], h_0), keep(c[0], c_0))
