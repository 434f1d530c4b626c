"""The tables over all published rows: verdicts, and readings across rows."""

from lstm_jax.lab.report import cells, verdict_words
from lstm_jax.lab.report.cells import EMPTY, MARKS, Cell, Table, factor
from lstm_jax.lab.report.readings import Reading
from lstm_jax.lab.report.rows import Row, heading, title
from lstm_jax.lab.report.summaries import parts

MATRIX = (
  'The mark of the verdict, and our mean over the published one; solved / all '
  'where there is no ratio.'
)


def overview(rows: list[Row]) -> Table:
  """One line a published row, with its best reading.

  Columns that hold nothing are left out.
  """
  has_sources = len({row.source for row in rows}) > 1
  columns = (
    ('row', False, lambda r: Cell(heading(r) if has_sources else title(r))),
    ('verdict', False, lambda r: cells.verdict(r.best)),
    ('published', True, lambda r: cells.published_figures(r.figures)),
    ('our mean', True, lambda r: cells.our_figures(r.best)),
    ('ours / published', True, lambda r: cells.ratio(r.best)),
    ('solved', True, lambda r: cells.solved_cell(r.best)),
    ('seeds', True, lambda r: cells.finished_cell(r.best)),
    ('above level', True, _above_cell),
    ('best reading', False, lambda r: Cell(r.best.letter, r.best.name)),
    ('readings tried', False, _tried_cell),
  )
  columns = [
    column
    for column in columns
    if not {column[2](row).main for row in rows} <= {'', EMPTY}
  ]
  return Table(
    tuple(name for name, _, _ in columns),
    tuple(right for _, right, _ in columns),
    tuple(tuple(cell(row) for _, _, cell in columns) for row in rows),
    tuple(row.anchor for row in rows),
    label='published rows',
  )


def _above_cell(row):
  level = row.best.level
  if level is None:
    return Cell(EMPTY)
  return Cell(f'{level.above}/{row.best.trials}', level.name)


def _tried_cell(row):
  words = ''
  if len(row.readings) > 1:
    words = verdict_words.summed([r.verdict.word for r in row.readings])
  if searched := row.best.setting.tried:
    words = '; '.join(filter(None, (words, f'{searched} in the search')))
  return Cell(str(len(row.readings)), words)


def matrices(rows: list[Row]) -> dict[str, Table]:
  """Readings against rows: whole tables decide, not single rows.

  Returns:
    name of a source -> table, where some reading was tried on several rows.
  """
  sources = parts(rows, lambda row: row.source)
  by_source = {
    name: _matrix(rows_of_source) for name, rows_of_source in sources.items()
  }
  return {name: table for name, table in by_source.items() if table}


def _matrix(rows):
  names = list(parts([x for r in rows for x in r.readings], lambda x: x.name))
  by_reading: dict[str, dict[str, Reading]] = {name: {} for name in names}
  for row in rows:
    for reading in row.readings:
      by_reading[reading.name][row.anchor] = reading
  if max(map(len, by_reading.values()), default=0) < 2:
    return None
  headings = ['reading', *(row.name for row in rows)]
  lines = []
  for name, readings_by_row in by_reading.items():
    cells = [Cell(name)]
    for row in rows:
      reading = readings_by_row.get(row.anchor)
      cells.append(_mark(reading) if reading else Cell(''))
    lines.append(tuple(cells))
  right = (False,) * len(headings)
  return Table(
    tuple(headings), right, tuple(lines), ('',) * len(lines), label='readings'
  )


def _mark(reading):
  mark = MARKS[reading.verdict.word]
  ratio = reading.verdict.ratio
  if ratio is None:
    return Cell(mark, f'{reading.solved}/{reading.trials}')
  return Cell(mark, f'×{factor(ratio)}')
