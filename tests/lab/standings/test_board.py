"""The board of folders and tables: who stands where, files, the command."""

import dataclasses
import math
import re
import types

import pytest

from experiments.board import main
from lstm_jax.lab.plan import flags, plan
from lstm_jax.lab.report import markdown, runs
from lstm_jax.lab.standings import board as board_page
from lstm_jax.lab.standings import scores, standing, table_file, write
from lstm_jax.lab.standings.scores import Course, Score
from lstm_jax.lab.store import faults
from tests.lab.report.test_report_rows import make, trials

SHORT = Course('adding-10', 'adding', 10, 5000)
LONG = Course('adding-50', 'adding', 50, 5000)
COPY = Course('copying-5', 'copying', 5, 5000)


def score(entry, course, solved, of=10, **changes):
  """An entry that solves some trials, each in 100 sequences more."""
  times = [100.0 * (i + 1) for i in range(solved)]
  values = {
    'setting': f'{entry} bptt', 'seconds': 1.5, 'missing': 0, 'code': 'abc',
  }  # fmt: skip
  sequences = (*times, *(math.inf,) * (of - solved))
  return Score(
    entry=entry, course=course, sequences=sequences, **values | changes
  )


def table(*some):
  return standing.standings_of([('here', some)])


def run_of_entries(path, code='abc', entries=('lstm', 'gru'), failures=0):
  """A run folder of two entries on two courses, four trials each."""
  pairs = []
  for length in (10, 50):
    for entry in entries:
      pairs += trials(
        f'adding-{length}.{entry}',
        *(1000 * length, 4, {}),
        failures=failures if length == 50 else 0,
        reading=entry,
        line='adding',
        length=length,
        budget=100_000,
        cell=entry.partition('+')[0],
        learner='bptt',
        grid='mine',
      )
  return make(path, pairs)


def test_courses_are_sorted_and_entries_by_what_they_solve():
  board = table(
    score('gru', LONG, 4),
    score('gru', SHORT, 10),
    score('lstm', LONG, 5),
    score('lstm', COPY, 0),
    score('lstm', SHORT, 10),
  )
  assert [course.name for course in board.courses] == [
    'adding-10', 'adding-50', 'copying-5',
  ]  # fmt: skip
  assert board.entries == ('lstm', 'gru')
  assert board.solved_courses('lstm') == 2  # half of the trials are enough
  assert board.longest('adding', 'lstm') == LONG
  assert board.longest('adding', 'gru') == SHORT
  assert board.longest('copying', 'lstm') is None
  assert board.longest('copying', 'gru') is None


def test_a_lag_beyond_one_that_failed_is_not_bridged():
  board = table(score('lstm', SHORT, 2), score('lstm', LONG, 10))
  assert board.longest('adding', 'lstm') is None


def test_the_same_trials_count_once_and_others_stand_beside():
  one, other = score('lstm', SHORT, 10), score('lstm', SHORT, 9)
  more = score('lstm', LONG, 3)
  same = standing.standings_of([('a', [one]), ('b', [one])])
  assert same.entries == ('lstm',)
  both = standing.standings_of([('a', [one, more]), ('b', [other, more])])
  assert set(both.entries) == {'lstm', 'lstm [b]'}
  assert both.scores['adding-50', 'lstm [b]'].solved == 3
  tuned = one._replace(setting='lstm bptt learning_rate=0.1')
  assert (
    'lstm [b]' in standing.standings_of([('a', [one]), ('b', [tuned])]).entries
  )
  third = standing.standings_of([('a', [one]), ('b', [other]), ('b', [tuned])])
  assert set(third.entries) == {'lstm', 'lstm [b]', 'lstm [b, 2]'}


def test_a_course_of_another_budget_is_left_out_and_said():
  cheap = score('gru', SHORT._replace(budget=1), 10)
  board = standing.standings_of(
    [('a', [score('lstm', SHORT, 1)]), ('b', [cheap])]
  )
  assert board.entries == ('lstm',)
  assert (
    'b: its course adding-10 has another length or budget' in board.warnings[0]
  )


