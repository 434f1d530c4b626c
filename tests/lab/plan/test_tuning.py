"""What a plan tunes: what nobody says, on seeds that nobody is judged on."""

import importlib.util

import pytest

from experiments import sweep
from lstm_jax.lab.plan import estimate, flags, grid_check, plan, tuning, values
from lstm_jax.lab.store.catalog_entry import Range
from lstm_jax.lab.store.setting import with_seed
from lstm_jax.lab.tune import study

WORDS = 'sweep --task=adding --cell=srn --learner=elman --length=10'
GRID = """
title = 'Two rows'
source = ''
command = 'none'
expected_seconds = 0

[defaults]
task = 'adding'
learner = 'elman'
length = 10
seeds = 2
budget = 300

[[row]]
name = 'tuned'
cell = 'gru'
tune = 8
tune_seeds = 3

[[row]]
name = 'as-it-is'
cell = 'gru'
learning_rate = 0.1
"""


def expanded(words):
  return plan.expand(flags.parse(words.split(), {}))


def spaces(words):
  return [row.space for row in expanded(words).tuned_rows]


@pytest.fixture
def grid_file(tmp_path):
  path = tmp_path / 'two.toml'

  def written(old='', new=''):
    assert old in GRID
    path.write_text(GRID.replace(old, new, 1))
    return f'sweep --grid={path}'

  return written


def test_what_nobody_says_is_tuned_and_defaults_of_a_first_try_are_nobodys():
  made = expanded(f'{WORDS} --tune')
  (row,) = made.tuned_rows
  assert made.search_size == tuning.Tuning(16, 5)
  assert list(row.space) == [
    'cell.init_range',
    'cell.recurrent_init',
    'learner.optimizer',
    'learner.learning_rate',
  ]
  assert row.space['learner.learning_rate'].cases.keys() == {
    'sgd', 'adam', 'normalised',
  }  # fmt: skip
  assert '1 row tuned: 16 settings each on 5 seeds' in made.title
  assert 'learning_rate=' not in made.title  # which is not said and so
  assert made.out != expanded(WORDS).out
  assert made.seconds > expanded(WORDS).seconds


def test_what_is_fixed_is_not_tuned():
  (space,) = spaces(f'{WORDS} --tune --set=cell.recurrent_init=identity')
  assert 'cell.recurrent_init' not in space
  # A rate that is fixed is that of one optimizer, which stays.
  (space,) = spaces(f'{WORDS} --tune --learning_rate=0.1')
  assert list(space) == ['cell.init_range', 'cell.recurrent_init']
  # A rate is searched where rates of its optimizer are.
  (space,) = spaces(f'{WORDS} --tune --set=learner.optimizer=sgd')
  assert space['learner.learning_rate'] == Range(0.01, 10.0, 'log')
  # What does not go with the rest is no choice.
  (space,) = spaces(f'{WORDS} --tune --set=cell.recurrence=none')
  assert 'cell.recurrent_init' not in space
  words = WORDS.replace('srn', 'lstm1997') + ' --set=cell.input_gates=false'
  (space,) = spaces(f'{words} --tune')
  assert 'cell.input_gate_bias' not in space
  assert 'cell.output_gate_bias' in space


def test_a_row_of_a_grid_asks_for_tuning(grid_file):
  made = expanded(grid_file())
  tuned, left = made.tuned_rows
  assert 'learner.learning_rate' in tuned.space and not left.space
  assert made.search_size == tuning.Tuning(8, 3)
  assert made.out == 'runs/two'  # the grid's own
  assert 'nothing to tune in 1 row' in made.title
  # The flag is for all rows; what the second one fixes stays as it is.
  made = expanded(f'{grid_file()} --tune=4')
  assert made.search_size == tuning.Tuning(4, 3)
  assert [*made.tuned_rows[1].space] == ['cell.init_range']
  assert made.out != 'runs/two'


def test_every_row_gets_as_much(grid_file):
  words = grid_file('learning_rate = 0.1', 'tune = 16')
  with pytest.raises(values.Refused, match='row tuned has 8 settings on 3.*16'):
    expanded(words)
  assert expanded(f'{words} --tune=8 --tune_seeds=3').search_size == (8, 3, 0)


