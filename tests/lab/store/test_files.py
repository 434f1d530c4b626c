"""One place for files: regular, bounded, named cleanly; nobody goes around."""

import ast
import errno
import os
import socket
from pathlib import Path

import pytest

from lstm_jax.lab.store import faults, files
from tests import children
from tests.children import ROOT

# Who may reach files otherwise, and why.
OTHERS = {
  'lstm_jax/lab/store/files.py': 'the place itself',
  'lstm_jax/lab/store/disk.py': 'the calls that it makes',
  'lstm_jax/lab/store/machine.py': '/proc',
  'lstm_jax/lab/store/provenance.py': 'the sources, and /proc',
  'lstm_jax/lab/store/control_groups.py': '/proc',
  'lstm_jax/lab/store/cpu_quota.py': '/sys/fs/cgroup',
  'lstm_jax/lab/store/memory.py': '/sys/fs/cgroup and /proc',
  'lstm_jax/lab/run/compile_cache.py': 'programs that JAX keeps, no results',
  'lstm_jax/nn/native/library.py': 'libraries are loaded by name, not read',
  'lstm_jax/lab/data/files': 'archives and sounds: streams larger than memory',
  'lstm_jax/lab/data/_cache.py': 'arrays are mapped, not read',
  'lstm_jax/lab/run/mains.py': 'os.devnull, for streams that are closed',
  'lstm_jax/lab/plan/text_columns.py': 'os.devnull, for closed streams',
  'lstm_jax/lab/bench/turns.py': 'figures of its own children, for developers',
}
CALLS = (
  'open',
  'os.open',
  'io.open',
  'os.mkdir',
  'os.makedirs',
  'os.listdir',
  'os.scandir',
  'os.walk',
  'json.load',
  'tomllib.load',
  'np.load',
  'np.save',
  'np.savez',
  'np.fromfile',
  'np.memmap',
  'np.loadtxt',
)
METHODS = ('read_text', 'read_bytes', 'write_text', 'write_bytes', 'iterdir')
METHODS += ('glob', 'rglob', 'mkdir', 'touch', 'tofile')


def around(source):
  """The calls in a source that reach a file or a directory."""
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Call):
      called = ast.unparse(node.func)
      method = called.rpartition('.')[2]
      ours = called.startswith(('files.', 'disk.')) or '.disk.' in called
      # What has been read already.
      ours |= any('io.' in ast.unparse(of)[:3] for of in node.args)
      if not ours and (called in CALLS or method in METHODS):
        yield f'line {node.lineno}: {called}'


def test_nobody_goes_around():
  found = []
  for package in ('lstm_jax', 'experiments'):
    for path in sorted((ROOT / package).rglob('*.py')):
      name = path.relative_to(ROOT).as_posix()
      if not name.startswith(tuple(OTHERS)):
        found += [f'{name}, {said}' for said in around(path.read_text())]
  assert found == []


@pytest.mark.parametrize(
  'line',
  [
    'open("x")',
    'Path("x").read_text()',
    'np.load(name)',
    'json.load(file)',
    '(folder / "y").glob("*")',
    'os.listdir(".")',
  ],
)
def test_a_planted_call_is_found(line):
  assert list(around(f'def f():\n  return {line}\n'))


@pytest.fixture
def strange(tmp_path):
  """A directory of things that are no regular files, and a very large one."""
  os.mkfifo(tmp_path / 'fifo')
  (tmp_path / 'directory').mkdir()
  (tmp_path / 'zero').symlink_to('/dev/zero')
  (tmp_path / 'nothing').symlink_to('absent')
  (tmp_path / 'loop').symlink_to('loop')
  with open(tmp_path / 'sparse', 'wb') as file:
    file.truncate(2**40)
  here = os.getcwd()
  os.chdir(tmp_path)  # the names of sockets are short
  try:
    with socket.socket(socket.AF_UNIX) as held:
      held.bind('socket')
  finally:
    os.chdir(here)
  return tmp_path


def test_what_is_no_file_is_named_at_once(strange):
  found = files.names(strange)
  assert len(found) == 7
  for name in found:
    with pytest.raises(faults.Corrupt, match=f'{name}: '):
      files.read(strange / name)
  assert files.tree(strange, ('o', 'e')) == [strange / 'sparse']
  with pytest.raises(FileNotFoundError):
    files.read(strange / 'absent')


def test_what_a_file_begins_with_is_looked_at_first(tmp_path):
  path = tmp_path / 'x'
  path.write_bytes(b'{}')
  assert files.read(path, 2, b'{') == b'{}'
  with open(path, 'wb') as file:
    file.truncate(2**31)
  with pytest.raises(faults.Corrupt, match='not a file of lstm_jax'):
    files.read(path, start=b'{')
  path.write_bytes(b'12345')
  with pytest.raises(faults.Corrupt, match='5 bytes, more than 4'):
    files.read(path, 4)
  path.write_bytes(b'')
  assert files.read(path, start=b'{') == b''


def test_reading_takes_the_memory_of_the_file_not_of_the_limit(tmp_path):
  """A little file is read where the most it might have is not to be had."""
  (tmp_path / 'a').write_bytes(b'{}' * 2**20)
  code = (
    'import resource\n'
    'from lstm_jax.lab.store import files\n'
    'resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))\n'
    f'assert len(files.read({str(tmp_path / "a")!r}, 2**40)) == 2**21'
  )
  children.python('-c', code)


def test_names_are_escaped(tmp_path):
  path = tmp_path / 'a\x1b[31m\nb\udc80'
  path.mkdir()
  with pytest.raises(faults.Corrupt) as caught:
    files.read(path)
  assert str(caught.value).startswith(f'{tmp_path}/a\\x1b[31m\\nb\\udc80: ')
  assert str(caught.value).isprintable()


def test_a_directory_that_is_none(tmp_path):
  (tmp_path / 'file').write_bytes(b'')
  with pytest.raises(faults.Unusable, match='Not a directory'):
    files.names(tmp_path / 'file')
  with pytest.raises(faults.Unusable, match='not a directory'):
    files.make_directory(tmp_path / 'file' / 'x')
  assert files.names(tmp_path / 'absent') == []


def test_writing_touches_nothing_that_is_right(tmp_path, strange):
  path = tmp_path / 'new' / 'x'
  files.write(path, b'abc')
  before = path.stat()
  files.write(path, b'abc')
  assert path.stat().st_mtime_ns == before.st_mtime_ns
  assert path.stat().st_ino == before.st_ino
  for name in set(files.names(strange)) - {'directory', 'new'}:
    files.write(strange / name, b'abc')
    assert (strange / name).read_bytes() == b'abc'
  with pytest.raises(faults.Unusable, match='directory'):
    files.write(strange / 'directory', b'abc')


def test_closed_folders_below_are_passed_over(tmp_path, monkeypatch):
  """As for a user without rights: root may look everywhere."""
  for name in ('closed', 'open'):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'info').touch()
  is_file = Path.is_file

  def is_file_if_open(path, **how):
    if 'closed' in path.parts:
      raise PermissionError(errno.EACCES, 'Permission denied', str(path))
    return is_file(path, **how)

  monkeypatch.setattr(Path, 'is_file', is_file_if_open)
  assert files.folders_with(tmp_path, 'info') == [tmp_path / 'open']
  with pytest.raises(faults.Unusable, match='closed'):
    files.folders_with(tmp_path / 'closed', 'info')
