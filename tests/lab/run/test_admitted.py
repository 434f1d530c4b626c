"""What the same code has admitted is not looked at again; all else is."""

import dataclasses
import os
import shutil

import jax
import pytest

from lstm_jax.lab.plan import catalog, flags, plan
from lstm_jax.lab.run import admission, admitted, builds, compile_cache
from lstm_jax.testing import Broken
from tests import children

LOOKS = ('admit_task', 'admit_cell', 'admit_learner')


@pytest.fixture
def looked(monkeypatch):
  """A list to which each look adds its name; no look finds anything."""
  names = []
  for look in LOOKS:
    monkeypatch.setattr(
      admission, look, lambda name, *of, look=look: names.append(look)
    )
  return names


def setting(cell='srn'):
  words = f'sweep --task=adding --cell={cell} --length=4 --seeds=1 --budget=9'
  return plan.expand(flags.parse(words.split(), {})).trials[0]


def prepare(kept, one=None):
  """Makes the programs of a setting; returns the reasons against it."""
  trials = {'t': one or setting()}
  return builds.on_line(trials, None, jax.devices()[0], None, kept).reasons


def code_is(text, monkeypatch):
  monkeypatch.setattr(admitted, '_digest_of_package', lambda: text)


def test_it_is_looked_at_once_by_the_same_code(tmp_path, looked, monkeypatch):
  code_is('one', monkeypatch)
  prepare(tmp_path)
  assert sorted(looked) == sorted(LOOKS)
  prepare(tmp_path)
  assert len(looked) == 3
  # What others have in common with it is known, too.
  prepare(tmp_path, setting('lstm'))
  assert looked[3:] == ['admit_cell', 'admit_learner']
  prepare(tmp_path)
  prepare(tmp_path, setting('lstm'))
  assert len(looked) == 5
  (path,) = tmp_path.iterdir()
  code_is('edited', monkeypatch)
  prepare(tmp_path)
  assert len(looked) == 8
  assert len([*tmp_path.iterdir()]) == 2 and path.exists()


def test_options_and_versions_count_as_the_code_does(
  tmp_path, looked, monkeypatch
):
  code_is('one', monkeypatch)
  paths = {admitted.file_of(tmp_path, 'cpu'), admitted.file_of(tmp_path, 'gpu')}
  with monkeypatch.context() as patch:
    patch.setattr(admitted.provenance, 'versions', lambda: {'numpy': '0.1'})
    paths.add(admitted.file_of(tmp_path, 'cpu'))
  with monkeypatch.context() as patch:
    patch.setattr(admitted.jax_options, 'recorded', lambda: {'x64': 'True'})
    paths.add(admitted.file_of(tmp_path, 'cpu'))
  assert len(paths) == 4
  one = setting()
  prepare(tmp_path, one)
  of = {name: value for name, value in one.cell_options if name != 'hidden'}
  options = tuple(sorted((of | {'hidden': 3}).items()))
  prepare(tmp_path, dataclasses.replace(one, cell_options=options))
  assert looked[3:] == ['admit_cell', 'admit_learner']


def test_without_a_folder_or_sources_everything_is_looked_at(
  tmp_path, looked, monkeypatch
):
  for kept, code in ((None, 'one'), (tmp_path, None)):
    code_is(code, monkeypatch)
    prepare(kept)
    prepare(kept)
  assert len(looked) == 12 and [*tmp_path.iterdir()] == []


def test_code_of_others_is_always_looked_at(tmp_path, looked, monkeypatch):
  code_is('one', monkeypatch)
  one = setting()
  known = {'cell': catalog.of(one, 'cell')}
  theirs = dataclasses.replace(one, outside=known)
  prepare(tmp_path)
  prepare(tmp_path, theirs)
  prepare(tmp_path, theirs)
  assert len(looked) == 9
  shutil.rmtree(tmp_path)
  tmp_path.mkdir()
  prepare(tmp_path, theirs)
  assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize('error', [Broken('not so'), TypeError('not so')])
def test_what_was_found_wrong_is_looked_at_again(
  error, tmp_path, looked, monkeypatch
):
  def look(name, *of):
    looked.append(name)
    raise error

  code_is('one', monkeypatch)
  monkeypatch.setattr(admission, 'admit_cell', look)
  reasons = [prepare(tmp_path), prepare(tmp_path)]
  assert looked.count('srn') == 2 and looked.count('admit_task') == 1
  assert reasons[0] == reasons[1]
  assert bool(reasons[0]) == isinstance(error, Broken)


def half_written(path):
  path.write_bytes(path.read_bytes()[:-80])


