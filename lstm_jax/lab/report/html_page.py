"""A report as one page of HTML that refers to nothing outside itself."""

from collections.abc import Iterable, Mapping
from html import escape

from lstm_jax.lab.report import content, drawing, verdicts
from lstm_jax.lab.report.columns import MARKS, Cell, columns_of, notes
from lstm_jax.lab.report.content import Report, Table
from lstm_jax.lab.report.markdown import legend
from lstm_jax.lab.report.rows import Row, heading, tried
from lstm_jax.lab.report.style import CSS

_BADGES = {
  f'{MARKS[word]} {word}': kind
  for word, kind in (
    (verdicts.REPRODUCED, 'good'),
    (verdicts.NOT, 'bad'),
    (verdicts.UNDER, 'open'),
    (verdicts.NONE, 'soft'),
  )
}
_MARKS = {text[0]: kind for text, kind in _BADGES.items()}


def page(
  report: Report,
  pictures: dict[str, tuple[str, str]],
  left_out: str,
  made_from: str = '',
) -> str:
  """The whole page.

  Args:
    report: of `content.made`.
    pictures: of `drawing.draw_all`.
    left_out: what is missing and why, '' for nothing.
    made_from: hash of what it was made from, see `key`.
  """
  parts = [f'<h1>{escape(report.title)}</h1>']
  parts.append(f'<p class="soft">{escape(report.subtitle)}</p>')
  parts.append(f'<p class="lead">{escape(report.shows)}</p>')
  parts.append(f'<p>{escape(report.lead)}</p>')
  if report.published:
    parts.append(
      '<p>Verdicts follow <a href="#rule">a rule fixed in advance</a>; what '
      'the columns mean is said <a href="#columns">below</a>.</p>'
    )
  for warning in filter(None, (*report.warnings, left_out)):
    parts.append(f'<p class="warn">{escape(warning)}</p>')
  parts += [picture(pictures, name) for name in ('lengths', 'windows')]
  if report.published:
    parts += _overview(report.published, pictures)
  parts += [picture(pictures, name) for name in _named(pictures, 'scaling:')]
  parts += [_section(row, pictures) for row in report.published]
  if shown := _named(pictures, 'sequence:'):
    parts.append('<h2 id="inside">Inside a solved net</h2>')
    parts += [picture(pictures, name) for name in shown]
  if report.others:
    parts.append('<h2 id="others">Settings without a published figure</h2>')
    parts += [_section(row, pictures, 'h3') for row in report.others]
  if report.published:
    parts.append('<h2 id="rule">The rule</h2>')
    parts.append(bullets(map(led, verdicts.RULE)))
  parts.append('<h2 id="columns">The columns</h2>')
  parts.append(bullets(map(led, legend(report))))
  parts += facts(report.facts)
  return document(report.title, parts, made_from)


