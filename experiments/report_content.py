"""What a report holds, before it is written as HTML or Markdown."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments import grid, report_verdict, values
from experiments.report_columns import (
  EMPTY,
  MARKS,
  Cell,
  count,
  factor,
  ratio,
  solved,
)
from experiments.report_rows import (
  Row,
  heading,
  published_rows,
  title,
  tried,
)
from experiments.summaries import parts
from lstm_jax import results

MATRIX = (
  'The mark of the verdict, and our mean over the published one; solved / all '
  'where there is no ratio.'
)


class Table(NamedTuple):
  """A table with links.

  Attributes:
    headings: of the columns.
    right: of each column, whether its cells are set to the right.
    lines: cells.
    anchors: of each line, the anchor its first cell leads to, or ''.
  """

  headings: tuple[str, ...]
  right: tuple[bool, ...]
  lines: tuple[tuple[Cell, ...], ...]
  anchors: tuple[str, ...]


class Report(NamedTuple):
  """All that a report says.

  Attributes:
    title: what the run was about.
    subtitle: grid and source.
    lead: one sentence: how many rows, how many reproduced.
    warnings: what is missing or wrong, one sentence each.
    published: rows that are compared with the paper.
    others: settings without published figures.
    facts: name -> value: counts, versions, device.
  """

  title: str
  subtitle: str
  lead: str
  warnings: list[str]
  published: list[Row]
  others: list[Row]
  facts: dict[str, str]


def read(opened) -> Report:
  """The report of a run folder, as far as it has come."""
  records, problems = results.read_records(opened)
  entries = list(opened.trials.values())
  rows = results.rows(opened, records)
  made = published_rows(entries, rows)
  published = [row for row in made if row.figures]
  names = list(parts(entries, lambda entry: entry['grid']))
  known = [found for found in map(_grid, names) if found]
  warnings = []
  missing = len(entries) - len(records)
  if missing:
    warnings.append(
      f'{missing:,} of {len(entries):,} trials are still to come; what follows '
      'is of those that have ended.'
    )
  for word in ('failed', 'diverged'):
    number = sum(record['status'] == word for record in records.values())
    if number:
      warnings.append(
        f'{number:,} of {len(records):,} trials {word}; they count as not '
        'solved.'
      )
  if problems:
    # Their reasons name files of this machine: the sweep prints them.
    warnings.append(
      f'{len(problems):,} files in records/ do not count: damaged, or a second '
      'result that disagrees with the first.'
    )
  if any(record.get('drift') for record in records.values()):
    warnings.append(
      'Some trials were run by other versions or on another machine than the '
      'plan names (column drift of results.csv).'
    )
  heads = [f'grid {name}' for name in names]
  heads += [found.source for found in known if found.source]
  titles = [found.title for found in known]
  if len(names) > 2:
    titles = [f'{len(names)} grids beside what was published']
  return Report(
    title='; '.join(titles) or 'Settings from flags',
    subtitle=', '.join(heads),
    lead=_lead(published, made),
    warnings=warnings,
    published=published,
    others=[row for row in made if not row.figures],
    facts=_facts(opened, rows),
  )


def overview(rows: list[Row]) -> Table:
  """One line a published row, with its best reading."""
  headings = ('row', 'verdict', 'published mean', 'our mean')
  headings += ('ours / published', 'solved')
  headings += ('best reading', 'readings tried')
  several = len({row.source for row in rows}) > 1
  lines = []
  for row in rows:
    best = row.best
    mean = report_verdict.published_mean(row.figures)
    words = tried(row).partition(': ')[2] if len(row.readings) > 1 else ''
    searched = best.entry.get('tried')
    if searched:
      words = '; '.join(filter(None, (words, f'{searched} in the search')))
    lines.append(
      (
        Cell(heading(row) if several else title(row)),
        Cell(f'{MARKS[best.verdict.word]} {best.verdict.word}'),
        Cell(count(mean)),
        Cell(count(best.mean)),
        ratio(best) if mean else Cell(EMPTY),
        solved(best),
        Cell(best.letter, best.name),
        Cell(str(len(row.readings)), words),
      )
    )
  right = tuple(2 <= i <= 5 for i in range(len(headings)))
  return Table(headings, right, tuple(lines), tuple(r.anchor for r in rows))


def matrices(rows: list[Row]) -> dict[str, Table]:
  """Readings against rows: whole tables decide, not single rows.

  Returns:
    name of a source -> table, where some reading was tried on several rows.
  """
  sources = parts(rows, lambda row: row.source)
  found = {name: _matrix(held) for name, held in sources.items()}
  return {name: table for name, table in found.items() if table}


def _matrix(rows):
  names = list(parts([x for r in rows for x in r.readings], lambda x: x.name))
  held = {name: {} for name in names}
  for row in rows:
    for reading in row.readings:
      held[reading.name][row.anchor] = reading
  if max(map(len, held.values()), default=0) < 2:
    return None
  headings = ['reading', *(row.name for row in rows)]
  lines = []
  for name, found in held.items():
    cells = [Cell(name)]
    for row in rows:
      reading = found.get(row.anchor)
      cells.append(_mark(reading) if reading else Cell(''))
    lines.append(tuple(cells))
  right = (False,) * len(headings)
  return Table(tuple(headings), right, tuple(lines), ('',) * len(lines))


def changed(entry: Mapping[str, Any]) -> str:
  """Options of a setting that are not at their defaults."""
  return entry.get('changed') or 'all at their defaults'


def _mark(reading):
  mark = MARKS[reading.verdict.word]
  found = reading.verdict.ratio
  if found is None:
    return Cell(mark, f'{reading.solved}/{reading.trials}')
  return Cell(mark, f'×{factor(found)}')


def _grid(name):
  try:
    return grid.load(name)
  except values.Refused:
    return None  # flags, or a grid of another version


def _lead(published, made):
  if not made:
    return 'The plan holds no trial.'
  if not published:
    return 'No setting of this run is compared with a published figure.'
  words = [row.best.verdict.word for row in published]
  said = ', '.join(
    f'{words.count(word)} {word}'
    for word in report_verdict.WORDS
    if word in words
  )
  count_of = len(published)
  rows = 'row' if count_of == 1 else 'rows'
  most = max(len(row.readings) for row in published)
  by = ', each by the best of its readings' if most > 1 else ''
  return f'{count_of} published {rows}: {said}{by}.'


def _facts(opened, rows):
  made = opened.plan.get('provenance', {})
  packages = ('python', 'jax', 'jaxlib', 'numpy')
  versions = [f'{name} {made[name]}' for name in packages if made.get(name)]
  seconds = sum(row.get('seconds') or 0 for row in rows)
  ended = sum(row['status'] == 'solved' for row in rows)
  planned = len(opened.trials)
  devices = made.get('device_count')
  kind = made.get('device_kind')
  said = {
    'trials': f'{len(rows):,} of {planned:,} ended, {ended:,} solved',
    'device time': f'{seconds:,.0f} s, summed over trials',
    'device': f'{devices} × {kind}' if devices and kind else kind,
    'processor': made.get('cpu'),
    'versions': ', '.join(versions),
    'commit': made.get('commit'),
    'changes': 'the sources differed from the commit'
    if made.get('changes')
    else None,
    'plan': opened.identity[:16],
  }
  return {name: str(value) for name, value in said.items() if value}
