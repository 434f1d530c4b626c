"""The table: golden text, denominators, and what a narrow terminal drops."""

import itertools
import json
import random

import pytest

from lstm_jax.lab.plan import text_columns
from lstm_jax.lab.report import summaries, terminal

PUBLISHED = {
  'table7': {'T=100': {'success_after': 74_000, 'trials': 10, 'wrong': 1}}
}


def trial(length=100, seed=0, status='solved', sequences=80_000, **changed):
  """A row as `results.csv` gives it back: strings, '' for nothing."""
  solved = status == 'solved'
  row = {
    'trial': f'{length:06x}{seed:06x}',
    'grid': 'table7',
    'row': f'T={length}',
    'task': 'adding',
    'cell': 'lstm1997',
    'learner': 'truncated1997',
    'length': length,
    'window': '',
    'hidden': '2 x 2',
    'learning_rate': 0.5,
    'options': json.dumps({'task': {'output': 'linear'}}),
    'seed': seed,
    'budget': 150_000,
    'status': status,
    'sequences_to_success': sequences if solved else '',
    'sequences_seen': sequences if solved else 150_000,
    'test_wrong': 1 if solved else '',
    'test_total': 2_560 if solved else '',
    'seconds': 1.5,
  }
  return {name: str(value) for name, value in {**row, **changed}.items()}


# Length 100: 6 of 8 solved. Length 500: nothing. Length 1,000: one trial.
ROWS = [
  *(trial(seed=i, sequences=70_000 + 1_000 * i) for i in range(6)),
  trial(seed=6, status='budget'),
  trial(seed=7, status='diverged'),
  *(trial(500, i, 'budget') for i in range(2)),
  trial(500, 2, 'failed', seconds=''),
  trial(1_000, sequences=123_456, test_wrong=3, test_total=1_280),
]


GOLDEN = """\
All: task adding, cell lstm1997, learner truncated1997, hidden 2 x 2, rate 0.5.
Options: task.output linear.

length  solved [95 %]   mean     published    verdict        diverged  failed
──────  ──────────────  ───────  ───────────  ─────────────  ────────  ──────
   100  6/8 [41–93 %]   72,500   74,000 (10)  under-powered         1       0
   500  0/3 [0–56 %]    -                                           0       1
 1,000  1/1 [21–100 %]  123,456                                     0       0
"""

GOLDEN_MARKDOWN = [
  '| length | solved [95 %] | mean [range] | published | verdict '
  '| median [95 %] | wrong | diverged | failed | seconds |',
  '| ---: | --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: |',
  '| 100 | 6/8 [41–93 %] | 72,500 [70,000–75,000] | 74,000 (10) '
  '| under-powered | 73,500 [70,000–> 150,000] | 1.0 | 1 | 0 | 12.0 |',
  '| 500 | 0/3 [0–56 %] | - |  |  | > 150,000 | - | 0 | 1 | 3.0 |',
  '| 1,000 | 1/1 [21–100 %] | 123,456 |  |  | 123,456 | 6.0 | 0 | 0 | 1.5 |',
]


def test_golden_text():
  table = terminal.text(summaries.summarize(ROWS, PUBLISHED), width=80)
  assert table.startswith(GOLDEN)
  assert table.endswith(
    'Left out of this narrow table: range of the mean, wrong, interval of the '
    'median,\nseconds, median.'
  )


def test_golden_markdown():
  table = terminal.markdown(summaries.summarize(ROWS, PUBLISHED))
  assert table.split('\n')[4:9] == GOLDEN_MARKDOWN


def test_every_trial_is_in_a_denominator():
  all_summaries = summaries.summarize(ROWS, PUBLISHED)
  assert [(s.solved, s.trials) for s in all_summaries] == [
    (6, 8),
    (0, 3),
    (1, 1),
  ]
  assert sum(s.trials for s in all_summaries) == len(ROWS)
  hundred, none, single = all_summaries
  # Eight values, two of them infinite: the middle ones are the 4th and 5th.
  assert hundred.median == (73_000 + 74_000) / 2
  assert hundred.interval == (70_000, float('inf'))
  assert hundred.mean == 72_500  # of the six that solved
  assert none.median == float('inf') and none.mean is none.wrong is None
  assert single.interval is None
  assert single.wrong == 3 / 1_280 * 2_560


