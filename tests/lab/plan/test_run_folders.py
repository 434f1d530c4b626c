"""A run folder that is not there is refused in a line with those that are."""

import os

import pytest

import lstm_jax as lj
from experiments import film, predict, readme, report, serve, status
from lstm_jax.lab.commands import serve as page
from lstm_jax.lab.plan import parsers, run_folders, values

# What takes run folders -> its main, and its words around one.
COMMANDS = {
  'serve': (serve, ['{}', '--port=0']),
  'report': (report, ['{}']),
  'status': (status, ['{}']),
  'predict': (predict, ['{}']),
  'film': (film, ['{}', 'row', '--out=a.gif']),
  'readme': (readme, ['--run={}']),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
  """The working folder: two runs in `runs`, the second the newer, and more."""
  monkeypatch.chdir(tmp_path)
  for seconds, name in enumerate(('runs/first', 'runs/second', 'other')):
    os.makedirs(name)
    path = os.path.join(name, 'plan.json' if 'runs' in name else 'notes')
    open(path, 'w').close()
    os.utime(path, (seconds, seconds))
  os.makedirs('empty')
  return tmp_path


@pytest.mark.parametrize('name', COMMANDS)
@pytest.mark.parametrize(
  'word, reason',
  [
    ('runs/secnd', 'there is no such folder'),
    ('other', 'it has no plan.json'),
    ('other/notes', 'it is no folder'),
    ('other/notes/run', 'there is no such folder'),
  ],
)
def test_a_command_names_the_argument_and_the_runs(
  place, capsys, name, word, reason
):
  command, words = COMMANDS[name]
  argv = [name, *(text.format(word) for text in words)]
  assert command.main(argv) == 2
  messages = capsys.readouterr()
  assert messages.out == '' and messages.err.count('\n') == 1
  argument = '--run' if name == 'readme' else 'FOLDER'
  assert messages.err.startswith(
    f'{name}: {argument}={word}: no run here, {reason}; '
    'choose from runs/second, runs/first'
  )
  near = '; did you mean runs/second?'
  assert (near in messages.err) == (word == 'runs/secnd')


def test_from_python_too(place):
  runs = 'no such folder; choose from runs/second, runs/first'
  with pytest.raises(ValueError, match=f'^path=nosuch: .*{runs}'):
    lj.load('nosuch')
  with pytest.raises(ValueError, match=f'^folders=nosuch: .*{runs}'):
    lj.report('nosuch')


def test_runs_are_looked_for_in_the_folder_then_beside_it(place):
  with pytest.raises(values.Refused, match='choose from runs/second, runs/f'):
    run_folders.path_of('runs')
  os.makedirs('other/deep')
  open('other/deep/plan.json', 'w').close()
  with pytest.raises(values.Refused, match='choose from other/deep; did'):
    run_folders.path_of('other/shallow')
  (place / 'runs').rename('elsewhere')
  with pytest.raises(values.Refused, match='there is no run to choose from$'):
    run_folders.path_of('shallow')


def test_of_many_runs_the_newest_are_listed(place):
  for number in range(10):
    os.makedirs(f'runs/r{number}')
    open(f'runs/r{number}/plan.json', 'w').close()
    os.utime(f'runs/r{number}/plan.json', (100 + number, 100 + number))
  with pytest.raises(values.Refused, match='from runs/r9, .* and 4 more; did'):
    run_folders.path_of('runs/r')


def test_what_is_taken(place):
  twice = ['runs/first', 'runs/../runs/first/', 'runs/second']
  assert run_folders.paths_of(twice) == ['runs/first', 'runs/second']
  os.makedirs('damaged/records')  # its plan is lost, which its reader says
  assert run_folders.path_of('damaged') == 'damaged'
  # A page may be opened before the run is begun, in a folder made for it.
  assert run_folders.path_of('empty', may_be_empty=True) == 'empty'
  with pytest.raises(values.Refused, match='it has no plan.json'):
    run_folders.path_of('empty')


@pytest.mark.parametrize('main, words', [(serve, ['--port=0']), (predict, [])])
def test_a_folder_of_data_that_is_not_there_is_refused(
  place, capsys, main, words
):
  argv = ['command', 'runs/first', '--data_dir=nosuch', *words]
  assert main.main(argv) == 2
  messages = capsys.readouterr().err
  assert '--data_dir=nosuch' in messages and 'no such folder' in messages
  assert messages.count('\n') == 1


def test_the_page_of_a_sweep_may_come_before_its_folder(place):
  flag_values = page.define()
  words = ['serve', 'runs/to_come', '--until_stdin_ends', '--data_dir=new']
  folders, *_ = page._read(flag_values, parsers.read(flag_values, words))
  assert folders == ['runs/to_come']


def test_a_run_that_is_being_tuned_is_for_those_who_look(place, capsys):
  for number in (1, 2):
    os.makedirs(f'mine/tuning/round-{number}')
    open(f'mine/tuning/round-{number}/plan.json', 'w').close()
  line = 'it is being tuned; FOLDER=mine/tuning/round-2 is how far it is'
  with pytest.raises(values.Refused, match=line):
    run_folders.path_of('mine')
  assert run_folders.paths_of(['mine'], may_be_tuned=True) == ['mine']
  assert report.main(['report', 'mine']) == 2
  assert line in ' '.join(capsys.readouterr().err.split())
  assert status.main(['status', 'mine']) == 3  # its plan is empty
  assert 'round-2' in ''.join(capsys.readouterr())
  # A folder of that name that holds no round says nothing.
  os.makedirs('other/tuning/rounds')
  with pytest.raises(values.Refused, match='it has no plan.json'):
    run_folders.path_of('other', may_be_tuned=True)
