"""Checks what a cell, a task and a data set promise, once before training.

Arrays of other shapes often compute all the same: what is too small is
broadcast, an index that is out of range is clipped, nan teaches nothing and
stops nothing. A run on them ends in a table that looks like any other. The
checks here cost a trace, a handful of sequences and one pass over the examples:

  check_cell(name, cell)            weights, state and outputs
  check_task(name, task, length)    a few sequences of it
  check_dataset(name, data, seeds)  examples, lengths, labels, parts

Each raises `Broken` with one line: who, what it has, what it must have. What
the code of a cell or a task raises itself passes through.
"""

from lstm_jax.testing.broken import Broken
from lstm_jax.testing.cells import check_cell
from lstm_jax.testing.pools import check_dataset, check_parts, check_pool
from lstm_jax.testing.tasks import check_task

__all__ = [
  'Broken',
  'check_cell',
  'check_dataset',
  'check_parts',
  'check_pool',
  'check_task',
]
