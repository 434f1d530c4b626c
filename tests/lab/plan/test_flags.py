"""Every bad command line gets one clear line, exit code 2, and no JAX."""

import importlib
import re
import sys
import types

import pytest

import lstm_jax.lab.run
from experiments import sweep
from lstm_jax.lab.plan import (
  catalog,
  flags,
  grid,
  plan,
  usage,
  values,
)
from lstm_jax.lab.store import machine
from tests import children
from tests.children import ROOT

# Command line -> words that the one line must contain: the flag with its value
# and what is allowed, or the nearest name.
BAD = {
  # Names.
  '--task=adding_problem': ['--task=adding_problem', 'did you mean adding?'],
  '--task=xyz': ['--task=xyz', 'choose from adding, ', 'temporal_order'],
  '--task=Adding': ['--task=Adding', 'did you mean adding?'],
  '--task=adding,foo': ['--task=foo', 'choose from'],
  '--cell=ltsm': ['--cell=ltsm', 'did you mean lstm?'],
  '--cell=_build': ['--cell=_build', 'choose from'],
  '--cell=../cells/srn': [
    '--cell=../cells/srn',
    'names no factory; write path/to/file.py:factory',
  ],
  '--learner=bppt': ['--learner=bppt', 'did you mean bptt?'],
  '--grid=table_7': ['--grid=table_7', 'did you mean table7?'],
  '--grid=zzz': ['--grid=zzz', 'choose from', 'quickstart'],
  '--grid=table7 --row=T100-linaer': ['T100-linaer', 'mean T100-linear?'],
  # Flags.
  '--lenght=100': ['--lenght', 'no such flag', 'did you mean length?'],
  '--qqq': ['--qqq', 'no such flag', '--help'],
  '--length': ['Missing value', '--length'],
  'table7': ['table7', 'not a flag'],
  '--length 10 20': ['20', 'not a flag'],
  '--length=10 --length=20': ['--length', '2 times', 'comma list'],
  '--grid=table7 --grid=table9': ['--grid', '2 times'],
  '--list=maybe': ['--list=maybe', 'true or false'],
  '--nolist=3': ['--nolist=3'],
  '--flagfile=missing.txt': ['--flagfile: Unable to open', 'missing.txt'],
  # Lists.
  '--length=': ['--length=', 'empty'],
  '--length=10,': ['--length=10,', 'empty item'],
  '--length=,': ['--length=,', 'empty item'],
  '--length=10,,20': ['--length=10,,20', 'empty item'],
  '--length=10,10': ['--length=10,10', '10 is listed twice'],
  '--task=': ['--task=', 'empty'],
  '--grid=': ['--grid=', 'empty'],
  '--out=': ['--out=', 'empty'],
  # Lengths and windows.
  '--length=0': ['--length=0', 'an integer from 1'],
  '--length=-5': ['--length=-5', 'an integer from 1'],
  '--length=ten': ['--length=ten', 'an integer from 1'],
  '--length=1.5': ['--length=1.5', 'an integer from 1'],
  '--length=1e3': ['--length=1e3', 'an integer from 1'],
  '--length=nan': ['--length=nan', 'an integer from 1'],
  '--length=99999999999': ['--length=99999999999', 'at most 2147483647'],
  '--length=' + '9' * 5000: ['an integer from 1'],
  '--length=3': ['--length=3', 'adding needs at least 4'],
  '--task=temporal_order --length=10': ['--length=10', 'at least 20'],
  '--learner=bptt --window=0': ['--window=0', 'an integer from 1, full'],
  '--learner=bptt --window=-1': ['--window=-1', 'an integer from 1, full'],
  '--learner=bptt --window=all': ['--window=all', 'full'],
  '--learner=truncated1997 --window=7': [
    '--window=7: learner truncated1997 has no window',
    'learners with one: bptt',
  ],
  '--learner=elman --window=full': ['--window=full', 'elman has no window'],
  '--learner=bptt --window=50 --length=20': [
    '--window=50',
    'more than --length=20',
    'full',
  ],
  # Sizes.
  '--cell=srn --hidden=0': ['--hidden=0', 'an integer from 1 to 4096'],
  '--cell=srn --hidden=-3': ['--hidden=-3', 'an integer from 1 to 4096'],
  '--cell=srn --hidden=5000': ['--hidden=5000', 'from 1 to 4096'],
  '--task=adding --hidden=8': [
    '--hidden=8: cell lstm1997 has no hidden',
    'srn',
  ],
  '--cell=lstm1997 --hidden=4': ['--hidden=4', 'lstm1997 has no hidden'],
  '--cell=srn --blocks=2': ['--blocks=2: cell srn has no blocks', 'lstm1997'],
  '--blocks=0': ['--blocks=0', 'an integer from 1 to 4096'],
  '--block_size=x': ['--block_size=x', 'an integer from 1 to 4096'],
  # Numbers.
  '--learning_rate=0': ['--learning_rate=0', 'above 0'],
  '--learning_rate=-0.1': ['--learning_rate=-0.1', 'above 0'],
  '--learning_rate=nan': ['--learning_rate=nan', 'above 0'],
  '--learning_rate=inf': ['--learning_rate=inf', 'above 0'],
  '--learning_rate=1e39': ['--learning_rate=1e39', 'finite'],
  '--learning_rate=fast': ['--learning_rate=fast', 'above 0'],
  '--learning_rate=0.1,x': ['--learning_rate=x', 'above 0'],
  '--learning_rate=0.1:0.2': ['--learning_rate=0.1:0.2', 'above 0'],
  '--set=cell.init_range=0': ['--set=cell.init_range=0', 'above 0'],
  '--set=cell.input_gate_bias=-3:x': ['--set=cell.input_gate_bias=x'],
  '--set=cell.input_gate_bias=nan': ['--set=cell.input_gate_bias=nan'],
  '--set=cell.input_gate_bias=-3:-6:-9': ['3 values for blocks=2'],
  '--blocks=3 --set=cell.input_gate_bias=-3:-6': ['2 values for blocks=3'],
  '--blocks=3': ['2 values for blocks=3', 'quick start', '--task=NAME'],
  '--length=5': ['temporal_order needs at least 20', 'quick start'],
  '--set=cell.peepholes=true': ['one: lstm', 'quick start', '--cell=NAME'],
  # Options.
  '--set=task.output=linaer': ['--set=task.output=linaer', 'mean linear?'],
  '--set=task.output': ['--set=task.output', 'KIND.NAME=VALUE'],
  '--set=output=linear': ['--set=output=linear', 'KIND.NAME=VALUE'],
  '--set=net.output=linear': ['task, cell, learner'],
  '--set=task.=3': ['--set=task.=3', 'KIND.NAME=VALUE'],
  '--set=task.output=': ['--set=task.output=', 'empty'],
  '--set=task.outptu=linear': ['has no outptu', 'did you mean output?'],
  '--set=cell.num_inputs=3': ['lstm1997 has no num_inputs'],
  '--set=learner.length=3': ['truncated1997 has no length'],
  '--set=cell.input_gates=perhaps': ['true, false'],
  '--set=task.tolerance=0': ['--set=task.tolerance=0', 'above 0'],
  '--set=task.streak=0': ['--set=task.streak=0', 'an integer from 1'],
  '--set=task.symbols=4 --task=temporal_order': ['=4', 'one of 2, 3'],
  '--set=cell.g=1 --set=cell.g=2': ['--set=cell.g', 'given twice'],
  '--set=cell.blocks=2 --blocks=3': ['--set=cell.blocks', '--blocks'],
  '--set=task.length=10 --length=20': ['--set=task.length', '--length'],
  # Seeds, budget.
  '--seeds=0': ['--seeds=0', 'an integer from 1'],
  '--seeds=-4': ['--seeds=-4', 'a count (10) or a list (3,5-9)'],
  '--seeds=': ['--seeds=', 'empty'],
  '--seeds=a': ['--seeds=a', 'a count'],
  '--seeds=1,,2': ['--seeds=1,,2', 'empty item'],
  '--seeds=1,2,1': ['--seeds=1,2,1', 'seed 1 is listed twice'],
  '--seeds=5-9,7': ['--seeds=5-9,7', 'seed 7 is listed twice'],
  '--seeds=9-5': ['--seeds=9-5', '9-5 is no range'],
  '--seeds=1-2-3': ['--seeds=1-2-3', 'is no range'],
  '--seeds=0-99999999999': ['--seeds=0-99999999999', '2147483647'],
  '--seeds=3-2147483647': ['more than 1000000 seeds'],
  '--seeds=²': ['--seeds=²'],
  '--seeds=1-' + '9' * 5000: ['is no range'],
  '--budget=0': ['--budget=0', 'an integer from 1'],
  '--budget=-1': ['--budget=-1', 'an integer from 1'],
  '--budget=1e6': ['--budget=1e6', 'an integer from 1'],
  '--budget=many': ['--budget=many', 'an integer from 1'],
  # Combinations.
  '--cell=srn --learner=truncated1997': [
    '--learner=truncated1997: cannot train cell srn',
    'cells with internal state: ',
    'lstm1997',
  ],
  '--list --dry_run': ['--list with --dry_run', 'choose one'],
  '--row=6a': ['--row=6a', 'needs --grid'],
  '--grid=table7 --length=7': ['--length=7', 'choose from 100, 500, 1000'],
  '--grid=table7 --hidden=8': ['--hidden=8', 'no row of grid table7'],
  '--grid=table7 --window=5': ['--window=5', 'no row of grid table7'],
  '--grid=table7 --task=temporal_order': ['choose from adding'],
  '--grid=table9 --blocks=3 --learning_rate=0.5': ['choose from 0.1'],
  '--grid=table7 --row=T100-linear --length=500': ['choose from 100'],
  '--grid=table9 --set=cell.input_gate_bias=-2:-4': ['values for blocks=3'],
  '--grid=table7 --set=cell.hidden=3': ['lstm1997 has no hidden'],
  '--task=adding --length=9 --seeds=200000': ['200000 trials', '--yes'],
  '--seeds=1000 --length=' + ','.join(map(str, range(10, 210))): ['--yes'],
  '--yes --seeds=1000000 --length=' + ','.join(map(str, range(10, 30))): [
    'a plan has at most 10000000'
  ],
  # How to run.
  '--shard=3': ['--shard=3', 'I/N', '0 <= I < N'],
  '--shard=2/2': ['--shard=2/2', '0 <= I < N'],
  '--shard=-1/2': ['--shard=-1/2', '0 <= I < N'],
  '--shard=0/0': ['--shard=0/0', '0 <= I < N'],
  '--shard=a/b': ['--shard=a/b', '0 <= I < N'],
  '--shard=1/2/3': ['--shard=1/2/3', '0 <= I < N'],
  '--devices=0': ['--devices=0', 'an integer from 1 to '],
  '--devices=99999': ['--devices=99999', 'an integer from 1 to '],
  '--checkpoint_seconds=0': ['--checkpoint_seconds=0', 'above 0'],
  '--checkpoint_seconds=nan': ['--checkpoint_seconds=nan', 'above 0'],
  '--progress=loud': ['--progress=loud', 'auto, live, plain, none'],
  '--xla_profile=fast': ['--xla_profile=fast', 'auto, none'],
}
# A few of them in processes of their own.
PROCESSES = (
  '--lenght=100',
  '--length=-5',
  '--learner=truncated1997 --window=7',
  '--cell=srn --learner=truncated1997',
  '--list --dry_run',
  '--seeds=1,2,1',
  '--grid=table_7',
  '--shard=2/2',
)


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch, tmp_path):
  def run(made, how):
    raise AssertionError(f'{len(made.trials)} trials were started')

  engine = types.ModuleType('lstm_jax.lab.run.engine')
  engine.run = run
  monkeypatch.setitem(sys.modules, 'lstm_jax.lab.run.engine', engine)
  monkeypatch.setattr(lstm_jax.lab.run, 'engine', engine, raising=False)
  monkeypatch.chdir(tmp_path)
  monkeypatch.delenv('SLURM_ARRAY_TASK_ID', raising=False)


