"""Trials on data sets, from a plan's groups to sealed records.

The counterpart of `scheduler` and `recorder` for batch training: seeds of one
setting are lanes of one program, a group; a thread a device trains one group
after another.
"""

import queue
import sys
import threading
import time
import traceback

import numpy as np

from lstm_jax.lab.plan.setting import steps
from lstm_jax.lab.run import recorder, renewal
from lstm_jax.lab.run.progress import Progress, choose_mode
from lstm_jax.lab.store import checkpoints, machine, nets, trial_records
from lstm_jax.lab.store import supervised_records as records

# What a stop may wait for: a chunk, or what is being compiled.
_STOP_SECONDS = 6.0


class Run:
  """Groups in training on one folder.

  Args:
    opened: the run folder.
    how: a `flags.Run`.
    mine: this shard's groups, see `groups.groups_of`.
    ended: ids of the trials that have a record.
    saved: the checkpoints, of `checkpoints.load`.
    prepared: of `groups.prepare`.
    devices: one thread each.
  """

  def __init__(self, opened, how, mine, ended, saved, prepared, devices):
    self._folder, self._prepared = opened, prepared
    self._name = recorder.checkpoint_name(how)
    self._save_seconds = how.checkpoint_seconds
    self._ended, self._mine = set(ended), mine
    # A group is trained whole: its lanes have the bits of their program.
    self._left = [g for g in mine if not self._ended.issuperset(g.names)]
    mode = choose_mode(sys.stderr) if how.progress == 'auto' else how.progress
    total = sum(len(group.names) for group in mine)
    self.display = Progress(total, sys.stderr, mode)
    self._kind = devices[0].device_kind
    self._waiting, self._outcomes = queue.SimpleQueue(), queue.SimpleQueue()
    for group in sorted(self._left, key=_work, reverse=True):
      self._waiting.put(group)
    self._begun = self._checkpointed(saved, how)
    self._faults = []
    self._lock = threading.Lock()
    self._at = {}  # group key -> (group, epochs done, words)
    self._snapshots = {}  # group key -> Snapshot
    self._levels = {}  # what was computed of `Dataset.levels`
    self._stopping = threading.Event()
    self._wanted = {  # thread -> a snapshot is asked for
      threading.Thread(
        target=self._thread, args=(device,), daemon=True
      ): threading.Event()
      for device in devices
    }

  def run(self, stop):
    """Trains until all have ended or `stop()` holds.

    Raises:
      machine.Fault: the machine cannot go on; what has begun is saved.
    """
    self._began = saved = time.monotonic()
    asked = None
    # A second fault: it is the machine, and not one group that is too large.
    at_work = lambda: any(t.is_alive() for t in self._wanted)
    try:
      for thread in self._wanted:
        thread.start()
      while at_work() and not stop() and len(self._faults) < 2:
        time.sleep(0.1)
        self._take()
        self._show()
        now = time.monotonic()
        if asked is None and now - saved >= self._save_seconds:
          for wanted in self._wanted.values():
            wanted.set()
          asked = now
        # A thread that compiles answers late; its last snapshot is good.
        if asked is not None and (self._answered() or now - asked > 5):
          self._save()
          saved, asked = time.monotonic(), None
    finally:
      self._stopping.set()
      end = time.monotonic() + _STOP_SECONDS
      for thread in self._wanted:
        if thread.ident is not None:  # was started
          thread.join(max(0.0, end - time.monotonic()))
    self._take()
    self._save()
    self._show()
    self.display.close()
    if self._faults and not stop():
      line, error = self._faults[0]
      raise machine.Fault(line) from error

  def _answered(self):
    """Whether every thread that was asked for a snapshot has given it."""
    return not any(w.is_set() for t, w in self._wanted.items() if t.is_alive())

  def say_stopped(self):
    """One line for whoever stopped it."""
    left = sum(n not in self._ended for g in self._mine for n in g.names)
    print(recorder.stopped(left))

  def _thread(self, device):
    import jax

    with jax.default_device(device):
      while not self._stopping.is_set():
        try:
          group = self._waiting.get_nowait()
        except queue.Empty:
          return
        try:
          trained = self._train(group, device)
        except Exception as error:
          if line := machine.fault(error):
            self._faults.append((line, error))
            continue
          # One group that cannot run must not take the others with it.
          reason = f'{type(error).__name__}: {error}\n{traceback.format_exc()}'
          self._outcomes.put((group, None, reason))
        else:
          if trained is not None:
            self._outcomes.put((group, trained, ''))

  def _train(self, group, device):
    from lstm_jax.training import epochs

    one = group.settings[0]
    dataset, trainer = self._prepared.build(one)
    pools = [dataset.pool(setting.seed) for setting in group.settings]
    lanes = [
      epochs.Lane(s.seed, dict(s.numbers)['learning_rate'])
      for s in group.settings
    ]
    wanted = self._wanted[threading.current_thread()]

    def look(epoch, batch, batches, curves, snapshot):
      stop = self._stopping.is_set()
      with self._lock:
        self._at[group.key] = (
          group,
          epoch + batch / batches,
          f'{one.task} {one.cell}: epoch {epoch + 1}/{one.budget}'
          + _words(curves, epoch),
        )
        if stop or wanted.is_set():
          self._snapshots[group.key] = snapshot()
          wanted.clear()
      return stop

    trained = epochs.train(
      trainer, dataset, pools, lanes, one.budget,
      device=device, start=self._begun.get(group.key), look=look,
    )  # fmt: skip
    if trained is None:
      return None
    found = []
    for setting, pool, result in zip(
      group.settings, pools, trained, strict=True
    ):
      found.append(
        {
          'curves': result.curves,
          'test': result.test,
          'best': result.best,
          'confusion': result.confusion,
          'classes': list(dataset.classes),
          'levels': self._levels_of(dataset, setting.seed, pool),
          'after': result.after,
          'facts': dict(dataset.facts),
          'kernel': trainer.model.kernel(),
          'weights': trainer.model.weights,
          'finite': result.finite,
          'examples': len(pool.parts['train']) * one.budget,
          'loss': dataset.loss,
          'seconds': result.seconds,
          'net': result.params if result.finite else None,
        }
      )
    return found

  def _levels_of(self, dataset, seed, pool):
    """What predictors without recurrence reach, once for each data."""
    if dataset.levels is None:
      return {}
    # Where parts are all that a seed decides, seeds may have the same.
    parts = tuple(at.tobytes() for at in pool.parts.values())
    key = (id(dataset), parts if dataset.parts else seed)
    if key not in self._levels:
      self._levels[key] = dataset.levels(pool)
    return self._levels[key]

  def _take(self):
    """Seals what has ended."""
    while not self._outcomes.empty():
      group, trained, reason = self._outcomes.get()
      for i, name in enumerate(group.names):
        if name in self._ended:
          continue  # ran beside those that had not
        net = trained[i].pop('net', None) if trained else None
        record = records.of_trial(name, trained[i] if trained else None, reason)
        record['device'] = self._kind
        if net is not None:
          nets.save(self._folder, name, net)
        disagreement = trial_records.write_record(self._folder, record)
        if disagreement:
          self.display.say(f'sweep: {disagreement}')
        self._ended.add(name)
      with self._lock:
        self._at.pop(group.key, None)
        self._snapshots.pop(group.key, None)

  def _show(self):
    with self._lock:
      at = list(self._at.values())
    whole = sum(map(_work, self._left))
    part = sum(_work(g) for g in self._left if g.names[0] in self._ended)
    part += sum(_work(g) * done / g.settings[0].budget for g, done, _ in at)
    elapsed = time.monotonic() - self._began
    names = {name for group in self._mine for name in group.names}
    self.display.update(
      {
        'done': len(self._ended & names),
        'running': sum(len(group.names) for group, *_ in at),
        'solved': None,
        'note': at[-1][2] if at else '',
        'eta_seconds': elapsed * (whole / part - 1) if part else None,
      }
    )

  def _save(self):
    """A checkpoint of the groups that have begun."""
    with self._lock:
      held = dict(self._snapshots)
    arrays, meta = {}, {}
    for key, snapshot in held.items():
      for kind in ('leaves', 'curves'):
        for name, array in getattr(snapshot, kind).items():
          arrays[f'{key}/{kind}/{name}'] = array
      meta[key] = [snapshot.epoch, snapshot.batch, snapshot.seconds]
    code = {
      name: self._folder.code.get(name)
      for group in self._left
      if group.key in held
      for name in group.names
    }
    if held:
      found = {'groups': meta, 'code': code}
      checkpoints.save(self._folder, self._name, arrays, found)

  def _checkpointed(self, saved, how):
    """Group key -> Snapshot, of those that have begun."""
    from lstm_jax.training.snapshot import Snapshot

    names = {group.key: group.names for group in self._left}
    begun = {}
    for _, meta, arrays in saved:
      for key, (epoch, batch, seconds) in meta['groups'].items():
        if not all(
          renewal.is_of(self._folder, how, meta, name)
          for name in names.get(key, ())
        ):
          continue
        parts = {'leaves': {}, 'curves': {}}
        for name, array in arrays.items():
          group, kind, rest = name.split('/', 2)
          if group == key:
            parts[kind][rest] = array
        known = begun.get(key)
        if known is None or (known.epoch, known.batch) < (epoch, batch):
          begun[key] = Snapshot(
            **parts, epoch=epoch, batch=batch, seconds=seconds
          )
    return begun


def _work(group):
  """Steps that a group takes in all."""
  one = group.settings[0]
  return steps(one) * one.budget * len(group.names)


def _words(curves, epoch):
  """The errors of the last whole epoch, means over the lanes."""
  said = ''
  for name, word in (
    ('train_loss', 'training loss'),
    ('valid_accuracy', 'validation accuracy'),
  ):
    values = curves[name][:, epoch - 1] if epoch else np.array([np.nan])
    if np.isfinite(values).all():
      said += f', {word} {values.mean():.4g}'
  return said
