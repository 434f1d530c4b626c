"""The vanishing error from the command line: flags, table, file, figure."""

import csv
import sys

import numpy as np
import pytest

from experiments import sweep, vanishing
from lstm_jax.lab.commands import vanishing as command
from lstm_jax.lab.plan import catalog, listing
from lstm_jax.lab.vanishing import curves, learners
from lstm_jax.lab.vanishing import figure as vanishing_figure
from lstm_jax.lab.vanishing.curves import Curve, Net
from tests import children

# Words -> what the one line must say.
BAD = {
  '--lenght=10': ['--lenght', 'no such flag', 'did you mean length?'],
  '--budget=10': ['--budget', 'no such flag'],
  '--grid=table7': ['--grid', 'no such flag'],
  'adding': ['adding', 'not a flag'],
  '--length': ['Missing value', '--length'],
  '--out=': ['--out=: is empty'],
  '--seeds=2 --seeds=3': ['--seeds', '2 times'],
  '--length=5 --length=6': ['--length', '2 times'],
  '--sequences=0': ['--sequences=0', 'an integer from 1'],
  '--cell=ltsm': ['--cell=ltsm', 'did you mean lstm?'],
  '--task=ading': ['--task=ading', 'did you mean adding?'],
  '--cell=srn --set=cell.activation=cubic': ['cubic', 'logistic'],
  '--cell=srn --blocks=2': ['blocks'],
  '--cell=srn --learner=truncated1997': ['truncated1997'],
  '--learners=bppt': ['--learners=bppt', 'did you mean bptt?'],
  '--learners=guess': ['--learners=guess', 'follows no error'],
  '--learners=bptt,truncated1997': ['cannot train cell srn'],
}


@pytest.mark.parametrize('words', BAD)
def test_a_wrong_flag_has_one_line(words, capsys):
  assert vanishing.main(['vanishing', *words.split()]) == 2
  out, err = capsys.readouterr()
  assert out == '' and len(err.splitlines()) == 1
  assert err.startswith('vanishing: ')
  for word in BAD[words]:
    assert word in err


def test_a_wrong_flag_does_not_wait_for_jax():
  code = (
    'import sys\n'
    'from experiments import vanishing\n'
    'assert vanishing.main(["vanishing", "--cell=x"]) == 2\n'
    'assert "jax" not in sys.modules\n'
  )
  children.python('-c', code)


def test_help_names_every_flag(capsys):
  assert vanishing.main(['vanishing', '--help']) == 0
  text = capsys.readouterr().out
  for flag in ('task', 'cell', 'set', 'seeds', 'learners', 'out'):
    assert f'--{flag}=' in text
  assert max(map(len, text.splitlines())) <= 80


def test_the_sweep_knows_it_as_a_grid(monkeypatch):
  """`--grid=vanishing` is this command, all other flags its own."""
  seen = []
  monkeypatch.setattr(command, 'run', lambda argv: seen.append(argv) or 7)
  words = ['sweep', '--seeds=2', '--grid=vanishing', '--out=x']
  assert sweep.main(words) == 7
  assert seen == [['sweep', '--seeds=2', '--out=x']]
  assert 'vanishing ' in listing.everything()


def test_the_default_is_experiment_4_and_logistic_units():
  nets = command.parse([]).nets
  assert list(nets) == ['srn', 'lstm1997']
  srn, lstm = (settings[0] for settings in nets.values())
  assert [len(settings) for settings in nets.values()] == [16, 16]
  assert dict(srn.cell_options)['activation'] == 'logistic'
  assert (srn.learner, lstm.learner) == ('bptt', 'truncated1997')
  assert dict(lstm.numbers)['input_gate_bias'] == (-3.0, -6.0)
  assert {srn.length, lstm.length} == {100}


def test_a_setting_goes_to_the_cells_that_have_it():
  nets = command.parse(
    [
      *('--cell=srn,lstm1997', '--hidden=3,5', '--blocks=1', '--length=20'),
      *('--seeds=2', '--sequences=7', '--set=task.output=linear'),
    ]
  ).nets
  assert list(nets) == ['srn hidden=3', 'srn hidden=5', 'lstm1997']
  for name, settings in nets.items():
    assert [s.seed for s in settings] == [0, 1]
    for s in settings:
      options = dict(s.cell_options)
      assert (s.length, s.budget) == (20, 7)
      assert dict(s.task_options)['output'] == 'linear'
      assert name.startswith(s.cell) and f'{options.get("hidden")}' in (
        'None' if s.cell == 'lstm1997' else name
      )
      assert options.get('blocks') == (1 if s.cell == 'lstm1997' else None)


@pytest.fixture(
  scope='module',
  params=[
    'srn',
    # Errors that flow through cells are those of the tests of the analysis.
    pytest.param('srn,lstm1997', marks=pytest.mark.slow),
  ],
)
def tiny(request, tmp_path_factory):
  """Exit code, folder and cells of a run of two seeds and three sequences."""
  out = tmp_path_factory.mktemp('tiny') / 'run'
  words = f'--cell={request.param} --length=6 --seeds=2 --sequences=3'
  words += ' --hidden=4' + ' --blocks=1' * ('lstm1997' in request.param)
  words += ' --set=cell.activation=logistic --set=cell.init_range=0.3'
  words += ' --set=task.output=linear --learners=bptt,elman'
  code = vanishing.main(['vanishing', *words.split(), f'--out={out}'])
  return code, out, request.param.split(',')


