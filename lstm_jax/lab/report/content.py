"""The content of a report, in order, before it is HTML or Markdown."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from lstm_jax.lab.plan import grid, programs, values
from lstm_jax.lab.report import (
  headline,
  runs,
  summaries,
  verdict_words,
  verdicts,
)
from lstm_jax.lab.report import overview as over_all
from lstm_jax.lab.report.blocks import (
  Block,
  Command,
  Commands,
  Facts,
  Heading,
  Paragraph,
  Pictures,
  Points,
)
from lstm_jax.lab.report.columns import table_of
from lstm_jax.lab.report.naming import place, source_of
from lstm_jax.lab.report.notes import notes
from lstm_jax.lab.report.rows import Row, heading, published_rows, tried_words
from lstm_jax.lab.report.summaries import parts
from lstm_jax.lab.store import reruns
from lstm_jax.lab.store.documents import Figures, Record
from lstm_jax.lab.store.setting import Setting


class Report(NamedTuple):
  """All that a report says.

  Attributes:
    title: what the runs were about.
    blocks: what follows it.
    summaries: the trials, setting by setting.
    published: rows that are compared with published figures.
    others: settings without published figures.
  """

  title: str
  blocks: Sequence[Block]
  summaries: list[summaries.Summary]
  published: list[Row]
  others: list[Row]


def report_of(run_list: Sequence[runs.Run]) -> Report:
  """The report of one or several runs, as far as they have come.

  Args:
    run_list: of `runs.read`.
  """
  merged = runs.join(run_list)
  rows = published_rows(merged.trials, merged.records)
  summed_up = summaries.summarize(
    merged.rows,
    published_figures(merged.trials),
    planned_counts(merged.trials),
    merged.levels,
  )
  rows_published = [row for row in rows if row.figures]
  rows_unpublished = [row for row in rows if not row.figures]
  title, subtitle = headings(merged.trials)
  warnings = [*missing_or_wrong(merged.trials, merged.rows), *merged.warnings]
  blocks = [
    Paragraph(subtitle, 'soft'),
    Paragraph(headline.sentence(summed_up), 'lead'),
    Paragraph(_lead(rows_published, rows_unpublished)),
    *_pointer(rows_published),
    *(Paragraph(words, 'warn') for words in warnings),
    Pictures(('lengths', 'windows')),
    *_overview(rows_published),
    Pictures(('task-*', 'scaling:*')),
    *(block for row in rows_published for block in _section(row)),
    Heading('Inside a solved net', 2, 'inside'),
    Pictures(('sequence:*',)),
    *_unpublished(rows_unpublished),
    *_data(rows),
    *_rules(rows_published),
    Heading('The columns', 2, 'columns'),
    Points(_legend(rows)),
    *_of_runs(run_list),
  ]
  return Report(title, blocks, summed_up, rows_published, rows_unpublished)


def with_warning(report: Report, words: str) -> Report:
  """A report with one warning more, after the others; '' for none."""
  if not words:
    return report
  blocks = list(report.blocks)
  at = next(i for i, block in enumerate(blocks) if isinstance(block, Pictures))
  return report._replace(
    blocks=[*blocks[:at], Paragraph(words, 'warn'), *blocks[at:]]
  )


def published_figures(
  trials: Mapping[str, Setting],
) -> dict[str, dict[str, Figures]]:
  """Grid -> row -> the published figures that a plan has for it."""
  by_grid: dict[str, dict[str, Figures]] = {}
  for setting in trials.values():
    if setting.figures:
      by_grid.setdefault(setting.grid, {})[setting.row] = setting.figures
  return by_grid


def planned_counts(trials: Mapping[str, Setting]) -> dict[str, dict[str, int]]:
  """Grid -> row -> how many trials of it a plan has."""
  by_grid: dict[str, dict[str, int]] = {}
  for setting in trials.values():
    counts = by_grid.setdefault(setting.grid, {})
    counts[setting.row] = counts.get(setting.row, 0) + 1
  return by_grid


def headings(trials: Mapping[str, Setting]) -> tuple[str, str]:
  """Title and subtitle: what the grids of some plans say of themselves."""
  names = list(parts(trials.values(), lambda setting: setting.grid))
  grid_tables = [table for table in map(_grid, names) if table]
  heads = [f'grid {name}' for name in names]
  heads += parts(filter(None, (table.source for table in grid_tables)), str)
  titles = [table.title for table in grid_tables]
  if len(names) > 2:
    titles = [f'{len(names)} grids beside what was published']
  return '; '.join(titles) or 'Settings from flags', ', '.join(heads)


# A budget's unit -> what becomes of trials without a result.
_UNIT_WORDS = {
  'sequences': 'count as not solved',
  'epochs': 'count among the seeds, but are in no mean',
}


def missing_or_wrong(
  trials: Mapping[str, Setting], rows: Sequence[Mapping[str, object]]
) -> list[str]:
  """Returns what is missing or wrong in trials, one sentence each.

  Args:
    trials: of the plans, id -> setting.
    rows: of `results.csv`.
  """
  sentences = []
  num_missing = len(trials) - len(rows)
  if num_missing:
    sentences.append(
      f'{num_missing:,} of {len(trials):,} trials are still to come; what '
      'follows is of those that have ended.'
    )
  for status, word in (
    ('failed', 'failed'),
    ('diverged', 'diverged'),
    ('given_up', 'were given up early'),
  ):
    rows_of_status = [row for row in rows if row['status'] == status]
    for unit, rows_of_unit in parts(
      rows_of_status, lambda row: programs.unit_of(str(row['learner']), row)
    ).items():
      sentences.append(
        f'{len(rows_of_unit):,} of {len(rows):,} trials {word}; they '
        f'{_UNIT_WORDS[unit]}.'
      )
    if rows_of_status and status == 'failed':
      reasons = reruns.failures(
        {str(row['trial']): cast(Record, row) for row in rows_of_status}
      )
      sentences += (
        f'{of:,} failed by {why}' for why, of in reasons.most_common()
      )
  if any(row.get('drift') for row in rows):
    sentences.append(
      'Some trials were run by other versions or on another machine than the '
      'plan names (column drift of results.csv).'
    )
  settings = [setting for setting in trials.values() if setting.figures]
  for first, *other_settings in parts(settings, place).values():
    if any(other.figures != first.figures for other in other_settings):
      sentences.append(
        f'{source_of(first)}, {first.line or first.row}: the plans '
        'give different published figures; the first count.'
      )
  return sentences


def _changes(setting: Setting) -> str:
  """Options of a setting that are not at their defaults."""
  return ' '.join(programs.changed_words(setting)) or 'all at their defaults'


def _grid(name):
  try:
    return grid.load(name)
  except values.Refused:
    return None  # flags, or a grid of another version


def _lead(rows_published, rows_unpublished):
  if not (rows_published or rows_unpublished):
    return 'The plan holds no trial.'
  if not rows_published:
    return 'No setting of this run is compared with a published figure.'
  sentence = verdict_words.summed(
    [row.best.verdict.word for row in rows_published]
  )
  count = len(rows_published)
  most = max(len(row.readings) for row in rows_published)
  by = ', each by the best of its readings' if most > 1 else ''
  left = sum(len(row.readings) for row in rows_unpublished)
  more = f'; {left} more without a published figure' * bool(left)
  rows = 'row' if count == 1 else 'rows'
  return f'{count} published {rows}: {sentence}{by}{more}.'


def _pointer(rows):
  if rows:
    yield Paragraph(
      'Verdicts follow a rule fixed in advance; what the columns mean is said '
      'below.',
      links={'a rule fixed in advance': 'rule', 'below': 'columns'},
    )


def _overview(rows):
  if not rows:
    return
  yield Heading('Overview', 2, 'overview')
  yield over_all.overview(rows)
  yield Pictures(('overview',))
  if by_source := over_all.matrices(rows):
    yield Heading('Readings across rows', 3, 'matrix')
    yield Paragraph(over_all.MATRIX)
    for name, matrix in by_source.items():
      if len(by_source) > 1:
        yield Heading(name, 4)
      yield matrix


def _section(row: Row, level=2):
  """A row: its readings, what is to be said of them, pictures, commands."""
  yield Heading(heading(row), level, row.anchor)
  if row.figures:
    best = f'{row.best.letter}, {row.best.name}'
    yield Paragraph(f'{tried_words(row)}. Best: {best}.')
  table, _ = table_of(row)
  yield table
  if sentences := notes(row):
    yield Points(sentences)
  yield Pictures((f'row:{row.anchor}', f'learning:{row.anchor}'))
  for reading in row.readings:
    yield Pictures((f'curves:{reading.anchor}', f'confusion:{reading.anchor}'))
  yield Commands(
    [
      Command(r.anchor, r.letter, r.name, _changes(r.setting), r.command)
      for r in row.readings
    ]
  )


def _unpublished(rows):
  if rows:
    yield Heading('Settings without a published figure', 2, 'others')
  for row in rows:
    yield from _section(row, 3)


def _data(rows):
  """The facts of the data of each task; where trials differ, each wording."""
  for task, rows_of_task in parts(rows, lambda row: row.task).items():
    facts: dict[str, dict[str, None]] = {}
    for reading in (r for row in rows_of_task for r in row.readings):
      for name, words in reading.facts.items():
        facts.setdefault(name, {}).update(dict.fromkeys(words))
    if facts:
      yield Heading(f'The data of {task}', 3)
      yield Facts({name: '; '.join(words) for name, words in facts.items()})


def _rules(rows):
  """Each rule by which a row was judged, once."""
  rules = list(parts(rows, lambda row: verdicts.rule_of(row.figures)))
  if rules:
    yield Heading('The rule' if len(rules) == 1 else 'The rules', 2, 'rule')
  yield from map(Points, rules)


def _legend(rows):
  """Says what each column of the report's tables means, one line each."""
  meanings: dict[str, str] = {}
  for row in rows:
    for name, meaning in table_of(row)[1].items():
      meanings.setdefault(name, meaning)
  return [f'{name}: {meaning}.' for name, meaning in meanings.items()]


def _of_runs(run_list):
  for title, facts in runs.facts(run_list).items():
    yield Heading(title)
    yield Facts(facts)
