"""What a first try gets that says nothing but a cell: it learns."""

import csv
import os
import subprocess
import sys

import pytest

from lstm_jax.lab.plan import catalog, defaults, selection
from lstm_jax.lab.report import commands
from lstm_jax.lab.store.setting import trial_id
from tests.children import ROOT
from tests.lab.plan.test_plan import made

SEEDS = 5


@pytest.mark.slow
@pytest.mark.parametrize('cell', catalog.names('cells'))
def test_every_cell_learns_its_default_task(cell, tmp_path):
  out = tmp_path / 'run'
  command = f'-m experiments.sweep --cell={cell} --seeds={SEEDS} --out={out}'
  done = subprocess.run(
    [sys.executable, *command.split()],
    cwd=ROOT,
    env=os.environ,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  with open(out / 'results.csv', encoding='utf-8') as file:
    statuses = [row['status'] for row in csv.DictReader(file)]
  assert len(statuses) == SEEDS
  assert statuses.count('solved') > SEEDS / 2, done.stdout


@pytest.mark.parametrize('cell', catalog.names('cells'))
def test_what_flags_do_not_say_is_said(cell):
  expanded = made(f'--cell={cell}')
  setting = expanded.trials[0]
  held = selection.values_of(setting)
  names = [setting.task, cell, setting.learner]
  found = defaults.of(*names)
  assert found['learner.optimizer'] == 'adam'
  for name, value in found.items():
    assert held[name] == str(value)
    assert f'={value}' in expanded.title
  # Each can be said, and nothing else moves.
  for name, value in found.items():
    same = made(f'--cell={cell} --set={name}={value}')
    assert [trial_id(s) for s in same.trials] == [
      trial_id(s) for s in expanded.trials
    ]
  assert defaults.of(*names, found) == {}


def test_another_optimizer_has_the_rate_of_the_catalog():
  (setting,) = made('--cell=lstm --set=learner.optimizer=sgd --seeds=1').trials
  rate = catalog.find('learner', setting.learner).numbers['learning_rate']
  assert dict(setting.numbers)['learning_rate'] == rate


def test_cells_that_are_compared_have_one_length():
  lengths = {s.cell: s.length for s in made('--cell=srn,lstm,lstm1997').trials}
  assert set(lengths.values()) == {max(lengths.values())} == {20}
  both = made('--task=adding,temporal_order --cell=srn')
  assert {s.task: s.length for s in both.trials} == {
    'adding': 5,
    'temporal_order': 20,  # the shortest that it has
  }


@pytest.mark.parametrize(
  'line',
  [
    '--cell=lstm',
    '--cell=cascaded --set=learner.optimizer=sgd',
    '--task=first_symbol',
    '--cell=srn --hidden=4 --window=3',
    '--task=noisy_sine --cell=gru',
    '--learner=kf --cell=gru',
  ],
)
def test_the_report_s_command_makes_the_same_trials(line):

  trials = made(f'{line} --seeds=2').trials
  words = commands.command(trials[0], [0, 1]).split()[2:]
  again = made(' '.join(words)).trials
  assert [trial_id(s) for s in again] == [trial_id(s) for s in trials]


@pytest.mark.parametrize('task', catalog.names('tasks'))
def test_every_task_has_a_plan_of_its_own(task):
  expanded = made(f'--task={task} --seeds=2')
  assert {s.task for s in expanded.trials} == {task}
  length = expanded.trials[0].length
  assert length is None or length <= 20
