"""Reber grammar: strings have the probabilities that the grammar gives them.

Every check is a p-value of a fixed sample and fails below 1e-4, or five
standard errors. Its power is tested on the same sample.
"""

from collections import Counter

import jax
import numpy as np
import pytest
from scipy import stats

from lstm_jax.lab.plan import catalog
from lstm_jax.ops import prng
from lstm_jax.tasks import _grammar
from lstm_jax.tasks._grammar import Strings
from lstm_jax.tasks.reber import reber
from tests.reber_strings import (
  SYMBOLS,
  TASK,
  all_sets,
  chance,
  follow,
  fresh,
  keys_of,
  texts,
)

ALPHA = 1e-4


def fit_p(strings, expected):
  """p-value of strings having the expected counts, a mapping; rare ones as one.

  The expected counts add up to the strings'.
  """
  observed = Counter(strings)
  often = [s for s, n in expected.items() if n >= 10]
  a = np.array([observed[s] for s in often] + [0.0])
  b = np.array([expected[s] for s in often] + [0.0])
  a[-1], b[-1] = len(strings) - a.sum(), len(strings) - b.sum()
  return stats.chi2.sf(np.sum((a - b) ** 2 / b), len(a) - 1)


def without(strings, symbol, one_in):
  """Drops one in `one_in` of the strings that have the symbol in the middle."""
  with_it = [i for i, s in enumerate(strings) if symbol in s[3:-3]]
  drop = set(with_it[::one_in])
  return [s for i, s in enumerate(strings) if i not in drop]


def expected_of(strings, size):
  return {s: chance(s) * size for s in strings}


def independent_p(a, b):
  table = stats.contingency.crosstab(a, b).count
  return stats.chi2_contingency(table).pvalue


def test_strings_have_the_probabilities_of_the_grammar():
  found = fresh()[1]
  known = set(found)
  assert fit_p(found, expected_of(known, len(found))) > ALPHA
  # Power: one in fifteen of those with an X missing.
  biased = without(found, 'X', 15)
  assert fit_p(biased, expected_of(known, len(biased))) < ALPHA
  lengths = np.array([len(s) for s in found])
  five = 5 / np.sqrt(len(found))
  assert lengths.min() == 9
  assert abs(np.mean(lengths) - 12) < five * np.std(lengths) < 0.06
  assert abs(np.mean(lengths == 9) - 1 / 4) < five * 0.43 < 0.01


def test_both_ways_are_as_likely_at_every_fork():
  taken = Counter()
  for string, count in Counter(fresh()[1]).items():
    # The choice and what came before it tell the forks apart.
    for i, choice in enumerate(follow(string)):
      if len(choice) == 2:
        fork = i == 1, ''.join(sorted(choice)), string[i - 1]
        taken[*fork, string[i]] += count
  forks = {key[:3] for key in taken}
  assert len(forks) > 8
  for *fork, choice in {key[:3] + (key[1],) for key in taken}:
    counts = [taken[(*fork, symbol)] for symbol in choice]
    p = lambda a, b: stats.binomtest(int(a), int(a + b)).pvalue
    assert p(*counts) > ALPHA
    # Power: 6 % of one way turned into the other.
    turned = counts[0] // 16
    assert p(counts[0] - turned, counts[1] + turned) < ALPHA


def test_strings_of_neighbouring_keys_are_independent():
  found = fresh()[1]
  numbers = np.arange(2**16, dtype=np.int32)
  keys = tuple(np.full(numbers.shape, word) for word in keys_of(()))
  episodes = jax.jit(
    lambda keys: TASK.fresh(prng.fold_in(keys, numbers), np.ones_like(numbers))
  )(keys)
  for strings in (found, texts(episodes)):
    a = np.array([min(len(s), 14) for s in strings])
    b = np.array([s[1] == 'T' for s in strings])
    for x, y in ((a[1:], a[:-1]), (b[1:], b[:-1]), (a, b), (a[1:], b[:-1])):
      assert independent_p(x, y) > ALPHA
  # Power: one length in fifteen copied from the string before.
  copied = np.where(np.arange(len(a)) % 15 == 0, np.roll(a, 1), a)
  assert independent_p(copied[1:], copied[:-1]) < ALPHA