@pytest.mark.parametrize('line', BAD)
def test_a_bad_command_line_gets_one_clear_line(line, capsys, tmp_path):
  assert sweep.main(['sweep', *line.split()]) == 2
  out, err = capsys.readouterr()
  assert out == ''
  assert err.startswith('sweep: ') and err.endswith('\n')
  assert err.count('\n') == 1, err
  for words in BAD[line]:
    assert words in err
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  'line',
  # The rest are answered within this process by the test above.
  [
    pytest.param(line, marks=[pytest.mark.slow] * (i % 4 > 0))
    for i, line in enumerate(PROCESSES)
  ],
)
def test_a_bad_command_line_ends_a_process_with_2(line, tmp_path):
  # `runpy` is what `python -m` does; the wrapper sees what was imported.
  code = (
    'import runpy, sys\n'
    'try:\n'
    '  runpy.run_module("experiments.sweep", run_name="__main__")\n'
    'finally:\n'
    '  heavy = {"jax", "jaxlib", "flax", "optax", "numpy"} & set(sys.modules)\n'
    '  print("imported", *sorted(heavy))\n'
  )
  environ = {'PYTHONPATH': str(ROOT), 'PYTHONDONTWRITEBYTECODE': '1'}
  done = children.python(
    '-c', code, *line.split(), cwd=tmp_path, env=environ, returns=2
  )
  assert done.stdout == 'imported\n'
  assert done.stderr.count('\n') == 1 and 'Traceback' not in done.stderr
  for words in BAD[line]:
    assert words in done.stderr
  assert not list(tmp_path.iterdir())


