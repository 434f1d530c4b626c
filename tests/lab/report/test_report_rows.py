"""A run grouped by published row, and the commands that make its trials."""

import itertools
import math
import shlex

import numpy as np
import pytest

from lstm_jax.lab.plan import flags, plan
from lstm_jax.lab.report import blocks, content, runs
from lstm_jax.lab.report.commands import command, seeds_text
from lstm_jax.lab.report.notes import notes
from lstm_jax.lab.report.rows import _letter, published_rows, tried_words
from lstm_jax.lab.store import folder, trial_records
from lstm_jax.lab.store.setting import trial_id
from tests import flat
from tests.fake_sweep import QUICK

SEVEN = {
  100: {'success_after': 74_000, 'wrong': 1, 'of': 2560, 'trials': 10},
  500: {'success_after': 209_000, 'wrong': 0, 'of': 2560, 'trials': 10},
  1000: {
    **{'success_after': 853_000, 'wrong': 1, 'of': 2560, 'trials': 10},
    **{'low': 370_000, 'high': 2_020_000},
  },
}


def entry(row, seed, published, reading='', **changes):
  """A trial as the plan stores it."""
  made = {
    'grid': 'table7',
    'row': row,
    'line': '',
    'source': 'Table 7',
    'reading': reading,
    'task': 'adding',
    'cell': 'lstm1997',
    'learner': 'truncated1997',
    'length': 100,
    'window': None,
    'hidden': '2x2',
    'learning_rate': 0.5,
    'options': {'task.output': 'linear', 'task.streak': 2000},
    'changed': 'cell.input_gate_bias=-3:-6 task.output=linear',
    'seed': seed,
    'budget': 10**7,
    'published': published,
    **changes,
  }
  # Readings that did not differ in their options would be one.
  made['options'] = {**made['options'], 'cell.cells_hear': reading}
  # One trial has one name, whatever grid it is from.
  return named(made)


def named(made):
  """A flat trial with an id that does not depend on its origin."""
  name = trial_id(flat.settings([{'id': '', **made}])[''])
  return {'id': name, 'trial': name, **made}


def record(one, sequences, **changes):
  """The record of a trial; sequences None: its budget was spent."""
  solved = sequences is not None
  return {
    'trial': one['trial'],
    'status': 'solved' if solved else 'budget',
    'sequences_to_success': int(sequences) if solved else None,
    'sequences_seen': int(sequences) if solved else one['budget'],
    'milestone': None,
    'weights': 93,
    'test_wrong': one['seed'] % 3 if solved else None,
    'test_total': 2560 if solved else None,
    'test_absolute': 0.007 if solved else None,
    'test_squared': 0.0001 if solved else None,
    'train_absolute': 0.008 if solved else 0.17,
    'seconds': 1.5,
    'device': 'cpu',
    **changes,
  }


def make(path, pairs):
  """A run folder of `(entry, record or None)` pairs."""
  opened = folder.create_or_open(
    path,
    {
      'flags': {},
      'trials': [flat.stored(one) for one, _ in pairs],
      'programs': {'p0': [one['id'] for one, _ in pairs]},
      'provenance': {
        'jax': '0.10.2',
        'device_kind': 'cpu',
        'device_count': 2,
        'cpu': 'a <processor> & more',
      },
    },
    disk=QUICK,
  )
  for _, kept in pairs:
    if kept:
      trial_records.write_record(opened, flat.record(kept))
  return opened


def trials(row, mean, n, figures, spread=0.3, failures=0, missing=0, **changes):
  """Lognormal times of `n` trials around `mean`, the last ones unsolved."""
  draw = np.random.default_rng(len(row) + n)
  times = draw.lognormal(math.log(mean) - spread**2 / 2, spread, n)
  more = changes.pop('record', {})
  made = []
  for seed in range(n):
    one = entry(row, seed, figures, **changes)
    time = times[seed] if seed < n - failures - missing else None
    kept = None if seed >= n - missing else record(one, time, **more)
    made.append((one, kept))
  return made


def table7():
  """Three rows, two readings each, with budgets spent and trials missing."""
  made = []
  for length, figures in SEVEN.items():
    published = figures['success_after']
    common = {'length': length, 'budget': 3 * published}
    common['line'] = f'T={length}'
    made += trials(
      f'T{length}-linear',
      published * {100: 1.05, 500: 3, 1000: 0.9}[length],
      *(30, figures, 0.5 if length == 1000 else 0.2),
      reading='linear output',
      failures=3 if length == 500 else 0,
      **common,
    )
    made += trials(
      f'T{length}-literal',
      *(10 * published, 10, figures),
      reading='literal (logistic output)',
      failures=10 - 4 * (length == 1000),
      missing=4 * (length == 1000),
      **common,
    )
  return made


def report_of(*folders):
  return content.report_of([runs.read(opened) for opened in folders])


def facts_of(report):
  """Heading -> facts below it."""
  held = report.blocks
  return {
    above.words: below.pairs
    for above, below in itertools.pairwise(held)
    if isinstance(below, blocks.Facts)
  }


def warnings_of(report):
  """What a report warns of."""
  return [
    block.words
    for block in report.blocks
    if isinstance(block, blocks.Paragraph) and block.kind == 'warn'
  ]


def rows_of(*folders):
  report = report_of(*folders)
  return [*report.published, *report.others]


