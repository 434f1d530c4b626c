"""Room for JAX: address space without which it aborts."""

import resource

from lstm_jax.lab.store.faults import Machine

# With less the loader, the compiler or its threads abort at their first step.
_ADDRESS_SPACE = 3 * 2**30


def check() -> None:
  """Refuses what JAX would not survive: it aborts, with any code or none.

  Raises:
    Machine: this process may have too little memory for JAX.
  """
  limit, _ = resource.getrlimit(resource.RLIMIT_AS)
  if limit != resource.RLIM_INFINITY and limit < _ADDRESS_SPACE:
    raise Machine(
      f'this process may have {limit / 2**30:.1f} GiB of address space, JAX '
      f'needs {_ADDRESS_SPACE / 2**30:.0f} or more (ulimit -v): run the same '
      'command again with a higher limit'
    )
