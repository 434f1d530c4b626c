"""Deals the trials of a plan to parts that run apart, by groups.

What is dealt is a group: trials of one program and one length, as many as fill
the lanes that a worker runs side by side. Each seed of a row in another part
would have every part compile every program and fill a lane or two of each. A
plan and a number of parts decide the deal, nothing of the machine: every part
comes to the same one alone.
"""

from collections.abc import Mapping, Sequence

from lstm_jax.choices import count_of
from lstm_jax.lab.plan import deal_costs, estimate
from lstm_jax.lab.plan.deal_costs import Cost
from lstm_jax.lab.plan.programs import learner_of, programs
from lstm_jax.lab.store.setting import Setting

# Numbers of parts of which a plan says what they are worth, each while it takes
# less than this of the one before.
NUMBERS = (2, 4, 8, 16, 32, 64)
_WORTH = 0.9
# Ids of trials that run together.
Group = tuple[str, ...]


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

  See `deal_costs.best`.

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
  if parts == 1 or not groups:
    return (tuple(groups),)
  costs = costs_of(groups, trials, members)
  longest_first = sorted(range(len(groups)), key=lambda i: -costs[i].seconds)
  in_turn = [costs[i] for i in longest_first]
  slots = deal_costs.best(in_turn, min(parts, len(groups))).slots
  dealt: list[list[int]] = [[] for _ in range(max(slots) + 1)]
  for i, slot in zip(longest_first, slots, strict=True):
    dealt[slot].append(i)
  return tuple(tuple(groups[i] for i in sorted(part)) for part in dealt)


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
    idle = deal_costs.idle_of(seconds) if is_on_line else 0.0
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
