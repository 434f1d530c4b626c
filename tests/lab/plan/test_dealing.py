"""Parts of a plan: every trial in one of them, whole groups, little twice."""

import itertools

import pytest

from lstm_jax.lab.plan import deal_costs, dealing, estimate, flags, plan
from lstm_jax.lab.store.setting import trial_id


def trials_of(line):
  trials = plan.expand(flags.parse(['sweep', *line.split()], {})).trials
  return {trial_id(setting): setting for setting in trials}


@pytest.fixture(scope='module')
def paper():
  return trials_of('--grid=paper1997 --seeds=30')


def dealt(trials, parts):
  members = dealing.members_of(trials)
  groups = dealing.groups_of(trials, members)
  return groups, members, dealing.deal(groups, trials, members, parts)


@pytest.mark.parametrize('parts', [1, 2, 3, 8, 100])
def test_every_trial_is_in_one_part(paper, parts):
  groups, _, of_parts = dealt(paper, parts)
  if parts <= 8:
    assert len(of_parts) == parts
  names = [n for part in of_parts for group in part for n in group]
  assert sorted(names) == sorted(paper)
  assert sorted(itertools.chain(*of_parts)) == sorted(groups)


def test_a_group_fills_the_lanes_of_one_program_and_length(paper):
  groups, members, _ = dealt(paper, 1)
  program_of = {n: key for key, names in members.items() for n in names}
  for group in groups:
    assert len({(program_of[n], paper[n].length) for n in group}) == 1
    assert len(group) <= 16
  # No two of them would fit into one.
  small = [(program_of[g[0]], paper[g[0]].length) for g in groups if len(g) < 9]
  assert len(small) == len(set(small))


def test_parts_compile_little_twice_and_end_together(paper):
  """Dealt seed by seed each of four parts compiles all of the programs."""
  _, members, of_parts = dealt(paper, 4)
  costs = [dealing.costs_of(part, paper, members) for part in of_parts]
  compiled = [len({cost.program for cost in part}) for part in costs]
  assert sum(compiled) < 2.5 * len(members)
  seconds = [dealing.part_seconds(part) for part in costs]
  whole = dealing.part_seconds([cost for part in costs for cost in part])
  assert max(seconds) < 1.1 * min(seconds)
  assert sum(seconds) < 1.2 * whole


# Three groups, each an hour.
LONG = (
  '--task=adding --cell=srn --learner=bptt --seeds=40 --length=1000'
  ' --budget=10000000'
)


def test_more_parts_than_groups_leave_the_last_ones_without_work():
  trials = trials_of(LONG)
  groups, members, of_parts = dealt(trials, 5)
  assert len(groups) == 3
  assert [len(part) for part in of_parts] == [1, 1, 1]
  words_of = lambda shard: dealing.summary(trials, shard, 1.0)
  assert (
    words_of((4, 5)) == 'Part 4 of 5: nothing; the plan has 3 groups to deal.'
  )
  assert words_of((0, 5)).startswith('Part 0 of 5: 1 group, 16 trials, ')
  assert words_of((0, 1)).endswith('; more bring little.')


def test_what_takes_long_to_compile_is_compiled_once():
  line = '--task=adding --learner=bptt --length=5 --budget=9 --cell='
  trials = trials_of(f'{line}lstm --seeds=16') | trials_of(
    f'{line}srn --seeds=48'
  )
  _, _, of_parts = dealt(trials, 2)
  cells = [{trials[n].cell for g in part for n in g} for part in of_parts]
  assert sorted(cells, key=str) == [{'lstm'}, {'srn'}]


def test_the_longest_group_is_dealt_first():
  line = (
    '--task=adding --cell=srn --learner=bptt --length=10,11,1000 --seeds=16'
  )
  trials = trials_of(f'{line} --budget=1000000')
  _, _, of_parts = dealt(trials, 2)
  lengths = [sorted(trials[g[0]].length for g in part) for part in of_parts]
  assert sorted(lengths) == [[10, 11], [1000]]


def test_a_number_of_parts_beyond_reason_costs_nothing():
  trials = trials_of(LONG)
  groups, *_ = dealt(trials, 1)
  for index, names in enumerate([*groups, ()]):
    assert dealing.names_of_part(trials, (index, 10**12)) == {*names}


def test_a_plan_of_one_group_is_not_worth_parts():
  trials = trials_of('--task=adding --cell=srn --learner=bptt --seeds=3')
  assert 'takes no less' in dealing.summary(trials, (0, 1), 1.0)


def test_the_parts_of_data_sets_are_trials():
  trials = trials_of('--grid=sine --seeds=2')
  words = dealing.summary(trials, (0, 2), 1.0)
  assert (
    words.startswith('Part 0 of 2: ') and f'{len(trials) // 2} trials' in words
  )


def test_lanes_that_are_left_empty_cost_what_full_ones_do():
  line = '--task=adding --cell=srn --learner=bptt --seeds='
  costs = []
  for seeds in (4, 16):
    trials = trials_of(f'{line}{seeds}')
    groups, members, _ = dealt(trials, 1)
    costs += dealing.costs_of(groups, trials, members)
  few, full = costs
  assert few.seconds == pytest.approx(full.seconds) and few.seconds > 0


@pytest.mark.parametrize('weight', [0, 1.5, 4])
@pytest.mark.parametrize('parts', [2, 3, 7])
def test_the_deal_is_that_of_ends_computed_anew_for_each_group(
  paper, parts, weight
):
  groups, members, _ = dealt(paper, 1)
  costs = dealing.costs_of(groups, paper, members)
  costs.sort(key=lambda cost: -cost.seconds)
  of_parts = [[] for _ in range(parts)]
  expected = []
  for cost in costs:
    ends = [seconds_of([*held, cost]) for held in of_parts]
    more = [
      end - seconds_of(held) - cost.seconds
      for end, held in zip(ends, of_parts, strict=True)
    ]
    ranks = [end + weight * m for end, m in zip(ends, more, strict=True)]
    # Of equal ones the first, whatever the last bits of sums say.
    part = next(i for i, r in enumerate(ranks) if r < min(ranks) + 1e-6)
    of_parts[part].append(cost)
    expected.append(part)
  deal = deal_costs.dealt(costs, [deal_costs.Slot()] * parts, weight)
  assert list(deal.slots) == expected
  seconds = [dealing.part_seconds(part) for part in of_parts if part]
  assert deal.total == pytest.approx(sum(seconds))
  assert deal.longest == pytest.approx(max(seconds))


def seconds_of(costs):
  """Seconds of a part, its start left out."""
  return dealing.part_seconds(costs) - estimate.START


def test_trials_of_a_program_stay_together_where_that_costs_little_time(paper):
  """Eight parts are nearly five times as fast, for a tenth more work."""
  _, members, of_parts = dealt(paper, 8)
  seconds = [
    dealing.part_seconds(dealing.costs_of(part, paper, members))
    for part in of_parts
  ]
  groups = [group for part in of_parts for group in part]
  whole = dealing.part_seconds(dealing.costs_of(groups, paper, members))
  assert sum(seconds) < 1.125 * whole
  assert whole > 4.6 * max(seconds)


def test_seeds_of_a_setting_cost_what_each_costs_alone(paper):
  groups, members, _ = dealt(paper, 1)
  for group, cost in zip(
    groups, dealing.costs_of(groups, paper, members), strict=True
  ):
    assert dealing.costs_of([group], paper, members) == [cost]
