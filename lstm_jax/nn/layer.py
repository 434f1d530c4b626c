"""A cell over whole sequences: the recurrent layer.

Arrays are as users of layers have them, features last and time first:
`[T, B, I]` for a batch of B sequences, `[T, I]` for one. Weights are those of
the cell, shared by the batch; `jax.vmap` maps over models, seeds or anything.

Two things are often confused. *Truncating* stops errors and keeps the state:
`cut_every`, or chunks that hand `last` on as `state` through
`jax.lax.stop_gradient`. *Resetting* forgets the state: `reset`.
"""

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.nn import _fused, _scan, dispatch, layer_checks
from lstm_jax.nn.dropout import Noise
from lstm_jax.nn.equations import equations_of
from lstm_jax.ops.arrays import same_axes
from lstm_jax.types import Array, Cell, Equations


class Run(NamedTuple):
  """What a layer made of its inputs.

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
  last: Any
  states: Any = None
  gates: dict[str, Array] | None = None


@layer_checks.renamed(window='cut_every')
def run(
  cell: Cell,
  params,
  xs,
  *,
  lengths=None,
  state=None,
  initial=None,
  reset=None,
  reverse: bool = False,
  noise: Noise | None = None,
  cut_every: int | None = None,
  outputs: bool = True,
  states: bool = False,
  gates: bool = False,
  checkpoint_every: int | None = None,
  backward: str = 'products',
  kernel: str = 'xla',
) -> Run:
  """Runs the hidden layer of a cell over a batch of sequences.

  Args:
    cell: any cell; its output units play no part (`num_outputs=0` leaves them
      out).
    params: its weights, without lanes. Absent ones (`cell.mask`) count as 0.
    xs: `[T, B, I]` or `[T, I]`.
    lengths: `[B]` (or a scalar) integers in 0, ..., T; a sequence's steps past
      its length change nothing and are never read. None: T. Under `jax.jit`,
      where they are not known, those outside are held to 0 and T.
    state: where each sequence goes on from, fields `[B, C]` (or `[C]`), as in
      `Run.last`; None: `initial`.
    initial: the state that sequences start with and are reset to, fields `[C]`:
      give it as a part of your parameters and it is learned. None: the cell's.
    reset: `[T, B]` (or `[T]`) bool: the state is `initial` before these steps.
    reverse: from the last step of each sequence to its first; outputs stay at
      the steps that they belong to.
    noise: masks for dropout and zoneout.
    cut_every: errors are stopped before steps 0, cut_every, 2 cut_every, ...,
      counted in processing order from the first step of `xs`. None: nowhere.
    outputs, states, gates: whether to keep these for every step.
    checkpoint_every: steps between two states that are stored for the way back;
      what lies between is computed again. With sqrt(T) the memory grows as
      sqrt(T), if neither outputs nor states nor gates are kept. None: all.
    backward: 'products' has the gradients of both matrices in one product each
      after the loop; 'autodiff' derives the loop step by step. Equal to
      rounding; both have forward mode too.
    kernel: 'xla', 'native', 'cudnn' (see `dispatch`), or 'auto', the fastest
      that can do what is asked here: `which_kernel` says which. Equal to
      rounding.

  Returns:
    A `Run`.

  Raises:
    ValueError: arrays whose structure, shape or dtype does not fit the cell,
      lengths outside 0, ..., T where they are known, a `cut_every` or
      `checkpoint_every` below 1, an unknown `backward`, a `kernel` that is
      unknown or cannot do what is asked.
  """
  equations = equations_of(cell)
  layer_checks.check_options(
    cell, cut_every=cut_every, checkpoint_every=checkpoint_every,
    backward=backward, reverse=reverse, outputs=outputs, states=states,
    gates=gates,
  )  # fmt: skip
  params, xs, lengths, state, initial, reset, noise = layer_checks.check_arrays(
    cell, params, xs, lengths=lengths, state=state, initial=initial,
    reset=reset, noise=noise,
  )  # fmt: skip
  used = _used(
    reset=reset, reverse=reverse, noise=noise, cut_every=cut_every,
    states=states, gates=gates, checkpoint_every=checkpoint_every,
    backward=backward,
  )  # fmt: skip
  spread = dispatch.spread(xs)
  plan = _Plan(
    equations=equations,
    initial_carry=cell.initial_carry,
    kernel=dispatch.choose(kernel, cell, xs.dtype, used, spread).kernel,
    asked=_scan.Asked(*map(bool, (outputs, states, gates, reverse))),
    cut_every=None if cut_every is None else operator.index(cut_every),
    checkpoint_every=(
      None if checkpoint_every is None else operator.index(checkpoint_every)
    ),
    backward=backward,
  )
  masks = tuple(
    None if np.all(mask) else jax.device_put(mask)
    for mask in jax.tree.leaves(cell.mask)
  )
  return _run(plan, params, masks, xs, lengths, state, initial, reset, noise)


class _Plan(NamedTuple):
  """What a layer's program depends on beside the shapes of arrays."""

  equations: Equations
  initial_carry: Callable
  kernel: str
  asked: _scan.Asked
  cut_every: int | None
  checkpoint_every: int | None
  backward: str


