"""Levels that predictors without recurrence reach: what is trivial.

Each is fitted to the training part and judged on the test part; what has to be
chosen is chosen on the validation part.

Letters: N examples, F features, K classes; n examples of a part.
"""

from collections.abc import Mapping

import numpy as np
import scipy.optimize
import scipy.sparse
import scipy.spatial

# Weights of the squared weights, from strong to weak.
PENALTIES = tuple(10.0**-power for power in range(1, 9))


def majority(
  labels: np.ndarray, parts: Mapping[str, np.ndarray], num_classes: int
) -> dict[str, float]:
  """The most frequent class of the training part.

  Args:
    labels: `[N]` classes.
    parts: 'train', 'test' -> `[n]` indices.
    num_classes: K.

  Returns:
    'loss' of the training part's frequencies (nats; one of each class is added
    to the counts), and 'accuracy', a fraction.
  """
  counts = np.bincount(labels[parts['train']], minlength=num_classes) + 1.0
  log_p = np.log(counts / counts.sum())
  test = labels[parts['test']]
  return _metrics(np.tile(log_p, (len(test), 1)), test)


def naive_bayes(
  counts: scipy.sparse.csr_array,
  labels: np.ndarray,
  parts: Mapping[str, np.ndarray],
  num_classes: int,
) -> dict[str, float]:
  """Multinomial naive Bayes, one of each word added to each class.

  Args:
    counts: `[N, F]` how often each example has each word.
    labels, parts, num_classes: as for `majority`.

  Returns:
    'loss' and 'accuracy'.
  """
  train, test = parts['train'], parts['test']
  member = np.eye(num_classes)[labels[train]]
  words = member.T @ counts[train] + 1.0
  log_word = np.log(words / words.sum(1, keepdims=True))
  frequencies = member.sum(0) + 1.0
  scores = counts[test] @ log_word.T + np.log(frequencies / frequencies.sum())
  log_p = scores - _log_sum(scores)
  return _metrics(log_p, labels[test])


def softmax_regression(
  features: np.ndarray | scipy.sparse.csr_array,
  labels: np.ndarray,
  parts: Mapping[str, np.ndarray],
  num_classes: int,
) -> dict[str, float]:
  """One linear layer, its penalty on squared weights by the validation part.

  Args:
    features: `[N, F]`, dense or sparse.
    labels, num_classes: as for `majority`.
    parts: also 'valid'.

  Returns:
    'loss' and 'accuracy'.
  """
  if isinstance(features, np.ndarray):
    # Along the principal axes nothing changes but that the fit takes a tenth
    # of the steps. Sparse, as BLAS takes 35 to 70 ms for the small products of
    # a step where other processes keep its threads waiting, these 4.
    x = features[parts['train']]
    features = scipy.sparse.csr_array(features @ np.linalg.eigh(x.T @ x)[1])
  by_part = {part: features[parts[part]] for part in ('train', 'valid', 'test')}
  weights = np.zeros((features.shape[1] + 1, num_classes))
  best = np.inf
  for penalty in PENALTIES:
    # From the weights of the stronger penalty on: fewer steps.
    weights = _fit(by_part['train'], labels[parts['train']], penalty, weights)
    log_p = _log_probabilities(by_part['valid'], weights)
    loss = _metrics(log_p, labels[parts['valid']])['loss']
    if loss > best:
      break  # weaker ones fit the training part alone, and take longest
    best, best_weights = loss, weights
  return _metrics(
    _log_probabilities(by_part['test'], best_weights), labels[parts['test']]
  )


def nearest(
  features: np.ndarray,
  labels: np.ndarray,
  parts: Mapping[str, np.ndarray],
  num_classes: int,
  neighbours: int = 5,
) -> dict[str, float]:
  """The class that most of the nearest training examples have.

  Args:
    features: `[N, F]`; near is by Euclidean distance.
    labels, parts, num_classes: as for `majority`.
    neighbours: how many vote; equal votes go to the lower class.

  Returns:
    'accuracy' alone: votes are no probabilities.
  """
  tree = scipy.spatial.KDTree(features[parts['train']])
  _, near = tree.query(features[parts['test']], neighbours)
  votes = np.eye(num_classes)[labels[parts['train']][near]].sum(1)
  return {'accuracy': float(np.mean(votes.argmax(1) == labels[parts['test']]))}


def standardised(features: np.ndarray, train: np.ndarray) -> np.ndarray:
  """Features with mean 0 and deviation 1 over the training part, float64.

  Args:
    features: `[N, F]`.
    train: indices of the training part.
  """
  features = np.asarray(features, np.float64)
  deviation = features[train].std(0)
  centred = features - features[train].mean(0)
  return centred / np.where(deviation > 0, deviation, 1.0)


def _fit(x, labels, penalty, start):
  """Weights `[F + 1, K]`, the bias last, of the least penalised loss."""
  member = np.eye(start.shape[1])[labels]
  # In units in which no direction is much steeper than another.
  steep = np.append(np.asarray((x * x).mean(0)) / 2 + penalty, 0.5)
  unit = 1 / np.sqrt(steep)[:, None]

  def loss_and_slope(vector):
    weights = vector.reshape(start.shape) * unit
    log_p = _log_probabilities(x, weights)
    loss = -np.sum(member * log_p) / len(labels)
    residual = (np.exp(log_p) - member) / len(labels)
    slope = np.vstack([x.T @ residual, residual.sum(0)])
    slope[:-1] += penalty * weights[:-1]
    loss += penalty / 2 * np.sum(weights[:-1] ** 2)
    return loss, (slope * unit).ravel()

  optimum = scipy.optimize.minimize(
    loss_and_slope,
    (start / unit).ravel(),
    jac=True,
    method='L-BFGS-B',
    options={'maxiter': 300},
  )
  return optimum.x.reshape(start.shape) * unit


def _log_probabilities(x, weights):
  scores = x @ weights[:-1] + weights[-1]
  return scores - _log_sum(scores)


def _log_sum(scores):
  highest = scores.max(1, keepdims=True)
  return highest + np.log(np.exp(scores - highest).sum(1, keepdims=True))


def _metrics(log_p, labels):
  return {
    'loss': float(-np.mean(np.take_along_axis(log_p, labels[:, None], 1))),
    'accuracy': float(np.mean(log_p.argmax(1) == labels)),
  }
