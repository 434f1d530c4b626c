"""The share of a machine's processor time that a container gives a process."""

import contextlib
from pathlib import Path

from lstm_jax.lab.store import control_groups


def quota(
  root: Path = control_groups.ROOT, own: Path = control_groups.OWN
) -> float | None:
  """Returns the cores whose time this process may use; None: no limit.

  The smallest limit on the way up counts.

  Args:
    root: where control groups are mounted.
    own: the file that names the groups of this process.
  """
  limits = []
  for version, folder in control_groups.folders('cpu', root, own):
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
      limits.append((_limit_of_2 if version == 2 else _limit_of_1)(folder))
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
