"""The report of comparisons: one sound page, its figures, its edges."""

import math
import re
import sys

import numpy as np
import pytest

from experiments.comparisons import (
  axis,
  columns,
  confusion,
  content,
  curves,
  free_run,
  writing,
)
from experiments.comparisons import verdict as rule
from lstm_jax import results
from tests.test_comparison_table import (
  IMDB,
  SEEDS,
  entry,
  record,
  summed,
  trials,
)
from tests.test_report import Page, tables
from tests.test_report_rows import make

CLASSES = ['dog <bark>', 'siren', 'drill & co']


def sound(one, accuracy):
  """A record with three classes and two levels."""
  return record(
    one,
    accuracy,
    confusion=[[8, 1, 1], [0, 5, 5], [0, 0, 10]],
    classes=CLASSES,
    levels={
      'averaged spectrum': {'loss': 1.4, 'accuracy': one['window'] / 200},
      'largest class': {'loss': 2.2, 'accuracy': 0.12},
    },
    facts={'licence': 'CC BY-NC 3.0', 'left out': f'{one["seed"] % 2} clips'},
  )


def sine(one, loss):
  """A record of a net that ran free, without accuracies and test."""
  x = [0.25 * i for i in range(12)]
  free = [math.sin(v) for v in x[8:]]
  if one['seed'] == 1:
    free = [0.1, 1e9, None, None]
  return record(
    one,
    test=None,
    best=None,
    levels={},
    confusion=None,
    classes=[],
    curves={'train_loss': [0.5, 0.2, None, loss]},
    after={
      'points': [math.sin(v) for v in x],
      'clean': [math.sin(v) for v in x],
      'x': x[:9],
      'fitted': 8,
      'free_run': free,
      'start': 8,
      'free_run_rmse': 0.1 * (1 + one['seed']),
    },
  )


def pairs():
  """Three tasks: windows, a diverged trial, one missing, a free run."""
  made = trials(SEEDS, published=IMDB, budget=4)
  made += trials([0.8, 0.82, 0.5, None], 'srn', budget=4)
  made[7][1].update(
    status='diverged',
    test=None,
    best=None,
    curves={'train_loss': [0.5, None, None, None], 'valid_loss': [None] * 4},
  )
  for cell in ('lstm', 'gru'):
    for window, accuracy in ((10, 0.5), (100, 0.6)):
      made += trials(
        [accuracy, accuracy + 0.02],
        f'{cell} window={window}',
        {'accuracy': 48.57, 'of': 385} if window == 10 else {},
        sound,
        **{'task': 'urban_sound', 'grid': 'sound', 'length': None},
        **{'window': window, 'cell': cell, 'budget': 4},
      )
  for cell in ('lstm', 'srn'):
    made += trials(
      [0.02, 0.03],
      *(cell, {}, sine),
      **{'task': 'noisy_sine', 'grid': 'wave', 'length': None, 'budget': 4},
    )
  return made


@pytest.fixture(scope='module')
def opened(tmp_path_factory):
  return make(tmp_path_factory.mktemp('run') / 'all', pairs())


@pytest.fixture(scope='module')
def written(opened):
  return {path.name: path for path in writing.write([opened])}


@pytest.fixture(scope='module')
def page(written):
  return written['report.html'].read_text('utf-8')


@pytest.fixture(scope='module')
def document(written):
  return written['report.md'].read_text('utf-8')


@pytest.fixture(scope='module')
def found():
  """Name -> line, of all tasks."""
  return {f'{x.entry["task"]} {x.name}': x for x in summed(pairs())}


def words(text):
  return ' '.join(' '.join(Page(text).text).split())


def test_the_page_is_well_formed_and_alone(page):
  read = Page(page)
  assert len(set(read.ids)) == len(read.ids)
  for table in read.tables:
    assert len({len(line) for line in table}) == 1, table
  assert read.links
  for link in read.links:
    assert link.startswith('#') and link[1:] in read.ids, link
  for word in ('http:', 'https:', '//', '@import', '<script', '<link'):
    assert word not in page, word


def test_light_dark_and_narrow(page):
  assert 'prefers-color-scheme:dark' in page and 'name="viewport"' in page
  assert page.count('<div class="scroll" tabindex="0"') == page.count('<table')
  drawing = page[page.index('<svg') :]
  assert 'currentColor' in drawing and '#010203' not in page
  # Nothing has a colour that the page does not know but grey.
  colours = set(re.findall(r'(?:fill|stroke): (#[0-9a-f]+)', drawing))
  assert colours <= {'#8a8f98'}
  assert {f'var(--c{i})' for i in range(3)} <= set(
    re.findall(r'var\(--c\d\)', drawing)
  )


