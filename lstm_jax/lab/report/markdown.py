"""A report as Markdown."""

import re
from collections.abc import Mapping

from lstm_jax.lab.report import blocks
from lstm_jax.lab.report.cells import Table
from lstm_jax.lab.report.content import Report


def document(report: Report, pictures: Mapping[str, tuple[str, str]]) -> str:
  """The whole document, ending with a newline.

  Args:
    report: of `content.made`.
    pictures: name -> (caption, file relative to the document); the names are
      those of `drawing.draw_all`.
  """
  lines = [f'# {escaped(report.title)}', '']
  for block in blocks.shown(report.blocks, pictures):
    lines += [*_WRITERS[type(block)](block, pictures), '']
  return '\n'.join(lines).rstrip() + '\n'


def escaped(text: str) -> str:
  """Text that Markdown shows as it is."""
  return re.sub(r'([\\`*_\[\]<>#|~])', r'\\\1', ' '.join(text.split()))


def _heading(block, pictures):
  del pictures
  if block.anchor:
    yield from (f'<a id="{block.anchor}"></a>', '')
  yield f'{"#" * block.level} {escaped(block.words)}'


def _paragraph(block, pictures):
  del pictures
  words = escaped(block.words)
  for said, anchor in block.links.items():
    words = words.replace(escaped(said), f'[{escaped(said)}](#{anchor})', 1)
  mark = {'lead': '**', 'warn': '> '}.get(block.kind, '')
  yield f'{mark}{words}{mark if mark == "**" else ""}'


def _points(block, pictures):
  del pictures
  return [f'* {escaped(sentence)}' for sentence in block.sentences]


def _pictures(block, pictures):
  for i, name in enumerate(block.names):
    caption, file = pictures[name]
    yield from [''] * bool(i)
    yield f'![{escaped(caption)}]({file})'


def _commands(block, pictures):
  del pictures
  yield ' '.join(f'<a id="{one.anchor}"></a>' for one in block.commands)
  yield from ('', '```sh')
  for one in block.commands:
    yield f'# {one.letter}: {one.changed}'
    yield one.command
  yield '```'


def _facts(block, pictures):
  del pictures
  return [f'* {name}: {escaped(said)}' for name, said in block.pairs.items()]


def _table(found, pictures):
  del pictures
  yield _line(map(escaped, found.headings))
  yield _line('---:' if right else '---' for right in found.right)
  for line, anchor in zip(found.lines, found.anchors, strict=True):
    first, *rest = map(_cell, line)
    yield _line([f'[{first}](#{anchor})' if anchor else first, *rest])


def _line(cells):
  return f'| {" | ".join(cells)} |'


def _cell(cell):
  main, minor = escaped(cell.main), escaped(cell.minor)
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
