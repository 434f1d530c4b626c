"""Deals the trials of a plan to parts that run apart, by groups.

What is dealt is a group: trials of one program and one length, as many as fill
the lanes that a worker runs side by side. Each seed of a row in another part
would have every part compile every program and fill a lane or two of each. A
plan and a number of parts decide the deal, nothing of the machine: every part
comes to the same one alone.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lstm_jax.choices import count_of
from lstm_jax.lab.plan import estimate
from lstm_jax.lab.plan.programs import learner_of, programs
from lstm_jax.lab.store.setting import Setting

# Numbers of parts of which a plan says what they are worth, each while it takes
# less than this of the one before.
NUMBERS = (2, 4, 8, 16, 32, 64)
_WORTH = 0.9
# Weights of what a plan in parts costs more, each tried in turn.
_WEIGHTS = (0, 1, 1.5, 1.7, 1.8, 1.9, 2, 4)
# A plan in parts is to cost so much processor time of one piece (by what is
# expected: rows whose trials differ more in length come to 1.2), where it then
# takes so much of the shortest time.
_MOST = 1.125
_LONGEST = 1.625
_AS_SHORT = 1.05
# Rounds of its lanes that a part idles at the end of a pool: seen in rows of
# paper1997 at T = 100, thirty trials each in one piece and in two.
_TAIL = 0.5
# Ids of trials that run together.
Group = tuple[str, ...]


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


class _Deal(NamedTuple):
  """A way to deal groups.

  Attributes:
    parts: of each group its part.
    total: expected seconds of all parts.
    longest: of the part that takes longest.
  """

  parts: tuple[int, ...]
  total: float
  longest: float


# Name of a program -> ids of its trials.
Members = Mapping[str, Sequence[str]]


def members_of(trials: Mapping[str, Setting]) -> dict[str, list[str]]:
  """The trials of each program."""
  names, settings = list(trials), list(trials.values())
  return {
    key: [names[i] for i in where] for key, where in programs(settings).items()
  }


def groups_of(
  trials: Mapping[str, Setting], members: Members
) -> tuple[Group, ...]:
  """Trials on-line, by groups of one program and length, in plan order.

  Args:
    trials: id -> setting.
    members: of `members_of`, of these trials and any others.
  """
  groups = []
  for names in members.values():
    of_length: dict[int | None, list[str]] = {}
    for name in filter(trials.__contains__, names):
      of_length.setdefault(trials[name].length, []).append(name)
    for alike in of_length.values():
      groups += [
        tuple(alike[at : at + estimate.FULL_LANES])
        for at in range(0, len(alike), estimate.FULL_LANES)
      ]
  return tuple(groups)


def groups_of_plan(
  trials: Mapping[str, Setting], members: Members
) -> tuple[Group, ...]:
  """Groups of a plan: those on-line, and of data sets each trial alone."""
  is_on_line = lambda name: learner_of(trials[name]).unit != 'epochs'
  return (
    *groups_of({n: trials[n] for n in trials if is_on_line(n)}, members),
    *((name,) for name in trials if not is_on_line(name)),
  )


def names_of_part(
  trials: Mapping[str, Setting], shard: tuple[int, int]
) -> set[str]:
  """Ids of the trials of a part `(i, n)`, where it runs none of them."""
  members = members_of(trials)
  groups = groups_of_plan(trials, members)
  part = groups_of_part(groups, trials, members, shard)
  return {name for group in part for name in group}


def groups_of_part(
  groups: Sequence[Group],
  trials: Mapping[str, Setting],
  members: Members,
  shard: tuple[int, int],
) -> tuple[Group, ...]:
  """The groups of a part `(i, n)`, of those of the plan, see `deal`."""
  index, count = shard
  dealt = deal(groups, trials, members, count)
  return dealt[index] if index < len(dealt) else ()


def deal(
  groups: Sequence[Group],
  trials: Mapping[str, Setting],
  members: Members,
  parts: int,
) -> tuple[tuple[Group, ...], ...]:
  """The groups of each part, those that take longest dealt first.

  A group goes to the part that would be done with it first. To take trials of
  one program apart costs processor time: each part compiles the program, and
  idles while the last trials of its lanes run. Where that, with the start of
  each part, comes to more than an eighth of what the plan costs in one piece,
  it counts for more, until it does not, or the plan would take five eighths
  longer or leave a part without work; then the cheapest deal is taken of those
  that end first.

  Args:
    groups: of the plan, in its order.
    trials: id -> setting.
    members: of `members_of`.
    parts: how many.

  Returns:
    For each part that has work its groups, in the order of the plan. Parts
    beyond these have none: with them the plan would cost more and end no
    sooner, or not much.
  """
  if parts == 1:
    return (tuple(groups),)
  costs = costs_of(groups, trials, members)
  longest_first = sorted(range(len(groups)), key=lambda i: -costs[i].seconds)
  in_turn = [costs[i] for i in longest_first]
  deals = [
    _dealt(in_turn, min(parts, len(groups)), weight) for weight in _WEIGHTS
  ]
  most = _MOST * _dealt(in_turn, 1, 0).total
  shortest = min(one.longest for one in deals)
  cheap = (
    one
    for one in deals
    if one.total <= most
    and one.longest <= _LONGEST * shortest
    and len({*one.parts}) == min(parts, len(groups))
  )
  best = next(cheap, None) or min(
    (one for one in deals if one.longest <= _AS_SHORT * shortest),
    key=lambda one: one.total,
  )
  dealt: list[list[int]] = [[] for _ in range(max(best.parts, default=-1) + 1)]
  for i, part in zip(longest_first, best.parts, strict=True):
    dealt[part].append(i)
  return tuple(tuple(groups[i] for i in sorted(part)) for part in dealt)


def _dealt(costs, parts, weight):
  """The `_Deal` of groups in the order in which they are dealt.

  Args:
    costs: of the groups, in that order.
    parts: how many.
    weight: of the seconds that a group costs more in a part than in another,
      besides those until the part is done.
  """
  ready = [0.0] * parts
  compiled: list[set[object]] = [set() for _ in range(parts)]
  chosen, total = [], 0.0
  # Most groups cost what the one before did: only one part ends later then.
  last, more, ranks = None, list(ready), list(ready)
  for cost in costs:
    if cost != last:
      last = cost
      more = [
        estimate.COMPILE * (cost.program not in held)
        + cost.idle * (cost.pool not in held)
        for held in compiled
      ]
      ranks = [at + (1 + weight) * m for at, m in zip(ready, more, strict=True)]
    part = ranks.index(min(ranks))
    ready[part] += cost.seconds + more[part]
    total += cost.seconds + more[part]
    compiled[part] |= {cost.program, cost.pool}
    more[part], ranks[part] = 0.0, ready[part]
    chosen.append(part)
  return _Deal(
    tuple(chosen),
    total + estimate.START * len({*chosen}),
    estimate.START + max(ready),
  )


def costs_of(
  groups: Sequence[Group], trials: Mapping[str, Setting], members: Members
) -> list[Cost]:
  """The `Cost` of each group."""
  program_of = {name: key for key, names in members.items() for name in names}
  of_trial: dict[object, float] = {}  # of a family: seeds do not matter here
  costs = []
  for group in groups:
    setting = trials[group[0]]
    if setting.family not in of_trial:
      of_trial[setting.family] = estimate.trial_seconds(setting)
    seconds = len(group) * of_trial[setting.family]
    if learner_of(setting).unit != 'epochs':
      # Lanes that are left empty cost what full ones do.
      seconds *= estimate.FULL_LANES / len(group)
    program = program_of[group[0]]
    is_on_line = learner_of(setting).unit != 'epochs'
    idle = _TAIL * seconds if is_on_line else 0.0
    costs.append(Cost(program, seconds, (program, setting.length), idle))
  return costs


def part_seconds(costs: Sequence[Cost]) -> float:
  """Expected seconds of a part on one core, its start included."""
  compilation = estimate.COMPILE * len({cost.program for cost in costs})
  idle: dict[object, float] = {}
  for cost in costs:
    idle[cost.pool] = max(cost.idle, idle.get(cost.pool, 0.0))
  seconds = sum(cost.seconds for cost in costs)
  return estimate.START + compilation + sum(idle.values()) + seconds


def summary(
  trials: Mapping[str, Setting], shard: tuple[int, int], slowness: float
) -> str:
  """Says what numbers of parts are worth, or what one part has.

  Args:
    trials: id -> setting.
    shard: `(i, n)`; of the whole plan it says what parts would be worth.
    slowness: of this processor, see `estimate.slowness`.
  """
  members = members_of(trials)
  groups = groups_of_plan(trials, members)

  def seconds(part):
    return slowness * part_seconds(costs_of(part, trials, members))

  index, count = shard
  if count > 1:
    part = groups_of_part(groups, trials, members, shard)
    if not part:
      return (
        f'Part {index} of {count}: nothing; the plan has '
        f'{count_of(len(groups), "group")} to deal.'
      )
    return (
      f'Part {index} of {count}: {count_of(len(part), "group")}, '
      f'{count_of(sum(map(len, part)), "trial")}, '
      f'{estimate.words(seconds(part))} on one core.'
    )
  times = []
  last = seconds(groups)
  for number in NUMBERS:
    parts = deal(groups, trials, members, number)
    if (longest := max(map(seconds, parts))) > _WORTH * last:
      break
    times.append(f'{number}: {estimate.words(longest)}')
    last = longest
  if not times:
    return 'In parts (--shard=I/N) it takes no less: its longest group decides.'
  ending = '.' if len(times) == len(NUMBERS) else '; more bring little.'
  return f'In parts (--shard=I/N) of one core: {", ".join(times)}{ending}'
