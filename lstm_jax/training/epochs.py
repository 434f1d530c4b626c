"""Epochs of minibatches: several networks side by side, one a lane, as a loop.

The lanes share a compiled program and differ in seed, data and learning rate.
What the order of the examples is follows from seed and epoch alone, so that
training can stop between any two batches and go on to the same bits.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from lstm_jax.dataset import CURVES, Dataset, Pool
from lstm_jax.training.batches import order_of
from lstm_jax.training.epoch_results import (
  Judge,
  Nets,
  TrainedNet,
  measured_piece,
  metrics_of,
  score_of,
  trained_of,
)
from lstm_jax.training.loop import (
  Advanced,
  Job,
  Loop,
  Outcome,
  TrialState,
  named,
  restored,
)
from lstm_jax.training.trainer import Trainer, no_sums

_EVERYTHING = 10**6  # updates


class Lane(NamedTuple):
  """One network to train.

  Attributes:
    seed: of its weights, its order of examples and its pool.
    learning_rate: alpha.
  """

  seed: int
  learning_rate: float


def train(
  trainer: Trainer,
  dataset: Dataset,
  pools: Sequence[Pool],
  lanes: Sequence[Lane],
  epochs: int,
) -> list[TrainedNet]:
  """Trains networks side by side, from the beginning to the end.

  Args:
    trainer: a `trainer.Trainer`.
    dataset: the `Dataset`.
    pools: of each lane; parts of the same sizes.
    lanes: the networks.
    epochs: to train, at least 1.

  Returns:
    One `TrainedNet` a lane.

  Raises:
    ValueError: `epochs` below 1; pools whose parts differ in size.
  """
  jobs = [
    Job(f'{i}', '', lane.seed, {'learning_rate': lane.learning_rate}, 0, epochs)
    for i, lane in enumerate(lanes)
  ]
  group = _group_of(trainer, dataset, pools, epochs)
  nets = group.start(jobs, {})
  while nets.epoch < epochs:
    nets, _ = group.advance(nets, _EVERYTHING)
  return group.trained_nets(nets)


def loop_of(
  trainer: Trainer,
  dataset: Dataset,
  pools: Sequence[Pool],
  epochs: int,
  device: jax.Device | None = None,
  words: str = '',
  steps: float = 0.0,
) -> Loop:
  """Nets that are trained side by side, as a `Loop`.

  All of them start together and end together: a lane is no one else's.

  Args:
    trainer: a `trainer.Trainer`.
    dataset: the `Dataset`.
    pools: of each lane; parts of the same sizes.
    epochs: to train, at least 1.
    device: where; None: jax's default.
    words: what is trained, for notes.
    steps: time steps of an epoch of one network, for the pace.

  Returns:
    The loop. Its updates are batches, what was `seen` of a trial are epochs.
    An outcome has the status 'budget', or 'diverged' where an error was not
    finite; its details are 'confusion' and 'after' of its `TrainedNet`.

  Raises:
    ValueError: `epochs` below 1; pools whose parts differ in size; from
      `start`: a snapshot of another network.
  """
  group = _group_of(trainer, dataset, pools, epochs, device, words, steps)

  def on_device(function):
    """Places on the device what a function computes without saying where."""

    @functools.wraps(function)
    def placed(*inputs):
      with jax.default_device(device):
        return function(*inputs)

    return placed

  def charge(nets, seconds):
    return nets._replace(seconds=nets.seconds + seconds)

  def refuse(nets, jobs, states):
    del nets, states
    raise ValueError(f'{len(jobs)} more networks: lanes start together')

  return Loop(
    start=on_device(group.start),
    advance=on_device(group.advance),
    charge=charge,
    snapshot=group.snapshot,
    results=on_device(group.results),
    num_free=lambda nets: 0,
    join=refuse,
  )


def _group_of(
  trainer, dataset, pools, epochs, device=None, words='', steps=0.0
):
  """A `_Group`, if there is one."""
  if epochs < 1:
    raise ValueError(f'epochs={epochs} must be at least 1')
  sizes = [{name: len(i) for name, i in pool.parts.items()} for pool in pools]
  if any(size != sizes[0] for size in sizes):
    raise ValueError(f'pools differ in their parts: {sizes}')
  return _Group(trainer, dataset, tuple(pools), epochs, device, words, steps)


class _Group:
  """The parts that a group of networks has from its first batch to the last.

  Nothing here changes: the examples are put on the device once.
  """

  def __init__(self, trainer, dataset, pools, epochs, device, words, steps):
    self._trainer, self._pools = trainer, pools
    self._epochs, self._words, self._steps = epochs, words, steps
    self._put = functools.partial(jax.device_put, device=device)
    shared = all(
      array is first
      for pool in pools
      for array, first in zip(pool.examples, pools[0].examples, strict=True)
    )
    self._start, self._advance, measure, outputs = _compiled(
      trainer, None if shared else 0
    )
    examples = (
      pools[0].examples
      if shared
      else jax.tree.map(lambda *a: np.stack(a), *(p.examples for p in pools))
    )
    self._examples = self._put(examples)
    self._judge = Judge(dataset, pools, self._examples, measure, outputs)

  def start(
    self, jobs: Sequence[Job], states: Mapping[str, TrialState]
  ) -> Nets:
    """Initial weights, or those of snapshots where every lane has one."""
    count = len(jobs)
    params = [self._trainer.model.init(jax.random.key(j.seed)) for j in jobs]
    rates = np.asarray([j.numbers['learning_rate'] for j in jobs], np.float32)
    params = jax.tree.map(lambda *a: np.stack(a), *params)
    # Of one program with what follows, so that the state has its types.
    state = self._start(params, rates)
    nets = Nets(
      tuple(jobs),
      state,
      state.params,
      {name: np.full((count, self._epochs), np.nan) for name in CURVES},
      0,
      0,
      (0, None),
      0.0,
      None,
    )
    snapshots = [states[job.id] for job in jobs if job.id in states]
    if len(snapshots) == count and len({*map(_place, snapshots)}) == 1:
      leaves = {
        name: np.stack([snapshot.leaves[name] for snapshot in snapshots])
        for name in snapshots[0].leaves
      }
      tree = {'state': nets.state, 'best': nets.best, 'curves': nets.curves}
      nets = Nets._make({**nets._asdict(), **restored(tree, leaves)}.values())
      epoch, batch = _place(snapshots[0])
      seconds = sum(snapshot.seconds for snapshot in snapshots)
      nets = nets._replace(epoch=epoch, batch=batch, seconds=seconds)
    return nets._replace(state=self._put(nets.state), best=self._put(nets.best))

  def snapshot(self, nets: Nets) -> dict[str, TrialState]:
    """The lanes, each by itself. Validation that has begun begins again."""
    tree = {'state': nets.state, 'best': nets.best, 'curves': nets.curves}
    leaves = [(name, np.asarray(leaf)) for name, leaf in named(tree)]
    place = {'epoch': np.array(nets.epoch), 'batch': np.array(nets.batch)}
    share = nets.seconds / len(nets.jobs)
    return {
      job.id: TrialState(
        {name: np.array(leaf[i]) for name, leaf in leaves} | place, share
      )
      for i, job in enumerate(nets.jobs)
    }

  def advance(self, nets: Nets, updates: int) -> tuple[Nets, Advanced]:
    """So many batches of an epoch, or a piece of its validation."""
    if nets.epoch == self._epochs:
      return nets, self._advanced(nets, nets, is_complete=False)
    feed = nets.feed
    if feed is None or feed[0] != nets.epoch:
      orders = [
        order_of(job.seed, nets.epoch, pool.parts['train'], self._trainer.batch)
        for job, pool in zip(nets.jobs, self._pools, strict=True)
      ]
      arrays = self._put([np.stack(a) for a in zip(*orders, strict=True)])
      feed = nets.epoch, *arrays
      nets = nets._replace(feed=feed)
    _, order, weights = feed
    nets_before, batches = nets, order.shape[1]
    if nets.batch < batches:
      end = min(nets.batch + updates, batches)
      state = jax.block_until_ready(
        self._advance(
          nets.state, self._examples, order, weights, nets.batch, end
        )
      )
      nets = nets._replace(state=state, batch=end)
      if end == batches and not self._judge.validates:
        nets = self._ended_epoch(nets, None)
    else:
      at, total = nets.valid
      sums, at_last = measured_piece(
        self._judge, 'valid', nets.state.params, at
      )
      total = sums if total is None else jax.tree.map(np.add, total, sums)
      nets = nets._replace(valid=(at + 1, total))
      if at_last:
        nets = self._ended_epoch(nets, total)
    orders = nets.batch - nets_before.batch
    return nets, self._advanced(
      nets_before, nets, is_complete=orders == updates
    )

  def _advanced(self, nets_before, nets, is_complete):
    at = self._num_seen(nets)
    steps = self._steps * len(nets.jobs) * (at - self._num_seen(nets_before))
    return Advanced(
      seen={job.id: at for job in nets.jobs},
      has_ended=nets.epoch == self._epochs,
      is_complete=is_complete,
      useful=steps,
      executed=steps,
      note=self._note(nets),
    )

  def _num_seen(self, nets):
    """Epochs so far, with a fraction."""
    if nets.feed is None or nets.feed[0] != nets.epoch:
      return float(nets.epoch)
    return nets.epoch + nets.batch / nets.feed[1].shape[1]

  def _note(self, nets):
    """The errors of the last whole epoch, means over the lanes."""
    at = min(nets.epoch + 1, self._epochs)
    note = f'{self._words}: epoch {at}/{self._epochs}'
    for name, word in (
      ('train_loss', 'training loss'),
      ('valid_accuracy', 'validation accuracy'),
    ):
      values = nets.curves[name][:, nets.epoch - 1] if nets.epoch else None
      if values is not None and np.isfinite(values).all():
        note += f', {word} {values.mean():.4g}'
    return note

  def _ended_epoch(self, nets, valid):
    """The epoch noted in the curves, and the best kept."""
    curves = dict(nets.curves)
    for part, sums in (('train', nets.state.sums), ('valid', valid)):
      if sums is not None:
        curves |= self._noted(curves, part, nets.epoch, sums)
    nets = nets._replace(curves=curves)
    if valid is not None:
      nets = nets._replace(best=self._best(nets))
    zero = jax.tree.map(lambda a: np.zeros(len(nets.jobs), a.dtype), no_sums())
    return nets._replace(
      state=nets.state._replace(sums=self._put(zero)),
      epoch=nets.epoch + 1,
      batch=0,
      valid=(0, None),
    )

  def _noted(self, curves, part, epoch, sums):
    """The curves of a part with one epoch more."""
    count = np.asarray(sums.examples, np.float64)
    values = {f'{part}_loss': np.asarray(sums.loss) / count}
    if self._judge.counts_right:
      right = np.asarray(sums.right, np.float64)
      values[f'{part}_accuracy'] = right / count
    copies = {}
    for name, value in values.items():
      copies[name] = curves[name].copy()
      copies[name][:, epoch] = value
    return copies

  def _best(self, nets):
    """The params of the best epochs, with this one's where it is better."""
    score = score_of(self._judge, nets)[:, : nets.epoch + 1]
    is_better = np.argmax(score, axis=1) == nets.epoch  # the first of equals
    if not is_better.any():
      return nets.best
    pick = lambda new, old: np.where(
      is_better.reshape(-1, *[1] * (new.ndim - 1)),
      np.asarray(new),
      np.asarray(old),
    )
    return self._put(jax.tree.map(pick, nets.state.params, nets.best))

  def trained_nets(self, nets: Nets) -> list[TrainedNet]:
    """Returns what the networks have come to, one a lane."""
    return trained_of(self._judge, nets)

  def results(self, nets: Nets) -> tuple[Nets, list[Outcome]]:
    """An outcome of each lane, once all epochs are over."""
    if nets.epoch < self._epochs:
      return nets, []
    outcomes = [
      Outcome(
        job.id,
        'budget' if net.finite else 'diverged',
        self._epochs,
        net.seconds,
        {
          'weights': self._trainer.model.weights,
          'sequences_seen': len(pool.parts['train']) * self._epochs,
          **metrics_of(net, self._judge.dataset),
        },
        net.curves,
        {'confusion': net.confusion, 'after': net.after},
        net=net.params if net.finite else None,
      )
      for job, pool, net in zip(
        nets.jobs, self._pools, self.trained_nets(nets), strict=True
      )
    ]
    return nets._replace(jobs=()), outcomes


def _place(state):
  """`(epoch, batch)` of a `TrialState`."""
  return int(state.leaves['epoch']), int(state.leaves['batch'])


@functools.lru_cache(maxsize=32)
def _compiled(trainer, axis):
  """Programs of a trainer; every group of its lanes runs the same."""
  advance = jax.vmap(trainer.advance, in_axes=(0, axis, 0, 0, None, None))
  measure = jax.vmap(trainer.measure, in_axes=(0, axis, 0, 0))
  return tuple(
    map(jax.jit, (jax.vmap(trainer.start), advance, measure, trainer.outputs))
  )
