"""Data of one's own, by the command: compared, continued, refused, reported."""

import json
import os
import re

import numpy as np
import pytest

from experiments import predict, report, sweep
from lstm_jax.lab.run import kept
from lstm_jax.lab.store import faults, trial_records
from lstm_jax.lab.store.folder import open_folder
from tests import children, own_data, prepared_sets

# Of everything the least: programs are shared by all tests of this file.
SMALL = '--budget=2 --hidden=2 --set=learner.kernel=xla'.split()


def run(task, out, *more, seeds=2):
  words = ['sweep', f'--task={task}', f'--out={out}', '--progress=none']
  return sweep.main([*words, f'--seeds={seeds}', *SMALL, *more])


@pytest.fixture(scope='module')
def compared(tmp_path_factory):
  """A folder in which RNN and LSTM were compared on a `.npz`, and the file."""
  place = tmp_path_factory.mktemp('own')
  path = own_data.npz(place / 'mine.npz')
  assert run(path, place / 'run') == 0
  return place / 'run', path


def test_one_command_compares_rnn_and_lstm(compared, capsys):
  out, path = compared
  assert run(path, out) == 0  # it says again what there is
  said = capsys.readouterr().out
  assert 'flags cell=srn' in said and 'flags cell=lstm' in said
  sentence = ' '.join(said[said.index('mine.npz: ') :].split())
  assert 'simple network' in sentence and 'LSTM' in sentence
  assert 'means of 2 seeds' in sentence and 'without recurrence: ' in sentence
  records, problems = trial_records.read_records(open_folder(out))
  assert len(records) == 4 and not problems
  for record in records.values():
    details = record['details']
    assert set(details['levels']) == {
      'majority class',
      'softmax regression on mean and length',
      'softmax regression on the last step',
    }
    assert np.sum(details['confusion']) == 4
    assert len(record['curves']['valid_accuracy']) == 2
    assert details['facts']['parts'].startswith('16 to train, 4 to validate')
    assert 'over seeds alone' in details['facts']['test part']
  page = (out / 'report.html').read_text('utf-8')
  text = (out / 'report.md').read_text('utf-8')
  for word in ('level: majority class', 'drawn, class by class', '95 %'):
    assert word in page and word in text, word
  assert str(path.parent) not in page + text + (out / 'plan.json').read_text()
  for figure in ('curves', 'confusion'):
    assert list((out / 'figures').glob(f'report-{figure}-*.svg')), figure


def test_the_command_of_the_report_is_the_same_plan(compared, capsys):
  out, path = compared
  text = (out / 'report.md').read_text('utf-8')
  (line,) = re.findall(r'--task=mine.npz (.*--cell=srn.*)', text)
  capsys.readouterr()
  words = [f'--task={path}', *line.split(), '--out=x', '--dry_run']
  assert sweep.main(['sweep', *words]) == 0
  planned = open_folder(out).trials
  assert f'{len(planned) // 2} trials, 1 program' in capsys.readouterr().out


def test_a_file_that_lies_elsewhere_goes_on(compared, tmp_path, capsys):
  out, path = compared
  elsewhere = tmp_path / 'mine.npz'
  with np.load(path) as held:  # packed: other bytes, the same numbers
    np.savez_compressed(elsewhere, **held)
  assert run(elsewhere, out) == 0
  assert 'Nothing left to do' in capsys.readouterr().out


def test_a_file_that_has_changed_is_another_plan(compared, tmp_path, capsys):
  out, _ = compared
  y = own_data.classes()
  y[:2] = 1 - y[:2]
  assert run(own_data.npz(tmp_path / 'mine.npz', targets=y), out) == 2
  said = capsys.readouterr().err
  assert 'holds another plan' in said and 'task_options' not in said
  assert re.search(r'targets: "2-classes-\w+" in the folder, "2-cl', said)
  assert 'inputs: "' not in said
  x = own_data.inputs()[:, :, :1]
  assert run(own_data.npz(tmp_path / 'mine.npz', inputs=x), out) == 2
  assert re.search(r'inputs: "24x\d+x2-\w+" in', capsys.readouterr().err)


