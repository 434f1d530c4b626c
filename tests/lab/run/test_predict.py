"""What the networks of a run answer, and what is refused in one line."""

import numpy as np
import pytest

from experiments import predict
from lstm_jax.lab.report import trace
from lstm_jax.lab.store import nets
from lstm_jax.lab.store.folder import create_or_open
from lstm_jax.lab.store.setting import entry_of
from tests import sound_collection, tiny_sets
from tests.fake_sweep import QUICK
from tests.lab.plan.test_plan import made
from tests.lab.store.test_nets import net


@pytest.fixture(scope='module')
def solved(tmp_path_factory):
  """A folder of a task with one network kept."""
  (setting,) = made('--task=adding --length=5 --seeds=1').trials
  return kept(tmp_path_factory.mktemp('task') / 'run', setting)


def kept(path, setting, params=None):
  from lstm_jax.lab.plan import catalog

  entry = {**entry_of(setting), 'id': 'abcdef012345'}
  opened = create_or_open(
    path,
    {'flags': {}, 'trials': [entry], 'programs': {}, 'provenance': {}},
    disk=QUICK,
  )
  if params is None:
    task = catalog.build('tasks', setting.task, **dict(setting.task_options))
    cell = catalog.build(
      'cells', setting.cell, task.num_inputs, task.num_outputs,
      **dict(setting.cell_options),
    )  # fmt: skip
    _, params = net(cell)
  nets.save(opened, 'abcdef012345', params)
  return opened


def test_fresh_sequences_are_answered(solved, capsys, tmp_path):
  out = tmp_path / 'answers.csv'
  words = ['predict', str(solved.path), '--count=2', f'--out={out}']
  assert predict.main(words) == 0
  said = capsys.readouterr().out
  assert said.startswith('adding, lstm1997, truncated1997: row flags, seed 0')
  assert '/2 fresh sequences right: every output within 0.04' in said
  lines = out.read_text('utf-8').splitlines()
  assert lines[0] == 'sequence,step,of,target,answer,largest error'
  assert len(lines) == 3
  found = trace.trace(
    solved.trials['abcdef012345'], nets.load(solved)['abcdef012345'], 1
  )
  sequence, step, of, target, answer, error = lines[2].split(',')
  assert (sequence, step, of) == ('1', of, str(len(found['mask'])))
  assert float(target) == pytest.approx(found['targets'][-1, 0], abs=0.006)
  assert float(answer) == pytest.approx(found['outputs'][-1, 0], abs=0.006)
  gap = abs(found['outputs'] - found['targets'])[-1, 0]
  assert float(error) == pytest.approx(gap, abs=0.001)


@pytest.mark.parametrize(
  ('words', 'said'),
  [
    (['--net=zz'], 'choose from abcdef012345 (flags)'),
    (['--count=0'], '--count=0: must be an integer from 1'),
    (['--seed=x'], '--seed=x: must be an integer from 0'),
    (['--data=x.csv'], 'adding draws its own sequences'),
    (['--cuont=2'], 'did you mean count'),
    (['--count=1', '--count=2'], 'given 2 times'),
    (['--out='], '--out=: is empty'),
    (['another'], 'FILE=another: there is no such file; give one run'),
    (['--text=a word'], '--text: adding draws its own sequences'),
  ],
)
def test_what_cannot_be_is_refused_in_a_line(solved, words, said, capsys):
  assert predict.main(['predict', str(solved.path), *words]) == 2
  out, err = capsys.readouterr()
  assert out == '' and err.count('\n') == 1
  assert err.startswith('predict: ') and said in err


def test_folders_without_a_net(tmp_path, capsys):
  assert predict.main(['predict', str(tmp_path / 'none')]) == 2
  assert predict.main(['predict']) == 2
  assert predict.main(['predict', '--help']) == 0
  (setting,) = made('--task=adding --length=5 --seeds=1').trials
  opened = kept(tmp_path / 'run', setting, {})
  for path in (opened.path / 'nets').iterdir():
    path.unlink()
  capsys.readouterr()
  assert predict.main(['predict', str(opened.path)]) == 2
  assert 'no network is kept here' in capsys.readouterr().err


