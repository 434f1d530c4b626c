"""The sentence that opens a report is what the trials show, no more."""

import pytest

from lstm_jax.lab.report import headline, summaries
from tests.lab.report.test_table import trial


def said(*groups):
  """The sentence of groups of (columns, solved, trials)."""
  rows = []
  for columns, solved, trials in groups:
    for seed in range(trials):
      status = 'solved' if seed < solved else 'budget'
      rows.append(
        trial(**{'seed': seed, 'status': status, 'sequences': 500} | columns)
      )
  return headline.sentence(summaries.summarize(rows))


BPTT = {'learner': 'bptt', 'window': 'full', 'length': 20}
LSTM, SRN = {'cell': 'lstm1997', **BPTT}, {'cell': 'srn', **BPTT}


def test_cells_meet_where_all_else_is_the_same():
  windowed = {'window': 3}
  assert said(
    (LSTM, 6, 6),
    (SRN, 0, 6),
    (LSTM | windowed, 0, 6),
    (SRN | windowed, 0, 6),
    (LSTM | {'length': 10}, 6, 6),
    (SRN | {'length': 10}, 6, 6),
    (LSTM | {'length': 40}, 6, 6),  # nobody to meet
  ) == (
    'adding: LSTM 6/6, simple network 0/6 at T = 20 '
    '(bptt, window full; p = 0.0022).'
  )


def test_a_length_that_nobody_solved_tells_nothing_apart():
  longer = {'length': 40}
  groups = [(LSTM, 8, 8), (SRN, 0, 8), (LSTM | longer, 0, 8)]
  groups += [(SRN | longer, 0, 8)]
  assert said(*groups).startswith(
    'adding: LSTM 8/8, simple network 0/8 at T = 2'
  )
  # Who solved it does not matter, and how many neither.
  groups[-1] = (SRN | longer, 1, 8)
  assert 'simple network 1/8, LSTM 0/8 at T = 40' in said(*groups)
  # Where nobody solved anything, it is the longest.
  assert 'LSTM 0/8, simple network 0/8 at T = 40' in said(
    (LSTM, 0, 8), (SRN, 0, 8), (LSTM | longer, 0, 8), (SRN | longer, 0, 8)
  )


def test_no_difference_is_claimed_that_chance_explains():
  text = said((LSTM, 3, 4), (SRN, 1, 4))
  assert 'LSTM 3/4, simple network 1/4' in text
  assert 'no difference shown, p = ' in text
  # Of several cells the extremes are compared, at a price.
  three = said((LSTM, 6, 6), (SRN, 1, 6), ({**SRN, 'cell': 'gru'}, 3, 6))
  assert 'LSTM 6/6, GRU 3/6, simple network 1/6' in three
  assert '; p = 0.045)' in three  # 3 pairs of 0.015


def test_two_cells_of_one_name_keep_their_own():
  text = said((LSTM, 6, 6), ({**LSTM, 'cell': 'lstm'}, 5, 6))
  assert 'lstm1997 6/6, lstm 5/6' in text


@pytest.mark.parametrize(
  ('groups', 'expected'),
  [
    (
      [(LSTM, 6, 6), ({'length': 20}, 2, 6)],
      'adding: LSTM, bptt 6/6, truncated1997 2/6 at T = 20',
    ),
    (
      [(LSTM, 6, 6), (LSTM | {'window': 3}, 0, 6)],
      'adding: LSTM, window full 6/6, window 3 0/6 at T = 20 (bptt',
    ),
    (
      [(LSTM, 6, 6), (LSTM | {'length': 80}, 1, 6)],
      'adding: LSTM, T = 20 6/6, T = 80 1/6 (bptt, window full',
    ),
    (
      [({}, 5, 10)],
      'adding: LSTM 5/10 solved at T = 100 (95 % interval 24–76 %), after 500 '
      'sequences on average.',
    ),
    ([(SRN, 0, 3)], 'adding: simple network 0/3 solved at T = 20'),
    ([], 'No trial has finished yet.'),
  ],
)
def test_other_runs_have_a_sentence_too(groups, expected):
  assert said(*groups).startswith(expected)


def test_a_task_without_lengths_has_none_said():
  row = trial() | {'task': 'reber', 'length': ''}
  text = headline.sentence(summaries.summarize([row]))
  assert text.startswith('reber: LSTM 1/1 solved (95 % interval')


def test_of_many_tasks_the_extremes_are_named():
  groups = [({'task': f'task{i}'}, i, 4) for i in range(5)]
  assert said(*groups) == (
    '10/20 trials solved their task, from 4/4 of task4 to 0/4 of task0.'
  )