def test_other_code_is_said():
  board = table(
    score('lstm', SHORT, 1), score('gru', SHORT, 1),
    score('mine', SHORT, 1, code='xyz'),
  )  # fmt: skip
  assert board.warnings == (
    'Made with other code (xyz) than most (abc): mine.',
  )
  assert not table(score('lstm', SHORT, 1)).warnings


def test_scores_of_a_run_are_its_trials(tmp_path):
  opened = run_of_entries(tmp_path / 'run', failures=1)
  found = scores.of_run(runs.read(opened))
  assert [(s.course.name, s.entry) for s in found] == [
    ('adding-10', 'lstm'), ('adding-10', 'gru'),
    ('adding-50', 'lstm'), ('adding-50', 'gru'),
  ]  # fmt: skip
  assert [(s.solved, s.trials) for s in found] == [
    (4, 4),
    (4, 4),
    (3, 4),
    (3, 4),
  ]
  assert found[2].sequences[-1] == math.inf
  assert found[0].course == Course('adding-10', 'adding', 10, 100_000)
  assert found[0].setting.startswith('lstm bptt ')
  assert 'task.' not in found[0].setting


def test_a_run_of_other_grids_is_no_board(tmp_path):
  opened = make(
    tmp_path / 'run', trials('T100-linear', 100, 2, {}, reading='x')
  )
  assert not write.has_entries(opened)
  with pytest.raises(faults.Refused, match='no run of a grid with entries'):
    write.of_folder(opened)


def test_a_table_is_read_as_it_was_written(tmp_path):
  some = [
    score('lstm', SHORT, 7, notes=('1 failed', '2 diverged')),
    score('mine.py:cell+bptt', LONG, 0, seconds=None, missing=3),
    score('none', Course('x', 'x', None, 3), 0, of=0),
  ]
  board = table(*some)
  path = tmp_path / 'board.csv'
  path.write_text(table_file.text_of(some, board.ranks))
  assert table_file.read(path) == some


GOOD = table_file.text_of([score('lstm', SHORT, 2, of=3)], {})


@pytest.mark.parametrize(
  'old, new, words',
  [
    ('course,line', 'cours,line', 'not a table of a board: its columns must'),
    (',3,2,', ',3,1,', 'line 2: solved is 1, its sequences say 2'),
    (',3,2,', ',4,2,', 'line 2: trials is 4, its sequences say 3'),
    ('100 200 -', '100 2oo -', 'line 2: .*2oo'),
    ('100 200 -', '100 0 -', 'line 2: sequences: 0 is not within the budget'),
    ('100 200 -', '100 5001 -', 'line 2: .*5001 is not within .* 5000'),
    ('100 200 -', '100 -5 -', 'line 2: sequences: -5 is no number'),
    ('100 200 -', '100 nan -', 'line 2: sequences: nan is no number'),
    (',10,5000,', ',ten,5000,', 'line 2: length: ten is no whole number'),
    (',10,5000,', ',0,5000,', 'line 2: length: 0 is no whole number from 1'),
    (',10,5000,', ',10,"5,000",', 'line 2: budget: 5,000 is no whole number'),
    (',10,5000,lstm', ',10,5000,', 'line 2: entry: empty'),
    (',1.500,', ',nan,', 'line 2: seconds: nan is no number'),
    (',abc,', ',abc,,', 'line 2: not 20 columns'),
    (',0,abc,', ',-1,abc,', 'line 2: missing: -1 is no whole number'),
    ('adding-10,', '"adding-10,', 'line 1: '),
    (',abc,', ',abc', 'line 2: not 20 columns'),
  ],
)  # fmt: skip
def test_a_table_that_was_edited_is_refused(tmp_path, old, new, words):
  assert old in GOOD
  path = tmp_path / 'board.csv'
  path.write_text(GOOD.replace(old, new, 1))
  with pytest.raises(faults.Refused, match=f'board.csv.*{words}'):
    table_file.read(path)


