"""The rule for a published run, against numbers computed in other ways."""

import math

import numpy as np
import pytest
from scipy import stats

from lstm_jax.lab.report import further_run as rule
from lstm_jax.lab.report import verdict_words as verdicts
from lstm_jax.lab.report.measures import t_interval
from tests.lab.report.test_seeds import SEEDS


def by_hand(values, more=0.0):
  """The interval for one more, in another way than the code's."""
  n, m, s = len(values), np.mean(values), np.std(values, ddof=1)
  return stats.t.interval(0.95, n - 1, m, math.sqrt(s**2 * (1 + 1 / n) + more))


def test_the_interval_for_one_more_run():
  # t of 4 degrees, s = 0.0063246: 0.866 +- 2.776445 * 0.0063246 * sqrt(1.2).
  assert rule.one_more(SEEDS) == pytest.approx((0.846764, 0.885236), abs=1e-6)
  assert rule.one_more(SEEDS) == pytest.approx(by_hand(SEEDS))
  assert t_interval(SEEDS) == pytest.approx(
    stats.t.interval(0.95, 4, 0.866, stats.sem(SEEDS))
  )
  assert rule.one_more((0.5,)) is None and t_interval((0.5,)) is None


def test_a_smaller_published_test_part_widens_the_interval():
  judge = lambda of, tests: rule.verdict(
    {'test_accuracy': SEEDS, 'test_total': (tests,) if tests else ()},
    0,
    {'accuracy': 84, 'of': of},
  )
  more = 0.84 * 0.16 * (1 / 385 - 1 / 25_000)
  assert judge(385, 25_000).expected == pytest.approx(by_hand(SEEDS, more))
  assert judge(385, 25_000).word == verdicts.REPRODUCED
  # A larger one, or one that is not known, changes nothing.
  for of, tests in ((25_000, 385), (None, 385), (385, None), (385, 385)):
    assert judge(of, tests).expected == pytest.approx(by_hand(SEEDS))
    assert judge(of, tests).word == verdicts.NOT


def test_the_coverage_of_the_interval():
  # 4,000 runs of five normal seeds: 95 % with a standard error of 0.34 points.
  draw = np.random.default_rng(0)
  seeds, others = (
    draw.normal(0.8, 0.02, (4_000, 5)),
    draw.normal(0.8, 0.02, 4_000),
  )
  found = [rule.one_more(row) for row in seeds]
  inside = [a.low <= x <= a.high for a, x in zip(found, others, strict=True)]
  assert abs(np.mean(inside) - 0.95) < 4 * 0.0034


@pytest.mark.parametrize(
  'values, missing, accuracy, word, said',
  [
    (SEEDS, 0, 86.58, 'reproduced', 'published 86.58 %; 95 % of further runs'),
    (SEEDS, 0, 88.52, 'reproduced', '84.7–88.5 %'),
    (SEEDS, 0, 88.53, 'not reproduced', '84.7–88.5 %'),
    (SEEDS, 0, 84.67, 'not reproduced', 'expected in 84.7'),
    (SEEDS[:4], 0, 86.58, 'under-powered', '4 seeds trained to the end'),
    (SEEDS[:1], 0, 86.58, 'under-powered', '1 seed trained to the end'),
    ((), 0, 86.58, 'under-powered', '0 seeds'),
    (SEEDS, 1, 86.58, 'under-powered', '1 trial still to come'),
    (SEEDS, 2, 10, 'under-powered', '2 trials still to come'),
    # A plateau and an escape: too wide to say, but not for what is outside.
    ((0.1, 0.9, 0.1, 0.9, 0.9), 0, 92, 'under-powered', 'than 10 points'),
    ((0.8, 0.9, 0.85, 0.8, 0.9), 0, 20, 'not reproduced', 'published 20.00 %'),
    ((0.9,) * 5, 0, 90, 'reproduced', '90.0–90.0 %'),
  ],
)
def test_the_rule(values, missing, accuracy, word, said):
  found = rule.verdict(
    {'test_accuracy': values}, missing, {'accuracy': accuracy}
  )
  assert found.word == word and said in found.reason
  assert word in verdicts.WORDS


def test_what_is_compared():
  judge = lambda figures: rule.verdict(
    {
      'test_accuracy': SEEDS,
      'valid_accuracy': [x + 0.02 for x in SEEDS],
      'test_loss': (0.1, 0.11, 0.09, 0.1, 0.12),
      'test_total': (25_000,),
    },
    0,
    figures,
  )
  assert judge({'loss': 1, 'valid_accuracy': 1, 'accuracy': 86}).word == (
    'reproduced'
  )
  found = judge({'loss': 1, 'valid_accuracy': 88.84, 'of': 10})
  assert found.word == 'reproduced'
  # `of` is of the test part.
  assert found.expected == pytest.approx(by_hand([x + 0.02 for x in SEEDS]))
  found = judge({'loss': 0.105, 'weights': 3})
  assert found.word == 'reproduced'
  logs = by_hand(np.log((0.1, 0.11, 0.09, 0.1, 0.12)))
  assert found.expected == pytest.approx(np.exp(logs))
  assert judge({'loss': 0.2}).word == 'not reproduced'
  found = judge({'weights': 3})
  assert found.word == 'no verdict'


def test_a_wide_loss():
  losses = (0.01, 0.1, 0.02, 0.05, 0.01)
  found = rule.verdict({'test_loss': losses}, 0, {'loss': 0.03})
  assert found.word == 'under-powered' and 'a factor of 2' in found.reason
  # Two seeds a long way apart, or a loss of 0, are no trouble.
  found = rule.verdict({'test_loss': (1e-300, 1e300)}, 0, {'loss': 1})
  assert found.word == 'under-powered'
  assert (
    rule.verdict({'test_loss': (0, 0)}, 0, {'loss': 1}).word == 'under-powered'
  )
