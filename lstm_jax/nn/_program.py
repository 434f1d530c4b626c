"""The program of a layer: arrays turned to the loop's layout and back."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.nn import _fused, _scan
from lstm_jax.nn.dropout import Noise
from lstm_jax.ops.arrays import same_axes
from lstm_jax.types import Array, Carry, Equations, Params


class Run(NamedTuple):
  """Outputs of a layer.

  Attributes:
    ys: `[T, B, C]` outputs, zero past the end of a sequence; None if not asked
      for.
    last: the state after the last step of each sequence, in processing order;
      fields `[B, C]`. Of a sequence without steps the state that it began with.
    states: the state after every step, fields `[T, B, C]`; None if not asked
      for.
    gates: name -> `[T, B, ...]`, activations inside the cell at every step;
      None if not asked for.
  """

  ys: Array | None
  last: Carry
  states: Carry | None = None
  gates: dict[str, Array] | None = None


class Plan(NamedTuple):
  """Choices that a layer's program depends on besides the shapes of arrays."""

  equations: Equations
  initial_carry: Callable[..., Carry]
  kernel: str
  options: _scan.LoopOptions
  cut_every: int | None
  checkpoint_every: int | None
  backward: str
  batch_first: bool = False


# A program of its own: a loop that is not called inside of one would else be
# compiled again at every call. One for each plan and set of shapes.
@functools.partial(jax.jit, static_argnums=0, inline=True)
def program(
  plan: Plan,
  params: Params,
  masks: tuple[Array | None, ...],
  xs: Array,
  lengths: Array | None,
  state: Carry | None,
  initial: Carry | None,
  reset: Array | None,
  noise: Noise,
) -> Run:
  """`layer` for arrays that fit; `masks` are those of the params' leaves.

  None: all its weights exist. Others get no gradient.
  """
  arrays = xs, lengths, state, initial, reset, noise
  if not plan.batch_first or xs.ndim == 2:
    return _time_first(plan, params, masks, *arrays)
  turn = lambda tree: jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), tree)
  result = _time_first(
    plan, params, masks, turn(xs), lengths, state, initial, turn(reset), noise
  )
  return Run(
    turn(result.ys), result.last, turn(result.states), turn(result.gates)
  )


def _time_first(plan, params, masks, xs, lengths, state, initial, reset, noise):
  """`program` where the first axis is time."""
  is_single = xs.ndim == 2
  num_steps, *lanes = xs.shape[:-1]
  lanes = tuple(lanes)
  last_first = (
    (lambda a: a) if is_single else (lambda a: jnp.moveaxis(a, -1, 0))
  )
  first_last = (
    (lambda a: a) if is_single else (lambda a: jnp.moveaxis(a, 0, -1))
  )

  weights, structure = jax.tree.flatten(params)
  existing = [
    w if mask is None else w * mask.astype(w.dtype)
    for w, mask in zip(weights, masks, strict=True)
  ]
  params = jax.tree.unflatten(structure, existing)
  # On a mesh with explicit axes whatever a sequence has lies with the sequence.
  placed = functools.partial(_placed, xs)
  xs = placed(xs, 1)
  lengths, reset, state = placed(lengths, 0), placed(reset, 1), placed(state, 0)
  initial = placed(_initial(plan, initial, lanes, xs.dtype), -1)
  start = initial if state is None else jax.tree.map(first_last, state)
  params, xs, lengths, start, initial, reset, noise = same_axes(
    (params, xs, lengths, start, initial, reset, noise)
  )
  reverse = plan.options.reverse
  t = jnp.arange(num_steps).reshape((-1,) + (1,) * len(lanes))
  active = None if lengths is None else t < lengths[None]
  if active is not None:
    # What lies past the end may be anything, nan too.
    xs = jnp.where(active[..., None], xs, 0)
    noise = _where_read(noise, lengths, active)
  if noise.inputs is not None:
    xs = xs * jnp.broadcast_to(noise.inputs, xs.shape[1:])[None]
  if plan.kernel != 'xla':
    ys, last = _fused.loop(
      plan.kernel,
      plan.equations,
      params,
      xs,
      jax.tree.map(last_first, start),
      lengths,
      reverse,
    )
    return Run(ys if plan.options.outputs else None, last)
  xs = jnp.moveaxis(xs, -1, 1)
  # In processing order a step has this many behind it.
  behind = t[::-1] if reverse else t
  cut = None if plan.cut_every is None else behind % plan.cut_every == 0
  steps = _scan.Steps(
    x=xs,
    active=active,
    fresh=reset,
    cut=None
    if cut is None
    else placed(jnp.broadcast_to(cut, (num_steps, *lanes)), 1),
    keep=placed(_keep(noise.keep, num_steps, lanes), -1),
  )
  last, (ys, all_states, all_gates) = _scan.loop(
    plan.equations, plan.options, plan.backward, plan.checkpoint_every, params,
    start, initial, _recurrent_noise(noise.heard, lanes), steps,
  )  # fmt: skip
  features_last = lambda a: jnp.moveaxis(a, 1, -1)
  return Run(
    ys=None if ys is None else features_last(ys),
    last=jax.tree.map(last_first, last),
    states=jax.tree.map(features_last, all_states),
    gates=jax.tree.map(features_last, all_gates),
  )


def _initial(plan, initial, lanes, dtype):
  """The state where a sequence starts afresh, the same in all lanes."""
  zero = plan.initial_carry(lanes, dtype)
  if initial is None:
    return zero
  broadcast = lambda a, like: jnp.broadcast_to(
    jnp.reshape(a, a.shape + (1,) * len(lanes)), like.shape
  )
  return jax.tree.map(broadcast, initial, zero)


def _where_read(noise, lengths, active):
  """Masks of each sequence, 0 at steps that do not count."""
  lanes = lengths.ndim
  has_steps = (lengths > 0)[..., None]
  pick = lambda mask, is_read: (
    mask
    if mask is None or mask.ndim < 1 + lanes
    else jnp.where(is_read, mask, 0)
  )
  keep = noise.keep
  if keep is not None and keep.ndim == 2 + lanes:
    is_read = active if len(keep) == len(active) else (lengths > 0)[None]
    keep = jnp.where(is_read[..., None], keep, 0)
  return Noise(
    pick(noise.inputs, has_steps), pick(noise.heard, has_steps), keep
  )


def _placed(xs, tree, axis):
  """Arrays with sequences along `axis`, spread over a mesh as those of `xs`.

  As they are, where the type of `xs` says nothing of a mesh.
  """
  sharding = jax.typeof(xs).sharding
  if not any(sharding.spec) or xs.ndim == 2:
    return tree

  def place(a):
    spec = [None] * a.ndim
    spec[axis] = sharding.spec[1]
    spec = jax.sharding.PartitionSpec(*spec)
    return jax.sharding.reshard(
      a, jax.sharding.NamedSharding(sharding.mesh, spec)
    )

  return jax.tree.map(place, tree)


def _keep(keep, num_steps, lanes):
  """`Noise.keep` for the loop: `[T, C, *]`."""
  if keep is None:
    return None
  if keep.ndim == 2 and lanes:
    keep = keep[:, None]
  factors = jnp.broadcast_to(keep, (num_steps, *lanes, keep.shape[-1]))
  return jnp.moveaxis(factors, -1, 1)


def _recurrent_noise(heard, lanes):
  """`Noise.heard` for the loop: `[C, *]`."""
  if heard is None:
    return None
  return heard.T[:, None] if heard.ndim < 1 + len(lanes) else heard.T
