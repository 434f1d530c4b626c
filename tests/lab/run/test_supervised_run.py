"""A sweep over data sets: refused, killed, continued, sharded."""

import csv
import os
import signal

import numpy as np
import pytest

from experiments import sweep
from lstm_jax.lab.plan import catalog, flags, plan, values
from lstm_jax.lab.plan.programs import steps
from lstm_jax.lab.run import groups
from lstm_jax.lab.store import checkpoints, result_columns, trial_records
from lstm_jax.lab.store.folder import open_folder
from lstm_jax.lab.store.setting import trial_id
from tests import children, tiny_sets
from tests.older_records import as_files, ended

PLAN = (
  '--task=noisy_sine --cell=srn --hidden=3 --seeds=3 --budget=60'
  ' --learning_rate=0.01,0.03 --set=task.split=continuation --window=4,5'
  ' --set=learner.batch=8 --set=learner.kernel=xla'
).split()


def made(line):
  return plan.expand(flags.parse(['sweep', *line.split()], {}))


def refused(line):
  with pytest.raises(values.Refused) as error:
    made(line)
  return '\n'.join(error.value.args)


def start(out, *extra):
  environ = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(('XLA_', 'JAX_', 'SLURM_'))
  }
  cache = {
    'JAX_COMPILATION_CACHE_DIR': str(out.parent / 'cache'),
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    # Without matplotlib: figures are drawn in tests of their own.
    'PYTHONPATH': str(out.parent),
  }
  return children.start(
    *('-m', 'experiments.sweep', *PLAN, f'--out={out}'),
    *('--checkpoint_seconds=0.2', '--progress=none', *extra),
    env=environ | cache,
  )


def table(out):
  with open(out / 'results.csv') as file:
    return [
      {name: row[name] for name in result_columns.RESULT_COLUMNS}
      for row in csv.DictReader(file)
    ]


@pytest.mark.slow
def test_in_one_piece_killed_or_sharded_the_results_are_the_same(tmp_path):
  # One test: the later runs find what the first has compiled.
  whole = tmp_path / 'whole'
  (tmp_path / 'matplotlib.py').write_text('raise ImportError')
  check_what_is_left_behind(whole, children.ended(start(whole)).stdout)
  check_a_killed_run(whole)
  check_shards(whole)


def check_what_is_left_behind(out, said):
  assert 'Report: ' in said and 'noisy_sine' in said
  opened = open_folder(out)
  records, problems = trial_records.read_records(opened)
  assert len(records) == 12 and not problems
  for record in records.values():
    assert record['status'] == 'budget'
    assert len(record['curves']['train_loss']) == 60
    assert len(record['curves']['valid_loss']) == 60
    metrics, details = record['metrics'], record['details']
    assert metrics['best_epoch'] <= 60
    assert set(details['levels']) == {'persistence', 'AR(2)'}
    assert metrics['test_squared'] == metrics['test_loss']
    assert metrics['free_run_rmse'] > 0
    assert len(details['after']['free_run']) in (95, 96)
    assert metrics['sequences_seen'] in (60 * 46, 60 * 45)
  text = (out / 'curves.csv').read_text()
  assert text.count('\n') == 1 + 12 * 60
  assert (out / 'report.html').is_file()
  assert opened.plan['provenance']['layer_code'] == {'srn': 'xla'}


def check_a_killed_run(out):
  broken = out.parent / 'broken'
  process = start(broken)
  # Not before there is something to go on from.
  states = lambda names: list(broken.glob(f'checkpoints/state.{names}'))
  children.await_that(process, lambda: states('*'))
  assert process.poll() is None, process.communicate()
  process.kill()
  process.communicate()
  assert len(ended(broken)) < 12
  process = start(broken)
  children.await_that(process, lambda: states('[3-9]'))
  process.send_signal(signal.SIGTERM)
  done = children.ended(process, returns=None)
  assert done.returncode in (143, 0), done.stderr
  children.ended(start(broken))
  assert table(broken) == table(out)
  assert (broken / 'curves.csv').read_bytes() == (
    out / 'curves.csv'
  ).read_bytes()
  assert not list(broken.glob('checkpoints/*'))


def check_shards(out):
  shared = out.parent / 'shared'
  for shard in ('0/2', '1/2'):
    children.ended(start(shared, f'--shard={shard}'))
  assert table(shared) == table(out)


