"""Arrays made once: kept whole, made again where they are not."""

import os
import pwd

import numpy as np
import pytest

from lstm_jax.lab.data import _cache
from lstm_jax.lab.store.faults import StorageError


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  return _cache.folder()


class Maker:
  """Counts how often it was asked."""

  def __init__(self):
    self.times = 0

  def __call__(self):
    self.times += 1
    return {
      'x': np.arange(12, dtype=np.float32).reshape(3, 4).T,
      'flags': np.array([True, False]),
    }


def check(arrays):
  for name, expected in Maker()().items():
    np.testing.assert_array_equal(arrays[name], expected)
    assert arrays[name].dtype == expected.dtype


def test_what_was_made_is_not_made_again(folder):
  make = Maker()
  for _ in range(3):
    check(_cache.cached('set', {'a': 1}, make))
  assert make.times == 1
  assert len(list(folder.iterdir())) == 3


def test_other_settings_are_another_set():
  make = Maker()
  for settings in ({'a': 1}, {'a': 2}, {'b': 1}, {'a': '1'}):
    _cache.cached('set', settings, make)
  assert make.times == 4


def test_what_is_read_cannot_be_written_to():
  arrays = _cache.cached('set', {}, Maker())
  with pytest.raises(ValueError, match='read-only'):
    arrays['x'][0, 0] = 1


def flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


@pytest.mark.parametrize('which', ['*.x', '*.json'])
@pytest.mark.parametrize(
  'damage',
  [
    flip,
    lambda path: path.write_bytes(path.read_bytes()[:-3]),
    lambda path: path.write_bytes(b''),
    lambda path: path.write_bytes(path.read_bytes() + b'0000'),
    lambda path: path.unlink(),
  ],
  ids=['flipped', 'cut', 'empty', 'longer', 'gone'],
)
def test_a_damaged_set_is_made_again(folder, which, damage):
  make = Maker()
  _cache.cached('set', {}, make)
  (path,) = folder.glob(which)
  damage(path)
  check(_cache.cached('set', {}, make))
  check(_cache.cached('set', {}, make))
  assert make.times == 2


def test_a_killed_writer_leaves_no_set(folder, monkeypatch):
  make = Maker()
  publish = _cache.files.publish

  def stops(path, data, **options):
    if str(path).endswith('.json'):
      raise KeyboardInterrupt
    publish(path, data, **options)

  monkeypatch.setattr(_cache.files, 'publish', stops)
  with pytest.raises(KeyboardInterrupt):
    _cache.cached('set', {}, make)
  monkeypatch.setattr(_cache.files, 'publish', publish)
  check(_cache.cached('set', {}, make))
  assert make.times == 2


def test_a_full_disk_is_said_and_no_fault(monkeypatch, capsys):
  def full(*args, **kwargs):
    raise StorageError('x: No space left on device')

  monkeypatch.setattr(_cache.files, 'publish', full)
  check(_cache.cached('set', {}, Maker()))
  assert 'set: made, but not kept for next time: x: No space' in (
    capsys.readouterr().err
  )


def test_a_folder_that_cannot_be_made_is_no_fault(
  monkeypatch, tmp_path, capsys
):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  check(_cache.cached('set', {}, Maker()))
  assert 'not kept' in capsys.readouterr().err


def reworded(path, old, new):
  """Another list, of the same length where it can be, its seal as it was."""
  text = path.read_text()
  assert old in text
  path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
  ('old', 'new'),
  [
    ('<f4', '>f4'),
    ('<f4', '<i4'),
    ('<f4', '|O8'),
    ('"x"', '"y"'),
    ('"a": 1', '"a": 2'),
    ('  4,\n          3', '  3,\n          4'),
    ('  4,', ' -4,'),
    ('  4,', '  4000000000000,'),
  ],
)
def test_what_the_list_says_is_checked_too(folder, old, new):
  make = Maker()
  _cache.cached('set', {'a': 1}, make)
  (path,) = folder.glob('*.json')
  reworded(path, old, new)
  if new == '"y"':
    next(folder.glob('*.x')).rename(str(path)[: -len('json')] + 'y')
  check(_cache.cached('set', {'a': 1}, make))
  assert make.times == 2


@pytest.mark.parametrize('which', ['*.x', '*.json'])
def test_no_file_of_a_set_is_waited_for(folder, which):
  make = Maker()
  _cache.cached('set', {}, make)
  (path,) = folder.glob(which)
  path.unlink()
  os.mkfifo(path)
  check(_cache.cached('set', {}, make))
  assert make.times == 2


def test_without_a_home_nothing_is_kept(monkeypatch, capsys):
  def nobody(uid):
    raise KeyError(uid)

  monkeypatch.setattr(pwd, 'getpwuid', nobody)
  monkeypatch.delenv('HOME', raising=False)
  monkeypatch.setenv('XDG_CACHE_HOME', '')
  check(_cache.cached('set', {}, Maker()))
  assert 'not kept for next time' in capsys.readouterr().err
