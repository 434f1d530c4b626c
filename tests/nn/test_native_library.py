"""The file of the compiled loops: a bad one is not loaded, and said to be bad.

Compilers here are scripts that copy the library that is there.
"""

import _ctypes
import os
import re
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.nn.layer import run, which_kernel
from lstm_jax.nn.native import __main__, library


@pytest.fixture
def built(compiled_loops, tmp_path, monkeypatch):
  """The library and its place in an empty cache; a compiler that makes it."""
  content = compiled_loops.read_bytes()
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  compiler = tmp_path / 'compiler'
  script = f'#!/bin/sh\nfor to; do :; done\ncp "{compiled_loops}" "$to"\n'
  compiler.write_text(script)
  compiler.chmod(0o755)
  monkeypatch.setenv('CXX', str(compiler))
  target = library.path()
  target.parent.mkdir(parents=True)
  return content, target


def layer():
  cell = catalog.build('cells', 'lstm', 2, 0, hidden=3)
  return cell, cell.init(jax.random.key(0), cell.numbers), jnp.ones((4, 2))


def falls_back(match):
  """Nothing dies: `auto` is xla, and both ways to ask say why in one line."""
  choice = which_kernel(*layer(), kernel='auto')
  assert choice.kernel == 'xla'
  reason = choice.why_not['native']
  assert match in reason and '\n' not in reason
  with pytest.raises(ValueError) as caught:
    run(*layer(), kernel='native')
  assert reason in str(caught.value) and '\n' not in str(caught.value)
  return reason


FILES = {
  'empty': lambda content: b'',
  'cut': lambda content: content[: len(content) // 2],
  'cut at the end': lambda content: content[:-1],
  'longer': lambda content: content + b'x',
  'foreign': lambda content: b'not a library\n' * 100,
  'a header alone': lambda content: content[:64],
  'a bit': lambda content: b'\0'.join((content[:5000], content[5001:])),
  'a seal alone': lambda content: library._seal(b'')[:-1] + b'x',
}


@pytest.mark.parametrize('kind', FILES)
def test_a_file_that_is_not_the_library_is_made_anew(kind, built, capsys):
  content, target = built
  target.write_bytes(FILES[kind](content))
  reason = falls_back('is damaged or not ours')
  assert str(target) in reason and 'python -m lstm_jax.nn.native' in reason
  assert __main__.main([]) == 0
  assert capsys.readouterr().out == f'{target}\n'
  assert library.why_not() is None


def test_auto_runs_beside_a_file_that_is_not_the_library(built):
  _, target = built
  target.write_bytes(b'')
  made = [run(*layer(), kernel=kernel).ys for kernel in ('auto', 'xla')]
  np.testing.assert_array_equal(*made)


def test_a_library_for_another_processor(built, monkeypatch):
  """Copied with its name, as a home that two machines share may have it."""
  content, target = built
  target.write_bytes(content)
  assert library.why_not() is None
  monkeypatch.setattr(library, '_mark', lambda: 'of another')
  library._fault_at.cache_clear()
  library.path().write_bytes(content)
  falls_back('is damaged or not ours')
  library._fault_at.cache_clear()


@pytest.mark.parametrize('kind', ['folder', 'fifo', 'file for a folder'])
def test_what_is_no_file(kind, built, capsys):
  _, target = built
  if kind == 'folder':
    target.mkdir()
  elif kind == 'fifo':
    os.mkfifo(target)
  else:
    shutil.rmtree(target.parent)
    target.parent.write_text('')
  falls_back(str(target))
  if kind != 'fifo':
    assert __main__.main([]) == 1
    said = capsys.readouterr().err
    assert said.startswith('native: ') and said.count('\n') == 1


def test_no_home(monkeypatch, capsys):
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)

  def home():
    raise RuntimeError('Could not determine home directory.')

  monkeypatch.setattr(Path, 'home', home)
  falls_back('set XDG_CACHE_HOME')
  assert __main__.main([]) == 1
  assert capsys.readouterr().err.count('\n') == 1


@pytest.mark.parametrize('way', ['stat', 'read_bytes'])
def test_a_home_that_cannot_be_entered(way, built, monkeypatch):
  content, target = built
  assert library._mark()  # The sources have been read.
  target.write_bytes(content)

  def refuse(self, *how, **why):
    raise PermissionError(13, 'Permission denied', str(self))

  with monkeypatch.context() as patched:
    library._fault_at.cache_clear()
    patched.setattr(Path, way, refuse)
    reason = library.why_not()
  assert 'Permission denied' in reason and 'XDG_CACHE_HOME' in reason


@pytest.mark.parametrize(
  'what, match',
  [
    ('mkdir', 'Read-only file system'),
    ('disk', 'No space left'),
    ('symbols', 'cannot be loaded: .*lstm_jax_forward'),
    ('garbage', 'cannot be loaded: .*'),
    ('nothing', 'No such file'),
  ],
)
def test_a_build_that_fails_is_one_line(
  what, match, built, tmp_path, monkeypatch, capsys
):
  _, target = built
  script = {
    'disk': 'echo "fatal: cannot write: No space left on device" >&2; exit 1',
    'symbols': f'cp "{_ctypes.__file__}" "$to"',
    'garbage': 'echo text > "$to"',
    'nothing': 'true',
  }.get(what)
  if script:
    compiler = tmp_path / 'compiler'
    compiler.write_text(f'#!/bin/sh\nfor to; do :; done\n{script}\n')
  else:

    def refuse(self, *how, **why):
      raise OSError(30, 'Read-only file system', str(self))

    monkeypatch.setattr(Path, 'mkdir', refuse)
  assert __main__.main([]) == 1
  said = capsys.readouterr().err
  assert said.startswith('native: ') and said.count('\n') == 1
  assert re.search(match, said)
  assert not target.exists()


def test_arguments(capsys):
  assert __main__.main(['--help']) == 0
  assert 'usage: python -m lstm_jax.nn.native' in capsys.readouterr().out
  assert __main__.main(['--fast']) == 2
  assert "'--fast' is no argument" in capsys.readouterr().err
