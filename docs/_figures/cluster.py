"""Writes the table of the page of clusters from what its tests have measured.

  python docs/_figures/cluster.py

benchmarks/cluster.json is made by `python -m tests.cluster`.
"""

import json
import re
from pathlib import Path

DOCS = Path(__file__).parent.parent
RECORD = DOCS.parent / 'benchmarks' / 'cluster.json'
_BLOCK = re.compile(
  r'(<!-- from: benchmarks/cluster.json -->\n).*?(<!-- end -->)', re.DOTALL
)
# A run in parts may cost so much of a run in one piece.
MOST = 1.2
_NAMES = {
  'restarts': 'queued again {} times',
  'kills': '{} kills',
  'killed': '{} tasks killed',
}


def main():
  """Writes the block of the page."""
  record = json.loads(RECORD.read_text())
  page = DOCS / 'clusters.md'
  page.write_text(with_table(page.read_text(), record))


def with_table(text: str, record: dict) -> str:
  """The page with the table of a record in its place."""
  lines = '\n'.join(lines_of(record))
  return _BLOCK.sub(lambda match: f'{match[1]}{lines}\n{match[2]}', text)


def lines_of(record):
  """A line on the machine, and two tables."""
  machine, cases = record['machine'], record['cases']
  costs = {name: case for name, case in cases.items() if 'ratio' in case}
  others = {name: case for name, case in cases.items() if 'ratio' not in case}
  yield (
    f'{machine["slurm"]} with four nodes on {machine["cores"]} cores '
    f'({machine["processor"]}), python {machine["python"]}, jax '
    f'{machine["jax"]}, distributed {machine["distributed"]}, dask-jobqueue '
    f'{machine["dask-jobqueue"]}:'
  )
  yield ''
  yield '| plan | processor seconds | of one piece | ratio | wanted |'
  yield '|---|---:|---:|---:|---|'
  for name, case in costs.items():
    verdict = 'met' if case['ratio'] <= MOST else 'missed'
    yield (
      f'| {name} | {case["cpu_seconds"]:.0f} | '
      f'{case["cpu_seconds_of_one_piece"]:.0f} | {case["ratio"]:.2f} | '
      f'{MOST} ({verdict}) |'
    )
  yield ''
  yield '| what happened | how often | rows equal to one piece |'
  yield '|---|---|---:|'
  for name, case in others.items():
    often = ', '.join(
      words.format(case[key]) for key, words in _NAMES.items() if key in case
    )
    yield f'| {name} | {often} | {case["equal_rows"]} |'


if __name__ == '__main__':
  main()
