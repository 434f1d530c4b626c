"""The numbers of the page on the lag law are those of its committed trials."""

import collections
import csv
import re
import runpy
import statistics

from lstm_jax.lab.plan import grid
from tests.children import ROOT

PAGE = (ROOT / 'docs' / 'lag_law.md').read_text(encoding='utf-8')
TASKS = {'adding': 'adding', 'temporal order': 'temporal_order'}
ROW = re.compile(
  r'^\| ([a-z ]*?) ?\| (?:(\d) blocks of (\d) )?\| ([\d.]+) \| (\d+)/(\d+) \|'
  r' ([\d,]+) \|$',
  re.MULTILINE,
)


def test_the_table_of_the_choice_is_that_of_its_trials():
  path = ROOT / 'docs' / 'lag_tuning.csv'
  with path.open(newline='', encoding='utf-8') as file:
    trials = list(csv.DictReader(file))
  of = collections.defaultdict(list)
  for one in trials:
    key = (one['task'], one['blocks'], one['block_size'], one['learning_rate'])
    of[key].append(one)
  there, task, blocks = {}, '', ('', '')
  for name, *sizes, rate, solved, count, median in ROW.findall(PAGE):
    task, blocks = TASKS.get(name, task), tuple(sizes) if name else blocks
    found = (int(solved), int(count), int(median.replace(',', '')))
    there[task, *blocks, rate] = found
  assert there == {
    key: (
      len(
        ends := [int(s) for one in some if (s := one['sequences_to_success'])]
      ),
      len(some),
      int(statistics.median_high(ends)),
    )
    for key, some in of.items()
  }
  # None of the seeds on which a row is judged.
  judged = {seed for row in grid.load('lag_law').rows for seed in row.seeds}
  assert not judged & {int(one['seed']) for one in trials}


def read(name):
  with (ROOT / 'docs' / name).open(newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def test_the_table_is_that_of_its_trials_and_the_page_has_it():
  figure = runpy.run_path(str(ROOT / 'docs' / '_figures' / 'lag_law.py'))
  rows = [
    dict(zip(figure['COLUMNS'], map(str, row), strict=True))
    for row in figure['table_of'](read('lag_law_trials.csv'))
  ]
  assert rows == read('lag_law.csv')
  for row in rows:
    median, low, high = (
      f'{round(float(row[name])):,}'
      for name in ('median', 'median_low', 'median_high')
    )
    line = (
      f'| {row["recipe"]} | {int(row["length"]):,} | '
      f'{row["solved"]}/{row["trials"]} | {median} [{low}, {high}] |'
    )
    assert line in PAGE, line
