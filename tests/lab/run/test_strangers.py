"""What strangers tried first: edited files, closed folders, names of packages.

Each is answered in a line that says what is wrong and what to do.
"""

import importlib
import os
import subprocess
import sys

import pytest

from experiments import predict, report, status, sweep
from lstm_jax.lab.plan import entry_points
from lstm_jax.lab.run import predict_own
from lstm_jax.lab.store.folder import create_or_open, open_folder
from lstm_jax.lab.store.setting import entry_of
from tests.children import ROOT
from tests.fake_sweep import QUICK
from tests.lab.plan.test_plan import made
from tests.lab.serve.conftest import make_folder
from tests.older_records import as_files, packs

DRY = ['--task=reber', '--learner=elman', '--seeds=1', '--dry_run']


def refused(capsys, main, *words, code=2):
  """What a command says that it refuses."""
  assert main.main([main.__name__.rpartition('.')[2], *words]) == code, words
  printed = capsys.readouterr()
  assert 'Traceback' not in printed.err
  return printed.err


def csv_file(path, first=0.0):
  """Of eight sequences of three steps in two classes."""
  lines = ['id,time,x,label']
  lines += [
    f'{i},{t},{first if i == t == 0 else i * t},{"ab"[i % 2]}'
    for i in range(30)
    for t in range(3)
  ]
  path.write_text('\n'.join(lines) + '\n')
  return path


def plan_of(path, seeds):
  settings = made(
    f'--task={path} --cell=srn --hidden=2 --budget=2 --seeds={seeds}'
  ).trials
  return {
    'flags': {}, 'trials': [entry_of(one) for one in settings],
    'programs': {}, 'provenance': {},
  }  # fmt: skip


@pytest.mark.parametrize('seeds', [1, 2])
def test_a_file_of_data_that_was_edited_is_named(tmp_path, seeds):
  """Also where the command asks for more trials besides."""
  path = csv_file(tmp_path / 'mine.csv')
  create_or_open(tmp_path / 'run', plan_of(path, 1), disk=QUICK)
  csv_file(path, first=0.5)
  with pytest.raises(Exception, match='data is not what it was:') as error:
    create_or_open(tmp_path / 'run', plan_of(path, seeds), disk=QUICK)
  messages = str(error.value)
  assert 'task.inputs: ' in messages and 'scale' not in messages
  assert 'targets' not in messages and '...' not in messages


def test_columns_that_are_missing_are_said_at_once(tmp_path, capsys):
  path = tmp_path / 'mine.csv'
  path.write_text('sequence,x,label\n1,2,a\n')
  messages = refused(capsys, sweep, f'--task={path}', code=65)
  assert 'has no column id and no time; it has sequence, x, label' in messages


def test_an_edited_record_is_no_record(tmp_path, capsys):
  opened = make_folder(tmp_path / 'run')
  (pack,) = packs(opened.path)
  pack.write_text(pack.read_text().replace('"status"', '"Status"', 1))
  assert status.main(['status', str(opened.path)]) == 3
  messages = capsys.readouterr().out
  assert 'not a record of lstm_jax: line at byte 0: the checksum' in messages
  opened = make_folder(tmp_path / 'older')
  path = next((as_files(opened.path) / 'records').iterdir())
  path.write_text(path.read_text()[:-5])
  assert status.main(['status', str(opened.path)]) == 3
  messages = capsys.readouterr().out
  assert (
    'not a record of lstm_jax: damaged or edited, no JSON (' in messages
    and 'Error(' not in messages
  )


def test_a_line_on_a_folder_has_its_path_once(tmp_path, capsys):
  opened = make_folder(tmp_path / 'run')
  (opened.path / 'plan.json').unlink()
  assert status.main(['status', str(opened.path)]) == 3
  first, *_ = capsys.readouterr().out.splitlines()
  assert first.startswith(f'{opened.path}: no run here')


# Without the powers of root, which may read and write everything.
POWERLESS = ('setpriv', '--bounding-set=-dac_override,-dac_read_search')


def powerless(*words):
  """(exit code, what is said) of a command without such powers."""
  code = (
    'import sys; from lstm_jax.lab.console import main; '
    'sys.exit(main(["lstm-jax", *sys.argv[1:]]))'
  )
  prefix = POWERLESS if os.geteuid() == 0 else ()
  done = subprocess.run(
    [*prefix, sys.executable, '-c', code, *map(str, words)],
    cwd=ROOT, capture_output=True, text=True, check=False,
  )  # fmt: skip
  return done.returncode, done.stderr


@pytest.fixture
def closed(tmp_path):
  """A folder that nobody may look into."""
  path = tmp_path / 'closed'
  path.mkdir(mode=0)
  yield path
  path.chmod(0o755)