def test_groups_do_not_depend_on_what_has_ended():
  trials = {trial_id(s): s for s in made(' '.join(PLAN)).trials}

  class How:
    data_dir, skip_bad = '', False

  found = groups.groups_of(trials, groups.builder(How))
  # Seeds and rates of one cell are lanes of one program.
  assert [len(group.names) for group in found] == [6, 6]
  assert {n for group in found for n in group.names} == set(trials)


@pytest.mark.parametrize(
  ('count', 'sizes'),
  [
    (1, [1]),
    (8, [8]),
    (9, [3, 3, 3]),
    (20, [5] * 4),
    (11, [5, 6]),
    (40, [8] * 5),
  ],
)
def test_groups_are_of_one_size_where_they_can(count, sizes):
  parts = groups.split(list(range(count)))
  assert [len(part) for part in parts] == sizes
  assert [i for part in parts for i in part] == list(range(count))


def test_refusals():
  text = refused('--task=noisy_sine --learner=bptt')
  assert 'which is a data set; choose from minibatch' in text
  text = refused('--task=adding --learner=minibatch')
  assert 'which draws its sequences; choose from' in text
  text = refused('--task=noisy_sine,adding --learner=minibatch')
  assert 'cannot learn task adding' in text
  text = refused('--task=noisy_sine --window=5 --set=task.window=10')
  assert 'two values for one thing' in text
  text = refused('--task=noisy_sine --cell=srn --length=5')
  assert 'task noisy_sine has no length' in text


def test_a_window_is_that_of_the_data():
  one = made('--task=noisy_sine --cell=srn --window=5,20')
  options = [dict(setting.task_options)['window'] for setting in one.trials]
  assert sorted(set(options)) == [5, 20]
  other = made('--task=noisy_sine --cell=srn --set=task.window=5,20')
  assert set(map(trial_id, one.trials)) == set(map(trial_id, other.trials))
  grid = made('--grid=sine --window=20 --cell=lstm')
  assert {dict(s.task_options)['window'] for s in grid.trials} == {20}


def test_a_wrong_net_is_refused_before_anything_is_written(capsys, tmp_path):
  out = tmp_path / 'run'
  line = f'--task=noisy_sine --cell=srn --set=learner.reads=state --out={out}'
  assert sweep.main(['sweep', *line.split()]) == 2
  said = capsys.readouterr().err
  assert said.startswith('sweep: row flags: reads=state: cell srn has no')
  assert not out.exists()


def test_a_setting_that_its_learner_refuses_writes_nothing(
  tmp_path, monkeypatch, capsys
):
  """What only the network itself can tell: one line, before the run folder."""
  words = '--task=adding --cell=srn --hidden=64,4 --learner=kf --length=10'
  monkeypatch.chdir(tmp_path)
  assert sweep.main(['sweep', *words.split(), '--out=run']) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert 'row flags hidden=64' in line and 'most_weights=2000' in line
  assert not list(tmp_path.iterdir())


