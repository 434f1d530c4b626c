"""Figures of supervised runs: every seed is drawn, and gaps stay gaps."""

import math

import numpy as np
import pytest

from lstm_jax.lab.report.figures import axis, confusion, curves, free_run
from tests.lab.report.test_seeds import SEEDS, record, summed, trials
from tests.lab.report.test_seeds_report import CLASSES, pairs


@pytest.fixture(scope='module')
def found():
  """Name -> line, of all tasks."""
  return {f'{x.setting.task} {x.name}': x for x in summed(pairs())}


def points(axes, **style):
  """`(x, y)` of the lines drawn in a style, as arrays."""
  return [
    (np.array(line.get_xdata(), float), np.array(line.get_ydata(), float))
    for line in axes.lines
    if all(getattr(line, f'get_{k}')() == v for k, v in style.items())
  ]


def test_learning_curves_hold_every_seed(found):
  line = found['imdb lstm']
  caption, figure = curves.learning_curves(line)
  accuracy, loss = figure.axes
  assert '5 seeds' in caption and 'Dashed' in caption and 'Dotted' in caption
  thin = points(accuracy, linewidth=0.7)
  assert len(thin) == 10
  for (x, y), curve in zip(thin, line.curves['train_accuracy'], strict=False):
    assert list(x) == [1, 2, 3, 4] and y == pytest.approx(
      np.multiply(curve, 100)
    )
  (train, valid) = points(accuracy, linewidth=2.2)
  mean = 100 * np.mean(line.curves['valid_accuracy'], axis=0)
  assert valid[1] == pytest.approx(mean)
  # The published figure and the levels are lines across, with their names.
  assert [y[0] for _, y in points(accuracy, linestyle='--')] == [86.58]
  assert [y[0] for _, y in points(accuracy, linestyle=':')] == [50, 86.4]
  assert [y[0] for _, y in points(loss, linestyle=':')] == [math.log(2), 0.3]
  assert [y[0] for _, y in points(loss, linestyle='--')] == [0.4142]
  names = [text.get_text() for text in accuracy.texts]
  assert names == ['a constant', 'bag of words', 'published']
  places = [text.get_position()[1] for text in accuracy.texts]
  assert np.all(np.diff(places) > 0.05)
  ((x, y),) = points(accuracy, marker='D')
  assert (x, y) == (4, pytest.approx(86.6))
  assert loss.get_yscale() == 'log'


def test_curves_with_gaps(found):
  line = found['imdb srn']
  _, figure = curves.learning_curves(line)
  loss = figure.axes[1]
  first = points(loss, linewidth=0.7)[2][1]
  assert first[0] == 0.5 and np.isnan(first[1:]).all()
  mean = points(loss, linewidth=2.2)[0][1]
  kept = [c for c in line.curves['train_loss'] if c[1] is not None]
  assert mean[1:] == pytest.approx(np.mean(kept, axis=0)[1:])
  _, figure = curves.learning_curves(found['noisy_sine lstm'])
  assert len(figure.axes) == 1
  empty = {name: () for name in line.curves}
  assert curves.learning_curves(line._replace(curves=empty)) is None


def test_a_number_that_is_0_is_a_number():
  made = trials(SEEDS[:2], budget=4)
  made[0][1]['curves']['train_accuracy'] = [0.0] * 4
  made[1][1]['curves']['train_accuracy'] = [0.5] * 4
  _, figure = curves.learning_curves(summed(made)[0])
  mean, _ = points(figure.axes[0], linewidth=2.2)
  assert list(mean[1]) == [25] * 4


def test_many_epochs_are_thinned_and_it_is_said():
  made = trials(SEEDS[:2], budget=450)
  caption, figure = curves.learning_curves(summed(made)[0])
  assert 'One epoch in 3 is drawn.' in caption
  x, _ = points(figure.axes[0], linewidth=0.7)[0]
  assert x[0] == 1 and x[-1] == 450 and len(x) == 151


def test_a_loss_that_explodes_does_not_flatten_the_others():
  made = trials(SEEDS[:2], budget=4)
  made[0][1]['curves']['train_loss'][3] = 1e30
  _, figure = curves.learning_curves(summed(made)[0])
  low, high = figure.axes[1].get_ylim()
  assert 0.1 < low < 0.2 and high < 100


