"""Every main ends in a documented way: signals, streams, errors."""

import errno
import io
import os
import signal
import subprocess
import sys

import pytest

from lstm_jax.lab.run import mains, signals
from lstm_jax.lab.store import faults
from tests.children import ROOT

COMMANDS = ('sweep', 'report', 'data', 'bench', 'vanishing')
SIGNALS = {
  signal.SIGINT: 130,
  signal.SIGTERM: 143,
  signal.SIGHUP: 129,
  signal.SIGUSR1: 75,
  signal.SIGUSR2: 75,
  signal.SIGXCPU: 75,
}


def ended(raised):
  @mains.guarded('try')
  def main(argv=None):
    raise raised

  return main([])


@pytest.mark.parametrize(
  'raised, code, words',
  [
    (ValueError('what\x1b[31m'), 70, 'ValueError: what\\x1b[31m'),
    (MemoryError(), 75, 'out of memory'),
    (RuntimeError('RESOURCE_EXHAUSTED: Out of memory'), 75, 'out of memory'),
    (ImportError('a.so: failed to map segment'), 75, 'out of memory'),
    (OSError(errno.ENOSPC, 'No space left', '/x/y'), 74, '/x/y: No space'),
    (OSError(errno.EIO, 'I/O'), 74, 'Input/output error'),
    (PermissionError(errno.EACCES, 'no', '/x'), 73, '/x: Permission denied'),
    (KeyboardInterrupt(), 130, 'stopped'),
    (signals.Stopped(143), 143, 'stopped'),
    (faults.Corrupt('plan.json: cut'), 65, 'plan.json: cut'),
    (
      RuntimeError("Unable to initialize backend 'cuda': \nmore\nand more"),
      2,
      'Unable to initialize',
    ),
  ],
)
def test_an_error_is_one_line_and_a_code(raised, code, words, capsys):
  assert ended(raised) == code
  said = capsys.readouterr().err
  assert said.startswith('try: ') and words in said
  assert said.count('\n') == 1 and '\x1b' not in said


def test_debug_shows_where(monkeypatch, capsys):
  monkeypatch.setenv(faults.DEBUG, '1')
  assert ended(KeyError('x')) == 70
  assert 'Traceback' in capsys.readouterr().err


@pytest.mark.parametrize('number, code', SIGNALS.items())
def test_a_signal_stops_a_main_and_leaves_the_handlers(
  number, code, capsys, request
):
  # Under nohup a hangup is ignored, by the main too.
  handler = signal.getsignal(number)
  if handler is signal.SIG_IGN:
    signal.signal(number, signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(number, handler))
  before = [signal.getsignal(n) for n in SIGNALS]
  tidied = []

  @mains.guarded('try')
  def main(argv=None):
    try:
      signal.raise_signal(number)
    except Exception:
      pass  # somebody's, around anything
    finally:
      tidied.append(True)
    return 0

  assert main([]) == code and tidied
  assert [signal.getsignal(n) for n in SIGNALS] == before
  assert capsys.readouterr().err.startswith('try: stopped')


def test_a_phase_that_polls_ends_itself():
  saved = []

  @mains.guarded('try')
  def main(argv=None):
    stop = signals.current_stop()
    with stop.polled():
      signal.raise_signal(signal.SIGTERM)
      assert stop()
      saved.append(True)
    saved.append('never')

  assert main([]) == 143 and saved == [True]


def test_a_hangup_that_is_ignored_stays_so():
  before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
  try:
    with signals.listening() as stop:
      signal.raise_signal(signal.SIGHUP)
      assert not stop()
  finally:
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_listens_first_and_says_its_codes(name, capsys):
  module = f'experiments.{name}'
  path = ROOT / f'{module.replace(".", "/")}.py'
  source = path.read_text().split('"""', 2)[2]
  lines = [line for line in source.split('\n') if line.strip()]
  assert lines[:2] == [
    'from lstm_jax.lab.run import mains',
    "if __name__ == '__main__':",
  ]
  assert 'mains.listen()' in lines[2] and 'mains.run(main)' in lines[-1]
  main = __import__(module, fromlist=['main']).main
  assert main([name, '--help']) == 0
  assert faults.EXIT_CODES in capsys.readouterr().out
  for code in faults.Exit:
    assert f'{code.value}' in faults.EXIT_CODES


class Broken(io.StringIO):
  """A stream that nobody reads, or whose disk is full."""

  def __init__(self, number):
    super().__init__()
    self.number = number

  def write(self, text=''):
    raise OSError(self.number, os.strerror(self.number))

  flush = write


def test_output_goes_on_where_nobody_reads(tmp_path, capsys):
  for number in (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF):
    spare = os.open(tmp_path / 'x', os.O_WRONLY | os.O_CREAT)
    stream = mains.Output(Broken(number), spare)
    print('a', file=stream, flush=True)
    print('b', file=stream, flush=True)
    os.close(spare)
  assert mains.Output(None, 99).write('abc') == 3
  closed = io.StringIO()
  closed.close()
  print('c', file=mains.Output(closed, 99))


def test_output_writes_what_the_stream_can():
  raw = io.BytesIO()
  stream = mains.Output(io.TextIOWrapper(raw, 'ascii'), 99)
  print('── [3–4] ×2 ☃', file=stream, flush=True)
  assert raw.getvalue() == b'-- [3-4] x2 ?\n'


@pytest.mark.parametrize(
  'closed', ['>&-', '2>&-', '>&- 2>&- <&-', '>/dev/full']
)
def test_a_closed_stream_is_nobodys_file(closed, tmp_path):
  """The next file that is opened must not get the number of a stream."""
  code = (
    'from lstm_jax.lab.run import mains; mains.listen(); import os\n'
    'def main():\n'
    '  print("printed", flush=True)\n'
    f'  os.write(os.open({str(tmp_path / "f")!r}, 65), b"kept")\n'
    '  print("printed"); os.write(2, b"printed")\n'
    '  return 3\n'
    'mains.run(main)'
  )
  done = subprocess.run(
    ['sh', '-c', f'exec "$0" -c "$1" {closed}', sys.executable, code],
    cwd=ROOT,
    capture_output=True,
  )
  assert done.returncode == 3, done.stderr
  assert (tmp_path / 'f').read_bytes() == b'kept'


def test_the_page_on_commands_names_every_code():
  text = (ROOT / 'docs' / 'commands.md').read_text(encoding='utf-8')
  for code in faults.Exit:
    assert f'{code.value}' in text
  assert faults.DEBUG in text
