"""What this project has measured of the benchmark is of the grid as it is."""

import csv

import pytest

from lstm_jax.lab.plan import entries, flags, grid, plan
from lstm_jax.lab.standings import scores, table_file, write

MEASURED = sorted(write.MEASURED.glob('*.csv'))


def planned(name):
  """(course, entry) -> a setting, of every size of a grid."""
  settings = {}
  for size in grid.load(name).sizes:
    argv = ['sweep', f'--grid={name}', f'--size={size}', '--yes']
    for setting in plan.expand(flags.parse(argv, {})).trials:
      key = entries.course_of(setting), setting.reading
      settings.setdefault(key, []).append(setting)
  return settings


def words_without_numbers(setting):
  """What is entered, without the rate that a search would choose."""
  words = scores.words_of(setting).split()
  return {word for word in words if 'learning_rate=' not in word}


@pytest.mark.parametrize('path', MEASURED, ids=lambda path: path.stem)
def test_every_score_is_of_a_course_and_an_entry_of_the_grid(path):
  settings = planned(path.stem.partition('-')[0])
  for score in table_file.read(path):
    of_grid = settings[score.course.name, score.entry]
    assert score.course in {scores.course_of(s) for s in of_grid}
    if score.tuning:  # what was chosen is nobody's to plan
      planned_words = [words_without_numbers(s) for s in of_grid]
      assert any(words <= set(score.setting.split()) for words in planned_words)
    else:
      assert score.setting in {scores.words_of(s) for s in of_grid}
    assert not score.missing


def test_there_is_a_table_of_the_benchmark():
  assert 'benchmark' in {path.stem for path in MEASURED}


@pytest.mark.parametrize('path', MEASURED, ids=lambda path: path.stem)
def test_ranks_are_those_of_its_sequences(path):
  of_file = table_file.read(path)
  found = write.standings_of([('measured', of_file)])
  with path.open() as lines:
    rows = list(csv.DictReader(lines))
  for row in rows:
    assert row['rank'] == str(found.ranks[row['course'], row['entry']])
