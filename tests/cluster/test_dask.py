"""Sweeps that Dask deals to workers of Slurm, by the page's blocks."""

import contextlib
import os
import random
import resource
import signal
import subprocess
import time

import pytest

from tests.cluster import page, pieces, slurm
from tests.cluster.keeper import descendants_of

pytestmark = pytest.mark.cluster
JOB = slurm.LAUNCH / 'slurm_dask.sbatch'


def test_dask_in_one_job_costs_what_one_piece_does(cluster, paper, tmp_path):
  """Eight workers, by the page's block as it stands, from nothing."""
  (tmp_path / 'home').mkdir()
  environ = cluster.environ | {'HOME': str(tmp_path / 'home')}
  before, began = cluster.cpu_seconds(), time.monotonic()
  job = page.submit('dask', environ, tmp_path)
  states = cluster.wait(job, seconds=3600)
  seconds = time.monotonic() - began
  cpu_seconds = cluster.cpu_seconds() - before
  assert states['0'][0] == 'COMPLETED', cluster.tail(job)
  pieces.note_cost('Dask in one job, 8 workers', paper, cpu_seconds, seconds)
  assert pieces.digest_of(tmp_path / 'runs' / 'paper1997') == paper.digest
  assert not list((tmp_path / 'home').glob('.lstm_jax_dask_*')), 'a key is left'
  assert cpu_seconds <= 1.2 * paper.cpu_seconds


def test_a_job_a_worker_costs_what_one_piece_does(cluster, paper, tmp_path):
  """Eight jobs of dask-jobqueue, by the page's block as it stands."""
  (tmp_path / 'home').mkdir()
  environ = cluster.environ | {'HOME': str(tmp_path / 'home')}
  before, began = cluster.cpu_seconds(), time.monotonic()
  ours = _seconds_of_children()
  page.run('jobqueue', environ, tmp_path)
  seconds = time.monotonic() - began
  cluster.wait_for(lambda: not cluster.command('squeue', '-h'))
  # Here are the sweep, Dask's scheduler and dask-jobqueue.
  cpu_seconds = cluster.cpu_seconds() - before + _seconds_of_children() - ours
  pieces.note_cost('dask-jobqueue, 8 jobs', paper, cpu_seconds, seconds)
  assert pieces.digest_of(tmp_path / 'runs' / 'paper1997') == paper.digest
  assert not list((tmp_path / 'home').glob('.lstm_jax_dask_*')), 'a key is left'
  assert cpu_seconds <= 1.2 * paper.cpu_seconds


def test_workers_are_killed_at_random(cluster, whole, tmp_path):
  """SIGKILL to workers and to what keeps them; Slurm brings others."""
  piece, home = whole
  (tmp_path / 'launch').symlink_to(slurm.LAUNCH)
  process = subprocess.Popen(
    [
      *('python', 'launch/dask_slurm.py', *pieces.PLAN),
      f'--out={tmp_path}/run',
    ],
    cwd=tmp_path, env=cluster.environ | {'HOME': str(home), 'JOBS': '6'},
    stdout=(log := (tmp_path / 'log').open('w')), stderr=subprocess.STDOUT,
  )  # fmt: skip
  chance, kills = random.Random(0), 0
  with log, process:
    while process.poll() is None:
      time.sleep(5)
      workers = [
        pid for pid in descendants_of(cluster.keeper.pid) if _is_worker(pid)
      ]
      if workers and kills < 12 and (tmp_path / 'run' / 'records').exists():
        with contextlib.suppress(ProcessLookupError):
          os.kill(chance.choice(workers), signal.SIGKILL)
          kills += 1
  text = (tmp_path / 'log').read_text()
  assert process.returncode == 0, text[-3000:]
  assert pieces.digest_of(tmp_path / 'run') == piece.digest
  assert kills >= 4
  pieces.note('kill -9 of workers of dask-jobqueue', kills=kills,
              equal_rows=piece.trials)  # fmt: skip


def test_a_time_limit_of_the_job(cluster, whole, tmp_path):
  """The sweep saves, the job is queued again, and the folder ends equal."""
  piece, home = whole
  job = cluster.submit(
    JOB, *pieces.PLAN, f'--out={tmp_path}/run',
    options=['--ntasks=2', '--time=2', '--signal=B:TERM@60'],
    environ={'HOME': str(home)}, folder=tmp_path,
  )  # fmt: skip
  states = cluster.wait(job)
  assert states['0'][0] == 'COMPLETED', cluster.tail(job)
  assert states['0'][1] >= 1, cluster.tail(job)
  assert pieces.digest_of(tmp_path / 'run') == piece.digest
  pieces.note('Dask in one job, time limit of two minutes',
              restarts=states['0'][1], equal_rows=piece.trials)  # fmt: skip


def _seconds_of_children():
  used = resource.getrusage(resource.RUSAGE_CHILDREN)
  return used.ru_utime + used.ru_stime


def _is_worker(pid):
  words = slurm.words_of(pid)
  return any(b'worker' in word for word in words[:4]) and not any(
    b'slurmstepd' in word for word in words
  )
