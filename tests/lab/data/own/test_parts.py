"""Parts of one's own data: the same on every machine, nothing in two."""

import numpy as np
import pytest

from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.own import arrays, parts, scaling, sequences
from tests import own_data

# Of `own_data.arrays()`.
EXPECTED = {'test': [2, 5, 10, 17], 'valid': [6, 9, 14, 21]}


def held(tmp_path, **changes):
  return arrays.read(own_data.npz(tmp_path / 'a.npz', **changes))


def drawn(some, seed=0, valid=0.15, test=0.15):
  return parts.parts_of('a.npz', some, valid, test, seed)


def test_the_draw_is_this_one_on_every_machine(tmp_path):
  found, how = drawn(held(tmp_path))
  assert found['test'].tolist() == EXPECTED['test']
  assert found['valid'].tolist() == EXPECTED['valid']
  assert 'drawn, class by class, seed 0, the same on every machine' in how
  assert '16 to train, 4 to validate, 4 to test' in how
  other, _ = drawn(held(tmp_path), seed=1)
  assert other['test'].tolist() != found['test'].tolist()


def test_every_sequence_is_in_one_part_and_every_class_in_each(tmp_path):
  y = own_data.classes(4)
  found, _ = drawn(held(tmp_path, targets=y))
  whole = np.concatenate(list(found.values()))
  assert sorted(whole.tolist()) == list(range(own_data.COUNT))
  for part in found.values():
    assert set(y[part]) == {0, 1, 2, 3}


def test_the_order_of_the_file_changes_nothing(tmp_path):
  order = np.random.default_rng(3).permutation(own_data.COUNT)
  one, _ = drawn(held(tmp_path))
  some = {k: v[order] for k, v in own_data.arrays().items()}
  other, _ = drawn(held(tmp_path, **some))
  for part, where in one.items():
    assert sorted(order[other[part]].tolist()) == where.tolist()


def test_sequences_that_are_equal_stay_together(tmp_path):
  half = own_data.COUNT // 2
  some = {
    k: np.concatenate([v[:half], v[:half]])
    for k, v in own_data.arrays().items()
  }
  found, _ = drawn(held(tmp_path, **some), test=0.3)
  for where in found.values():
    assert set(where) == {(i + half) % own_data.COUNT for i in where}


def test_a_file_without_a_validation_part_lends_one_from_training(tmp_path):
  words = np.array(['train'] * 16 + ['test'] * 8)
  some = held(tmp_path, split=words)
  found, how = drawn(some)
  assert found['test'].tolist() == list(range(16, 24))
  assert len(found['valid']) == 2 and max(found['valid']) < 16
  assert 'test as the file says; the validation part is drawn' in how
  words[:2] = 'val'
  found, how = drawn(held(tmp_path, split=words))
  assert found['valid'].tolist() == [0, 1] and 'as the file says' in how


def test_a_class_that_is_too_small_for_three_parts(tmp_path):
  y = own_data.classes()
  y[2:] = 1
  y[0] = 0
  y[1] = 0
  with pytest.raises(BadData, match='2 different sequences of class 0'):
    drawn(held(tmp_path, targets=y))


def test_scales_are_of_the_training_part_alone(tmp_path):
  some = held(tmp_path)
  found, _ = drawn(some)
  scale = scaling.of_inputs(some, found['train'])
  ends = some.starts + some.lengths
  steps = np.concatenate(
    [some.inputs[some.starts[i] : ends[i]] for i in found['train']]
  )
  scaled = scale.scaled(steps)
  assert np.allclose(scaled.mean(0), 0, atol=1e-6)
  assert np.allclose(scaled.std(0), 1, atol=1e-6)
  assert np.allclose(scale.restored(scaled), steps, atol=1e-5)
  padded = scaling.padded(some.inputs, some, scale)
  assert padded.dtype == np.float32
  assert not padded[np.arange(6) >= some.lengths[:, None]].any()


def test_a_small_deviation_of_large_numbers_is_seen():
  rows = 1e9 + np.array([[0.0], [1.0], [2.0], [3.0]])
  scale = scaling.of_rows([rows[:2], rows[2:]], 1)
  assert scale.mean == 1e9 + 1.5
  assert scale.deviation == pytest.approx(np.sqrt(1.25))
  assert scaling.of_rows([0 * rows + 5], 1).deviation == 1


def test_digests_are_of_the_numbers(tmp_path):
  one = sequences.digests(held(tmp_path))
  assert one['inputs'].startswith('24x') and one['split'] == 'drawn'
  assert f'x{own_data.lengths().sum()}x2-' in one['inputs']
  x = own_data.inputs()
  x[0, 0, 0] += 1e-9
  other = sequences.digests(held(tmp_path, inputs=x))
  assert other['inputs'] != one['inputs']
  assert other['targets'] == one['targets']
  y = own_data.classes()
  y[0] = 1
  other = sequences.digests(held(tmp_path, targets=y))
  assert other['targets'] != one['targets']
  assert other['inputs'] == one['inputs']
