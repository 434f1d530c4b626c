"""Reckons what groups cost in parts, and chooses who gets which.

A plan in parts costs more processor time than in one piece: each part starts,
compiles the programs of its groups, and idles while the last trials of a pool
run. A deal is chosen by both: when it ends, and what it costs.
"""

from collections.abc import Sequence, Set
from typing import NamedTuple

from lstm_jax.lab.plan import estimate

# Weights of what a plan in parts costs more, each tried in turn.
_WEIGHTS = (0, 1, 1.5, 1.7, 1.8, 1.9, 2, 4)
# One by which nothing is taken apart.
_NEVER = 1e6
# A plan in parts is to cost so much processor time of one piece (by what is
# expected: rows whose trials differ more in length come to 1.2), where it then
# takes so much of the shortest time.
_MOST = 1.125
_LONGEST = 1.625
_AS_SHORT = 1.05
# Rounds of its lanes that a part idles at the end of a pool: seen in rows of
# paper1997 at T = 100, thirty trials each in one piece and in two.
_TAIL = 0.5
_ROUNDING = 1e-6  # of sums in another order


class Cost(NamedTuple):
  """Expected cost of a group on one core.

  Attributes:
    program: the name of its program, which a part compiles once.
    seconds: without compilation.
    pool: the same for groups whose trials follow each other in the lanes of a
      part.
    idle: seconds that a part idles while the last trials of a pool run.
  """

  program: str
  seconds: float
  pool: tuple[str, int | None]
  idle: float


class Slot(NamedTuple):
  """A part, or a thread of a worker, that runs groups in turn.

  Attributes:
    ready: seconds until it is done with what it has.
    held: programs that it has compiled, and pools that it has trials of in its
      lanes, with room for more.
  """

  ready: float = 0.0
  held: Set[object] = frozenset()


class Deal(NamedTuple):
  """A way to deal groups.

  Attributes:
    slots: of each group the number of its slot.
    work: expected seconds of all slots for these groups, starts left out.
    end: seconds until all slots are done, starts left out.
  """

  slots: tuple[int, ...]
  work: float
  end: float

  @property
  def total(self) -> float:
    """Expected seconds of all parts, each of which starts."""
    return self.work + estimate.START * len({*self.slots})

  @property
  def longest(self) -> float:
    """Expected seconds of the part that takes longest."""
    return estimate.START + self.end


def idle_of(seconds: float) -> float:
  """Seconds that a part idles behind groups that take `seconds` each."""
  return _TAIL * seconds


def dealt(costs: Sequence[Cost], slots: Sequence[Slot], weight: float) -> Deal:
  """The deal in which each group goes to the slot that would be done first.

  Args:
    costs: of the groups, in the order in which they are dealt.
    slots: who there is.
    weight: of the seconds that a group costs more in a slot than in another,
      besides those until the slot is done.

  Example:
    >>> costs = [Cost('a', 30.0, ('a', 9), 15.0)] * 2
    >>> dealt(costs, [Slot(), Slot()], 0).slots
    (0, 1)
    >>> dealt(costs, [Slot(), Slot()], 4).slots
    (0, 0)
  """
  ready = [slot.ready for slot in slots]
  held = [{*slot.held} for slot in slots]
  chosen, work = [], 0.0
  # Most groups cost what the one before did: only one slot ends later then.
  last, more, ranks = None, list(ready), list(ready)
  for cost in costs:
    if cost != last:
      last = cost
      more = [
        estimate.COMPILE * (cost.program not in of)
        + cost.idle * (cost.pool not in of)
        for of in held
      ]
      ranks = [at + (1 + weight) * m for at, m in zip(ready, more, strict=True)]
    slot = ranks.index(min(ranks))
    ready[slot] += cost.seconds + more[slot]
    work += cost.seconds + more[slot]
    held[slot] |= {cost.program, cost.pool}
    more[slot], ranks[slot] = 0.0, ready[slot]
    chosen.append(slot)
  return Deal(tuple(chosen), work, max(ready))


def best(costs: Sequence[Cost], parts: int) -> Deal:
  """The deal of a plan to parts that have nothing yet.

  To take trials of one program apart costs processor time. Where that, with
  the start of each part, comes to more than an eighth of what the plan costs in
  one piece, it counts for more, until it does not, or the plan would take five
  eighths longer or leave a part without work; then the cheapest deal is taken
  of those that end first.

  Args:
    costs: of the groups, those that take longest first.
    parts: how many, at most as many as groups.
  """
  deals = [dealt(costs, [Slot()] * parts, weight) for weight in _WEIGHTS]
  most = _MOST * dealt(costs, [Slot()], 0).total
  shortest = min(one.longest for one in deals)
  cheap = (
    one
    for one in deals
    if one.total <= most
    and one.longest <= _LONGEST * shortest
    and len({*one.slots}) == parts
  )
  return next(cheap, None) or min(
    (one for one in deals if one.longest <= _AS_SHORT * shortest),
    key=lambda one: one.total,
  )


def bound(costs: Sequence[Cost], parts: int) -> float:
  """Seconds that a plan may cost by `best`, the starts of its parts left out.

  Args:
    costs, parts: as of `best`.
  """
  chosen = best(costs, parts)
  most = max(_MOST * dealt(costs, [Slot()], 0).total, chosen.total)
  return most - chosen.total + chosen.work


def within(costs: Sequence[Cost], slots: Sequence[Slot], most: float) -> Deal:
  """The deal of what is left of a plan, to slots that have begun.

  Args:
    costs: of the groups, those that take longest first.
    slots: who there is.
    most: seconds of work that the deal may come to; where none does, nothing is
      taken apart.
  """
  for weight in (*_WEIGHTS, _NEVER):
    deal = dealt(costs, slots, weight)
    if deal.work <= most + _ROUNDING:
      break
  return deal
