"""The rows of docs/paper1997.csv, from a run of `--grid=paper1997`.

`python -m experiments.readme --paper=FOLDER` writes them, and the tables of
README.md and of docs/reproduction.md that are made from them.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from lstm_jax.lab.report import rows as rows_of
from lstm_jax.lab.report import runs, verdict_words, verdicts
from lstm_jax.lab.store import faults, folder

COLUMNS = (
  'source', 'line', 'reading', 'published', 'trials_published', 'solved',
  'trials', 'mean', 'mean_low', 'mean_high', 'median', 'shortest', 'longest',
  'ratio', 'chance_factor', 'verdict', 'test_wrong', 'test_absolute',
  'test_squared', 'weights', 'weights_published', 'device_seconds',
)  # fmt: skip


def markdown_kept(path: Path) -> str:
  """The text of docs/paper1997.csv for a run folder.

  Raises:
    Refused: the run has not ended, or lacks a published row's figures.
  """
  run = runs.join([runs.read(folder.open_folder(path))])
  text = io.StringIO()
  writer = csv.DictWriter(text, COLUMNS, lineterminator='\n')
  writer.writeheader()
  for row in rows_of.published_rows(run.trials, run.records):
    if row.best.missing or not row.figures:
      raise faults.Refused(
        f'{path}: row {row.name} has no published figures, or trials still to '
        'come; give a whole run of --grid=paper1997'
      )
    writer.writerow(_line(row))
  return text.getvalue()


def _line(row):
  best, figures = row.best, row.figures
  sequences = best.sequences
  low, high = best.mean_interval or (None, None)
  # One that half the trials or more did not reach is infinite: no figure.
  median = best.median if best.solved * 2 > best.trials else None
  return {
    'source': row.source,
    'line': row.name,
    'reading': best.name,
    'published': verdicts.published_mean(figures),
    'trials_published': figures.get('trials'),
    'solved': best.solved,
    'trials': best.trials,
    'mean': _round(best.mean('sequences_to_success')),
    'mean_low': _round(low),
    'mean_high': _round(high),
    'median': _round(median),
    'shortest': _round(sequences[0]) if sequences else None,
    'longest': _round(sequences[-1]) if sequences else None,
    'ratio': _round(best.verdict.ratio, 3),
    'chance_factor': _round(best.verdict.reach, 3),
    'verdict': best.verdict.word,
    'test_wrong': _round(best.wrong, 2),
    'test_absolute': _round(best.mean('test_absolute'), 4),
    'test_squared': _round(best.mean('test_squared'), 6),
    'weights': best.measures['weights'].values[0]
    if 'weights' in best.measures
    else None,
    'weights_published': figures.get('weights'),
    'device_seconds': _round(best.seconds),
  }


def _round(number, digits=None):
  return None if number is None else round(number, digits)


def table(rows: Sequence[Mapping[str, str]]) -> str:
  """The table of docs/reproduction.md, in Markdown."""
  count = {word: 0 for word in verdict_words.WORDS}
  for row in rows:
    count[row['verdict']] += 1
  lines = [
    f'**{count[verdict_words.REPRODUCED]} of {len(rows)} rows are '
    f'reproduced, {count[verdict_words.UNDER]} under-powered, '
    f'{count[verdict_words.NOT]} not reproduced.**',
    '',
    '| table | row | reading | published | ours: solved, mean (95 %) '
    '| ours / published (chance) | verdict | device s |',
    '|---|---|---|---:|---|---:|---|---:|',
  ]
  for row in rows:
    number = lambda name, row=row: f'{float(row[name]):,.0f}'
    mean, ratio = '–', '–'
    if row['mean']:
      mean = number('mean')
      if row['mean_low']:
        mean += f' ({number("mean_low")}–{number("mean_high")})'
      ratio = f'{float(row["ratio"]):.2f}'
      if row['chance_factor']:
        ratio += f' (×÷ {float(row["chance_factor"]):.2f})'
    word = row['verdict']
    lines.append(
      f'| {row["source"].removeprefix("Table ")} | {row["line"]} '
      f'| {row["reading"]} | {number("published")} '
      f'| {row["solved"]}/{row["trials"]}, {mean} | {ratio} '
      f'| {f"**{word}**" if word == verdict_words.REPRODUCED else word} '
      f'| {row["device_seconds"]} |'
    )
  return '\n'.join(lines) + '\n'
