"""What a report of comparisons holds, before it is HTML or Markdown."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lstm_jax.lab.report import (
  content,
  metric_headline,
  metric_rows,
  runs,
  verdicts,
)
from lstm_jax.lab.report.content import Table
from lstm_jax.lab.report.metric_columns import table_of
from lstm_jax.lab.report.metric_rows import Line
from lstm_jax.lab.report.summaries import parts


class Part(NamedTuple):
  """All that a report says of one task.

  Attributes:
    task: its name.
    anchor: a name for links.
    lines: its settings, at least one.
    table: one line a setting, and the levels.
    facts: name -> words of the data set.
  """

  task: str
  anchor: str
  lines: tuple[Line, ...]
  table: Table
  facts: Mapping[str, str]


class Report(NamedTuple):
  """All that a report says.

  Attributes:
    title: what the runs were about.
    subtitle: grids and sources.
    shows: one sentence: what the seeds show.
    lead: one sentence: how many rows, how many reproduced.
    warnings: what is missing or wrong, one sentence each.
    parts: one a task.
    legend: what the columns mean, one line each.
    facts: heading -> name -> value: counts, versions, device of each run.
  """

  title: str
  subtitle: str
  shows: str
  lead: str
  warnings: list[str]
  parts: tuple[Part, ...]
  legend: list[str]
  facts: Mapping[str, Mapping[str, str]]


def made(held: Sequence[runs.Run]) -> Report:
  """The report of one or several runs, as far as they have come.

  Args:
    held: of `runs.read`, each trial of a comparison.
  """
  joined = runs.join(held)
  records = {}
  for run in held:
    for name, record in run.records.items():
      records.setdefault(name, record)
  lines = metric_rows.lines(joined.entries, records)
  made, legend = [], {}
  for task, same in parts(lines, lambda line: line.entry['task']).items():
    table, meanings = table_of(same)
    legend |= meanings
    made.append(Part(task, f'task-{task}', tuple(same), table, _facts(same)))
  title, subtitle = content.headings(joined.entries)
  wrong = content.missing_or_wrong(
    joined.entries, joined.rows, 'count among the seeds, but are in no mean'
  )
  return Report(
    title=title,
    subtitle=subtitle,
    shows=metric_headline.sentence(lines),
    lead=_lead(lines),
    warnings=[*wrong, *joined.warnings],
    parts=tuple(made),
    legend=[f'{heading}: {meaning}.' for heading, meaning in legend.items()],
    facts={
      heading: {**found, **_counts(run)}
      for (heading, found), run in zip(
        runs.facts(held).items(), held, strict=True
      )
    },
  )


def is_judged(report: Report) -> bool:
  """Whether some line is compared with a published figure."""
  return any(line.figures for part in report.parts for line in part.lines)


def command_of(line: Line) -> str:
  """What a setting has that is not at its defaults, and how it is run."""
  return f'# {content.changed(line.entry)}\n{line.command}'


def _lead(lines):
  if not lines:
    return 'The plan holds no trial.'
  words = [line.verdict.word for line in lines if line.figures]
  rows = 'row' if len(lines) == 1 else 'rows'
  if not words:
    return f'{len(lines)} {rows}, none compared with a published figure.'
  said = ', '.join(
    f'{words.count(word)} {word}' for word in verdicts.WORDS if word in words
  )
  others = len(lines) - len(words)
  more = f'; {others} more without a published figure' * bool(others)
  rows = 'row' if len(words) == 1 else 'rows'
  return f'{len(words)} published {rows}: {said}{more}.'


def _facts(lines):
  """Name -> words; where lines differ, each wording once."""
  found = {}
  for line in lines:
    for name, words in line.facts.items():
      found.setdefault(name, {}).update(dict.fromkeys(words))
  return {name: '; '.join(words) for name, words in found.items()}


def _counts(run):
  """What a run of comparisons has other than that of tasks."""
  kernels = parts(run.records.values(), lambda record: record.get('kernel'))
  said = (f'{name} ({len(held):,})' for name, held in kernels.items() if name)
  found = {
    'trials': f'{len(run.rows):,} of {len(run.entries):,} ended',
    'kernel': ', '.join(said),
  }
  return {name: words for name, words in found.items() if words}
