"""The figures: every setting and star is drawn, and twice the same bytes."""

import itertools
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lstm_jax.lab.report import summaries
from lstm_jax.lab.report.figures import length as length_figure
from lstm_jax.lab.report.figures import of_run
from tests.lab.report.test_table import PUBLISHED, ROWS, trial

TASKS = ('adding', 'temporal_order')
LENGTHS = (10, 50, 100)
WINDOWS = ('1', '10', 'full')


@pytest.fixture(scope='module')
def rows():
  """LSTM and SRN, three lengths, windows; SRN fails where T is long."""
  made = []
  for task, length, seed in itertools.product(TASKS, LENGTHS, range(6)):
    sequences = 400 * length + 100 * seed
    common = {'task': task, 'grid': 'g', 'row': f'{task} {length}'}
    made.append(trial(length, seed, sequences=sequences, **common))
    for cell, window in itertools.product(('lstm1997', 'srn'), WINDOWS):
      solves = cell == 'lstm1997' or length < 50 or seed == 0
      made.append(
        trial(
          *(length, seed, 'solved' if solves else 'budget', 2 * sequences),
          **{**common, 'cell': cell, 'learner': 'bptt', 'window': window},
        )
      )
  return made


@pytest.fixture(scope='module')
def published():
  return {
    'g': {
      'adding 100': {'success_after': 74_000},
      'temporal_order 50': {'success_after': 31_390},
    }
  }


@pytest.fixture(scope='module')
def found(rows, published):
  return summaries.summarize(rows, published)


def curves(axes):
  """Label -> (lengths, medians) of the lines that have a name."""
  return {
    line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
    for line in axes.lines
    if not line.get_label().startswith('_')
  }


def test_every_setting_is_in_the_curves(found):
  figure = of_run.sequences_to_success(found)
  for task, (strip, axes) in zip(
    TASKS, zip(figure.axes[::2], figure.axes[1::2], strict=True), strict=True
  ):
    assert strip.get_title(loc='left') == task
    drawn = {
      (label, length): median
      for label, points in curves(axes).items()
      for length, median in zip(*points, strict=True)
      if label != 'published mean'
    }
    inside = [s for s in found if s.setting['task'] == task]
    assert len(drawn) == len(inside) == 7 * len(LENGTHS)
    for s in inside:
      of = s.setting
      words = [of['cell'], of['learner']]
      words += [f'window {of["window"]}'] if 'window' in of else []
      median = drawn.pop((', '.join(words), of['length']))
      assert median == s.median or np.isnan(median) and np.isinf(s.median)
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert set(curves(axes)) == legend


def test_stars_lie_at_the_published_means(found):
  figure = of_run.sequences_to_success(found)
  stars = [curves(axes)['published mean'] for axes in figure.axes[1::2]]
  assert stars == [([100], [74_000]), ([50], [31_390])]
  again = of_run.sequences_to_success([s._replace(published={}) for s in found])
  assert not any('published mean' in curves(axes) for axes in again.axes)


@pytest.mark.parametrize('most', [None, 3])
def test_solved_trials_are_counted_above_the_panel(found, most, monkeypatch):
  # Of many lines only those that are not all solved are counted.
  if most:
    monkeypatch.setattr(length_figure, '_MOST_COUNTED', most)
  figure = of_run.sequences_to_success(found)
  for task, strip in zip(TASKS, figure.axes[::2], strict=True):
    counted = sorted(
      (text.get_position()[0], text.get_text()) for text in strip.texts
    )
    # A line is counted at all its lengths or at none.
    partly = {
      (s.setting['cell'], s.setting.get('window'))
      for s in found
      if s.setting['task'] == task and s.solved < s.trials
    }
    expected = sorted(
      (s.setting['length'], f'{s.solved}/{s.trials}')
      for s in found
      if s.setting['task'] == task
      and (not most or (s.setting['cell'], s.setting.get('window')) in partly)
    )
    assert counted == expected and expected
  assert 'trials solved / all' in figure.get_suptitle()


def test_what_was_not_solved_by_half_has_an_empty_marker(found):
  figure = of_run.sequences_to_success(found)
  for task, axes in zip(TASKS, figure.axes[1::2], strict=True):
    drawn = sorted(
      x
      for line in axes.lines
      if line.get_label().startswith('_')
      and line.get_markerfacecolor() == 'none'
      for x in line.get_xdata()
    )
    assert drawn == sorted(
      s.setting['length']
      for s in found
      if s.setting['task'] == task and np.isinf(s.median)
    )


def test_a_cell_has_one_colour_in_both_figures(found):
  hues = length_figure.colours(found)
  assert len(set(hues.values())) == 2
  for axes in of_run.sequences_to_success(found).axes[1::2]:
    for line in axes.lines:
      label = line.get_label().removeprefix('_')
      cell = label.split(', ')[0]
      if cell in hues:
        assert line.get_color() == hues[cell]
  for axes in of_run.success_over_window(found).axes:
    cell = axes.get_title().split(', ')[1]
    assert axes.title.get_color() == hues[cell]
    *rgb, depth = axes.collections[0].get_cmap()(1.0)
    assert to_hex(rgb) == hues[cell] and depth < 1


