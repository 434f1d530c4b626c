"""Questions to the networks of a run folder."""

import dataclasses

FEW = 5  # answers that are shown where nobody says how many


@dataclasses.dataclass(frozen=True)
class Request:
  """A command line, read.

  Attributes:
    folder: the run folder, or the file of a network.
    net: id of a trial, or the beginning of one; '' for the first.
    count: how many answers to show, or sequences of a length; 0: as usual.
    length: lengths of fresh sequences; (): answers to some of the own length.
    keep: file that the network is written to, '' for none.
    seed: of fresh sequences.
    data: file of the inputs, '' for those of the task.
    data_dir: folder of the data sets, '' for the usual one.
    out: file of the answers, '' for none.
  """

  folder: str
  net: str = ''
  count: int = 0
  length: tuple[int, ...] = ()
  keep: str = ''
  seed: int = 0
  data: str = ''
  data_dir: str = ''
  out: str = ''
