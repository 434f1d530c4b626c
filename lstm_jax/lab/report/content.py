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
from lstm_jax.lab.report.rows import Row, heading, published_rows, tried
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


def made(held: Sequence[runs.Run]) -> Report:
  """The report of one or several runs, as far as they have come.

  Args:
    held: of `runs.read`.
  """
  joined = runs.join(held)
  rows = published_rows(joined.trials, joined.records)
  summed_up = summaries.summarize(
    joined.rows,
    published_figures(joined.trials),
    planned(joined.trials),
    joined.levels,
  )
  published = [row for row in rows if row.figures]
  others = [row for row in rows if not row.figures]
  title, subtitle = headings(joined.trials)
  warnings = [*missing_or_wrong(joined.trials, joined.rows), *joined.warnings]
  blocks = [
    Paragraph(subtitle, 'soft'),
    Paragraph(headline.sentence(summed_up), 'lead'),
    Paragraph(_lead(published, others)),
    *_pointer(published),
    *(Paragraph(words, 'warn') for words in warnings),
    Pictures(('lengths', 'windows')),
    *_overview(published),
    Pictures(('task-*', 'scaling:*')),
    *(block for row in published for block in _section(row)),
    Heading('Inside a solved net', 2, 'inside'),
    Pictures(('sequence:*',)),
    *_others(others),
    *_data(rows),
    *_rules(published),
    Heading('The columns', 2, 'columns'),
    Points(_legend(rows)),
    *_of_runs(held),
  ]
  return Report(title, blocks, summed_up, published, others)


def with_warning(report: Report, words: str) -> Report:
  """A report with one warning more, after the others; '' for none."""
  if not words:
    return report
  blocks = list(report.blocks)
  at = next(i for i, one in enumerate(blocks) if isinstance(one, Pictures))
  return report._replace(
    blocks=[*blocks[:at], Paragraph(words, 'warn'), *blocks[at:]]
  )


def published_figures(
  trials: Mapping[str, Setting],
) -> dict[str, dict[str, Figures]]:
  """Grid -> row -> the published figures that a plan has for it."""
  found: dict[str, dict[str, Figures]] = {}
  for setting in trials.values():
    if setting.figures:
      found.setdefault(setting.grid, {})[setting.row] = setting.figures
  return found


def planned(trials: Mapping[str, Setting]) -> dict[str, dict[str, int]]:
  """Grid -> row -> how many trials of it a plan has."""
  found: dict[str, dict[str, int]] = {}
  for setting in trials.values():
    counts = found.setdefault(setting.grid, {})
    counts[setting.row] = counts.get(setting.row, 0) + 1
  return found


def headings(trials: Mapping[str, Setting]) -> tuple[str, str]:
  """Title and subtitle: what the grids of some plans say of themselves."""
  names = list(parts(trials.values(), lambda setting: setting.grid))
  known = [table for table in map(_grid, names) if table]
  heads = [f'grid {name}' for name in names]
  heads += parts(filter(None, (table.source for table in known)), str)
  titles = [table.title for table in known]
  if len(names) > 2:
    titles = [f'{len(names)} grids beside what was published']
  return '; '.join(titles) or 'Settings from flags', ', '.join(heads)


