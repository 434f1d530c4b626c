"""A result is bound to the sources that made it, and to no others."""

import shutil
import sys
from pathlib import Path

import jax
import pytest

from lstm_jax import public
from lstm_jax.lab.plan import catalog, flags, plan
from lstm_jax.lab.run import builds
from lstm_jax.lab.store import sources
from lstm_jax.lab.store.setting import trial_id

PACKAGE = Path(public.__file__).parent


@pytest.fixture
def checkout(tmp_path, monkeypatch):
  """A copy of the package that `sources` reads instead of ours."""
  ignored = shutil.ignore_patterns('__pycache__')
  shutil.copytree(PACKAGE, tmp_path / 'lstm_jax', ignore=ignored)
  copy = tmp_path / 'lstm_jax' / 'public.py'
  monkeypatch.setattr(public, '__file__', str(copy))
  return tmp_path


def files_of(*words, native=False):
  """The files that run the one setting that some flags name."""
  made = plan.expand(flags.parse(['sweep', *words, '--seeds=1']))
  trials = {trial_id(setting): setting for setting in made.trials}
  (found,) = builds.code(trials, lambda setting: native).values()
  return found


TASK = ('--task=adding', '--cell=gru', '--learner=bptt', '--length=10')
DATA = ('--grid=sine', '--row=taught', '--cell=lstm')


@pytest.fixture(scope='module')
def of_task():
  return files_of(*TASK)


def test_every_module_that_runs_is_there(of_task):
  run = 'tasks/adding cells/gru learners/bptt tasks/_marked cells/_build types'
  run += ' lab/run/scheduler lab/run/queue training/lanes training/online'
  run += ' training/advance training/trials'
  run += ' training/loop training/compilation training/trial_columns'
  run += ' ops/unroll ops/activations ops/prng'
  run += ' tasks/_outputs tasks/_stop_rules/streak lab/run/builds'
  assert {f'lstm_jax/{name}.py' for name in run.split()} <= of_task.keys()
  for other in (
    *('cells/srn', 'lab/store/files', 'lab/store/trial_records'),
    *('training/epochs', 'lab/plan/catalog'),
  ):
    assert (PACKAGE / f'{other}.py').is_file()
    assert f'lstm_jax/{other}.py' not in of_task
  assert not any('package jax' in name for name in of_task)


def test_data_sets_have_the_epochs_and_the_compiled_loops():
  found, with_native = files_of(*DATA), files_of(*DATA, native=True)
  run = 'lab/data/noisy_sine cells/lstm training/trainers/minibatch'
  run += ' training/trainers/_optimizers training/epochs training/trainer'
  run += ' training/loop training/batches nn/layer nn/dispatch'
  run += ' lab/run/scheduler lab/run/queue'
  run += ' nn/native/loops'
  assert {f'lstm_jax/{name}.py' for name in run.split()} <= found.keys()
  added = with_native.keys() - found.keys()
  native = {
    f'lstm_jax/nn/native/{p.name}'
    for p in (PACKAGE / 'nn' / 'native').glob('*.h')
  }
  assert added == native | {'lstm_jax/nn/native/ffi_calls.cc'}
  assert sources.is_native(with_native) and not sources.is_native(found)


def test_a_compiled_learner_has_the_compiled_loops(compiled_loops):
  """As the engine asks for it, before anything is compiled."""
  words = ['--learner=truncated1997', '--cell=lstm1997', '--task=adding']
  for form, native in (('streaming', False), ('native', True)):
    how = [f'--set=learner.form={form}', '--seeds=1', '--length=10']
    made = plan.expand(flags.parse(['sweep', *words, *how]))
    trials = {trial_id(setting): setting for setting in made.trials}
    prepared = builds.on_line(trials, None, jax.devices()[0])
    assert not prepared.reasons
    (found,) = builds.code(trials, prepared.is_native).values()
    assert sources.is_native(found) == native
    assert bool(prepared.provenance.get('compiler')) == native
    assert 'lstm_jax/nn/native/library.py' in found