def test_a_value_of_several_lines_is_answered_in_one(capsys):
  assert sweep.main(['sweep', '--task=a\n\nb']) == 2
  assert capsys.readouterr().err.startswith('sweep: --task=a b: choose from')


def test_every_reason_has_a_line_of_its_own(capsys):
  argv = ['sweep', '--cell=srn,gru', '--learner=truncated1997,elman']
  assert sweep.main([*argv, '--window=5', '--length=2,10']) == 2
  lines = capsys.readouterr().err.splitlines()
  assert len(lines) == len(set(lines)) == 2
  assert all(line.startswith('sweep: --window=5: learner ') for line in lines)
  assert sweep.main([*argv, '--length=2,10']) == 2
  lines = capsys.readouterr().err.splitlines()
  assert len(lines) == len(set(lines)) == 3
  assert 'cell srn' in lines[1] and 'cell gru' in lines[2]


def test_help_is_grouped_and_names_every_flag(capsys):
  assert sweep.main(['sweep', '--help']) == 0
  text = capsys.readouterr().out
  for name in (n for group in usage.GROUPS.values() for n in group):
    assert f'\n  --{name}' in text
  assert set(flags.define()) == {n for g in usage.GROUPS.values() for n in g}
  assert all(len(line) <= 80 for line in text.splitlines())
  # Examples come first, and the program reads every one of them.
  examples, _, rest = text.replace('\\\n', '').partition('What to train')
  lines = re.findall(r'lstm-jax sweep((?: +--\S+)*)', examples)
  assert len(lines) == 5 and 'lstm-jax sweep' not in rest
  assert any('--grid=' in line for line in lines)
  for line in lines:
    assert plan.expand(flags.parse(['sweep', *line.split()], {})).trials


