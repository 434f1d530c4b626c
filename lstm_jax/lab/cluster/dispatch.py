"""Deals bundles of trials to the threads of Dask's workers as they get free.

Each bundle is a task that Dask may run on one worker alone, since it matters
which has compiled a program. Where that worker dies the task is dealt again
from here, as often as it takes: that a machine was taken away says nothing of
a trial. Workers that die again and again before anything has happened are left
out, and a bundle that several of them died of is left for another run.
"""

import contextlib
import itertools
import queue
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from lstm_jax.choices import count_of
from lstm_jax.lab.cluster import bundles, connection, worker
from lstm_jax.lab.cluster.board import Board
from lstm_jax.lab.cluster.bundles import Piece
from lstm_jax.lab.cluster.connection import DaskWorker
from lstm_jax.lab.cluster.messages import Bundle, Ending, Report, Session
from lstm_jax.lab.plan import estimate
from lstm_jax.lab.run import signals
from lstm_jax.lab.store import checkpoints, faults, files, trial_records
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.folder import Folder

if TYPE_CHECKING:
  from distributed import Client, Future

_POLL_SECONDS = 0.25
_LOOK_SECONDS = 2.0  # between two looks at which workers there are
# A signal leaves seconds: workers save at the end of a chunk.
_STOP_SECONDS = 7.0
# Workers that may die of one bundle before it got anywhere.
_MOST_WORKERS = 5


class Task(NamedTuple):
  """A bundle that a worker runs.

  Attributes:
    bundle: what the worker was given.
    pieces: the same, to be dealt again.
    address: of the worker.
    future: Dask's.
  """

  bundle: Bundle
  pieces: tuple[Piece, ...]
  address: str
  future: 'Future[Ending]'