# A program of its own: a loop that is not called inside of one would else be
# compiled anew at every call. One for each plan and set of shapes.
@functools.partial(jax.jit, static_argnums=0, inline=True)
def _run(plan, params, masks, xs, lengths, state, initial, reset, noise):
  """`run` for arrays that fit; `masks` are those of the params' leaves.

  None: all its weights exist. Others get no gradient.
  """
  single = xs.ndim == 2
  num_steps, *lanes = xs.shape[:-1]
  lanes = tuple(lanes)
  last_first = (lambda a: a) if single else (lambda a: jnp.moveaxis(a, -1, 0))
  first_last = (lambda a: a) if single else (lambda a: jnp.moveaxis(a, 0, -1))

  weights, structure = jax.tree.flatten(params)
  params = structure.unflatten(
    w if mask is None else w * mask.astype(w.dtype)
    for w, mask in zip(weights, masks, strict=True)
  )
  # On a mesh with explicit axes whatever a sequence has lies with the sequence.
  placed = functools.partial(_placed, xs)
  xs = placed(xs, 1)
  lengths, reset, state = placed(lengths, 0), placed(reset, 1), placed(state, 0)
  zero = placed(plan.initial_carry(lanes, xs.dtype), -1)
  if initial is None:
    initial = zero
  else:
    wide = lambda a, like: jnp.broadcast_to(
      jnp.reshape(a, a.shape + (1,) * len(lanes)), like.shape
    )
    initial = placed(jax.tree.map(wide, initial, zero), -1)
  start = initial if state is None else jax.tree.map(first_last, state)
  params, xs, lengths, start, initial, reset, noise = same_axes(
    (params, xs, lengths, start, initial, reset, noise)
  )
  reverse = plan.asked.reverse
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
    return Run(ys if plan.asked.outputs else None, last)
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
  heard = None
  if noise.heard is not None:
    heard = noise.heard.T
    if heard.ndim < 1 + len(lanes):
      heard = heard[:, None]
  last, (ys, all_states, all_gates) = _scan.loop(
    plan.equations, plan.asked, plan.backward, plan.checkpoint_every, params,
    start, initial, heard, steps,
  )  # fmt: skip
  features_last = lambda a: jnp.moveaxis(a, 1, -1)
  return Run(
    ys=None if ys is None else features_last(ys),
    last=jax.tree.map(last_first, last),
    states=jax.tree.map(features_last, all_states),
    gates=jax.tree.map(features_last, all_gates),
  )


@layer_checks.renamed(window='cut_every')
def which_kernel(cell: Cell, params, xs, *, kernel='auto', **how):
  """Which code `run` would take with these arguments, and why not others.

  Returns:
    A `kernels.Choice`; printed, it says so.

  Raises:
    ValueError: as `run` does.
  """
  given = inspect.signature(run).bind(cell, params, xs, **how)
  given.apply_defaults()
  arrays, options = {}, dict(given.arguments)
  for name in ('kernel', 'cell', 'params', 'xs'):
    del options[name]
  for name in ('lengths', 'state', 'initial', 'reset', 'noise'):
    arrays[name] = options.pop(name)
  layer_checks.check_options(cell, **options)
  checked = layer_checks.check_arrays(cell, params, xs, **arrays)
  return dispatch.choose(
    kernel, cell, checked.xs.dtype, _used(**how), dispatch.spread(xs)
  )


def _used(noise=None, backward='products', **how):
  """Names of what is asked for, as `kernels.choose` reads them."""
  used = {
    name
    for name, value in how.items()
    if value is not None and value is not False
  }
  noise = Noise() if noise is None else noise
  used |= {
    f'noise.{n}' for n, mask in noise._asdict().items() if mask is not None
  }
  return used | ({'autodiff'} if backward == 'autodiff' else set())


def _where_read(noise, lengths, active):
  """Masks of each sequence, 0 at steps that do not count."""
  lanes = lengths.ndim
  some = (lengths > 0)[..., None]
  pick = lambda mask, read: (
    mask if mask is None or mask.ndim < 1 + lanes else jnp.where(read, mask, 0)
  )
  keep = noise.keep
  if keep is not None and keep.ndim == 2 + lanes:
    read = active if len(keep) == len(active) else (lengths > 0)[None]
    keep = jnp.where(read[..., None], keep, 0)
  return Noise(pick(noise.inputs, some), pick(noise.heard, some), keep)


def _placed(xs, tree, axis):
  """Arrays with sequences along `axis`, spread over a mesh as those of `xs`.

  As they are, where the type of `xs` says nothing of a mesh.
  """
  there = jax.typeof(xs).sharding
  if not any(there.spec) or xs.ndim == 2:
    return tree

  def place(a):
    spec = [None] * a.ndim
    spec[axis] = there.spec[1]
    spec = jax.sharding.PartitionSpec(*spec)
    return jax.sharding.reshard(a, jax.sharding.NamedSharding(there.mesh, spec))

  return jax.tree.map(place, tree)


def _keep(keep, num_steps, lanes):
  """`Noise.keep` for the loop: `[T, C, *]`."""
  if keep is None:
    return None
  if keep.ndim == 2 and lanes:
    keep = keep[:, None]
  wide = jnp.broadcast_to(keep, (num_steps, *lanes, keep.shape[-1]))
  return jnp.moveaxis(wide, -1, 1)
