"""A data set that is not there or not right, and where to read one."""

from typing import NamedTuple

from lstm_jax.lab.store.faults import printable


class Missing(Exception):
  """A data set is not on this machine; the message says how to get it."""

  def __init__(self, message: str) -> None:
    super().__init__(printable(message))


class BadData(Exception):
  """A file of a data set is not what it should be; the message names both.

  Names in it may be anybody's: whatever a terminal would act on is escaped.
  """

  def __init__(self, message: str) -> None:
    super().__init__(printable(message))


class Source(NamedTuple):
  """A place that data are read from, and how strictly.

  Attributes:
    data_dir: folder of the data sets; None: `files.prepared` says where.
    skip_bad: leave out files that are damaged, and say which.
  """

  data_dir: str | None = None
  skip_bad: bool = False
