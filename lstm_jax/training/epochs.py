"""Epochs of training: several nets side by side, one lane a net, on one device.

The lanes share a compiled program and differ in seed, data and learning rate.
What the order of the examples is follows from seed and epoch alone, so that
training can stop between any two batches and go on to the same bits.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_jax.training.batches import in_batches, order_of
from lstm_jax.training.examples import CURVES, Examples, Pool
from lstm_jax.training.snapshot import Snapshot, named, restored
from lstm_jax.training.trainer import Trainer, no_sums

# Between two looks at whether to stop.
_CHUNK_SECONDS = 0.5
_EVALUATION_BATCH = 128
_EVALUATION_BATCHES = 16  # measured in one call


class Lane(NamedTuple):
  """One net to train.

  Attributes:
    seed: of its weights, its order of examples and its pool.
    learning_rate: alpha.
  """

  seed: int
  learning_rate: float


class Trained(NamedTuple):
  """A net after its last epoch.

  Attributes:
    curves: name -> list of one value an epoch; those that do not apply (no
      validation part, no accuracy) are absent.
    test: {'loss', 'accuracy', 'right', 'total'} on the test part; accuracy and
      right are absent where nothing can be right.
    best: the same of the net of the best epoch by validation, with 'epoch',
      counted from 1; None without a validation part.
    confusion: `[K, K]` counts on the test part, rows the true class; None where
      there are no classes.
    after: of `Dataset.after`; {} without.
    finite: whether every error was.
    seconds: device time, the lane's share.
    params: of the net of the best epoch, without a validation part of the
      last: name -> array, see `snapshot.named`.
  """

  curves: dict[str, list[float]]
  test: dict[str, float]
  best: dict[str, Any] | None
  confusion: list[list[int]] | None
  after: dict[str, Any]
  finite: bool
  seconds: float
  params: dict[str, np.ndarray]


def train(
  trainer: Trainer,
  dataset,
  pools: Sequence[Pool],
  lanes: Sequence[Lane],
  epochs: int,
  *,
  device=None,
  start: Snapshot | None = None,
  look: Callable[..., bool] = lambda *at: False,
) -> list[Trained] | None:
  """Trains nets side by side.

  Args:
    trainer: a `trainer.Trainer`.
    dataset: the `Dataset`.
    pools: of each lane; parts of the same sizes.
    lanes: the nets.
    epochs: to train, at least 1.
    device: where; None: jax's default.
    start: where to go on from; None: the beginning.
    look: `(epoch, batch, batches, curves, snapshot) -> stop`, called every half
      second or so between two batches; `curves` are those of a `Snapshot` so
      far, `snapshot()` makes one.

  Returns:
    One `Trained` a lane, or None where `look` said stop.

  Raises:
    ValueError: `epochs` below 1; pools whose parts differ in size; a snapshot
      of another net.
  """
  if epochs < 1:
    raise ValueError(f'epochs={epochs} must be at least 1')
  sizes = [{name: len(i) for name, i in pool.parts.items()} for pool in pools]
  if any(size != sizes[0] for size in sizes):
    raise ValueError(f'pools differ in their parts: {sizes}')
  run = _Run(trainer, dataset, pools, lanes, epochs, device)
  run.set_out(start)
  for epoch in range(run.epoch, epochs):
    if not run.run_epoch(epoch, look):
      return None
  return run.results()


class _Run:
  """The arrays of one group of lanes on their device."""

  def __init__(self, trainer, dataset, pools, lanes, epochs, device):
    self._trainer, self._dataset, self._lanes = trainer, dataset, lanes
    self._pools, self._epochs = pools, epochs
    self._put = functools.partial(jax.device_put, device=device)
    shared = all(
      mine is first
      for pool in pools
      for mine, first in zip(pool.examples, pools[0].examples, strict=True)
    )
    axis = None if shared else 0
    examples = (
      pools[0].examples
      if shared
      else jax.tree.map(lambda *a: np.stack(a), *(p.examples for p in pools))
    )
    self._examples: Examples = self._put(examples)
    self._start, self._advance, self._measure, self._outputs = _compiled(
      trainer, axis
    )
    self.epoch = self._batch = 0
    self._seconds = 0.0
    self._chunk = 1

  def set_out(self, start):
    """Initial weights, or those of a snapshot."""
    keys = [jax.random.key(lane.seed) for lane in self._lanes]
    params = [self._trainer.model.init(key) for key in keys]
    rates = np.asarray([lane.learning_rate for lane in self._lanes], np.float32)
    params = jax.tree.map(lambda *a: np.stack(a), *params)
    # Of one program with what follows, so that the state has its types.
    state = self._start(params, rates)
    self._curves = {
      name: np.full((len(self._lanes), self._epochs), np.nan) for name in CURVES
    }
    held = {'state': state, 'best': state.params}
    if start is not None:
      held = restored(held, start.leaves)
      self._curves = {k: v.copy() for k, v in start.curves.items()}
      self.epoch, self._batch = start.epoch, start.batch
      self._seconds = start.seconds
    self._state = self._put(held['state'])
    self._best = self._put(held['best'])

  def snapshot(self):
    held = {'state': self._state, 'best': self._best}
    leaves = {name: np.asarray(leaf) for name, leaf in named(held)}
    curves = {name: curve.copy() for name, curve in self._curves.items()}
    return Snapshot(leaves, curves, self.epoch, self._batch, self._seconds)

  def run_epoch(self, epoch, look):
    """One epoch and its validation; False where `look` said stop."""
    made = [
      order_of(lane.seed, epoch, pool.parts['train'], self._trainer.batch)
      for lane, pool in zip(self._lanes, self._pools, strict=True)
    ]
    order, weights = self._put([np.stack(a) for a in zip(*made, strict=True)])
    batches = order.shape[1]
    while self._batch < batches:
      end = min(self._batch + self._chunk, batches)
      began = time.monotonic()
      self._state = jax.block_until_ready(
        self._advance(
          self._state, self._examples, order, weights, self._batch, end
        )
      )
      self._spent(time.monotonic() - began)
      self._batch = end
      if look(epoch, end, batches, self._curves, self.snapshot):
        return False
    sums = self._state.sums
    self._note('train', epoch, sums)
    if 'valid' in self._pools[0].parts:
      stopped = lambda: look(
        epoch, batches, batches, self._curves, self.snapshot
      )
      sums = self._sums('valid', self._state.params, stopped)
      if sums is None:
        return False
      self._note('valid', epoch, sums)
      self._keep_best(epoch)
    zero = jax.tree.map(
      lambda a: np.zeros(len(self._lanes), a.dtype), no_sums()
    )
    self._state = self._state._replace(sums=self._put(zero))
    self.epoch, self._batch = epoch + 1, 0
    return True

  def _spent(self, seconds):
    """Chunks of half a second; the first of a program also compiles."""
    self._seconds += seconds
    pace = np.clip(_CHUNK_SECONDS / max(seconds, 1e-3), 0.25, 4)
    self._chunk = int(np.clip(self._chunk * pace, 1, 10**6))

  def _sums(self, part, params, stopped=lambda: False):
    """`Sums` over a part, float64; None where it was stopped."""
    made = [
      in_batches(pool.parts[part], _EVALUATION_BATCH, _EVALUATION_BATCHES)
      for pool in self._pools
    ]
    order, weights = (np.stack(a) for a in zip(*made, strict=True))
    total = None
    for at in range(0, order.shape[1], _EVALUATION_BATCHES):
      some = slice(at, at + _EVALUATION_BATCHES)
      began = time.monotonic()
      sums = self._measure(
        params, self._examples, order[:, some], weights[:, some]
      )
      sums = jax.tree.map(lambda a: np.asarray(a, np.float64), sums)
      self._seconds += time.monotonic() - began
      total = sums if total is None else jax.tree.map(np.add, total, sums)
      if stopped():
        return None
    return total

  def _note(self, part, epoch, sums):
    count = np.asarray(sums.count, np.float64)
    self._curves[f'{part}_loss'][:, epoch] = np.asarray(sums.loss) / count
    if self._judged:
      right = np.asarray(sums.right, np.float64)
      self._curves[f'{part}_accuracy'][:, epoch] = right / count

  @property
  def _judged(self):
    """Whether an output can be right."""
    return self._dataset.loss != 'squared' or self._dataset.tolerance > 0

  def _score(self):
    """`[lanes, epochs]` of the validation part, the larger the better."""
    if self._dataset.loss == 'squared':
      return -self._curves['valid_loss']
    return self._curves['valid_accuracy']

  def _keep_best(self, epoch):
    score = np.nan_to_num(self._score()[:, : epoch + 1], nan=-np.inf)
    better = np.argmax(score, axis=1) == epoch  # the first of equals counts
    pick = lambda new, old: np.where(
      better.reshape(-1, *[1] * (new.ndim - 1)), new, old
    )
    if better.any():
      self._best = self._put(
        jax.tree.map(
          lambda new, old: pick(np.asarray(new), np.asarray(old)),
          self._state.params,
          self._best,
        )
      )

  def results(self):
    """A `Trained` of each lane."""
    test = self._tested(self._state.params)
    has_best = 'valid' in self._pools[0].parts
    best = self._tested(self._best) if has_best else None
    # Lanes are taken apart here: on the device each size is one more program.
    trained = jax.tree.map(np.asarray, self._state.params)
    kept = jax.tree.map(np.asarray, self._best) if has_best else trained
    found = []
    for i, pool in enumerate(self._pools):
      curves = {
        name: curve[i].tolist()
        for name, curve in self._curves.items()
        if not np.all(np.isnan(curve[i])) or name == 'train_loss'
      }
      params = jax.device_put(jax.tree.map(lambda a, i=i: a[i], trained))
      began = time.monotonic()
      confusion = self._confusion(params, pool)
      after = {}
      if self._dataset.after is not None:
        predict = lambda xs, p=params: np.asarray(self._outputs(p, xs))
        after = self._dataset.after(predict, pool)
      self._seconds += time.monotonic() - began
      best_of = None
      if has_best:
        score = np.nan_to_num(self._score()[i], nan=-np.inf)
        epoch = int(np.argmax(score))
        valid = {
          name: curves[name][epoch] for name in CURVES[2:] if name in curves
        }
        best_of = {'epoch': epoch + 1, **valid, 'test': best[i]}
      finite = np.all(np.isfinite(self._curves['train_loss'][i]))
      finite = finite and np.isfinite(test[i]['loss'])
      found.append(
        Trained(
          curves,
          test[i],
          best_of,
          confusion,
          after,
          bool(finite),
          0.0,
          {name: np.asarray(leaf[i]) for name, leaf in named(kept)},
        )  # fmt: skip
      )
    share = self._seconds / len(self._lanes)
    return [one._replace(seconds=share) for one in found]

  def _tested(self, params):
    """{'loss', ...} of each lane on its test part."""
    sums = self._sums('test', params)
    found = []
    for loss, right, count in zip(*sums, strict=True):
      one = {'loss': float(loss / count), 'total': int(count)}
      if self._judged:
        one |= {'accuracy': float(right / count), 'right': int(right)}
      found.append(one)
    return found

  def _confusion(self, params, pool):
    classes = len(self._dataset.classes)
    if not classes:
      return None
    test = pool.parts['test']
    counts = np.zeros((classes, classes), int)
    order, _ = in_batches(test, _EVALUATION_BATCH)
    for at, index in enumerate(order):
      some = jax.tree.map(lambda a, index=index: a[index], pool.examples)
      made = np.asarray(self._outputs(params, some.inputs, some.lengths))
      one = made.shape[-1] == 1
      told = made[:, 0] > 0.5 if one else np.argmax(made, -1)
      left = min(len(test) - at * _EVALUATION_BATCH, _EVALUATION_BATCH)
      np.add.at(counts, (some.targets[:left], told[:left].astype(int)), 1)
    return counts.tolist()


@functools.lru_cache(maxsize=32)
def _compiled(trainer, axis):
  """Programs of a trainer; every group of its lanes runs the same."""
  advance = jax.vmap(trainer.advance, in_axes=(0, axis, 0, 0, None, None))
  measure = jax.vmap(trainer.measure, in_axes=(0, axis, 0, 0))
  return tuple(
    map(jax.jit, (jax.vmap(trainer.start), advance, measure, trainer.outputs))
  )
