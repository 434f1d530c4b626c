"""Chooses the code that runs a layer's loop, and says why not another.

  'xla'     `lax.scan`, for every cell and option, on every device
  'native'  C++ for CPUs, compiled once by `python -m lstm_jax.nn.native`
  'cudnn'   NVIDIA's LSTM, by `jax.experimental.rnn`

The last two know the LSTM with forget gates and without peepholes, 'native'
also the GRU that resets after the product and the fully connected SRN. None is
taken in silence: `layer.which_kernel` says what would run.
"""

from collections.abc import Collection
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from lstm_jax.choices import one_of
from lstm_jax.nn.equations import equations_of
from lstm_jax.nn.native import library, loops
from lstm_jax.types import Cell

KERNELS = ('xla', 'native', 'cudnn')

# The loops that each has, by the names of `Equations.compiled_loop`, and what
# cells have them.
_LOOPS = {'cudnn': ('lstm',), 'native': loops.CELLS}
_CELLS = {
  'cudnn': 'an LSTM with forget gates and without peepholes',
  'native': 'an LSTM with forget gates and without peepholes, a GRU with '
  "reset='after' or an SRN with recurrence='full'",
}

# What the fused loops cannot do, by the name of the argument of `layer`.
_ONLY_XLA = (
  'reset', 'cut_every', 'states', 'gates', 'checkpoint_every', 'noise.heard',
  'noise.keep',
)  # fmt: skip


class Choice(NamedTuple):
  """A decision and its reasons.

  Attributes:
    kernel: what runs, one of `KERNELS`.
    why_not: reasons, by kernel, why others do not.
  """

  kernel: str
  why_not: dict[str, str]


def choose(
  kernel: str,
  cell: Cell,
  dtype: DTypeLike,
  arguments: Collection[str],
  spread: bool = False,
) -> Choice:
  """The code that runs a layer.

  Args:
    kernel: one of `KERNELS`, or 'auto', the first of cudnn, native and xla that
      can run.
    cell: of the layer.
    dtype: of its parameters.
    arguments: names of the arguments of `layer` that were given, those of a
      noise as 'noise.heard'.
    spread: whether the inputs are known to be spread over devices.

  Raises:
    ValueError: an unknown kernel; one that cannot run this, with the reason.
  """
  if kernel not in ('auto', *KERNELS):
    raise ValueError(f'kernel={kernel!r} {one_of(("auto", *KERNELS))}')
  if kernel == 'xla':
    return Choice('xla', {})
  reasons = {
    name: reason
    for name in ('cudnn', 'native')
    if (reason := _why_not(name, cell, dtype, arguments)) is not None
  }
  if kernel != 'auto':
    if kernel in reasons:
      raise ValueError(f'kernel={kernel!r} cannot run this: {reasons[kernel]}')
    return Choice(kernel, {})
  for name in ('cudnn', 'native'):
    if spread:
      # By its name it may be asked for all the same: XLA's loop runs then.
      reasons.setdefault(
        name, 'xs is spread over devices; XLA divides its loop'
      )
    if name not in reasons:
      return Choice(name, reasons)
  return Choice('xla', reasons)


def spread(xs: ArrayLike) -> bool:
  """Tells whether an array is known to be on several devices.

  By its type on a mesh with explicit axes, by its place outside of programs;
  inside of one only the compiler knows.
  """
  if any(jax.typeof(xs).sharding.spec):
    return True
  if isinstance(xs, jax.core.Tracer) or not isinstance(xs, jax.Array):
    return False
  return len(xs.sharding.device_set) > 1


def _why_not(kernel, cell, dtype, arguments):
  """The reason why a fused kernel cannot run a layer; None: it can."""
  if equations_of(cell).compiled_loop not in _LOOPS[kernel]:
    return f'the cell is not {_CELLS[kernel]}'
  for name in _ONLY_XLA:
    if name in arguments:
      return f'it has no {name}'
  if 'autodiff' in arguments:
    return "it has a backward pass of its own, backward='products'"
  dtype = jnp.dtype(dtype)
  backend = jax.default_backend()
  if kernel == 'native':
    if backend != 'cpu':
      return f'it runs on CPUs; the default device is {backend}'
    if dtype not in (jnp.float32, jnp.float64):
      return f'it computes in float32 and float64, not in {dtype}'
    return library.why_not()
  if backend not in ('gpu', 'cuda'):
    return f'it runs on NVIDIA GPUs; the default device is {backend}'
  kind = jax.local_devices()[0].device_kind
  if 'NVIDIA' not in kind.upper():
    return f'it runs on NVIDIA GPUs; the device is {kind}'
  if dtype != jnp.float32:
    return f'it computes in float32, not in {dtype}'
  if 'reverse' in arguments:
    return 'alone it runs forward only'
  return None
