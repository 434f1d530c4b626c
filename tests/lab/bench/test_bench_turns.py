"""Two checkouts in turn: ratios, their intervals, and what is refused."""

import json

import pytest

from lstm_jax.lab.bench import turns

NAMES = ('forms', 'rows', 'layers', 'sweep')


@pytest.fixture
def checkout(tmp_path):
  """A folder that looks like the other checkout."""
  (tmp_path / 'experiments').mkdir()
  (tmp_path / 'experiments/bench.py').touch()
  return tmp_path


def measured(factor, checkout):
  """A measure in which this checkout takes `factor` times as long."""
  noise = iter([1.0, 1.01, 1.02, 1.0, 0.99, 1.01] * 4)

  def measure(place, compiles):
    assert compiles == 5
    slow = 1.0 if place == checkout else factor
    return {'loop, ns': 20 * slow * next(noise)}

  return measure


@pytest.mark.parametrize('factor', [1.0, 1.2])
def test_the_ratio_of_turns_is_told_with_its_interval(
  factor, checkout, monkeypatch, capsys, tmp_path
):
  measures = dict.fromkeys(NAMES, measured(factor, checkout))
  monkeypatch.setattr(turns, '_MEASURES', measures)
  path = tmp_path / 'record.json'
  words = [f'--before={checkout}', '--only=rows', f'--record={path}']
  assert turns.main(['bench_turns', *words]) == 0
  (row,) = json.loads(path.read_text())['rows']
  low, high = row['interval']
  assert low < factor < high and high - low < 0.1
  assert len(row['turns']) == 7
  assert f'[{low:.3f}-{high:.3f}]' in capsys.readouterr().out


def test_who_goes_first_changes_from_turn_to_turn(checkout, monkeypatch):
  order = []
  measure = lambda place, _: (
    order.append(place == checkout) or {'x': 1.0 + 1e-9}
  )
  monkeypatch.setattr(turns, '_MEASURES', {**dict.fromkeys(NAMES)})
  monkeypatch.setitem(turns._MEASURES, 'sweep', measure)
  words = [f'--before={checkout}', '--only=sweep', '--turns=4']
  assert turns.main(['bench_turns', *words]) == 0
  assert order == [False, True, True, False] * 2


@pytest.mark.parametrize(
  ('words', 'said'),
  [
    ([], '--before=: no checkout'),
    (['--before=nowhere'], '--before=nowhere: no checkout'),
    (['--before={}', '--only=cells'], '--only=cells: choose from forms, rows'),
    (['--before={}', '--turns=1'], 'turns'),
  ],
)
def test_bad_flags_are_named(words, said, checkout, capsys):
  words = [word.format(checkout) for word in words]
  assert turns.main(['bench_turns', *words]) == 2
  assert said in capsys.readouterr().err
