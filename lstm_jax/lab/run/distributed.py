"""Processes of one JAX program, as on a slice of TPUs: each runs its part.

Trials need nothing of each other. So the processes meet once, for JAX to find
its devices and to count them, and part at once: what happens to one later, a
signal or a sick machine, is nothing to the others.
"""

import os
from collections.abc import Mapping

from lstm_jax.lab.store.faults import Exit, StoreError


class NoProgram(StoreError):
  """JAX does not find the other processes."""

  exit_code = Exit.USAGE


def join(environ: Mapping[str, str] = os.environ) -> None:
  """Meets the other processes, before JAX looks for devices.

  JAX knows them by Slurm's srun, Open MPI, Kubernetes and TPUs; else the
  environment says `JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES` and
  `JAX_PROCESS_ID`.

  Args:
    environ: the environment.

  Raises:
    NoProgram: in one line.
  """
  import jax

  # Its handler of SIGTERM would take the place of ours.
  if 'jax_enable_preemption_service' in jax.config.values:
    jax.config.update('jax_enable_preemption_service', False)
  try:
    count, index = (
      int(environ[name]) if name in environ else None
      for name in ('JAX_NUM_PROCESSES', 'JAX_PROCESS_ID')
    )
    jax.distributed.initialize(num_processes=count, process_id=index)
  except (ValueError, RuntimeError) as error:
    lines = str(error).splitlines() or ['no other process']
    raise NoProgram(
      f'--distributed: JAX does not find its processes: {lines[0][:200]}; '
      'start them by srun or mpirun, or set JAX_COORDINATOR_ADDRESS=HOST:PORT, '
      'JAX_NUM_PROCESSES and JAX_PROCESS_ID'
    ) from error


def leave() -> None:
  """Parts from the other processes, once all have found their devices."""
  import jax

  jax.distributed.shutdown()


def part_of_process(
  shard: tuple[int, int], reason: str
) -> tuple[tuple[int, int], str]:
  """Returns the part of a plan that this process runs, and what says so.

  Args:
    shard: `(i, n)`: the part that all processes of the program run.
    reason: what says that; '--shard' is the last word.
  """
  import jax

  count, index = jax.process_count(), jax.process_index()
  if count == 1 or reason == '--shard':
    return shard, reason
  part, parts = shard
  own_reason = f'process {index} of {count} of JAX'
  return (part * count + index, parts * count), ', '.join(
    filter(None, (reason, own_reason))
  )
