"""The end of a run: tables, figures, the report, and why trials failed."""

from collections.abc import Collection, Mapping

from lstm_jax.choices import count_of
from lstm_jax.lab.plan import text_columns
from lstm_jax.lab.report import (
  content,
  headline,
  runs,
  summaries,
  terminal,
  write,
)
from lstm_jax.lab.report.figures import of_run
from lstm_jax.lab.run import mains
from lstm_jax.lab.standings import write as standings
from lstm_jax.lab.store import (
  curves,
  faults,
  lock,
  reruns,
  results_table,
  trial_records,
)
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.folder import Folder


def write_tables(
  opened: Folder,
) -> tuple[dict[str, Record], list[trial_records.Problem]]:
  """Makes the tables of the records; returns `results.read_records`."""
  records, problems = results_table.write_csv(opened)
  curves.write(opened, records)
  return records, problems


def show(opened: Folder, mine: Collection[str]) -> int:
  """Prints the table, draws the figures; returns the exit code.

  While others work on trials that are still to come that is left to the one
  that ends last, and said so.

  Args:
    opened: the run folder.
    mine: ids of the trials of this part of the plan, for which the code is.
  """
  num_left = len(opened.trials) - len(trial_records.ended(opened))
  if num_left and lock.holders(opened):
    return _show_part(opened, mine, num_left)
  records, problems = write_tables(opened)
  print()
  rows = results_table.rows(opened, records)
  figures = content.published_figures(opened.trials)
  summary = summaries.summarize(
    rows,
    figures,
    content.planned_counts(opened.trials),
    runs.levels_of(records),
  )
  print(terminal.text(summary))
  print('\n' + text_columns.wrap(headline.sentence(summary)))
  if verdict := terminal.verdict_line(summary):
    print(text_columns.wrap(verdict))
  paths = of_run.draw_all(rows, opened.path / 'figures', figures)
  pictures = [str(p) for p in paths if p.suffix == '.png']
  print()
  num_missing = len(opened.trials) - len(records)
  if num_missing:
    print(
      f'{num_missing:,} of {len(opened.trials):,} trials are still to come.'
    )
  mains.tell(f'Trials: {opened.path / "results.csv"}')
  run = runs.read(opened, (records, problems))
  page, *_ = write.write([opened], run_list=[run])
  mains.tell(f'Report: {page}')
  if standings.has_entries(opened):
    mains.tell(f'Board: {_board(opened, run)}')
  if pictures:
    mains.tell(f'Figures: {", ".join(pictures)}')
  mains.say('sweep', *(problem.reason for problem in problems))
  say_failures(records)
  if problems or reruns.failures(
    {name: record for name, record in records.items() if name in mine}
  ):
    return int(faults.Exit.FAILED)
  return int(faults.Exit.OK)


def _board(opened, run):
  """Writes the board of a benchmark; returns its page."""
  sources = [standings.of_folder(opened, run)]
  sources += standings.measured(sources, [s.grid for s in run.trials.values()])
  title = content.headings(run.trials)[0]
  page, *_ = standings.write(sources, opened.path, opened.disk, title)
  return page


def _show_part(opened, mine, num_left):
  """Says how a part has ended while others go on; returns the exit code."""
  records, problems = trial_records.read_records(opened, trials=mine)
  print(
    f'This part has ended: {count_of(len(mine), "trial")}. '
    f'{num_left:,} of {len(opened.trials):,} trials are still to come; the '
    'part that ends last writes tables and report.'
  )
  mains.say('sweep', *(problem.reason for problem in problems))
  say_failures(records)
  is_bad = bool(problems) or any(
    record['status'] == 'failed' for record in records.values()
  )
  return int(faults.Exit.FAILED if is_bad else faults.Exit.OK)


def say_failures(records: Mapping[str, Record]) -> None:
  """Says why trials failed, a line a reason."""
  reasons = reruns.failures(records)
  for reason, count in reasons.most_common():
    trials = 'trials' if count > 1 else 'trial'
    mains.say('sweep', f'{count:,} {trials} failed: {reason}')
  if reasons:
    mains.say('sweep', '--retry_failed runs them again')
