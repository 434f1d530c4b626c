"""A cell over whole sequences: the recurrent layer.

Arrays are as users of layers have them, features last and time first:
`[T, B, I]` for a batch of B sequences, `[T, I]` for one; with `batch_first`
`[B, T, I]`. Weights are those of the cell, shared by the batch; `jax.vmap` maps
over models, seeds or anything.

Two things are often confused. *Truncating* stops gradients, keeps the state:
`cut_every`, or chunks that hand `last` on as `state` through
`jax.lax.stop_gradient`. *Resetting* forgets the state: `reset`.
"""

import inspect
import operator

import jax
import numpy as np
from jax.typing import ArrayLike

from lstm_jax.nn import _scan, dispatch, layer_checks
from lstm_jax.nn._program import Plan, Run, program
from lstm_jax.nn._values import renamed
from lstm_jax.nn.dropout import Noise
from lstm_jax.nn.equations import equations_of
from lstm_jax.types import Carry, Cell, Params


@renamed(window='cut_every')
def layer(
  cell: Cell,
  params: Params,
  xs: ArrayLike,
  *,
  lengths: ArrayLike | None = None,
  state: Carry | None = None,
  initial: Carry | None = None,
  reset: ArrayLike | None = None,
  reverse: bool = False,
  noise: Noise | None = None,
  cut_every: int | None = None,
  outputs: bool = True,
  states: bool = False,
  gates: bool = False,
  checkpoint_every: int | None = None,
  backward: str = 'products',
  kernel: str = 'xla',
  batch_first: bool = False,
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
    cut_every: gradients stop before steps 0, cut_every, 2 cut_every, ...,
      counted in processing order from the first step of `xs`. None: nowhere.
    outputs, states, gates: whether to keep these for every step.
    checkpoint_every: steps between two states that are stored for the backward
      pass; what lies between is computed again. With sqrt(T) the memory grows
      as sqrt(T), if neither outputs nor states nor gates are kept. None: all.
    backward: 'products' has the gradients of both matrices in one product each
      after the loop; 'autodiff' derives the loop step by step. Equal to
      rounding; both have forward mode too.
    kernel: 'xla', 'native', 'cudnn' (see `dispatch`), or 'auto', the fastest
      that can do what is asked here: `which_kernel` says which. Equal to
      rounding.
    batch_first: `xs` is `[B, T, I]` and `reset` `[B, T]`; outputs, states and
      gates of every step come so too. Masks of `noise` stay as `draw_noise`
      makes them; one sequence, `[T, I]`, is the same either way.

  Returns:
    A `Run`.

  Raises:
    ValueError: arrays whose structure, shape or dtype does not fit the cell,
      lengths outside 0, ..., T where they are known, a `cut_every` or
      `checkpoint_every` below 1, an unknown `backward`, a `kernel` that is
      unknown or cannot do what is asked.

  Example:
    >>> import jax, jax.numpy as jnp, lstm_jax as lj
    >>> cell = lj.lstm(3, 0, hidden=8)
    >>> params = cell.init(jax.random.key(0))
    >>> xs = jnp.ones((5, 2, 3))  # T, B, I
    >>> run = lj.layer(cell, params, xs, lengths=[5, 4])
    >>> run.ys.shape, run.last.s_c.shape
    ((5, 2, 8), (2, 8))
    >>> lj.layer(cell, params, xs.swapaxes(0, 1), batch_first=True).ys.shape
    (2, 5, 8)
  """
  equations = equations_of(cell)
  layer_checks.check_options(
    cell, cut_every=cut_every, checkpoint_every=checkpoint_every,
    backward=backward, reverse=reverse, outputs=outputs, states=states,
    gates=gates, batch_first=batch_first,
  )  # fmt: skip
  params, xs, lengths, state, initial, reset, noise = layer_checks.check_arrays(
    cell, params, xs, lengths=lengths, state=state, initial=initial,
    reset=reset, noise=noise, batch_first=bool(batch_first),
  )  # fmt: skip
  used_names = _used_names(
    reset=reset, reverse=reverse, noise=noise, cut_every=cut_every,
    states=states, gates=gates, checkpoint_every=checkpoint_every,
    backward=backward,
  )  # fmt: skip
  spread = dispatch.spread(xs)
  plan = Plan(
    equations=equations,
    initial_carry=cell.initial_carry,
    kernel=dispatch.choose(kernel, cell, xs.dtype, used_names, spread).kernel,
    options=_scan.LoopOptions(*map(bool, (outputs, states, gates, reverse))),
    cut_every=None if cut_every is None else operator.index(cut_every),
    checkpoint_every=(
      None if checkpoint_every is None else operator.index(checkpoint_every)
    ),
    backward=backward,
    batch_first=bool(batch_first),
  )
  masks = tuple(
    None if np.all(mask) else jax.device_put(mask)
    for mask in jax.tree.leaves(cell.mask)
  )
  return program(plan, params, masks, xs, lengths, state, initial, reset, noise)


run = layer  # its name in this module before, which programs of others have


@renamed(window='cut_every')
def which_kernel(
  cell: Cell,
  params: Params,
  xs: ArrayLike,
  *,
  kernel: str = 'auto',
  **arguments: object,
) -> dispatch.Choice:
  """Tells which code `layer` would take for these arguments, and why no other.

  Args:
    cell, params, xs, kernel: of `layer`.
    **how: its other arguments.

  Returns:
    A `dispatch.Choice`: the kernel, and the reason why each other one does not
    run.

  Raises:
    ValueError: as `layer` does.

  Example:
    >>> import jax, jax.numpy as jnp, lstm_jax as lj
    >>> cell = lj.srn(3, 0, hidden=8)
    >>> params = cell.init(jax.random.key(0))
    >>> choice = lj.which_kernel(cell, params, jnp.ones((5, 2, 3)), gates=True)
    >>> choice.kernel, choice.why_not['native']
    ('xla', 'it has no gates')
  """
  bound_arguments = inspect.signature(layer).bind(cell, params, xs, **arguments)
  bound_arguments.apply_defaults()
  arrays, options = {}, dict(bound_arguments.arguments)
  for name in ('kernel', 'cell', 'params', 'xs'):
    del options[name]
  for name in ('lengths', 'state', 'initial', 'reset', 'noise'):
    arrays[name] = options.pop(name)
  layer_checks.check_options(cell, **options)
  checked_arrays = layer_checks.check_arrays(
    cell, params, xs, batch_first=bool(options['batch_first']), **arrays
  )
  return dispatch.choose(
    kernel,
    cell,
    checked_arrays.xs.dtype,
    _used_names(**arguments),
    dispatch.spread(xs),
  )


def _used_names(noise=None, backward='products', **arguments):
  """Names of what is asked for, as `dispatch.choose` reads them."""
  names_used = {
    name
    for name, value in arguments.items()
    if value is not None and value is not False
  }
  noise = Noise() if noise is None else noise
  names_used |= {
    f'noise.{n}' for n, mask in noise._asdict().items() if mask is not None
  }
  return names_used | ({'autodiff'} if backward == 'autodiff' else set())