def test_the_tables_of_the_tasks(page):
  imdb, sound, sine = Page(page).tables
  assert imdb[0][:6] == [
    *('row', 'published', 'test accuracy', 'verdict', 'range', 'seeds'),
  ]
  assert imdb[1][:6] == [
    *('lstm', '86.58 %of 25,000', '86.60 %85.8–87.4 %', '✓ reproduced'),
    *('85.8–87.4 %', '5/5'),
  ]
  assert imdb[2][:6] == [
    *('srn', '', '81.00 %68.3–93.7 %', '', '80.0–82.0 %', '2/31 to come'),
  ]
  assert [line[0] for line in imdb[3:]] == [
    'level: a constant',
    'level: bag of words',
  ]
  assert imdb[4][2] == '86.40 %'
  assert page.count('<tr class="level">') == 6
  # Levels stand below what saw the same data.
  assert [line[0] for line in sound[1:]] == [
    *('lstm window=10', 'gru window=10'),
    *('level: averaged spectrum', 'level: largest class'),
    *('lstm window=100', 'gru window=100'),
    *('level: averaged spectrum', 'level: largest class'),
  ]
  assert sound[3][2] == '5.00 %' and sound[7][2] == '50.00 %'
  assert 'test accuracy' not in sine[0] and 'verdict' not in sine[0]
  losses = sine[0].index('training loss')
  assert [line[losses] for line in sine[1:]] == ['0.0250–0.0885'] * 2


def test_what_is_said(page):
  text = words(page)
  assert (
    '3 published rows: 1 reproduced, 2 under-powered; 5 more without a '
    'published figure.'
  ) in text
  assert '1 of 21 trials are still to come' in text
  assert '1 of 20 trials diverged; they count among the seeds' in text
  assert 'reproduced: published 86.58 %; 95 % of further runs' in text
  assert 'from 85.80 % to 87.40 %; 3 of 5 better than the best' in text
  assert '1 of 3 trials diverged: they are in no mean.' in text
  assert 'Also published: loss 0.4142, epochs 10.' in text
  for line in rule.RULE:
    assert line in text
  assert 'above level: seeds that are better' in text
  assert 'left out 0 clips; 1 clips' in text and 'CC BY-NC 3.0' in text
  assert 'kernel native (20)' in text and '20 of 21 ended' in text
  assert 'solved' not in text
  assert 'free run rmse: 0.15 [0–0.785], mean of the seeds.' in text
  assert '--grid=sound' in text and '--window=10' in text


def test_the_document_says_the_same(page, document, written):
  in_page, in_document = Page(page).tables, tables(document)
  assert len(in_page) == len(in_document) == 3
  pack = lambda text: re.sub(r'[^\w%–✓?/.]', '', text)
  for one, other in zip(in_page, in_document, strict=True):
    rules = other.pop(1)
    assert all(re.fullmatch(r'---:?', cell) for cell in rules)
    for line, again in zip(one, other, strict=True):
      again = [re.sub(r'\]\(#[^)]*\)|\\', '', cell) for cell in again]
      assert [pack(x) for x in line] == [pack(x) for x in again]
  names = re.findall(r'\]\(figures/(.*?)\)', document)
  assert names and {*names, 'report.html', 'report.md'} == written.keys()
  anchors = set(re.findall(r'<a id="([^"]*)"', document))
  assert set(re.findall(r'\]\(#([^)]*)\)', document)) <= anchors
  said = ' '.join(document.replace('\\', '').split())
  assert all(line in said for line in rule.RULE)


def test_all_figures_are_there(written, page):
  figures = {name for name in written if name.endswith('.svg')}
  rows = [
    *('imdb-lstm', 'imdb-srn', 'noisy-sine-lstm', 'noisy-sine-srn'),
    *('urban-sound-lstm-window-10', 'urban-sound-lstm-window-100'),
    *('urban-sound-gru-window-10', 'urban-sound-gru-window-100'),
  ]
  wanted = {f'report-curves-{row}.svg' for row in rows}
  wanted |= {f'report-confusion-{row}.svg' for row in rows if 'sine' not in row}
  wanted |= {
    'report-task-urban_sound-window.svg',
    'report-task-noisy_sine-free_run-0.svg',
  }
  assert figures == wanted
  assert page.count('<figure>') == page.count('<figcaption>') == len(figures)


def test_twice_the_same_bytes_and_nothing_touched(opened, written, monkeypatch):
  before = {path: path.stat().st_mtime_ns for path in writing.write([opened])}
  again = {path: path.read_bytes() for path in written.values()}
  monkeypatch.setattr(content, 'made', None)
  assert set(writing.write([opened])) == set(before)
  monkeypatch.undo()
  # Made again, and not only found to be there.
  written['report.md'].unlink()
  for path in writing.write([opened]):
    assert path.read_bytes() == again[path]
    assert path.name == 'report.md' or path.stat().st_mtime_ns == before[path]


