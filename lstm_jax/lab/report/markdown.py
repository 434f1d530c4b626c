"""A report as Markdown."""

import re
from collections.abc import Mapping

from lstm_jax.lab.report import blocks
from lstm_jax.lab.report.cells import Table
from lstm_jax.lab.report.content import Report


def document(report: Report, pictures: Mapping[str, tuple[str, str]]) -> str:
  """The whole document, ending with a newline.

  Args:
    report: of `content.report_of`.
    pictures: name -> (caption, file relative to the document); the names are
      those of `drawing.draw_all`.
  """
  lines = [f'# {escape(report.title)}', '']
  for block in blocks.filtered_blocks(report.blocks, pictures):
    lines += [*_WRITERS[type(block)](block, pictures), '']
  return '\n'.join(lines).rstrip() + '\n'


def escape(text: str) -> str:
  """Text that Markdown shows as it is."""
  return re.sub(r'([\\`*_\[\]<>#|~])', r'\\\1', ' '.join(text.split()))


def _heading(block, pictures):
  del pictures
  if block.anchor:
    yield from (f'<a id="{block.anchor}"></a>', '')
  yield f'{"#" * block.level} {escape(block.words)}'


def _paragraph(block, pictures):
  del pictures
  words = escape(block.words)
  for phrase, anchor in block.links.items():
    words = words.replace(escape(phrase), f'[{escape(phrase)}](#{anchor})', 1)
  mark = {'lead': '**', 'warn': '> '}.get(block.kind, '')
  yield f'{mark}{words}{mark if mark == "**" else ""}'


def _points(block, pictures):
  del pictures
  return [f'* {escape(sentence)}' for sentence in block.sentences]


def _pictures(block, pictures):
  for i, name in enumerate(block.names):
    caption, file = pictures[name]
    yield from [''] * bool(i)
    yield f'![{escape(caption)}]({file})'


def _commands(block, pictures):
  del pictures
  yield ' '.join(f'<a id="{command.anchor}"></a>' for command in block.commands)
  yield from ('', '```sh')
  for command in block.commands:
    yield f'# {command.letter}: {command.changed}'
    yield command.command
  yield '```'


def _facts(block, pictures):
  del pictures
  return [f'* {name}: {escape(text)}' for name, text in block.pairs.items()]


def _table(table, pictures):
  del pictures
  yield _line(map(escape, table.headings))
  yield _line('---:' if right else '---' for right in table.right)
  for line, anchor in zip(table.lines, table.anchors, strict=True):
    first, *cells = map(_cell, line)
    yield _line([f'[{first}](#{anchor})' if anchor else first, *cells])


def _line(cells):
  return f'| {" | ".join(cells)} |'


def _cell(cell):
  main, minor = escape(cell.main), escape(cell.minor)
  return f'{main} ({minor})' if main and minor else main or minor


_WRITERS = {
  blocks.Heading: _heading,
  blocks.Paragraph: _paragraph,
  blocks.Points: _points,
  blocks.Pictures: _pictures,
  blocks.Commands: _commands,
  blocks.Facts: _facts,
  Table: _table,
}
