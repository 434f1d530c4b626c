"""Compiled programs are kept for later runs, and that is never in the way."""

import os
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.lab.run import compile_cache
from lstm_jax.lab.store import folder, trial_records
from lstm_jax.nn.native import library
from tests.lab.run.test_in_python import HOW


@pytest.fixture(autouse=True)
def nobody_elses_cache(monkeypatch):
  """JAX as it is where nobody has set a cache, and its options as before."""
  monkeypatch.delenv(compile_cache.VARIABLE)
  with compile_cache.as_before():
    jax.config.update('jax_compilation_cache_dir', None)
    yield


def folder_in_use():
  return jax.config.values['jax_compilation_cache_dir']


def entries(root):
  return sorted(root.rglob('*-cache'))


def compile_something(number):
  jax.jit(lambda x: x * number + 1).lower(np.ones(3, np.float32)).compile()


NATIVE = {'learner': 'truncated1997', 'cell': 'lstm1997', 'hidden': None}


@pytest.mark.parametrize(
  'how', [{}, pytest.param(NATIVE, marks=pytest.mark.slow)]
)
def test_results_are_the_same_with_and_without(how, tmp_path, request):
  """Of programs that call the compiled loops, too."""
  how = HOW | {'seeds': 2, 'learning_rate': 0.2} | how
  if how['learner'] == 'truncated1997':
    request.getfixturevalue('compiled_loops')
    how |= {'set': HOW['set'] | {'learner.form': 'native'}}

  def records(name, cache):
    out = tmp_path / name
    jax.clear_caches()
    lj.sweep(out=out, progress='none', compile_cache=cache, **how)
    by_id, _ = trial_records.read_records(folder.open_folder(out))
    return {
      key: (record['status'], record['metrics'], record['curves'])
      for key, record in by_id.items()
    }

  cache = tmp_path / 'cache'
  without = records('without', 'off')
  assert records('first', cache) == without
  kept = entries(cache)
  assert kept and folder_in_use() is None
  assert records('second', cache) == without
  assert entries(cache) == kept


def test_it_is_among_the_users_caches(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  compile_cache.set_up()
  assert folder_in_use().startswith(f'{tmp_path}/lstm_jax/compiled/')
  compile_something(0.5)
  (entry,) = entries(tmp_path)
  assert str(entry.parent) == folder_in_use()
  # Nobody else may put programs there.
  assert entry.parent.stat().st_mode & 0o077 == 0


def test_processors_and_versions_have_folders_of_their_own(monkeypatch):
  names = {compile_cache._of_this_machine()}
  monkeypatch.setattr(library, 'processor', lambda: 'no avx512')
  names.add(compile_cache._of_this_machine())
  monkeypatch.setattr(compile_cache, 'version', lambda package: '0.99')
  names.add(compile_cache._of_this_machine())
  assert len(names) == 3


@pytest.mark.parametrize(
  'choice, variable, expected',
  [
    ('', '', 'own'),
    ('auto', '', 'own'),
    ('', 'of_variable', 'own'),
    ('of_flag', 'of_variable', 'of_flag'),
    ('off', '', 'own'),
  ],
)
def test_a_cache_of_the_users_own_stays(
  choice, variable, expected, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  jax.config.update('jax_compilation_cache_dir', str(tmp_path / 'own'))
  compile_cache.set_up(choice, {compile_cache.VARIABLE: variable})
  assert folder_in_use().startswith(str(tmp_path / expected))
  is_on = jax.config.values['jax_enable_compilation_cache']
  assert is_on == (choice != 'off')


def test_a_folder_of_the_environment(tmp_path):
  compile_cache.set_up('', {compile_cache.VARIABLE: str(tmp_path / 'there')})
  assert folder_in_use().startswith(str(tmp_path / 'there'))


@pytest.mark.parametrize('left', [0, -20])
def test_what_was_half_written_is_removed(left, tmp_path):
  compile_cache.set_up(str(tmp_path))
  compile_something(2.5)
  compile_something(3.5)
  half, whole = entries(tmp_path)
  half.write_bytes(half.read_bytes()[:left])
  compile_cache.set_up(str(tmp_path))
  assert entries(tmp_path) == [whole]
  # It is looked at once: JAX itself compiles what it cannot read.
  whole.write_bytes(b'')
  os.utime(whole, ns=(0, 0))
  compile_cache.set_up(str(tmp_path))
  assert entries(tmp_path) == [whole]
  jax.clear_caches()
  compile_something(3.5)


def test_the_oldest_make_room(tmp_path, monkeypatch):
  for i in range(4):
    path = tmp_path / f'{i}-cache'
    path.write_bytes(bytes(100))
    os.utime(path, ns=(0, 10**9 * i))
  (tmp_path / '0-cache').touch()
  monkeypatch.setattr(compile_cache, 'MAX_BYTES', 250)
  compile_cache._remove_oldest(tmp_path)
  assert [p.name for p in entries(tmp_path)] == ['0-cache', '3-cache']


def not_a_folder(path):
  path.write_bytes(b'')


def open_to_all(path):
  below = path / compile_cache._of_this_machine()
  below.mkdir(parents=True)
  below.chmod(0o777)


@pytest.mark.parametrize('spoil', [not_a_folder, open_to_all])
def test_a_folder_that_cannot_be_used_is_a_line(spoil, tmp_path, capsys):
  spoil(tmp_path / 'cache')
  compile_cache.set_up(str(tmp_path / 'cache'))
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith('sweep: no cache of compiled programs: ')
  assert str(tmp_path / 'cache') in line and '--compile_cache=off' in line
  assert folder_in_use() is None


def test_a_folder_that_is_gone_meanwhile_is_no_news(tmp_path, capsys):
  compile_cache.set_up(str(tmp_path))
  shutil.rmtree(folder_in_use())
  not_a_folder(Path(folder_in_use()))
  compile_something(4.5)
  assert capsys.readouterr().err == '' and entries(tmp_path) == []
