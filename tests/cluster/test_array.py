"""Arrays of Slurm, by the files in launch/ as they stand.

Whatever ends a task (somebody who queues it again, its time, its memory, its
node), the folder ends with the results of a run in one piece, bit for bit.
"""

import contextlib
import os
import random
import re
import signal
import time

import pytest

from tests.cluster import page, pieces, slurm
from tests.cluster.keeper import descendants_of

pytestmark = pytest.mark.cluster
ARRAY = slurm.LAUNCH / 'slurm_array.sbatch'
REPORT = slurm.LAUNCH / 'slurm_report.sbatch'


def test_an_array_of_eight_costs_what_one_piece_does(cluster, paper, tmp_path):
  """By the page's block as it stands, from nothing: each task compiles."""
  home = tmp_path / 'home'
  home.mkdir()
  environ = cluster.environ | {'HOME': str(home)}
  before, began = cluster.cpu_seconds(), time.monotonic()
  job = page.submit('array', environ, tmp_path)
  out = tmp_path / 'runs' / 'paper1997'
  report = cluster.submit(
    REPORT, str(out), environ={'HOME': str(home)}, folder=tmp_path,
    options=[f'--dependency=afterany:{job}'],
  )  # fmt: skip
  states = cluster.wait(job, seconds=3600)
  seconds = time.monotonic() - began
  cpu_seconds = cluster.cpu_seconds() - before
  assert {state for state, *_ in states.values()} == {'COMPLETED'}, states
  assert cluster.wait(report)['0'][0] == 'COMPLETED', cluster.tail(report)
  assert f'{paper.trials} of {paper.trials} trials' in cluster.printed(report)
  pieces.note_cost('array of 8', paper, cpu_seconds, seconds)
  assert pieces.digest_of(out) == paper.digest
  assert cpu_seconds <= 1.2 * paper.cpu_seconds


def test_an_array_with_holes_leaves_no_trial_without_a_task(
  cluster, whole, tmp_path
):
  """Its tasks are refused, each by name; one alone runs all that is left."""
  piece, home = whole
  environ = {'HOME': str(home)}
  out = f'--out={tmp_path}/run'
  job = cluster.submit(
    ARRAY, *pieces.PLAN, out, options=['--array=1,3,7'],
    environ=environ, folder=tmp_path,
  )  # fmt: skip
  assert {code for *_, code in cluster.wait(job).values()} == {'2:0'}
  assert 'number them without holes' in cluster.printed(job)
  assert not (tmp_path / 'run').exists()
  job = cluster.submit(
    ARRAY, *pieces.PLAN, out, options=['--array=2'],
    environ=environ, folder=tmp_path,
  )  # fmt: skip
  assert cluster.wait(job)['2'][0] == 'COMPLETED', cluster.tail(job)
  assert pieces.digest_of(tmp_path / 'run') == piece.digest


def test_tasks_that_are_queued_again_go_on(cluster, whole, tmp_path):
  """By somebody, one after the other, in the middle of their work."""
  piece, home = whole
  job = _submit(cluster, home, tmp_path)
  for turn in range(6):
    _wait_for_snapshot(cluster, tmp_path)
    running = [
      task for task, (state, *_) in cluster.states(job).items()
      if state == 'RUNNING'
    ]  # fmt: skip
    if not running:
      break
    cluster.command(
      'scontrol', 'requeue', f'{job}_{running[turn % len(running)]}'
    )
    time.sleep(5)
  states = cluster.wait(job)
  _ended_alike(cluster, job, states, piece, tmp_path)
  assert sum(restarts for _, restarts, _ in states.values()) >= 3
  pieces.note(
    'tasks queued again by hand',
    restarts=sum(restarts for _, restarts, _ in states.values()),
    equal_rows=piece.trials,
  )


