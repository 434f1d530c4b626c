"""What networks on sounds and texts say of files of anybody's."""

import jax
import numpy as np
import pytest

from experiments import predict
from lstm_jax.lab.data import imdb as imdb_module
from lstm_jax.lab.data.files import prepared
from lstm_jax.lab.plan import flags
from lstm_jax.lab.run import groups
from lstm_jax.training.loop import named
from tests import sound_collection, tiny_sets
from tests.lab.data.test_text import Reviews
from tests.lab.plan.test_plan import made
from tests.lab.run.test_predict import kept


def folder_of(path, line):
  """A run folder with a network drawn anew, and how many sounds are tested."""
  (setting,) = made(f'{line} --cell=srn --hidden=3 --seeds=1').trials
  dataset, trainer = groups.builder(flags.Run())(setting)
  params = dict(named(trainer.model.init(jax.random.key(3))))
  opened = kept(path, setting, params)
  return str(opened.path), dataset.pool(setting.seed).parts['test']


def asked(capsys, *words):
  """The rows of the answer of a command, split into words."""
  assert predict.main(['predict', *map(str, words)]) == 0, capsys.readouterr()
  lines = capsys.readouterr().out.split('\n\n')[-1].splitlines()
  return [line.split() for line in lines]


def refused(capsys, *words, code=2):
  assert predict.main(['predict', *map(str, words)]) == code
  messages = capsys.readouterr()
  assert messages.out == '' and messages.err.count('\n') == 1
  return messages.err


@pytest.fixture
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  return tmp_path


def test_sounds_are_classified_as_in_the_test_part(cache, capsys, monkeypatch):
  """With the features that the network was trained on, a line each."""
  held = sound_collection.Collection()
  monkeypatch.setattr(prepared, 'load', lambda *given, **more: held)
  line = f'--task=urban_sound --set=task.rate={sound_collection.RATE}'
  line += ' --set=task.split=official --window=20 --set=task.features=log_mel'
  run, test = folder_of(cache / 'run', line)
  records = [record for fold in held.splits.values() for record in fold]
  sounds = cache / 'sounds'
  sounds.mkdir()
  for i in test:
    content = tiny_sets.wav(records[i]['samples'], records[i]['rate'])
    (sounds / f'{i:03}.wav').write_bytes(content)
  heads, *known = asked(capsys, run, '--count=999')
  assert heads == ['example', 'target', 'answer', 'probability']
  heads, *answers = asked(capsys, run, *sorted(sounds.iterdir()))
  assert heads == ['example', 'answer', 'probability']
  assert [row[1] for row in answers] == [row[2] for row in known]
  np.testing.assert_allclose(
    [float(row[2]) for row in answers],
    [float(row[3]) for row in known],
    atol=0.011,  # 16 bits of what is no integer
  )
  assert [row[0] for row in answers] == [
    str(p) for p in sorted(sounds.iterdir())
  ]
  assert asked(capsys, run, sounds)[1:] == answers  # all of a folder
  (cache / 'none').mkdir()
  assert 'the folder holds no .wav' in refused(capsys, run, cache / 'none')
  assert 'is no set of texts' in refused(capsys, run, '--text=a word')


def test_a_text_is_judged(cache, capsys, monkeypatch):
  monkeypatch.setattr(
    imdb_module.prepared_lib, 'load', lambda *given, **more: Reviews()
  )
  run, _ = folder_of(
    cache / 'run', '--task=imdb --length=6 --set=learner.embedding=4'
  )
  text = Reviews().splits['train'][0]['text'].decode()
  path = cache / 'review.txt'
  path.write_text(text, encoding='utf-8')
  heads, of_text, of_file = asked(capsys, run, path, f'--text={text}')
  assert heads == ['example', 'answer', 'probability']
  assert of_text[0] == '--text' and of_file[0] == str(path)
  assert of_text[1:] == of_file[1:] and 0.5 <= float(of_text[2]) <= 1
  path.with_suffix('.wav').write_bytes(b'')
  assert 'must end in .txt' in refused(capsys, run, path.with_suffix('.wav'))


def test_what_is_no_file_is_refused(cache, capsys):
  run, _ = folder_of(cache / 'run', '--task=noisy_sine')
  messages = refused(capsys, run, cache / 'none.npy')
  assert (
    'none.npy: there is no such file; give one run folder, then' in messages
  )
  assert 'is no set of texts' in refused(capsys, run, '--text=a word')