def foreign(path):
  path.write_bytes(b'\xff\x00 of something else\n' * 9)


def large(path):
  path.write_bytes(path.read_bytes() + bytes(admitted._MAX_BYTES))


def open_to_all(path):
  path.chmod(0o666)


def a_folder(path):
  path.unlink()
  path.mkdir()


# How to spoil the file -> how many looks are taken again.
SPOILT = {half_written: 2, foreign: 3, large: 3, open_to_all: 3, a_folder: 3}


@pytest.mark.parametrize('spoil', SPOILT)
def test_a_file_that_is_damaged_is_never_in_the_way(
  spoil, tmp_path, looked, monkeypatch, capsys
):
  code_is('one', monkeypatch)
  prepare(tmp_path)
  (path,) = tmp_path.iterdir()
  whole = path.read_bytes()
  spoil(path)
  assert prepare(tmp_path) == ()
  assert len(looked) == 3 + SPOILT[spoil]
  assert spoil is a_folder or path.read_bytes() == whole
  assert capsys.readouterr() == ('', '')


def test_a_folder_that_is_gone_is_made_or_is_no_news(
  tmp_path, looked, monkeypatch
):
  code_is('one', monkeypatch)
  (tmp_path / 'file').touch()
  assert prepare(tmp_path / 'file') == prepare(tmp_path / 'gone') == ()
  assert len(looked) == 6


def test_a_digest_is_of_every_source(tmp_path):
  assert admitted.digest_of(tmp_path) is None
  digests = set()
  for name, text in (
    ('a.py', 'x = 1'),
    ('a.py', 'x = 2'),
    ('b/c.py', 'x = 1'),
    ('b/loops.h', 'int x;'),
    ('b/loops.cc', 'int x;'),
  ):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    digests.add(admitted.digest_of(tmp_path))
  assert len(digests) == 5
  (tmp_path / 'a.py').rename(tmp_path / 'd.py')
  assert admitted.digest_of(tmp_path) not in digests
  assert admitted.digest_of(tmp_path) == admitted.digest_of(tmp_path)
  # Its name does not count, nor what is no source.
  digest = admitted.digest_of(tmp_path)
  (tmp_path / 'notes.txt').write_text('x')
  other = shutil.copytree(tmp_path, tmp_path.parent / f'{tmp_path.name}-copy')
  assert admitted.digest_of(other) == admitted.digest_of(tmp_path) == digest


def test_where_programs_are_kept(tmp_path, monkeypatch, capsys):
  monkeypatch.delenv(compile_cache.VARIABLE)
  with compile_cache.as_before():
    jax.config.update('jax_compilation_cache_dir', None)
    folder = compile_cache.set_up(str(tmp_path))
    assert folder.parent == tmp_path
    assert jax.config.values['jax_compilation_cache_dir'] == str(folder)
    assert compile_cache.set_up('off') is None
    # A cache of the user's own is no place for files of ours.
    jax.config.update('jax_compilation_cache_dir', str(tmp_path / 'own'))
    assert compile_cache.set_up() is None
    folder.chmod(0o777)
    assert compile_cache.set_up(str(tmp_path)) is None
  assert 'anybody may write to it' in capsys.readouterr().err


@pytest.mark.slow  # two commands, each of which imports JAX
def test_a_command_looks_at_a_cell_that_was_edited(tmp_path):
  for name in ('lstm_jax', 'experiments'):
    shutil.copytree(
      children.ROOT / name,
      tmp_path / name,
      ignore=shutil.ignore_patterns('__pycache__'),
    )
  how = {'cwd': tmp_path, 'env': os.environ | {'PYTHONPATH': str(tmp_path)}}
  words = (
    '-m', 'experiments.sweep', '--task=adding', '--cell=srn', '--length=4',
    '--learner=elman', '--seeds=1', '--budget=9', '--progress=none',
    '--compile_cache=cache',
  )  # fmt: skip
  children.python(*words, '--out=first', **how)
  (path,) = (tmp_path / 'cache').rglob('admitted-*')
  assert len(path.read_text().splitlines()) == 3
  edited = tmp_path / 'lstm_jax' / 'cells' / 'srn.py'
  right = "place=None if recurrent_init == 'uniform' else place"
  wrong = 'place=lambda params, numbers: params._replace(b=0.0)'
  assert edited.read_text().count(right) == 1
  edited.write_text(edited.read_text().replace(right, wrong))
  done = children.python(*words, '--out=second', **how, returns=2)
  assert 'cell srn: params of init: b is' in done.stderr
  assert not (tmp_path / 'second').exists()
