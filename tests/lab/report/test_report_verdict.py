"""The rule of the verdict: constructed cases, and how often it is right."""

import re

import numpy as np
import pytest
from scipy import stats

from lstm_jax.lab.report import two_samples, verdict_words, verdicts
from lstm_jax.lab.report.verdict_words import NO_VERDICT, NOT, REPRODUCED, UNDER
from lstm_jax.lab.report.verdicts import verdict_of_means as verdict

FIGURES = {'success_after': 1_000, 'trials': 10}


def times(n, mean=1_000, sigma=0.3):
  """Lognormal quantiles: a sample without chance."""
  levels = (np.arange(n) + 0.5) / n
  drawn = stats.lognorm.ppf(levels, sigma)
  return drawn / drawn.mean() * mean


@pytest.mark.parametrize(
  ('sequences', 'trials', 'missing', 'figures', 'word', 'reason'),
  [
    (times(30), 30, 0, FIGURES, REPRODUCED, 'up to .* is expected'),
    (times(10), 10, 0, FIGURES, REPRODUCED, 'the shares agree'),
    (times(30, 3_000), 30, 0, FIGURES, NOT, 'our mean is 3 times'),
    (times(30, 333), 30, 0, FIGURES, NOT, 'published mean is 3 times ours'),
    # Counts decide before means do.
    (times(30), 30, 1, FIGURES, UNDER, '1 of 31 trials still to come'),
    ([], 0, 30, FIGURES, UNDER, '30 of 30 trials still to come'),
    ([], 0, 0, FIGURES, UNDER, '0 trials, the rule asks for 10'),
    (times(9), 9, 0, FIGURES, UNDER, '9 trials, the rule asks for 10'),
    (times(9, 9_000), 9, 0, FIGURES, UNDER, '9 trials'),
    ([], 9, 0, FIGURES, UNDER, '9 trials'),
    ([], 10, 0, FIGURES, NOT, 'none of 10 trials solved'),
    (times(5), 10, 0, FIGURES, NOT, '5 of 10 solved, published 10 of 10'),
    # No contradiction, but nothing shown either.
    (times(30, sigma=2.0), 30, 0, FIGURES, UNDER, 'could be chance: more than'),
    (times(7), 10, 0, FIGURES, UNDER, '7 of 10 leaves the share open'),
    (times(9), 10, 0, FIGURES, REPRODUCED, ''),
    # Equal times scatter by nothing: any difference counts.
    ([1_000] * 10, 10, 0, FIGURES, REPRODUCED, ''),
    ([1_001] * 10, 10, 0, FIGURES, NOT, ''),
    # A published share.
    (
      *(times(14), 18, 0),
      {'success_after': 1_000, 'success_percent': 78, 'trials': 18},
      *(REPRODUCED, 'the shares agree'),
    ),
    (
      *(times(40), 50, 0),
      {'success_after': 1_000, 'success_percent': 78, 'trials': 18},
      *(REPRODUCED, ''),
    ),
    (
      *(times(50), 50, 0),
      {'success_after': 1_000, 'success_percent': 50, 'trials': 18},
      *(NOT, 'published 9 of 18'),
    ),
    (
      *(times(1), 30, 0),
      {'success_after': 1_000, 'success_percent': 10},
      *(UNDER, 'one solved trial'),
    ),
    (
      *(times(3, sigma=0.1), 30, 0),
      {'success_after': 1_000, 'success_percent': 'some fraction'},
      *(REPRODUCED, ''),
    ),
    # Published as never solved: what stands for the mean is the cap.
    (
      *([], 18, 0),
      {'success_after': 5_000_000, 'success_percent': 0, 'trials': 18},
      *(REPRODUCED, 'no mean to compare'),
    ),
    (
      *(times(18), 18, 0),
      {'success_after': 5_000_000, 'success_percent': 0, 'trials': 18},
      *(NOT, '18 of 18 solved, published 0 of 18'),
    ),
    (times(30), 30, 0, {'weights': 93}, NO_VERDICT, 'no figure to compare'),
    (times(30), 30, 0, {}, NO_VERDICT, 'no figure to compare'),
  ],
)
def test_cases(sequences, trials, missing, figures, word, reason):
  found = verdict(list(sequences), trials, missing, figures)
  assert found.word == word, found
  assert re.search(reason, found.reason), found.reason


def test_the_numbers_are_those_of_the_rule():
  sequences = list(times(30, 1_100))
  found = verdict(sequences, 32, 0, FIGURES)
  assert found.ratio == pytest.approx(1.1)
  expected = two_samples.mean_of_others(sequences, 10)
  assert found.reach == pytest.approx(expected.high / 1_100)
  assert found.p == two_samples.same_share(30, 32, 10, 10)
  # Ten published trials are assumed where none are given.
  assert verdict(sequences, 32, 0, {'success_after': 1_000}) == found


def test_the_verdict_changes_at_the_ends_of_the_interval():
  sequences = list(times(20))
  for end, step in zip(
    two_samples.mean_of_others(sequences, 10), (1, -1), strict=True
  ):
    inside = verdict(sequences, 20, 0, {**FIGURES, 'success_after': end + step})
    outside = verdict(
      sequences, 20, 0, {**FIGURES, 'success_after': end - step}
    )
    assert (inside.word, outside.word) == (REPRODUCED, NOT)


def test_the_verdict_changes_at_twice_our_mean():
  # The scatter at which r is 2 for n = 30 and 10 published trials.
  words = [
    verdict(list(times(30, sigma=sigma)), 30, 0, FIGURES)
    for sigma in np.linspace(0.5, 1.2, 30)
  ]
  assert {found.word for found in words} == {REPRODUCED, UNDER}
  for found in words:
    assert (found.word == UNDER) == (found.reach > verdicts.WIDEST)


def rates(sigma, shift, n, trials, seed=0, repeats=600):
  """Word -> how often, for published means of `trials` lognormal times."""
  draw = np.random.default_rng(seed)
  ours = draw.lognormal(7, sigma, (repeats, n))
  published = shift * draw.lognormal(7, sigma, (repeats, trials)).mean(-1)
  words = [
    verdict(list(x), n, 0, {'success_after': y, 'trials': trials}).word
    for x, y in zip(ours, published, strict=True)
  ]
  return {word: words.count(word) / repeats for word in verdict_words.WORDS}


# True rates are 0.94 to 0.95 and 1.00: 600 repeats fall below 0.9 by chance in
# fewer than one case in ten thousand.
@pytest.mark.parametrize('sigma', [0.2, 0.5])
def test_power(sigma):
  same = rates(sigma, 1, 30, 10)
  assert same[REPRODUCED] >= 0.9, same
  for shift in (3, 1 / 3):
    shifted = rates(sigma, shift, 30, 10)
    assert shifted[NOT] >= 0.9, shifted


def test_a_wide_scatter_is_not_called_reproduced():
  wide = rates(1.5, 1, 30, 10, repeats=200)
  assert wide[REPRODUCED] < 0.1 and wide[UNDER] > 0.8, wide
  shifted = rates(1.5, 3, 30, 10, repeats=200)
  assert shifted[REPRODUCED] < 0.1, shifted


def test_the_printed_rule_has_the_constants():
  said = ' '.join(verdicts.RULE)
  for number in ('95 %', 'at 5 %', 'fewer than 10', 'above 2', '40 points'):
    assert number in said
  for word in verdict_words.WORDS[:3]:
    assert any(line.startswith(f'{word}: ') for line in verdicts.RULE)
