"""The loop over time of a layer, and its way back.

Plain differentiation of a scan adds the gradient of the weights up step by
step. Here the way back carries errors alone and stores those of the net inputs;
the gradient of each matrix is then one product over all steps. Net inputs are
not stored on the way forward: on the way back they are computed again.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.types import Array
from lstm_jax.unroll import affine, select


class Steps(NamedTuple):
  """What the loop reads at each step; None: nothing of the kind."""

  x: Array  # [T, I, *]
  active: Array | None  # [T, *] bool, false past the end of a sequence
  fresh: Array | None  # [T, *] bool, whether the state is reset before it
  cut: Array | None  # [T, *] bool, whether no error goes further back
  keep: Array | None  # [T, C, *] share of the old state that stays


class Asked(NamedTuple):
  """What is kept of every step, and in which order steps are taken."""

  outputs: bool
  states: bool
  gates: bool
  reverse: bool


class Weights(NamedTuple):
  """Of the hidden layer, as `Recurrence` has them."""

  w_x: Array  # [R, I]
  b: Array  # [R]
  w_h: Array  # [Q, S]
  rest: tuple


def loop(
  recurrence, asked, backward, every, params, start, initial, heard, steps
):
  """All steps of a layer.

  Args:
    recurrence: of the cell.
    asked: an `Asked`.
    backward, every: `backward` and `checkpoint_every` of `layer.run`.
    params: of the cell.
    start, initial: carries `[C, *]`.
    heard: factors on what the recurrent weights multiply, `[S, *]`, or None.
    steps: a `Steps`.

  Returns:
    `(carry, (ys, states, gates))`, these `[T, ..., *]` or None.
  """
  weights = Weights(
    *recurrence.inputs(params),
    recurrence.recurrent(params),
    recurrence.rest(params),
  )
  some = functools.partial(through, recurrence, asked, backward)
  if every is None:
    return some(weights, start, initial, heard, steps)

  num_steps = len(steps.x)
  short = -num_steps % every
  if short:
    # Steps past every end: they change nothing and are thrown away.
    active = steps.active
    if active is None:
      active = jnp.ones((num_steps, *steps.x.shape[2:]), bool)
    steps = jax.tree.map(
      lambda a: jnp.pad(a, [(0, short)] + [(0, 0)] * (a.ndim - 1)),
      steps._replace(active=active),
    )
  parts = jax.tree.map(lambda a: a.reshape(-1, every, *a.shape[1:]), steps)

  @jax.checkpoint
  def part(carry, steps):
    return some(weights, carry, initial, heard, steps)

  last, kept = jax.lax.scan(part, start, parts, reverse=asked.reverse)
  whole = lambda a: a.reshape(a.shape[0] * every, *a.shape[2:])[:num_steps]
  return last, jax.tree.map(whole, kept)


def through(recurrence, asked, backward, weights, start, initial, heard, steps):
  """`loop` for a `Weights`, without checkpoints."""
  run = _forward if backward == 'autodiff' else _with_products
  return run(recurrence, asked, weights, start, initial, heard, steps)


def _together(recurrence, weights):
  """`[W_x W_h]` where one product gives the net inputs, or None."""
  if not recurrence.joint:
    return None
  return jnp.concatenate((weights.w_x, weights.w_h), axis=1)


def _nets(recurrence, weights, together, x, z):
  """Net inputs of one step: a tuple that `_advance` takes.

  Computed in the loop, also what the inputs give: an array of them for all
  steps is so large that its memory costs more than the product.
  """
  b = weights.b.reshape((-1,) + (1,) * (x.ndim - 1))
  if together is None:
    return affine(weights.w_x, x) + b, affine(weights.w_h, z)
  return (affine(together, jnp.concatenate((x, z))) + b,)


def _product(w, x):
  """`w x` for `[R, I]` and `[T, I, *]`: `[T, R, *]`."""
  return jnp.moveaxis(jnp.tensordot(w, x, axes=(1, 1)), 0, 1)


def _outer(errors, x):
  """`sum_t errors x^T` for `[T, R, *]` and `[T, I, *]`: `[R, I]`."""
  axes = [axis for axis in range(errors.ndim) if axis != 1]
  return jnp.tensordot(errors, x, axes=(axes, axes))


def _begin(carry, initial, step):
  """The state that a step starts from."""
  if step.cut is not None:
    carry = select(step.cut, jax.lax.stop_gradient(carry), carry)
  return carry if step.fresh is None else select(step.fresh, initial, carry)


def _hears(recurrence, start, heard):
  z = recurrence.heard(start)
  return z if heard is None else z * heard


def _advance(recurrence, rest, start, nets, keep):
  """`(carry, gates)` of a step of all sequences, zoneout included."""
  # One net input: it is the sum of both.
  net_x, net_h = (
    nets if len(nets) == 2 else (*nets, jnp.zeros((), nets[0].dtype))
  )
  carry, gates = recurrence.advance(rest, start, net_x, net_h)
  if keep is not None:
    mix = lambda old, new: (
      keep * old + (1 - keep) * new if len(new) == len(keep) else new
    )
    carry = jax.tree.map(mix, start, carry)
  return carry, gates


def _forward(
  recurrence, asked, weights, start, initial, heard, steps, keep_starts=False
):
  """The loop as it is written down: `(carry, (ys, states, gates))`.

  With `keep_starts` the states that steps start from are a fourth thing kept.
  """
  together = _together(recurrence, weights)

  def body(before, step):
    start = _begin(before, initial, step)
    z = _hears(recurrence, start, heard)
    nets = _nets(recurrence, weights, together, step.x, z)
    carry, gates = _advance(recurrence, weights.rest, start, nets, step.keep)
    y = getattr(carry, recurrence.output)
    if step.active is not None:
      carry = select(step.active, carry, before)
      y, gates = select(
        step.active, (y, gates), jax.tree.map(jnp.zeros_like, (y, gates))
      )
    kept = (
      y if asked.outputs else None,
      carry if asked.states else None,
      gates if asked.gates else None,
    )
    return carry, (*kept, start) if keep_starts else kept

  return jax.lax.scan(body, start, steps, reverse=asked.reverse)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _with_products(recurrence, asked, weights, start, initial, heard, steps):
  return _forward(recurrence, asked, weights, start, initial, heard, steps)


def _there(recurrence, asked, weights, start, initial, heard, steps):
  last, (*kept, starts) = _forward(
    recurrence, asked, weights, start, initial, heard, steps, keep_starts=True
  )
  return (last, tuple(kept)), (weights, starts, initial, heard, steps)


def _back(recurrence, asked, stored, errors):
  weights, starts, initial, heard, steps = stored
  e_last, (e_ys, e_states, e_gates) = errors
  zeros = functools.partial(jax.tree.map, jnp.zeros_like)
  together = _together(recurrence, weights)
  back_h = weights.w_h.T

  def body(c, inputs):
    e_after, e_rest, e_initial = c
    start, step, e_y, e_state, e_gates = inputs
    if e_state is not None:
      e_after = jax.tree.map(jnp.add, e_after, e_state)
    e_carry, e_before = e_after, None
    if step.active is not None:
      e_carry = select(step.active, e_after, zeros(e_after))
      e_before = select(step.active, zeros(e_after), e_after)
      if e_y is not None:
        e_y = jnp.where(step.active[None], e_y, 0)
      if e_gates is not None:
        e_gates = select(step.active, e_gates, zeros(e_gates))
    if e_y is not None:
      name = recurrence.output
      e_carry = e_carry._replace(**{name: getattr(e_carry, name) + e_y})

    hears = lambda start: _hears(recurrence, start, heard)
    z, back_z = jax.vjp(hears, start)
    nets = _nets(recurrence, weights, together, step.x, z)
    advance = lambda *inputs: _advance(recurrence, *inputs, step.keep)
    (_, gates), back = jax.vjp(advance, weights.rest, start, nets)
    e_of_rest, e_start, e_nets = back(
      (e_carry, zeros(gates) if e_gates is None else e_gates)
    )
    (more,) = back_z(affine(back_h, e_nets[-1]))
    e_start = jax.tree.map(jnp.add, e_start, more)
    if step.fresh is not None:
      again = select(step.fresh, e_start, zeros(e_start))
      e_initial = jax.tree.map(jnp.add, e_initial, again)
      e_start = select(step.fresh, zeros(e_start), e_start)
    if step.cut is not None:
      e_start = select(step.cut, zeros(e_start), e_start)
    if e_before is not None:
      e_start = jax.tree.map(jnp.add, e_start, e_before)
    e_rest = jax.tree.map(jnp.add, e_rest, e_of_rest)
    return (e_start, e_rest, e_initial), e_nets

  (e_start, e_rest, e_initial), e_nets = jax.lax.scan(
    body,
    (e_last, zeros(weights.rest), zeros(initial)),
    (starts, steps, e_ys, e_states, e_gates),
    reverse=not asked.reverse,
  )
  e_net_x, e_net_h = e_nets[0], e_nets[-1]
  z = jax.vmap(lambda start: _hears(recurrence, start, heard))(starts)
  if together is None:
    e_w_x, e_w_h = _outer(e_net_x, steps.x), _outer(e_net_h, z)
  else:
    both = _outer(e_net_x, jnp.concatenate((steps.x, z), axis=1))
    e_w_x, e_w_h = jnp.split(both, (steps.x.shape[1],), axis=1)
  axes = [axis for axis in range(e_net_x.ndim) if axis != 1]
  e_weights = Weights(e_w_x, jnp.sum(e_net_x, axis=axes), e_w_h, e_rest)
  # A product of its own, which the compiler leaves out where no one asks.
  e_steps = Steps(_product(weights.w_x.T, e_net_x), None, None, None, None)
  return e_weights, e_start, e_initial, None, e_steps


_with_products.defvjp(_there, _back)
