"""The loop over time of a layer, forward and backward.

Plain differentiation of a scan adds the gradient of the weights up step by
step. Here the backward pass carries cotangents alone and stores those of the
net inputs; the gradient of each matrix is then one product over all steps. Net
inputs are not stored by the forward pass: the backward pass computes them
again.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from lstm_jax.ops.arrays import affine, select
from lstm_jax.ops.step import Matrices, matrices, recurrent_input
from lstm_jax.types import Array, Carry, Equations, Params

# Of all steps: outputs, states, gates; None where they are not asked for.
KeptArrays = tuple[Array | None, Carry | None, dict[str, Array] | None]


class Steps(NamedTuple):
  """Arrays that the loop reads at each step; None: nothing of the kind."""

  x: Array  # [T, I, *]
  active: Array | None  # [T, *] bool, false past the end of a sequence
  fresh: Array | None  # [T, *] bool, whether the state is reset before it
  cut: Array | None  # [T, *] bool, whether no cotangent goes further back
  keep: Array | None  # [T, C, *] share of the old state that stays


class LoopOptions(NamedTuple):
  """Choices of what is kept of every step, and the order of steps."""

  outputs: bool
  states: bool
  gates: bool
  reverse: bool


def loop(
  equations: Equations,
  options: LoopOptions,
  backward: str,
  every: int | None,
  params: Params,
  start: Carry,
  initial: Carry,
  recurrent_noise: Array | None,
  steps: Steps,
) -> tuple[Carry, KeptArrays]:
  """All steps of a layer.

  Args:
    equations: of the cell.
    options: the `LoopOptions`.
    backward, every: `backward` and `checkpoint_every` of `layer`.
    params: of the cell.
    start, initial: carries `[C, *]`.
    recurrent_noise: factors on what the recurrent weights multiply, `[S, *]`,
      or None.
    steps: a `Steps`.

  Returns:
    `(carry, (ys, states, gates))`, these `[T, ..., *]` or None.
  """
  if equations.products:
    weights = matrices(equations, params)
  else:
    # The cell's own step: there are no matrices.
    weights, backward = Matrices._make((None, None, None, params)), 'autodiff'
  run_part = functools.partial(through, equations, options, backward)
  if every is None:
    return run_part(weights, start, initial, recurrent_noise, steps)

  num_steps = len(steps.x)
  missing_steps = -num_steps % every
  if missing_steps:
    # Steps past every end: they change nothing and are thrown away.
    active = steps.active
    if active is None:
      active = jnp.ones_like(steps.x[:, 0], bool)
    steps = jax.tree.map(
      lambda a: jnp.pad(a, [(0, missing_steps)] + [(0, 0)] * (a.ndim - 1)),
      steps._replace(active=active),
    )
  parts = jax.tree.map(
    lambda a: a.reshape(-(-num_steps // every), every, *a.shape[1:]), steps
  )

  @jax.checkpoint
  def part(carry, steps):
    return run_part(weights, carry, initial, recurrent_noise, steps)

  last, arrays = jax.lax.scan(part, start, parts, reverse=options.reverse)
  unpadded = lambda a: a.reshape(a.shape[0] * every, *a.shape[2:])[:num_steps]
  return last, jax.tree.map(unpadded, arrays)


def through(
  equations: Equations,
  options: LoopOptions,
  backward: str,
  weights: Matrices,
  start: Carry,
  initial: Carry,
  recurrent_noise: Array | None,
  steps: Steps,
) -> tuple[Carry, KeptArrays]:
  """`loop` for a `Matrices`, without checkpoints."""
  run = _forward if backward == 'autodiff' else _with_products
  return run(
    equations, options, weights, start, initial, recurrent_noise, steps
  )


def _joint_weights(equations, weights):
  """`[W_x W_h]` where one product gives the net inputs, or None."""
  if equations.separate_nets or not equations.products:
    return None
  return jnp.concatenate((weights.w_x, weights.w_h), axis=1)


def _nets(equations, weights, joint, x, z):
  """Net inputs of one step: a tuple that `_advance` takes.

  Computed in the loop, also what the inputs give: an array of them for all
  steps is so large that its memory costs more than the product.
  """
  if not equations.products:
    return (x,)
  b = weights.b.reshape((-1,) + (1,) * (x.ndim - 1))
  if joint is None:
    return affine(weights.w_x, x) + b, affine(weights.w_h, z)
  return (affine(joint, jnp.concatenate((x, z))) + b,)


def _product(w, x):
  """`w x` for `[R, I]` and `[T, I, *]`: `[T, R, *]`."""
  return jnp.moveaxis(jnp.tensordot(w, x, axes=(1, 1)), 0, 1)


def _begin(carry, initial, step):
  """The state that a step starts from."""
  if step.cut is not None:
    carry = select(step.cut, jax.lax.stop_gradient(carry), carry)
  return carry if step.fresh is None else select(step.fresh, initial, carry)


def _recurrent_input(equations, start, recurrent_noise):
  z = recurrent_input(equations, start)
  return z if recurrent_noise is None else z * recurrent_noise


def _advance(equations, extra, start, nets, keep):
  """`(carry, gates)` of a step of all sequences, zoneout included."""
  carry, gates = equations.advance(extra, start, *nets)
  if keep is not None:
    mix = lambda old, new: (
      keep * old + (1 - keep) * new if len(new) == len(keep) else new
    )
    carry = jax.tree.map(mix, start, carry)
  return carry, gates


def _forward(
  equations,
  options,
  weights,
  start,
  initial,
  recurrent_noise,
  steps,
  keep_starts=False,
):
  """The loop as it is written down: `(carry, (ys, states, gates))`.

  With `keep_starts` the states that steps start from are a fourth thing kept.
  """
  joint = _joint_weights(equations, weights)

  def body(carry_before, step):
    start = _begin(carry_before, initial, step)
    if step.active is not None:
      # A step that does not count is one of zeros: it puts no nan, by 0 nan,
      # into a gradient.
      nothing = jax.tree.map(jnp.zeros_like, start)
      start = select(step.active, start, nothing)
    z = _recurrent_input(equations, start, recurrent_noise)
    nets = _nets(equations, weights, joint, step.x, z)
    carry, gates = _advance(equations, weights.extra, start, nets, step.keep)
    y = getattr(carry, equations.output)
    if step.active is not None:
      carry = select(step.active, carry, carry_before)
      y, gates = select(
        step.active, (y, gates), jax.tree.map(jnp.zeros_like, (y, gates))
      )
    arrays = (
      y if options.outputs else None,
      carry if options.states else None,
      gates if options.gates else None,
    )
    return carry, (*arrays, start) if keep_starts else arrays

  return jax.lax.scan(body, start, steps, reverse=options.reverse)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _with_products(
  equations, options, weights, start, initial, recurrent_noise, steps
):
  return _forward(
    equations, options, weights, start, initial, recurrent_noise, steps
  )


@functools.partial(_with_products.defjvp, symbolic_zeros=True)
def _pushed(equations, options, primals, tangents):
  """The loop, and what it changes by in some direction.

  A rule for forward mode that JAX transposes for reverse mode: a `custom_vjp`
  has no forward mode, its cotangents no axes of a mesh. What the changes of
  weights and inputs add to the net inputs is computed for all steps before the
  loop; transposed, that is one product over all steps for each matrix.
  """
  weights, start, initial, recurrent_noise, steps = primals
  last, (*arrays, starts) = _forward(
    equations,
    options,
    weights,
    start,
    initial,
    recurrent_noise,
    steps,
    keep_starts=True,
  )
  d_weights, d_start, d_initial, _, d_steps = tangents
  d_extra, d_start, d_initial = jax.tree.map(
    _written_out,
    (d_weights.extra, d_start, d_initial),
    (weights.extra, start, initial),
  )
  zeros = functools.partial(jax.tree.map, jnp.zeros_like)
  z_of = lambda start: _recurrent_input(equations, start, recurrent_noise)
  joint = _joint_weights(equations, weights)
  # Transposed once: in the backward pass it is then a plain product each step.
  back_h = weights.w_h.T
  d_nets = _from_changes(
    equations, weights, d_weights, steps.x, d_steps.x, jax.vmap(z_of)(starts)
  )

  # States are stored, nothing else: the rest of a step is computed again.
  @functools.partial(jax.checkpoint, prevent_cse=False)
  def body(d_before, inputs):
    start, step, d_nets = inputs
    d_start = d_before
    if step.cut is not None:
      d_start = select(step.cut, zeros(d_start), d_start)
    if step.fresh is not None:
      d_start = select(step.fresh, d_initial, d_start)
    z, d_z = jax.jvp(z_of, (start,), (d_start,))
    nets = _nets(equations, weights, joint, step.x, z)
    d_nets = (*d_nets[:-1], d_nets[-1] + jnp.tensordot(back_h, d_z, (0, 0)))
    _, (d_carry, d_gates) = jax.jvp(
      lambda extra, start, nets: _advance(
        equations, extra, start, nets, step.keep
      ),
      (weights.extra, start, nets),
      (d_extra, d_start, d_nets),
    )
    d_y = getattr(d_carry, equations.output)
    if step.active is not None:
      d_carry = select(step.active, d_carry, d_before)
      d_y, d_gates = select(step.active, (d_y, d_gates), zeros((d_y, d_gates)))
    return d_carry, (
      d_y if options.outputs else None,
      d_carry if options.states else None,
      d_gates if options.gates else None,
    )

  d_made = jax.lax.scan(
    body, d_start, (starts, steps, d_nets), reverse=options.reverse
  )
  return (last, tuple(arrays)), d_made


def _from_changes(equations, weights, d_weights, x, d_x, z):
  """Computes what changes of weights and inputs add to all net inputs.

  Args:
    equations, weights: as for `through`.
    d_weights, d_x: changes, `SymbolicZero` where there is none.
    x: `[T, I, *]`.
    z: what the recurrent weights multiply, `[T, S, *]`.

  Returns:
    `[T, R, *]` in a tuple like that of `_nets`.
  """
  d_w_x, d_b, d_w_h = map(_written_out, d_weights[:3], weights[:3])
  d_b = d_b.reshape((1, -1) + (1,) * (x.ndim - 2))
  if equations.separate_nets:
    d_nets = _product(d_w_x, x) + d_b, _product(d_w_h, z)
  else:
    d_w = jnp.concatenate((d_w_x, d_w_h), axis=1)
    d_nets = (_product(d_w, jnp.concatenate((x, z), axis=1)) + d_b,)
  if isinstance(d_x, SymbolicZero):
    return d_nets
  return (d_nets[0] + _product(weights.w_x, d_x), *d_nets[1:])


def _written_out(change, like):
  """A change as an array, also where it is known to be 0."""
  return jnp.zeros_like(like) if isinstance(change, SymbolicZero) else change
