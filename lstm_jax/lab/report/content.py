"""What a report holds, before it is written as HTML or Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lstm_jax.lab.plan import grid, values
from lstm_jax.lab.report import headline, summaries, verdicts
from lstm_jax.lab.report.columns import (
  EMPTY,
  MARKS,
  Cell,
  count,
  factor,
  ratio,
  solved,
)
from lstm_jax.lab.report.naming import figures_of, place, source_of
from lstm_jax.lab.report.rows import Row, heading, published_rows, title, tried
from lstm_jax.lab.report.summaries import parts
from lstm_jax.lab.store import reruns

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
    kinds: of each line, its class in the style sheet, or ''; empty: none has.
  """

  headings: tuple[str, ...]
  right: tuple[bool, ...]
  lines: tuple[tuple[Cell, ...], ...]
  anchors: tuple[str, ...]
  kinds: tuple[str, ...] = ()


class Report(NamedTuple):
  """All that a report says.

  Attributes:
    title: what the runs were about.
    subtitle: grids and sources.
    shows: one sentence: what the trials show.
    lead: one sentence: how many rows, how many reproduced.
    warnings: what is missing or wrong, one sentence each.
    summaries: the trials, setting by setting.
    published: rows that are compared with the paper.
    others: settings without published figures.
    facts: heading -> name -> value: counts, versions, device of each run.
  """

  title: str
  subtitle: str
  shows: str
  lead: str
  warnings: list[str]
  summaries: list[summaries.Summary]
  published: list[Row]
  others: list[Row]
  facts: Mapping[str, Mapping[str, str]]


def made(
  entries: Sequence[Mapping[str, Any]],
  rows: Sequence[Mapping[str, Any]],
  facts: Mapping[str, Mapping[str, str]],
  warnings: Sequence[str] = (),
) -> Report:
  """The report of one or several runs, as far as they have come.

  Args:
    entries: of the plans, no trial twice.
    rows: of `results.csv`, one for each trial that has ended.
    facts: heading -> name -> value, of each run.
    warnings: what else is wrong, one sentence each.
  """
  found = published_rows(entries, rows)
  published = [row for row in found if row.figures]
  title, subtitle = headings(entries)
  summed_up = summaries.summarize(rows, published_figures(entries))
  return Report(
    title=title,
    subtitle=subtitle,
    shows=headline.sentence(summed_up),
    lead=_lead(published, found),
    warnings=[*missing_or_wrong(entries, rows), *warnings],
    summaries=summed_up,
    published=published,
    others=[row for row in found if not row.figures],
    facts=facts,
  )


def published_figures(
  entries: Sequence[Mapping[str, Any]],
) -> dict[str, dict[str, Mapping[str, Any]]]:
  """Grid -> row -> the published figures that a plan has for it."""
  found = {}
  for entry in entries:
    if figures := entry.get('published'):
      found.setdefault(entry['grid'], {})[entry['row']] = figures
  return found


def planned(entries: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
  """Grid -> row -> how many trials of it a plan has."""
  found = {}
  for entry in entries:
    counts = found.setdefault(entry['grid'], {})
    counts[entry['row']] = counts.get(entry['row'], 0) + 1
  return found


def headings(entries: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
  """Title and subtitle: what the grids of some plans say of themselves."""
  names = list(parts(entries, lambda entry: entry['grid']))
  known = [table for table in map(_grid, names) if table]
  heads = [f'grid {name}' for name in names]
  heads += parts(filter(None, (table.source for table in known)), str)
  titles = [table.title for table in known]
  if len(names) > 2:
    titles = [f'{len(names)} grids beside what was published']
  return '; '.join(titles) or 'Settings from flags', ', '.join(heads)


def overview(rows: list[Row]) -> Table:
  """One line a published row, with its best reading."""
  headings = ('row', 'verdict', 'published mean', 'our mean')
  headings += ('ours / published', 'solved')
  headings += ('best reading', 'readings tried')
  several = len({row.source for row in rows}) > 1
  lines = []
  for row in rows:
    best = row.best
    mean = verdicts.published_mean(row.figures)
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


def missing_or_wrong(
  entries: Sequence[Mapping[str, Any]],
  rows: Sequence[Mapping[str, Any]],
  counted: str = 'count as not solved',
) -> list[str]:
  """What is missing or wrong in trials, one sentence each.

  Args:
    entries: of the plans, no trial twice.
    rows: of `results.csv`.
    counted: what becomes of trials without a result.
  """
  said = []
  missing = len(entries) - len(rows)
  if missing:
    said.append(
      f'{missing:,} of {len(entries):,} trials are still to come; what follows '
      'is of those that have ended.'
    )
  for status, word in (
    ('failed', 'failed'),
    ('diverged', 'diverged'),
    ('given_up', 'were given up early'),
  ):
    number = sum(row['status'] == status for row in rows)
    if number:
      said.append(f'{number:,} of {len(rows):,} trials {word}; they {counted}.')
    if number and status == 'failed':
      reasons = reruns.failures({row['trial']: row for row in rows})
      said += (f'{of:,} failed by {why}' for why, of in reasons.most_common())
  if any(row.get('drift') for row in rows):
    said.append(
      'Some trials were run by other versions or on another machine than the '
      'plan names (column drift of results.csv).'
    )
  published = [entry for entry in entries if figures_of(entry)]
  for first, *others in parts(published, place).values():
    if any(figures_of(other) != figures_of(first) for other in others):
      said.append(
        f'{source_of(first)}, {first.get("line") or first["row"]}: the plans '
        'give different published figures; the first count.'
      )
  return said


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
    f'{words.count(word)} {word}' for word in verdicts.WORDS if word in words
  )
  count_of = len(published)
  rows = 'row' if count_of == 1 else 'rows'
  most = max(len(row.readings) for row in published)
  by = ', each by the best of its readings' if most > 1 else ''
  return f'{count_of} published {rows}: {said}{by}.'
