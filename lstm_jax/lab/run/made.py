"""The programs that a process has made, for its next runs."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
  from lstm_jax.training import lanes
  from lstm_jax.training.compilation import ProgramsByWorker


class Made(NamedTuple):
  """The programs that a process has made, for its next runs.

  Attributes:
    builds: name of a program -> its build.
    compiled: those of each worker.
    kept: names of those that stay when their trials have ended.
    most: how many may; a program takes some 30 MB.
  """

  builds: 'dict[str, lanes.Build]'
  compiled: 'ProgramsByWorker'
  kept: set[str]
  most: int

  def keeps(self, name: str) -> bool:
    """Tells whether a program of which no trial is left stays."""
    if name not in self.kept and len(self.kept) >= self.most:
      self.builds.pop(name, None)
      return False
    self.kept.add(name)
    return True


def made_before(most: int = 0) -> Made:
  """The programs of a process that has made none.

  Args:
    most: that are kept from one run to the next.
  """
  return Made({}, {}, set(), most)
