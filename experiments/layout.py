"""Text in columns, for terminals of 80 columns."""

import os
import sys
import textwrap


def show(text):
  """Prints a text that may be cut off by its reader; returns 0."""
  try:
    print(text, flush=True)
  except BrokenPipeError:  # `--help | head` has seen enough
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  return 0


def item(head, text, indent=2, column=36, width=80):
  """`head` and `text` in two columns, the text wrapped to `width`."""
  lines = textwrap.wrap(text, width - column) or ['']
  head = ' ' * indent + head
  first = [head] if len(head) > column - 2 else []
  if not first:
    first = [head.ljust(column) + lines.pop(0)]
  return [*first, *(' ' * column + line for line in lines)]


def aligned(table):
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