def test_training_strings_are_strings_of_the_grammar_as_they_come():
  found = [s for training, _ in all_sets() for s in training]
  assert fit_p(found, expected_of(set(found), len(found))) > ALPHA
  # Power: each string once in a set.
  once = [s for training, _ in all_sets() for s in set(training)]
  assert fit_p(once, expected_of(set(found), len(once))) < ALPHA
  different = [len(set(training)) for training, _ in all_sets()]
  assert 95 < np.mean(different) < 107  # about a hundred


def test_test_strings_are_as_likely_as_the_grammar_has_them():
  # Each of a trial's test strings is s with probability p(s) / (1 - p(training
  # set)). Sums of such counts vary less than the test supposes.
  found = [s for _, test in all_sets() for s in test]

  def expected(one):
    counts = Counter()
    for training, _ in all_sets():
      taken = set(training)
      share = len(one) / len(found) * 256 / (1 - sum(map(chance, taken)))
      for s in set(found) - taken:
        counts[s] += share * chance(s)
    return counts

  assert fit_p(found, expected(found)) > ALPHA
  # Power: one in four of those with a TT missing.
  biased = without(found, 'TT', 4)
  assert fit_p(biased, expected(biased)) < ALPHA


def test_strings_that_are_too_long_are_drawn_again(monkeypatch):
  # 3e-8 are longer than 64 symbols: seen with room for fewer.
  monkeypatch.setattr(_grammar, 'MAX_SYMBOLS', 16)
  task, size = reber(), 2**14
  assert task.longest(1) == 15
  episodes = jax.jit(task.fresh)(keys_of((size,), 5), np.ones(size, np.int32))
  assert episodes.words.shape == (2, size)
  found = texts(episodes)
  assert max(map(len, found)) == 16
  short = {s for s in fresh()[1] if len(s) <= 16}
  total = sum(map(chance, short))
  assert fit_p(found, {s: chance(s) / total * size for s in short}) > ALPHA
  # Power: without the redrawing the longest would be more.
  assert fit_p(found, {s: chance(s) * size for s in short}) < ALPHA


def test_a_training_sequence_is_any_training_string():
  size = 2**18
  # Numbers in place of strings.
  data = Strings(np.zeros((8, 512), np.uint32), np.arange(512))
  keys = tuple(np.full(size, word) for word in keys_of(()))
  pick = jax.vmap(lambda key: TASK.draw(key, np.int32(1), data))
  # Numbers are an argument: a constant is an iota, see `_test` of online.py.
  program = jax.jit(lambda keys, n: pick(prng.fold_in(keys, n)))
  drawn = program(keys, np.arange(size)).symbols
  counts = np.bincount(np.asarray(drawn), minlength=256)
  assert len(counts) == 256
  assert stats.chisquare(counts).pvalue > ALPHA
  # Power: two strings that are never drawn.
  moved = np.array(drawn)
  moved[moved < 2] += 2
  p = stats.chisquare(np.bincount(moved, minlength=256)).pvalue
  assert p < ALPHA


@pytest.mark.parametrize('targets', ('next_symbol', 'legal_symbols'))
def test_what_constant_outputs_are_worth(targets):
  kinds, which = np.unique(fresh()[1], return_inverse=True)
  # Mean over the steps of a sequence, then over sequences.
  shares = []
  for string in kinds.tolist():
    named = follow(string)[1:] if targets == 'legal_symbols' else string[1:]
    counts = Counter(symbol for choice in named for symbol in choice)
    shares.append([counts[s] / len(named) for s in SYMBOLS])
  shares = np.array(shares)[which]
  constant = shares.mean(axis=0)
  absolute = shares * (1 - constant) + (1 - shares) * constant
  squared = shares * (1 - constant) ** 2 + (1 - shares) * constant**2
  trivial = catalog.describe('tasks', 'reber').trivial
  (levels,) = [x for given, x in trivial if given == {'targets': targets}]
  for name, sample in (('absolute', absolute), ('squared', squared)):
    sample = sample.mean(axis=1)
    five = 5 * np.std(sample) / np.sqrt(len(sample))
    assert abs(np.mean(sample) - levels[name]) < five < 0.01 * levels[name]
  # No constant is right anywhere: what may follow differs between steps.
  assert levels['wrong'] == 1
  for string in kinds.tolist()[:50]:
    assert not set.intersection(*follow(string)[1:])


def test_mean_steps():
  a, b = catalog.describe('tasks', 'reber').mean_steps
  steps = np.array([len(s) - 1 for s in fresh()[1]])
  assert a == 0
  assert abs(steps.mean() - b) < 5 * steps.std() / len(steps) ** 0.5
