"""Makes the board of run folders and tables, and writes its files."""

from collections.abc import Sequence
from pathlib import Path

from lstm_jax.lab.plan import entries
from lstm_jax.lab.report import html_page, markdown, runs
from lstm_jax.lab.standings import scores, table_file
from lstm_jax.lab.standings.board import page_of
from lstm_jax.lab.standings.scores import Score
from lstm_jax.lab.standings.standing import standings_of
from lstm_jax.lab.store import faults, files
from lstm_jax.lab.store.folder import Folder

# What this project has measured: tables of a grid, GRID.csv and GRID-SIZE.csv.
MEASURED = Path(__file__).parent / 'measured'
NAMES = ('board.html', 'board.md', 'board.csv')
Source = tuple[str, Sequence[Score]]


def has_entries(opened: Folder) -> bool:
  """Tells whether a run folder is of a grid in which entries meet courses."""
  return any(map(entries.course_of, opened.trials.values()))


def of_folder(opened: Folder, run: runs.Run | None = None) -> Source:
  """A run folder as a source of scores.

  Args:
    opened: the run folder.
    run: of `runs.read`; None: it is read.

  Raises:
    Refused: it has none.
  """
  if not has_entries(opened):
    raise faults.Refused(
      f'{opened.path}: no run of a grid with entries; --grid=benchmark is one'
    )
  return opened.path.name, scores.of_run(run or runs.read(opened))


def of_file(path: Path) -> Source:
  """A table, `board.csv`, as a source of scores."""
  return path.stem, table_file.read(path)


def measured(sources: Sequence[Source], grids: Sequence[str]) -> list[Source]:
  """Scores that this project has measured, of the courses of some sources.

  What is tuned is put beside what is tuned, and what is not beside what is not,
  as far as there are such tables.

  Args:
    sources: of the others.
    grids: names of the grids that are looked at.
  """
  scores = [score for _, of_source in sources for score in of_source]
  courses = {score.course for score in scores}
  kinds = {bool(score.tuning) for score in scores}
  measured_sources: list[Source] = []
  for grid in dict.fromkeys(grids):
    # GRID.csv, or GRID-SIZE.csv.
    paths = [
      MEASURED / name
      for name in files.names(MEASURED)
      if name.removesuffix('.csv').partition('-')[0] == grid
    ]
    of_grid = [
      (
        f'lstm_jax {path.stem}',
        [s for s in table_file.read(path) if s.course in courses],
      )
      for path in sorted(paths)
    ]
    alike = [
      (name, [s for s in found if bool(s.tuning) in kinds])
      for name, found in of_grid
    ]
    measured_sources += [one for one in alike if one[1]] or of_grid
  return measured_sources


def write(
  sources: Sequence[Source], out: Path, disk: files.Disk, title: str
) -> list[Path]:
  """Writes the board of some sources: a page, a document, a table.

  Args:
    sources: the first counts first.
    out: a directory, made if missing.
    disk: the calls that change the disk.
    title: what the board is of.

  Returns:
    The files, `NAMES`.

  Raises:
    StorageError, Unusable: the disk.
  """
  files.make_directory(out)
  standings = standings_of(sources)
  page = page_of(standings, title)
  ordered = [
    standings.scores[course.name, entry]
    for course in standings.courses
    for entry in standings.entries
    if (course.name, entry) in standings.scores
  ]
  texts = (
    html_page.page(page, {}),
    markdown.document(page, {}),
    table_file.text_of(ordered, standings.ranks),
  )
  for name, text in zip(NAMES, texts, strict=True):
    files.write(out / name, text.encode(), disk)
  return [out / name for name in NAMES]
