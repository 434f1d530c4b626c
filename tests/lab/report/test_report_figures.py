"""The report's figures: every trial is drawn, curves hold, sequences align."""

import numpy as np
import pytest

from lstm_jax.lab.report import drawing
from lstm_jax.lab.report.figures import learning, scaling, sequence, strips
from lstm_jax.lab.report.rows import published_rows
from lstm_jax.lab.report.style import INK
from tests import flat
from tests.lab.report.test_report_rows import (
  SEVEN,
  make,
  report_of,
  rows_of,
  table7,
  trials,
)

# q, p and the published mean of Table 3.
THREE = (
  *((50, 50, 30_000), (100, 100, 31_000), (1000, 1000, 49_000)),
  *((1000, 500, 49_000), (1000, 100, 135_000)),
)


def table3():
  made = []
  for q, p, published in THREE:
    for name, factor, failures in (('a', 1.1, 0), ('b', 2, 10 * (q == 100))):
      made += trials(
        *(f'q{q}-p{p}-{name}', factor * published, 10),
        {'success_after': published, 'weights': 6 * p, 'trials': 20},
        grid='table3',
        task='trigger',
        length=q,
        options={'task.distractors': p, 'task.tolerance': 0.2},
        reading=name,
        failures=failures,
      )
  return made


@pytest.fixture(scope='module')
def seven(tmp_path_factory):
  return rows_of(make(tmp_path_factory.mktemp('seven') / 'run', table7()))


@pytest.fixture(scope='module')
def three(tmp_path_factory):
  return rows_of(make(tmp_path_factory.mktemp('three') / 'run', table3()))


def points(axes, **style):
  """`(x, y)` of every marker drawn in a style."""
  found = []
  for line in axes.lines:
    if all(getattr(line, f'get_{k}')() == v for k, v in style.items()):
      found += zip(
        np.atleast_1d(line.get_xdata()),
        np.atleast_1d(line.get_ydata()),
        strict=True,
      )
  return found


def test_every_trial_of_a_row_is_drawn(seven):
  for row in seven:
    caption, figure = strips.distribution(row)
    (axes,) = figure.axes
    assert row.name in caption
    solved, stopped = points(axes, marker='o'), points(axes, marker='>')
    for i, reading in enumerate(row.readings):
      mine = [x for x, y in solved if round(y) == i]
      assert mine == list(reading.sequences)
      assert len([x for x, y in stopped if round(y) == i]) == len(
        reading.stopped
      )
    lines = [line.get_xdata() for line in axes.lines]
    assert [row.figures['success_after']] * 2 in map(list, lines)
    low, high = axes.get_xlim()
    assert axes.get_xscale() == 'log'
    assert low < min(x for x, _ in solved) and max(x for x, _ in stopped) < high
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels[0].startswith('A ') and len(labels) == 2
    assert 3 <= len(axes.get_xticks()) <= 8


def test_a_row_without_an_ended_trial_has_no_figure():
  (row,) = published_rows(
    flat.settings([one for one, _ in trials('a', 100, 5, SEVEN[100])]), {}
  )
  assert strips.distribution(row) is None
  assert strips.overview([row]) is None


def test_trials_that_failed_before_their_first_sequence_have_no_figure(seven):
  row = seven[0]
  none = [r._replace(sequences=(), stopped=(0, 0)) for r in row.readings]
  assert strips.distribution(row._replace(readings=none)) is None
  one = [row.readings[0], *none[1:]]
  _, figure = strips.distribution(row._replace(readings=one))
  assert len(figure.axes[0].get_yticklabels()) == 1


