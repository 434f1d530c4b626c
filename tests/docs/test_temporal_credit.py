"""The verdict on temporal credit is that of its committed trials."""

import math

import pytest

from lstm_jax.lab.standings import table_file
from lstm_jax.lab.standings.scores import Course, Score
from tests.children import ROOT

PAGE = ROOT / 'docs' / 'credit.md'
COURSE = Course('adding-10', 'adding', 10, 20_000)
NEVER = math.inf


def score(rule, times, optimizer='adam', cell='lstm', course=COURSE):
  name = f'{cell}-{rule}-{optimizer}'
  return Score(name, course, '', tuple(sorted(times)), 1.0, 0, '')


def times(solved, first=1000, of=20):
  return (*range(first, first + 10 * solved, 10), *[NEVER] * (of - solved))


@pytest.fixture
def credit(figures):
  return figures('credit')


@pytest.mark.parametrize(
  'exact, immediate, verdict',
  [
    (times(20), times(0, of=8), 'refuted'),
    (times(20), times(4), 'refuted'),
    (times(20), times(20), 'upheld'),
    (times(20), times(20, 5000), 'refuted: slower'),
    (times(20, 5000), times(20), 'upheld, faster'),
    (times(3), times(20), 'solves more'),
    (times(12), times(8), 'open'),
    (times(2), times(3), 'not tested'),
  ],
)
def test_a_verdict_is_what_the_plan_says(credit, exact, immediate, verdict):
  scores = [score('bptt', exact), score('elman', immediate)]
  pairs = credit.comparisons(scores, 'elman')
  assert credit.verdicts(pairs) == [verdict]


def test_each_rule_is_judged_at_its_best_optimizer(credit):
  scores = [
    score('elman', times(20, 3000), 'adam'),
    score('elman', times(20, 2000), 'rmsprop'),
    score('elman', times(2), 'sgd'),
    score('bptt', times(20), 'sgd'),
    score('bptt', times(20), 'adam', cell='srn'),
  ]
  (one,) = credit.comparisons(scores, 'elman')  # not run with srn
  assert (one.cell, one.exact.optimizer) == ('lstm', 'sgd')
  assert one.other.optimizer == 'rmsprop'


def test_chances_of_many_comparisons_are_counted(credit):
  assert credit.told_apart([0.04]) == {0}
  assert credit.told_apart([0.04, 0.5]) == set()
  assert credit.told_apart([0.001, 0.04, 0.012]) == {0, 1, 2}
  assert credit.told_apart([0.001, 0.03, 0.03]) == {0}


def test_scores_that_are_taken_replace_their_like(credit):
  old, new = score('bptt', times(3)), score('bptt', times(9))
  other = score('elman', times(1))
  assert credit.joined([old, other], [new]) == [new, other]
  late = new._replace(missing=2)
  assert credit.joined([], [late]) == []


def test_page_and_picture_are_those_of_the_trials(credit):
  if not credit.TABLE.exists():  # no course has been run to its end
    assert 'docs/credit.csv' not in PAGE.read_text('utf-8')
    return
  scores = table_file.read(credit.TABLE)
  assert scores == credit.joined(scores, []), 'not in order, or one twice'
  page = PAGE.read_text('utf-8')
  assert credit.page_of(scores, page) == page
  assert credit.picture(scores) == credit.PICTURE.read_text('utf-8')


def test_the_picture_shows_each_count(credit):
  drawing = credit.picture([score('bptt', times(20)), score('elman', times(0))])
  places = len(credit.CELLS) * len(credit.RULES) * len(credit.OPTIMIZERS)
  assert '>20/20<' in drawing and drawing.count('>·<') == 1
  empty = f'fill-opacity="{credit.shares.BAND}"'
  assert drawing.count(empty) == places - 2
