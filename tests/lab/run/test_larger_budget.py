"""A trial that has spent its budget goes on under a larger one, bit for bit."""

import shutil

import pytest

from experiments import sweep
from lstm_jax.lab.store import nets, results_table, trial_records
from lstm_jax.lab.store.folder import open_folder

# Of two seeds one is solved within none of these budgets; networks are kept.
LINE = (
  '--task=adding --cell=srn --learner=elman --hidden=2 --length=10 --seeds=3'
  ' --learning_rate=0.1 --set=learner.optimizer=sgd --devices=1'
  ' --progress=none --xla_profile=none'
)
SMALL, LARGE = 70, 190


pytestmark = pytest.mark.usefixtures('all_undrawn')


def run(out, budget):
  words = [*LINE.split(), f'--budget={budget}', f'--out={out}']
  return sweep.main(['sweep', *words])


@pytest.fixture(scope='module')
def small(all_undrawn, tmp_path_factory):
  """A folder of trials that have spent their budget."""
  out = tmp_path_factory.mktemp('small') / 'run'
  assert run(out, SMALL) == 0
  return out


@pytest.fixture(scope='module')
def reference(all_undrawn, tmp_path_factory):
  """A folder of the larger budget in one piece."""
  out = tmp_path_factory.mktemp('large') / 'run'
  assert run(out, LARGE) == 0
  return out


def results(out):
  """The digest of the results, and all learning curves.

  Which networks are kept along a way depends on the pace of the run; here the
  first and the last are looked at.
  """
  folder = open_folder(out)
  records, problems = trial_records.read_records(folder)
  assert not problems
  curves = [record['curves'] for record in records.values()]
  ways = [
    way
    for trial in sorted(folder.trials)
    if (way := nets.load_way(folder, trial))
  ]
  ((first, *_, last),) = ways
  assert (first[0], last[0]) == (0, LARGE)
  assert len(curves) == 3
  ends = [
    {name: w.tolist() for name, w in one[1].items()} for one in (first, last)
  ]
  return results_table.results_digest(folder), curves, ends


def test_spent_trials_go_on(small, reference, tmp_path, capsys):
  out = shutil.copytree(small, tmp_path / 'run')
  (state,) = (out / 'checkpoints').iterdir()
  assert state.name == 'spent.1'
  capsys.readouterr()
  assert run(out, LARGE) == 0
  said = capsys.readouterr().err
  assert '3 go on from there, 0 run again from the beginning' in said
  assert results(out) == results(reference)


def test_spent_trials_whose_states_are_lost_run_again(
  small, reference, tmp_path, capsys
):
  out = shutil.copytree(small, tmp_path / 'run')
  (out / 'checkpoints' / 'spent.1').unlink()
  capsys.readouterr()
  assert run(out, LARGE) == 0
  said = capsys.readouterr().err
  assert '0 go on from there, 3 run again from the beginning' in said
  assert results(out) == results(reference)


def test_more_seeds_keep_the_states_of_those_that_are_there(small, tmp_path):
  out = shutil.copytree(small, tmp_path / 'run')
  words = LINE.replace('--seeds=3', '--seeds=4').split()
  words += [f'--budget={SMALL}', f'--out={out}']
  assert sweep.main(['sweep', *words]) == 0
  names = {path.name for path in (out / 'checkpoints').iterdir()}
  assert names == {'spent.1', 'spent.2'}
