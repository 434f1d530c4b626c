"""Text in columns, for terminals of 80 columns."""

import itertools
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence

_DEFAULT_WIDTH = 110  # columns where nothing says how wide a line may be
_NARROWEST = 40


def width() -> int:
  """Columns of the terminal, or of COLUMNS; 110 where there is neither."""
  columns = shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns
  return max(columns, _NARROWEST)


def wrap(text: str) -> str:
  """A text in lines that the terminal is wide enough for."""
  return '\n'.join(textwrap.wrap(text, width()))


def show(text: str) -> int:
  """Prints a text that may be cut off by its reader; returns 0."""
  try:
    print(text, flush=True)
  except BrokenPipeError:  # `--help | head` has seen enough
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  return 0


def item(head: str, text: str, indent: int = 2, column: int = 36) -> list[str]:
  """`head` and `text` in two columns, 80 letters wide."""
  lines = textwrap.wrap(text, 80 - column) or ['']
  head = ' ' * indent + head
  first = [head] if len(head) > column - 2 else []
  if not first:
    first = [head.ljust(column) + lines.pop(0)]
  return [*first, *(' ' * column + line for line in lines)]


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
  """Rows of text in columns, the inner ones to the right."""
  widths = [max(map(len, column)) for column in zip(*table, strict=True)]
  lines = []
  for row in table:
    words = [
      word.rjust(width) if 0 < i < len(row) - 1 else word.ljust(width)
      for i, (word, width) in enumerate(zip(row, widths, strict=True))
    ]
    lines.append('  '.join(words).rstrip())
  return lines


def parted(
  columns: Mapping[str, tuple[str, Sequence[str]]], headings: Iterable[str]
) -> list[str]:
  """A table whose lines fall into parts with headings of their own.

  Args:
    columns: heading -> (alignment '<' or '>', cells), all of one length.
    headings: of each line, the part that it belongs to; '' for none.

  Returns:
    Lines: the heads, a rule, and the parts with an empty line between them.
  """
  widths = {n: max(map(len, (n, *cells))) for n, (_, cells) in columns.items()}

  def line(cells):
    parts = zip(cells, columns.items(), strict=True)
    said = (f'{cell:{c[0]}{widths[n]}}' for cell, (n, c) in parts)
    return '  '.join(said).rstrip()

  body = zip(*(cells for _, cells in columns.values()), strict=True)
  lines = [line(columns), '  '.join('─' * w for w in widths.values())]
  pairs = zip(headings, body, strict=True)
  parts = itertools.groupby(pairs, lambda pair: pair[0])
  for i, (heading, part) in enumerate(parts):
    lines += [''] * (i > 0) + [heading] * bool(heading)
    lines += [line(cells) for _, cells in part]
  return lines


def fitted(
  make: Callable[[list[str]], list[str]], give_up: Iterable[str], width: int
) -> tuple[list[str], list[str]]:
  """Lines that fit a width, with what the reader needs least left out.

  Args:
    make: names that are left out -> lines.
    give_up: names, first to last.
    width: columns.

  Returns:
    (lines, names left out). Where even the shortest do not fit, they are wider.
  """
  left_out: list[str] = []
  lines = make(left_out)
  for name in give_up:
    if _width(lines) <= width:
      break
    candidate = make([*left_out, name])
    if _width(candidate) < _width(lines):
      left_out, lines = [*left_out, name], candidate
  return lines, left_out


def _width(lines):
  return max(map(len, lines))
