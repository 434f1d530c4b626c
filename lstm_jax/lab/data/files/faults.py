"""Stops at bad files, or leaves them out and counts them.

A fault is one line, `file: reason`. Whoever finds faults gives all of them to a
`Report` and goes on without the files, if the report returns.
"""

from collections.abc import Callable, Sequence

from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.store.faults import printable

Report = Callable[[Sequence[str]], None]

_MAX_FAULTS = 3


def stop(faults: Sequence[str]) -> None:
  """The `Report` that leaves nothing out.

  Args:
    faults: lines; none is no fault.

  Raises:
    BadData: the first of them, and how many there are.
  """
  if not faults:
    return
  text = '; '.join(faults[:_MAX_FAULTS])
  if len(faults) > _MAX_FAULTS:
    text += f'; and {len(faults) - _MAX_FAULTS:,} more ({len(faults):,} in all)'
  raise BadData(text)


def collector(left_out: list[str]) -> Report:
  """The `Report` that goes on, with every fault added to `left_out`."""
  return lambda faults: left_out.extend(map(printable, faults))
