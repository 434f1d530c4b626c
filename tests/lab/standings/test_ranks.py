"""Ranks: what is ahead, what cannot be told, how often chance tells."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from lstm_jax.lab.standings.ranks import LEVEL, Rank, ranks_of
from lstm_jax.lab.standings.scores import Course, Score

COURSE = Course('adding-10', 'adding', 10, 1000)
NEVER = math.inf


def score(name, times, **changes):
  return Score(name, COURSE, '', tuple(sorted(times)), 1.0, 0, '', **changes)


def drawn(draw, name, center, count=20, solved=1.0):
  times = center * draw.lognormal(0, 0.4, count)
  return score(name, np.where(draw.random(count) < solved, times, NEVER))


def test_ranks_are_those_of_pairs_by_hand():
  """The same by another way: a matrix of scipy's p, and Holm's rule on it."""
  draw = np.random.default_rng(1)
  scores = [
    drawn(draw, name, *shape)
    for name, shape in {
      'a': (100, 20), 'b': (110, 20), 'c': (400, 20), 'd': (400, 20, 0.3),
      'e': (400, 12, 0.0),
    }.items()
  ]  # fmt: skip
  chances = {}
  for i, j in itertools.combinations(range(len(scores)), 2):
    one, other = scores[i], scores[j]
    table = [[s.solved, s.trials - s.solved] for s in (one, other)]
    share = stats.fisher_exact(table).pvalue
    shares = one.solved / one.trials, other.solved / other.trials
    chances[i, j] = share, shares[0] > shares[1]
    if one.solved and other.solved:
      ranked = stats.rankdata([*one.sequences, *other.sequences])
      sums = ranked[: one.trials].mean(), ranked[one.trials :].mean()
      finite = [[min(v, 1e9) for v in s.sequences] for s in (one, other)]
      order = stats.mannwhitneyu(*finite).pvalue
      best = min((share, chances[i, j][1]), (order, sums[0] < sums[1]))
      chances[i, j] = min(1, 2 * best[0]), best[1]
  ahead = np.zeros((len(scores), len(scores)), bool)
  for left, (pair, (chance, first)) in enumerate(
    sorted(chances.items(), key=lambda item: item[1][0])
  ):
    if chance > LEVEL / (len(chances) - left):
      break
    ahead[pair if first else pair[::-1]] = True
  assert ranks_of(scores) == [
    Rank(1 + ahead[:, i].sum(), len(scores) - ahead[i].sum())
    for i in range(len(scores))
  ]
  assert str(ranks_of(scores)[0]) == '1–2'  # a and b are not told apart


def test_chance_tells_no_pair_apart_in_nineteen_of_twenty_courses():
  """200 courses of four alike entries: more than 21 that are told apart have a
  probability of 0.001 at 5 %, and of 0.95 at 15 %."""
  draw = np.random.default_rng(2)
  told = 0
  for _ in range(200):
    alike = [drawn(draw, str(i), 100, solved=0.8) for i in range(4)]
    told += any(rank != Rank(1, 4) for rank in ranks_of(alike))
  assert told <= stats.binom.ppf(0.999, 200, LEVEL)
  assert stats.binom.sf(stats.binom.ppf(0.999, 200, LEVEL), 200, 0.15) > 0.95


def test_an_entry_that_is_four_times_as_fast_is_ahead():
  """Ten trials each: seen in 97 of a hundred courses or more."""
  draw = np.random.default_rng(3)
  seen = sum(
    ranks_of([drawn(draw, 'a', 100, 10), drawn(draw, 'b', 400, 10)])
    == [Rank(1, 1), Rank(2, 2)]
    for _ in range(100)
  )
  assert seen >= 97


@pytest.mark.parametrize(
  'times, ranks',
  [
    ([(100,) * 5, (100,) * 5], ['1–2', '1–2']),
    ([(NEVER,) * 9, (NEVER,) * 9], ['1–2', '1–2']),
    ([(100,) * 9, (NEVER,) * 9], ['1', '2']),
    ([(100,), (900,)], ['1–2', '1–2']),  # a trial each allows nothing
    ([(100,) * 10], ['1']),
  ],
)
def test_few_and_equal_trials(times, ranks):
  scores = [score(str(i), values) for i, values in enumerate(times)]
  assert [str(rank) for rank in ranks_of(scores)] == ranks


def test_the_order_of_entries_does_not_matter():
  draw = np.random.default_rng(4)
  scores = [drawn(draw, str(i), 100 * 2**i, 12, 0.9) for i in range(4)]
  ranks = dict(zip('0123', ranks_of(scores), strict=True))
  for order in itertools.permutations(range(4)):
    mixed = ranks_of([scores[i] for i in order])
    assert [ranks[str(i)] for i in order] == mixed