def test_list_names_everything_there_is(capsys):
  assert sweep.main(['sweep', '--list']) == 0
  text = capsys.readouterr().out
  folders = [ROOT / 'lstm_jax' / name for name in catalog.FOLDERS.values()]
  files = [path for folder in folders for path in folder.glob('*.py')]
  files += (ROOT / 'lstm_jax/lab/plan/grids').glob('*.toml')
  shown = [file.stem for file in files if not file.stem.startswith('_')]
  assert len(shown) > 8
  for name in shown:
    assert f'\n  {name} ' in text or f'\n  {name}\n' in text, name
  pairs = [(role, kind) for role, of in catalog.ROLES.items() for kind in of]
  assert {kind for _, kind in pairs} == set(catalog.KINDS)
  for role, kind in pairs:
    for name in catalog.names(kind):
      entry = catalog.describe(kind, name)
      assert entry.summary.split()[0] in text
      for word in (*entry.options, *entry.numbers):
        assert f' {role}.{word}=' in text


def test_a_dry_run_prints_the_plan_and_writes_nothing(capsys, tmp_path):
  argv = ['sweep', '--grid=table7', '--length=100', '--seeds=16', '--dry_run']
  argv += ['--row=T100-linear,T100-literal,T100-cells']
  assert sweep.main(argv) == 0
  text = capsys.readouterr().out
  assert 'T100-linear' in text and 'T500-linear' not in text
  assert '74,000' in text and '48 trials' in text and '3 programs' in text
  assert 'estimate' in text
  assert not list(tmp_path.iterdir())


