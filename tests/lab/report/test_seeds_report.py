"""The report of supervised runs: one sound page, its figures, its edges."""

import math
import re
import sys

import numpy as np
import pytest

from lstm_jax.lab.report import cells, columns, content, write
from lstm_jax.lab.report import further_run as rule
from lstm_jax.lab.store import nets, trial_records
from tests import flat
from tests.lab.report.test_report import Page, tables
from tests.lab.report.test_report_rows import make
from tests.lab.report.test_seeds import (
  IMDB,
  SEEDS,
  record,
  rows_of,
  summed,
  trials,
)

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
  """A record of a network that ran free, without accuracies and test."""
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


def test_the_tables(page):
  overview, imdb, sound, others, wide, sine = Page(page).tables
  assert overview[0][:4] == ['row', 'verdict', 'published', 'our mean']
  assert [line[1] for line in overview[1:]] == [
    *('✓ reproduced', '? under-powered'),
  ]
  assert overview[1][2:4] == ['86.58 %of 25,000', '86.60 %85.8–87.4 %']
  assert imdb[0][:5] == [
    *('reading', 'verdict', 'test accuracy', 'of the seeds', 'seeds'),
  ]
  assert imdb[1][:5] == ['published', '', '86.58 %of 25,000', '', '']
  assert imdb[2][:5] == [
    *('Alstm', '✓ reproduced', '86.60 %85.8–87.4 %', '85.8–87.4 %', '5/5'),
  ]
  assert [line[0] for line in imdb[3:]] == [
    'level: a constant',
    'level: bag of words',
  ]
  assert imdb[4][2] == '86.40 %'
  assert others[1][1:4] == ['81.00 %68.3–93.7 %', '80.0–82.0 %', '2/31 to come']
  assert page.count('<tr class="level">') == 8
  # Levels stand below what saw the same data.
  assert [line[0] for line in sound[1:]] == [
    *('published', 'Alstm window=10', 'Bgru window=10'),
    *('level: averaged spectrum', 'level: largest class'),
  ]
  assert [line[0] for line in wide[1:]] == [
    *('Alstm window=100', 'Bgru window=100'),
    *('level: averaged spectrum', 'level: largest class'),
  ]
  assert sound[4][2] == '5.00 %' and wide[3][1] == '50.00 %'
  assert 'test accuracy' not in sine[0] and 'verdict' not in sine[0]
  losses = sine[0].index('training loss')
  assert [line[losses] for line in sine[1:]] == ['0.0250–0.0885'] * 2


def test_what_is_said(page):
  text = words(page)
  assert (
    '2 published rows: 1 reproduced, 1 under-powered, each by the best of its '
    'readings; 5 more without a published figure.'
  ) in text
  assert '1 of 21 trials are still to come' in text
  assert '1 of 20 trials diverged; they count among the seeds' in text
  assert 'reproduced: published 86.58 %; 95 % of further runs' in text
  assert 'from 85.80 % to 87.40 %; 3 of 5 better than the best' in text
  assert '1 of 3 trials diverged: they are in no mean.' in text
  assert '0.4142' in text and 'epochs' in text
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
  assert len(in_page) == len(in_document) == 6
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
  readings = summed(pairs())
  wanted = {f'report-curves-{one.anchor}.svg' for one in readings}
  wanted |= {
    f'report-confusion-{one.anchor}.svg'
    for one in readings
    if one.setting.task != 'noisy_sine'
  }
  wanted |= {
    'report-task-urban_sound-window.svg',
    'report-task-noisy_sine-free_run-0.svg',
  }
  assert figures == wanted
  assert page.count('<figure>') == page.count('<figcaption>') == len(figures)


@pytest.mark.slow  # as that of trials in test_report.py, with other figures
def test_twice_the_same_bytes_and_nothing_touched(opened, written, monkeypatch):
  before = {path: path.stat().st_mtime_ns for path in write.write([opened])}
  again = {path: path.read_bytes() for path in written.values()}
  monkeypatch.setattr(content, 'report_of', None)
  assert set(write.write([opened])) == set(before)
  monkeypatch.undo()
  # Made again, and not only found to be there.
  written['report.md'].unlink()
  for path in write.write([opened]):
    assert path.read_bytes() == again[path]
    assert path.name == 'report.md' or path.stat().st_mtime_ns == before[path]


def test_a_curve_that_comes_later_changes_the_report(tmp_path):
  made = trials([0.8, None], budget=4)
  opened = make(tmp_path / 'run', made)
  first = write.write([opened])[0].read_bytes()
  trial_records.write_record(opened, flat.record(record(made[1][0], 0.81)))
  text = write.write([opened])[0].read_text('utf-8')
  assert text.encode() != first and 'still to come' not in words(text)


