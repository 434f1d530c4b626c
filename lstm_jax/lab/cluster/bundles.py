"""Chooses what a worker that is free runs next. Pure functions.

A piece is what no worker shares with another. Pieces of one program are given
out in bundles: early in a run all of a program go to one worker, which compiles
it and refills its lanes as trials end; the less is left the smaller a bundle,
so that workers end together.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from lstm_jax.lab.plan import dealing, estimate
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
  """

  key: str
  program: str
  length: int | None
  names: tuple[str, ...]
  seconds: float
  is_joinable: bool


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
    )
    for group, cost in zip(groups, costs, strict=True)
  ]
  return longest_first(pieces)


def longest_first(pieces: Iterable[Piece]) -> list[Piece]:
  """Pieces sorted; of those that take the same time the first stays first."""
  return sorted(pieces, key=lambda piece: -piece.seconds)


def next_bundle(
  waiting: Sequence[Piece],
  compiled: Collection[str],
  under_way: Collection[str],
  slots: int,
) -> list[Piece]:
  """The pieces that a free thread of a worker runs next; [] if none waits.

  Args:
    waiting: pieces, those that take longest first.
    compiled: programs that the worker has compiled.
    under_way: programs that workers run or have run.
    slots: threads of all workers.

  Example:
    >>> a, b = (Piece(k, k, 9, (k,), 1.0, True) for k in 'ab')
    >>> [piece.key for piece in next_bundle([a, b], {'b'}, {'b'}, 2)]
    ['b']
  """
  if not waiting:
    return []
  first = next(
    (piece for piece in waiting if piece.program in compiled),
    next(
      (piece for piece in waiting if piece.program not in under_way),
      waiting[0],
    ),
  )
  bundle, seconds = [first], first.seconds
  # What takes less than its compilation is worth no second one.
  share = max(
    sum(piece.seconds for piece in waiting) / max(slots, 1), estimate.COMPILE
  )
  for piece in waiting:
    if (
      piece is not first
      and first.is_joinable
      and (piece.key, piece.length) == (first.key, first.length)
      and seconds + piece.seconds <= share
    ):
      bundle.append(piece)
      seconds += piece.seconds
  return bundle


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
  each = max(p.seconds / len(p.names) for p in pieces)
  parts = [n for n in left if n in begun], [n for n in left if n not in begun]
  rest = []
  for part in parts:
    for at in range(0, len(part), estimate.FULL_LANES):
      names = tuple(part[at : at + estimate.FULL_LANES])
      rest.append(pieces[0]._replace(names=names, seconds=each * len(names)))
  return rest
