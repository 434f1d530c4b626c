"""A report of comparisons as Markdown."""

from lstm_jax.lab.report import markdown, metric_content
from lstm_jax.lab.report import metric_verdicts as rule
from lstm_jax.lab.report.markdown import escaped
from lstm_jax.lab.report.metric_columns import notes
from lstm_jax.lab.report.metric_content import Report
from lstm_jax.lab.report.metric_drawing import names_of


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
  for warning in filter(None, (*report.warnings, left_out)):
    lines += [f'> {escaped(warning)}', '']
  for part in report.parts:
    lines += [f'<a id="{part.anchor}"></a>', '', f'## {escaped(part.task)}', '']
    lines += markdown.table(part.table)
    for name in names_of(part, pictures):
      lines += markdown.picture(pictures, name)
    for line in part.lines:
      lines += _section(line, pictures)
    if part.facts:
      title = f'The data of {part.task}'
      lines += [*markdown.facts({title: part.facts}, '###'), '']
  if metric_content.is_judged(report):
    lines += ['## The rule', '']
    lines += [f'* {escaped(line)}' for line in rule.RULE]
    lines.append('')
  if report.legend:
    lines += ['## The columns', '']
    lines += [f'* {escaped(line)}' for line in report.legend]
  lines += markdown.facts(report.facts)
  return '\n'.join(lines) + '\n'


def _section(line, pictures):
  lines = [f'<a id="{line.anchor}"></a>', '', f'### {escaped(line.name)}', '']
  lines += [f'* {escaped(note)}' for note in notes(line)]
  lines += [''] * bool(notes(line))
  for kind in ('curves', 'confusion'):
    lines += markdown.picture(pictures, f'{kind}:{line.anchor}')
  return [*lines, '```sh', metric_content.command_of(line), '```', '']
