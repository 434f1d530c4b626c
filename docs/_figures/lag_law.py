"""Writes docs/lag_law_trials.csv and docs/lag_law.csv from run folders.

  python docs/_figures/lag_law.py FOLDER...

Rows of which a trial is still to come are left out. Without a folder the
second file is made again from the first.
"""

import csv
import math
import sys
from pathlib import Path

from lstm_jax.lab.report import statistics
from lstm_jax.lab.store import folder, trial_records

DOCS = Path(__file__).parent.parent
TRIALS, TABLE = DOCS / 'lag_law_trials.csv', DOCS / 'lag_law.csv'
HEAD = ('recipe', 'task', 'length', 'seed', 'status', 'sequences_to_success')
COLUMNS = ('task', 'recipe', 'length', 'solved', 'trials', 'median')
COLUMNS += ('median_low', 'median_high')


def trials_of(folders):
  """One record a trial, of the rows of which all trials have ended."""
  rows = {}
  for path in folders:
    opened = folder.open_folder(path)
    records, _ = trial_records.read_records(opened)
    for name, setting in opened.trials.items():
      place = setting.row_name, setting.length
      rows.setdefault(place, []).append((setting, records.get(name)))
  for (recipe, length), trials in sorted(rows.items()):
    if all(record is not None for _, record in trials):
      for setting, record in sorted(trials, key=lambda pair: pair[0].seed):
        after = record['metrics'].get('sequences_to_success')
        yield (
          recipe, setting.task, length, setting.seed, record['status'], after
        )  # fmt: skip


def table_of(trials):
  """The rows of the table: an unsolved trial counts as more than any."""
  rows = {}
  for trial in trials:
    place = trial['recipe'], int(trial['length'])
    rows.setdefault(place, []).append(trial)
  for (recipe, length), some in rows.items():
    values = [float(t['sequences_to_success'] or math.inf) for t in some]
    interval = statistics.median_interval(values) or (math.nan, math.nan)
    yield (
      some[0]['task'], recipe, length, sum(map(math.isfinite, values)),
      len(some), *(f'{x:g}' for x in (statistics.median(values), *interval)),
    )  # fmt: skip


def write(path, head, rows):
  """Writes a CSV file."""
  with open(path, 'w', newline='', encoding='utf-8') as file:
    csv.writer(file, lineterminator='\n').writerows([head, *rows])


if __name__ == '__main__':
  if sys.argv[1:]:
    write(TRIALS, HEAD, trials_of(sys.argv[1:]))
  with open(TRIALS, newline='', encoding='utf-8') as given:
    write(TABLE, COLUMNS, table_of(csv.DictReader(given)))