def test_a_good_command_line_reaches_the_engine(monkeypatch):
  seen = []
  engine = sys.modules['lstm_jax.lab.run.engine']
  monkeypatch.setattr(
    engine, 'run', lambda made, how, stop, **others: seen.append(how) or 75
  )
  line = '--out=here --shard=1/4 --checkpoint_seconds=2.5 --devices=1'
  line += ' --progress=none --xla_profile=none --allow_drift --seeds=2'
  assert sweep.main(['sweep', *line.split()]) == 75
  assert seen == [
    flags.Run(
      out='here',
      shard=(1, 4),
      shard_reason='--shard',
      checkpoint_seconds=2.5,
      devices=1,
      progress='none',
      xla_profile='none',
      allow_drift=True,
    )
  ]


def test_a_batch_job_takes_its_part(monkeypatch):
  """A flag comes first, then the environment, if nobody types."""
  task = {'SLURM_ARRAY_TASK_ID': '2', 'SLURM_ARRAY_TASK_COUNT': '4'}

  def run(*argv, environ=task):
    return flags.parse(['sweep', *argv], environ).run

  assert run(environ={})[1:3] == ((0, 1), '')
  assert run()[1:3] == ((2, 4), 'SLURM_ARRAY_TASK_ID=2 of 0-3')
  assert run('--shard=0/2')[1:3] == ((0, 2), '--shard')
  process = {'SLURM_STEP_ID': '0', 'SLURM_PROCID': '1', 'SLURM_NTASKS': '2'}
  assert run(environ=task | process).shard == (5, 8)
  # JAX counts its processes itself.
  assert run('--distributed', environ=task | process).shard == (2, 4)
  monkeypatch.setattr('sys.stdin', types.SimpleNamespace(isatty=lambda: True))
  shard, reason = run()[1:3]
  assert shard == (0, 1) and '--shard=2/4 runs that part' in reason


def test_no_flags_ask_for_the_quickstart():
  assert flags.parse(['sweep'], {}).grid == 'quickstart'
  assert flags.parse(['sweep', '--seeds=3', '--dry_run'], {}).grid == (
    'quickstart'
  )
  assert flags.parse(['sweep', '--length=30'], {}).grid is None


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('3', (0, 1, 2)),
    ('7-7', (7,)),
    ('3,5-9', (3, 5, 6, 7, 8, 9)),
    ('9, 2', (9, 2)),
    ('2147483647-2147483647', (2147483647,)),
  ],
)
def test_seeds_are_a_count_or_a_list(text, expected):
  assert values.seeds(text, '--seeds') == expected


def test_commas_in_brackets_do_not_separate():
  assert values.split('[-2,2],[0,1]', 'g') == ('[-2,2]', '[0,1]')
  assert values.split('a, b', 'g') == ('a', 'b')


