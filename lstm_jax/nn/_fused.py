"""A layer's loop by code that runs it whole: C++ and cuDNN."""

import functools

import jax
import jax.numpy as jnp

from lstm_jax.nn import _scan, _whole_loop
from lstm_jax.nn.native import loops as native
from lstm_jax.ops.step import Matrices, matrices
from lstm_jax.types import Array, Carry, Equations, Params


def loop(
  kernel: str,
  equations: Equations,
  params: Params,
  xs: Array,
  start: Carry,
  lengths: Array | None,
  reverse: bool,
) -> tuple[Array, Carry]:
  """All steps of a layer of a cell that has a loop of its own, features last.

  Args:
    kernel: 'native' or 'cudnn'.
    equations: of the cell, with a `compiled_loop`.
    params: its weights.
    xs: `[T, B, I]` or `[T, I]`, without nan past the end of a sequence.
    start: the carry to start from, fields `[B, C]` or `[C]`.
    lengths: `[B]` or scalar, or None.
    reverse: from the last step to the first.

  Returns:
    `(ys, last)`, `[T, B, C]` and a carry.
  """
  is_single = xs.ndim == 2
  if is_single:
    xs, start = xs[:, None], jax.tree.map(lambda a: a[None], start)
  num_steps, batch, _ = xs.shape
  begin = start
  if lengths is None:
    is_begun, lengths = None, num_steps
  else:
    # A state that no step reads puts no nan, by 0 nan, into a gradient.
    is_begun = jnp.broadcast_to(lengths, (batch,))[:, None] > 0
    start = jax.tree.map(lambda a: jnp.where(is_begun, a, 0), start)
  lengths = jnp.broadcast_to(jnp.asarray(lengths, jnp.int32), (batch,))
  weights = matrices(equations, params)
  h_0 = getattr(start, equations.output)
  state = _state(equations, start)
  c_0 = jnp.zeros_like(h_0) if state is None else getattr(start, state)
  inputs = native.Inputs(
    weights.w_x, weights.w_h, jnp.concatenate((weights.b, *weights.extra)), xs,
    h_0, c_0, lengths,
  )  # fmt: skip
  by_xla = functools.partial(_by_xla, equations, type(start), reverse)
  assert equations.compiled_loop is not None  # `dispatch` has seen to it.
  plan = _whole_loop.Plan(
    CODES[kernel], equations.compiled_loop, reverse, by_xla
  )
  outputs = _whole_loop.loop(plan, inputs)
  last = _carry(equations, type(start), outputs.h, outputs.c)
  if is_begun is not None:
    last = jax.tree.map(lambda a, b: jnp.where(is_begun, a, b), last, begin)
  if is_single:
    return outputs.ys[:, 0], jax.tree.map(lambda a: a[0], last)
  return outputs.ys, last


def _by_xla(equations, carry, reverse, inputs):
  """The same loop by XLA, for what the code outside it cannot do."""
  first = lambda a: jnp.moveaxis(a, -1, 0)
  start = _carry(equations, carry, first(inputs.h_0), first(inputs.c_0))
  rows = len(inputs.w_x)
  t = jnp.arange(len(inputs.xs))[:, None]
  steps = _scan.Steps(
    jnp.moveaxis(inputs.xs, -1, 1), t < inputs.lengths[None], None, None, None
  )
  options = _scan.LoopOptions(True, False, False, reverse)
  # Of a GRU the last biases are those inside the reset gate's product.
  extra = (inputs.b[rows:],) if rows < len(inputs.b) else ()
  weights = Matrices(inputs.w_x, inputs.b[:rows], inputs.w_h, extra)
  last, (ys, _, _) = _scan.through(
    equations, options, 'products', weights, start, start, None, steps
  )
  batch_last = lambda a, axis=0: jnp.moveaxis(a, axis, -1)
  h = batch_last(getattr(last, equations.output))
  state = _state(equations, last)
  c = inputs.c_0 if state is None else batch_last(getattr(last, state))
  return native.Outputs(batch_last(ys, 1), h, c)


def _state(equations, carry):
  """The carry field besides the output, or None."""
  fields = (name for name in carry._fields if name != equations.output)
  return next(fields, None)


def _carry(equations, carry, h, c):
  """A carry of its outputs and of what it has besides them."""
  state = _state(equations, carry)
  return carry(**({equations.output: h} | ({state: c} if state else {})))


def _cudnn_call(inputs):
  """Returns the arguments for `jax.experimental.rnn`, batch first."""
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


def _cudnn_outputs(inputs, ys, h, c):
  keep = lambda new, old: jnp.where(inputs.lengths[:, None] > 0, new, old)
  return native.Outputs(
    keep(jnp.moveaxis(ys, 0, 1), 0), keep(h[0], inputs.h_0),
    keep(c[0], inputs.c_0),
  )  # fmt: skip


def _cudnn_forward(cell, reverse, inputs):
  """The LSTM forward in time by `jax.experimental.rnn`."""
  del cell, reverse
  from jax.experimental import rnn

  arrays, sizes = _cudnn_call(inputs)
  return _cudnn_outputs(inputs, *rnn.lstm(*arrays, *sizes))


def _cudnn_forward_kept(cell, reverse, inputs):
  del cell, reverse
  from jax.experimental import rnn

  arrays, sizes = _cudnn_call(inputs)
  outputs, (*_, reserve) = rnn.lstm_fwd(*arrays, *sizes)
  return _cudnn_outputs(inputs, *outputs), (reserve,)


def _cudnn_keeps(cell, inputs):
  return jax.eval_shape(
    lambda inputs: _cudnn_forward_kept(cell, False, inputs)[1], inputs
  )


def _cudnn_backward(
  cell, reverse, with_xs, inputs, ys, saved_arrays, cotangents
):
  del cell, reverse
  from jax.experimental import rnn

  def inputs_as_given(inputs):
    return _cudnn_call(inputs._replace(lengths=lengths))[0][:-1]

  lengths = inputs.lengths
  inputs_alone = inputs._replace(lengths=None)
  arrays, sizes = _cudnn_call(inputs)
  (reserve,) = saved_arrays
  ys_batch_first = jnp.moveaxis(ys, 1, 0)
  _, pull_outputs = jax.vjp(
    lambda inputs, *out: _cudnn_outputs(inputs._replace(lengths=lengths), *out),
    inputs_alone, ys_batch_first, cotangents.h[None], cotangents.c[None],
  )  # fmt: skip
  ct_inputs, *ct_outputs = pull_outputs(cotangents)
  residuals = (*sizes, (*arrays, ys_batch_first, reserve), tuple(ct_outputs))
  *ct_arrays, _ = rnn.lstm_bwd(*residuals)
  _, pull_inputs = jax.vjp(inputs_as_given, inputs_alone)
  (ct_more,) = pull_inputs(tuple(ct_arrays))
  gradients = jax.tree.map(jnp.add, ct_inputs, ct_more)
  return gradients if with_xs else gradients._replace(xs=None)


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
