"""Chooses what a worker that is free runs next. Pure functions.

A piece is what no worker shares with another. Pieces are dealt to workers as
groups are to parts (`plan.dealing`), and those of one program and length are
given to a worker at once, as a bundle: it compiles the program and refills its
lanes as trials end.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from lstm_jax.lab.plan import deal_costs, dealing, estimate
from lstm_jax.lab.plan.deal_costs import Cost, Slot
from lstm_jax.lab.plan.programs import learner_of
from lstm_jax.lab.store.setting import Setting


class Piece(NamedTuple):
  """A group, or what is left of one.

  Attributes:
    key: name of its jobs' program.
    program: what a worker compiles once for pieces that share it.
    length: of its sequences, None where it has none.
    names: ids of its trials.
    seconds: that it is expected to take on one core.
    is_joinable: whether pieces of one key may run side by side.
    idle: seconds that a core idles while the last trials of a bundle run.
  """

  key: str
  program: str
  length: int | None
  names: tuple[str, ...]
  seconds: float
  is_joinable: bool
  idle: float = 0.0


def pieces_of(
  groups: Iterable[tuple[str, ...]],
  trials: Mapping[str, Setting],
  keys: Mapping[str, str],
) -> list[Piece]:
  """The groups as pieces, those that take longest first.

  Args:
    groups: ids of each.
    trials: id -> setting, all of the plan.
    keys: id -> name of the program of its job.
  """
  groups = [group for group in groups if group]
  members = dealing.members_of(trials)
  costs = dealing.costs_of(groups, trials, members)
  pieces = [
    Piece(
      keys[group[0]],
      cost.program,
      trials[group[0]].length,
      group,
      cost.seconds,
      learner_of(trials[group[0]]).unit != 'epochs',
      cost.idle,
    )
    for group, cost in zip(groups, costs, strict=True)
  ]
  return longest_first(pieces)


def longest_first(pieces: Iterable[Piece]) -> list[Piece]:
  """Pieces sorted; of those that take the same time the first stays first."""
  return sorted(pieces, key=lambda piece: -piece.seconds)


def deal(
  waiting: Sequence[Piece], slots: Sequence[Slot], most: float
) -> list[list[Piece]]:
  """The pieces of each slot, see `deal_costs.within`.

  Args:
    waiting: pieces, those that take longest first.
    slots: what each has.
    most: seconds that they may come to.

  Example:
    >>> a, b = (Piece(k, k, 9, (k,), 1.0, True) for k in 'ab')
    >>> deal([a, b], [Slot(), Slot(held={'a'})], 20.0) == [[b], [a]]
    True
  """
  chosen = deal_costs.within([cost_of(p) for p in waiting], slots, most).slots
  dealt: list[list[Piece]] = [[] for _ in slots]
  for piece, slot in zip(waiting, chosen, strict=True):
    dealt[slot].append(piece)
  return dealt


def cost_of(piece: Piece) -> Cost:
  """The cost of a piece, as dealing reckons it."""
  pool = piece.program, piece.length
  return Cost(piece.program, piece.seconds, pool, piece.idle)


def work_of(pieces: Iterable[Piece]) -> float:
  """Seconds that a bundle takes, its compilation left out.

  Example:
    >>> work_of([Piece('a', 'a', 9, ('1',), 30.0, True, 15.0)] * 2)
    75.0
  """
  pieces = [*pieces]
  return sum(piece.seconds for piece in pieces) + max(p.idle for p in pieces)


def next_bundle(queue: Sequence[Piece]) -> list[Piece]:
  """Those of a slot's pieces that it runs next; [] of none.

  Pieces of one program and length follow each other in its lanes. Those that
  take longest together come first: what is left then may go to others.

  Example:
    >>> a, b = (Piece(k, k, 9, (k,), 2.0, True) for k in 'ab')
    >>> [piece.key for piece in next_bundle([a, b, b])]
    ['b', 'b']
  """
  pools: dict[object, list[Piece]] = {}
  for piece in queue:
    alone = () if piece.is_joinable else piece.names
    pools.setdefault((piece.key, piece.length, alone), []).append(piece)
  return max(pools.values(), key=work_of, default=[])


def rest_of(
  pieces: Iterable[Piece], ended: Collection[str], begun: Collection[str]
) -> list[Piece]:
  """Pieces of what is left of a bundle: what has begun stays together.

  Args:
    pieces: of one bundle.
    ended: ids of trials that have a record.
    begun: ids of trials that have a snapshot.
  """
  pieces = list(pieces)
  if not pieces[0].is_joinable:
    # Trained whole: its worker skips what has a record.
    names = pieces[0].names
    return [] if set(names) <= set(ended) else pieces
  left = [n for piece in pieces for n in piece.names if n not in ended]
  each = {n: p.seconds / len(p.names) for p in pieces for n in p.names}
  parts = [n for n in left if n in begun], [n for n in left if n not in begun]
  rest = []
  for part in parts:
    for at in range(0, len(part), estimate.FULL_LANES):
      names = tuple(part[at : at + estimate.FULL_LANES])
      seconds = sum(each[name] for name in names)
      rest.append(pieces[0]._replace(names=names, seconds=seconds))
  return rest