def test_a_time_limit_is_no_end(cluster, whole, tmp_path):
  """A minute before its end a task saves and is queued again."""
  piece, home = whole
  job = _submit(
    cluster, home, tmp_path,
    '--array=0-1', '--time=2', '--signal=B:TERM@60',
  )  # fmt: skip
  states = cluster.wait(job)
  _ended_alike(cluster, job, states, piece, tmp_path)
  restarts = sum(restarts for _, restarts, _ in states.values())
  assert restarts >= 1, cluster.tail(job)
  assert 'exit code 143: queued again' in cluster.printed(job)
  pieces.note('time limit of two minutes', restarts=restarts,
              equal_rows=piece.trials)  # fmt: skip


def test_a_node_dies(cluster, whole, tmp_path):
  """Its tasks come back on another one, by Slurm's own hand."""
  piece, home = whole
  job = _submit(cluster, home, tmp_path)
  _wait_for_snapshot(cluster, tmp_path)
  node = cluster.command('squeue', '-h', '-j', job, '-t', 'R', '-o', '%N')
  node = re.findall(r'n\d', node)[0]
  cluster.kill_node(node)
  states = cluster.wait(job)
  cluster.start_node(node)
  _ended_alike(cluster, job, states, piece, tmp_path)
  restarts = sum(restarts for _, restarts, _ in states.values())
  assert restarts >= 1
  pieces.note('a node that dies', restarts=restarts, equal_rows=piece.trials)


def test_too_little_memory_is_no_result(cluster, whole, tmp_path):
  """Slurm kills the tasks; with enough memory the folder goes on."""
  piece, home = whole
  job = _submit(cluster, home, tmp_path, '--array=0-1', '--mem-per-cpu=150M')
  states = cluster.wait(job)
  killed = [state for state, *_ in states.values()]
  assert set(killed) <= {'OUT_OF_MEMORY', 'FAILED', 'CANCELLED'}, states
  assert 'exceeded job memory limit' in cluster.printed(job).lower()
  job = _submit(cluster, home, tmp_path, '--array=0-1')
  _ended_alike(cluster, job, cluster.wait(job), piece, tmp_path)
  pieces.note('memory kills', killed=len(killed), states=killed,
              equal_rows=piece.trials)  # fmt: skip


def test_tasks_that_are_killed_at_random(cluster, whole, tmp_path):
  """SIGKILL to commands: tasks fail; the array handed in again goes on."""
  piece, home = whole
  chance = random.Random(0)
  kills = 0
  while kills < 12:
    job = _submit(cluster, home, tmp_path)
    while kills < 12 and not _has_ended(cluster, job):
      time.sleep(3)
      sweeps = [
        pid for pid in descendants_of(cluster.keeper.pid) if _is_sweep(pid)
      ]
      if sweeps:
        with contextlib.suppress(ProcessLookupError):
          os.kill(chance.choice(sweeps), signal.SIGKILL)
          kills += 1
    states = cluster.wait(job)
    if {state for state, *_ in states.values()} == {'COMPLETED'}:
      break
  job = _submit(cluster, home, tmp_path)
  _ended_alike(cluster, job, cluster.wait(job), piece, tmp_path)
  assert kills >= 6
  pieces.note('kill -9 of commands', kills=kills, equal_rows=piece.trials)


def _submit(cluster, home, tmp_path, *options):
  return cluster.submit(
    ARRAY, *pieces.PLAN, f'--out={tmp_path}/run', options=options,
    environ={'HOME': str(home)}, folder=tmp_path,
  )  # fmt: skip


def _wait_for_snapshot(cluster, tmp_path):
  folder = tmp_path / 'run' / 'checkpoints'
  cluster.wait_for(lambda: folder.is_dir() and any(folder.iterdir()))


def _ended_alike(cluster, job, states, piece, tmp_path):
  ended = {state for state, *_ in states.values()}
  assert ended == {'COMPLETED'}, (states, cluster.tail(job))
  assert pieces.digest_of(tmp_path / 'run') == piece.digest


def _has_ended(cluster, job):
  states = [state for state, *_ in cluster.states(job).values()]
  return not slurm.UNDER_WAY.intersection(states)


def _is_sweep(pid):
  words = slurm.words_of(pid)
  return any(word.endswith(b'lstm-jax') for word in words) and b'sweep' in words