def document(title: str, parts: Iterable[str], made_from: str = '') -> str:
  """A page of HTML with the looks of a report.

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


def facts(
  found: Mapping[str, Mapping[str, str]], level: str = 'h2'
) -> list[str]:
  """Heading -> name -> words as lists below headings."""
  parts = []
  for title, held in found.items():
    parts.append(f'<{level}>{escape(title)}</{level}>')
    lines = (
      f'<dt>{escape(name)}</dt><dd>{escape(said)}</dd>'
      for name, said in held.items()
    )
    parts.append(f'<dl>{"".join(lines)}</dl>')
  return parts


def key(made_from: str) -> str:
  """The line of a page that says what it was made from."""
  return f'<meta name="made-from" content="{escape(made_from)}">'


def _overview(rows, pictures):
  parts = ['<h2 id="overview">Overview</h2>']
  parts.append(table(content.overview(rows)))
  parts.append(picture(pictures, 'overview'))
  if found := content.matrices(rows):
    parts.append('<h3 id="matrix">Readings across rows</h3>')
    parts.append(f'<p>{escape(content.MATRIX)}</p>')
    for name, matrix in found.items():
      if len(found) > 1:
        parts.append(f'<h4>{escape(name)}</h4>')
      parts.append(table(matrix))
  return parts


def _named(pictures, prefix):
  return [name for name in pictures if name.startswith(prefix)]


def _section(row: Row, pictures, level='h2'):
  parts = [f'<section id="{row.anchor}">']
  parts.append(f'<{level}>{escape(heading(row))}</{level}>')
  if row.figures:
    best = f'{row.best.letter}, {row.best.name}'
    parts.append(f'<p>{escape(tried(row))}. Best: {escape(best)}.</p>')
  parts.append(_readings(row))
  said = notes(row)
  if said:
    parts.append(bullets(map(led, said)))
  parts.append(picture(pictures, f'row:{row.anchor}'))
  commands = []
  for reading in row.readings:
    changed = content.changed(reading.entry)
    commands.append(
      f'<p id="{row.anchor}-{reading.letter}"><b>{reading.letter}</b> '
      f'{escape(reading.name)} <small>{escape(changed)}</small></p>\n'
      f'<pre>{escape(reading.command)}</pre>'
    )
  parts.append(
    '<details><summary>Commands and options</summary>\n'
    + '\n'.join(commands)
    + '\n</details>\n</section>'
  )
  return '\n'.join(filter(None, parts))


def _readings(row):
  """The table of a row: the published line, then the readings."""
  found = columns_of(row)
  lines = [_heads(found)]
  lines.append('<tbody>')
  if row.figures:
    cells = ''.join(
      _cell(column.paper, column.right, head=not i)
      for i, column in enumerate(found)
    )
    lines.append(f'<tr class="paper">{cells}</tr>')
  marked = bool(row.figures) and len(row.readings) > 1
  for i, reading in enumerate(row.readings):
    link = f'#{row.anchor}-{reading.letter}'
    cells = ''.join(
      _cell(column.cells[i], column.right, head=not j, link=link)
      for j, column in enumerate(found)
    )
    best = ' class="best"' if marked and reading is row.best else ''
    lines.append(f'<tr{best}>{cells}</tr>')
  lines.append('</tbody>')
  return _scrolling(f'<table>\n{"".join(lines)}\n</table>', heading(row))


def _heads(found):
  cells = (
    f'<th scope="col"{" class=n" * column.right}>{escape(column.heading)}</th>'
    for column in found
  )
  return f'<thead><tr>{"".join(cells)}</tr></thead>'


def table(found: Table) -> str:
  """A table in a box that scrolls."""
  heads = (
    f'<th scope="col"{" class=n" * right}>{escape(heading)}</th>'
    for heading, right in zip(found.headings, found.right, strict=True)
  )
  kinds = found.kinds or ('',) * len(found.lines)
  lines = []
  for line, anchor, kind in zip(found.lines, found.anchors, kinds, strict=True):
    cells = ''.join(
      _cell(cell, right, head=not i, link=f'#{anchor}' if anchor else '')
      for i, (cell, right) in enumerate(zip(line, found.right, strict=True))
    )
    marked = f' class="{kind}"' if kind else ''
    lines.append(f'<tr{marked}>{cells}</tr>')
  return _scrolling(
    f'<table><thead><tr>{"".join(heads)}</tr></thead>\n'
    f'<tbody>{"".join(lines)}</tbody></table>',
    found.headings[0],
  )


def _scrolling(table, label):
  # With tabindex the box can be scrolled by keys.
  return (
    f'<div class="scroll" tabindex="0" role="region" '
    f'aria-label="{escape(label)}">{table}</div>'
  )


def _cell(cell: Cell, right, head=False, link=''):
  main, minor = escape(cell.main), escape(cell.minor)
  kind = _BADGES.get(cell.main) or _MARKS.get(cell.main)
  if kind:
    main = f'<span class="badge {kind}">{main}</span>'
  if head and link:
    main = f'<a href="{escape(link)}"><b>{main}</b></a>'
  small = f'<small>{minor}</small>' if minor else ''
  if head:
    return f'<th scope="row" class="name">{main}{small}</th>'
  return f'<td{" class=n" * right}>{main}{small}</td>'


def led(text: str) -> str:
  """A sentence whose words before the first colon or full stop lead it."""
  for mark in (': ', '. '):
    end = text.find(mark) + 1
    if 0 < end < 40:
      return f'<b>{escape(text[:end])}</b>{escape(text[end:])}'
  return escape(text)


def bullets(items: Iterable[str]) -> str:
  """A list of items that are HTML."""
  return '<ul>' + ''.join(f'<li>{item}</li>' for item in items) + '</ul>'


def picture(pictures: Mapping[str, tuple[str, str]], name: str) -> str:
  """A figure with its caption, '' where there is none of the name."""
  if name not in pictures:
    return ''
  caption, svg = pictures[name]
  return (
    f'<figure><div class="scroll">{drawing.inline(svg, caption)}</div>\n'
    f'<figcaption>{escape(caption)}</figcaption></figure>'
  )
