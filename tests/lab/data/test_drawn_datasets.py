"""Sine and marked product: what is drawn, against loops and known figures."""

import numpy as np
import pytest

from lstm_jax.lab.data.marked_product import marked_product
from lstm_jax.lab.data.noisy_sine import noisy_sine

DRAWN = {'noisy_sine': noisy_sine, 'marked_product': marked_product}


@pytest.mark.parametrize('name', DRAWN)
def test_a_seed_is_a_data_set(name):
  one, again = (DRAWN[name]().pool(3) for _ in range(2))
  other = DRAWN[name]().pool(4)
  for a, b, c in zip(
    one.examples[:2], again.examples[:2], other.examples[:2], strict=True
  ):
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_the_sine_as_taught():
  pool = noisy_sine().pool(0)
  inputs, targets, _ = pool.examples
  # 50 points make 40 windows of ten; each is asked for itself shifted by one.
  assert inputs.shape == targets.shape == (40, 10, 1)
  np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
  np.testing.assert_array_equal(inputs[1:, -1], targets[:-1, -1])
  assert pool.parts['train'].tolist() == list(range(40))
  assert pool.parts['test'] is pool.parts['train']
  x = np.linspace(-2 * np.pi, 2 * np.pi, 50)
  series = np.array(
    [
      np.concatenate([p[0, :, 0], t[:, -1, 0]])
      for p, t, _ in (noisy_sine().pool(seed).examples for seed in range(400))
    ]
  )
  np.testing.assert_allclose(series.mean(0), np.sin(x), atol=0.025)
  assert abs((series - np.sin(x)).std() - 0.1) < 0.003  # 20,000 draws


@pytest.mark.parametrize('window', [1, 7])
def test_no_window_of_the_sine_reaches_over_an_edge(window):
  dataset = noisy_sine(window=window, points=40, split='continuation')
  pool = dataset.pool(1)
  inputs = pool.examples.inputs[:, 0, 0]
  place = {value: i for i, value in enumerate(inputs.tolist())}
  seen = {}
  for name, index in pool.parts.items():
    examples = pool.examples.inputs[index], pool.examples.targets[index]
    values = set(np.concatenate(examples, axis=None).tolist())
    seen[name] = values
    first = min(place[v] for v in values if v in place)
    assert first == {'train': 0, 'valid': 40, 'test': 50}[name]
    assert len(values) == {'train': 40, 'valid': 10, 'test': 30}[name]
  assert not seen['train'] & seen['valid'] and not seen['valid'] & seen['test']


def test_levels_of_the_sine_against_loops():
  dataset = noisy_sine(window=5, points=60, split='continuation')
  pool = dataset.pool(2)
  levels = dataset.levels(pool)

  def pairs(part):
    inputs, targets, _ = (
      a if a is None else a[pool.parts[part], :, 0].astype(float)
      for a in pool.examples
    )
    first = [(1, x[0], y[0]) for x, y in zip(inputs, targets, strict=True)]
    later = [
      (1, x[t], x[t - 1], y[t])
      for x, y in zip(inputs, targets, strict=True)
      for t in range(1, 5)
    ]
    return np.array(first), np.array(later)

  total, count, last = 0.0, 0, 0.0
  for train, test in zip(pairs('train'), pairs('test'), strict=True):
    a, b = train[:, :-1], train[:, -1]
    weights = np.linalg.solve(a.T @ a, a.T @ b)
    total += ((test[:, :-1] @ weights - test[:, -1]) ** 2).sum()
    last += ((test[:, 1] - test[:, -1]) ** 2).sum()
    count += len(test)
  assert levels['AR(2)']['loss'] == pytest.approx(total / count, rel=1e-9)
  assert levels['persistence']['loss'] == pytest.approx(last / count, rel=1e-9)


def test_a_free_run_feeds_the_net_its_own_outputs():
  dataset = noisy_sine(window=3)
  pool = dataset.pool(0)
  asked = []

  def predict(inputs):
    asked.append(inputs[0, :, 0].tolist())
    return 10.0 * len(asked) + np.arange(3.0)[None, :, None]

  found = dataset.after(predict, pool)
  assert asked[0] == pool.examples.inputs[0, :, 0].tolist()
  assert found['free_run'][:3] == [12.0, 22.0, 32.0]
  assert asked[3] == [12.0, 22.0, 32.0]
  assert len(found['free_run']) == len(asked) == 47
  assert found['start'] == 3 and found['fitted'] == 50
  np.testing.assert_allclose(
    found['free_run_rmse'],
    np.sqrt(np.mean((np.array(found['free_run']) - found['clean'][3:]) ** 2)),
  )


@pytest.mark.parametrize('length', [2, 9])
def test_a_product_is_of_the_two_marked(length):
  dataset = marked_product(length=length, train=300, valid=40, test=50)
  pool = dataset.pool(5)
  inputs, targets, lengths = pool.examples
  assert lengths is None and inputs.shape == (390, length, 2)
  places = []
  for x, y in zip(inputs, targets[:, 0], strict=True):
    marked = [v for m, v in x if m == 1]
    assert len(marked) == 2 and set(x[:, 0]) <= {0, 1}
    assert y == np.float32(marked[0]) * np.float32(marked[1])
    places += np.flatnonzero(x[:, 0]).tolist()
  counts = np.bincount(places, minlength=length)
  # Uniform: chi-squared below its 99.99 % point (27.9 for 8 degrees).
  assert ((counts - 780 / length) ** 2 / (780 / length)).sum() < 30
  held = [pool.parts[name].tolist() for name in ('train', 'valid', 'test')]
  assert list(map(len, held)) == [300, 40, 50]
  assert sorted(sum(held, [])) == list(range(390))


def test_levels_of_the_product_are_those_known():
  # Of four million sequences: .0486 and 11.1 %, 28.2 %, .0020 and 66 %.
  dataset = marked_product(length=2, train=20_000, valid=1, test=40_000)
  levels = dataset.levels(dataset.pool(0))
  mean, often, quadratic = levels.values()
  assert mean['loss'] == pytest.approx(0.0486, abs=0.001)
  assert mean['accuracy'] == pytest.approx(0.111, abs=0.01)
  assert often['accuracy'] == pytest.approx(0.282, abs=0.01)
  assert quadratic['loss'] == pytest.approx(0.0020, abs=0.0002)
  assert quadratic['accuracy'] == pytest.approx(0.66, abs=0.015)


def test_refusals():
  with pytest.raises(ValueError, match='window=50: must be below 50'):
    noisy_sine(window=50)
  with pytest.raises(ValueError, match='window=12: must be below 12'):
    noisy_sine(window=12, split='continuation')
  with pytest.raises(ValueError, match='length=1 must be at least 2'):
    marked_product(length=1)
