"""A report as one page of HTML that refers to nothing outside itself."""

from collections.abc import Iterable, Mapping
from html import escape

from lstm_jax.lab.report import blocks, drawing, verdict_words
from lstm_jax.lab.report.cells import MARKS, Cell, Table
from lstm_jax.lab.report.content import Report
from lstm_jax.lab.report.style import CSS

_BADGES = {
  f'{MARKS[word]} {word}': kind
  for word, kind in (
    (verdict_words.REPRODUCED, 'good'),
    (verdict_words.NOT, 'bad'),
    (verdict_words.UNDER, 'open'),
    (verdict_words.NO_VERDICT, 'soft'),
  )
}
_MARKS = {text[0]: kind for text, kind in _BADGES.items()}


def page(
  report: Report,
  pictures: Mapping[str, tuple[str, str]],
  made_from: str = '',
) -> str:
  """The whole page.

  Args:
    report: of `content.report_of`.
    pictures: of `drawing.draw_all`.
    made_from: hash of what it was made from, see `key`.
  """
  parts = [f'<h1>{escape(report.title)}</h1>']
  for block in blocks.filtered_blocks(report.blocks, pictures):
    parts.append(_WRITERS[type(block)](block, pictures))
  return document(report.title, parts, made_from)


def document(title: str, parts: Iterable[str], made_from: str = '') -> str:
  """A page of HTML in the style of a report.

  Args:
    title: of the window.
    parts: what `main` holds, in HTML; '' for nothing.
    made_from: hash of what it was made from, see `key`.
  """
  body = '\n'.join(filter(None, parts))
  return (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    f'{key(made_from)}\n<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n'
    f'<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n'
  )


def key(made_from: str) -> str:
  """The line of a page that says what it was made from."""
  return f'<meta name="made-from" content="{escape(made_from)}">'


def _heading(block, pictures):
  del pictures
  mark = f' id="{escape(block.anchor)}"' if block.anchor else ''
  return f'<h{block.level}{mark}>{escape(block.words)}</h{block.level}>'


def _paragraph(block, pictures):
  del pictures
  words = escape(block.words)
  for phrase, anchor in block.links.items():
    words = words.replace(
      escape(phrase), f'<a href="#{escape(anchor)}">{escape(phrase)}</a>', 1
    )
  mark = f' class="{block.kind}"' if block.kind else ''
  return f'<p{mark}>{words}</p>'


def _points(block, pictures):
  del pictures
  items = (f'<li>{_with_lead(sentence)}</li>' for sentence in block.sentences)
  return f'<ul>{"".join(items)}</ul>'


def _with_lead(text):
  """A sentence whose words before the first colon or full stop lead it."""
  for mark in (': ', '. '):
    end = text.find(mark) + 1
    if 0 < end < 40:
      return f'<b>{escape(text[:end])}</b>{escape(text[end:])}'
  return escape(text)


def _pictures(block, pictures):
  return '\n'.join(
    f'<figure><div class="scroll">{drawing.inline(svg, caption)}</div>\n'
    f'<figcaption>{escape(caption)}</figcaption></figure>'
    for caption, svg in (pictures[name] for name in block.names)
  )


def _commands(block, pictures):
  del pictures
  body = '\n'.join(
    f'<p id="{command.anchor}"><b>{command.letter}</b> {escape(command.name)} '
    f'<small>{escape(command.changed)}</small></p>\n'
    f'<pre>{escape(command.command)}</pre>'
    for command in block.commands
  )
  return f'<details><summary>Commands and options</summary>\n{body}\n</details>'


def _facts(block, pictures):
  del pictures
  lines = (
    f'<dt>{escape(name)}</dt><dd>{escape(text)}</dd>'
    for name, text in block.pairs.items()
  )
  return f'<dl>{"".join(lines)}</dl>'


def _table(table, pictures):
  """A table in a box that scrolls."""
  del pictures
  heads = (
    f'<th scope="col"{" class=n" * right}>{escape(heading)}</th>'
    for heading, right in zip(table.headings, table.right, strict=True)
  )
  kinds = table.kinds or ('',) * len(table.lines)
  lines = []
  for line, anchor, kind in zip(table.lines, table.anchors, kinds, strict=True):
    cells = ''.join(
      _cell(cell, right, head=not i, link=f'#{anchor}' if anchor else '')
      for i, (cell, right) in enumerate(zip(line, table.right, strict=True))
    )
    class_ = f' class="{kind}"' if kind else ''
    lines.append(f'<tr{class_}>{cells}</tr>')
  # With tabindex the box can be scrolled by keys.
  return (
    f'<div class="scroll" tabindex="0" role="region" '
    f'aria-label="{escape(table.label)}">'
    f'<table><thead><tr>{"".join(heads)}</tr></thead>\n'
    f'<tbody>{"".join(lines)}</tbody></table></div>'
  )


def _cell(cell: Cell, right, head=False, link=''):
  main, minor = escape(cell.main), escape(cell.minor)
  kind = _BADGES.get(cell.main) or _MARKS.get(cell.main)
  if kind:
    main = f'<span class="badge {kind}">{main}</span>'
  if head and link:
    main = f'<a href="{escape(link)}"><b>{main}</b></a>'
  aside = f'<small>{minor}</small>' if minor else ''
  if head:
    return f'<th scope="row" class="name">{main}{aside}</th>'
  if cell.share is None:
    return f'<td{" class=n" * right}>{main}{aside}</td>'
  bar = f'class="bar{" n" * right}" style="--share:{100 * cell.share:.0f}%"'
  return f'<td {bar}>{main}{aside}</td>'


_WRITERS = {
  blocks.Heading: _heading,
  blocks.Paragraph: _paragraph,
  blocks.Points: _points,
  blocks.Pictures: _pictures,
  blocks.Commands: _commands,
  blocks.Facts: _facts,
  Table: _table,
}
