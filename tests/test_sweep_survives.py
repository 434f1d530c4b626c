"""Real processes, really killed: the sweep ends with the same results.

A plan of two programs and sixteen trials, some solved, some not, some diverged.
What the compiler made is kept from one process to the next, as on a machine
that sets JAX_COMPILATION_CACHE_DIR; some processes get a damaged copy of it and
must compile.
"""

import csv
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from lstm_jax import results
from lstm_jax.store.folder import open_folder

ROOT = Path(__file__).parent.parent
PLAN = (
  '--task=adding --cell=srn --learner=elman,bptt --length=10,30'
  ' --learning_rate=0.05,1e30 --seeds=2 --budget=200000'
  ' --set=task.output=linear --set=task.streak=45 --set=task.tolerance=0.25'
  ' --set=task.mean_error=0.2'
).split()
TRIALS = 16
KILLS = 7
# Longer than anything here takes, so that nothing waits for ever.
PATIENCE = 120


class Place(NamedTuple):
  """Where the processes of this file work."""

  root: Path
  caches: tuple  # compilation caches: whole, damaged

  def command(self, out, *extra):
    return [
      sys.executable,
      *('-m', 'experiments.sweep', *PLAN, f'--out={out}'),
      *('--checkpoint_seconds=0.3', '--progress=none', *extra),
    ]

  def environ(self, damaged=False):
    """The environment of a process: nobody's flags, one of the caches."""
    kept = {
      name: value
      for name, value in os.environ.items()
      if not name.startswith(('XLA_', 'JAX_', 'SLURM_'))
    }
    return kept | {
      'JAX_COMPILATION_CACHE_DIR': str(self.caches[damaged]),
      'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
      'JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES': '-1',
    }

  def start(self, out, *extra, damaged=False):
    return subprocess.Popen(
      self.command(out, *extra),
      cwd=ROOT,
      env=self.environ(damaged),
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  def run(self, out, *extra, **environ):
    return subprocess.run(
      self.command(out, *extra),
      cwd=ROOT,
      env=self.environ() | environ,
      capture_output=True,
      text=True,
      timeout=PATIENCE,
    )


@pytest.fixture(scope='module')
def place(tmp_path_factory):
  root = tmp_path_factory.mktemp('sweep')
  return Place(root, (root / 'cache', root / 'damaged'))


@pytest.fixture(scope='module')
def reference(place):
  """The folder of a run that nothing has disturbed."""
  done = place.run(place.root / 'reference')
  assert done.returncode == 0, done.stderr
  files = list(place.caches[0].glob('*-cache'))
  assert len(files) > 4
  place.caches[1].mkdir()
  for file in files:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    (place.caches[1] / file.name).write_bytes(data)
  return place.root / 'reference'


@pytest.fixture(scope='module')
def begun(place, reference):
  """The folder of a run that was stopped after its first checkpoint."""
  del reference  # the caches are full
  out = place.root / 'begun'
  process = place.start(out)
  await_change(process, out)
  process.send_signal(signal.SIGTERM)
  assert process.wait(PATIENCE) == 143
  process.communicate()
  return out


def table(out):
  """The result columns of results.csv, as text."""
  with open(out / 'results.csv', newline='') as file:
    return [
      [row[name] for name in results.RESULT_COLUMNS]
      for row in csv.DictReader(file)
    ]


def assert_same_results(out, reference):
  assert len(table(out)) == TRIALS
  assert table(out) == table(reference)
  folders = [open_folder(path) for path in (out, reference)]
  assert results.results_digest(folders[0]) == results.results_digest(
    folders[1]
  )
  left = [p for p in out.rglob('*') if '.tmp' in p.name or '.bad' in p.name]
  assert left == [] and list((out / 'checkpoints').iterdir()) == []


def contents(path):
  """Name -> (inode, time of change, hash) of every file below a folder."""
  return {
    str(file.relative_to(path)): (
      file.stat().st_ino,
      file.stat().st_mtime_ns,
      hashlib.sha256(file.read_bytes()).hexdigest(),
    )
    for file in path.rglob('*')
    if file.is_file()
  }


def progress(out):
  """Names of what a run has sealed so far."""
  return {
    path.name
    for place in ('records', 'checkpoints')
    if (out / place).is_dir()
    for path in (out / place).iterdir()
  }


def await_change(process, out):
  """Waits until something new stands in the folder, or the process ends."""
  await_that(lambda: process.poll() is not None or progress(out) - before)


def await_that(holds):
  end = time.monotonic() + PATIENCE
  while not holds():
    assert time.monotonic() < end, 'nothing happens'
    time.sleep(0.002)


def test_the_plan_has_every_kind_of_end(reference):
  ends = [row[results.RESULT_COLUMNS.index('status')] for row in table(reference)]
  assert {status: ends.count(status) for status in set(ends)}.keys() == {
    'solved', 'budget', 'diverged'
  }  # fmt: skip
  assert ends.count('diverged') == 8
