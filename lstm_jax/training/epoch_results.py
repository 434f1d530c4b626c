"""Results of networks on the parts of their data: sums, scores, confusion."""

from collections.abc import Callable
from typing import NamedTuple, TypedDict

import jax
import numpy as np

from lstm_jax.dataset import Dataset, Examples, Pool
from lstm_jax.training.batches import in_batches
from lstm_jax.training.loop import Job, named
from lstm_jax.training.trainer import State, Sums
from lstm_jax.types import Array

_EVALUATION_BATCH = 128
_EVALUATION_BATCHES = 16  # measured in one call


class Judge(NamedTuple):
  """The data that a group of networks is measured on.

  Attributes:
    dataset: the `Dataset`.
    pools: of each lane.
    examples: of the pools, on the device; one for all lanes where they share.
    measure: `(params, examples, order, weights) -> Sums` of each lane.
    outputs: `(params, inputs, lengths) -> outputs` of one network.
  """

  dataset: Dataset
  pools: tuple[Pool, ...]
  examples: Examples
  measure: Callable[..., Sums]
  outputs: Callable[..., Array]

  @property
  def counts_right(self) -> bool:
    """Tells whether an output can be right."""
    return self.dataset.loss != 'squared' or self.dataset.tolerance > 0

  @property
  def validates(self) -> bool:
    """Tells whether there is a validation part."""
    return 'valid' in self.pools[0].parts


class Nets(NamedTuple):
  """Nets between two batches.

  Attributes:
    jobs: of the lanes.
    state: of the trainer, a lane axis first, on the device.
    best: params of the best epochs so far.
    curves: name -> `[lanes, epochs]`, nan where not known yet.
    epoch, batch: the next batch is this one of this epoch, counted from 0;
      after the last batch of an epoch comes its validation.
    valid: pieces of the validation part that were measured, and their sums.
    seconds: device time so far, of all lanes.
    feed: `(epoch, order, weights)` of the examples, on the device, or None.
  """

  jobs: tuple[Job, ...]
  state: State
  best: object
  curves: dict[str, np.ndarray]
  epoch: int
  batch: int
  valid: tuple[int, Sums | None]
  seconds: float
  feed: tuple[int, Array, Array] | None


class Best(TypedDict, total=False):
  """Results of the network of the best epoch by validation."""

  epoch: int  # counted from 1
  valid_loss: float
  valid_accuracy: float
  test: dict[str, float]


class TrainedNet(NamedTuple):
  """A network after its last epoch.

  Attributes:
    curves: name -> list of one value an epoch; those that do not apply (no
      validation part, no accuracy) are absent.
    test: {'loss', 'accuracy', 'right', 'total'} on the test part; accuracy and
      right are absent where nothing can be right.
    best: the same of the network of the best epoch by validation, with 'epoch',
      counted from 1; None without a validation part.
    confusion: `[K, K]` counts on the test part, rows the true class; None where
      there are no classes.
    after: of `Dataset.after`; {} without.
    finite: whether every error was.
    seconds: device time, the lane's share.
    params: of the network of the best epoch, without a validation part of the
      last: name -> array, see `loop.named`.
  """

  curves: dict[str, list[float]]
  test: dict[str, float]
  best: Best | None
  confusion: list[list[int]] | None
  after: dict[str, object]
  finite: bool
  seconds: float
  params: dict[str, np.ndarray]


def measured_piece(
  judge: Judge, part: str, params: object, at: int
) -> tuple[Sums, bool]:
  """`(Sums, whether it was the last)` of the at-th piece of a part."""
  orders = [
    in_batches(pool.parts[part], _EVALUATION_BATCH, _EVALUATION_BATCHES)
    for pool in judge.pools
  ]
  order, weights = (np.stack(a) for a in zip(*orders, strict=True))
  piece = slice(at * _EVALUATION_BATCHES, (at + 1) * _EVALUATION_BATCHES)
  sums = judge.measure(
    params, judge.examples, order[:, piece], weights[:, piece]
  )
  sums = jax.tree.map(lambda a: np.asarray(a, np.float64), sums)
  return sums, piece.stop >= order.shape[1]


def score_of(judge: Judge, nets: Nets) -> np.ndarray:
  """`[lanes, epochs]` of the validation part, the larger the better."""
  if judge.dataset.loss == 'squared':
    score = -nets.curves['valid_loss']
  else:
    score = nets.curves['valid_accuracy']
  return np.nan_to_num(score, nan=-np.inf)


