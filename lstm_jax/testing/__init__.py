"""Checks what a cell, a learner, a task and a data set promise.

Arrays of other shapes often compute all the same: what is too small is
broadcast, an index that is out of range is clipped, nan teaches nothing and
stops nothing. A run on them ends in a table that looks like any other.

For tests of what you write, thorough and a matter of seconds:

  check_cell(factory)               all that our own cells promise, and so on
  check_learner(factory)
  check_task(factory, length=10)
  check_dataset(factory)

A run looks at what it is about to train, at the cost of a trace, a handful of
sequences and one pass over the examples; the checks above begin with it:

  admit_cell(name, cell)            weights, state and outputs
  admit_task(name, task, length)    a few sequences of it
  admit_dataset(name, data, seeds)  examples, lengths, labels, parts

Each raises `Broken` and says who, what it has, what it must have. What the code
of a cell or a task raises itself passes through `admit_...`, and is a broken
promise to `check_...`.
"""

from lstm_jax.testing.broken import Broken
from lstm_jax.testing.cell_promises import CELL_PROMISES, check_cell
from lstm_jax.testing.cells import admit_cell
from lstm_jax.testing.dataset_promises import DATASET_PROMISES, check_dataset
from lstm_jax.testing.learner_promises import LEARNER_PROMISES, check_learner
from lstm_jax.testing.learners import admit_learner
from lstm_jax.testing.pools import admit_dataset, check_parts, check_pool
from lstm_jax.testing.promises import Failure, Promise
from lstm_jax.testing.task_promises import TASK_PROMISES, check_task
from lstm_jax.testing.tasks import admit_task

__all__ = [
  'CELL_PROMISES',
  'DATASET_PROMISES',
  'LEARNER_PROMISES',
  'TASK_PROMISES',
  'Broken',
  'Failure',
  'Promise',
  'admit_cell',
  'admit_dataset',
  'admit_learner',
  'admit_task',
  'check_cell',
  'check_dataset',
  'check_learner',
  'check_parts',
  'check_pool',
  'check_task',
]
