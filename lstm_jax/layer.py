"""A cell over whole sequences: the recurrent layer.

Arrays are as users of layers have them, features last and time first:
`[T, B, I]` for a batch of B sequences, `[T, I]` for one. Weights are those of
the cell, shared by the batch; `jax.vmap` maps over models, seeds or anything.

Two things are often confused. *Truncating* stops errors and keeps the state:
`window`, or chunks that hand `last` on as `state` through
`jax.lax.stop_gradient`. *Resetting* forgets the state: `reset`.
"""

import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax import _fused, _layer_loop, kernels
from lstm_jax.noise import Noise
from lstm_jax.types import Array, Cell


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
  window: int | None = None,
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
      its length change nothing and are never read. None: T.
    state: where each sequence goes on from, fields `[B, C]` (or `[C]`), as in
      `Run.last`; None: `initial`.
    initial: the state that sequences start with and are reset to, fields `[C]`:
      give it as a part of your parameters and it is learned. None: the cell's.
    reset: `[T, B]` (or `[T]`) bool: the state is `initial` before these steps.
    reverse: from the last step of each sequence to its first; outputs stay at
      the steps that they belong to.
    noise: masks for dropout and zoneout.
    window: steps that an error travels back: it is stopped before steps 0,
      window, 2 window, ..., counted in processing order from the first step of
      `xs`. None: no limit.
    outputs, states, gates: whether to keep these for every step.
    checkpoint_every: steps between two states that are stored for the way back;
      what lies between is computed again. With sqrt(T) the memory grows as
      sqrt(T), if neither outputs nor states nor gates are kept. None: all.
    backward: 'products' has the gradients of both matrices in one product each
      after the loop; 'autodiff' derives the loop step by step, which forward
      mode (`jax.jvp`) needs. Equal to rounding.
    kernel: 'xla', 'native', 'cudnn' (see `kernels`), or 'auto', the fastest
      that can do what is asked here: `which_kernel` says which. Equal to
      rounding.

  Returns:
    A `Run`.

  Raises:
    ValueError: shapes that do not fit, lengths outside 0, ..., T where they
      are known, a `window` or `checkpoint_every` below 1, an unknown
      `backward`, a `kernel` that is unknown or cannot do what is asked.
  """
  noise = Noise() if noise is None else noise
  single = xs.ndim == 2
  if xs.ndim not in (2, 3) or xs.shape[-1] != cell.num_inputs:
    raise ValueError(
      f'xs has shape {xs.shape}; must be [T, B, {cell.num_inputs}] or '
      f'[T, {cell.num_inputs}]'
    )
  for name, value in (
    ('window', window),
    ('checkpoint_every', checkpoint_every),
  ):
    if value is not None and value < 1:
      raise ValueError(f'{name}={value} must be at least 1')
  if backward not in ('products', 'autodiff'):
    raise ValueError(f'backward={backward!r} must be one of products, autodiff')
  num_steps, *lanes = xs.shape[:-1]
  lanes = tuple(lanes)
  _check_lengths(lengths, num_steps, lanes)
  if reset is not None and jnp.shape(reset) != (num_steps, *lanes):
    raise ValueError(
      f'reset has shape {jnp.shape(reset)}; must be {(num_steps, *lanes)}'
    )
  last_first = (lambda a: a) if single else (lambda a: jnp.moveaxis(a, -1, 0))
  first_last = (lambda a: a) if single else (lambda a: jnp.moveaxis(a, 0, -1))

  params = jax.tree.map(_present, params, cell.mask)
  dtype = jax.tree.leaves(params)[0].dtype
  used = _used(
    reset=reset, reverse=reverse, noise=noise, window=window, states=states,
    gates=gates, checkpoint_every=checkpoint_every, backward=backward,
  )  # fmt: skip
  chosen = kernels.choose(kernel, cell, dtype, used).kernel
  zero = cell.initial_carry(lanes, dtype)
  if initial is None:
    initial = zero
  else:
    _check_state('initial', initial, cell.initial_carry((), dtype), ())
    wide = lambda a, like: jnp.broadcast_to(
      jnp.reshape(a, a.shape + (1,) * len(lanes)), like.shape
    ).astype(dtype)
    initial = jax.tree.map(wide, _named(initial, zero), zero)
  if state is None:
    start = initial
  else:
    _check_state('state', state, zero, lanes)
    start = jax.tree.map(
      lambda a: first_last(a).astype(dtype), _named(state, zero)
    )

  t = jnp.arange(num_steps).reshape((-1,) + (1,) * len(lanes))
  active = None if lengths is None else t < jnp.asarray(lengths)[None]
  xs = xs.astype(dtype)
  if active is not None:
    # What lies past the end may be anything, nan too.
    xs = jnp.where(active[..., None], xs, 0)
  if noise.inputs is not None:
    factors = jax.lax.stop_gradient(jnp.asarray(noise.inputs, dtype))
    xs = xs * jnp.broadcast_to(factors, xs.shape[1:])[None]
  if chosen != 'xla':
    ys, last = _fused.loop(
      chosen,
      cell,
      params,
      xs,
      jax.tree.map(last_first, start),
      lengths,
      reverse,
    )
    return Run(ys if outputs else None, last)
  xs = jnp.moveaxis(xs, -1, 1)
  # In processing order a step's window begins where this many are behind it.
  behind = t[::-1] if reverse else t
  cut = None if window is None else behind % window == 0
  steps = _layer_loop.Steps(
    x=xs,
    active=active,
    fresh=None if reset is None else jnp.asarray(reset, bool),
    cut=None if cut is None else jnp.broadcast_to(cut, (num_steps, *lanes)),
    keep=_keep(noise.keep, zero, num_steps, lanes, dtype),
  )
  heard = None
  if noise.heard is not None:
    heard = jax.lax.stop_gradient(jnp.asarray(noise.heard, dtype)).T
    if heard.ndim < 1 + len(lanes):
      heard = heard[:, None]
  asked = _layer_loop.Asked(outputs, states, gates, reverse)
  last, (ys, all_states, all_gates) = _layer_loop.loop(
    cell.recurrence, asked, backward, checkpoint_every, params,
    start, initial, heard, steps,
  )  # fmt: skip
  features_last = lambda a: jnp.moveaxis(a, 1, -1)
  return Run(
    ys=None if ys is None else features_last(ys),
    last=jax.tree.map(last_first, last),
    states=jax.tree.map(features_last, all_states),
    gates=jax.tree.map(features_last, all_gates),
  )


def which_kernel(cell: Cell, params, xs, *, kernel='auto', **how):
  """Which code `run` would take with these arguments, and why not others.

  Returns:
    A `kernels.Choice`; printed, it says so.

  Raises:
    ValueError: as `run` does for `kernel`.
  """
  inspect.signature(run).bind(cell, params, xs, **how)
  dtype = jax.tree.leaves(params)[0].dtype
  return kernels.choose(kernel, cell, dtype, _used(**how))


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


def _present(w, mask):
  """`w` with zeros, and no gradient, where the mask has no weight."""
  return w if np.all(mask) else w * jnp.asarray(mask, w.dtype)


def _named(state, like):
  """A state, or a tuple of its fields, as the carry `like`."""
  return type(like)(*state)


def _keep(keep, state, num_steps, lanes, dtype):
  """`Noise.keep` for the loop: `[T, C, *]`."""
  if keep is None:
    return None
  keep = jax.lax.stop_gradient(jnp.asarray(keep, dtype))
  size = len(state[0])
  if keep.ndim == 2 and lanes:
    keep = keep[:, None]
  wide = jnp.broadcast_to(keep, (num_steps, *lanes, size))
  return jnp.moveaxis(wide, -1, 1)


def _check_lengths(lengths, num_steps, lanes):
  if lengths is None:
    return
  if jnp.shape(lengths) != lanes:
    raise ValueError(
      f'lengths has shape {jnp.shape(lengths)}; must be {lanes}: one a sequence'
    )
  if isinstance(lengths, jax.core.Tracer):
    return
  held = np.asarray(lengths)
  if not np.issubdtype(held.dtype, np.integer):
    raise ValueError(f'lengths has dtype {held.dtype}; must be integers')
  wrong = held[(held < 0) | (held > num_steps)]
  if wrong.size:
    raise ValueError(
      f'lengths has {wrong.ravel()[0]}; must be from 0 to T = {num_steps}'
    )


def _check_state(name, state, like, lanes):
  want = {
    field: (*lanes, len(value))
    for field, value in zip(like._fields, like, strict=True)
  }
  if len(state) != len(like):
    raise ValueError(
      f'{name} has {len(state)} fields; must be {", ".join(like._fields)}'
    )
  for (field, shape), value in zip(want.items(), state, strict=True):
    if jnp.shape(value) != shape:
      raise ValueError(
        f'{name}: {field} has shape {jnp.shape(value)}; must be {shape}'
      )