def test_ratios_of_all_rows(seven):
  caption, figure = strips.overview(seven)
  (axes,) = figure.axes
  for i, row in enumerate(seven):
    found = row.best.verdict
    assert ([found.ratio], [i]) in [
      (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines
    ]
    ends = found.ratio / found.reach, found.ratio * found.reach
    assert ends in [tuple(line.get_xdata()) for line in axes.lines]
  assert 'Large: the best' in caption


def test_growth_with_the_length(seven):
  ((caption, figure),) = scaling.draw_scaling(seven)
  (axes,) = figure.axes
  assert (axes.get_xscale(), axes.get_yscale()) == ('log', 'log')
  published = points(axes, marker='*')
  assert published == [(T, SEVEN[T]['success_after']) for T in (100, 500, 1000)]
  ours = points(axes, marker='o')
  mean = lambda row: row.best.mean('sequences_to_success')
  assert set(ours) == {(row.length, mean(row)) for row in seven}
  # Nothing solved: a mark at the top, no mean.
  assert len(points(axes, marker='x')) == 3
  assert points(axes, marker='s') == []
  low, high = axes.get_ylim()
  assert low < min(y for _, y in ours) and max(y for _, y in published) < high


def test_growth_with_the_length_and_an_option(three):
  ((_, figure),) = scaling.draw_scaling(three)
  left, right = figure.axes
  assert left.get_xlabel() == 'length T (steps)'
  assert right.get_xlabel() == 'distractors'
  # Left: where the option equals the length; right: all of one length.
  assert points(left, marker='*') == [(q, y) for q, p, y in THREE if q == p]
  assert sorted(points(right, marker='*')) == sorted(
    (p, y) for q, p, y in THREE if q == 1000
  )
  assert len(points(left, marker='x')) == 1


def test_rows_with_other_options_are_not_joined():
  entries = []
  for length, informative in ((100, 3), (100, 1), (1000, 1)):
    figures = {'success_after': 400 * length + informative}
    entries += trials(
      *(f'T{length}-N{informative}', 400 * length, 3, figures),
      length=length,
      options={'task.informative': informative},
    )
  rows = published_rows(
    flat.settings([one for one, _ in entries]),
    flat.records([kept for _, kept in entries]),
  )
  ((_, figure),) = scaling.draw_scaling(rows)
  (axes,) = figure.axes
  stars = [line for line in axes.lines if line.get_marker() == '*']
  joined = [list(line.get_xdata()) for line in stars]
  assert sorted(joined) == [[100], [100, 1000]]
  texts = {text.get_text() for text in axes.texts}
  assert texts == {'informative 3', 'informative 1'}


def test_one_length_has_no_growth(seven):
  assert scaling.draw_scaling(seven[:1]) == []


def trace(steps, inputs, outputs, every=False, **carry):
  """A made-up trace; `every`: the error counts at every step."""
  draw = np.random.default_rng(steps + inputs)
  one_hot = inputs > 3
  shown = np.eye(inputs)[draw.integers(0, inputs, steps)]
  return {
    'inputs': shown if one_hot else draw.normal(size=(steps, inputs)),
    'targets': np.eye(outputs)[draw.integers(0, outputs, steps)],
    'outputs': draw.random((steps, outputs)),
    'mask': (np.arange(steps) == steps - 1) | every,
    'carry': {name: draw.random((steps, n)) for name, n in carry.items()},
    'gates': {},
  }


def with_gates(made, *counts):
  """The trace with gates of these numbers, input gates first."""
  parts = np.split(made['carry']['y_gates'], np.cumsum(counts)[:-1], axis=1)
  kinds = ('input', 'output')
  return {**made, 'gates': dict(zip(kinds, parts, strict=False))}


CASES = {
  'adding': (
    with_gates(trace(105, 2, 1, s_c=4, y_c=4, y_gates=4), 2, 2),
    ['input 1', 'input 2', 'input gates', 'output gates', 'internal states']
    + ['cell outputs', 'outputs, targets'],
  ),
  'first symbol': (
    with_gates(trace(100, 101, 101, True, s_c=1, y_c=1, y_gates=1), 1),
    ['input symbol', 'input gates', 'internal states', 'cell outputs']
    + ['output (largest)'],
  ),
  'trigger, no gates': (
    trace(1_013, 104, 2, s_c=2, y_c=2),
    ['input symbol', 'internal states', 'cell outputs', 'outputs, targets'],
  ),
  'three blocks, long': (
    with_gates(trace(1_090, 1, 1, s_c=3, y_c=3, y_gates=6), 3, 3),
    ['input 1', 'input gates', 'output gates', 'internal states']
    + ['cell outputs', 'outputs, targets'],
  ),
  'very long': (
    trace(30_001, 2, 1, h=5),
    ['input 1', 'input 2', 'hidden units', 'outputs, targets'],
  ),
  'srn': (
    trace(12, 7, 7, True, h=12),
    ['input symbol', 'hidden units', 'outputs, targets'],
  ),
  'one step': (trace(1, 4, 1), ['input symbol', 'outputs, targets']),
}


@pytest.mark.parametrize('name', CASES)
def test_a_sequence(name):
  made, panels = CASES[name]
  figure = sequence.draw_sequence(made, name, blocks=None)
  assert figure.get_suptitle() == name
  said = [axes.get_ylabel().replace('\n', ' ') for axes in figure.axes]
  assert said == panels
  # Panels are aligned: one time axis, every step inside.
  limits = {axes.get_xlim() for axes in figure.axes}
  assert len(limits) == 1
  low, high = limits.pop()
  assert low <= 0 and high >= len(made['inputs']) - 1
  svg = drawing._svg(figure, 'f0')
  assert len(svg) < 700_000 and '<svg' in svg


def lines(axes):
  return [line for line in axes.lines if len(line.get_xdata()) > 1]


def test_blocks_have_colours_and_their_cells_dashes():
  made, _ = CASES['adding']
  figure = sequence.draw_sequence(made, blocks=2)
  gates, states = figure.axes[2], figure.axes[4]
  colours = [line.get_color() for line in lines(gates)]
  assert len(set(colours)) == 2
  assert [line.get_color() for line in lines(states)] == [
    colours[i] for i in (0, 0, 1, 1)
  ]
  assert [line.get_linestyle() for line in lines(states)] == ['-', '--'] * 2
  np.testing.assert_array_equal(
    lines(states)[1].get_ydata(), made['carry']['s_c'][:, 1]
  )
  # The input gates come first.
  np.testing.assert_array_equal(
    lines(gates)[1].get_ydata(), made['carry']['y_gates'][:, 1]
  )
  np.testing.assert_array_equal(
    lines(figure.axes[3])[0].get_ydata(), made['carry']['y_gates'][:, 2]
  )


def test_targets_where_the_error_counts():
  made, _ = CASES['adding']
  axes = sequence.draw_sequence(made).axes[-1]
  (ring,) = [line for line in axes.lines if line.get_marker() == 'o']
  assert list(ring.get_xdata()) == [104]
  assert ring.get_ydata() == made['targets'][-1]


def test_symbols_lie_at_their_steps():
  made, _ = CASES['srn']
  (line,) = sequence.draw_sequence(made).axes[0].lines
  x, y = line.get_xdata().reshape(-1, 3), line.get_ydata().reshape(-1, 3)
  np.testing.assert_array_equal(x[:, :2].mean(1), np.arange(12))
  np.testing.assert_array_equal(y[:, 0], made['inputs'].argmax(1))


def test_of_very_many_steps_the_extremes_stay():
  values = np.zeros(20_000)
  values[[7_001, 12_345]] = 5, -3
  steps, thin = sequence._envelope(values)
  assert len(steps) == len(thin) <= 2_000
  assert (thin.max(), thin.min()) == (5, -3)
  near = steps[thin.argmax()], steps[thin.argmin()]
  np.testing.assert_allclose(near, (7_001, 12_345), atol=20)


def test_svgs_of_a_page_do_not_mix(tmp_path):
  opened = make(tmp_path / 'run', table7())
  made, _ = CASES['adding']
  report = report_of(opened)
  drawn = drawing.draw_all(report, [('a <title>', made, 2)])
  assert list(drawn) == [
    *('lengths', 'windows', 'overview', 'row:table-7-t-100'),
    *('row:table-7-t-500', 'row:table-7-t-1000'),
    *('scaling:0-0', 'sequence:0'),
  ]
  ids = []
  for i, (caption, svg) in enumerate(drawn.values()):
    mine = {word.split('"')[0] for word in svg.split(' id="')[1:]}
    assert all(name.startswith(f'f{i}-') for name in mine)
    ids += mine
    inside = drawing.inline(svg, caption)
    assert INK in svg and INK not in inside
    assert 'xmlns' not in inside and 'aria-label="' in inside
  assert 'a &lt;title&gt;' in inside
  assert len(ids) == len(set(ids))


def test_how_trials_came_to_their_end():
  pairs = trials('a', 100, 2, {})
  for (_, kept), rights in zip(pairs, ([0.0, 1.0], [0.5, 0.5]), strict=True):
    kept['curves'] = {
      'sequences': [20, 40],
      'train_error': [0.3, 0.1],
      'train_right': rights,
    }
  pairs[1][1]['curves'] = {
    **pairs[1][1]['curves'], 'sequences': [20, 400]
  }  # fmt: skip
  (row,) = published_rows(
    flat.settings([one for one, _ in pairs]),
    flat.records([kept for _, kept in pairs]),
  )
  caption, figure = learning.learning(row)
  (axes,) = figure.axes
  (line,) = axes.lines
  x, y = line.get_xdata(), line.get_ydata()
  # Means of the two; from 40 on the first stands where it ended.
  assert (x[0], y[0]) == (20, 25) and (x[-1], y[-1]) == (400, 75)
  assert set(y) == {25, 75} and axes.get_xscale() == 'log'
  assert 'as training went on' in caption
  bare = row._replace(readings=(row.best._replace(curves={}),))
  assert learning.learning(bare) is None


def test_of_very_many_trials_dots_are_drawn_evenly_by_rank():
  values = tuple(range(10, 3010))
  thinned = strips._thinned(values)
  assert len(thinned) == len(set(thinned)) == 1000
  assert (thinned[0], thinned[-1]) == (values[0], values[-1])
  assert set(np.diff(thinned)) <= {3, 4}
  assert strips._thinned(values[:1000]) is not None
  assert tuple(strips._thinned(values[:1000])) == values[:1000]
