"""The search of a row by made-up records: draws, finalists, winner.

Nothing is trained: a function of a trial's setting says how it ends.
"""

import itertools
import math
import random

import pytest

from lstm_jax.lab.plan import flags, plan, tuned_rows, tuning
from lstm_jax.lab.store.catalog_entry import Range
from lstm_jax.lab.store.setting import trial_id
from lstm_jax.lab.tune import export, scores, search, study

BUDGET = 1000
WORDS = (
  'sweep --task=adding --cell=gru --learner=elman --length=10 --tune=16'
  f' --budget={BUDGET} --set=learner.optimizer=sgd'
)
SIZE = tuning.Tuning(16, 5)


def row_of(words=WORDS):
  (row,) = plan.expand(flags.parse(words.split(), {})).tuned_rows
  return row


def ended(trial, waits):
  """The record of a trial that is solved after so many sequences, or never."""
  solved = waits is not None and waits <= trial.budget
  seen = waits if solved else trial.budget
  return {
    'trial': trial_id(trial),
    'status': 'solved' if solved else 'budget',
    'seconds': 0.5,
    'metrics': {
      'sequences_seen': seen,
      'sequences_to_success': waits if solved else None,
      'train_absolute': 0.01 if solved else 0.3,
    },
  }


def rate_of(trial):
  return dict(trial.numbers)['learning_rate']


def searched(row, waits_of, mix=None, size=SIZE):
  """A search to its end, and the trials of each of its rounds.

  `mix` draws the order in which results arrive.
  """
  one, rounds = search.begun(row, size), []
  for number in range(1, search.NUM_ROUNDS + 1):
    trials = search.trials_of(one, number)
    flat = [trial for of_place in trials.values() for trial in of_place]
    flat = mix.sample(flat, len(flat)) if mix else flat
    records = {trial_id(t): ended(t, waits_of(t)) for t in flat}
    one = search.after(one, number, records)
    rounds.append(trials)
  return one, rounds


def near(best):
  """Sequences to success by the distance of the rate from the best, in decades.

  Seeds differ, so that a median is one of several.
  """

  def waits_of(trial):
    distance = abs(math.log10(rate_of(trial) / best))
    return int(100 + 600 * distance + trial.seed % 7)

  return waits_of


