"""Room for JAX: address space without which it aborts, and memory.

A system that lends more memory than it has ends the process that uses it, with
no word: what is known to be too much is refused before.
"""

import contextlib
import resource
from pathlib import Path

from lstm_jax.lab.store import control_groups
from lstm_jax.lab.store.faults import Machine

# With less the loader, the compiler or its threads abort at their first step.
_ADDRESS_SPACE = 3 * 2**30
_FACTS = Path('/proc/meminfo')
# Files of a control group: its limit, what it uses, and the name in its
# `memory.stat` of what of that could be given back: pages of files.
_FILES = {
  1: ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file'),
  2: ('memory.max', 'memory.current', 'inactive_file'),
}


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


def left(
  root: Path = control_groups.ROOT,
  own: Path = control_groups.OWN,
  facts: Path = _FACTS,
) -> int | None:
  """Returns the bytes that this process may still take; None: nobody says.

  What the system has free or could free, and what each control group on the
  way up leaves: the least of them counts.

  Args:
    root: where control groups are mounted.
    own: the file that names the groups of this process.
    facts: of the system's memory.
  """
  amounts = []
  with contextlib.suppress(OSError, KeyError, ValueError, IndexError):
    lines = facts.read_text().splitlines()
    words_by_name = {line.partition(':')[0]: line.split() for line in lines}
    amounts.append(int(words_by_name['MemAvailable'][1]) * 1024)
  for version, folder in control_groups.folders('memory', root, own):
    # 'max' is no number.
    with contextlib.suppress(OSError, ValueError, KeyError):
      amounts.append(_left_of(folder, *_FILES[version]))
  return min(amounts, default=None)


def _left_of(folder, limit, usage, reclaimable):
  """Bytes that a control group leaves."""
  lines = (folder / 'memory.stat').read_text().splitlines()
  stat = dict(line.split() for line in lines)
  used = int((folder / usage).read_text()) - int(stat[reclaimable])
  return max(int((folder / limit).read_text()) - used, 0)