def test_a_tiny_run_writes_its_figures(tiny, capsys):
  code, out, cells = tiny
  assert code == 0
  assert {path.name for path in out.iterdir()} == {
    f'{stem}.{ending}'
    for stem in ('vanishing', 'learners')
    for ending in ('csv', 'svg', 'png')
  }
  with (out / 'vanishing.csv').open(encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  curves = {}
  for row in rows:
    assert float(row['low']) <= float(row['high'])
    name = row['net'], row['errors'], row['when']
    curves.setdefault(name, []).append(float(row['factor']))
  whats = {
    'srn': ('all fields', 'bound'),
    'lstm1997': ('all fields', 's_c alone', 's_c, rule of 1997'),
  }
  assert set(curves) == {
    (net, what, when)
    for net in cells
    for what in whats[net]
    for when in ('before', 'after')
  }
  for (_, what, _), factors in curves.items():
    assert len(factors) == 6  # lags 0 to 5 of sequences of six steps
    assert factors[0] == (4 if what == 'bound' else 1)  # n, or relative to it
  for when in ('before', 'after'):
    if 'lstm1997' in cells:
      assert set(curves['lstm1997', 's_c, rule of 1997', when]) == {1.0}
    srn = curves['srn', 'all fields', when]
    assert np.all(np.diff(srn) < 0)
    assert np.all(srn <= np.array(curves['srn', 'bound', when]))
  # It has been trained.
  assert (
    curves['srn', 'all fields', 'before']
    != (curves['srn', 'all fields', 'after'])
  )


def test_learners_look_as_far_back_as_they_do(tiny):
  _, out, cells = tiny
  with (out / 'learners.csv').open(encoding='utf-8') as file:
    signals = {}
    for row in csv.DictReader(file):
      name = row['net'], row['errors'], row['when']
      signals.setdefault(name, []).append(float(row['factor']))
  assert set(signals) == {
    (net, learner, when)
    for net in cells
    for learner in ('bptt', 'elman')
    for when in ('before', 'after')
  }
  for (net, learner, _), factors in signals.items():
    assert len(factors) == 6 and factors[0] == 1
    if learner == 'elman':
      assert set(factors[1:]) == {0}
    elif net == 'srn':
      assert 0 < factors[5] < 1e-3 and np.all(np.diff(factors) < 0)
    else:
      assert min(factors) > 0.5


def test_learners_are_left_out_with_the_reason():
  words = [
    '--cell=srn,lstm1997',
    '--learners=all',
    '--hidden=3,5',
    '--blocks=1',
  ]
  request = command.parse([*words, '--learning_rate=0.1,0.2'])
  assert set(request.learners) == set(request.nets)
  every = set(catalog.names('learners')) - set(learners.NO_SIGNAL)
  for name, settings in request.learners.items():
    lacks = {'truncated1997'} if name.startswith('srn') else {'rflo'}
    assert set(settings) == every - lacks
    for learner, setting in settings.items():
      assert setting.learner == learner
      hidden = dict(setting.cell_options).get('hidden')
      assert hidden is None or f'hidden={hidden}' in name
  refused = ' '.join(request.refused)
  assert len(request.refused) == 2
  assert 'truncated1997' in refused and 'rflo' in refused


def test_nets_that_have_all_diverged_are_refused(capsys, tmp_path):
  words = '--cell=srn --length=4 --seeds=2 --sequences=9 --learning_rate=1e30'
  words += f' --set=task.output=linear --out={tmp_path}'
  assert vanishing.main(['vanishing', *words.split()]) == 2
  assert capsys.readouterr().err == (
    'vanishing: srn: every network has diverged in training\n'
  )
  assert list(tmp_path.iterdir()) == []


def curve(*logs):
  mean = np.array(logs, float)
  return Curve(mean, mean - 0.1, mean + 0.1)


@pytest.fixture
def nets():
  return {
    'srn': Net(
      {
        ('all fields', 'before'): curve(0, -2, -np.inf),
        ('bound', 'before'): curve(0.9, 0.3, -0.3),
      },
      '',
    ),
    'lstm1997': Net({('s_c alone', 'after'): curve(0, 0, 0.1)}, ''),
  }


def test_the_table_has_a_line_a_curve(nets):
  lines = curves.table(nets).splitlines()
  assert lines[0].split()[-3:] == ['0', '1', '2']
  assert [line.split()[-3:] for line in lines[1:]] == [
    ['1', '0.01', '0'],
    ['7.94', '2', '0.501'],
    ['1', '1', '1.26'],
  ]


def test_every_curve_is_drawn(nets):
  figure = vanishing_figure.draw(nets, 'size')
  assert [axes.get_title() for axes in figure.axes] == list(nets)
  for axes, net in zip(figure.axes, nets.values(), strict=True):
    for line, held in zip(axes.lines, net.curves.values(), strict=True):
      kept = np.isfinite(held.mean)
      np.testing.assert_array_equal(line.get_ydata()[kept], held.mean[kept])
      assert not np.any(np.isfinite(line.get_ydata()[~kept]))
  low, high = figure.axes[0].get_ylim()
  assert low < -2 and high > 0.1


def test_the_same_numbers_give_the_same_bytes(nets):
  once, again = (
    vanishing_figure.pictures(nets, 'vanishing', 'size') for _ in range(2)
  )
  assert set(once) == {'vanishing.svg', 'vanishing.png'} and once == again


def test_without_matplotlib_there_is_no_figure(nets, monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  assert vanishing_figure.pictures(nets, 'vanishing', 'size') == {}
  assert 'matplotlib' in capsys.readouterr().err