def test_several_folders(tmp_path):
  made = trials(SEEDS, published=IMDB, budget=4)
  one = make(tmp_path / 'one', made[:3])
  two = make(tmp_path / 'two', made[2:])
  with pytest.raises(ValueError, match='out must be given for 2 folders'):
    write.write([one, two])
  paths = write.write([one, two], tmp_path / 'both')
  assert paths[0] == tmp_path / 'both' / 'report.html'
  text = words(paths[0].read_text('utf-8'))
  assert '1 published row: 1 reproduced.' in text and 'Run 2: grid imdb' in text


@pytest.mark.parametrize('count', [0, 1])
def test_partial_runs(tmp_path, count):
  made = [
    (one, kept if i < count else None)
    for i, (one, kept) in enumerate(trials(SEEDS, published=IMDB, budget=4))
  ]
  paths = write.write([make(tmp_path / 'run', made)])
  text = words(paths[0].read_text('utf-8'))
  assert '1 published row: 1 under-powered.' in text
  assert f'{5 - count} of 5 trials are still to come' in text
  assert len(paths) == 2 + 2 * count


def test_a_plan_without_trials(tmp_path):
  page, *_ = write.write([make(tmp_path / 'run', [])])
  assert 'The plan holds no trial.' in words(page.read_text('utf-8'))


def test_records_with_nothing_in_them(tmp_path):
  made = pairs()
  keys = ('curves', 'test', 'best', 'confusion', 'classes', 'levels', 'after')
  keys += ('facts', 'kernel', 'weights', 'test_total', 'test_wrong', 'seconds')
  for _, kept in made:
    if kept:
      kept.update(dict.fromkeys(keys))
  paths = write.write([make(tmp_path / 'run', made)])
  Page(paths[0].read_text('utf-8'))
  assert len(paths) == 2


def test_text_is_escaped(tmp_path):
  bad = '<b>"x" & |y| `z` *'
  made = trials(SEEDS[:2], row=bad, cell='lstm', reading=bad, budget=4)
  for _, kept in made:
    kept.update(
      facts={'licence': bad}, levels={bad: {'accuracy': 0.1}}, classes=[bad] * 2
    )
  page, document, *_ = write.write([make(tmp_path / 'run', made)])
  text = page.read_text('utf-8')
  assert '<b>"x"' not in text and bad in ''.join(Page(text).text)
  for table in tables(document.read_text('utf-8')):
    assert len({len(line) for line in table}) == 1


def test_without_matplotlib(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  paths = write.write([make(tmp_path / 'run', trials(SEEDS))])
  assert [path.name for path in paths] == ['report.html', 'report.md']
  for path in paths:
    assert 'matplotlib is not installed' in path.read_text('utf-8')


def test_problems_are_said_without_paths(tmp_path):
  opened = make(tmp_path / 'run', trials(SEEDS, budget=4))
  (tmp_path / 'run' / 'records' / 'x.json').write_text('nothing')
  for path in write.write([opened])[:2]:
    text = path.read_text('utf-8')
    assert '1 record in records/ not counted' in text.replace('\\', '')
    assert str(tmp_path) not in text


def test_weights_that_are_not_the_published_ones():
  (row,) = rows_of(trials(SEEDS, published={'accuracy': 86, 'weights': 5_000}))
  table, _ = columns.table_of(row)
  at = table.headings.index('weights')
  assert [line[at] for line in table.lines[:2]] == [
    cells.Cell('5,000'), cells.Cell('328,353', '32 units'),
  ]  # fmt: skip


def test_what_a_reading_is_called():
  for more, minor in (
    ({'line': 'LSTM', 'reading': 'as taught'}, 'lstm: as taught'),
    ({'line': 'LSTM'}, 'lstm'),
    ({}, 'lstm'),
  ):
    (row,) = rows_of(trials(SEEDS[:2], **more))
    table, _ = columns.table_of(row)
    assert table.lines[0][0] == cells.Cell('A', minor)


def test_the_command_of_a_reading(written):
  (one,) = summed(trials(SEEDS[:3]))
  assert one.command == (
    'lstm-jax sweep --grid=imdb --row=lstm --seeds=3 --budget=10'
  )
  assert '# A: ' in written['report.md'].read_text('utf-8')


def test_a_kept_network_of_data_is_no_picture_of_a_sequence(tmp_path):
  opened = make(tmp_path / 'run', trials(SEEDS, published=IMDB))
  nets.save(opened, list(opened.trials)[0], {'w_x': np.ones((2, 3))})
  page, *_ = write.write([opened])
  text = words(page.read_text('utf-8'))
  assert 'No picture' not in text and 'Inside a solved net' not in text
