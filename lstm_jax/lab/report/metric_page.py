"""A report of comparisons as one page of HTML."""

from html import escape

from lstm_jax.lab.report import html_page, metric_content
from lstm_jax.lab.report import metric_verdicts as rule
from lstm_jax.lab.report.metric_columns import notes
from lstm_jax.lab.report.metric_content import Report
from lstm_jax.lab.report.metric_drawing import names_of


def page(
  report: Report,
  pictures: dict[str, tuple[str, str]],
  left_out: str,
  made_from: str = '',
) -> str:
  """The whole page; it refers to nothing outside itself.

  Args:
    report: of `content.made`.
    pictures: of `drawing.draw_all`.
    left_out: what is missing and why, '' for nothing.
    made_from: hash of what it was made from.
  """
  judged = metric_content.is_judged(report)
  parts = [f'<h1>{escape(report.title)}</h1>']
  parts.append(f'<p class="soft">{escape(report.subtitle)}</p>')
  parts.append(f'<p class="lead">{escape(report.shows)}</p>')
  parts.append(f'<p>{escape(report.lead)}</p>')
  if judged:
    parts.append(
      '<p>Verdicts follow <a href="#rule">a rule fixed in advance</a>; what '
      'the columns mean is said <a href="#columns">below</a>.</p>'
    )
  for warning in filter(None, (*report.warnings, left_out)):
    parts.append(f'<p class="warn">{escape(warning)}</p>')
  for part in report.parts:
    parts.append(f'<h2 id="{part.anchor}">{escape(part.task)}</h2>')
    parts.append(html_page.table(part.table))
    for name in names_of(part, pictures):
      parts.append(html_page.picture(pictures, name))
    parts += [_section(line, pictures) for line in part.lines]
    if part.facts:
      title = f'The data of {part.task}'
      parts += html_page.facts({title: part.facts}, 'h3')
  if judged:
    parts.append('<h2 id="rule">The rule</h2>')
    parts.append(html_page.bullets(map(html_page.led, rule.RULE)))
  if report.legend:
    parts.append('<h2 id="columns">The columns</h2>')
    parts.append(html_page.bullets(map(html_page.led, report.legend)))
  parts += html_page.facts(report.facts)
  return html_page.document(report.title, parts, made_from)


def _section(line, pictures):
  parts = [f'<section id="{line.anchor}">', f'<h3>{escape(line.name)}</h3>']
  if said := notes(line):
    parts.append(html_page.bullets(map(html_page.led, said)))
  for kind in ('curves', 'confusion'):
    parts.append(html_page.picture(pictures, f'{kind}:{line.anchor}'))
  parts.append(
    '<details><summary>Command and options</summary>\n'
    f'<pre>{escape(metric_content.command_of(line))}</pre>\n</details>\n</section>'
  )
  return '\n'.join(filter(None, parts))
