"""A run of what others have written: bound to its source, imported by runs."""

import shutil
import sys

import pytest

from lstm_jax.lab.commands import predict, report, sweep
from lstm_jax.lab.store import folder, plan_trials, seal
from lstm_jax.lab.store.faults import Corrupt
from tests.children import ROOT

OWN = ROOT / 'examples' / 'own_repository'
# Writes a file whenever it is imported.
MARKED = """
import inside
open(__file__ + '.imported', 'w').close()
"""
WORDS = (
  'sweep', '--task=own/copying.py:copying', '--cell=own/mingru.py:mingru',
  '--learner=own/feedback.py:rflo', '--length=1', '--seeds=1',
  '--budget=300', '--progress=none', '--set=task.items=1',
  '--set=task.tolerance=0.6', '--hidden=2', '--learning_rate=0.5',
)  # fmt: skip


def forget(path):
  """Forgets what was imported from a folder, as a new process has not yet."""
  for name, module in [*sys.modules.items()]:
    file = getattr(module, '__file__', None) or ''
    if file.startswith(str(path)):
      del sys.modules[name]
  sys.path[:] = [one for one in sys.path if not one.startswith(str(path))]


@pytest.fixture(scope='module')
def ended(tmp_path_factory):
  """A folder with the example, of which one trial was run."""
  path = tmp_path_factory.mktemp('outside')
  shutil.copytree(OWN, path / 'own')
  cell = path / 'own' / 'mingru.py'
  cell.write_text(cell.read_text() + MARKED)
  (path / 'own' / 'inside.py').write_text('VALUE = 1\n')
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(path)
    patch.setitem(sys.modules, 'matplotlib', None)
    assert sweep.run([*WORDS, '--out=run']) == 0
  yield path
  forget(path)


@pytest.fixture
def place(ended, tmp_path, monkeypatch):
  """A copy of it elsewhere, in which nothing is imported yet."""
  shutil.copytree(ended, tmp_path / 'elsewhere')
  forget(ended)
  (tmp_path / 'elsewhere' / 'own' / 'mingru.py.imported').unlink()
  monkeypatch.chdir(tmp_path / 'elsewhere')
  yield tmp_path / 'elsewhere'
  forget(tmp_path)


def imported(place):
  return (place / 'own' / 'mingru.py.imported').exists()


def test_the_plan_has_the_source_and_no_path_of_the_machine(ended):
  text = (ended / 'run' / 'plan.json').read_text()
  assert str(ended) not in text
  content = folder.open_folder(ended / 'run').plan
  (files,) = content['sources'].values()
  assert {'copying.py', 'mingru.py', 'inside.py', 'feedback.py'} < files.keys()
  assert 'lstm_jax/cells/_build.py' in files  # what they use of ours
  assert 'lstm_jax/cells/lstm1997.py' not in files
  assert content['outside']['mingru.py:mingru']['place'] == (
    'own/mingru.py:mingru'
  )


@pytest.mark.usefixtures('undrawn')
def test_the_same_source_elsewhere_is_the_same_code(place, capsys):
  """Ids and code know neither the folder nor the machine: nothing runs."""
  (place / 'moved').mkdir()
  shutil.move('own', 'moved/own')
  words = [word.replace('=own/', '=moved/own/') for word in WORDS]
  assert sweep.run([*words, '--out=run']) == 0
  assert 'Nothing left to do' in capsys.readouterr().out
  assert not (place / 'moved' / 'own' / 'mingru.py.imported').exists()


@pytest.mark.usefixtures('undrawn')
@pytest.mark.parametrize('file', ['mingru.py', 'inside.py'])
def test_other_code_is_refused_with_its_file(place, file, capsys):
  path = place / 'own' / file
  path.write_text(path.read_text() + 'OTHER = 1\n')
  assert sweep.run([*WORDS, '--out=run']) == 2
  said = capsys.readouterr().err
  assert f'{file} (1 trial)' in said and '--rerun_changed' in said
  # What does nothing is no change.
  path.write_text(path.read_text().replace('OTHER = 1', '# a comment'))
  assert sweep.run([*WORDS, '--out=run']) == 0


@pytest.mark.usefixtures('undrawn')
def test_code_that_is_gone_is_one_line(place, capsys):
  (place / 'own' / 'mingru.py').unlink()
  assert sweep.run([*WORDS, '--out=run']) == 2
  said = capsys.readouterr().err
  assert 'own/mingru.py: there is no such file' in said
  assert report.run(['report', 'run']) == 0


def test_only_a_run_imports_it(place, capsys):
  assert sweep.run([*WORDS, '--out=run', '--dry_run']) == 0
  assert sweep.run([*WORDS, '--out=run']) == 0
  assert sweep.run([*WORDS, '--out=run', '--verify']) == 0
  assert sweep.run(['sweep', '--list']) == 0
  assert report.run(['report', 'run']) == 0
  assert not imported(place)
  page = (place / 'run' / 'report.md').read_text()
  assert 'mingru.py:mingru' in page
  assert '--cell=own/mingru.py:mingru' in page  # the command that runs it again
  assert 'a report does not run' in page
  capsys.readouterr()
  # It runs networks, says that it imports, and what has changed.
  assert predict.run(['predict', 'run', '--count=1']) == 0
  assert imported(place)
  said = capsys.readouterr()
  assert said.err == (
    'predict: imports own/copying.py:copying, own/mingru.py:mingru\n'
  )
  assert 'copying.py:copying, mingru.py:mingru, feedback.py:rflo' in said.out


def test_predict_says_what_is_other_code_or_gone(place, capsys):
  path = place / 'own' / 'mingru.py'
  path.write_text(path.read_text() + 'OTHER = 1\n')
  assert predict.run(['predict', 'run', '--count=1']) == 0
  said = capsys.readouterr().err
  assert 'not the code that trained the network: mingru.py\n' in said
  forget(place)
  path.unlink()
  assert predict.run(['predict', 'run', '--count=1']) == 2
  said = capsys.readouterr().err
  assert said.endswith('is the working folder\n') and said.count('\n') == 2


def test_a_damaged_table_of_others_is_named(place):
  path = place / 'run' / 'plan.json'
  content = folder.open_folder(place / 'run').plan
  del content['outside']['mingru.py:mingru']['options']
  path.write_bytes(seal.seal_json('plan', plan_trials.packed(content)))
  with pytest.raises(
    Corrupt, match='outside/mingru.py:mingru/options is missi'
  ):
    folder.open_folder('run')