def trained_of(judge: Judge, nets: Nets) -> list[TrainedNet]:
  """A `TrainedNet` of each lane."""
  test = _test_scores(judge, nets.state.params)
  best = _test_scores(judge, nets.best) if judge.validates else []
  # Lanes are taken apart here: on the device each size is one more program.
  last = jax.tree.map(np.asarray, nets.state.params)
  nets_kept = jax.tree.map(np.asarray, nets.best) if judge.validates else last
  trained_nets = []
  for i, pool in enumerate(judge.pools):
    curves = {
      name: curve[i].tolist()
      for name, curve in nets.curves.items()
      if not np.all(np.isnan(curve[i])) or name == 'train_loss'
    }
    params = jax.device_put(jax.tree.map(lambda a, i=i: a[i], last))
    confusion = _confusion(judge, params, pool)
    statistics = {}
    if judge.dataset.after is not None:
      predict = lambda xs, p=params: np.asarray(judge.outputs(p, xs))
      statistics = judge.dataset.after(predict, pool)
    best_of = None
    if judge.validates:
      epoch = int(np.argmax(score_of(judge, nets)[i]))
      best_of = Best(epoch=epoch + 1, test=best[i])
      if 'valid_loss' in curves:
        best_of['valid_loss'] = curves['valid_loss'][epoch]
      if 'valid_accuracy' in curves:
        best_of['valid_accuracy'] = curves['valid_accuracy'][epoch]
    finite = np.all(np.isfinite(nets.curves['train_loss'][i]))
    finite = finite and np.isfinite(test[i]['loss'])
    trained_nets.append(
      TrainedNet(
        curves,
        test[i],
        best_of,
        confusion,
        statistics,
        bool(finite),
        nets.seconds / len(nets.jobs),
        {name: np.asarray(leaf[i]) for name, leaf in named(nets_kept)},
      )
    )
  return trained_nets


def metrics_of(net: TrainedNet, dataset: Dataset) -> dict[str, float | None]:
  """The numbers of a `TrainedNet`, by the names that records have for them."""
  test, total = net.test, net.test['total']
  metrics: dict[str, float | None] = {
    'test_loss': test['loss'],
    'test_total': total,
  }
  if 'right' in test:
    metrics['test_accuracy'] = test['accuracy']
    metrics['test_wrong'] = total - test['right']
  if dataset.loss == 'squared':
    metrics['test_squared'] = test['loss']
  if net.best:
    metrics['best_epoch'] = net.best['epoch']
    metrics |= {
      f'best_test_{name}': net.best['test'][name]
      for name in ('loss', 'accuracy')
      if name in net.best['test']
    }
  return metrics | {name: curve[-1] for name, curve in net.curves.items()}


def _test_scores(judge, params):
  """{'loss', ...} of each lane on its test part."""
  total, last = measured_piece(judge, 'test', params, 0)
  at = 1
  while not last:
    sums, last = measured_piece(judge, 'test', params, at)
    total = jax.tree.map(np.add, total, sums)
    at += 1
  scores = []
  for loss, right, count in zip(*total, strict=True):
    score = {'loss': float(loss / count), 'total': int(count)}
    if judge.counts_right:
      score |= {'accuracy': float(right / count), 'right': int(right)}
    scores.append(score)
  return scores


def _confusion(judge, params, pool):
  classes = len(judge.dataset.classes)
  if not classes:
    return None
  test = pool.parts['test']
  counts = np.zeros((classes, classes), int)
  order, _ = in_batches(test, _EVALUATION_BATCH)
  for at, index in enumerate(order):
    examples = jax.tree.map(lambda a, index=index: a[index], pool.examples)
    outputs = np.asarray(
      judge.outputs(params, examples.inputs, examples.lengths)
    )
    is_binary = outputs.shape[-1] == 1
    predictions = outputs[..., 0] > 0.5 if is_binary else np.argmax(outputs, -1)
    left = min(len(test) - at * _EVALUATION_BATCH, _EVALUATION_BATCH)
    counts_in = np.arange(len(predictions)) < left
    if judge.dataset.every_step:
      steps = np.arange(predictions.shape[1])
      ends = (
        predictions.shape[1]
        if examples.lengths is None
        else examples.lengths[:, None]
      )
      counts_in = counts_in[:, None] & (steps < ends)
    np.add.at(
      counts,
      (examples.targets[counts_in], predictions[counts_in].astype(int)),
      1,
    )
  return counts.tolist()