def test_rows_typed_or_as_text_in_any_order():
  expected = summaries.summarize(ROWS, PUBLISHED)
  typed = []
  for row in ROWS:
    one = {**row, 'options': json.loads(row['options'])}
    for name in ('length', 'seed', 'budget', 'learning_rate', 'seconds'):
      one[name] = float(row[name]) if '.' in row[name] else row[name] or None
    for name in ('sequences_to_success', 'test_wrong', 'test_total', 'length'):
      one[name] = int(row[name]) if row[name] else None
    typed.append(one)
  random.Random(0).shuffle(typed)
  assert summaries.summarize(typed, PUBLISHED) == expected


def test_rows_are_sorted_numbers_first_and_full_last():
  rows = [
    trial(length, window=window)
    for length, window in itertools.product(
      (1_000, 20, 100), ('full', '', '10', '9')
    )
  ]
  settings = [s.setting for s in summaries.summarize(rows)]
  assert [s['length'] for s in settings] == [20] * 4 + [100] * 4 + [1_000] * 4
  assert [s.get('window') for s in settings[:4]] == [9, 10, 'full', None]


def test_no_trial():
  assert terminal.text([]) == 'No trial has finished yet.'
  assert terminal.markdown([]) == 'No trial has finished yet.\n'


@pytest.mark.parametrize('status', ['budget', 'given_up', 'diverged', 'failed'])
def test_all_failed(status):
  all_summaries = summaries.summarize(
    [trial(seed=i, status=status) for i in range(8)]
  )
  assert all_summaries[0].interval == (float('inf'), float('inf'))
  table = terminal.text(all_summaries)
  assert '0/8 [0–32 %]   > 150,000' in table
  assert terminal.text(all_summaries, width=20).count('0/8') == 1


def test_trials_that_were_given_up_have_a_column_of_their_own():
  given_up = [trial(seed=i, status='given_up') for i in range(3)]
  table = terminal.text(summaries.summarize([*given_up, trial(seed=3)]))
  lines = table.splitlines()
  (at,) = (i for i, line in enumerate(lines) if line.startswith('solved [95'))
  head, line = lines[at], lines[at + 2]
  assert '  given up' in head and 'diverged' not in head
  assert '1/4 [' in line
  at = head.index('given up')
  assert line[at : at + len('given up')].strip() == '3'


def test_a_run_without_budgets_says_unsolved():
  rows = [trial(status='diverged', budget='')]
  assert ' unsolved ' in terminal.text(summaries.summarize(rows))


def test_tasks_are_parts_and_options_one_column():
  rows = [
    trial(task=task, options=json.dumps({'task': {'output': output}, 'b': [1]}))
    for task in ('adding', 'temporal_order')
    for output in ('linear', 'logistic')
  ]
  table = terminal.text(summaries.summarize(rows)).split('\n')
  assert table[1] == 'Options: b 1.'
  body = [line.split()[0] if line else '' for line in table[3:]]
  assert body[2:9] == [
    *('adding', 'task.output=linear', 'task.output=logistic', ''),
    *('temporal_order', 'task.output=linear', 'task.output=logistic'),
  ]
  assert '| adding | task.output=linear |' in terminal.markdown(
    summaries.summarize(rows)
  )


def labels(rows):
  return summaries.varying(summaries.summarize(rows))


def test_settings_are_told_apart_by_as_little_as_needed():
  one, other = {'task.output': 'linear'}, {'cell.gates': True}
  cells = [trial(cell='srn', options=json.dumps(other)), trial()]
  assert labels(cells) == ['cell']
  assert labels([trial(options=json.dumps(one)), trial(options='')]) == [
    'task.output'
  ]
  assert labels([trial(), trial(budget=10)]) == ['budget']
  assert labels([trial(), trial(row='again')]) == ['row']
  assert labels([trial(), trial(seed=1)]) == []
  close = [trial(learning_rate=rate) for rate in ('0.1234567', '0.1234568')]
  assert labels(close) == ['learning_rate']


