"""The standard board of the page is that of its committed trials."""

import math

import pytest

from lstm_jax.lab.standings import table_file
from lstm_jax.lab.standings.scores import Course, Score
from tests.children import ROOT

PAGE = ROOT / 'docs' / 'benchmark.md'
SHORT = Course('adding-10', 'adding', 10, 20_000)
LONG = Course('adding-50', 'adding', 50, 20_000)
REBER = Course('reber', 'reber', None, 20_000)
NEVER = math.inf


def score(entry, course, solved, first=1000):
  times = [*range(first, first + solved), *[NEVER] * (10 - solved)]
  return Score(entry, course, '', tuple(map(float, times)), 1.0, 0, '')


@pytest.fixture
def board(figures):
  return figures('board')


@pytest.fixture
def scores():
  return [
    score('lstm', SHORT, 10),
    score('srn', SHORT, 0),
    score('lstm', LONG, 10),
    score('srn', LONG, 0),
    score('lstm', REBER, 4),
    score('srn', REBER, 5),
  ]


def test_a_task_of_one_course_is_among_the_shortest_only(board, scores):
  lines = board.section(scores).splitlines()
  assert lines[2:] == [
    '| lstm | 2/3 | 1/2 | 1/1 | 2 | 0 |',
    '| srn | 1/3 | 1/2 | 0/1 | 1 | 2 |',
  ]


def test_the_picture_shows_each_count(board, scores):
  drawing = board.picture(scores[:-1])  # srn has not met reber
  for words in ('10/10', '4/10', 'adding', 'lstm', '>50<'):
    assert words in drawing
  assert drawing.count('>·<') == 2  # solved by none
  assert drawing.count(f'fill-opacity="{board.shares.BAND}"') == 1


def test_page_and_picture_are_those_of_the_trials(board):
  if not board.TABLE.exists():
    assert 'benchmark-standard.csv' not in PAGE.read_text('utf-8')
    return
  scores = table_file.read(board.TABLE)
  page = PAGE.read_text('utf-8')
  assert board.page_of(scores, page) == page
  assert board.section(scores) in page
  assert board.picture(scores) == board.PICTURE.read_text('utf-8')
