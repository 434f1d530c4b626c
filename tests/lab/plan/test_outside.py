"""What others have written is planned as ours is, wherever it lies."""

import dataclasses
import importlib.metadata
import json
import shutil
import sys
import types
from pathlib import Path

import pytest

from lstm_jax import testing
from lstm_jax.lab.commands import sweep
from lstm_jax.lab.plan import (
  catalog,
  entry_points,
  flags,
  listing,
  outside,
  plan,
  programs,
  values,
)
from lstm_jax.lab.run import admission
from lstm_jax.lab.store import files, sources
from lstm_jax.lab.store.catalog_entry import Reference
from lstm_jax.lab.store.setting import trial_id
from tests.children import ROOT

OWN = ROOT / 'examples' / 'own_repository'
SHORT = ('--length=10', '--seeds=1', '--budget=20')
CELL = '''"""A cell of one's own."""
import lstm_jax as lj

NUMBERS = {'init_range': 0.1}


@lj.cell_factory
def make(num_inputs: int, num_outputs: int, *, hidden: int = 3) -> lj.Cell:
  """Simple network, under another name."""
  return lj.srn(num_inputs, num_outputs, hidden=hidden)
'''


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
  """A working folder with the example; what is imported is forgotten after."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, 'path', [*sys.path])
  known = {*sys.modules}
  shutil.copytree(OWN, tmp_path / 'own', ignore=shutil.ignore_patterns('__*'))
  yield tmp_path
  for name in {*sys.modules} - known:
    path = getattr(sys.modules[name], '__file__', None) or ''
    if path.startswith(str(tmp_path)):
      del sys.modules[name]


def written(name, text=CELL):
  path = Path(name)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)
  return name


def expanded(*words):
  return plan.expand(flags.parse(['sweep', *words, *SHORT], {}))


def cells(*words):
  """Name of the cell -> its `Entry` of the trials of a plan."""
  sweep_plan = expanded('--task=adding', '--learner=bptt', *words)
  return {one.cell: one.outside.get('cell') for one in sweep_plan.trials}


def refusal(*words):
  with pytest.raises((values.Refused, catalog.Broken)) as error:
    expanded(*words)
  assert len(error.value.args) == 1
  assert '\n' not in str(error.value)
  return str(error.value)


def test_a_file_has_options_numbers_and_defaults_without_being_imported():
  (one,) = expanded(
    '--task=own/copying.py:copying', '--cell=own/mingru.py:mingru',
    '--learner=own/feedback.py:rflo', '--set=cell.init_range=0.25',
    '--set=task.items=3', '--hidden=5',
  ).trials  # fmt: skip
  assert (one.task, one.cell, one.learner) == (
    'copying.py:copying', 'mingru.py:mingru', 'feedback.py:rflo',
  )  # fmt: skip
  assert dict(one.task_options) == {'symbols': 2, 'items': 3, 'tolerance': 0.3}
  assert dict(one.cell_options) == {'hidden': 5}
  assert dict(one.numbers) == {'init_range': 0.25, 'learning_rate': 0.1}
  assert one.outside['cell'].summary.startswith('Minimal gated recurrent unit')
  # This package has a cell of that name.
  ours = 'lstm_jax.cells.mingru'
  assert not any('mingru' in name for name in {*sys.modules} - {ours})


def test_what_a_source_does_not_say_is_imported_and_asked():
  written(
    'asked.py',
    'import functools\nfrom typing import Literal\nimport lstm_jax as lj\n'
    "NUMBERS = dict(init_range=0.1)\nWord = Literal['a', 'b']\n"
    'def keep(f):\n'
    '  @functools.wraps(f)\n'
    '  def g(*args, **options):\n    return f(*args, **options)\n'
    '  return g\n@keep\n'
    'def decorated(num_inputs, num_outputs, hidden=3, *, word: Word = "a",'
    ' rate: float | None = None, rest=()):\n'
    '  """What it is."""\n'
    '  return lj.srn(num_inputs, num_outputs, hidden=hidden)\n'
    'partial = functools.partial(decorated, hidden=7)\n',
  )
  (entry,) = cells('--cell=asked.py:decorated').values()
  assert entry.summary == 'What it is.'
  assert entry.numbers == {'init_range': 0.1}
  assert entry.options == {
    'hidden': catalog.Option('hidden', 3, ('int',), (), False),
    'word': catalog.Option('word', 'a', (), ('a', 'b'), False),
    'rate': catalog.Option('rate', None, ('float',), (), True),
  }
  (entry,) = cells('--cell=asked.py:partial').values()
  assert entry.options['hidden'].default == 7
  assert catalog.build('cells', entry, 2, 1).mask.b.shape == (7,)


def test_an_option_that_says_nothing_takes_what_its_default_is():
  written('plain.py', CELL.replace('*, hidden: int = 3', 'hidden=3'))
  (entry,) = cells('--cell=plain.py:make', '--set=cell.hidden=5').values()
  assert entry.options['hidden'].types == ('int',)
  message = refusal('--cell=plain.py:make', '--set=cell.hidden=x')
  assert 'hidden=x: must be an integer' in message


def test_a_data_set_and_a_trainer_say_what_they_are():
  written(
    'data.py',
    'from lstm_jax.dataset import Dataset\n'
    'def mine(*, size: int = 3, source=None) -> Dataset:\n  """Data."""\n',
  )
  written(
    'rule.py',
    'def taught(make_cell, dataset, *, epochs_more: int = 1) -> "t.Trainer":\n'
    '  """A trainer."""\n',
  )
  sweep_plan = plan.expand(
    flags.parse(
      ['sweep', '--task=data.py:mine', '--learner=minibatch,rule.py:taught'], {}
    )
  )
  assert {s.outside['task'].kind for s in sweep_plan.trials} == {'datasets'}
  assert dict(sweep_plan.trials[0].task_options) == {'size': 3}
  (other,) = {
    s.outside['learner'][:2]
    for s in sweep_plan.trials
    if 'learner' in s.outside
  }
  assert other == ('trainers', 'rule.py:taught')
  message = refusal('--task=adding', '--cell=gru', '--learner=rule.py:taught')
  assert 'cannot learn task adding, which draws its sequences' in message


def test_paths_with_blanks_homes_and_packages(elsewhere, monkeypatch):
  monkeypatch.setenv('HOME', str(elsewhere / 'home'))
  written('a b/c d.py')
  written('home/x.py')
  written('pack/__init__.py', '')
  written('pack/inner/__init__.py', '')
  written(
    'pack/inner/cell.py',
    CELL.replace('import lstm', 'from . import two\nimport lstm'),
  )
  written('pack/inner/two.py', '')
  written('loose/cell.py')
  entries = cells(
    '--cell=a b/c d.py:make,~/x.py:make,pack.inner.cell:make,loose.cell:make'
  )
  assert {name: entry.place for name, entry in entries.items()} == {
    'c d.py:make': 'a b/c d.py:make',
    'x.py:make': 'home/x.py:make',
    'pack.inner.cell:make': 'pack.inner.cell:make',
    'loose.cell:make': 'loose.cell:make',
  }
  for entry in entries.values():
    assert catalog.build('cells', entry, 2, 1).num_inputs == 2
  monkeypatch.chdir(elsewhere / 'a b')
  (entry,) = cells('--cell=~/x.py:make').values()
  assert entry.place == '~/x.py:make'


def test_a_name_is_the_same_wherever_the_file_lies(elsewhere, monkeypatch):
  words = '--task=adding', '--learner=bptt'
  (one,) = expanded(*words, '--cell=own/mingru.py:mingru').trials
  (whole,) = expanded(*words, f'--cell={elsewhere}/own/mingru.py:mingru').trials
  monkeypatch.chdir('own')
  (other,) = expanded(*words, '--cell=./mingru.py:mingru').trials
  assert len({trial_id(setting) for setting in (one, whole, other)}) == 1
  assert str(elsewhere) not in json.dumps(
    sources.of_place(one.outside['cell'].place)
  )


def test_two_files_of_one_name_are_told_apart():
  written('v1/cell.py')
  written('v2/cell.py')
  entries = cells('--cell=v1/cell.py:make,v2/cell.py:make')
  assert sorted(entries) == ['v1/cell.py:make', 'v2/cell.py:make']
  sweep_plan = expanded(
    '--task=adding', '--cell=v1/cell.py:make,own/mingru.py:mingru'
  )
  assert [one.row for one in sweep_plan.trials] == [
    'flags cell=cell.py:make', 'flags cell=mingru.py:mingru',
  ]  # fmt: skip


def test_a_grid_names_files_from_its_own_folder(tmp_path, monkeypatch):
  written('grids/cells/mine.py')
  written(
    'grids/own.toml',
    "title = 'T'\nsource = ''\ncommand = ''\nexpected_seconds = 0\n[[row]]\n"
    "name = 'a'\ntask = 'adding'\ncell = ['gru', 'cells/mine.py:make']\n"
    "learner = 'bptt'\nlength = 10\nseeds = 1\nbudget = 9\n",
  )
  sweep_plan = plan.expand(flags.parse(['sweep', '--grid=grids/own.toml'], {}))
  assert [one.cell for one in sweep_plan.trials] == ['gru', 'mine.py:make']
  assert (
    sweep_plan.trials[1].outside['cell'].place == 'grids/cells/mine.py:make'
  )
  # Flags select it by the name it has, and by its path.
  for name in ('grids/cells/mine.py:make',):
    chosen = plan.expand(
      flags.parse(['sweep', '--grid=grids/own.toml', f'--cell={name}'], {})
    )
    assert [one.cell for one in chosen.trials] == ['mine.py:make']


BROKEN = {
  'own/nowhere.py:f': 'own/nowhere.py: there is no such file; ',
  'nowhere.sub:f': 'nowhere.sub: there is no such module',
  'own/mingru.py:other': 'own/mingru.py has no other; choose from mingru',
  'own/mingru.py': 'names no factory; write path/to/file.py:factory',
  'own/mingru.py:': 'is no name; write path/to/file.py:factory',
  'own/mingru.py:1x': 'is no name',
  'a-b.c:f': 'a-b.c is no module',
  'syntax.py:f': 'syntax.py, line 2: ',
  'needy.py:f': 'num_outputs and options with defaults; size has none',
  'few.py:f': 'f must take num_inputs, num_outputs and options with defaults',
  'kind.py:f': 'f returns a Task, must return Cell',
  'numbers.py:f': 'NUMBERS: init_range=',
  'both.py:f': 'init_range is an option and among NUMBERS',
  'imports.py:f': "imports.py, line 2: ModuleNotFoundError: No module named ",
  'inner.py:f': 'inside.py, line 1: ZeroDivisionError',
  'ends.py:f': 'ends.py, line 2: SystemExit: 3',
  '=x.py:f': 'does not begin with one of',
}  # fmt: skip
SOURCES = {
  'syntax.py': 'x = 1\ndef f(:\n',
  'needy.py': 'def f(num_inputs, num_outputs, size): pass',
  'few.py': 'def f(num_inputs): pass',
  'kind.py': 'def f() -> Task: pass',
  'numbers.py': "NUMBERS = {'init_range': 'x'}\ndef f(a, b): pass",
  'both.py': "NUMBERS = {'init_range': 1}\ndef f(a, b, init_range=1): pass",
  'imports.py': 'x = 1\nfrom no_such_package import f\n',
  'inner.py': 'from inside import f\n',
  'inside.py': '1 / 0\n',
  'ends.py': 'import sys\nsys.exit(3)\nfrom inside import f\n',
  '=x.py': 'def f(a, b): pass',
}


@pytest.mark.parametrize('name', BROKEN)
def test_what_cannot_be_found_or_read_is_one_line(name):
  for file, text in SOURCES.items():
    written(file, text)
  message = refusal('--task=adding', '--learner=bptt', f'--cell={name}')
  assert message.startswith('--cell=') and BROKEN[name] in message


RAISING = {
  'raises.py:f': 'raises.py, line 3: f raises KeyError: ',
  'ends.py:f': 'ends.py, line 3: f raises SystemExit: 0',
  'guarded.py:f': 'guarded.py, line 4: f raises SystemExit:',
  'other.py:f': 'other.py: f returns a dict, must return a Cell',
  'unsaid.py:make': 'the numbers of the cell are init_range, NUMBERS of its '
  'module names none',
}  # fmt: skip
MADE = {
  'raises.py': 'def f(a, b):\n  x = 1\n  raise KeyError(x)\n',
  'ends.py': 'import sys\ndef f(a, b):\n  sys.exit(0)\n',
  'guarded.py': 'def f(a, b):\n  try:\n    1 / 0\n  except ArithmeticError:'
  ' raise SystemExit\n',
  'other.py': 'def f(num_inputs, num_outputs):\n  return {}\n',
  'unsaid.py': CELL.replace("NUMBERS = {'init_range': 0.1}", ''),
}


@pytest.mark.parametrize('name', RAISING)
def test_what_is_no_cell_when_it_is_made_is_one_line(name):
  for file, text in MADE.items():
    written(file, text)
  (entry,) = cells(f'--cell={name}').values()
  with pytest.raises(catalog.Broken) as error:
    catalog.build('cells', entry, 2, 1)
  assert RAISING[name] in str(error.value) and '\n' not in str(error.value)


def test_code_that_ends_the_process_in_a_step_is_one_line():
  """It would end a sweep with that code, 0 too, and without a word."""

  def check(name, cell):
    raise SystemExit(0)

  with pytest.raises(testing.Broken, match='ends.py:f: its code ends the'):
    admission.admit({}, 'key', check, 'ends.py:f', None)


def test_a_mark_of_utf8_is_no_part_of_a_file():
  """Editors on Windows write one; Python and TOML of the others read it."""
  mark = '\ufeff'
  written('mark.py', mark + CELL)
  (entry,) = cells('--cell=mark.py:make').values()
  assert catalog.build('cells', entry, 2, 1).num_inputs == 2
  written('mark.txt', mark + 'a')
  assert files.read_text('mark.txt') == 'a'


def test_two_modules_of_one_name_are_refused():
  """Python imports the first, and the second would be it in silence."""
  text = CELL.replace('import lstm', 'import inside_a\nimport lstm')
  for folder in ('v1', 'v2'):
    written(f'{folder}/cell.py', text)
    written(f'{folder}/inside_a.py', f'x = "{folder}"')
  written(
    'v3/cell.py', CELL.replace('import lstm', 'import queue\nimport lstm')
  )
  written('v3/queue.py', '')
  entries = cells('--cell=v1/cell.py:make,v2/cell.py:make,v3/cell.py:make')
  first, second, third = (entries[f'v{i}/cell.py:make'] for i in (1, 2, 3))
  catalog.build('cells', first, 2, 1)
  with pytest.raises(
    catalog.Broken, match='imports inside_a, which is .*v1/in'
  ):
    catalog.build('cells', second, 2, 1)
  with pytest.raises(
    catalog.Broken, match='imports queue, which is a module of'
  ):
    catalog.build('cells', third, 2, 1)
  catalog.build('cells', first, 2, 1)


def test_numbers_of_a_cell_and_a_learner_must_not_be_one():
  written('rated.py', CELL.replace('init_range', 'learning_rate'))
  message = refusal('--task=adding', '--learner=bptt', '--cell=rated.py:make')
  assert 'both have a number learning_rate' in message


def test_a_learner_that_needs_what_a_cell_of_others_lacks():
  written('lacking.py')
  message = refusal(
    '--task=adding', '--learner=truncated1997', '--cell=lacking.py:make'
  )
  assert 'cannot train cell lacking.py:make' in message
  # Flags that leave the learner open choose one that can.
  (one,) = expanded('--task=adding', '--cell=lacking.py:make').trials
  assert one.learner == 'bptt'


def point(name, value, group, package):
  sweep_plan = importlib.metadata.EntryPoint(name, value, group)
  vars(sweep_plan)['dist'] = types.SimpleNamespace(name=package)
  return sweep_plan


@pytest.fixture
def declared(monkeypatch):
  """What two packages declare, of which nothing is imported."""
  written('packed.py', CELL + '\nraise SystemExit("imported")\n')
  points = [
    point('packed', 'packed:make', 'lstm_jax.cells', 'one'),
    point('lstm', 'packed:make', 'lstm_jax.cells', 'one'),
    point('twice', 'packed:make', 'lstm_jax.cells', 'one'),
    point('twice', 'other:make', 'lstm_jax.cells', 'two'),
  ]
  monkeypatch.setattr(
    importlib.metadata,
    'entry_points',
    lambda group: [one for one in points if one.group == group],
  )
  entry_points.entry_points_of.cache_clear()
  yield
  entry_points.entry_points_of.cache_clear()


def test_what_a_package_declares_has_a_name(declared):
  (name,) = cells('--cell=packed')
  assert name == 'packed:make'  # the same trials as by its whole name
  assert cells('--cell=lstm') == {'lstm': None}  # ours
  message = refusal('--task=adding', '--cell=twice')
  assert message == (
    '--cell=twice: 2 packages have one; write other:make (two) or '
    'packed:make (one)'
  )
  listed = listing.everything()
  assert 'Simple network, under another name. (of one)' in ' '.join(
    listed.split()
  )
  assert 'broken: other: there is no such module (of two)' in ' '.join(
    listed.split()
  )


def test_a_description_follows_its_file():
  written('changing.py')
  reference = Reference('changing.py:make', 'changing.py:make')
  assert outside.describe(('cells',), reference).options['hidden'].default == 3
  written('changing.py', CELL.replace('= 3', '= 33'))
  assert outside.describe(('cells',), reference).options['hidden'].default == 33


def test_a_refusal_of_the_command_is_one_line(capsys):
  assert sweep.run(['sweep', '--cell=own/nowhere.py:f']) == 2
  message = capsys.readouterr().err
  assert message.startswith('sweep: --cell=own/nowhere.py:f: ')
  assert message.count('\n') == 1


def test_what_a_budget_counts_is_known_without_the_code():
  """By its metrics, where a table has nothing but a name."""
  assert programs.unit_of('rule.py:taught') == 'sequences'
  assert programs.unit_of('rule.py:taught', {'train_loss': 0.5}) == 'epochs'
  assert programs.unit_of('bptt', {'train_loss': 0.5}) == 'sequences'
  (one,) = expanded('--task=own/copying.py:copying', '--cell=gru').trials
  stored = one.outside['task']._replace(unit='epochs')
  assert programs.unit_of(one) == 'sequences'
  one = dataclasses.replace(one, outside={'learner': stored})
  assert programs.unit_of(one) == 'epochs'


def test_later_options_are_left_out_and_are_named_in_a_tuple():
  words = '--task=adding', '--learner=bptt', '--cell=mine.py:make'
  written('mine.py', f"LATER = ('hidden',)\n{CELL}")
  for hidden, options in ((3, {}), (4, {'hidden': 4})):
    (one,) = expanded(*words, f'--hidden={hidden}').trials
    assert dict(one.cell_options) == options
  for later in ("('size',)", "'hidden'", '5', "(['hidden'],)"):
    written('mine.py', f'LATER = {later}\n{CELL}')
    assert 'must be a tuple of names of options, of hidden' in refusal(*words)