def test_a_missing_data_set_is_one_line(capsys, tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  out, place = tmp_path / 'run', tmp_path / 'data'
  place.mkdir()
  line = f'--task=urban_sound --cell=lstm --data_dir={place} --out={out}'
  assert sweep.main(['sweep', *line.split()]) == 66
  said = capsys.readouterr().err
  assert said.count('\n') == 1 and said.startswith('sweep: urban_sound: ')
  for word in (str(place), 'https://', 'UrbanSound8K.csv', '--data_dir'):
    assert word in said
  assert not out.exists()


@pytest.mark.usefixtures('undrawn')
def test_a_bad_file_stops_a_run_or_is_counted_in_it(
  capsys, tmp_path, monkeypatch
):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  out, place = tmp_path / 'run', tmp_path / 'data'
  place.mkdir()
  kinds = ((0, 'dog', 7), (10, 'rain', 6))
  home = tiny_sets.esc(
    place,
    [
      (f'{fold}-{i}-A-{target}.wav', fold, target, word, True, 100 * fold + i)
      for fold in range(1, 6)
      for target, word, i in kinds
    ],
  )
  bad = home / 'audio' / '3-6-A-10.wav'
  bad.write_bytes(bad.read_bytes()[:-4])
  line = (
    f'--task=esc10 --cell=srn --hidden=2 --seeds=2 --budget=2 --progress=none '
    f'--set=task.rate=8000 --data_dir={place} --out={out}'
  )
  assert sweep.main(['sweep', *line.split()]) == 65
  said = capsys.readouterr().err
  assert '3-6-A-10.wav' in said and 'Traceback' not in said
  assert not out.exists()
  assert sweep.main(['sweep', *line.split(), '--skip_bad']) == 0
  records, _ = trial_records.read_records(open_folder(out))
  assert [r['status'] for r in records.values()] == ['budget'] * 2
  for record in records.values():
    assert '3-6-A-10.wav' in record['details']['facts']['left out']
    confusion = record['details']['confusion']
    assert sum(map(sum, confusion)) == record['metrics']['test_total'] == 2
  assert '3-6-A-10.wav' in (out / 'report.md').read_text()


@pytest.mark.parametrize('name', catalog.names('datasets'))
def test_steps_of_an_epoch_are_known(name):
  one = made(f'--task={name} --cell=lstm').trials[0]
  assert steps(one) > 0


@pytest.mark.usefixtures('undrawn')
def test_faults_failures_and_seeds_that_come_later(
  tmp_path, monkeypatch, capsys
):
  """No memory is no result, an error is one; more seeds change no bit."""
  words = '--task=noisy_sine --cell=srn --hidden=3 --budget=2 --window=4'
  words += ' --learning_rate=0.03 --set=learner.kernel=xla --devices=1'

  def run(name, *extra):
    out = f'--out={tmp_path / name}'
    code = sweep.main(['sweep', *words.split(), '--progress=none', out, *extra])
    return code, ''.join(capsys.readouterr())

  def failing(error):
    def loop(self, *given):
      raise error

    monkeypatch.setattr(groups.Build, 'loop', loop)

  whole = groups.Build.loop
  failing(MemoryError('no room'))
  code, said = run('a', '--seeds=2')
  assert code == 75 and 'sweep: out of memory: no room; that is no' in said
  assert list((tmp_path / 'a' / 'records').iterdir()) == []
  failing(ValueError('a cell'))
  code, said = run('a', '--seeds=2')
  assert code == 3 and said.count('ValueError: a cell') == 1
  assert 'sweep: 2 trials failed: ValueError: a cell\n' in said
  monkeypatch.setattr(groups.Build, 'loop', whole)
  code, said = run('a', '--seeds=2')
  assert code == 3 and 'Nothing left to do' in said
  assert run('a', '--seeds=3', '--retry_failed')[0] == 0
  assert run('b', '--seeds=1')[0] == 0
  assert table(tmp_path / 'b') == table(tmp_path / 'a')[:1]
  assert [row['status'] for row in table(tmp_path / 'a')] == ['budget'] * 3


@pytest.mark.usefixtures('undrawn')
def test_a_checkpoint_of_an_older_form_is_named(tmp_path, capsys):
  words = [
    w for w in PLAN if not w.startswith(('--w', '--l', '--seeds', '--b'))
  ]
  words += ['--window=4', '--learning_rate=0.01', '--seeds=1', '--budget=2']
  words += [f'--out={tmp_path / "run"}', '--progress=none']
  assert sweep.main(['sweep', *words]) == 0
  opened = open_folder(tmp_path / 'run')
  wanted = table(tmp_path / 'run')
  (record,) = (as_files(tmp_path / 'run') / 'records').glob('*.json')
  record.unlink()
  one = record.stem
  for meta, leaf in (
    ({'groups': {'g': [1, 0, 0.5]}, 'code': {}}, 'g/leaves/x'),
    # What would be refused, as it is of other code.
    ({'programs': {'p': [[one, 0.5]]}, 'code': {one: 'x'}}, 'p/first_passed'),
  ):
    arrays = {leaf: np.zeros((2, 1) if 'programs' in meta else 2)}
    checkpoints.save(opened, 'state', arrays, meta)
    capsys.readouterr()
    assert sweep.main(['sweep', *words]) == 0
    assert 'has the form of an older version' in capsys.readouterr().err
    assert table(tmp_path / 'run') == wanted
    as_files(tmp_path / 'run')
    record.unlink()
