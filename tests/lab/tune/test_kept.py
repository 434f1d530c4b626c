"""What was found is kept: in the plan, in results.csv, in every table."""

import csv
import dataclasses
import doctest
import importlib
import io
import json

import pytest

from lstm_jax.lab.plan import flags, plan
from lstm_jax.lab.report import summaries, terminal, tuned
from lstm_jax.lab.store import growth, plan_trials, result_columns, shape
from lstm_jax.lab.store import setting as settings
from lstm_jax.lab.store.faults import Corrupt

WORDS = 'sweep --task=adding --cell=gru --learner=elman --length=10 --seeds=2'
FOUND = {
  'settings': 16,
  'seeds': 5,
  'trials': 90,
  'sequences': 12345,
  'seconds': 7.5,
  'chosen': 'learner.learning_rate=0.3',
  'solved': 5,
  'solving': 3,
  'second': 1.25,
  'extended': 'learner.learning_rate to 100',
  'edge': 'learner.learning_rate high',
}


@pytest.fixture(scope='module')
def plain():
  return plan.expand(flags.parse(WORDS.split(), {})).trials


def tuned_trials(plain, **changes):
  pairs = tuple(sorted((FOUND | changes).items()))
  first = dataclasses.replace(plain[0], tuned=pairs)
  return settings.by_id(
    settings.with_seed(first, trial.seed) for trial in plain
  )


def rows_of(trials):
  row_of = result_columns.row_maker()
  metrics = {'sequences_to_success': 50, 'sequences_seen': 60}
  return [
    row_of(
      trial,
      {'trial': name, 'status': 'solved', 'metrics': metrics, 'seconds': 1.0},
    )
    for name, trial in trials.items()
  ]


def test_a_trial_is_what_it_is_whoever_has_chosen_it(plain):
  trials = tuned_trials(plain)
  assert [*trials] == [*settings.by_id(plain)]
  (first, _) = trials.values()
  assert first.tuning == {n: v for n, v in FOUND.items() if n != 'seconds'}
  assert first.tuning_seconds == 7.5
  assert plain[0].tuning is None and plain[0].tuning_seconds is None


def test_a_plan_holds_it_and_a_plan_of_before_is_what_it_was(plain):
  (first, _) = tuned_trials(plain).values()
  entry = settings.entry_of(first)
  assert settings.setting_of(entry) == first
  assert 'tuned' not in settings.entry_of(plain[0])


def test_a_search_that_says_something_else_is_no_other_plan(plain):
  def content(trials):
    entries = plan_trials.of_entries(plan_trials.entries_of(trials))
    return {'trials': entries, 'programs': {}}

  old = content(tuned_trials(plain))
  new = content(tuned_trials(plain, seconds=9.0))
  merged, lines = growth.merged_plan(old, new)
  assert lines == []
  assert merged['trials'][0]['tuned']['seconds'] == 9.0


def test_results_csv_has_it_and_no_such_column_where_nobody_tuned(plain):
  for trials, expected in (
    (tuned_trials(plain), FOUND),
    (settings.by_id(plain), None),
  ):
    rows = rows_of(trials)
    data = b''.join(result_columns.csv_of(rows))
    # Written row by row and from plain mappings it is the same.
    assert data == b''.join(result_columns.csv_of([dict(r) for r in rows]))
    for line in csv.DictReader(io.StringIO(data.decode())):
      if expected is None:  # as in tables of before
        assert line.keys().isdisjoint(result_columns.TUNING_COLUMNS)
        continue
      assert json.loads(line['tuning']) | {'seconds': 7.5} == expected
      assert line['tuning_seconds'] == '7.5'
      assert line['budget'] == '100000' and line['status'] == 'solved'


def test_a_row_that_is_not_tuned_stands_beside_one_that_is(plain):
  other = settings.by_id(dataclasses.replace(s, budget=7) for s in plain)
  rows = rows_of({**tuned_trials(plain), **other})
  data = b''.join(result_columns.csv_of(rows)).decode()
  lines = list(csv.DictReader(io.StringIO(data)))
  assert [bool(line['tuning']) for line in lines] == [True, True, False, False]


def test_the_table_says_what_it_took_and_what_was_too_narrow(plain):
  text = terminal.text(summaries.summarize(rows_of(tuned_trials(plain))), 200)
  assert '3 of 16 solve, 12,345 sequences' in text
  assert (
    'range extended: learner.learning_rate to 100; still at the edge: '
    'learner.learning_rate high.'
  ) in ' '.join(text.split())
  # Of the file as of the rows.
  data = b''.join(result_columns.csv_of(rows_of(tuned_trials(plain))))
  lines = list(csv.DictReader(io.StringIO(data.decode())))
  assert terminal.text(summaries.summarize(lines), 200) == text
  plain_rows = rows_of(settings.by_id(plain))
  assert 'tuning' not in terminal.text(summaries.summarize(plain_rows), 200)


def test_the_cells_of_a_report():
  assert tuned.chosen_cell({}).main == '–' == tuned.spent_cell({}, None).main
  assert tuned.sharpness_cell({}).main == '–'
  assert tuned.chosen_cell(FOUND).main == 'learner.learning_rate=0.3'
  assert tuned.spent_cell(FOUND, 7.5)[:2] == (
    '12,345 sequences',
    '90 trials, 7.5 s, 16 settings on 5 seeds',
  )
  assert tuned.sharpness_cell(FOUND)[:2] == (
    '3 of 16 solve',
    'second best × 1.25',
  )
  of_epochs = {'settings': 4, 'seeds': 1, 'trials': 4, 'epochs': 40}
  assert tuned.spent_cell(of_epochs, 1.0).main == '40 epochs'
  assert tuned.sharpness_cell(of_epochs).main == ''


def test_a_plan_that_holds_something_else_there_is_damaged(plain):
  (first, _) = tuned_trials(plain).values()
  entry = settings.entry_of(first)
  for tuning in ([1], {'settings': [16]}, 'x'):
    with pytest.raises(Corrupt, match='tuned'):
      shape._check({**entry, 'tuned': tuning}, shape._SETTING, 'plan.json')


@pytest.mark.parametrize(
  'module',
  [
    'plan.ranges',
    'plan.tuned_rows',
    'plan.tuning_size',
    'tune.scores',
    'tune.search',
  ],
)
def test_examples_hold(module):
  options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
  module = importlib.import_module(f'lstm_jax.lab.{module}')
  ended = doctest.testmod(module, optionflags=options)
  assert ended.attempted and not ended.failed
