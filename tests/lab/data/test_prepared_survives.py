"""Prepared data: what is there stays until what replaces it is whole."""

import os
import pwd
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments import data
from lstm_jax.lab.data import _sounds, _spectra
from lstm_jax.lab.data.files import builders, making, opened, sources
from lstm_jax.lab.data.files.errors import BadData, Missing
from lstm_jax.lab.store import messages
from lstm_jax.lab.store.faults import Exit, StorageError, Unusable
from tests import tiny_sets as tiny
from tests.tiny_sets import CLIP, load, records

HOME = Path('lstm_jax/urban_sound/1.0.0')


@pytest.fixture
def home(tmp_path):
  """UrbanSound8K of four clips, prepared; returns its published folder."""
  made = tiny.urban(tmp_path)
  load('urban_sound', tmp_path)
  return made


def contents(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob('*')
    if path.is_file()
  }


def flip(path, at=0.5):
  content = bytearray(path.read_bytes())
  content[int(len(content) * at)] ^= 1
  path.write_bytes(content)


def test_bad_sources_leave_what_was_prepared(home, tmp_path):
  before = contents(tmp_path / HOME)
  shutil.move(home / CLIP, tmp_path / 'away.wav')
  with pytest.raises(BadData, match='is not there; .* is kept in .*1.0.0'):
    load('urban_sound', tmp_path)
  assert contents(tmp_path / HOME) == before
  assert not [*(tmp_path / 'lstm_jax').glob('.urban*')]
  away = home.rename(tmp_path / 'elsewhere')
  assert len(load('urban_sound', tmp_path, say=pytest.fail).splits) == 3
  away.rename(home)
  shutil.move(tmp_path / 'away.wav', home / CLIP)
  assert len(records(load('urban_sound', tmp_path))['fold1']) == 2


def full(*_):
  raise RuntimeError('[INTERNAL] write failed: No space left on device')


def broken(*_):
  raise KeyError('shard')


def stopped(*_):
  raise KeyboardInterrupt


@pytest.mark.parametrize(
  ('failing', 'raised', 'words'),
  [
    (full, StorageError, 'the disk is full .* prepared before is safe'),
    (broken, StorageError, "cannot be prepared .KeyError: 'shard'"),
    (stopped, KeyboardInterrupt, None),
  ],
)
def test_a_preparation_that_fails(
  failing, raised, words, home, tmp_path, monkeypatch
):
  before = contents(tmp_path / HOME)
  (home / 'audio/fold2/8-1-0-0.wav').write_bytes(tiny.wav(tiny.samples(9)))
  with monkeypatch.context() as broken_:
    broken_.setattr(builders, 'write', failing)
    with pytest.raises(raised, match=words):
      load('urban_sound', tmp_path)
  assert contents(tmp_path / HOME) == before
  assert not [*(tmp_path / 'lstm_jax').glob('.urban*')]
  assert len(records(load('urban_sound', tmp_path))['fold2'][0]['samples']) == 9


@pytest.mark.parametrize('step', range(3))
def test_a_kill_between_the_renames(step, home, tmp_path, monkeypatch):
  whole = load('urban_sound', tmp_path).checksum
  (home / 'audio/fold2/8-1-0-0.wav').write_bytes(tiny.wav(tiny.samples(9)))
  left = [step]

  class Killed(BaseException):
    """No `finally` runs after it: see `rmtree`."""

  def rename(path, target):
    if path.name in ('1.0.0', 'old') and not left[0]:
      raise Killed
    left[0] -= 1
    os.rename(path, target)

  with monkeypatch.context() as killed:
    killed.setattr(Path, 'rename', rename)
    killed.setattr(making.shutil, 'rmtree', lambda *a, **k: None)
    if step < 2:
      with pytest.raises(Killed):
        load('urban_sound', tmp_path)
    else:
      load('urban_sound', tmp_path)
  assert [*(tmp_path / 'lstm_jax').glob('.urban*')]
  shutil.rmtree(home)  # there is nothing to make it of once more
  held = load('urban_sound', tmp_path)
  assert len(records(held)['fold2'][0]['samples']) == (80 if not step else 9)
  assert (held.checksum == whole) == (not step)
  if step < 2:
    assert bool(step) != bool([*(tmp_path / 'lstm_jax').glob('.urban*')])


def test_a_prepared_set_in_a_folder_that_is_only_read(
  home, tmp_path, monkeypatch
):
  before = contents(tmp_path)
  monkeypatch.setattr(os, 'access', lambda path, mode: mode != os.W_OK)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'none'))
  assert len(records(load('urban_sound', tmp_path, say=pytest.fail))) == 3
  shutil.rmtree(home)
  assert len(records(load('urban_sound', tmp_path, say=pytest.fail))) == 3
  left = {name for name in before if name.startswith('lstm_jax')}
  assert {name: before[name] for name in left} == contents(tmp_path)