@pytest.mark.parametrize('width', [70, 80, 100, 120, 200])
def test_narrow_tables_drop_columns_and_say_so(width):
  rows = [
    {**row, 'task': task, 'cell': cell, 'options': options}
    for row in ROWS
    for task in ('adding', 'temporal_order')
    for cell in ('lstm1997', 'srn')
    for options in ('{"task.output": "linear"}', '')
  ]
  table = terminal.text(summaries.summarize(rows, PUBLISHED), width)
  rule = next(line for line in table.split('\n') if line.startswith('──'))
  # What is never dropped takes 99 columns here.
  assert len(rule) <= max(width, 99)
  assert ('Left out' in table) == (width < 200)
  for head in ('length', 'solved', 'mean', 'verdict', 'diverged'):
    assert head in table


def test_pipes_do_not_break_markdown():
  rows = [trial(options='{"a": "x|y"}'), trial(options='{"a": "z"}')]
  table = terminal.markdown(summaries.summarize(rows))
  assert r'| a=x\|y |' in table


def test_published_only_beside_its_own_row():
  all_summaries = summaries.summarize([*ROWS, trial(grid='other')], PUBLISHED)
  beside = [
    (s.setting['grid'], s.setting['length'])
    for s in all_summaries
    if s.published
  ]
  assert beside == [('table7', 100)]


def test_bad_rows_are_refused():
  with pytest.raises(ValueError, match="must be one of solved, .*got 'done'"):
    summaries.summarize([trial(status='done')])
  with pytest.raises(ValueError, match='sequences_to_success of solved trial'):
    summaries.summarize([trial(sequences='')])


def test_a_table_is_as_wide_as_its_terminal(monkeypatch):
  all_summaries = summaries.summarize(ROWS, PUBLISHED)
  for columns in (80, 200):
    monkeypatch.setenv('COLUMNS', str(columns))
    assert terminal.text(all_summaries) == terminal.text(all_summaries, columns)
  monkeypatch.setenv('COLUMNS', '3')
  assert terminal.text(all_summaries) == terminal.text(all_summaries, 40)
  monkeypatch.delenv('COLUMNS')
  monkeypatch.setattr(text_columns.shutil.os, 'get_terminal_size', _no_terminal)
  assert terminal.text(all_summaries) == terminal.text(all_summaries, 110)


def _no_terminal(descriptor):
  raise OSError('not a terminal')


def test_our_mean_stands_beside_the_published_one():
  plan = {'table7': {'T=100': 10, 'T=500': 3}}
  rows = [trial(seed=i, sequences=70_000 + 1_000 * i) for i in range(10)]
  for width in (60, 80, 200):
    table = terminal.text(summaries.summarize(rows, PUBLISHED, plan), width)
    head = next(line for line in table.split('\n') if 'solved' in line)
    line = table.split('\n')[table.split('\n').index(head) + 2]
    assert head.index('mean') < head.index('published') < head.index('verdict')
    assert '74,500' in line and '74,000 (10)' in line and 'reproduced' in line
  # Trials still to come leave the verdict open.
  table = terminal.text(summaries.summarize(rows[:-1], PUBLISHED, plan), 80)
  assert 'under-powered' in table and ' reproduced' not in table


def test_an_unsolved_setting_says_which_error_it_reached():
  rows = [
    trial(
      seed=i,
      status='budget',
      train_absolute=0.15 + i / 100,
      options='{"task.tolerance": 0.04}',
    )
    for i in range(3)
  ]
  table = terminal.text(summaries.summarize(rows), 200)
  assert '0.16 (0.162)' in table and 'without memory' in table
  assert 'error' not in terminal.text(summaries.summarize([trial()]), 200)


def test_a_narrow_table_names_rows_in_place_of_settings():
  rows = [
    trial(
      row=f'r{i}',
      options=json.dumps({'a.much_longer_option_name_than_a_row_has_its': i}),
    )
    for i in range(3)
  ]
  table = terminal.text(summaries.summarize(rows), 60)
  assert max(map(len, table.split('\n'))) <= 60
  assert 'r2 ' in table and 'settings' in table
