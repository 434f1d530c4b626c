"""The LSTM layer's loop by code that runs it whole: C++ and cuDNN."""

import functools

import jax
import jax.numpy as jnp

from lstm_jax import _layer_loop
from lstm_jax.native import lstm as native


def loop(kernel, cell, params, xs, start, lengths, reverse):
  """All steps of a layer of the cell `cells.lstm`, features last.

  Args:
    kernel: 'native' or 'cudnn'.
    cell: the cell, with `Recurrence.fused`.
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
  w_x, b = cell.recurrence.inputs(params)
  w_h = cell.recurrence.recurrent(params)
  inputs = native.Inputs(w_x, w_h, b, xs, start.y_c, start.s_c, lengths)
  if kernel == 'native':
    plain = functools.partial(_plain, cell.recurrence, type(start), reverse)
    made = native.loop(reverse, plain, inputs)
  else:
    made = _cudnn(inputs)
  last = type(start)(s_c=made.c, y_c=made.h)
  if single:
    return made.ys[:, 0], jax.tree.map(lambda a: a[0], last)
  return made.ys, last


def _plain(recurrence, carry, reverse, inputs):
  """`native.loop` by XLA, for derivatives of the derivative."""
  first = lambda a: jnp.moveaxis(a, -1, 0)
  start = carry(s_c=first(inputs.c_0), y_c=first(inputs.h_0))
  t = jnp.arange(len(inputs.xs))[:, None]
  steps = _layer_loop.Steps(
    jnp.moveaxis(inputs.xs, -1, 1), t < inputs.lengths[None], None, None, None
  )
  asked = _layer_loop.Asked(True, False, False, reverse)
  weights = _layer_loop.Weights(inputs.w_x, inputs.b, inputs.w_h, ())
  last, (ys, _, _) = _layer_loop.loop(
    recurrence, asked, 'products', None, weights, start, start, None, steps
  )
  back = lambda a: jnp.moveaxis(a, 0, -1)
  return native.Made(jnp.moveaxis(ys, 1, -1), back(last.y_c), back(last.s_c))


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
