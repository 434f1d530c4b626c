"""Faults of the machine, told from faults of what runs on it.

No memory and a sick device say nothing about a trial: what they stop is no
result, and runs again. An error that a cell, task or learner raises is one.
"""

import errno
import importlib.util
import math
import os
import resource
from collections.abc import Mapping
from pathlib import Path

from lstm_jax.lab.store import cpu_quota

# What the errors of a runtime begin with that are not of the program it runs.
_STATES = (
  'RESOURCE_EXHAUSTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'ABORTED',
  'CANCELLED', 'DEADLINE_EXCEEDED', 'UNKNOWN',
)  # fmt: skip
# What runtimes, compilers, loaders and drivers say, in any of their errors.
_WORDS = (
  'out of memory', 'bad_alloc', 'cannot allocate', 'failed to allocate',
  'unable to allocate', "can't start new thread", 'can\'t allocate',
  'resource temporarily unavailable', 'resource_exhausted', 'llvm error',
  'cuda_error', 'cudaerror', 'cuda error', 'cudnn_status', 'cublas_status',
  'nccl error', 'uncorrectable ecc', 'failed to map segment', 'hip error',
  'device is lost', 'too many open files',
)  # fmt: skip
# Those that speak of memory.
_MEMORY = (
  'resource_exhausted', 'out of memory', 'bad_alloc', 'allocate',
)  # fmt: skip
# A runtime that only passes on what Python code within its program has raised.
_CALLBACK = ('callback', 'traceback (most recent call last)')
_ERRNO = (
  errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENODEV,
  errno.EIO, errno.ENOSPC, errno.EDQUOT,
)  # fmt: skip
_PLUGINS = (
  'jax_cuda12_plugin', 'jax_cuda13_plugin', 'jax_rocm60_plugin',
  'jax_rocm7_plugin', 'libtpu',
)  # fmt: skip
_SPEAKERS = (RuntimeError, SystemError, ImportError)


class Fault(Exception):
  """The machine cannot go on; the message is one line."""


def cores(environ: Mapping[str, str] = os.environ) -> int:
  """Cores that this process may use; all, where nobody says.

  What Slurm has given a task (`SLURM_CPUS_PER_TASK`), the set of cores of the
  process and a container's quota of their time all limit it.

  Args:
    environ: the environment.
  """
  limits = [os.cpu_count() or 1]
  if hasattr(os, 'sched_getaffinity'):
    limits = [len(os.sched_getaffinity(0))]
  of_task = environ.get('SLURM_CPUS_PER_TASK', '')
  if of_task.isascii() and of_task.isdigit():
    limits.append(int(of_task))
  if quota := cpu_quota.quota():
    limits.append(math.ceil(quota))
  return max(1, min(limits))


def may_have_accelerator(environ: Mapping[str, str] = os.environ) -> bool:
  """Tells whether JAX is installed for more than CPUs; nothing is imported."""
  return environ.get('JAX_PLATFORMS') != 'cpu' and any(
    importlib.util.find_spec(name) for name in _PLUGINS
  )


def check_room(num_bytes: int, library: str) -> None:
  """Refuses to load a library for which there is too little address space.

  NumPy's and SciPy's OpenBLAS ask, as they are loaded, for memory again and
  again until they get it: under `ulimit -v` a process would never end.

  Args:
    num_bytes: bytes.
    library: the library, as the message names it.

  Raises:
    MemoryError: this process may have less besides what it has.
  """
  limit, _ = resource.getrlimit(resource.RLIMIT_AS)
  if limit == resource.RLIM_INFINITY:
    return
  try:  # Linux has it
    pages = int(Path('/proc/self/statm').read_text().split()[0])
  except OSError:
    pages = 0
  left = limit - pages * resource.getpagesize()
  if left < num_bytes:
    raise MemoryError(
      f'{library} needs {num_bytes >> 20} MiB of address space, '
      f'{max(left, 0) >> 20} are left (ulimit -v)'
    )


def fault(error: BaseException) -> str | None:
  """One line on what the machine lacks; None: the machine is not to blame.

  Args:
    error: what was raised; what it came from is looked at too.
  """
  ids = set()
  while error is not None and id(error) not in ids:
    ids.add(id(error))
    if line := _fault(error):
      return line
    error = error.__cause__ or error.__context__
  return None


def is_memory(line: str) -> bool:
  """Tells whether the line of a fault speaks of memory that is not there."""
  return any(word in line.lower() for word in _MEMORY)


def _fault(error):
  text = str(error).strip()
  first = text.partition('\n')[0][:200]
  if isinstance(error, Fault):
    return first
  if isinstance(error, MemoryError):
    return f'out of memory: {first}' if first else 'out of memory'
  if isinstance(error, OSError):
    return first if error.errno in _ERRNO else None
  if not isinstance(error, _SPEAKERS):
    return None
  low = text.lower()
  if 'initialize backend' in low:
    return None  # a device that is not there, and was asked for
  words = any(word in low for word in _WORDS)
  if any(word in low for word in _CALLBACK):
    return first if words or 'memoryerror' in low else None
  runtime = any(
    kind.__name__ in ('XlaRuntimeError', 'JaxRuntimeError')
    for kind in type(error).__mro__
  )
  if words or (runtime and text.startswith(_STATES)):
    return first
  return None
