"""Faults of the machine are no results, and faults of a trial are."""

import errno
import subprocess
import sys

import jax
import numpy as np
import pytest

from lstm_jax.lab.run import mains, scheduler
from lstm_jax.lab.run.scheduler import Hooks
from lstm_jax.lab.store import machine
from lstm_jax.training import lanes, online
from lstm_jax.training.loop import Job
from tests import children, scripted

Runtime = jax.errors.JaxRuntimeError


def raised_from(outer, inner):
  try:
    try:
      raise inner
    except type(inner) as cause:
      raise outer from cause
  except type(outer) as error:
    return error


@pytest.mark.parametrize(
  'error',
  [
    MemoryError(),
    MemoryError('Unable to allocate 8.00 GiB for an array'),
    np._core._exceptions._ArrayMemoryError((10**9,), np.dtype(float)),
    Runtime('RESOURCE_EXHAUSTED: Out of memory allocating 8192 bytes.'),
    Runtime('INTERNAL: Failed to load in-memory CUBIN'),
    Runtime('UNAVAILABLE: device is gone'),
    Runtime('DATA_LOSS: Uncorrectable ECC error'),
    RuntimeError("can't start new thread"),
    RuntimeError('std::bad_alloc'),
    RuntimeError('CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access'),
    RuntimeError('LLVM ERROR: out of memory'),
    SystemError('cannot allocate memory in static TLS block'),
    ImportError('x.so: failed to map segment from shared object'),
    OSError(errno.ENOMEM, 'Cannot allocate memory'),
    OSError(errno.EMFILE, 'Too many open files'),
    raised_from(ValueError('a cell'), MemoryError()),
    Runtime('INTERNAL: CpuCallback error: Traceback (most recent call last): '
            'MemoryError'),
  ],
)  # fmt: skip
def test_faults_of_the_machine(error):
  line = machine.fault(error)
  assert line and '\n' not in line


@pytest.mark.parametrize(
  'error',
  [
    ValueError('out of memory cells: a block has none'),
    TypeError('x'),
    AssertionError('memory'),
    ZeroDivisionError(),
    KeyError('resource_exhausted'),
    RuntimeError('a cell says no'),
    FileNotFoundError(errno.ENOENT, 'no such file'),
    Runtime('INVALID_ARGUMENT: Executable expected shape f32[2]'),
    Runtime('UNIMPLEMENTED: no sort of this'),
    Runtime('INTERNAL: CpuCallback error calling callback: Traceback (most '
            'recent call last):\n  File "x", line 1\nValueError: a cell'),
    RuntimeError("Unable to initialize backend 'cuda': INTERNAL: CUDA_ERROR"),
    FloatingPointError('invalid value (nan) encountered in jit(f)'),
  ],
)  # fmt: skip
def test_faults_of_a_trial(error):
  assert machine.fault(error) is None


def run(faults):
  """Runs a trial of p0, p1, p2; a program's `advance` raises its fault.

  Returns:
    `(job id -> status, ids that were saved, what was raised)`.
  """
  ended, saved = {}, set()

  def build(name):
    program = online.program(scripted.task(), scripted.learner())

    def advance(trials, num_sequences):
      if name in faults:
        raise faults[name]
      return program.advance(trials, num_sequences)

    return lanes.Build(
      program._replace(advance=advance),
      {key: np.float32(value) for key, value in scripted.SCRIPT.items()},
    )

  jobs = [Job(f'{i}', f'p{i}', i, {}, 5, 20) for i in range(3)]
  hooks = Hooks(lambda o: ended.update({o.id: o.status}), save=saved.update)
  try:
    scheduler.run(jobs, build, [jax.devices()[:1]], hooks, widths=(1,))
  except machine.Fault as fault:
    return ended, saved, str(fault)
  return ended, saved, None


def test_a_fault_of_the_machine_is_no_outcome():
  """One program too large: the others end. Two faults: it is the machine."""
  memory, sick = MemoryError(), Runtime('UNAVAILABLE: device is gone')
  ended, _, fault = run({'p0': memory, 'p2': ValueError('a cell')})
  assert ended == {'1': 'solved', '2': 'failed'}
  assert fault == 'out of memory'
  ended, _, fault = run({'p0': sick, 'p1': memory})
  assert (ended, fault) == ({}, 'UNAVAILABLE: device is gone')