def test_both_figures_say_what_the_run_shows(found):
  for draw in (of_run.sequences_to_success, of_run.success_over_window):
    said = draw(found).get_suptitle().split('\n')
    assert said[0].startswith('adding: LSTM 6/6, simple network 1/6 at T = 100')
    assert said[1].startswith('temporal_order: LSTM 6/6')


def test_wide_ranges_are_logarithmic(found):
  axes = of_run.sequences_to_success(found).axes[1]
  assert (axes.get_xscale(), axes.get_yscale()) == ('log', 'log')
  narrow = [s for s in found if s.setting['length'] > 10]
  axes = of_run.sequences_to_success(narrow).axes[1]
  assert (axes.get_xscale(), axes.get_yscale()) == ('linear', 'linear')


def test_everything_lies_inside_the_axes(found):
  for axes in of_run.sequences_to_success(found).axes[1::2]:
    low, high = axes.get_ylim()
    heights = [s.median for s in found if np.isfinite(s.median)]
    heights += [74_000, 31_390]
    assert low < min(heights) and max(heights) < high
    low, high = axes.get_xlim()
    assert low < 10 and 100 < high


def test_heat_map_counts(found):
  figure = of_run.success_over_window(found)
  maps = figure.axes
  titles = [axes.get_title() for axes in maps]
  assert titles == [f'{t}, {c}' for t in TASKS for c in ('lstm1997', 'srn')]
  names = [text.get_text() for text in maps[0].get_yticklabels()]
  assert names == ['1', '10', 'full', 'truncated1997']
  lengths = [text.get_text() for text in maps[0].get_xticklabels()]
  assert lengths == ['10', '50', '100']
  said = {text.get_position(): text.get_text() for text in maps[1].texts}
  assert said == {
    (j, i): '6/6' if j == 0 else '1/6' for i in range(3) for j in range(3)
  }
  share = maps[1].collections[0].get_array().reshape(4, 3)
  assert share.mask.tolist() == [[False] * 3] * 3 + [[True] * 3]
  np.testing.assert_allclose(share[:3], [[1, 1 / 6, 1 / 6]] * 3)


def test_heat_map_says_what_it_pools():
  rows = [
    trial(seed=i, learning_rate=rate) for rate in (0.1, 0.5) for i in (0, 1)
  ]
  figure = of_run.success_over_window(summaries.summarize(rows))
  assert 'pooled over learning_rate' in figure.get_suptitle()
  assert [text.get_text() for text in figure.axes[0].texts] == ['4/4']


@pytest.mark.parametrize(
  'few',
  [[trial()], [trial(status='budget')], ROWS],
  ids=['one trial', 'none solved', 'three lengths'],
)
def test_small_runs_are_drawn(few, tmp_path):
  paths = of_run.draw_all(few, tmp_path / 'new', PUBLISHED)
  assert [path.name for path in paths] == [
    'sequences_to_success.png',
    'sequences_to_success.svg',
    'success_over_window.png',
    'success_over_window.svg',
  ]
  assert all(path.stat().st_size > 1_000 for path in paths)


def test_same_rows_same_bytes(rows, published, tmp_path):
  rows = [row for row in rows if row['task'] == TASKS[0]]
  first = of_run.draw_all(rows, tmp_path / 'first', published)
  again = of_run.draw_all(rows[::-1], tmp_path / 'again', published)
  for one, other in zip(first, again, strict=True):
    assert one.read_bytes() == other.read_bytes(), one.name
  assert b'dc:date' not in first[1].read_bytes()


def test_default_size(found):
  for draw in (of_run.sequences_to_success, of_run.success_over_window):
    figure = draw(found)
    assert isinstance(figure, Figure)
    assert (figure.get_size_inches() * figure.dpi).tolist() == [1_200, 800]


def test_without_matplotlib_one_line(monkeypatch, capsys, tmp_path):
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  assert of_run.draw_all(ROWS, tmp_path / 'none') == []
  assert capsys.readouterr().err == (
    'No figures: matplotlib is not installed.\n'
  )
  assert not (tmp_path / 'none').exists()


def test_more_lines_than_a_legend_can_name_have_no_figure(capsys, tmp_path):
  many = [trial(learning_rate=0.01 * i) for i in range(1, 42)]
  assert of_run.draw_all(many, tmp_path / 'none') == []
  assert capsys.readouterr().err == (
    'No figures of 41 lines; the report has one a row.\n'
  )
  assert len(of_run.draw_all(many[:40], tmp_path / 'some')) == 4


def test_empty_run(tmp_path):
  assert of_run.draw_all([], tmp_path / 'none') == []


def test_a_task_without_lengths_is_left_out(tmp_path):
  without = {k: v for k, v in trial().items() if k != 'length'}
  without |= {'task': 'reber', 'length': ''}
  assert of_run.draw_all([without], tmp_path / 'none') == []
  alone = of_run.draw_all(ROWS, tmp_path / 'alone', PUBLISHED)
  among = of_run.draw_all([*ROWS, without], tmp_path / 'among', PUBLISHED)
  for one, other in zip(alone, among, strict=True):
    assert one.read_bytes() == other.read_bytes(), one.name
