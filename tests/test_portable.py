"""What a system lacks has a fallback, or is said in one line.

Linux is what these tests run on: that others lack something is simulated.
"""

import ast
import asyncio
import errno
import functools
import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import sweep
from lstm_jax.lab.run import mains, signals
from lstm_jax.lab.store import cpu_quota, machine, memory, provenance
from lstm_jax.lab.store.disk import DISK
from lstm_jax.nn.native import library
from tests.children import ROOT, python

ARM = """\
processor : 0
CPU implementer : 0x41
CPU part : 0xd0c

processor : 1
CPU implementer : 0x41
CPU part : 0xd0c
"""


def test_without_a_set_of_cores_all_are_taken(monkeypatch):
  monkeypatch.delattr(os, 'sched_getaffinity', raising=False)
  assert machine.cores() == os.cpu_count()


@functools.cache
def names_and_paths():
  """`(file, text)` of each attribute and each path in the package's source."""
  found = set()
  for path in (ROOT / 'lstm_jax').rglob('*.py'):
    file = path.relative_to(ROOT / 'lstm_jax').as_posix()
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
      if isinstance(node, ast.Attribute):
        found.add((file, ast.unparse(node)))
      if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if node.value.startswith('/'):
          found.add((file, node.value))
  return found


@pytest.mark.parametrize('name', ['os.sched_getaffinity', 'os.fork', '/proc/'])
def test_what_is_of_linux_alone_stands_where_there_is_a_fallback(name):
  known = {
    'os.sched_getaffinity': {'lab/store/machine.py'},
    'os.fork': set(),
    '/proc/': {
      'lab/store/control_groups.py', 'lab/store/machine.py',
      'lab/store/memory.py', 'lab/store/provenance.py', 'nn/native/library.py',
    },
  }  # fmt: skip
  found = {file for file, text in names_and_paths() if text.startswith(name)}
  assert found == known[name]


@pytest.fixture
def no_proc(monkeypatch):
  """A system without /proc, as macOS."""
  read = Path.read_text

  def read_text(self, *args, **how):
    if str(self).startswith('/proc'):
      raise FileNotFoundError(2, 'No such file', str(self))
    return read(self, *args, **how)

  monkeypatch.setattr(Path, 'read_text', read_text)


def test_without_proc_there_are_room_and_a_processor(no_proc, monkeypatch):
  machine.check_room(1, 'this')
  assert cpu_quota.quota() is None and memory.left() is None
  asked = []

  def run(words, **how):
    asked.append(words[0])
    return subprocess.CompletedProcess(words, 0, stdout=b'Apple M9\n')

  monkeypatch.setattr(subprocess, 'run', run)
  assert provenance._cpu() == 'Apple M9' and asked == ['sysctl']

  def fails(words, **how):
    raise FileNotFoundError(words[0])

  monkeypatch.setattr(subprocess, 'run', fails)
  monkeypatch.setattr(platform, 'processor', lambda: 'arm')
  assert provenance._cpu() == 'arm'
  assert library.processor().startswith(platform.machine())


def test_a_processor_without_a_name_has_its_numbers(monkeypatch):
  monkeypatch.setattr(Path, 'read_text', lambda self: ARM)
  assert provenance._cpu() == 'CPU implementer 0x41, CPU part 0xd0c'
  assert '0xd0c' in library.processor()


@pytest.mark.parametrize('system', ['Darwin', 'Linux', 'Windows'])
def test_compiled_loops_are_for_linux_and_macos(system, monkeypatch, tmp_path):
  monkeypatch.setattr(platform, 'system', lambda: system)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  why = library.why_not()
  assert ('is for Linux and macOS' in why) == (system == 'Windows')
  assert '\n' not in why


def test_directories_need_no_flag_of_their_own(monkeypatch, tmp_path):
  monkeypatch.delattr(os, 'O_DIRECTORY', raising=False)
  DISK.fsync_directory(tmp_path)


