"""Sweeps, reports and kept networks from Python: values in, records out."""

import contextlib
import io
import os
import signal
import sys

import jax
import numpy as np
import pytest

import lstm_jax as lj
from experiments import sweep as command
from lstm_jax.lab.plan import flags, from_values, plan
from lstm_jax.lab.store import folder, nets, trial_records
from tests import children

# Solved by most seeds at once: what is right is nearly anything.
EASY = {
  'task.tolerance': 0.2,
  'task.streak': 12,
  'task.mean_error': 0.5,
  'task.output': 'linear',
  'learner.optimizer': 'sgd',
}
HOW = {
  'task': 'adding',
  'cell': lj.srn,
  'learner': 'elman',
  'length': 4,
  'hidden': 4,
  'learning_rate': [0.19, 0.2],  # two rows of one program
  'set': EASY,
  'seeds': 3,
  'budget': 60,
}
WORDS = (
  '--task=adding', '--cell=srn', '--learner=elman', '--length=4',
  '--hidden=4', '--learning_rate=0.19,0.2', '--seeds=3', '--budget=60',
  *(f'--set={name}={value}' for name, value in EASY.items()),
)  # fmt: skip


def handlers():
  return {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """`(rows, folder, what was printed)` of a sweep from Python."""
  out = tmp_path_factory.mktemp('python') / 'run'
  before = dict(os.environ), dict(jax.config.values), handlers()
  said = io.StringIO()
  with (
    contextlib.redirect_stderr(said),
    pytest.MonkeyPatch.context() as patch,
  ):
    patch.setitem(sys.modules, 'matplotlib', None)
    rows = lj.sweep(out=out, progress='plain', **HOW)
  assert (dict(os.environ), dict(jax.config.values), handlers()) == before
  return rows, out, said.getvalue()


@pytest.mark.usefixtures('undrawn')
def test_it_is_the_run_of_the_command(run, tmp_path):
  """The same trials, the same numbers in every record."""
  _, ours, said = run
  theirs = tmp_path / 'run'
  words = [*WORDS, f'--out={theirs}', '--progress=none']
  assert command.main(['sweep', *words]) == 0
  one, other = (folder.open_folder(path) for path in (ours, theirs))
  assert one.plan['trials'] == other.plan['trials']
  records, others = (trial_records.read_records(f)[0] for f in (one, other))
  assert records.keys() == others.keys() != set()
  for name, record in records.items():
    for key in ('status', 'metrics', 'curves'):
      assert record[key] == others[name][key]
  assert '6/6 trials' in said


def test_the_first_of_a_row_keeps_its_networks(run):
  _, out, _ = run
  opened = folder.open_folder(out)
  records, _ = trial_records.read_records(opened)
  first = {}
  for name, setting in opened.trials.items():
    seen = records[name]['metrics']['sequences_seen']
    curves = records[name]['curves']
    assert curves['sequences'][-1] == seen
    assert len(curves['sequences']) == len(curves['train_right']) <= 200
    way = [n for n, _ in nets.load_way(opened, name)]
    if first.setdefault(setting.row, name) == name:
      assert way[0] == 0 and way[-1] == seen and 2 <= len(way) <= 10
    else:
      assert way == []
  assert len(first) == 2


def test_rows_are_records(run):
  rows, out, _ = run
  assert [row.settings['learning_rate'] for row in rows] == [0.19, 0.2]
  for row in rows:
    assert (row.trials, row.missing, row.length) == (3, 0, 4)
    assert 0 < row.solved <= 3 and row.folder == out
    assert row.interval.low <= row.solved / 3 <= row.interval.high
    assert row.median > 0 and row.verdict == 'no verdict' and not row.published
    assert f'solved {row.solved}/3 (95 %' in str(row)
  with pytest.raises(AttributeError):
    rows[0].solved = 4


def test_the_same_call_runs_nothing_again(run, capsys):
  rows, out, _ = run
  assert lj.sweep(out=out, **HOW) == rows
  assert 'Nothing left to do' in capsys.readouterr().out
  assert lj.sweep(out=out, **{**HOW, 'progress': 'none'}) == rows
  assert capsys.readouterr().out == ''


def test_the_command_shows_a_finished_run_without_jax(run):
  _, out, _ = run

  def kept():
    """All but what is derived: other tests have figures."""
    files = [*out.rglob('*.json'), *out.rglob('nets/*'), out / 'results.csv']
    return {path: path.stat().st_mtime_ns for path in files}

  before = kept()
  code = (
    'import sys\n'
    'sys.modules["matplotlib"] = None\n'
    'from experiments import sweep\n'
    'assert sweep.main(["sweep", *sys.argv[1:]]) == 0\n'
    'assert "jax" not in sys.modules and "optax" not in sys.modules'
  )
  done = children.python('-c', code, *WORDS, f'--out={out}')
  assert 'Nothing left to do' in done.stdout
  assert kept() == before


@pytest.mark.usefixtures('undrawn')
def test_a_report_is_a_list_of_its_pages(run, tmp_path):
  _, out, _ = run
  pages = lj.report(out)
  assert [pages[0].name, pages[1].name] == ['report.html', 'report.md']
  assert pages[-1] == out / 'results.csv'
  assert all(page.is_file() for page in pages)
  joined = lj.report([out, str(out)][:1], out=tmp_path / 'pages')
  assert joined[0].parent == tmp_path / 'pages'


def test_a_network_is_loaded_with_its_cell(run):
  rows, out, _ = run
  kept = lj.load(out, rows[1].row)
  assert kept.setting.row == rows[1].row and kept.model is None
  assert kept.record['status'] == 'solved'
  ran = lj.layer(kept.cell, kept.params, np.ones((4, 2), np.float32))
  assert ran.ys.shape == (4, 4)
  # It is the network that training it again gives.
  again = lj.train(
    kept.task, kept.cell, lj.elman, length=4, learning_rate=0.2,
    seeds=[kept.setting.seed], max_sequences=60, test_sequences=0,
  )  # fmt: skip
  for a, b in zip(kept.params, again.params[0], strict=True):
    np.testing.assert_array_equal(a, b)
  with pytest.raises(
    ValueError, match='^row=nothing: choose from .*_rate=0.19'
  ):
    lj.load(out, 'nothing')


@pytest.mark.slow  # one on data of one's own is loaded by test_own_data.py
@pytest.mark.usefixtures('undrawn')
def test_a_supervised_run_is_loaded_with_its_model(tmp_path):
  out = tmp_path / 'run'
  (row,) = lj.sweep(
    task='noisy_sine', cell='srn', hidden=2, seeds=1, budget=1, out=out,
    progress='none',
  )  # fmt: skip
  assert row.median is None and 'test loss' in str(row)
  kept = lj.load(out)
  inputs = np.ones((1, 3, kept.task.num_inputs), np.float32)
  assert np.isfinite(kept.model.apply(kept.params, inputs)).all()
  first = kept.params.layers[0]
  assert lj.layer(kept.cell, first, inputs[0]).ys.shape == (3, 2)


@pytest.mark.parametrize(
  'words, given',
  [
    (['--cell=lsmt'], {'cell': 'lsmt'}),
    (['--cell=lstm,gru', '--hidden=0'],
     {'cell': ['lstm', 'gru'], 'hidden': 0}),
    (['--hidden=2,2'], {'hidden': (2, 2)}),
    (['--row=a'], {'row': 'a'}),
    (['--grid=nothing'], {'grid': 'nothing'}),
    (['--grid=table7', '--row=a,b'], {'grid': 'table7', 'row': ['a', 'b']}),
    (['--seeds=-1'], {'seeds': -1}),
    (['--budget=0'], {'budget': 0}),
    (['--learning_rate=-0.5'], {'learning_rate': -0.5}),
    (['--set=cell.hidden=3', '--hidden=3', '--cell=srn'],
     {'set': {'cell.hidden': 3}, 'hidden': 3, 'cell': 'srn'}),
    (['--set=cell.depth=3', '--cell=srn'],
     {'set': {'cell.depth': 3}, 'cell': 'srn'}),
    (['--progress=nil'], {'progress': 'nil'}),
    (['--out=gs://a'], {'out': 'gs://a'}),
    (['--cell=srn', '--learner=truncated1997'],
     {'cell': 'srn', 'learner': lj.truncated1997}),
    (['--cell=lstm1997', '--set=cell.input_gate_bias=-1:-2:-3'],
     {'cell': 'lstm1997', 'set': {'cell.input_gate_bias': (-1, -2, -3)}}),
  ],
)  # fmt: skip
def test_what_is_refused_is_refused_in_the_words_of_the_command(
  words, given, capsys
):
  assert command.main(['sweep', *words]) == 2
  said = capsys.readouterr().err.splitlines()
  with pytest.raises(ValueError) as caught:
    lj.sweep(**given)
  assert [f'sweep: {line}' for line in str(caught.value).split('\n')] == said


def test_a_folder_of_another_plan_is_refused(run):
  _, out, _ = run
  with pytest.raises(ValueError, match='other trials|another plan|differs'):
    lj.sweep(out=out, **{**HOW, 'length': 5})
  with pytest.raises(
    ValueError, match='nothing: no run here, there is no such'
  ):
    lj.report(out / 'nothing')


@pytest.mark.parametrize(
  'words, given',
  [
    (['--grid=table7'], {'grid': 'table7'}),
    (['--length=10,20', '--learner=bptt', '--window=5,full'],
     {'length': range(10, 21, 10), 'learner': lj.bptt, 'window': [5, None]}),
    (['--seeds=7-7', '--task=reber', '--cell=gru'],
     {'seeds': [7], 'task': lj.reber, 'cell': lj.gru}),
    (['--set=cell.input_gate_bias=-1:-2,none', '--learning_rate=0.5,1'],
     {'set': {'cell.input_gate_bias': [(-1.0, -2.0), None]},
      'learning_rate': np.array([0.5, 1.0])}),
    (['--set=cell.peepholes=true,false', '--cell=lstm', '--learner=bptt',
      '--seeds=3,5-6'],
     {'set': {'cell.peepholes': [True, False]}, 'cell': 'lstm',
      'learner': 'bptt', 'seeds': '3,5-6'}),
  ],
)  # fmt: skip
def test_values_make_the_plan_of_text(words, given):
  axes = {
    name: given.pop(name) for name in [*given] if name in from_values.AXES
  }
  options = given.pop('set', {})
  ours = plan.expand(from_values.request_of(axes, options, **given))
  theirs = plan.expand(flags.parse(['sweep', *words], environ={}))
  assert ours.trials == theirs.trials and ours.out == theirs.out


def test_a_factory_that_no_run_finds_again_is_refused():
  with pytest.raises(ValueError, match='--cell=.*<lambda>: a run must find'):
    lj.sweep(cell=lambda i, o: lj.srn(i, o))


@pytest.mark.usefixtures('undrawn')
def test_ctrl_c_saves_and_stops_and_the_call_goes_on(tmp_path, monkeypatch):
  from lstm_jax.lab.run import recorder

  out, real = tmp_path / 'run', recorder.RunState.outcome

  def outcome(self, ended):
    real(self, ended)
    monkeypatch.undo()
    signal.raise_signal(signal.SIGINT)

  before = handlers()
  monkeypatch.setattr(recorder.RunState, 'outcome', outcome)
  with pytest.raises(KeyboardInterrupt):
    lj.sweep(out=out, **{**HOW, 'progress': 'none'})
  assert handlers() == before
  kept = trial_records.read_records(folder.open_folder(out))[0]
  assert kept
  rows = lj.sweep(out=out, **{**HOW, 'progress': 'none'})
  assert sum(row.trials for row in rows) == 6


@pytest.mark.usefixtures('undrawn')
def test_trials_that_failed_by_an_error_are_counted_and_warned_of(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'broken.py').write_text(
    'import lstm_jax as lj\n'
    'NUMBERS = {"learning_rate": 0.1}\n'
    'def broken(cell, task):\n'
    '  made = lj.elman(cell, task)\n'
    '  def update(state, episode):\n'
    '    raise ValueError("no update here")\n'
    '  return made._replace(update=update)\n',
    'utf-8',
  )
  how = HOW | {'learning_rate': 0.2, 'learner': 'broken.py:broken', 'seeds': 2}
  how |= {'set': {k: v for k, v in EASY.items() if k[:5] != 'learn'}}
  with pytest.warns(UserWarning, match='2 of 2 trials failed: ValueError: no'):
    (row,) = lj.sweep(out='run', progress='none', **how)
  assert (row.failed, row.solved, row.trials) == (2, 0, 2)
  assert '2 failed by an error' in str(row)