def test_a_report_needs_no_file(compared, monkeypatch, tmp_path):
  out, path = compared
  monkeypatch.chdir(tmp_path)
  # Not even where another one lies at hand.
  (tmp_path / 'mine.npz').write_bytes(b'not one')
  before = (out / 'report.md').read_text('utf-8')
  moved = path.rename(tmp_path / 'gone')
  try:
    assert report.main(['report', str(out)]) == 0
  finally:
    moved.rename(path)
  assert (out / 'report.md').read_text('utf-8') == before
  assert 'without recurrence' in before


@pytest.mark.parametrize(
  ('asked', 'metric', 'level'),
  [
    # Numbers and steps are in the third; labels of sequences in `compared`.
    pytest.param(
      *('target', 'test_loss', 'ridge regression on the last step'),
      marks=pytest.mark.slow,
    ),
    pytest.param(
      *('step_label', 'test_accuracy', 'softmax regression on a step alone'),
      marks=pytest.mark.slow,
    ),
    ('step_target', 'test_loss', 'ridge regression on a step alone'),
  ],
)
def test_tables_of_every_kind(asked, metric, level, tmp_path, capsys, undrawn):
  path = own_data.csv(tmp_path / 'mine.csv', asked=asked, split=True)
  out = tmp_path / 'run'
  assert run(path, out, '--cell=srn', seeds=1) == 0
  ((_, record),) = trial_records.read_records(open_folder(out))[0].items()
  assert record['status'] == 'budget' and record['metrics'][metric] >= 0
  details = record['details']
  assert level in details['levels']
  steps = own_data.lengths()
  tested = [i for i in range(24) if i // 2 % 5 == 3]
  if asked.startswith('step_'):
    assert record['metrics']['test_total'] == steps[tested].sum() or (
      asked == 'step_target'
    )
  else:
    assert record['metrics']['test_total'] == len(tested)
  if asked == 'step_label':
    assert np.sum(details['confusion']) == steps[tested].sum()
  assert details['facts']['parts'].endswith('as the file says')
  assert 'x, y' in details['facts']['data']
  # A table of the same features in another order, and whatever else.
  head, *rest = own_data.lines(asked)
  turned = [
    ','.join([a, t, y, x, '?']) for a, t, x, y, _ in map(_split, [head, *rest])
  ]
  turned[0] = 'id,time,y,x,remark'
  new = own_data.csv(tmp_path / 'new.csv', turned)
  found = answers(capsys, out, f'--data={new}')
  if asked.startswith('step_'):
    assert len(found) == steps.sum()
  else:
    assert [row[0] for row in found] == [f's{i}' for i in range(24)]
  before = answers(capsys, out, f'--data_dir={tmp_path}')
  place = {int(row[0]): row for row in before if not asked.startswith('step')}
  for i, row in place.items():
    assert row[2:] == found[i][1:]


def _split(line):
  return line.split(',')[:5]


@pytest.mark.slow  # sounds of a set are run by test_supervised_run.py
def test_sounds(tmp_path, monkeypatch, capsys, undrawn):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  place = own_data.sounds(tmp_path / 'birds')
  out = tmp_path / 'run'
  options = ['--cell=srn', '--set=task.hop=50']
  assert run(place, out, *options, seeds=1) == 0
  opened = open_folder(out)
  ((_, record),) = trial_records.read_records(opened)[0].items()
  assert record['details']['classes'] == ['high', 'low']
  assert (
    'log_mel of 25 ms every 50 ms' in record['details']['facts']['features']
  )
  (setting,) = opened.trials.values()
  assert setting.task == 'sounds:birds'
  assert dict(setting.task_options)['inputs'].startswith('12x4s-')
  tested = answers(capsys, out, f'--data_dir={tmp_path}')
  heard = answers(capsys, out, f'--data={place / "low"}')
  assert [row[0] for row in heard] == [f'{i}.wav' for i in range(6)]
  of_low = [row for row in tested if row[1] == 'low']
  assert of_low and {tuple(row[2:]) for row in of_low} <= {
    tuple(row[1:]) for row in heard
  }
  assert len(answers(capsys, out, f'--data={place / "low" / "3.wav"}')) == 1
  several = [place / 'low' / '3.wav', place / 'low' / '5.wav']
  assert answers(capsys, out, *several) == [heard[3], heard[5]]
  assert predict.main(['predict', str(out), f'--data={place}/no.wav']) == 2
  assert 'no.wav: there is no such file' in capsys.readouterr().err


@pytest.mark.parametrize(
  ('make', 'code', 'words'),
  [
    (
      lambda place: own_data.npz(place / 'a.npz', lengths=None, targets=None),
      faults.Exit.BAD_DATA,
      'a.npz: has no array targets; it has inputs',
    ),
    (lambda place: place / 'none.npz', 2, 'no such file or folder; data of'),
    (lambda place: place / 'none' / 'x', 2, 'no such file or folder; data of'),
    (
      lambda place: own_data.csv(place / 'a.tsv'), 2, 'is no .npz and no .csv'
    ),
    (lambda place: 'sounds:birds', 2, 'no such file or folder'),
    (lambda place: place, faults.Exit.BAD_DATA, '0 class folders with sounds'),
    (lambda place: 'tfds:none', faults.Exit.NO_DATA, 'nothing is prepared in'),
  ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_before_jax(
  make, code, words, tmp_path, capsys, monkeypatch
):
  monkeypatch.setenv('LSTM_JAX_DATA', str(tmp_path / 'data'))
  out = tmp_path / 'run'
  assert run(make(tmp_path), out) == code
  said = capsys.readouterr().err
  assert said.count('\n') == 1 and said.startswith('sweep: '), said
  assert words in said
  assert not out.exists()


def test_two_files_of_one_name(tmp_path, capsys):
  for name, seed in (('a', 0), ('b', 1)):
    (tmp_path / name).mkdir()
    own_data.npz(tmp_path / name / 'x.npz', inputs=own_data.inputs(seed))
  both = f'{tmp_path}/a/x.npz,{tmp_path}/b/x.npz'
  assert run(both, tmp_path / 'run') == 2
  assert 'is called x.npz as well; rename one' in capsys.readouterr().err


def test_an_option_of_the_file_is_no_flag(tmp_path, capsys):
  path = own_data.npz(tmp_path / 'a.npz')
  assert run(path, tmp_path / 'run', '--set=task.inputs=x') == 2
  assert 'has no inputs' in capsys.readouterr().err
  assert run(path, tmp_path / 'run', '--set=task.valid=0.9') == 2
  assert 'their sum below 1' in capsys.readouterr().err
  assert not (tmp_path / 'run').exists()


def test_names_are_those_that_a_table_bears(tmp_path, capsys):
  path = own_data.npz(tmp_path / 'my data,é.npz')
  moved = path.rename(tmp_path / 'my data é.NPZ')
  assert run(moved, tmp_path / 'run', '--dry_run') == 0
  assert 'my_data_é.npz srn' in capsys.readouterr().out
  long = moved.rename(path.with_name('x' * 90 + '.npz'))
  assert run(long, tmp_path / 'run', '--dry_run') == 2
  assert 'at most 80 characters is needed' in capsys.readouterr().err


def answers(capsys, *words):
  """Rows of the answers that `predict` gives, without their headings."""
  capsys.readouterr()
  assert predict.main(['predict', *map(str, words), '--count=999']) == 0
  said = capsys.readouterr().out
  return [line.split() for line in said.partition('\n\n')[2].splitlines()[1:]]


def test_a_network_answers_its_test_part_and_the_same_sequences_anew(
  compared, tmp_path, capsys
):
  out, path = compared
  tested = answers(capsys, out, f'--data_dir={path.parent}')
  assert [row[0] for row in tested] == ['2', '5', '10', '17']
  where = [int(row[0]) for row in tested]
  new = own_data.npz(
    tmp_path / 'new.npz',
    inputs=own_data.joined(own_data.inputs()[where], own_data.lengths()[where]),
    lengths=own_data.lengths()[where],
    targets=None,
  )
  # Without the file that it was trained on.
  answered = answers(capsys, out, f'--data={new}')
  assert [row[1:] for row in answered] == [row[2:] for row in tested]
  held = kept.load(out)
  assert held.task.num_inputs == 2 and held.task.classes == ('0', '1')


@pytest.mark.parametrize(
  ('make', 'code', 'words'),
  [
    (lambda place: '', 2, 'mine.npz is not in .: say --data_dir=FOLDER'),
    (lambda place: f'--data={place / "a.txt"}', 65, 'must be a .npz, as what'),
    (
      lambda place: (
        '--data='
        + str(own_data.npz(place / 'a.npz', inputs=own_data.inputs()[..., :1]))
      ),
      65,
      'has 1 features a step; the network takes 2',
    ),
    (
      lambda place: (
        '--data='
        + str(own_data.npz(place / 'a.npz', inputs=own_data.inputs() * np.nan))
      ),
      65,
      'inputs must be finite',
    ),
    (
      lambda place: '--data=' + str(own_data.npz(place / 'a.npz', inputs=None)),
      65,
      'has no array inputs',
    ),
    (
      lambda place: (
        own_data.npz(place / 'mine.npz', inputs=own_data.inputs(1)),
        f'--data_dir={place}',
      )[1],
      2,
      'is not what the network was trained on: it has changed',
    ),
  ],
)
def test_what_a_network_cannot_be_asked(
  make, code, words, compared, tmp_path, capsys, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  out, _ = compared
  flag = make(tmp_path)
  assert predict.main(['predict', str(out), *filter(None, [flag])]) == code
  said = capsys.readouterr()
  assert said.out == '' and said.err.count('\n') == 1 and words in said.err


def test_the_plan_says_what_the_file_is(compared):
  out, _ = compared
  plan = json.loads((out / 'plan.json').read_text('utf-8'))
  text = json.dumps(plan)
  assert '"mine.npz": "inputs 24x' in text


@pytest.mark.slow
def test_what_tfds_has_prepared_is_named(tmp_path, capsys, undrawn):
  splits = {'train': prepared_sets.walks(16), 'test': prepared_sets.walks(6, 1)}
  prepared_sets.prepare(tmp_path / 'data', prepared_sets.WALKS, splits)
  out = tmp_path / 'run'
  place = f'--data_dir={tmp_path / "data"}'
  assert run('tfds:mine', out, '--cell=srn', place, seeds=1) == 0
  opened = open_folder(out)
  (setting,) = opened.trials.values()
  assert setting.task == 'tfds:mine:1.0.0'
  ((_, record),) = trial_records.read_records(opened)[0].items()
  assert record['metrics']['test_total'] == 6
  assert record['details']['classes'] == ['down', 'up']
  assert len(answers(capsys, out, place)) == 6
  # By its folder it is the same.
  home = tmp_path / 'data' / 'mine'
  assert run(home, out, '--cell=srn', seeds=1) == 0
  assert 'Nothing left to do' in capsys.readouterr().out


def test_a_bad_file_is_refused_before_jax_is_imported(tmp_path):
  own_data.npz(tmp_path / 'a.npz', lengths=own_data.lengths() + 9)
  code = (
    'import runpy, sys\n'
    'try:\n'
    '  runpy.run_module("experiments.sweep", run_name="__main__")\n'
    'finally:\n'
    '  print("imported", *sorted({"jax", "optax", "scipy"} & {*sys.modules}))\n'
  )
  done = children.python(
    '-c', code, '--task=a.npz', cwd=tmp_path,
    env={'PYTHONPATH': str(children.ROOT), 'PYTHONDONTWRITEBYTECODE': '1'},
    returns=int(faults.Exit.BAD_DATA),
  )  # fmt: skip
  assert done.stdout == 'imported\n'
  assert 'a.npz: length 15 of sequence 0 must be 1 to 6' in done.stderr


@pytest.mark.slow
def test_from_a_folder_with_the_file_alone(tmp_path):
  own_data.csv(tmp_path / 'mine.csv')
  done = children.python(
    '-m', 'experiments.sweep', '--task=mine.csv', '--seeds=2', *SMALL,
    cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(children.ROOT)},
  )  # fmt: skip
  assert 'mine.csv: ' in done.stdout and 'Report: ' in done.stdout
  (out,) = (tmp_path / 'runs').iterdir()
  page = (out / 'report.html').read_text('utf-8')
  for word in ('2 features a step: x, y', 'a (12), b (12)', 'drawn, class by'):
    assert word in page