# A budget's unit -> what becomes of trials without a result.
_COUNTED = {
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
  said = []
  missing = len(trials) - len(rows)
  if missing:
    said.append(
      f'{missing:,} of {len(trials):,} trials are still to come; what follows '
      'is of those that have ended.'
    )
  for status, word in (
    ('failed', 'failed'),
    ('diverged', 'diverged'),
    ('given_up', 'were given up early'),
  ):
    held = [row for row in rows if row['status'] == status]
    for unit, some in parts(
      held, lambda row: programs.unit_of(str(row['learner']), row)
    ).items():
      said.append(
        f'{len(some):,} of {len(rows):,} trials {word}; they {_COUNTED[unit]}.'
      )
    if held and status == 'failed':
      reasons = reruns.failures(
        {str(row['trial']): cast(Record, row) for row in held}
      )
      said += (f'{of:,} failed by {why}' for why, of in reasons.most_common())
  if any(row.get('drift') for row in rows):
    said.append(
      'Some trials were run by other versions or on another machine than the '
      'plan names (column drift of results.csv).'
    )
  published = [setting for setting in trials.values() if setting.figures]
  for first, *others in parts(published, place).values():
    if any(other.figures != first.figures for other in others):
      said.append(
        f'{source_of(first)}, {first.line or first.row}: the plans '
        'give different published figures; the first count.'
      )
  return said


def _changed(setting: Setting) -> str:
  """Options of a setting that are not at their defaults."""
  return ' '.join(programs.changed_words(setting)) or 'all at their defaults'


def _grid(name):
  try:
    return grid.load(name)
  except values.Refused:
    return None  # flags, or a grid of another version


def _lead(published, others):
  if not (published or others):
    return 'The plan holds no trial.'
  if not published:
    return 'No setting of this run is compared with a published figure.'
  said = verdict_words.summed([row.best.verdict.word for row in published])
  count = len(published)
  most = max(len(row.readings) for row in published)
  by = ', each by the best of its readings' if most > 1 else ''
  left = sum(len(row.readings) for row in others)
  more = f'; {left} more without a published figure' * bool(left)
  rows = 'row' if count == 1 else 'rows'
  return f'{count} published {rows}: {said}{by}{more}.'


def _pointer(published):
  if published:
    yield Paragraph(
      'Verdicts follow a rule fixed in advance; what the columns mean is said '
      'below.',
      links={'a rule fixed in advance': 'rule', 'below': 'columns'},
    )


def _overview(published):
  if not published:
    return
  yield Heading('Overview', 2, 'overview')
  yield over_all.overview(published)
  yield Pictures(('overview',))
  if found := over_all.matrices(published):
    yield Heading('Readings across rows', 3, 'matrix')
    yield Paragraph(over_all.MATRIX)
    for name, matrix in found.items():
      if len(found) > 1:
        yield Heading(name, 4)
      yield matrix


def _section(row: Row, level=2):
  """A row: its readings, what is to be said of them, pictures, commands."""
  yield Heading(heading(row), level, row.anchor)
  if row.figures:
    best = f'{row.best.letter}, {row.best.name}'
    yield Paragraph(f'{tried(row)}. Best: {best}.')
  table, _ = table_of(row)
  yield table
  if said := notes(row):
    yield Points(said)
  yield Pictures((f'row:{row.anchor}', f'learning:{row.anchor}'))
  for reading in row.readings:
    yield Pictures((f'curves:{reading.anchor}', f'confusion:{reading.anchor}'))
  yield Commands(
    [
      Command(r.anchor, r.letter, r.name, _changed(r.setting), r.command)
      for r in row.readings
    ]
  )


def _others(others):
  if others:
    yield Heading('Settings without a published figure', 2, 'others')
  for row in others:
    yield from _section(row, 3)


def _data(rows):
  """The facts of the data of each task; where trials differ, each wording."""
  for task, held in parts(rows, lambda row: row.task).items():
    found: dict[str, dict[str, None]] = {}
    for reading in (r for row in held for r in row.readings):
      for name, words in reading.facts.items():
        found.setdefault(name, {}).update(dict.fromkeys(words))
    if found:
      yield Heading(f'The data of {task}', 3)
      yield Facts({name: '; '.join(words) for name, words in found.items()})


def _rules(published):
  """Each rule by which a row was judged, once."""
  rules = list(parts(published, lambda row: verdicts.rule_of(row.figures)))
  if rules:
    yield Heading('The rule' if len(rules) == 1 else 'The rules', 2, 'rule')
  yield from map(Points, rules)


def _legend(rows):
  """Says what each column of the report's tables means, one line each."""
  found: dict[str, str] = {}
  for row in rows:
    for name, meaning in table_of(row)[1].items():
      found.setdefault(name, meaning)
  return [f'{name}: {meaning}.' for name, meaning in found.items()]


def _of_runs(held):
  for title, found in runs.facts(held).items():
    yield Heading(title)
    yield Facts(found)
