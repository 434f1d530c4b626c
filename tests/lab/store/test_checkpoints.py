"""Checkpoints come back bit by bit, or not at all."""

import math
import os
import shutil

import numpy as np
import pytest

from lstm_jax.lab.store import checkpoints, files, seal
from lstm_jax.lab.store.folder import create_or_open
from tests.fake_sweep import QUICK, damaged, make_plan


@pytest.fixture
def folder(tmp_path):
  return create_or_open(tmp_path / 'run', make_plan())


def test_arrays_come_back_bit_by_bit(folder):
  arrays = {
    'state/params/w_x': np.float32([[1, -0.0], [np.nan, np.inf]]),
    'state/rho': np.array(1e-320),
    'key': np.uint32([2**32 - 1, 0]),
    'met': np.array([True, False]),
    'none': np.zeros((3, 0, 2), np.int8),
    'swapped': np.arange(3, dtype='>i4'),
    'transposed': np.arange(6.0).reshape(2, 3).T,
    'complex': np.array([1j]),
    'half': np.float16([0.1]),
  }
  meta = {'sequence': 12, 'trials': ['a', 'b'], 'none': None}
  checkpoints.save(folder, 'lane-0', arrays, meta)
  ((name, found, loaded),), problems = checkpoints.load(folder)
  assert (name, found, problems) == ('lane-0', meta, [])
  assert list(loaded) == list(arrays)
  for key, value in arrays.items():
    assert loaded[key].shape == value.shape
    assert loaded[key].dtype == value.dtype.newbyteorder('=')
    assert loaded[key].tobytes() == value.astype(loaded[key].dtype).tobytes()
    assert loaded[key].flags.writeable and loaded[key].flags.aligned


def test_two_generations_are_kept(folder):
  for chunk in range(4):
    checkpoints.save(folder, 'b', {'x': np.full(2, chunk)}, {'chunk': chunk})
  checkpoints.save(folder, 'a', {}, {})
  names = lambda: sorted(
    p.name for p in (folder.path / 'checkpoints').iterdir()
  )
  assert names() == ['a.1', 'b.3', 'b.4']
  (folder.path / 'checkpoints' / 'b.4').write_bytes(b'')
  loaded, problems = checkpoints.load(folder)
  assert [(name, meta) for name, meta, _ in loaded] == [
    ('a', {}),
    ('b', {'chunk': 2}),
  ]
  assert len(problems) == 1 and 'cut short at 0 bytes' in problems[0]
  # A number once used for a bad file is not used again.
  checkpoints.save(folder, 'b', {}, {})
  assert names() == ['a.1', 'b.3', 'b.4.bad', 'b.5']
  checkpoints.drop(folder, 'b')
  checkpoints.drop(folder, 'never')
  assert names() == ['a.1', 'b.4.bad']
  assert [name for name, _, _ in checkpoints.load(folder)[0]] == ['a']
  checkpoints.drop_all(folder)  # what is bad is evidence
  assert names() == ['b.4.bad']


@pytest.mark.parametrize(
  'name, arrays, meta, reason',
  [
    ('a.b', {}, {}, 'allowed are 1 to 100 letters'),
    ('a', {'x': np.array([{}])}, {}, 'x: dtype object is not stored'),
    ('a', {'x': np.array(['s'])}, {}, 'x: dtype <U1 is not stored'),
    ('a', {1: np.zeros(1)}, {}, 'key 1 is not a string'),
    ('a', {}, {'error': math.nan}, 'error: nan is not finite'),
  ],
)
def test_checkpoints_that_cannot_be(folder, name, arrays, meta, reason):
  with pytest.raises(ValueError, match=reason):
    checkpoints.save(folder, name, arrays, meta)
  assert list((folder.path / 'checkpoints').iterdir()) == []


@pytest.fixture
def saved(tmp_path):
  """A folder with two generations of a checkpoint."""
  folder = create_or_open(tmp_path / 'run', make_plan(), disk=QUICK)
  for chunk in (1, 2):
    arrays = {'state/x': np.arange(2.0) + chunk}
    checkpoints.save(folder, 'lane', arrays, {'chunk': chunk})
  return folder


def test_every_damage_to_a_checkpoint_is_seen(saved):
  file = saved.path / 'checkpoints' / 'lane.2'
  whole = file.read_bytes()
  for data in damaged(whole):
    file.write_bytes(data)
    ((name, meta, arrays),), problems = checkpoints.load(saved)
    assert (name, meta) == ('lane', {'chunk': 1})
    assert arrays['state/x'].tolist() == [1.0, 2.0]
    assert len(problems) == 1 and str(file) in problems[0]
    bad = file.with_name('lane.2.bad')
    assert bad.read_bytes() == data and not file.exists()
    bad.unlink()


def reseal(file, old, new):
  """Changes the header of a checkpoint and seals it again."""
  payload = seal.unseal(file.read_bytes(), file)
  assert payload.count(old) == 1 and len(old) == len(new)
  file.write_bytes(seal.seal(payload.replace(old, new)))


@pytest.mark.parametrize(
  'old, new, reason',
  [
    (b'[2]]', b'[9]]', 'do not fit'),
    (b'"<f8", [2]', b'"<f4", [2]', 'do not fit'),
    (b'"<f8", [2]', b'"|O", [2] ', 'not stored'),
    (b'"<f8", [2]', b'"zzz", [2]', 'not understood'),
    (b'"<f8", [2]', b'"<f8",[-2]', 'do not fit'),
    (b'"lane"', b'"line"', 'misplaced'),
    (b'"generation": 2', b'"generation": 3', 'misplaced'),
    (b'"meta"', b'"mate"', 'not a checkpoint'),
  ],
)
def test_a_checkpoint_that_lies_is_refused(saved, old, new, reason):
  reseal(saved.path / 'checkpoints' / 'lane.2', old, new)
  ((_, meta, _),), problems = checkpoints.load(saved)
  assert meta == {'chunk': 1}
  assert reason in problems[0]


def test_a_huge_file_is_not_read(saved):
  file = saved.path / 'checkpoints' / 'lane.2'
  os.truncate(file, files.LARGEST + 1)
  ((_, meta, _),), problems = checkpoints.load(saved)
  assert meta == {'chunk': 1} and 'more than' in problems[0]


def test_checkpoints_swapped_in_from_elsewhere(saved, tmp_path):
  lane = saved.path / 'checkpoints'
  shutil.copy(lane / 'lane.2', lane / 'other.1')
  foreign = create_or_open(
    tmp_path / 'foreign', make_plan(trials=2), disk=QUICK
  )
  checkpoints.save(foreign, 'lane', {}, {})
  shutil.copy(foreign.path / 'checkpoints' / 'lane.1', lane / 'lane.3')
  loaded, problems = checkpoints.load(saved)
  assert [(name, meta) for name, meta, _ in loaded] == [('lane', {'chunk': 2})]
  assert len(problems) == 2 and all('misplaced' in p for p in problems)
