"""The blocks of a report, the same for HTML and Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lstm_jax.lab.report.cells import Table


class Heading(NamedTuple):
  """A heading; `anchor` is its name for links, '' for none."""

  words: str
  level: int = 2
  anchor: str = ''


class Paragraph(NamedTuple):
  """A paragraph; `kind` is its class in the style sheet, '' for none.

  Of its words, `links` (words -> anchor) lead somewhere.
  """

  words: str
  kind: str = ''
  links: Mapping[str, str] = {}


class Points(NamedTuple):
  """A list of sentences, whose first words lead them."""

  sentences: Sequence[str]


class Pictures(NamedTuple):
  """Figures by name, as far as they were drawn; `*` at the end: all such."""

  names: Sequence[str]


class Command(NamedTuple):
  """The command that runs a reading."""

  anchor: str
  letter: str
  name: str
  changed: str
  command: str


class Commands(NamedTuple):
  """The commands that run the readings of a row."""

  commands: Sequence[Command]


class Facts(NamedTuple):
  """Names and what is said of them."""

  pairs: Mapping[str, str]


Block = Heading | Paragraph | Points | Pictures | Commands | Facts | Table


def filtered_blocks(
  blocks: Iterable[Block], pictures: Iterable[str]
) -> list[Block]:
  """The blocks that hold something, with the names of figures that are there.

  Args:
    blocks: of a `Report`.
    pictures: names of the figures that were drawn.
  """
  names = list(pictures)
  blocks_left: list[Block] = []
  for block in blocks:
    if isinstance(block, Pictures):
      block = Pictures(
        [
          name
          for pattern in block.names
          for name in names
          if name == pattern
          or (pattern.endswith('*') and name.startswith(pattern[:-1]))
        ]
      )
    if isinstance(block, Pictures | Points) and not any(block):
      # Nor is there a heading of nothing.
      if blocks_left and isinstance(blocks_left[-1], Heading):
        blocks_left.pop()
      continue
    blocks_left.append(block)
  return blocks_left
