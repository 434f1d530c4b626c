"""Questions to the networks of a run folder."""

import dataclasses

_OF_MANY = ('.npy', '.npz', '.csv')  # files of many inputs
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
    data: files of the inputs, () for those of the task.
    text: a text that is asked about, '' for none.
    data_dir: folder of the data sets, '' for the usual one.
    out: file of the answers, '' for none.
  """

  folder: str
  net: str = ''
  count: int = 0
  length: tuple[int, ...] = ()
  keep: str = ''
  seed: int = 0
  data: tuple[str, ...] = ()
  text: str = ''
  data_dir: str = ''
  out: str = ''

  @property
  def given(self) -> str:
    """Inputs from elsewhere, as a message names them; '' for none."""
    named = [f'--data={name}' for name in self.data]
    return ' '.join([*named, *['--text'] * bool(self.text)])

  @property
  def is_each(self) -> bool:
    """Tells whether each file, or the text, is one input, to have a line."""
    return bool(self.given) and not any(
      name.lower().endswith(_OF_MANY) for name in self.data
    )