def test_the_confusion_matrix(found):
  caption, figure = confusion.confusion(found['urban_sound lstm window=10'])
  (axes,) = figure.axes
  opacity = np.array([p.get_alpha() for p in axes.patches]).reshape(3, 3)
  shares = np.array([[0.8, 0.1, 0.1], [0, 0.5, 0.5], [0, 0, 1]])
  assert opacity == pytest.approx(0.6 * shares)
  written = [text.get_text() for text in axes.texts]
  assert written == ['80', '10', '10', '50', '50', '100']
  assert [t.get_text() for t in axes.get_yticklabels()] == CLASSES
  assert 'true class' in caption
  assert confusion.confusion(found['noisy_sine lstm']) is None


def test_accuracy_against_the_window(found):
  lines = [line for line in found.values() if line.setting.window]
  caption, figure = axis.against(lines, 'window')
  (axes,) = figure.axes
  assert axes.get_xscale() == 'log' and list(axes.get_xticks()) == [10, 100]
  for (x, y), aside in zip(
    [*points(axes, marker='o'), *points(axes, marker='s')],
    (1.012**-0.5, 1.012**0.5),
    strict=True,
  ):
    assert x == pytest.approx([10 * aside, 100 * aside])
    assert y == pytest.approx([51, 61])
  stars = points(axes, marker='*')
  assert [y[0] for _, y in stars] == [48.57] * 2
  ((x, y),) = points(axes, linestyle=':')
  assert list(x) == [10, 100] and list(y) == [12, 50]
  (legend,) = figure.legends
  assert [t.get_text() for t in legend.get_texts()] == [
    *('lstm', 'gru', 'published', 'best predictor without recurrence'),
  ]
  assert 'against the window' in caption
  # Nothing to join: one window, or other options at each.
  assert axis.against(lines[::2], 'length') is None
  assert axis.against([lines[0], lines[3]], 'window') is None


def test_losses_against_the_length():
  made = []
  for length in (10, 20):
    bare = lambda one, x: record(one, test={'loss': x})
    made += trials([0.5, 0.6], f'lstm length={length}', {}, bare, length=length)
  caption, figure = axis.against(summed(made), 'length')
  (axes,) = figure.axes
  assert 'test loss after the last epoch against the length' in caption
  assert axes.get_yscale() == 'log' and axes.get_ylabel() == 'test loss'
  low, high = axes.get_ylim()
  assert 0.2 < low < 0.275 and high > 1.18


def test_lines_of_one_name_are_told_apart():
  made = []
  for length in (10, 20):
    for rate in (0.1, 0.01):
      made += trials(
        *([0.5, 0.6], f'lstm-{rate}-{length}'),
        **{'cell': 'lstm', 'length': length, 'learning_rate': rate},
      )
  _, figure = axis.against(summed(made), 'length')
  (legend,) = figure.legends
  said = [t.get_text() for t in legend.get_texts()]
  assert said[:2] == ['lstm (learning_rate=0.1)', 'lstm (learning_rate=0.01)']


def test_free_runs(found):
  lines = [line for line in found.values() if line.after]
  ((caption, figure),) = free_run.free_runs(lines)
  first, second = figure.axes
  assert (first.get_title('left'), second.get_title('left')) == ('lstm', 'srn')
  ((x, y),) = points(first, linewidth=2)
  # Beyond the points whose place is known, in steps of the same width.
  assert x == pytest.approx([2, 2.25, 2.5, 2.75])
  assert y == pytest.approx(np.sin(x))
  ((_, other),) = points(first, linewidth=0.7)
  assert other[0] == 0.1 and np.isnan(other[2:]).all()
  assert first.get_ylim()[1] < 2
  (shade,) = first.patches
  assert shade.get_x() == 0 and shade.get_width() == 1.75
  colours = [axes.lines[-1].get_color() for axes in (first, second)]
  assert colours[0] != colours[1]
  assert len(free_run.free_runs(lines * 5)) == 2
  assert free_run.free_runs([found['imdb lstm']]) == []


def test_a_free_run_of_which_little_is_known(found):
  line = found['noisy_sine lstm']._replace(after=({'free_run': [1, None, 2]},))
  ((_, figure),) = free_run.free_runs([line])
  ((x, _),) = points(figure.axes[0], linewidth=2)
  assert list(x) == [0, 1, 2]
