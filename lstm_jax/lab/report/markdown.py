"""A report as Markdown."""

import re
from collections.abc import Mapping

from lstm_jax.lab.report import content, verdicts
from lstm_jax.lab.report.columns import columns_of, notes
from lstm_jax.lab.report.content import Report, Table
from lstm_jax.lab.report.rows import Row, heading, tried


def document(
  report: Report, pictures: dict[str, tuple[str, str]], left_out: str
) -> str:
  """The whole document, ending with a newline.

  Args:
    report: of `content.made`.
    pictures: name -> (caption, file relative to the document); the names are
      those of `drawing.draw_all`.
    left_out: what is missing and why, '' for nothing.
  """
  lines = [f'# {escaped(report.title)}', '', escaped(report.subtitle), '']
  lines += [f'**{escaped(report.shows)}**', '', escaped(report.lead), '']
  for warning in report.warnings:
    lines += [f'> {escaped(warning)}', '']
  if left_out:
    lines += [f'> {escaped(left_out)}', '']
  for name in ('lengths', 'windows'):
    lines += picture(pictures, name)
  if report.published:
    lines += ['## Overview', '']
    lines += table(content.overview(report.published))
    lines += picture(pictures, 'overview')
    if found := content.matrices(report.published):
      lines += ['### Readings across rows', '', content.MATRIX, '']
      for name, matrix in found.items():
        lines += [f'{escaped(name)}:', ''] * (len(found) > 1)
        lines += table(matrix)
  for name in pictures:
    if name.startswith('scaling:'):
      lines += picture(pictures, name)
  for row in report.published:
    lines += _section(row, pictures)
  if any(name.startswith('sequence:') for name in pictures):
    lines += ['## Inside a solved net', '']
    for name in pictures:
      if name.startswith('sequence:'):
        lines += picture(pictures, name)
  if report.others:
    lines += ['## Settings without a published figure', '']
    for row in report.others:
      lines += _section(row, pictures, '###')
  if report.published:
    lines += ['## The rule', '']
    lines += [f'* {escaped(line)}' for line in verdicts.RULE]
    lines.append('')
  lines += ['## The columns', '']
  lines += [f'* {escaped(line)}' for line in legend(report)]
  lines += facts(report.facts)
  return '\n'.join(lines) + '\n'


def facts(
  found: Mapping[str, Mapping[str, str]], level: str = '##'
) -> list[str]:
  """Heading -> name -> words as lists below headings."""
  lines = []
  for title, held in found.items():
    lines += ['', f'{level} {escaped(title)}', '']
    lines += [f'* {name}: {escaped(said)}' for name, said in held.items()]
  return lines


def legend(report: Report) -> list[str]:
  """What each column of the report's tables means, one line each."""
  found = {}
  for row in (*report.published, *report.others):
    for column in columns_of(row):
      if column.meaning:
        found.setdefault(column.heading, column.meaning)
  return [f'{heading}: {meaning}.' for heading, meaning in found.items()]


def escaped(text: str) -> str:
  """Text that Markdown shows as it is."""
  return re.sub(r'([\\`*_\[\]<>#|~])', r'\\\1', ' '.join(text.split()))


def _section(row: Row, pictures, level='##'):
  lines = [f'<a id="{row.anchor}"></a>', '', f'{level} {escaped(heading(row))}']
  lines.append('')
  if row.figures:
    lines += [f'{tried(row)}. Best: {escaped(row.best.name)}.', '']
  found = columns_of(row)
  heads = [column.heading for column in found]
  rules = ['---:' if column.right else '---' for column in found]
  body = [
    [column.cells[i] for column in found] for i in range(len(row.readings))
  ]
  if row.figures:
    body.insert(0, [column.paper for column in found])
  lines += _lines(heads, rules, body)
  lines += [f'* {escaped(note)}' for note in notes(row)]
  lines += [''] * bool(notes(row))
  lines += picture(pictures, f'row:{row.anchor}')
  lines += ['```sh']
  for reading in row.readings:
    lines.append(f'# {reading.letter}: {content.changed(reading.entry)}')
    lines.append(reading.command)
  return [*lines, '```', '']


def table(found: Table) -> list[str]:
  """The lines of a table."""
  rules = ['---:' if right else '---' for right in found.right]
  body = []
  for line, anchor in zip(found.lines, found.anchors, strict=True):
    first = escaped(line[0].main)
    body.append([f'[{first}](#{anchor})' if anchor else first, *line[1:]])
  return _lines(found.headings, rules, body)


def _lines(headings, rules, body):
  lines = [map(escaped, headings), rules]
  lines += [map(_cell, line) for line in body]
  return [*('| ' + ' | '.join(line) + ' |' for line in lines), '']


def _cell(cell):
  if isinstance(cell, str):
    return cell
  main, minor = escaped(cell.main), escaped(cell.minor)
  return f'{main} ({minor})' if main and minor else main or minor


def picture(pictures: Mapping[str, tuple[str, str]], name: str) -> list[str]:
  """The lines of a figure, none where there is none of the name."""
  if name not in pictures:
    return []
  caption, file = pictures[name]
  return [f'![{escaped(caption)}]({file})', '']