def test_fewer_lanes_where_there_is_no_memory_for_as_many():
  """On an accelerator, which has several widths; its trials all end."""
  widths_run, ended = [], {}

  def build(name):
    program = online.program(scripted.task(), scripted.learner())

    def advance(trials, num_sequences):
      width = len(trials.status)
      widths_run.append(width)
      if width > 1:
        raise Runtime('RESOURCE_EXHAUSTED: Out of memory allocating 1 byte.')
      return program.advance(trials, num_sequences)

    return lanes.Build(
      program._replace(advance=advance),
      {key: np.float32(value) for key, value in scripted.SCRIPT.items()},
    )

  jobs = [Job(f'{i}', 'p', i, {}, 5, 20) for i in range(3)]
  hooks = Hooks(lambda o: ended.update({o.id: o.status}))
  devices = [jax.devices()[:1]]
  assert scheduler.run(jobs, build, devices, hooks, widths=(1, 2, 4))
  assert ended == dict.fromkeys('012', 'solved')
  assert widths_run == [4, 2, 1]


def test_a_worker_that_is_gone_is_no_end(monkeypatch):
  """Where not even the handler has memory, the thread ends without a word."""
  monkeypatch.setattr(scheduler, '_run_pool', lambda *_: None)
  ended, _, fault = run({})
  assert (ended, fault) == ({}, 'a worker has ended early')


def test_threads_that_cannot_start(monkeypatch):
  def start(thread):
    raise RuntimeError("can't start new thread")

  monkeypatch.setattr(scheduler.threading.Thread, 'start', start)
  with pytest.raises(RuntimeError) as caught:
    run({})
  assert machine.fault(caught.value)


@pytest.mark.parametrize(
  'body, code',
  [
    ('os.abort()', 75),
    ('t = threading.Thread(target=os.abort); t.start(); t.join()', 75),
    ('pass', 3),
  ],
)
def test_a_library_that_aborts(body, code):
  """The process ends in a line and a code, and others end as they would."""
  source = (
    'import os, sys, threading\nfrom lstm_jax.lab.run import aborts\n'
    f"aborts.arm(75, 'a line')\n{body}\naborts.disarm(3)\nsys.exit(3)"
  )
  done = subprocess.run(
    [sys.executable, '-c', source], capture_output=True, text=True, check=False
  )
  assert done.returncode == code, done.stderr
  assert done.stderr.startswith('a line: ' if code == 75 else '')
  assert done.stderr.count('\n') == (code == 75)


def test_a_library_is_loaded_only_where_that_ends():
  """OpenBLAS asks for ever for the memory that it does not get."""
  done = children.python(
    '-c',
    'import resource\n'
    'from pathlib import Path\n'
    'from lstm_jax.lab.report import statistics\n'
    'pages = int(Path("/proc/self/statm").read_text().split()[0])\n'
    'most = pages * resource.getpagesize() + 90 * 2**20\n'
    'resource.setrlimit(resource.RLIMIT_AS, (most, most))\n'
    'try:\n'
    '  statistics.student(0.95, 2)\n'
    'except MemoryError as error:\n'
    '  print(error)\n',
  )
  assert done.stdout.startswith('SciPy needs 300 MiB of address space, ')
  assert done.stdout.endswith(' are left (ulimit -v)\n')


@pytest.mark.parametrize('command', ['report', 'predict', 'data', 'sweep'])
def test_a_command_without_memory_ends_in_one_line(command):
  done = children.python(
    '-c',
    'import resource, runpy, sys\n'
    'resource.setrlimit(resource.RLIMIT_AS, (400 * 2**20, 400 * 2**20))\n'
    'sys.argv[1:] = ["--help"]\n'
    f'runpy.run_module("experiments.{command}", None, "__main__", True)\n',
    returns=75,
  )
  assert done.stdout == ''
  (line,) = done.stderr.splitlines()
  assert line.startswith(
    f'{command}: out of memory: this command needs 600 MiB'
  )


def test_a_closed_stderr_is_not_written_to_stdout(monkeypatch, capsys):
  monkeypatch.setattr('sys.stderr', None)
  mains.say('sweep', 'a line')
  assert capsys.readouterr().out == ''


def test_the_build_without_memory_ends_in_one_line():
  done = children.python(
    '-c',
    'import resource, runpy\n'
    'resource.setrlimit(resource.RLIMIT_AS, (400 * 2**20, 400 * 2**20))\n'
    'runpy.run_module("lstm_jax.nn.native", None, "__main__", True)\n',
    returns=1,
  )
  assert done.stdout == ''
  (line,) = done.stderr.splitlines()
  assert line.startswith('native: JAX needs 500 MiB of address space, ')