def test_every_row_has_as_many_settings_and_the_best_quarter_goes_on():
  one, (first, held, last) = searched(row_of(), near(0.3))
  assert [len(first), len(held), len(last)] == [12, 4, 4]
  short = [*itertools.chain(*first.values()), *itertools.chain(*held.values())]
  assert {trial.budget for trial in short} == {BUDGET // 4}
  assert {trial.seed for trial in short} == set(SIZE.seed_list)
  assert len({trial_id(trial) for trial in short}) == 16 * 5
  # Nobody who has been solved is run again; the rest has all of the budget.
  again = [*itertools.chain(*last.values())]
  assert {trial.budget for trial in again} <= {BUDGET}
  for place, trials in last.items():
    unsolved = [r['status'] == 'budget' for r in one.short[place]]
    assert len(trials) == sum(unsolved)
  # By hand: the winner is the nearest rate, the finalists the four nearest.
  rates = [draw.values['learner.learning_rate'] for draw in one.draws]
  by_wait = sorted(range(16), key=lambda i: abs(math.log10(rates[i] / 0.3)))
  assert set(one.full) == set(by_wait[:4])
  assert search.winner_of(one) == one.draws[by_wait[0]]


def test_the_order_in_which_results_arrive_decides_nothing():
  row, waits_of = row_of(), near(0.3)
  plain, _ = searched(row, waits_of)
  for seed in range(3):
    mix = random.Random(seed)
    mixed, _ = searched(row, waits_of, mix)
    assert mixed == plain
    assert search.record_of(mixed) == search.record_of(plain)


def test_what_a_row_gets_depends_on_no_other_row():
  words = WORDS.replace('gru', 'gru,srn')
  rows = plan.expand(flags.parse(words.split(), {})).tuned_rows
  alone, _ = searched(row_of(), near(0.3))
  beside, _ = searched(rows[0], near(0.3))
  assert beside.draws == alone.draws
  assert search.record_of(beside) == search.record_of(alone)


@pytest.mark.parametrize(
  'best, end, bound', [(300.0, 'high', 10.0), (1e-4, 'low', 0.01)]
)
def test_an_optimum_at_the_edge_extends_the_range(best, end, bound):
  def waits_of(trial):
    return near(best)(trial) // 10

  one, rounds = searched(row_of(), waits_of)
  inner, _ = searched(row_of(), near(0.3))
  assert len(one.draws) == len(inner.draws) == 16  # nobody gets more
  name = 'learner.learning_rate'
  first = [draw.values[name] for draw in one.draws[:12]]
  held = [draw.values[name] for draw in one.draws[12:]]
  assert all(0.01 <= rate <= 10 for rate in first)
  if end == 'high':
    assert all(max(first) <= rate <= 100 for rate in held)
    assert max(held) > bound
  else:
    assert all(0.001 <= rate <= min(first) for rate in held)
    assert min(held) < bound
  # Where the rest is as the best so far has it.
  best_draw = min(one.draws[:12], key=lambda d: abs(d.values[name] / best - 1))
  assert {d.values['cell.init_range'] for d in one.draws[12:]} == {
    best_draw.values['cell.init_range']
  }
  record = search.record_of(one)
  to = {'high': '100', 'low': '0.001'}[end]
  assert f'{name} to {to}' in record['extended']
  assert name not in search.record_of(inner).get('extended', '')
  assert len(rounds[1]) == 4


def test_what_is_still_at_an_edge_says_so():
  draw = search.Draw({'a.rate': 9.0}, {'a.rate': Range(0.01, 10.0, 'log')})
  assert search.edges_of(draw) == {'a.rate': 'high'}
  wider = {'a.rate': (Range(0.01, 10.0, 'log'), Range(0.01, 100.0, 'log'))}
  assert search.edges_of(draw, wider=wider) == {}
  # In the outermost quarter it is at the edge if it is the last that was tried.
  rate = Range(0.01, 10.0, 'log')
  draws = [search.Draw({'a.rate': x}, {'a.rate': rate}) for x in (0.3, 2, 3)]
  assert search.edges_of(draws[2], draws) == {'a.rate': 'high'}
  assert search.edges_of(draws[1], draws) == {}
  assert search.edges_of(draws[0], draws) == {}  # the first, but in the middle
  last = search.Draw({'a.rate': 0.03}, {'a.rate': rate})
  assert search.edges_of(last, [*draws, last]) == {'a.rate': 'low'}
  draw = search.Draw({'a.bias': -5.9}, {'a.bias': Range(-6.0, 0.0, 'linear')})
  assert search.edges_of(draw) == {'a.bias': 'low'}
  assert search.extended(draw.space['a.bias'], 'low').low == -9.0


def test_what_was_spent_and_how_sharp_the_optimum_is():
  one, rounds = searched(row_of(), near(0.3))
  trials = [t for r in rounds for of_place in r.values() for t in of_place]
  seen = [ended(t, near(0.3)(t))['metrics']['sequences_seen'] for t in trials]
  record = search.record_of(one)
  assert record['trials'] == len(trials)
  assert record['sequences'] == sum(seen)
  assert record['seconds'] == 0.5 * len(trials)
  assert (record['settings'], record['seeds'], record['solved']) == (16, 5, 5)
  waits = [
    min(near(0.3)(t) for t in r[place]) for r in rounds[:2] for place in r
  ]
  # A setting counts that solved within what it was given.
  given = [BUDGET if place in one.full else BUDGET // 4 for place in range(16)]
  assert record['solving'] == sum(
    wait <= most for wait, most in zip(waits, given, strict=True)
  )
  first, second, *_ = search.ranked(one)
  medians = [scores.median_of(one.full[i], BUDGET) for i in (first, second)]
  assert record['second'] == pytest.approx(medians[1] / medians[0], abs=1e-3)


def test_a_score_by_hand():
  def record(status, waits=None, error=None):
    return {
      'status': status,
      'metrics': {'sequences_to_success': waits, 'train_absolute': error},
    }

  def score(*records):
    return scores.score_of(records, 100, 'sequences')

  quick, slow = record('solved', 10), record('solved', 90)
  near_miss, miss = record('budget', error=0.1), record('budget', error=0.4)
  broken = record('diverged')
  ordered = [
    score(quick, quick, slow),
    score(quick, slow, slow),
    score(quick, quick, near_miss),  # one unsolved is worse than all slow
    score(quick, slow, near_miss),
    score(quick, slow, miss),
    score(near_miss, near_miss, quick),
    score(near_miss, near_miss, near_miss),
    score(near_miss, near_miss, miss),
    score(near_miss, miss, broken),
  ]
  assert ordered == sorted(set(ordered))
  assert score(quick, quick, quick) == pytest.approx(20 / 203)
  assert score(broken, broken, broken) == 4


def test_epochs_are_judged_by_validation_and_never_by_the_test_part():
  def record(valid, test, status='budget'):
    return {
      'status': status,
      'metrics': {'valid_accuracy': valid, 'test_accuracy': test},
    }

  def score(*records):
    return scores.score_of(records, 10, 'epochs')

  assert score(record(0.9, 0.1)) < score(record(0.8, 0.9))
  assert score(record(0.9, 0.1)) == score(record(0.9, 0.9))
  assert score(record(0.5, 0.5)) < score(record(None, 1.0, 'diverged'))


@pytest.mark.parametrize('count', [1, 2, 3, 4, 7, 16])
def test_a_rung_is_judged_as_a_whole(count):
  values = [*range(count)]
  for seed in range(3):
    random.Random(seed).shuffle(values)
    going_on = study.finalists(values)
    assert going_on == sorted(going_on)
    assert {values[i] for i in going_on} == set(range(max(1, count // 4)))


def test_equal_settings_go_on_in_the_order_of_drawing():
  assert study.finalists([1.0] * 8) == [0, 1]


def test_draws_are_those_of_the_seed_and_stay_in_their_ranges():
  space = row_of(WORDS.replace(' --set=learner.optimizer=sgd', '')).space
  drawn = study.draws(space, 32)
  assert drawn == study.draws(space, 32)
  assert drawn[:8] == study.draws(space, 8)
  assert drawn != study.draws(space, 32, seed=1)
  for values in drawn:
    plain = tuned_rows.plain_space(space, values)
    assert plain.keys() == values.keys() == space.keys()
    for name, one in plain.items():
      if one.choices:
        assert values[name] in one.choices
      else:
        assert one.low <= values[name] <= one.high
  by_optimizer = {v['learner.optimizer'] for v in drawn}
  assert by_optimizer == {'sgd', 'adam', 'normalised'}
  # Even on a log scale: as many in each third of what they go over.
  rates = study.draws({'a.rate': Range(0.01, 10.0, 'log')}, 30)
  thirds = [int(v['a.rate'] > 0.1) + int(v['a.rate'] > 1) for v in rates]
  assert all(8 <= thirds.count(i) <= 12 for i in range(3))


def test_a_few_settings_are_searched_too():
  for count in (1, 2, 5):
    one, rounds = searched(row_of(), near(0.3), size=tuning.Tuning(count, 2))
    assert len(one.draws) == count
    assert len(rounds[2]) == max(1, count // 4)
    assert search.record_of(one)['settings'] == count


def test_what_has_failed_is_not_chosen():
  def waits_of(trial):
    return near(0.3)(trial)

  row = row_of()
  one, _ = searched(row, waits_of)
  best = search.winner_of(one).values['learner.learning_rate']

  def without_it(trial):
    return None if rate_of(trial) == best else waits_of(trial)

  other, _ = searched(row, without_it)
  assert search.winner_of(other).values['learner.learning_rate'] != best


def test_a_study_of_optuna_holds_what_the_search_found(tmp_path):
  import optuna

  one, _ = searched(row_of(), near(0.3))
  path = tmp_path / 'new' / 'studies.db'
  export.write([one], path)
  assert [*path.parent.iterdir()] == [path]
  storage = optuna.storages.RDBStorage(f'sqlite:///{path}')
  (name,) = optuna.get_all_study_names(storage)
  assert name == 'flags'
  loaded = optuna.load_study(study_name=name, storage=storage)
  for made in (loaded, export.study_of(one)):
    assert len(made.trials) == 16
    assert made.best_trial.number == search.ranked(one)[0]
    assert made.best_params == search.winner_of(one).values
    states = [trial.state.name for trial in made.trials]
    assert states.count('COMPLETE') == 4 and states.count('PRUNED') == 12
    assert made.user_attrs['chosen'] == made.best_trial.number
    for trial, draw in zip(made.trials, one.draws, strict=True):
      assert trial.params == draw.values
      assert list(trial.intermediate_values)[0] == BUDGET // 4
      assert trial.value == [*trial.intermediate_values.values()][-1]
  storage.remove_session()
  storage.engine.dispose()
