"""Intervals: against formulas written again, and by simulated experiments."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lstm_jax.lab.report import statistics, two_samples
from lstm_jax.ops import intervals

EXPERIMENTS = 2_000
# 2,000 experiments at 95 %: three standard errors are 1.5 %.
SLACK = 0.015


@pytest.mark.parametrize('n', [1, 2, 5, 10, 30, 2560])
@pytest.mark.parametrize('share', [0.0, 0.3, 1.0])
def test_wilson_is_the_root_of_its_equation(n, share):
  k = round(share * n)
  z = 1.959963984540054
  centre = (k + z * z / 2) / (n + z * z)
  half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
  low, high = intervals.wilson(k, n)
  assert low == pytest.approx(centre - half, abs=1e-12)
  assert high == pytest.approx(centre + half, abs=1e-12)
  assert 0 <= low <= k / n <= high <= 1


def test_wilson_level_and_no_trials():
  interval = intervals.wilson(7, 10, level=0.9)
  expected = stats.binomtest(7, 10).proportion_ci(0.9, method='wilson')
  assert interval == pytest.approx((expected.low, expected.high), abs=1e-15)
  assert intervals.wilson(0, 0) == (0, 1)


def test_wilson_covers_on_average():
  for n in (5, 10, 30):
    covers = [intervals.wilson(k, n) for k in range(n + 1)]
    p = (np.arange(2_000) + 0.5) / 2_000
    covered = sum(
      stats.binom.pmf(k, n, p) * ((low <= p) & (p <= high))
      for k, (low, high) in enumerate(covers)
    )
    assert 0.945 < covered.mean() < 0.965, n


def plain_median(values):
  ordered = sorted(values)
  middle = len(ordered) // 2
  if len(ordered) % 2:
    return ordered[middle]
  return (ordered[middle - 1] + ordered[middle]) / 2


@given(
  st.lists(
    st.one_of(st.integers(1, 10**7), st.just(math.inf)), min_size=1, max_size=40
  )
)
def test_median_against_plain_python(values):
  assert statistics.median(values) == plain_median(values)


def test_median_with_unsolved_trials():
  solved = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
  assert statistics.median(solved + [math.inf] * 4) == 55
  assert statistics.median(solved[:4] + [math.inf] * 6) == math.inf


def coverage_by_enumeration(low_rank, n):
  """How often x_(r)..x_(n+1-r) holds the median, over all 2^n sign rows."""
  held = 0
  for row in itertools.product((0, 1), repeat=n):
    below = sum(row)  # values below the median
    held += low_rank <= below <= n - low_rank
  return held / 2**n


@pytest.mark.parametrize('n', range(1, 15))
def test_median_interval_is_the_narrowest_that_holds(n):
  values = [float(10 * i) for i in range(1, n + 1)]
  interval = statistics.median_interval(values[::-1])
  if n < 6:
    assert interval is None
    assert coverage_by_enumeration(1, n) < 0.95
    return
  rank = round(interval.low / 10)
  assert interval.high == values[n - rank]
  assert coverage_by_enumeration(rank, n) >= 0.95
  assert coverage_by_enumeration(rank + 1, n) < 0.95


def test_median_interval_with_unsolved_trials():
  values = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, math.inf, math.inf]
  assert statistics.median_interval(values) == (20, math.inf)
  assert statistics.median_interval([math.inf] * 8) == (math.inf, math.inf)


@pytest.mark.parametrize('budget', [math.inf, 1.2])
@pytest.mark.parametrize('n', [6, 10, 30])
def test_median_interval_covers(n, budget):
  draws = np.random.default_rng(n).lognormal(0.0, 0.7, (EXPERIMENTS, n))
  draws[draws > budget] = math.inf
  intervals = np.array([statistics.median_interval(x) for x in draws])
  covered = np.mean((intervals[:, 0] <= 1) & (1 <= intervals[:, 1]))
  # The true coverage of an order-statistic interval is known: 1 - 2 P(X < r).
  exact = {6: 0.96875, 10: 0.978515625, 30: 0.957226}[n]
  assert covered == pytest.approx(exact, abs=SLACK)
  assert statistics.median_interval(draws[0][:5]) is None


@pytest.mark.parametrize(('n', 'least'), [(10, 0.90), (30, 0.93)])
@pytest.mark.parametrize('shape', [4, 1_000])
def test_mean_interval_covers(n, least, shape):
  draws = np.random.default_rng(n).gamma(shape, 1.0, (EXPERIMENTS, n))
  low, high = statistics.mean_interval(draws)
  assert least <= np.mean((low <= shape) & (shape <= high)) <= 0.97


def test_more_resamples_move_the_interval_little():
  values = np.random.default_rng(2).gamma(4.0, 1.0, 30)
  few = statistics.mean_interval(values)
  many = statistics.mean_interval(values, resamples=10_000)
  assert few != many
  width = many.high - many.low
  np.testing.assert_allclose(few, many, atol=0.1 * width)


# 2,000 experiments: one standard error of a coverage of 93 % is 0.6 %, so what
# covers in 92 % passes with a probability above 0.999, in 88 % below 0.01.
@pytest.mark.parametrize('budget', [math.inf, 1.3])
@pytest.mark.parametrize('n', [10, 15, 30])
def test_median_bootstrap_covers(n, budget):
  draws = np.random.default_rng(n).lognormal(0.0, 0.7, (EXPERIMENTS, n))
  draws[draws > budget] = math.inf
  intervals = np.array(
    [statistics.median_bootstrap(x, resamples=400) for x in draws]
  )
  covered = np.mean((intervals[:, 0] <= 1) & (1 <= intervals[:, 1]))
  assert 0.90 <= covered <= 0.98


def test_median_bootstrap_few_seeded_and_infinite():
  assert statistics.median_bootstrap([1.0] * 9) is None
  assert statistics.median_bootstrap([3.0] * 10) == (3, 3)
  values = [10.0 * i for i in range(1, 9)] + [math.inf] * 4
  first, again = (statistics.median_bootstrap(values) for _ in range(2))
  assert first == again
  assert first.low < statistics.median(values) < first.high == math.inf
  assert statistics.median_bootstrap([math.inf] * 10) == (math.inf, math.inf)


def others(sigma):
  """Lognormal times of mean 1."""
  return lambda draw, shape: draw.lognormal(-(sigma**2) / 2, sigma, shape)


@pytest.mark.parametrize('count', [10, 30])
@pytest.mark.parametrize('n', [10, 30])
@pytest.mark.parametrize(
  ('times', 'least', 'most'),
  [
    # The promise less three standard errors of 20,000 experiments (0.5 %).
    (others(0.2), 0.94, 0.965),
    (others(0.5), 0.935, 0.965),
    (others(0.8), 0.92, 0.965),
    (lambda draw, shape: draw.gamma(4.0, 0.25, shape), 0.94, 0.975),
    (lambda draw, shape: draw.exponential(1.0, shape), 0.95, 0.995),
  ],
  ids=['0.2', '0.5', '0.8', 'gamma', 'exponential'],
)
def test_mean_of_others_covers(times, least, most, n, count):
  draw = np.random.default_rng(n)
  low, high = two_samples.mean_of_others(times(draw, (20_000, n)), count)
  mean = times(draw, (20_000, count)).mean(-1)
  assert least <= np.mean((low <= mean) & (mean <= high)) <= most


def test_mean_of_others_is_its_formula():
  values = [40.0, 50.0, 80.0]
  logs = [math.log(v) for v in values]
  spread = lambda x: math.sqrt(sum((v - sum(x) / 3) ** 2 for v in x) / 2)
  mean = sum(values) / 3
  scatter = max(spread(logs), spread(values) / mean)
  t = 4.302652729749464  # 97.5 % of Student's distribution, 2 degrees
  ratio = math.exp(t * scatter * math.sqrt(1 / 3 + 1 / 10))
  interval = two_samples.mean_of_others(values, 10)
  assert interval == pytest.approx((mean / ratio, mean * ratio))
  scaled = two_samples.mean_of_others([7 * v for v in values], 10)
  assert scaled == pytest.approx([7 * end for end in interval])
  assert two_samples.mean_of_others([5.0], 10) is None
  assert two_samples.mean_of_others([0.1] * 12, 10) == pytest.approx((0.1, 0.1))


def test_same_share_is_a_sum_of_hypergeometric_chances():
  # 5 of 10 against 10 of 10: C(20, 5) ways to place the 5 failures.
  one_sided = math.comb(10, 5) / math.comb(20, 5)
  assert two_samples.same_share(5, 10, 10, 10) == pytest.approx(2 * one_sided)
  assert two_samples.same_share(10, 10, 5, 10) == pytest.approx(2 * one_sided)
  assert two_samples.same_share(10, 10, 30, 30) == 1
  assert two_samples.same_share(0, 10, 10, 10) < 1e-4
  random = np.random.default_rng(0)
  # Few and many trials are counted in two ways.
  for most in [30] * 40 + [1000] * 10:
    n, other_n = random.integers(1, most, 2).tolist()
    k, other_k = random.integers(0, [n + 1, other_n + 1]).tolist()
    table = [[k, n - k], [other_k, other_n - other_k]]
    expected = stats.fisher_exact(table).pvalue
    p_value = two_samples.same_share(k, n, other_k, other_n)
    assert p_value == pytest.approx(expected, rel=1e-9)


def test_mean_interval_few_constant_and_seeded():
  assert statistics.mean_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
  assert statistics.mean_interval([3.0] * 12) == (3, 3)
  values = np.random.default_rng(0).gamma(4.0, 1.0, 12)
  first, again = (statistics.mean_interval(values) for _ in range(2))
  assert first == again
  assert first.low < values.mean() < first.high


@pytest.mark.parametrize(
  ('call', 'words'),
  [
    (lambda: intervals.wilson(3, 2), 'k must be in 0..n = 0..2, got 3'),
    (lambda: intervals.wilson(1, 2, level=95), 'level must lie in .* got 95'),
    (lambda: statistics.median([]), 'at least one number'),
    (lambda: statistics.median([math.nan]), 'NaN'),
    (lambda: statistics.median_interval([]), 'at least one number'),
    (lambda: statistics.mean_interval([1.0] * 20 + [math.inf]), 'finite'),
    (lambda: statistics.mean_interval([1.0] * 20, resamples=0), 'least 1'),
    (lambda: statistics.median_bootstrap([1.0], resamples=0), 'least 1, got 0'),
    (lambda: two_samples.mean_of_others([1.0, 0.0], 10), 'above 0'),
    (lambda: two_samples.mean_of_others([1.0, 2.0], 0), 'count .* got 0'),
    (lambda: two_samples.mean_of_others([1.0, math.inf], 9), 'finite'),
    (lambda: two_samples.same_share(3, 2, 1, 1), 'got 3 of 2'),
    (lambda: two_samples.same_share(0, 0, 1, 1), 'got 0 of 0'),
  ],
)
def test_errors_name_the_argument(call, words):
  with pytest.raises(ValueError, match=words):
    call()


@pytest.mark.parametrize('count', [1023, 1024, 1025, 5000, 100_000])
def test_many_trials(count):
  """Counts beyond what a float holds, half of them without success."""
  values = np.arange(1.0, count + 1)
  values[-(count // 3) :] = math.inf
  low, high = statistics.median_interval(values)
  half = 1.96 * math.sqrt(count) / 2
  assert abs(count / 2 - half - low) < 2 and abs(count / 2 + half - high) < 3
  near = statistics.median_bootstrap(values, resamples=2000)
  assert abs(near.low - low) < half / 5 and abs(near.high - high) < half / 5
  for k in (0, 1, count // 2, count):
    interval = intervals.wilson(k, count)
    assert 0 <= interval.low <= k / count <= interval.high <= 1
    assert 0 <= two_samples.same_share(k, count, count - k, count) <= 1
  finite = values[: count // 2]
  interval = statistics.mean_interval(finite, resamples=200)
  assert interval.low < finite.mean() < interval.high
  assert two_samples.mean_of_others(finite, 30).low > 0


def test_the_rank_is_the_same_by_both_ways():
  for count in (6, 25, 26, 400, 1000):
    for level in (0.5, 0.9, 0.95, 0.99):
      below = stats.binom.cdf(np.arange(count), count, 0.5) * 2 <= 1 - level
      assert statistics._rank(count, level) == below.sum()
      more = count + 1000
      below = stats.binom.cdf(np.arange(more), more, 0.5) * 2 <= 1 - level
      assert statistics._rank(more, level) == below.sum()


@pytest.mark.parametrize('freedom', [1, 4, 29])
def test_the_quantile_of_student_is_where_its_tails_say(freedom):
  for level in (0.5, 0.9, 0.95, 0.99):
    tail = stats.t.sf(statistics.student(level, freedom), freedom)
    assert abs(2 * tail - (1 - level)) < 1e-12


def test_means_are_compared_without_taking_scatters_for_equal():
  random = np.random.default_rng(0)
  values, other = random.normal(0, 5, 4), random.normal(2, 0.5, 12)
  expected = stats.ttest_ind(values, other, equal_var=False).pvalue
  assert abs(two_samples.same_mean(values, other) - expected) < 1e-12
  assert two_samples.same_mean(values, values + 100) < 1e-4
  assert math.isnan(two_samples.same_mean([1, 1], [2, 2]))


def test_of_many_values_the_mean_interval_comes_down_to_students(monkeypatch):
  values = np.random.default_rng(3).gamma(4.0, 1.0, statistics._MAX_BOOTSTRAP)
  bootstrap = statistics.mean_interval(values, resamples=10_000)
  monkeypatch.setattr(statistics, '_MAX_BOOTSTRAP', 0)
  student = statistics.mean_interval(values)
  assert bootstrap != student
  width = student.high - student.low
  np.testing.assert_allclose(bootstrap, student, atol=0.05 * width)
