"""Networks trained to their end: what is summed up of seeds, the table."""

import math

import numpy as np
import pytest

from lstm_jax.lab.report import content, runs, summaries, terminal, write
from lstm_jax.lab.report.rows import published_rows
from lstm_jax.lab.store import results_table, trial_records
from tests import flat
from tests.lab.report.test_report_rows import make, named, table7

IMDB = {'accuracy': 86.58, 'of': 25_000, 'loss': 0.4142, 'epochs': 10}


def entry(row='lstm', seed=0, published=None, **changes):
  """A trial of a supervised run as the plan stores it."""
  made = {
    'grid': 'imdb',
    'row': row,
    'line': '',
    'source': 'the script',
    'reading': '',
    'task': 'imdb',
    'cell': row.split(' ')[0],
    'learner': 'minibatch',
    'length': 500,
    'window': None,
    'hidden': 32,
    'learning_rate': 0.001,
    'options': {'task.words': 10_000, 'learner.batch': 128},
    'changed': 'learner.batch=128',
    'seed': seed,
    'budget': 10,
    'published': published or {},
    **changes,
  }
  return named(made)


def record(one, accuracy=0.866, loss=0.41, status='budget', **changes):
  """The record of a trial that trained to the end."""
  epochs = one['budget']
  rise = np.linspace(0.5, accuracy, epochs)
  test = {'loss': loss, 'accuracy': accuracy}
  return {
    'trial': one['trial'],
    'status': status,
    'sequences_to_success': None,
    'sequences_seen': 200_000,
    'milestone': None,
    'weights': 328_353,
    'test_wrong': round(25_000 * (1 - accuracy)),
    'test_total': 25_000,
    'test_absolute': None,
    'test_squared': None,
    'train_absolute': None,
    'seconds': 12.5,
    'device': 'cpu',
    'curves': {
      'train_loss': list(np.linspace(0.7, 0.2, epochs)),
      'train_accuracy': list(rise + 0.05),
      'valid_loss': list(np.linspace(0.7, 0.4, epochs)),
      'valid_accuracy': list(rise),
    },
    'test': test,
    'best': {
      'epoch': 4 + one['seed'] % 2,
      'valid_accuracy': 0.88,
      'test': {'loss': 0.3, 'accuracy': accuracy + 0.01},
    },
    'confusion': [[9, 1], [2, 8]],
    'classes': ['bad', 'good'],
    'levels': {
      'a constant': {'loss': math.log(2), 'accuracy': 0.5},
      'bag of words': {'loss': 0.3, 'accuracy': 0.864},
    },
    'after': None,
    'facts': {'licence': 'free', 'left out': 'nothing'},
    'kernel': 'native',
    **changes,
  }


def trials(accuracies, row='lstm', published=None, record_of=record, **changes):
  """`(entry, record)` of a seed for each accuracy; None: still to come."""
  made = [entry(row, i, published, **changes) for i in range(len(accuracies))]
  return [
    (one, None if x is None else record_of(one, x))
    for one, x in zip(made, accuracies, strict=True)
  ]


def rows_of(pairs):
  """The rows of a report of flat trials and records."""
  records = flat.records([kept for _, kept in pairs if kept])
  return published_rows(flat.settings([one for one, _ in pairs]), records)


def summed(pairs):
  """The readings of a report of flat trials and records, in order."""
  return [reading for row in rows_of(pairs) for reading in row.readings]


def table_of(path, pairs, width):
  """What a terminal shows of them."""
  opened = make(path, pairs)
  records, _ = trial_records.read_records(opened)
  rows = results_table.rows(opened, records)
  return terminal.text(
    summaries.summarize(
      rows,
      content.published_figures(opened.trials),
      content.planned_counts(opened.trials),
      runs.levels_of(records),
    ),
    width,
  )


SEEDS = (0.862, 0.87, 0.858, 0.866, 0.874)


def test_the_numbers_of_a_line():
  pairs = trials([*SEEDS, 0.9, None], published=IMDB)
  pairs[5][1].update(status='diverged', test=None, best=None, levels=None)
  (line,) = summed(pairs)
  assert (line.trials, line.finished, line.missing) == (6, 5, 1)
  assert (line.diverged, line.failed) == (1, 0)
  assert line.metric == 'test_accuracy'
  held = line.measures['test_accuracy']
  assert held.values == SEEDS and held.mean == pytest.approx(0.866)
  assert (held.low, held.high) == (0.858, 0.874)
  assert line.mean('best_test_accuracy') == pytest.approx(0.876)
  assert line.mean('valid_accuracy') == pytest.approx(0.866)
  assert line.mean('train_loss') == pytest.approx(0.2)
  assert line.measures['best_epoch'].median == 4
  assert line.mean('test_total') == 25_000
  assert line.level.name == 'bag of words' and line.level.above == 3
  assert line.levels['a constant']['test_loss'] == pytest.approx(math.log(2))
  assert line.confusion == ((0.9, 0.1), (0.2, 0.8))
  assert len(line.curves['train_loss']) == 6
  assert line.seconds == 75 and line.mean('weights') == 328_353
  assert line.facts['licence'] == ('free',) and line.kernels == {'native': 6}
  assert '--grid=imdb' in line.command and '--seeds=7' in line.command
  assert line.verdict.word == 'under-powered'


