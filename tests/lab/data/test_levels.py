"""Predictors without recurrence: each against its definition."""

import numpy as np
import pytest
import scipy.sparse

from lstm_jax.lab.data import _levels

CLASSES = 3


def drawn(n=90, features=4, seed=0):
  random = np.random.RandomState(seed)
  labels = random.randint(0, CLASSES, n).astype(np.int32)
  x = random.normal(0, 1, (n, features)) + labels[:, None] * [1, -0.5, 0, 0]
  cut = np.split(random.permutation(n), [n // 2, n * 2 // 3])
  return x, labels, dict(zip(('train', 'valid', 'test'), cut, strict=True))


def test_majority_is_the_training_parts():
  labels = np.array([0, 1, 1, 2, 0, 0, 1], np.int32)
  parts = {'train': np.arange(4), 'test': np.arange(4, 7)}
  level = _levels.majority(labels, parts, CLASSES)
  assert level['accuracy'] == pytest.approx(1 / 3)
  # (1, 2, 1) and one each: 2/7, 3/7, 2/7.
  expected = -(2 * np.log(2 / 7) + np.log(3 / 7)) / 3
  assert level['loss'] == pytest.approx(expected)


def test_naive_bayes_is_bayes():
  _, labels, parts = drawn()
  counts = np.random.RandomState(1).poisson(1 + labels[:, None], (90, 5))
  level = _levels.naive_bayes(
    scipy.sparse.csr_array(counts.astype(float)), labels, parts, CLASSES
  )
  train, right, loss = parts['train'], 0, 0.0
  for i in parts['test']:
    scores = []
    for k in range(CLASSES):
      of_class = counts[train][labels[train] == k]
      chance = (of_class.sum(0) + 1) / (of_class.sum() + 5)
      prior = (len(of_class) + 1) / (len(train) + CLASSES)
      scores.append(prior * np.prod(chance ** counts[i]))
    right += np.argmax(scores) == labels[i]
    loss -= np.log(scores[labels[i]] / sum(scores))
  n = len(parts['test'])
  assert level['accuracy'] == pytest.approx(right / n)
  assert level['loss'] == pytest.approx(loss / n)


@pytest.mark.parametrize('penalty', [1e-1, 1e-4])
def test_the_fit_has_the_least_penalised_loss(penalty):
  x, labels, parts = drawn()
  x, labels = x[parts['train']], labels[parts['train']]
  start = np.zeros((5, CLASSES))
  weights = _levels._fit(scipy.sparse.csr_array(x), labels, penalty, start)
  scores = np.exp(x @ weights[:-1] + weights[-1])
  wrong = scores / scores.sum(1, keepdims=True) - np.eye(CLASSES)[labels]
  slope = x.T @ wrong / len(x) + penalty * weights[:-1]
  assert np.abs(slope).max() < 1e-4
  assert np.abs(wrong.mean(0)).max() < 1e-4


def test_softmax_regression_is_the_same_dense_and_sparse():
  x, labels, parts = drawn()
  dense = _levels.softmax_regression(x, labels, parts, CLASSES)
  sparse = scipy.sparse.csr_array(x)
  other = _levels.softmax_regression(sparse, labels, parts, CLASSES)
  assert dense['accuracy'] == other['accuracy'] > 0.4
  assert dense['loss'] == pytest.approx(other['loss'], rel=1e-3)


def test_the_test_part_chooses_no_penalty():
  x, labels, parts = drawn()
  found = _levels.softmax_regression(x, labels, parts, CLASSES)
  halves = np.array_split(parts['test'], 2)
  of_halves = [
    _levels.softmax_regression(x, labels, parts | {'test': half}, CLASSES)
    for half in halves
  ]
  mean = np.average(
    [level['loss'] for level in of_halves], weights=list(map(len, halves))
  )
  assert mean == pytest.approx(found['loss'])


def test_nearest_are_the_nearest():
  x, labels, parts = drawn()
  level = _levels.nearest(x, labels, parts, CLASSES, 5)
  right = 0
  for i in parts['test']:
    distance = np.linalg.norm(x[parts['train']] - x[i], axis=1)
    near = labels[parts['train']][np.argsort(distance)[:5]]
    right += np.bincount(near, minlength=CLASSES).argmax() == labels[i]
  assert level == {'accuracy': right / len(parts['test'])}


def test_standardised_by_the_training_part():
  x, _, parts = drawn()
  x[:, 2] = 7
  found = _levels.standardised(x, parts['train'])
  train = found[parts['train']]
  np.testing.assert_allclose(train.mean(0), 0, atol=1e-12)
  np.testing.assert_allclose(train.std(0), [1, 1, 0, 1])