def test_a_change_of_what_runs_is_named(checkout):
  roots = ['lstm_jax.lab.run.scheduler', 'lstm_jax.tasks.adding']
  roots += ['lstm_jax.cells.gru', 'lstm_jax.learners.bptt']
  known = {}
  before = sources.of_modules(roots, known)
  for file, old, new in (
    ('cells/gru.py', 'num_inputs', 'num_of_inputs'),
    ('cells/_build.py', '', 'X = 1\n'),
    ('tasks/_marked.py', '', 'def f():\n  pass\n'),
    ('learners/_descend.py', '', 'import jax\n'),
    ('ops/activations.py', '0.5 * ', '0.50001 * '),
    ('training/advance.py', '_MEMORY = ', '_MEMORY = 1 + '),
    ('training/compilation.py', 'CPU_WIDTH = 16', 'CPU_WIDTH = 8'),
    ('ops/prng.py', '(13, 15', '(13, 16'),
    ('cells/__init__.py', '', 'import jax\n'),
  ):
    path = checkout / 'lstm_jax' / file
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new) if old else source + new)
    # Only what was changed is read again: reading all takes a second.
    module = f'lstm_jax.{file[:-3]}'.replace('/', '.').removesuffix('.__init__')
    del known[module]
    now = sources.of_modules(roots, known)
    assert sources.differing(before, now) == [f'lstm_jax/{file}']
    path.write_text(source)
    del known[module]


def test_what_does_not_run_does_not_matter(checkout, of_task):
  here = checkout / 'lstm_jax'
  (here / 'cells' / 'mine.py').write_text('raise ValueError\n')
  (here / 'cells' / '.#gru.py').symlink_to('nobody@nowhere:1')
  (here / 'cells' / '._gru.py').write_bytes(b'\0\1')
  (here / 'cells' / 'gru.py~').write_text('old')
  (here / 'cells' / 'srn.py').write_text('')
  (here / '__init__.py').write_text('import nothing\n')
  (here / 'lab/store/trial_records.py').write_text('')
  gru = here / 'cells' / 'gru.py'
  source = gru.read_text().replace('"""', '"""Another word. ', 1)
  gru.write_text('# a comment\n\n' + source)
  assert files_of(*TASK) == of_task


def test_modules_from_outside_are_followed(checkout, monkeypatch, of_task):
  """A cell may be made of somebody's own package, and of an installed one."""
  mine = checkout / 'elsewhere' / 'mylab'
  mine.mkdir(parents=True)
  (mine / '__init__.py').write_text('')
  (mine / 'blocks.py').write_text('from . import deeper\nX = 1\n')
  (mine / 'deeper.py').write_text('import numpy, hypothesis, os.path\n')
  monkeypatch.syspath_prepend(str(mine.parent))
  gru = checkout / 'lstm_jax' / 'cells' / 'gru.py'
  gru.write_text(
    gru.read_text() + '\n\ndef f():\n  from mylab.blocks import X\n'
  )
  found = files_of(*TASK)
  added = found.keys() - of_task.keys()
  ours = {f'mylab/{name}.py' for name in ('__init__', 'blocks', 'deeper')}
  assert added == ours | {'package hypothesis'}
  assert not {'mylab', 'hypothesis_'} & set(sys.modules)
  (mine / 'deeper.py').write_text('import numpy, hypothesis, os.path\ny = 2\n')
  assert sources.differing(found, files_of(*TASK)) == ['mylab/deeper.py']


def test_every_entry_of_the_catalog_has_its_sources():
  known = {}
  for kind, folder in catalog.FOLDERS.items():
    for path in (PACKAGE / folder).glob('[!_]*.py'):
      module = catalog.module_of(kind, path.stem)
      found = sources.of_modules([module], known)
      assert f'lstm_jax/{folder}/{path.name}' in found
      assert all(str(path.parent.parent) not in name for name in found)


def test_a_broken_module_is_taken_as_it_is(checkout, of_task):
  (checkout / 'lstm_jax/ops/activations.py').write_text('def (')
  assert sources.differing(of_task, files_of(*TASK)) == [
    'lstm_jax/ops/activations.py'
  ]


def test_what_is_imported_for_type_checkers_does_not_run(tmp_path, monkeypatch):
  (tmp_path / 'typed.py').write_text(
    'import typing\n'
    'if typing.TYPE_CHECKING:\n  import for_types\n'
    'else:\n  import for_running\n'
    'if TYPE_CHECKING:\n  import for_types\n'
    'if typing:\n  import also\n'
  )
  for name in ('for_types', 'for_running', 'also'):
    (tmp_path / f'{name}.py').write_text('')
  monkeypatch.syspath_prepend(tmp_path)
  names = sources.of_modules(['typed']).keys()
  assert names == {'typed.py', 'for_running.py', 'also.py'}