@pytest.fixture(scope='module')
def sine(tmp_path_factory):
  """A folder of a data set with the network that it would have kept."""
  import jax

  from lstm_jax.lab.plan import flags
  from lstm_jax.lab.run import groups
  from lstm_jax.training.loop import named

  line = '--task=noisy_sine --cell=srn --hidden=3 --seeds=1'
  (setting,) = made(line).trials
  _, trainer = groups.builder(flags.Run())(setting)
  params = dict(named(trainer.model.init(jax.random.key(3))))
  entry = entry_of(setting)
  opened = create_or_open(
    tmp_path_factory.mktemp('data') / 'run',
    {'flags': {}, 'trials': [entry], 'programs': {}, 'provenance': {}},
    disk=QUICK,
  )
  nets.save(opened, entry['id'], params)
  back = nets.load(opened)[entry['id']]
  assert {n: w.shape for n, w in back.items()} == {
    n: np.shape(w) for n, w in params.items()
  }
  return opened


def test_a_test_part_and_a_file_are_answered(sine, capsys, tmp_path):
  assert predict.main(['predict', str(sine.path), '--count=1']) == 0
  said = capsys.readouterr().out
  assert 'examples (which it was trained on: nothing is held out)' in said
  assert 'mean squared error' in said and '... ' in said
  own, other = tmp_path / 'own.npy', tmp_path / 'own.csv'
  np.save(own, np.ones((10, 1)))
  other.write_text('1\n' * 10, 'utf-8')
  answers = []
  for path in (own, other):
    assert predict.main(['predict', str(sine.path), f'--data={path}']) == 0
    answers.append(capsys.readouterr().out.split('answer')[1])
  assert answers[0] == answers[1]


@pytest.mark.parametrize(
  ('name', 'data', 'said'),
  [
    ('x.txt', b'1', '.npy or .csv'),
    ('x.csv', b'a,b', 'could not convert'),
    ('x.csv', b'1,2\n3,4', 'takes 1 numbers a step'),
    ('x.csv', b'1\nnan', 'no finite number'),
    ('x.npy', b'nonsense', '--data='),
    ('x.csv', None, 'no such file'),
  ],
)
def test_files_that_do_not_fit(sine, name, data, said, tmp_path, capsys):
  path = tmp_path / name
  if data is not None:
    path.write_bytes(data)
  assert predict.main(['predict', str(sine.path), f'--data={path}']) == 2
  err = capsys.readouterr().err
  assert said in err and err.count('\n') == 1


def test_a_sound_is_answered(tmp_path, capsys, monkeypatch):
  import jax

  from lstm_jax.lab.data.files import prepared
  from lstm_jax.lab.plan import flags
  from lstm_jax.lab.run import groups
  from lstm_jax.training.loop import named

  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  held = sound_collection.Collection()
  monkeypatch.setattr(prepared, 'load', lambda *given, **more: held)
  line = '--task=urban_sound --cell=srn --hidden=3 --seeds=1 --set=task.rate='
  line += f'{sound_collection.RATE} --set=task.split=official --window=20'
  (setting,) = made(f'{line} --set=task.features=log_mel').trials
  _, trainer = groups.builder(flags.Run())(setting)
  params = dict(named(trainer.model.init(jax.random.key(3))))
  opened = kept(tmp_path / 'run', setting, params)
  record = held.splits['fold1'][0]  # of the test part
  sound = tmp_path / 'a.wav'
  sound.write_bytes(tiny_sets.wav(record['samples'], record['rate']))
  answers = []
  for word in ('--count=1', f'--data={sound}'):
    assert predict.main(['predict', str(opened.path), word]) == 0
    answers.append(capsys.readouterr().out.split()[-2:])
  assert answers[1][0] in sound_collection.CLASSES
  assert 1 / 3 - 0.1 < float(answers[1][1]) <= 1
  for name, content, code, said in (
    ('a.txt', b'', 2, 'must end in .npy or .csv or .wav or .ogg or .flac'),
    ('b.wav', b'RIFF', 65, 'b.wav: no RIFF WAVE file'),
  ):
    (tmp_path / name).write_bytes(content)
    words = ['predict', str(opened.path), f'--data={tmp_path / name}']
    assert predict.main(words) == code
    err = capsys.readouterr().err
    assert said in err and err.count('\n') == 1