@pytest.mark.parametrize('damage', ['bit', 'cut', 'gone'])
def test_a_damaged_shard_is_named(damage, home, tmp_path, capsys, monkeypatch):
  shard = next((tmp_path / HOME).glob('*fold2*'))
  if damage == 'bit':
    monkeypatch.setattr(opened, '_SMALL_BYTES', 0)  # as of a large one
    flip(shard)
    with pytest.raises(BadData, match='fold2.*wrong checksum; delete .*1.0.0'):
      records(load('urban_sound', tmp_path))
    assert len(load('urban_sound', tmp_path).splits['fold1'][0]) == 6
    return
  shutil.rmtree(home)
  if damage == 'cut':
    shard.write_bytes(shard.read_bytes()[:-1])
  else:
    shard.unlink()
  argv = ['data', 'urban_sound', f'--data_dir={tmp_path}']
  assert data.main(argv) == Exit.BAD_DATA
  error = capsys.readouterr().err
  assert shard.name in error and 'delete ' in error and error.count('\n') == 1


@pytest.mark.parametrize('name', ['dataset_info.json', 'features.json'])
def test_what_describes_the_shards_is_checked(name, home, tmp_path):
  flip(tmp_path / HOME / name)
  said = []
  load('urban_sound', tmp_path, say=said.append)
  assert said
  flip(tmp_path / HOME / name)
  shutil.rmtree(home)
  with pytest.raises(BadData, match=f'{name}: damaged'):
    load('urban_sound', tmp_path)


@pytest.fixture
def homeless(monkeypatch):
  """A user without HOME and without an entry in passwd."""

  def nobody(uid):
    raise KeyError(uid)

  monkeypatch.setattr(pwd, 'getpwuid', nobody)
  for name in ('HOME', 'LSTM_JAX_DATA', 'TFDS_DATA_DIR', 'XDG_CACHE_HOME'):
    monkeypatch.delenv(name, raising=False)


def test_without_a_home(homeless, tmp_path, capsys):
  assert data.main(['data', 'esc10']) == Exit.UNUSABLE
  (line,) = capsys.readouterr().err.splitlines()
  assert 'no such home folder' in line
  tiny.urban(tmp_path)
  assert len(load('urban_sound', tmp_path).splits) == 3
  argv = ['data', 'esc10', '--data_dir=~nobody-here/x']
  assert data.main(argv) == Exit.USAGE


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch, capsys):
  scandir = os.scandir

  def refused(path):
    if Path(path) == tmp_path:
      raise PermissionError(13, 'Permission denied', str(path))
    return scandir(path)

  monkeypatch.setattr(sources.os, 'scandir', refused)
  argv = ['data', 'esc10', f'--data_dir={tmp_path}']
  assert data.main(argv) == Exit.UNUSABLE
  assert 'Permission denied' in capsys.readouterr().err
  monkeypatch.undo()
  with pytest.raises((Missing, Unusable)):
    load('esc10', tmp_path)


def test_a_stop_does_not_wait_for_every_sound(home, tmp_path, monkeypatch):
  held, read = load('urban_sound', tmp_path), []
  first = held.splits['fold1'][0]

  class Many:
    """A split that counts what is read of it."""

    def __len__(self):
      return 2000

    def __getitem__(self, index):
      read.append(index)
      return first | {'samples': np.zeros((44_100, 1), np.int16)}

  def stop(*lines):
    raise KeyboardInterrupt

  monkeypatch.setattr(_sounds, '_LINE_EVERY', 0.0)
  monkeypatch.setattr(messages, 'tell', stop)
  recipe = _spectra.recipe('log_mel', 25, 10, 44_100)
  with pytest.raises(KeyboardInterrupt):
    _sounds.compute(held._replace(splits={'fold1': Many()}), recipe)
  assert len(read) < 200


@pytest.mark.parametrize('error', [MemoryError(), OSError(24, 'too many open')])
def test_a_sick_machine_damages_no_record(tmp_path, error):
  """What cannot be read for want of memory is not called bad data."""

  def read(_):
    raise error

  split = opened.Records([{}], read, lambda: None, tmp_path)
  with pytest.raises(type(error)):
    split[0]
  split = opened.Records([{}], lambda _: 1 / 0, lambda: None, tmp_path)
  with pytest.raises(BadData, match='record 0 cannot be read'):
    split[0]
