"""A grid in which entries meet all rows: its sizes, and entries by flags."""

import pytest

from lstm_jax.lab.plan import flags, grid, plan, values
from lstm_jax.lab.report import commands
from lstm_jax.lab.store.setting import trial_id
from tests.lab.plan.test_grids import said

BENCH = """
title = 't'
source = ''
command = 'lstm-jax sweep --grid=bench.toml'
expected_seconds = 9
[defaults]
seeds = 2
budget = 10
[sizes.small]
[sizes.full]
seeds = 3
set.learner.learning_rate = 0.02
[entries]
cell = 'lstm'
learner = 'bptt'
hidden = 4
set.learner.optimizer = 'adam'
[[row]]
name = 'adding-10'
line = 'adding'
task = 'adding'
length = 10
[[row]]
name = 'adding-20'
line = 'adding'
task = 'adding'
length = 20
sizes = ['full']
[[entry]]
name = 'lstm'
cell = 'lstm'
learner = 'bptt'
hidden = 4
set.learner.optimizer = 'adam'
[[entry]]
name = 'paper'
cell = 'lstm1997'
learner = 'truncated1997'
[[entry]]
name = 'elman'
cell = 'srn'
learner = 'elman'
hidden = 4
sizes = ['full']
"""
CELL = """
from lstm_jax.cells import srn


def cell(num_inputs, num_outputs, *, hidden: int = 3):
  \"\"\"A cell of somebody's.\"\"\"
  return srn.srn(num_inputs, num_outputs, hidden=hidden)
"""


@pytest.fixture(name='planned')
def fixture_planned(tmp_path, monkeypatch):
  """A function of flags: the plan of BENCH that they make."""
  (tmp_path / 'bench.toml').write_text(BENCH)
  monkeypatch.chdir(tmp_path)

  def planned(*words):
    return plan.expand(flags.parse(['sweep', '--grid=bench.toml', *words], {}))

  return planned


def rows_of(made):
  return list(dict.fromkeys(setting.row for setting in made.trials))


def test_each_entry_meets_each_row_of_a_size(planned):
  small, full = planned(), planned('--size=full')
  assert rows_of(small) == ['adding-10.lstm', 'adding-10.paper']
  assert rows_of(full) == [
    f'adding-{length}.{entry}'
    for length in (10, 20)
    for entry in ('lstm', 'paper', 'elman')
  ]
  assert {s.reading for s in full.trials} == {'lstm', 'paper', 'elman'}
  assert {s.line for s in full.trials} == {'adding'}
  assert {s.seed for s in small.trials} == {0, 1}
  assert {s.seed for s in full.trials} == {0, 1, 2}  # as the size says
  assert rows_of(planned('--size=small')) == rows_of(small)
  assert (small.out, full.out) == ('runs/bench', 'runs/bench-full')


def test_entries_start_alike_as_far_as_they_can(planned):
  small, full = (
    {s.reading: s for s in made.trials}
    for made in (planned(), planned('--size=full'))
  )
  # Its own sizes, the optimizer of all; blocks are no hidden units.
  assert dict(small['lstm'].learner_options)['optimizer'] == 'adam'
  assert dict(small['paper'].learner_options)['optimizer'] == 'adam'
  assert small['paper'].hidden == '2x2'
  # What a size says besides.
  assert small['lstm'].learning_rate != full['lstm'].learning_rate == 0.02
  guess = planned('--size=full', '--learner=guess').trials[0]
  assert guess.learning_rate is None


def test_only_the_first_size_has_a_measured_time(planned):
  table = grid.load('bench.toml')
  assert table.expected_seconds == 9
  assert grid.load('bench.toml', size='full').expected_seconds == 0
  assert grid.load('bench.toml', size='small').expected_seconds == 9
  assert planned('--size=small').seconds == planned().seconds


def test_flags_select_among_entries(planned):
  assert rows_of(planned('--cell=lstm')) == ['adding-10.lstm']
  # By its name a row is found in whatever size it is.
  assert rows_of(planned('--row=adding-20.elman')) == ['adding-20.elman']
  every = ','.join(rows_of(planned('--size=full')))
  assert planned(f'--row={every}').out.startswith('runs/bench-')


