"""A layer's loop by code that runs it whole: C++ and cuDNN."""

import functools

import jax
import jax.numpy as jnp

from lstm_jax.nn import _scan, _whole_loop
from lstm_jax.nn.native import loops as native


def loop(kernel, recurrence, params, xs, start, lengths, reverse):
  """All steps of a layer of a cell that has a loop of its own, features last.

  Args:
    kernel: 'native' or 'cudnn'.
    recurrence: of the cell, with `fused`.
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
  begin = start
  if lengths is None:
    some, lengths = None, num_steps
  else:
    # A state that no step reads puts no nan, by 0 nan, into a gradient.
    some = jnp.broadcast_to(lengths, (batch,))[:, None] > 0
    start = jax.tree.map(lambda a: jnp.where(some, a, 0), start)
  lengths = jnp.broadcast_to(jnp.asarray(lengths, jnp.int32), (batch,))
  w_x, b = recurrence.inputs(params)
  w_h = recurrence.recurrent(params)
  if recurrence.fused == 'lstm':
    h_0, c_0 = start.y_c, start.s_c
  else:
    h_0, c_0 = start.h, jnp.zeros_like(start.h)
    b = jnp.concatenate((b, *recurrence.rest(params)))
  inputs = native.Inputs(w_x, w_h, b, xs, h_0, c_0, lengths)
  plain = functools.partial(_plain, recurrence, type(start), reverse)
  made = _whole_loop.loop(
    _whole_loop.Plan(CODES[kernel], recurrence.fused, reverse, plain), inputs
  )
  last = _carry(recurrence, type(start), made.h, made.c)
  if some is not None:
    last = jax.tree.map(lambda a, b: jnp.where(some, a, b), last, begin)
  if single:
    return made.ys[:, 0], jax.tree.map(lambda a: a[0], last)
  return made.ys, last


def _plain(recurrence, carry, reverse, inputs):
  """The same loop by XLA, for what the code outside it cannot do."""
  first = lambda a: jnp.moveaxis(a, -1, 0)
  start = _carry(recurrence, carry, first(inputs.h_0), first(inputs.c_0))
  rows = len(inputs.w_x)
  t = jnp.arange(len(inputs.xs))[:, None]
  steps = _scan.Steps(
    jnp.moveaxis(inputs.xs, -1, 1), t < inputs.lengths[None], None, None, None
  )
  asked = _scan.Asked(True, False, False, reverse)
  # Of a GRU the last biases are those inside the reset gate's product.
  rest = (inputs.b[rows:],) if rows < len(inputs.b) else ()
  weights = _scan.Weights(inputs.w_x, inputs.b[:rows], inputs.w_h, rest)
  last, (ys, _, _) = _scan.through(
    recurrence, asked, 'products', weights, start, start, None, steps
  )
  back = lambda a: jnp.moveaxis(a, 0, -1)
  h = back(getattr(last, recurrence.output))
  c = back(last.s_c) if recurrence.fused == 'lstm' else inputs.c_0
  return native.Made(jnp.moveaxis(ys, 1, -1), h, c)


def _carry(recurrence, carry, h, c):
  return carry(s_c=c, y_c=h) if recurrence.fused == 'lstm' else carry(h)


def _cudnn_call(inputs):
  """What `jax.experimental.rnn` is given, batch first."""
  w_x, w_h, b, xs, h_0, c_0, lengths = inputs
  # A second bias, which our net has not: zeros.
  weights = jnp.concatenate([w_x.ravel(), w_h.ravel(), b, jnp.zeros_like(b)])
  # A sequence without steps is more than it takes: one step, then forgotten.
  arrays = (
    jnp.moveaxis(xs, 1, 0), h_0[None], c_0[None], weights,
    jnp.maximum(lengths, 1),
  )  # fmt: skip
  sizes = xs.shape[-1], h_0.shape[-1], 1, 0.0, False, jax.lax.Precision.HIGHEST
  return arrays, sizes


def _cudnn_made(inputs, ys, h, c):
  keep = lambda new, old: jnp.where(inputs.lengths[:, None] > 0, new, old)
  return native.Made(
    keep(jnp.moveaxis(ys, 0, 1), 0), keep(h[0], inputs.h_0),
    keep(c[0], inputs.c_0),
  )  # fmt: skip


def _cudnn_forward(cell, reverse, inputs):
  """The LSTM forward in time by `jax.experimental.rnn`."""
  del cell, reverse
  from jax.experimental import rnn

  arrays, sizes = _cudnn_call(inputs)
  return _cudnn_made(inputs, *rnn.lstm(*arrays, *sizes))


def _cudnn_forward_kept(cell, reverse, inputs):
  del cell, reverse
  from jax.experimental import rnn

  arrays, sizes = _cudnn_call(inputs)
  made, (*_, reserve) = rnn.lstm_fwd(*arrays, *sizes)
  return _cudnn_made(inputs, *made), (reserve,)


def _cudnn_keeps(cell, inputs):
  return jax.eval_shape(
    lambda inputs: _cudnn_forward_kept(cell, False, inputs)[1], inputs
  )


def _cudnn_backward(cell, reverse, with_xs, inputs, ys, kept, errors):
  del cell, reverse
  from jax.experimental import rnn

  def given(inputs):
    return _cudnn_call(inputs._replace(lengths=lengths))[0][:-1]

  lengths = inputs.lengths
  inputs_alone = inputs._replace(lengths=None)
  arrays, sizes = _cudnn_call(inputs)
  (reserve,) = kept
  raw = jnp.moveaxis(ys, 1, 0)
  _, back_made = jax.vjp(
    lambda inputs, *made: _cudnn_made(inputs._replace(lengths=lengths), *made),
    inputs_alone, raw, errors.h[None], errors.c[None],
  )  # fmt: skip
  e_inputs, *e_made = back_made(errors)
  *e_arrays, _ = rnn.lstm_bwd(*sizes, (*arrays, raw, reserve), tuple(e_made))
  _, back_given = jax.vjp(given, inputs_alone)
  (more,) = back_given(tuple(e_arrays))
  found = jax.tree.map(jnp.add, e_inputs, more)
  return found if with_xs else found._replace(xs=None)


CODES = {
  'native': _whole_loop.Code(
    'cpu', True, native.forward, native.keeps, native.forward_kept,
    native.backward,
  ),
  'cudnn': _whole_loop.Code(
    'cuda', False, _cudnn_forward, _cudnn_keeps, _cudnn_forward_kept,
    _cudnn_backward,
  ),
}  # fmt: skip
