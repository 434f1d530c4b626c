"""The share of a machine's processor time that a container gives a process."""

import contextlib
from pathlib import Path

_ROOT = Path('/sys/fs/cgroup')
_OWN = Path('/proc/self/cgroup')


def quota(root: Path = _ROOT, own: Path = _OWN) -> float | None:
  """Returns the cores whose time this process may use; None: no limit.

  The smallest limit on the way up counts. A container sees its own group as the
  root, or the path that it has outside; both are looked at.

  Args:
    root: where control groups are mounted.
    own: the file that names the groups of this process.
  """
  try:
    lines = own.read_text().splitlines()
  except OSError:  # not Linux
    return None
  limits = []
  for line in lines:
    _, controllers, path = (line.split(':', 2) + ['', ''])[:3]
    if not controllers:  # version 2
      bases, read = (root, root / 'unified'), _limit_of_2
    elif 'cpu' in controllers.split(','):
      bases, read = (root / controllers, root / 'cpu'), _limit_of_1
    else:
      continue
    parts = Path(path.lstrip('/'))
    for base in bases:
      for folder in (base / parts, *(base / p for p in parts.parents)):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
          limits.append(read(folder))
  return min((limit for limit in limits if limit > 0), default=None)


def _limit_of_2(folder):
  amount, period = (folder / 'cpu.max').read_text().split()
  return int(amount) / int(period)  # 'max' is no number


def _limit_of_1(folder):
  amount, period = (
    int((folder / f'cpu.cfs_{name}_us').read_text())
    for name in ('quota', 'period')
  )
  return amount / period  # -1: none
