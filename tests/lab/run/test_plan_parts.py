"""A plan of tasks and data sets runs in parts, each under its own XLA flags."""

import csv
import json
import os

import pytest

from lstm_jax.lab.plan import flags, plan
from lstm_jax.lab.run import parts
from tests import children

GRID = """
title = 'A task and a data set'
source = 'none'
command = 'none'
expected_seconds = 0

[defaults]
seeds = 2
hidden = 2

[[row]]
name = 'task'
task = 'adding'
cell = 'srn'
learner = 'elman'
length = 10
learning_rate = 0.1
budget = 300

[[row]]
name = 'data'
task = 'noisy_sine'
cell = 'srn'
learner = 'minibatch'
window = 4
set.learner.batch = 8
set.learner.kernel = 'xla'
budget = 2
"""
# Columns that tell the time, and what the plan is called.
OTHERS = ('grid', 'seconds')


@pytest.fixture(scope='module')
def grid(tmp_path_factory):
  path = tmp_path_factory.mktemp('grid') / 'mixed.toml'
  path.write_text(GRID)
  return path


@pytest.fixture(scope='module')
def trials(grid):
  """The settings of the plan: two of a task, two of a data set."""
  return plan.expand(flags.parse(['sweep', f'--grid={grid}'], {})).trials


def test_the_parts_of_a_mixed_plan_in_order(trials):
  first = parts.next_part(trials, 'auto', True, {})
  assert first == parts.Part('auto', ('auto',), ('auto', 'none'))
  assert [parts.of_part(first, s) for s in trials] == [True] * 2 + [False] * 2
  assert not parts.is_last(first, trials)
  assert parts.is_last(first, trials[:2])
  environ = {parts._ENDED_VARIABLE: 'auto'}
  second = parts.next_part(trials, 'auto', True, environ)
  assert second == parts.Part('none', ('none',), ('auto', 'none'), ('auto',))
  assert parts.is_last(second, trials)
  assert not environ  # a command that this one starts begins at the beginning


@pytest.mark.parametrize(
  'which, wanted, is_process, profile',
  [
    (slice(4), 'none', True, 'none'),
    (slice(4), 'auto', False, 'none'),
    (slice(0, 2), 'auto', True, 'auto'),
    (slice(0, 2), 'none', True, 'none'),
    (slice(2, 4), 'auto', True, 'none'),
  ],
)
def test_a_plan_in_one_part(trials, which, wanted, is_process, profile):
  part = parts.next_part(trials[which], wanted, is_process, {})
  assert part.profile == profile
  assert not part.all_profiles
  assert all(parts.of_part(part, setting) for setting in trials[which])
  assert parts.is_last(part, trials[which])


def test_a_part_leaves_to_the_next_what_is_to_go_on(monkeypatch):
  calls = []
  monkeypatch.setattr(os, 'execve', lambda *words: calls.append(words))
  reader, writer = os.pipe()
  try:
    part = parts.Part('auto', ('auto',), ('auto', 'none'))
    legacy = parts.Legacy({'LSTM_JAX_PAGE': f'1,{writer}'}, (writer,))
    parts.execute_anew(part, {'HOME': '/'}, legacy)
    [(_, _, environ)] = calls
    assert environ == {
      'HOME': '/',
      parts._ENDED_VARIABLE: 'auto',
      **legacy.environ,
    }
    assert os.get_inheritable(writer) and not os.get_inheritable(reader)
  finally:
    os.close(reader)
    os.close(writer)


def columns(folder):
  """Trial -> the columns of its results that do not tell the time."""
  with open(folder / 'results.csv', newline='') as file:
    return {
      row['trial']: {k: v for k, v in row.items() if k not in OTHERS}
      for row in csv.DictReader(file)
    }


@pytest.mark.slow
def test_a_mixed_plan_has_the_results_of_its_parts(grid, tmp_path):
  sweep = ('-m', 'experiments.sweep', f'--grid={grid}', '--progress=none')
  environ = {k: v for k, v in os.environ.items() if k != 'XLA_FLAGS'}
  both = children.python(*sweep, f'--out={tmp_path / "both"}', env=environ)
  assert both.stdout.count('4 trials in') == 1
  assert both.stdout.count('Report:') == 1
  flags_of = json.loads((tmp_path / 'both' / 'plan.json').read_text())[
    'content'
  ]['provenance']['xla_flags']
  assert flags_of.keys() == {'auto', 'none'}
  assert len(flags_of['auto']) > len(flags_of['none'])
  for name in ('task', 'data'):
    part = (f'--row={name}', f'--out={tmp_path / name}')
    children.python(*sweep, *part, env=environ)
  single = columns(tmp_path / 'task') | columns(tmp_path / 'data')
  assert columns(tmp_path / 'both') == single
  again = children.python(*sweep, f'--out={tmp_path / "both"}', env=environ)
  assert 'Nothing left to do' in again.stdout
