"""SciPy, imported where it is used, and of it no more than is used.

`scipy.stats` takes the better part of a second, which every table would wait
for.
"""

import functools
from types import ModuleType

from lstm_jax.lab.store import machine

# Bytes of address space that SciPy takes, with half as much again.
_SCIPY = 300 * 2**20


@functools.cache
def special() -> ModuleType:
  """`scipy.special`."""
  machine.check_room(_SCIPY, 'SciPy')
  import scipy.special

  return scipy.special


@functools.cache
def stats() -> ModuleType:
  """`scipy.stats`, which takes four times as long to load."""
  machine.check_room(_SCIPY, 'SciPy')
  import scipy.stats

  return scipy.stats
