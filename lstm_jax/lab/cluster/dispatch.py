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
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lstm_jax.choices import count_of
from lstm_jax.lab.cluster import bundles, connection, worker
from lstm_jax.lab.cluster.board import Board
from lstm_jax.lab.cluster.bundles import Piece
from lstm_jax.lab.cluster.connection import DaskWorker
from lstm_jax.lab.cluster.dealer import Dealer, Thread
from lstm_jax.lab.cluster.messages import Bundle, Ending, Report, Session
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


def _thread_of(task):
  """The thread that a task was given to."""
  return Thread(task.address, task.bundle.slot)


class Dispatch:
  """The dealing of one run.

  Args:
    client: of Dask.
    opened: the run folder, locked.
    session: the run, as workers are told.
    records: id -> record of the trials that have ended.
    places: trial -> names of the checkpoints that it may be in.
    pieces: what is left of the plan.
  """

  def __init__(
    self,
    client: 'Client',
    opened: Folder,
    session: Session,
    records: Mapping[str, Record],
    places: Mapping[str, list[str]],
    pieces: Sequence[Piece],
  ) -> None:
    self._client, self._folder, self._session = client, opened, session
    self._places = {name: list(names) for name, names in places.items()}
    self.board = Board(opened.trials, records, session.options.progress)
    self._messages: queue.Queue[Future[Ending] | Report] = queue.Queue()
    self._numbers = itertools.count()
    self._dealer = Dealer(pieces)
    self._tasks: dict[int, Task] = {}
    self._workers: dict[str, DaskWorker] = {}
    self._probes: dict[str, Future[object]] = {}  # address -> see `probe`
    self._told: set[str] = set()  # addresses of workers that know the session
    self._threads: list[Thread] = []  # that may run something
    self._idle: Thread | None = None  # a thread for which nothing is left
    self._left_out: dict[str, str] = {}  # address or name -> why
    self._is_sick = False  # whether a machine is why
    self._deaths: Counter[str] = Counter()
    self._died_of: dict[str, set[str]] = {}  # trial -> names of workers
    self._given_up: list[Piece] = []
    self._has_begun: set[int] = set()  # bundles that have got somewhere
    self._released: set[int] = set()

  def run(self, stop: signals.Stop) -> None:
    """Runs pieces until all have ended, none can, or a signal has come.

    Args:
      stop: holds once a signal has come.

    Raises:
      NoScheduler: it has gone.
      Refused: no worker is the same program.
      StoreError: a worker met what no other will overcome.
    """
    topic = worker.topic_of(self._session.token)
    self._client.subscribe_topic(
      topic, lambda event: self._messages.put(Report(*event[1]))
    )
    last_look = -_LOOK_SECONDS
    try:
      while (self._dealer.waiting or self._tasks) and not stop():
        if time.monotonic() - last_look >= _LOOK_SECONDS:
          self._look()
          self._have_released()
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
      self._dealer.forget(address)
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
    threads = [
      Thread(address, number)
      for address, one in self._usable().items()
      for number in range(one.threads if one.is_running else 0)
    ]
    self._idle = None
    for thread in threads:
      if thread not in self._dealer.given:
        pieces = self._dealer.next_bundle(thread, threads, self.board.ended)
        if pieces:
          self._submit(thread, pieces)
        else:
          self._idle = thread
    self._threads = threads

  def _submit(self, thread, pieces):
    """Gives a bundle to a thread of a worker."""
    address, slot = thread
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
      self._dealer.ended(_thread_of(task))
      self._drop_checkpoints(task)
      return
    if answer.refusal or answer.is_machine:
      line = connection.refusal_line(name, answer.refusal or answer.fault)
      if task.address not in self._left_out:
        self.board.display.say(f'sweep: {line}')
      self._left_out[task.address] = line
      self._is_sick = self._is_sick or answer.is_machine
      self._dealer.forget(task.address)
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
    rest: list[Piece] = []
    for piece in self._rest_of(task):
      victims = set().union(*(self._died_of.get(n, ()) for n in piece.names))
      where = self._given_up if len(victims) >= _MOST_WORKERS else rest
      where.append(piece)
    self._dealer.hand_back(_thread_of(task), rest)
    self._has_begun.discard(task.bundle.number)

  def _rest_of(self, task):
    """Pieces of what is left of a task."""
    return bundles.rest_of(task.pieces, self.board.ended, self.board.begun)

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
    """Has a bundle handed back for the sake of a thread that has nothing."""
    if self._idle is None:
      return
    tasks = {
      _thread_of(task): task
      for task in self._tasks.values()
      if task.bundle.number in self._has_begun - self._released
      and task.pieces[0].is_joinable
    }
    thread = self._dealer.worth_releasing(
      self._idle,
      self._threads,
      self.board.ended,
      {
        thread: [
          piece
          for piece in self._rest_of(task)
          if self.board.begun.isdisjoint(piece.names)
        ]
        for thread, task in tasks.items()
      },
    )
    if thread is not None:
      number = tasks[thread].bundle.number
      self._released.add(number)
      self._tell(worker.release, number, workers=[thread.address])

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
