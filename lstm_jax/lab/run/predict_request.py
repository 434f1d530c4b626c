"""Questions to the networks of a run folder."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Request:
  """A command line, read.

  Attributes:
    folder: the run folder.
    net: id of a trial, or the beginning of one; '' for the first.
    count: how many answers to show.
    seed: of fresh sequences.
    data: file of the inputs, '' for those of the task.
    data_dir: folder of the data sets, '' for the usual one.
    out: file of the answers, '' for none.
  """

  folder: str
  net: str = ''
  count: int = 5
  seed: int = 0
  data: str = ''
  data_dir: str = ''
  out: str = ''