@pytest.mark.parametrize('command', ['serve', 'status', 'report'])
def test_a_folder_that_cannot_be_looked_into(closed, command):
  code, messages = powerless(
    command, closed, *['--port=0'] * (command == 'serve')
  )
  assert code == 73 and messages.count('\n') == 1
  assert f'{closed}: Permission denied' in messages and 'mode 0000' in messages


def test_a_place_of_logs_that_cannot_be_written(tmp_path):
  opened = make_folder(tmp_path / 'run')
  place = tmp_path / 'logs'
  place.mkdir(mode=0o555)
  code = (
    'from lstm_jax.lab.console import run; import sys; '
    f'sys.argv = ["lstm-jax", "status", {str(opened.path)!r}, '
    f'"--log_dir={place}"]; run()'
  )
  prefix = POWERLESS if os.geteuid() == 0 else ()
  done = subprocess.run(
    [*prefix, sys.executable, '-c', code],
    cwd=ROOT, capture_output=True, text=True, check=False,
  )  # fmt: skip
  assert done.returncode == 2 and done.stderr.count('\n') == 1
  assert f'--log_dir={place}: it cannot be written to' in done.stderr


def test_a_closed_folder_beside_the_data_is_passed_over(
  tmp_path, closed, monkeypatch
):
  path = csv_file(tmp_path / 'mine.csv')
  create_or_open(tmp_path / 'run', plan_of(path, 1), disk=QUICK)
  (setting,) = open_folder(tmp_path / 'run').trials.values()
  named = predict_own.own_data.name_of

  def name_of(place):
    if place == closed:
      raise predict_own.faults.Unusable(f'{place}: Permission denied')
    return named(place)

  monkeypatch.setattr(predict_own.own_data, 'name_of', name_of)
  assert predict_own.at_hand(setting, str(tmp_path)) == str(path)


def test_a_folder_without_its_slash_is_pointed_to(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'sounds').mkdir()
  messages = refused(capsys, sweep, '--task=sounds')
  assert 'the folder of that name is written ./sounds' in messages


def test_the_plan_says_the_folder_that_was_asked_for(capsys):
  assert sweep.main(['sweep', *DRY, '--cell=srn', '--out=here']) == 0
  assert 'Run folder: here.' in capsys.readouterr().out


def test_a_switch_that_is_given_a_value(capsys):
  messages = refused(capsys, report, 'run', '--only_check_args=2')
  assert messages == 'report: --only_check_args=2: must be true or false\n'
  assert '(' not in refused(capsys, predict, 'run', '--helpfull=x')


@pytest.fixture
def package(tmp_path, monkeypatch):
  """A package of others, installed: its cells by name, right and wrong."""
  (tmp_path / 'packed_cells.py').write_text(
    'import lstm_jax as lj\n'
    "NUMBERS = {'init_range': 0.1}\n"
    'def leaky(num_inputs: int, num_outputs: int, *, hidden: int = 3):\n'
    '  """Leaky."""\n'
    '  return lj.srn(num_inputs, num_outputs, hidden=hidden)\n'
  )
  place = tmp_path / 'packed-1.0.dist-info'
  place.mkdir()
  (place / 'METADATA').write_text(
    'Metadata-Version: 2.1\nName: packed\nVersion: 1.0\n'
  )
  (place / 'entry_points.txt').write_text(
    '[lstm_jax.cells]\n'
    'leaky = packed_cells:leaky\n'
    'with_extra = packed_cells:leaky [plot]\n'
    'bare = packed_cells\n'
    'gone = packed_cells:gone\n'
    'no_module = packed_nothing:leaky\n'
  )
  monkeypatch.syspath_prepend(tmp_path)
  importlib.invalidate_caches()
  entry_points.entry_points_of.cache_clear()
  yield
  entry_points.entry_points_of.cache_clear()


@pytest.mark.parametrize('name', ['leaky', 'with_extra'])
def test_a_cell_of_a_package(package, name, capsys):
  assert sweep.main(['sweep', *DRY, f'--cell={name}']) == 0
  assert 'packed_cells:leaky' in capsys.readouterr().out


@pytest.mark.parametrize(
  'name, words',
  [
    ('leaki', 'did you mean leaky?'),
    ('bare', 'package packed declares it as packed_cells, which names no'),
    ('gone', 'packed_cells has no gone'),
    ('no_module', 'packed_nothing: there is no such module'),
  ],
)
def test_a_name_of_a_package_that_is_wrong(package, name, words, capsys):
  messages = refused(capsys, sweep, *DRY, f'--cell={name}')
  assert words in messages and messages.count('\n') == 1