class Dispatch:
  """The dealing of one run.

  Args:
    client: of Dask.
    opened: the run folder, locked.
    session: the run, as workers are told.
    records: id -> record of the trials that have ended.
    places: trial -> names of the checkpoints that it may be in.
  """

  def __init__(
    self,
    client: 'Client',
    opened: Folder,
    session: Session,
    records: Mapping[str, Record],
    places: Mapping[str, list[str]],
  ) -> None:
    self._client, self._folder, self._session = client, opened, session
    self._places = {name: list(names) for name, names in places.items()}
    self.board = Board(opened.trials, records, session.options.progress)
    self._messages: queue.Queue[Future[Ending] | Report] = queue.Queue()
    self._numbers = itertools.count()
    self._waiting: list[Piece] = []
    self._tasks: dict[int, Task] = {}
    self._workers: dict[str, DaskWorker] = {}
    self._probes: dict[str, Future[object]] = {}  # address -> see `probe`
    self._told: set[str] = set()  # addresses of workers that know the session
    self._compiled: dict[str, set[str]] = {}  # address -> programs
    self._left_out: dict[str, str] = {}  # address or name -> why
    self._is_sick = False  # whether a machine is why
    self._deaths: Counter[str] = Counter()
    self._died_of: dict[str, set[str]] = {}  # trial -> names of workers
    self._given_up: list[Piece] = []
    self._has_begun: set[int] = set()  # bundles that have got somewhere
    self._released: set[int] = set()

  def run(self, pieces: Iterable[Piece], stop: signals.Stop) -> None:
    """Runs pieces until all have ended, none can, or a signal has come.

    Args:
      pieces: what is left of the plan.
      stop: holds once a signal has come.

    Raises:
      NoScheduler: it has gone.
      Refused: no worker is the same program.
      StoreError: a worker met what no other will overcome.
    """
    self._waiting = bundles.longest_first(pieces)
    topic = worker.topic_of(self._session.token)
    self._client.subscribe_topic(
      topic, lambda event: self._messages.put(Report(*event[1]))
    )
    last_look = -_LOOK_SECONDS
    try:
      while (self._waiting or self._tasks) and not stop():
        if time.monotonic() - last_look >= _LOOK_SECONDS:
          self._look()
          last_look = time.monotonic()
        self._deal()
        self._show()
        self._take(_POLL_SECONDS)
      self._show()
    finally:
      self._end()

  def check(self) -> None:
    """Raises where trials are left that workers died of.

    Raises:
      Machine: with the settings, in one line.
    """
    if self._given_up:
      num_trials = sum(len(piece.names) for piece in self._given_up)
      setting = self._folder.trials[self._given_up[0].names[0]]
      raise faults.Machine(
        f'{count_of(num_trials, "trial")} left, such as of '
        f'{setting.row or setting.task}: {_MOST_WORKERS} workers died of them '
        'before anything was saved, most likely for want of memory; that is no '
        'result: run the same command again with workers that have more '
        '(--memory-limit of dask worker)'
      )

  def _look(self):
    """Sees which workers there are, and deals again what lost its own."""
    workers_now = connection.workers_of(self._client)
    for address in self._workers.keys() - workers_now.keys():
      self._told.discard(address)
      self._compiled.pop(address, None)
      self._probes.pop(address, None)
    for address, one in workers_now.items():
      if address not in self._probes:
        self._probes[address] = connection.probe(self._client, address)
      lack = connection.lack_of(self._probes[address])
      if lack and address not in self._left_out:
        self._left_out[address] = connection.refusal_line(one.name, lack)
        self.board.display.say(f'sweep: {self._left_out[address]}')
    known, self._workers = self._workers, {**workers_now}
    for task in [*self._tasks.values()]:
      if task.address not in workers_now:
        self._lost(task, known[task.address].name)
    if workers_now and not self._tasks and not self._admitted():
      lines = '\n'.join(dict.fromkeys(self._left_out.values()))
      raise faults.Machine(lines) if self._is_sick else faults.Refused(lines)

  def _admitted(self):
    """Address -> worker, of those that are not left out."""
    return {
      address: one
      for address, one in self._workers.items()
      if not self._left_out.keys() & {address, one.name}
    }

  def _usable(self):
    """Address -> worker, of those of them that have this package."""
    return {
      address: one
      for address, one in self._admitted().items()
      if address in self._probes and self._probes[address].status == 'finished'
    }

  def _deal(self):
    """Gives every free thread its next bundle."""
    busy = {(t.address, t.bundle.slot) for t in self._tasks.values()}
    usable = self._usable()
    slots = sum(one.threads for one in usable.values())
    for address, one in usable.items():
      for slot in range(one.threads if one.is_running else 0):
        if (address, slot) in busy:
          continue
        if not self._waiting:
          self._have_released()
          return
        under_way = {task.pieces[0].program for task in self._tasks.values()}
        self._submit(
          address,
          slot,
          bundles.next_bundle(
            self._waiting,
            self._compiled.get(address, ()),
            under_way.union(*self._compiled.values()),
            slots,
          ),
        )

  def _submit(self, address, slot, pieces):
    """Gives a bundle to a thread of a worker."""
    for piece in pieces:
      self._waiting.remove(piece)
    number = next(self._numbers)
    names = tuple(name for piece in pieces for name in piece.names)
    checkpoint = f'state-{self._session.token}-{number}'
    resume = dict.fromkeys(
      place for name in names for place in self._places.get(name, ())
    )
    for name in names:
      # A worker that begins anew under its address is given the same task.
      self._places.setdefault(name, []).append(checkpoint)
    bundle = Bundle(
      number,
      slot,
      pieces[0].key,
      names,
      tuple(name for name in names if name in self.board.ended),
      checkpoint,
      (*resume, checkpoint),
    )
    setting = self._folder.trials[names[0]]
    future = self._client.submit(
      worker.run_bundle,
      self._session.token,
      None if address in self._told else self._session,
      bundle,
      # What stands before the last hyphen is its name in Dask's dashboard.
      key=(f'{setting.task} {setting.cell} {setting.learner}', checkpoint),
      workers=[address],
      allow_other_workers=False,
      pure=False,
    )
    self._told.add(address)
    self._compiled.setdefault(address, set()).add(pieces[0].program)
    self._tasks[number] = Task(bundle, tuple(pieces), address, future)
    future.add_done_callback(self._messages.put)

  def _take(self, timeout):
    """Takes what workers have said; waits for the first of it."""
    try:
      while True:
        message = self._messages.get(timeout=timeout)
        timeout = 0
        if isinstance(message, Report):
          if message.number in self._tasks:
            self.board.report(message)
            if message.ended or message.seen:
              self._has_got_somewhere(self._tasks[message.number])
        else:
          task = next(
            (t for t in self._tasks.values() if t.future.key == message.key),
            None,
          )
          if task is not None:
            self._ended(task)
    except queue.Empty:
      connection.check_scheduler(self._client)

  def _has_got_somewhere(self, task):
    self._has_begun.add(task.bundle.number)
    if task.address in self._workers:
      self._deaths.pop(self._workers[task.address].name, None)

  def _ended(self, task):
    """Takes the end of a task."""
    name = self._workers[task.address].name
    answer = connection.answer_of(task.future)
    if answer is None:
      self._lost(task, name)
      return
    del self._tasks[task.bundle.number]
    self.board.ending(task.bundle.number, answer)
    if answer.is_complete:
      self._has_got_somewhere(task)
      self._drop_checkpoints(task)
      return
    if answer.refusal or answer.is_machine:
      line = connection.refusal_line(name, answer.refusal or answer.fault)
      if task.address not in self._left_out:
        self.board.display.say(f'sweep: {line}')
      self._left_out[task.address] = line
      self._is_sick = self._is_sick or answer.is_machine
    elif answer.fault:
      raise connection.fault_of(answer)
    elif answer.is_unknown:
      self._told.discard(task.address)
    self._again(task)

  def _lost(self, task, name):
    """Deals again what a worker had that has gone."""
    del self._tasks[task.bundle.number]
    task.future.cancel()
    self.board.ending(task.bundle.number, None)
    # Of what it has ended it could not tell.
    for trial in trial_records.ended(self._folder) & {*task.bundle.names}:
      self.board.ended.setdefault(trial, ('', 0.0))
    saved = files.names(self._folder.path / 'checkpoints')
    has_saved = any(
      name.startswith(f'{task.bundle.checkpoint}.') for name in saved
    )
    if task.bundle.number in self._has_begun or has_saved:
      self._deaths.pop(name, None)
    else:
      self._deaths[name] += 1
      if self._deaths[name] == connection.MOST_DEATHS:
        self._left_out[name] = connection.death_line(name)
        self._is_sick = True
        self.board.display.say(f'sweep: {self._left_out[name]}')
      for trial in task.bundle.names:
        self._died_of.setdefault(trial, set()).add(name)
    self._again(task)

  def _again(self, task):
    """Puts back what is left of a task."""
    number = task.bundle.number
    begun = {n for n in task.bundle.names if n in self.board.begun}
    for piece in bundles.rest_of(task.pieces, self.board.ended, begun):
      victims = set().union(*(self._died_of.get(n, ()) for n in piece.names))
      where = self._given_up if len(victims) >= _MOST_WORKERS else self._waiting
      where.append(piece)
    self._waiting = bundles.longest_first(self._waiting)
    self._has_begun.discard(number)

  def _drop_checkpoints(self, task):
    """Removes checkpoints of this run that hold nothing that is left."""
    ours = f'state-{self._session.token}-'
    places = {
      place
      for name in task.bundle.names
      for place in self._places.pop(name, ())
      if place.startswith(ours)
    }
    if len(places) > 1:  # the worker has removed its own
      still = {place for names in self._places.values() for place in names}
      for place in places - still:
        checkpoints.drop(self._folder, place)

  def _have_released(self):
    """Has the bundle with most trials that have not begun handed back."""
    best, most = None, 0.0
    for task in self._tasks.values():
      piece = task.pieces[0]
      num_waiting = sum(
        name not in self.board.ended and name not in self.board.begun
        for name in task.bundle.names
      )
      each = piece.seconds / len(piece.names)
      is_known = task.bundle.number in self._has_begun
      if piece.is_joinable and is_known and num_waiting * each > most:
        best, most = task, num_waiting * each
    if (
      best is None
      or most < 2 * estimate.COMPILE
      or best.bundle.number in self._released
    ):
      return
    self._released.add(best.bundle.number)
    self._tell(worker.release, best.bundle.number, workers=[best.address])

  def _tell(self, function, *arguments, workers):
    """Calls a function in workers beside their tasks; waits for nothing."""
    with contextlib.suppress(Exception):
      self._client.run(
        function,
        self._session.token,
        *arguments,
        workers=workers,
        wait=False,
        on_error='ignore',
      )

  def _show(self):
    self.board.show(len(self._tasks), len(self._usable()))

  def _end(self):
    """Has workers save and stop what they still run."""
    if not self._tasks or self._client.status != 'running':
      return
    addresses = sorted({task.address for task in self._tasks.values()})
    self._tell(worker.stop, workers=addresses)
    end = time.monotonic() + _STOP_SECONDS
    with contextlib.suppress(faults.StoreError):
      while self._tasks and time.monotonic() < end:
        self._take(_POLL_SECONDS)
    for task in self._tasks.values():
      with contextlib.suppress(Exception):
        task.future.cancel()