def test_devices_are_the_cores_there_are():
  cores = machine.cores()
  assert flags.parse(['', f'--devices={cores}'], {}).run.devices == cores
  with pytest.raises(values.Refused, match=f'from 1 to {cores}'):
    flags.parse(['', f'--devices={cores + 1}'], {})


@pytest.mark.parametrize('name', grid.names())
def test_the_command_in_a_grid_runs_that_grid(name):
  words = grid.load(name).command.split()
  assert words[:2] == ['lstm-jax', 'sweep']
  assert flags.parse(words[1:], {}).grid == name


ODD_NUMBERS = ('١٠', '1_0', '+10', ' 10', '10 ', '1e1', '0x10', '１０', '10\n')


@pytest.mark.parametrize('text', ODD_NUMBERS)
@pytest.mark.parametrize('flag', ['length', 'seeds', 'budget', 'devices'])
def test_numbers_are_ascii_digits(flag, text, capsys):
  assert sweep.main(['sweep', f'--{flag}={text}', '--dry_run']) == 2
  said = capsys.readouterr().err
  assert said.count('\n') == 1 and f'--{flag}=' in said


@pytest.mark.parametrize(
  'text', ['٠٫٥', '0_1.5', '+0.5', ' 0.5', 'inf', '0x1p3']
)
def test_reals_are_written_plainly(text, capsys):
  argv = ['sweep', f'--learning_rate={text}', '--cell=srn', '--dry_run']
  assert sweep.main(argv) == 2
  assert '--learning_rate=' in capsys.readouterr().err
  for good, number in (('.5', 0.5), ('5.', 5.0), ('1e-3', 1e-3), ('-2', -2.0)):
    assert values.real(good, 'x') == number


@pytest.mark.parametrize('word', ['a\x1b[31mb', 'a\nsweep: forged', 'a\0b'])
@pytest.mark.parametrize(
  'flag', ['cell', 'grid', 'set', 'shard', 'progress', 'seeds', 'nonsense']
)
def test_what_is_typed_is_echoed_clean(flag, word, capsys):
  assert sweep.main(['sweep', f'--{flag}={word}', '--dry_run']) == 2
  said = capsys.readouterr().err
  assert said.count('\n') == 1 and said[:-1].isprintable(), said


@pytest.mark.parametrize('flag', ['out', 'data_dir'])
def test_places_are_of_this_machine(flag, monkeypatch, capsys, tmp_path):
  monkeypatch.setenv('HOME', str(tmp_path))
  read = lambda text: getattr(
    flags.parse(['sweep', f'--{flag}={text}'], {}).run, flag
  )
  assert read('~/x') == f'{tmp_path}/x' and read('~') == str(tmp_path)
  assert read('a b/ü') == 'a b/ü' and read('./gs:') == './gs:'
  for bad in ('gs://b/x', 's3://b', 'file:///x', 'https://x', '~nobody.here/x'):
    argv = ['sweep', f'--{flag}={bad}', '--dry_run']
    assert sweep.main(argv) == 2, bad
    said = capsys.readouterr().err
    assert f'--{flag}={bad}: ' in said and said.count('\n') == 1
  monkeypatch.delenv('HOME', raising=False)
  monkeypatch.setattr('pwd.getpwuid', lambda uid: {}['no such user'])
  assert sweep.main(['sweep', f'--{flag}=~/x', '--dry_run']) == 2
  assert 'no such home folder' in capsys.readouterr().err


@pytest.mark.parametrize(
  'command, argument',
  [
    ('report', '--out={}'),
    ('report', '{}'),
    ('data', '--data_dir={}'),
    ('bench', '--record={}'),
    ('device_check', '--record={}'),
    ('vanishing', '--out={}'),
  ],
)
def test_places_of_other_commands(command, argument, capsys, tmp_path):
  main = importlib.import_module(f'experiments.{command}').main
  words = [argument.format('gs://b/x')]
  if argument.startswith('--out') and command == 'report':
    words.append(str(tmp_path))
  assert main([command, *words]) == 2
  said = capsys.readouterr().err
  assert 'gs:// is an address and no path' in said and said.count('\n') == 1