def test_a_record_without_anything_more():
  columns = [
    *('trial', 'status', 'sequences_to_success', 'sequences_seen', 'weights'),
    *('milestone', 'test_wrong', 'test_total', 'test_absolute', 'seconds'),
    *('test_squared', 'train_absolute', 'device'),
  ]
  bare = lambda one, _: {
    **dict.fromkeys(record(one)),
    **dict.fromkeys(columns),
    'trial': one['trial'],
    'status': 'failed',
  }
  short = lambda one, x: {k: v for k, v in bare(one, x).items() if k in columns}
  for record_of in (bare, short):
    (line,) = summed(trials([1, 1], published=IMDB, record_of=record_of))
    assert line.failed == 2 and line.metric == '' and line.measures == {}
    assert line.level is line.confusion is None
    assert line.verdict.word == 'under-powered'


def test_a_class_that_a_test_part_lacks():
  pairs = trials([0.8, 0.8])
  pairs[0][1]['confusion'] = [[4, 4], [0, 0]]
  pairs[1][1]['confusion'] = [[8, 0], [1, 3]]
  (line,) = summed(pairs)
  assert line.confusion == ((0.75, 0.25), (0.25, 0.75))


def test_readings_of_the_same_data_stand_together():
  pairs = [
    *trials([0.8], row='lstm length=500', cell='lstm'),
    *trials([0.8], row='lstm length=50', cell='lstm', length=50),
    *trials([0.8], row='gru length=500', cell='gru'),
    *trials([0.8], row='gru', cell='gru', grid='other', options={}),
    *trials([0.8], row='gru', cell='gru', grid='more', task='sine'),
  ]
  readings = summed(pairs)
  assert [(one.letter, one.name) for one in readings] == [
    *(('A', 'lstm length=500'), ('B', 'gru length=500')),
    *(('C', 'lstm length=50'), ('A', 'gru'), ('A', 'gru')),
  ]
  twice = [*trials([0.8], 'gru'), *trials([0.7], 'gru', grid='b', length=7)]
  anchors = [one.anchor for one in summed([*pairs, *twice])]
  assert len(set(anchors)) == len(anchors)


def test_a_setting_of_two_grids_is_one_reading_with_its_figures():
  first = trials([0.86], grid='a')
  second = [
    (one, record(one, 0.87))
    for one in (entry('other', 1, IMDB, grid='b', cell='lstm'),)
  ]
  (row,) = rows_of([*first, *second])
  (one,) = row.readings
  assert one.trials == 2 and row.figures == one.setting.figures == IMDB
  assert '--seeds=2' in one.command


def several():
  pairs = trials(SEEDS, published=IMDB)
  pairs += trials(
    [0.8, 0.83, None], row='srn', published={'valid_accuracy': 80.54}
  )
  pairs[6][1].update(status='diverged', test=None)
  sine = lambda one, loss: record(
    *(one, 0, loss), test={'loss': loss}, best=None, levels={}, weights=461
  )
  pairs += trials(
    [0.01, 0.02],
    **{'row': 'lstm', 'task': 'noisy_sine', 'grid': 'sine', 'length': None},
    record_of=sine,
  )
  return pairs


def test_the_table(tmp_path):
  said = table_of(tmp_path / 'run', several(), 200).split('\n')
  assert said[0].split() == [
    *('row', 'cell', 'weights', 'epochs', 'seeds', 'result', '[95', '%]'),
    *('best', 'epoch', 'published', 'verdict', 'best', 'level', 'seconds'),
  ]
  cells = [[cell for cell in line.split('  ') if cell] for line in said[2:8]]
  strip = lambda line: [cell.strip() for cell in line]
  assert said[2] == 'imdb' and said[6] == 'noisy_sine'
  assert strip(cells[1]) == [
    *('lstm', 'lstm', '328,353', '10', '5/5', '86.60 % [85.8–87.4]'),
    *('87.60 % (4)', '86.58 %', 'reproduced', 'bag of words 86.40 %'),
    '62.5',
  ]
  assert strip(cells[2]) == [
    *('srn', 'srn', '328,353', '10', '1/2 + 1', '80.00 %', '81.00 % (4)'),
    *('val. 80.54 %', 'under-powered', 'bag of words 86.40 %', '25.0'),
  ]
  assert strip(cells[5])[:6] == [
    *('lstm', 'lstm', '461', '10', '2/2', 'loss 0.015 [0–0.0785]'),
  ]
  assert 'Left out' not in said[-1]


def test_a_narrow_table_says_what_it_left_out(tmp_path):
  wide = table_of(tmp_path / 'wide', several(), 200)
  for width in (110, 90, 80):
    said = table_of(tmp_path / f'{width}', several(), width)
    assert max(map(len, said.split('\n'))) <= width
    words = ' '.join(said.split())
    assert 'Left out of this narrow table: seconds' in words
    assert '5/5' in said and '86.60 %' in said and 'reproduced' in said
    assert 'seconds' not in said.split('\n')[0]
  assert 'seconds: sum over trials' in ' '.join(wide.split())


def test_runs_of_tasks_and_of_data_are_one_report(tmp_path):
  data = make(tmp_path / 'data', trials(SEEDS, published=IMDB))
  task = make(tmp_path / 'task', table7())
  page, *_ = write.write([data, task], tmp_path / 'out')
  text = page.read_text('utf-8')
  assert '4 published rows' in text and '>The rules<' in text
  assert '86.60 %' in text and '27/30' in text
  # Both tables stand one below the other on a terminal, too.
  said = table_of(tmp_path / 'both', [*trials(SEEDS), *table7()], 200)
  assert 'seeds' in said and 'solved [95 %]' in said
