"""Deals what is left of a plan to threads of workers that come, end and go.

A worker is to run a pool, trials of one program and length, whole: another that
takes some of them compiles the program too, and both idle at the end. So all
that waits is dealt to all threads there are, by the costs by which parts are
dealt (`plan.deal_costs`), and a thread that is free begins the longest pool
that was dealt to it. It is dealt again where workers have come or gone, where
something was handed back, and where a thread has nothing left. What is taken
apart on the way may cost no more than a deal in advance may.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from lstm_jax.lab.cluster import bundles
from lstm_jax.lab.cluster.bundles import Piece
from lstm_jax.lab.plan import deal_costs, estimate
from lstm_jax.lab.plan.deal_costs import Slot

# Seconds of a core for which it is worth to save a bundle and deal it again.
_LEAST = 2 * estimate.COMPILE


class Thread(NamedTuple):
  """A thread of a worker.

  Attributes:
    address: of the worker.
    number: of the thread.
  """

  address: str
  number: int


class Dealer:
  """The pieces of a run: those that wait, and who has the others.

  Args:
    pieces: what is left of the plan.
  """

  def __init__(self, pieces: Sequence[Piece]) -> None:
    self.waiting = bundles.longest_first(pieces)
    self.given: dict[Thread, tuple[Piece, ...]] = {}
    self._costs = [bundles.cost_of(piece) for piece in self.waiting]
    self._bounds: dict[int, float] = {}  # number of threads -> seconds
    self._done = 0.0  # seconds of what has ended
    self._compiled: dict[str, set[str]] = {}  # address -> programs
    self._queues: dict[Thread, list[Piece]] = {}  # of what waits
    self._is_dealt = False  # nothing has changed since

  def next_bundle(
    self, thread: Thread, threads: Sequence[Thread], ended: Collection[str]
  ) -> list[Piece]:
    """Gives a thread that is free its next bundle; [] where it has none.

    Args:
      thread: the thread.
      threads: all that there are.
      ended: ids of trials that have.
    """
    is_new = self._queues.keys() != {*threads}
    if is_new or not (self._is_dealt or self._queues[thread]):
      self._deal(threads, ended)
    bundle = bundles.next_bundle(self._queues.get(thread, ()))
    if bundle:
      taken = {piece.names for piece in bundle}
      left = lambda pieces: [p for p in pieces if p.names not in taken]
      self._queues[thread] = left(self._queues[thread])
      self.waiting = left(self.waiting)
      self.given[thread] = tuple(bundle)
      self._compiled.setdefault(thread.address, set()).add(bundle[0].program)
    return bundle

  def ended(self, thread: Thread) -> None:
    """Takes the end of all trials of a thread's bundle."""
    self._done += bundles.work_of(self.given.pop(thread))
    self._is_dealt = False

  def hand_back(self, thread: Thread, rest: Sequence[Piece]) -> None:
    """Takes back what is left of a thread's bundle.

    Args:
      thread: the thread.
      rest: pieces, to be dealt again; the others are done with.
    """
    seconds = sum(piece.seconds for piece in self.given.pop(thread))
    self._done += max(seconds - sum(piece.seconds for piece in rest), 0.0)
    self.waiting = bundles.longest_first([*self.waiting, *rest])
    self._queues = {}

  def forget(self, address: str) -> None:
    """Forgets what a worker that has gone had compiled."""
    self._compiled.pop(address, None)

  def worth_releasing(
    self,
    thread: Thread,
    threads: Sequence[Thread],
    ended: Collection[str],
    not_begun: Mapping[Thread, Sequence[Piece]],
  ) -> Thread | None:
    """The thread that is to hand back its bundle, so that a free one has work.

    It is worth it where those trials that have not begun are dealt to the free
    thread, although they cost more there, within what the plan may cost.

    Args:
      thread: that is free and has nothing.
      threads: all that there are.
      ended: ids of trials that have.
      not_begun: thread -> pieces of its bundle that have not.
    """
    owner = {p.names: one for one, pieces in not_begun.items() for p in pieces}
    seconds = sum(p.seconds for of in not_begun.values() for p in of)
    if seconds < _LEAST:
      return None
    names = {n for of in not_begun.values() for p in of for n in p.names}
    slots = []
    for one in threads:
      slot = self._slot(one, {*ended, *names})
      pools = {bundles.cost_of(piece).pool for piece in not_begun.get(one, ())}
      slots.append(slot._replace(held={*slot.held, *pools}))
    dealt = bundles.deal(
      bundles.longest_first(
        [*self.waiting, *itertools.chain(*not_begun.values())]
      ),
      slots,
      self._bound(len(threads)) - self._spent() + seconds,
    )
    gains = dict.fromkeys(not_begun, 0.0)
    for piece in dealt[threads.index(thread)]:
      if piece.names in owner:
        gains[owner[piece.names]] += piece.seconds
    best = max(gains, key=lambda one: gains[one])
    return best if gains[best] >= _LEAST else None

  def _deal(self, threads, ended):
    """Deals all that waits."""
    slots = [self._slot(one, ended) for one in threads]
    most = self._bound(len(threads)) - self._spent()
    dealt = bundles.deal(self.waiting, slots, most)
    self._queues = dict(zip(threads, dealt, strict=True))
    self._is_dealt = True

  def _slot(self, thread, ended):
    """The `Slot` of a thread."""
    pieces = self.given.get(thread, ())
    left = (
      piece.seconds / len(piece.names) * len({*piece.names}.difference(ended))
      for piece in pieces
    )
    return Slot(sum(left), {*self._compiled.get(thread.address, ())})

  def _spent(self):
    """Expected seconds of what has ended and of what was given, starts and
    what was lost left out.
    """
    num_compiled = sum(map(len, self._compiled.values()))
    given = sum(map(bundles.work_of, self.given.values()))
    return self._done + given + estimate.COMPILE * num_compiled

  def _bound(self, count):
    """Seconds that the plan may cost on so many threads, starts left out."""
    count = min(count, len(self._costs))
    if count not in self._bounds:
      self._bounds[count] = deal_costs.bound(self._costs, count)
    return self._bounds[count]
