"""Sets up JAX before a main imports it: XLA's flags, the number of devices.

The library sets nothing; a program that imports it can call `set_flags` itself,
before anything touches JAX, or take the flags from `cpu_flags()`.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING

from lstm_jax.choices import one_of
from lstm_jax.lab.run import distributed
from lstm_jax.lab.store import machine, memory
from lstm_jax.lab.store.faults import Exit, StoreError

# Compile a loop over small arrays to one native function instead of a list of
# kernels called one by one (2 to 8 times as fast for nets of a few cells), keep
# the library calls out that would prevent it, and use the whole vector unit.
_CPU_FLAGS = {
  '--xla_backend_extra_options': (
    'xla_cpu_small_while_loop_byte_threshold=1000000000000,'
    'xla_cpu_disable_slp_vectorizer=true'
  ),
  '--xla_cpu_experimental_ynn_fusion_type': '',
  '--xla_cpu_experimental_xnn_fusion_type': '',
  '--xla_cpu_prefer_vector_width': '512',
}
# Where the CPU is all there is (an accelerator's compiler reads this one too):
# more optimization makes loops over 16 lanes slower, since LLVM unrolls them
# whole before it would vectorize them.
_CPU_ONLY_FLAGS = {'--xla_backend_optimization_level': '1'}


def cpu_flags(environ: Mapping[str, str] = os.environ) -> str:
  """The flags that make small networks fast on a CPU, as XLA_FLAGS has them."""
  flags = _flags(environ)
  return ' '.join(f'{name}={value}' for name, value in flags.items())


def flags_of(profile: str, environ: Mapping[str, str] = os.environ) -> str:
  """Returns what XLA_FLAGS is under a profile, see `set_flags`."""
  xla_flags = environ.get('XLA_FLAGS', '')
  if profile == 'none':
    return xla_flags
  names = {word.partition('=')[0] for word in xla_flags.split()}
  own_flags = [
    f'{name}={value}'
    for name, value in _flags(environ).items()
    if name not in names
  ]
  return ' '.join([*own_flags, xla_flags]).strip()


def set_flags(
  profile: str = 'auto',
  devices: int = 0,
  environ: MutableMapping[str, str] = os.environ,
) -> None:
  """Sets up the process for small networks, before JAX is imported.

  Flags that the user has set in XLA_FLAGS stay as they are.

  Args:
    profile: 'auto', or 'none' to leave XLA_FLAGS alone.
    devices: CPU devices to make, 0 for as many as JAX makes by itself: one,
      on which any number of cores can work (`workers`).
    environ: the environment to change.

  Raises:
    ValueError: an unknown profile.
  """
  if profile not in ('auto', 'none'):
    raise ValueError(f'profile={profile!r} {one_of(("auto", "none"))}')
  if profile == 'auto':
    environ['XLA_FLAGS'] = flags_of(profile, environ)
  if devices:
    environ.setdefault('JAX_NUM_CPU_DEVICES', str(devices))


def set_xla_flags() -> None:
  """Makes small networks fast on this process's CPU, as the commands do.

  Sets `XLA_FLAGS` of the process, which XLA reads once: to be called before JAX
  computes anything. Flags that are set already stay. A training of a network of
  a few cells takes about a tenth of the time; large matrices gain nothing.

  Example:
    >>> import lstm_jax as lj
    >>> lj.set_xla_flags()
  """
  set_flags()


if TYPE_CHECKING:
  import jax


class NoDevice(StoreError):
  """The environment asks JAX for a device that is not there."""

  exit_code = Exit.USAGE


def devices(
  environ: Mapping[str, str] = os.environ, is_distributed: bool = False
) -> 'list[jax.Device]':
  """Imports JAX, which refuses silent broadcasting from then on.

  Args:
    environ: the environment that says what JAX is to use.
    is_distributed: whether to meet the other processes of a JAX program.

  Returns:
    JAX's devices of this process: each process of a program has its own.

  Raises:
    Machine: this process may have too little memory for JAX.
    NoProgram: JAX does not find the other processes.
    NoDevice: in one line, where JAX cannot do what the environment asks for, or
      is not installed.
  """
  memory.check()
  _check_xla_flags(environ)
  try:
    import jax

    jax.config.update('jax_numpy_rank_promotion', 'raise')
    if is_distributed:
      distributed.join(environ)
    return jax.local_devices()
  except (RuntimeError, AssertionError, ValueError, ImportError) as error:
    if machine.fault(error):
      raise  # what was asked for is there, and cannot be had now
    variables = [f'{k}={v}' for k, v in environ.items() if k.startswith('JAX_')]
    cpu_variable = 'JAX_NUM_CPU_DEVICES='
    variables = [
      word for word in variables if not word.startswith(cpu_variable)
    ] or variables
    lines = str(error).splitlines() or ['no such device on this machine']
    raise NoDevice(
      f'{" ".join(variables) or "jax"}: {lines[0][:300]}; unset it or choose '
      'another, as JAX_PLATFORMS=cpu'
    ) from error


def workers(
  devices: 'Sequence[jax.Device]', count: int = 0
) -> 'list[jax.Device]':
  """Returns the device of each thread that trains.

  An accelerator has one thread. All cores of a CPU are one device, on which as
  many threads run programs side by side as there are cores: what is compiled
  for it can be kept for any of them, and for a machine of more or fewer cores.
  Where the user has asked JAX for several CPU devices each has one thread.

  Args:
    devices: of `devices()`.
    count: how many to use, cores on a CPU; 0: all.

  Raises:
    NoDevice: there are not so many.
  """
  device = devices[0]
  if device.platform == 'cpu' and len(devices) == 1:
    cores = machine.cores()
    if count > cores:
      raise NoDevice(f'--devices={count}: there are {cores} cores')
    return [device] * (count or cores)
  if count > len(devices):
    raise NoDevice(
      f'--devices={count}: JAX has {len(devices)} of {device.device_kind} here'
    )
  return list(devices[: count or None])


def _check_xla_flags(environ):
  """Tries the user's own XLA_FLAGS in a child: XLA aborts at what is wrong."""
  ours = {f'{name}={value}' for name, value in _flags(environ).items()}
  words = [w for w in environ.get('XLA_FLAGS', '').split() if w not in ours]
  if not words:
    return
  done = subprocess.run(
    [sys.executable, '-c', 'import jax; jax.local_devices()'],
    env={**environ, 'XLA_FLAGS': ' '.join(words), 'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    text=True,
    errors='replace',
  )
  if done.returncode:
    lines = done.stderr.splitlines()
    said = [line for line in lines if 'XLA_FLAGS' in line or 'flag' in line]
    reason = (said or lines or ['XLA refuses it'])[0].partition('] ')
    raise NoDevice(
      f'XLA_FLAGS={" ".join(words)}: {(reason[2] or reason[0])[:300]}; mend or '
      'unset it'
    )


def _flags(environ):
  if machine.may_have_accelerator(environ):
    return _CPU_FLAGS
  return _CPU_FLAGS | _CPU_ONLY_FLAGS