def test_the_figures_of_a_reading(tmp_path):
  opened = make(tmp_path / 'run', table7())
  first, second, third = rows_of(opened)
  assert [len(row.readings) for row in (first, second, third)] == [2, 2, 2]
  linear, literal = second.readings
  assert (linear.solved, linear.trials, linear.missing) == (27, 30, 0)
  mean = linear.mean('sequences_to_success')
  assert mean == pytest.approx(sum(linear.sequences) / 27)
  assert linear.mean_interval.low < mean < linear.mean_interval.high
  waits = sorted([*linear.sequences, *[math.inf] * 3])
  assert linear.median == (waits[14] + waits[15]) / 2
  assert linear.stopped == (3 * 209_000,) * 3
  assert linear.mean('weights') == 93 and linear.mean('first_passed') is None
  assert linear.wrong == pytest.approx(1)
  assert linear.seconds == 45
  assert literal.mean('sequences_to_success') is None
  assert literal.median == math.inf
  assert second.best is linear and third.best.name == 'linear output'
  part = third.readings[1]
  assert (part.trials, part.missing) == (6, 4)
  assert tried_words(third) == (
    '2 readings tried: 1 reproduced, 1 under-powered'
  )


def test_trials_given_up_are_failures_and_the_rule_is_said(tmp_path):
  options = {'task.blind_sequences': 100_000}
  pairs = trials('rtrl', 1e6, 12, SEVEN[100], failures=5, options=options)
  for _, kept in pairs[7:10]:
    kept['status'] = 'given_up'
  opened = make(tmp_path / 'run', pairs)
  (row,) = rows_of(opened)
  (one,) = row.readings
  assert (one.solved, one.given_up, one.trials) == (7, 3, 12)
  (said,) = [note for note in notes(row) if 'given up' in note]
  assert said.startswith('A: 3 trials given up early: for 100,000 training ')
  assert 'whatever the first symbol' in said and 'not solved' in said
  report = report_of(opened)
  (warning,) = warnings_of(report)
  assert warning.startswith('3 of 12 trials were given up early; they count')


def test_a_task_of_another_version(tmp_path):
  pairs = trials('a', 100, 10, SEVEN[100], task='forgotten')
  (row,) = rows_of(make(tmp_path / 'run', pairs))
  assert row.task == 'forgotten' and row.best.predictor == ''


def test_published_rows_are_told_apart():
  def groups(*entries):
    return [row.name for row in published_rows(flat.settings(entries), {})]

  one = SEVEN[100]
  # Same figures, but another length, learner, task; or a name of their own.
  assert groups(
    entry('q1-a', 0, one),
    entry('q1-b', 1, one),
    entry('q2-a', 0, one, length=5),
  ) == ['q1', 'q2-a']
  assert groups(
    entry('bptt', 0, one, learner='bptt'), entry('rtrl', 0, one, learner='rtrl')
  ) == ['bptt', 'rtrl']
  # Where the plan names the line of the table, nothing else counts.
  line = {'line': 'bottom row'}
  other = {**one, 'weights': 7}
  assert groups(
    entry('a', 0, one, **line), entry('b', 0, other, learner='bptt', **line)
  ) == ['bottom row']
  # Two tables may have one line, and a line two lengths.
  assert groups(
    entry('a', 0, one, **line),
    entry('b', 1, one, source='Table 8', **line),
    entry('c', 0, one, length=7, **line),
  ) == ['a', 'c', 'bottom row']
  # Rows of two grids may have one name: the anchors differ.
  found = published_rows(
    flat.settings(
      [entry('a', 0, one), entry('a', 0, {**one, 'wrong': 3}, length=7)]
    ),
    {},
  )
  assert len({row.anchor for row in found}) == 2


def test_letters():
  letters = [_letter(i) for i in (0, 25, 26, 27, 52, 701, 702)]
  assert letters == ['A', 'Z', 'AA', 'AB', 'BA', 'ZZ', 'AAA']


def test_seeds_as_text():
  said = {(0, 1, 2): '3', (5,): '5-5', (3, 5, 6, 7): '3,5-7', (1, 2): '1-2'}
  for seeds, text in said.items():
    assert seeds_text(seeds) == text


@pytest.mark.parametrize(
  'words',
  [
    '--grid=table7 --row=T100-linear --seeds=3',
    '--grid=table9',
    '--grid=table2 --seeds=2',
    '--grid=paper1997 --seeds=1',
    '--grid=quickstart --seeds=2,5-7',
    '--grid=table7 --length=500 --set=task.streak=100,300 --budget=77',
    '--task=adding --cell=srn,lstm --learner=bptt --length=10,20 '
    '--window=5,full --learning_rate=0.25 --seeds=3-3',
    '--blocks=3 --set=cell.input_gate_bias=-1:-2:-3 --set=task.output=linear',
  ],
)
def test_a_command_makes_the_trials_it_stands_for(words):
  made = plan.expand(flags.parse(['sweep', *words.split()]))
  rows = {}
  for setting in made.trials:
    rows.setdefault(setting.row, []).append(setting)
  for settings in rows.values():
    line = command(settings[0], [setting.seed for setting in settings])
    head, *rest = line.split('lstm-jax ')
    assert head == '' and len(rest) == 1
    again = plan.expand(flags.parse(shlex.split(rest[0])))
    ids = {trial_id(setting) for setting in settings}
    assert {trial_id(setting) for setting in again.trials} == ids, line