def test_an_entry_of_flags_is_not_expected_to_take_the_whole_grid(planned):
  all_of_grid, alone = planned(), planned('--cell=lstm')
  assert alone.seconds < all_of_grid.seconds
  assert planned('--cell=gru').seconds == pytest.approx(alone.seconds, rel=0.1)
  both = planned('--cell=lstm,gru')
  assert alone.seconds < both.seconds < 2.1 * alone.seconds


def test_flags_bring_an_entry(planned):
  made = planned('--cell=gru', '--size=full')
  assert rows_of(made) == ['adding-10.gru+bptt', 'adding-20.gru+bptt']
  setting = made.trials[0]
  assert dict(setting.learner_options)['optimizer'] == 'adam'
  assert setting.hidden == 4 and setting.reading == 'gru+bptt'
  # Not where the grid's own runs are.
  assert made.out not in ('runs/bench', 'runs/bench-full')
  assert planned('--cell=gru').out != 'runs/bench'
  # Options that a learner lacks are left out, and flags say more.
  setting = planned('--learner=kf', '--hidden=6').trials[0]
  assert (setting.cell, setting.hidden, setting.reading) == (
    'lstm', 6, 'lstm+kf',
  )  # fmt: skip
  # A cell without hidden units has its own sizes.
  assert planned('--cell=lstm1997', '--learner=bptt').trials[0].hidden == '2x2'


def test_those_of_a_grid_stand_beside_an_entry_of_flags(planned):
  assert rows_of(planned('--cell=lstm,gru')) == [
    'adding-10.lstm', 'adding-10.gru+bptt',
  ]  # fmt: skip


def test_an_entry_from_a_file(planned, tmp_path):
  (tmp_path / 'mine.py').write_text(CELL)
  made = planned('--cell=mine.py:cell')
  assert rows_of(made) == ['adding-10.mine.py:cell+bptt']
  assert made.trials[0].hidden == 4


@pytest.mark.parametrize(
  'words',
  [('--cell=gru',), ('--learner=kf', '--hidden=6'), ('--size=full',)],
)
def test_the_command_of_a_row_makes_its_trials(planned, words):
  made = planned(*words)
  for row in rows_of(made):
    settings = [s for s in made.trials if s.row == row]
    line = commands.command(settings[0], {s.seed for s in settings})
    line = line.replace('--grid=bench', '--grid=bench.toml')
    again = plan.expand(flags.parse(line.split()[1:], {}))
    assert {*map(trial_id, again.trials)} == {*map(trial_id, settings)}


def test_a_size_that_there_is_not(planned):
  with pytest.raises(values.Refused, match='--size=big: choose from small, f'):
    planned('--size=big')
  with pytest.raises(values.Refused, match='table8 has one size'):
    plan.expand(flags.parse(['sweep', '--grid=table8', '--size=full'], {}))
  with pytest.raises(values.Refused, match='--size=full: needs --grid=NAME'):
    flags.parse(['sweep', '--task=adding', '--size=full'], {})


@pytest.mark.parametrize(
  'old, new, words',
  [
    ("name = 'paper'", "name = 'a+b'", 'entry a+b: name: + is for entries'),
    ("cell = 'lstm1997'", '', 'entry paper: the key cell is missing'),
    ("cell = 'lstm1997'", 'budget = 3', 'entry paper: key budget'),
    ("cell = 'lstm1997'", "set.task.output = 'linear'", 'paper: set.task'),
    ("sizes = ['full']", "sizes = ['fall']", 'row adding-20: sizes=fall'),
    ('[sizes.small]', '[sizes]\nsmall = 3', 'sizes.small must be a table'),
    ('seeds = 3', 'task = 3', 'sizes.full: key task'),
    ('seeds = 3', 'seeds = 0', 'sizes.full: seeds'),
    ('[entries]\ncell', '[entries]\nrow', 'entries: the key cell is missing'),
    ("task = 'adding'", '', 'row adding-10: the key task is missing'),
    ("name = 'paper'", "name = 'lstm'", 'twice: adding-10.lstm'),
  ],
)
def test_a_mistake_in_entries_is_a_line(tmp_path, old, new, words):
  assert old in BENCH
  lines = said(tmp_path, BENCH.replace(old, new, 1))
  assert any(words in line for line in lines), lines