def test_without_file_locks_the_layer_works_and_the_laboratory_says_why_not():
  code = (
    'import sys\n'
    'sys.modules["fcntl"] = None\n'
    'import jax, lstm_jax as lj\n'
    'cell = lj.lstm(2, 0, hidden=3)\n'
    'params = cell.init(jax.random.key(0), cell.numbers)\n'
    'assert lj.layer(cell, params, jax.numpy.ones((4, 1, 2))).ys.shape\n'
    'from lstm_jax.__main__ import main\n'
    'sys.exit(main())\n'
  )
  done = python('-c', code, returns=2)
  line = done.stderr.splitlines()[-1]  # JAX has a warning of its own
  assert line.startswith('lstm-jax: the laboratory needs Linux or macOS')
  assert 'Traceback' not in done.stderr and not done.stdout


def test_the_module_is_the_command():
  done = python('-m', 'lstm_jax', 'swep', returns=2)
  assert done.stderr.startswith('lstm-jax: swep: no such subcommand')
  assert re.search('did you mean sweep', done.stderr)


def test_a_signal_that_a_system_lacks_is_not_handled():
  code = (
    'import signal\n'
    'for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"):\n'
    '  delattr(signal, name)\n'
    'from lstm_jax.lab.run import signals\n'
    'with signals.listening():\n'
    '  assert {*signals._EXITS} == {signal.SIGINT, signal.SIGTERM}\n'
  )
  python('-c', code)


def test_a_process_of_somebody_else_is_never_ended():
  """In a notebook an interrupt stops the main, a second one does so again."""
  before = signal.getsignal(signal.SIGINT)
  ours = os.pipe()
  os.set_blocking(ours[1], False)
  wakeup = signal.set_wakeup_fd(ours[1])  # as an event loop has one
  tidied = []
  try:

    @mains.guarded('try')
    def main(argv=None):
      try:
        signal.raise_signal(signal.SIGINT)
      finally:
        # Whatever takes long here is interrupted again.
        with pytest.raises(signals.Stopped):
          signal.raise_signal(signal.SIGINT)
        tidied.append(True)

    assert main([]) == 130 and tidied
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(wakeup) == ours[1]
  finally:
    signal.set_wakeup_fd(wakeup)
    for descriptor in ours:
      os.close(descriptor)


def test_a_sweep_runs_in_a_thread_under_an_event_loop(
  tmp_path, capsys, monkeypatch
):
  """As in a notebook: no handlers can be set, and a loop is running."""
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  words = ['sweep', '--cell=srn', '--learner=elman', '--length=4']
  words += ['--seeds=1', '--budget=2', '--progress=none']
  words += [f'--out={tmp_path / "run"}']

  async def cell():
    return await asyncio.to_thread(sweep.main, words)

  assert asyncio.run(cell()) == 0
  assert (tmp_path / 'run/results.csv').exists()
  assert asyncio.run(cell()) == 0
  assert 'Nothing left to do' in capsys.readouterr().out


@pytest.mark.parametrize(
  'number',
  [
    errno.ENOSYS,
    # The same way through the code, with another message.
    pytest.param(errno.ENOLCK, marks=pytest.mark.slow),
    pytest.param(errno.ENOTSUP, marks=pytest.mark.slow),
  ],
)
def test_a_file_system_without_locks_is_refused_in_a_line(
  number, monkeypatch, tmp_path, capsys
):
  """As a cloud drive that is mounted in a notebook; nothing is left there."""

  def flock(descriptor, how):
    raise OSError(number, os.strerror(number))

  monkeypatch.setattr('fcntl.flock', flock)
  words = ['sweep', '--cell=srn', '--length=4', '--seeds=1', '--budget=2']
  assert sweep.main([*words, f'--out={tmp_path / "run"}']) == 73
  err = capsys.readouterr().err
  assert err.count('\n') == 1 and os.strerror(number) in err
  assert not [path for path in tmp_path.rglob('*') if path.is_file()]