def test_the_command_joins_folders_and_tables(tmp_path, capsys):
  run_of_entries(tmp_path / 'ours')
  run_of_entries(
    tmp_path / 'theirs', entries=('mine.py:cell+bptt',), failures=4
  )
  assert main(['board', str(tmp_path / 'ours')]) == 0
  page = (tmp_path / 'ours' / 'board.html').read_text()
  assert (
    re.search(r'<th scope="row"[^>]*>lstm', page) and '--share:100%' in page
  )
  argv = [tmp_path / 'theirs', tmp_path / 'ours' / 'board.csv']
  assert main(['board', *map(str, argv), f'--out={tmp_path / "both"}']) == 0
  text = (tmp_path / 'both' / 'board.md').read_text()
  assert '| mine.py:cell+bptt | 1/2 | 10 (4/4 · 0/4) |' in text
  assert text.index('| lstm |') < text.index('| mine.py:cell+bptt |')
  # The order of sources decides names and courses, not who is ahead.
  again = [
    tmp_path / 'ours',
    tmp_path / 'theirs',
    f'--out={tmp_path / "again"}',
  ]
  assert main(['board', *map(str, again)]) == 0
  tables = [
    table_file.read(tmp_path / d / 'board.csv') for d in ('both', 'again')
  ]
  by_entry = [{(s.course.name, s.entry): s for s in one} for one in tables]
  assert by_entry[0] == by_entry[1]


@pytest.mark.parametrize(
  'words, said',
  [
    ([], 'give one run folder or more'),
    (['nowhere'], 'nowhere'),
    (['nowhere.csv', '--out=x'], 'nowhere.csv: no such file'),
    (['nowhere.csv'], 'say where their board goes'),
    (['--outt=x'], 'no such flag'),
  ],
)
def test_what_cannot_be_a_board(tmp_path, monkeypatch, capsys, words, said):
  monkeypatch.chdir(tmp_path)
  assert main(['board', *words]) == 2
  assert said in capsys.readouterr().err


def test_what_is_tuned_stands_beside_what_is_tuned(tmp_path, monkeypatch):
  monkeypatch.setattr(write, 'MEASURED', tmp_path)
  plain = score('gru', SHORT, 3)
  tuned = score('gru', SHORT, 9, tuning='8 settings on 3 seeds')
  for name, one in (('mine', plain), ('mine-standard', tuned)):
    (tmp_path / f'{name}.csv').write_text(table_file.text_of([one], {}))

  def beside(tuning, course=SHORT):
    mine = score('mine', course, 1, tuning=tuning)
    return write.measured([('here', [mine])], ['mine', 'mine'])

  assert beside('') == [('lstm_jax mine', [plain])]
  assert beside('16 settings on 5 seeds') == [
    ('lstm_jax mine-standard', [tuned])
  ]
  assert all(not of for _, of in beside('', COPY))
  # Better the others than nobody.
  (tmp_path / 'mine-standard.csv').unlink()
  assert beside('4 settings on 1 seed') == [('lstm_jax mine', [plain])]


def test_the_search_of_an_entry_is_on_the_board_and_in_its_table(tmp_path):
  words = 'no tuning seed was solved, so 5 fresh seeds'
  one = score(
    'gru', SHORT, 0, of=5, tuning='8 settings on 3 seeds', notes=(words,)
  )
  (tmp_path / 'board.csv').write_text(table_file.text_of([one], {}))
  (read,) = table_file.read(tmp_path / 'board.csv')
  assert read == one
  page = markdown.document(board_page.page_of(table(one), 'a board'), {})
  assert words in page and '8 settings on 3 seeds' in page


def test_a_score_says_by_what_search_it_was_chosen():
  setting = plan.expand(flags.parse(['sweep', '--grid=benchmark'], {})).trials[
    0
  ]
  search = (('futility', 5), ('seeds', 3), ('settings', 8))
  trial = dataclasses.replace(setting, tuned=search)
  run = types.SimpleNamespace(trials={'a': trial}, rows={}, provenance={})
  (one,) = scores.of_run(run)
  assert one.tuning == '8 settings on 3 seeds'
  assert one.notes == ('no tuning seed was solved, so 5 fresh seeds',)
  run.trials['a'] = setting
  (one,) = scores.of_run(run)
  assert (one.tuning, one.notes) == ('', ())