def test_a_curve_that_comes_later_changes_the_report(tmp_path):
  made = trials([0.8, None], budget=4)
  opened = make(tmp_path / 'run', made)
  first = writing.write([opened])[0].read_bytes()
  results.write_record(opened, record(made[1][0], 0.81))
  text = writing.write([opened])[0].read_text('utf-8')
  assert text.encode() != first and 'still to come' not in words(text)


def test_several_folders(tmp_path):
  made = trials(SEEDS, published=IMDB, budget=4)
  one = make(tmp_path / 'one', made[:3])
  two = make(tmp_path / 'two', made[2:])
  with pytest.raises(ValueError, match='out must be given for 2 folders'):
    writing.write([one, two])
  paths = writing.write([one, two], tmp_path / 'both')
  assert paths[0] == tmp_path / 'both' / 'report.html'
  text = words(paths[0].read_text('utf-8'))
  assert '1 published row: 1 reproduced.' in text and 'Run 2: grid imdb' in text


@pytest.mark.parametrize('count', [0, 1])
def test_partial_runs(tmp_path, count):
  made = [
    (one, kept if i < count else None)
    for i, (one, kept) in enumerate(trials(SEEDS, published=IMDB, budget=4))
  ]
  paths = writing.write([make(tmp_path / 'run', made)])
  text = words(paths[0].read_text('utf-8'))
  assert '1 published row: 1 under-powered.' in text
  assert f'{5 - count} of 5 trials are still to come' in text
  assert len(paths) == 2 + 2 * count


def test_a_plan_without_trials(tmp_path):
  page, *_ = writing.write([make(tmp_path / 'run', [])])
  assert 'The plan holds no trial.' in words(page.read_text('utf-8'))


def test_records_with_nothing_in_them(tmp_path):
  made = pairs()
  keys = ('curves', 'test', 'best', 'confusion', 'classes', 'levels', 'after')
  keys += ('facts', 'kernel', 'weights', 'test_total', 'test_wrong', 'seconds')
  for _, kept in made:
    if kept:
      kept.update(dict.fromkeys(keys))
  paths = writing.write([make(tmp_path / 'run', made)])
  Page(paths[0].read_text('utf-8'))
  assert len(paths) == 2


def test_text_is_escaped(tmp_path):
  bad = '<b>"x" & |y| `z` *'
  made = trials(SEEDS[:2], row=bad, cell='lstm', reading=bad, budget=4)
  for _, kept in made:
    kept.update(
      facts={'licence': bad}, levels={bad: {'accuracy': 0.1}}, classes=[bad] * 2
    )
  page, document, *_ = writing.write([make(tmp_path / 'run', made)])
  text = page.read_text('utf-8')
  assert '<b>"x"' not in text and bad in ''.join(Page(text).text)
  for table in tables(document.read_text('utf-8')):
    assert len({len(line) for line in table}) == 1


def test_without_matplotlib(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  paths = writing.write([make(tmp_path / 'run', trials(SEEDS))])
  assert [path.name for path in paths] == ['report.html', 'report.md']
  for path in paths:
    assert 'matplotlib is not installed' in path.read_text('utf-8')


def test_problems_are_said_without_paths(tmp_path):
  opened = make(tmp_path / 'run', trials(SEEDS, budget=4))
  (tmp_path / 'run' / 'records' / 'x.json').write_text('nothing')
  for path in writing.write([opened])[:2]:
    text = path.read_text('utf-8')
    assert '1 files in records/ do not count' in text.replace('\\', '')
    assert str(tmp_path) not in text


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
  lines = [line for line in found.values() if line.entry['window']]
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


def test_weights_that_are_not_the_published_ones():
  (line,) = summed(trials(SEEDS, published={'accuracy': 86, 'weights': 5_000}))
  table, _ = columns.table_of([line])
  cell = table.lines[0][table.headings.index('weights')]
  assert cell == ('328,353', '32 units, published 5,000')


def test_the_command_of_a_line():
  (line,) = summed(trials(SEEDS[:3]))
  assert content.command_of(line) == (
    '# learner.batch=128\npython -m experiments.sweep --grid=imdb --row=lstm '
    '--seeds=3 --budget=10'
  )


def test_an_entry_needs_no_options():
  made = trials(SEEDS[:2])
  for one, _ in made:
    one.pop('options')
  assert summed(made)[0].trials == 2
  assert entry()['learner'] == 'minibatch'