@pytest.mark.parametrize(
  'old, new, line',
  [
    ('tune = 8', "tune = '8'", 'tune has the wrong type'),
    ('tune = 8', 'tune = 0', 'row tuned: tune=0: must be an integer from 1'),
    ('tune_seeds = 3', 'tune_seeds = true', 'tune_seeds has the wrong type'),
    ('tune = 8', 'tune = 8\nfutility = 0', 'futility=0: must be an integer'),
  ],
)
def test_a_grid_says_sizes_as_it_must(grid_file, old, new, line):
  assert {'tune', 'tune_seeds'} <= grid_check._ROW.keys()
  with pytest.raises(values.Refused, match=line):
    expanded(grid_file(old, new))


@pytest.mark.parametrize(
  'more, line',
  [
    ('--tune=0', '--tune=0: must be an integer from 1'),
    ('--tune=all', '--tune=all: must be an integer'),
    ('--tune_seeds=3', '--tune_seeds=3: needs --tune=N'),
    ('--futility=3', '--futility=3: needs --tune=N'),
    ('--tune --futility=0', '--futility=0: must be an integer from 1'),
    (
      '--tune --learning_rate=0.1 --set=cell.init_range=1 '
      '--set=cell.recurrent_init=uniform',
      '--tune=16: nothing to tune',
    ),
    (
      '--tune --tune_seeds=2 --seeds=5,2000000001',
      'seed 2000000001 of row flags is one of the tuning seeds, '
      '2000000000-2000000001',
    ),
    ('--tune=1000 --tune_seeds=1000', 'more than 100000; give --yes'),
  ],
)
def test_what_cannot_be_is_refused_in_one_line(more, line):
  with pytest.raises(values.Refused, match=line.replace('(', r'\(')):
    expanded(f'{WORDS} {more}')


def test_no_seed_is_both_judged_and_tuned_on():
  made = expanded(f'{WORDS} --tune --seeds=1000')
  judged = {setting.seed for setting in made.trials}
  assert judged.isdisjoint(made.search_size.seed_list)
  assert all(0 <= seed < 2**31 for seed in made.search_size.seed_list)
  setting = made.trials[0]  # such a seed makes a trial like any other
  assert with_seed(setting, made.search_size.seed_list[-1]).seed > 10**9


def test_a_dry_run_counts_the_tuning(capsys):
  words = f'{WORDS} --tune=8 --tune_seeds=2 --dry_run'
  assert sweep.main(words.split()) == 0
  assert 'tuning: 20 trials at most on seeds 2000000000-20000000' in (
    ' '.join(capsys.readouterr().out.split())
  )


def test_a_cell_from_outside_is_tuned_within_its_own_ranges(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(
    'import lstm_jax as lj\n'
    "NUMBERS = {'init_range': 0.1}\n"
    "RANGES = {'init_range': (0.5, 0.6, 'log')}\n"
    'def mine(num_inputs, num_outputs, *, hidden: int = 4):\n'
    '  return lj.gru(num_inputs, num_outputs, hidden=hidden)\n'
  )
  (space,) = spaces(f'{WORDS.replace("srn", f"{path}:mine")} --tune')
  assert space['cell.init_range'] == Range(0.5, 0.6, 'log')


def test_without_optuna_one_line_says_what_installs_it(monkeypatch, capsys):
  find = importlib.util.find_spec
  monkeypatch.setattr(
    importlib.util,
    'find_spec',
    lambda name: None if name == 'optuna' else find(name),
  )
  with pytest.raises(values.Refused, match=r"pip install 'lstm_jax\[tune\]'"):
    study.check_package()
  assert sweep.main(f'{WORDS} --tune --dry_run'.split()) == 2
  assert '--tune needs optuna' in capsys.readouterr().err
  # Nobody else needs it.
  assert sweep.main(f'{WORDS} --dry_run'.split()) == 0


@pytest.mark.parametrize(
  'cell, count',
  [('lstm', 1), ('srn', 3), ('lem', 8)],  # numbers, three words, any number
)
def test_values_of_options_are_programs_and_numbers_are_not(cell, count):
  words = f'--task=adding --cell={cell} --learner=bptt --length=10 --tune=8'
  made = expanded(f'sweep {words} --set=learner.optimizer=adam')
  (row,) = made.tuned_rows
  assert min(8, tuning._num_programs(row, made.trials[0])) == count
  one_core = tuning.seconds([row], made.search_size, 1)
  assert one_core > estimate.START + count * estimate.COMPILE
