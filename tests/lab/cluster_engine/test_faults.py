"""Real clusters under real faults: the same results, or a line and a code.

Every test ends with the folder complete, by Dask or by one process, and with
the results of a run that nothing has disturbed.
"""

import os
import shutil
import signal
from pathlib import Path

import pytest

from lstm_jax.lab.store import checkpoints
from lstm_jax.lab.store.folder import open_folder
from tests import children
from tests.lab.cluster_engine import clusters
from tests.lab.cluster_engine.clusters import LONG

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def reference(tmp_path_factory):
  """The folder of a run in one piece."""
  out = tmp_path_factory.mktemp('reference') / 'run'
  clusters.run(LONG, out)
  return out


def updates(out):
  """Trial -> the most updates that a snapshot holds of it."""
  seen = {}
  for saved in checkpoints.trials(
    checkpoints.load(open_folder(out), repair=False)[0]
  ):
    at = int(saved.leaves['seen'])
    seen[saved.trial] = max(at, seen.get(saved.trial, 0))
  return seen


def place(out):
  """How far the trial is that is furthest."""
  return max(updates(out).values(), default=0) if out.exists() else 0


def continues(out, flag, reference):
  """The same command ends the run."""
  clusters.run(LONG, out, '--engine=dask', flag)
  clusters.assert_same(out, reference)


def workers_processes(process):
  """The process of a worker, below its nanny; not its helpers."""
  found = []
  for child in clusters.children_of(process.pid):
    words = Path(f'/proc/{child}/cmdline').read_text()
    if 'spawn_main' in words:
      found.append(child)
  return found


def test_a_worker_that_is_killed_leaves_a_snapshot_to_the_next(
  reference, tmp_path
):
  out = tmp_path / 'run'
  with clusters.cluster(tmp_path / 'dask') as cluster:
    first = cluster.worker('first')
    sweep = clusters.start(LONG, out, '--engine=dask', cluster.flag)
    children.await_that(sweep, lambda: clusters.has_snapshot(out))
    children.await_that(sweep, lambda: place(out))
    cluster.kill(first)
    before = {path.name for path in out.glob('checkpoints/*')}
    at = updates(out)
    cluster.worker('second')
    new = lambda: {p.name for p in out.glob('checkpoints/*')} - before
    children.await_that(sweep, new)
    # Its first snapshot begins where that of the dead one was.
    after = updates(out)
    assert all(after[name] >= at[name] for name in at if name in after)
    children.ended(sweep)
  clusters.assert_same(out, reference)


def test_more_deaths_than_dask_allows_fail_no_trial(reference, tmp_path):
  out = tmp_path / 'run'
  with clusters.cluster(tmp_path / 'dask') as cluster:
    nanny = cluster.worker('only')
    sweep = clusters.start(LONG, out, '--engine=dask', cluster.flag)
    last = 0
    for _ in range(5):
      children.await_that(
        sweep,
        lambda last=last: clusters.has_snapshot(out) and place(out) > last,
      )
      last = place(out)
      assert sweep.poll() is None, 'it has ended too soon'
      for process in workers_processes(nanny):
        os.kill(process, signal.SIGKILL)
    children.ended(sweep)
  clusters.assert_same(out, reference)


def test_workers_that_end_at_their_time_come_back(reference, tmp_path):
  out = tmp_path / 'run'
  how = '--lifetime=25s', '--lifetime-stagger=5s', '--lifetime-restart'
  with clusters.cluster(tmp_path / 'dask') as cluster:
    cluster.worker('a', *how)
    cluster.worker('b', *how)
    clusters.run(LONG, out, '--engine=dask', cluster.flag)
  clusters.assert_same(out, reference)


def test_a_worker_without_memory_is_left_out(reference, tmp_path):
  out = tmp_path / 'run'
  with clusters.cluster(tmp_path / 'dask') as cluster:
    cluster.worker('small', '--memory-limit=220MiB')
    sweep = clusters.start(LONG, out, '--engine=dask', cluster.flag)
    done = children.ended(sweep, returns=None)
    assert done.returncode == 75, done.stderr
    assert 'Dask worker small is not used: it has died 3 times' in done.stderr
    cluster.worker('large')
    clusters.run(LONG, out, '--engine=dask', cluster.flag)
  clusters.assert_same(out, reference)


def test_the_folder_goes_on_without_its_scheduler(reference, tmp_path):
  out = tmp_path / 'run'
  with clusters.cluster(tmp_path / 'dask', 'a', 'b') as cluster:
    sweep = clusters.start(LONG, out, '--engine=dask', cluster.flag)
    children.await_that(sweep, lambda: clusters.has_snapshot(out))
    cluster.kill(cluster.scheduler)
    done = children.ended(sweep, returns=75)
    assert 'has gone: what was saved is safe; run the same' in done.stderr
    assert 'Traceback' not in done.stderr
  clusters.run(LONG, out)
  clusters.assert_same(out, reference)


@pytest.mark.parametrize(
  'number, code', [(signal.SIGTERM, 143), (signal.SIGUSR1, 75)]
)
def test_who_stops_the_command_stops_its_workers(
  number, code, reference, tmp_path
):
  out = tmp_path / 'run'
  with clusters.cluster(tmp_path / 'dask', 'a', 'b') as cluster:
    sweep = clusters.start(LONG, out, '--engine=dask', cluster.flag)
    children.await_that(sweep, lambda: clusters.has_snapshot(out))
    sweep.send_signal(number)
    done = children.ended(sweep, returns=code)
    assert 'to go; all is saved. The same command continues.' in done.stdout
    at = updates(out)
    assert at
    # Nobody writes any more, and who comes next goes on.
    continues(out, cluster.flag, reference)


def test_ctrl_c_saves_what_a_local_cluster_runs(reference, tmp_path):
  out = tmp_path / 'run'
  how = '--engine=dask', '--devices=2'
  sweep = children.start(
    *clusters.words(LONG, out, *how),
    env=clusters.environ(),
    start_new_session=True,
  )
  children.await_that(sweep, lambda: clusters.has_snapshot(out))
  at = place(out)
  os.killpg(sweep.pid, signal.SIGINT)  # as a terminal does it
  done = children.ended(sweep, returns=130)
  assert 'all is saved' in done.stdout and 'Traceback' not in done.stderr
  assert place(out) >= at
  clusters.run(LONG, out)
  clusters.assert_same(out, reference)


def test_workers_stop_where_the_command_is_gone(reference, tmp_path):
  out = tmp_path / 'run'
  with clusters.cluster(tmp_path / 'dask', 'a') as cluster:
    sweep = clusters.start(LONG, out, '--engine=dask', cluster.flag)
    children.await_that(sweep, lambda: clusters.has_snapshot(out))
    sweep.kill()
    sweep.communicate()
    continues(out, cluster.flag, reference)


def other_code(folder):
  """A copy of the package, one of whose modules does something else."""
  shutil.copytree(
    children.ROOT / 'lstm_jax',
    folder / 'lstm_jax',
    ignore=shutil.ignore_patterns('__pycache__'),
  )
  with open(folder / 'lstm_jax' / 'tasks' / 'adding.py', 'a') as file:
    file.write('\nMORE = 1\n')
  return {'PYTHONPATH': str(folder)}


def other_version(folder):
  """Another numpy, as far as its metadata say."""
  metadata = folder / 'numpy-1.0.0.dist-info'
  metadata.mkdir(parents=True)
  (metadata / 'METADATA').write_text('Name: numpy\nVersion: 1.0.0\n')
  return {'PYTHONPATH': f'{folder}:{children.ROOT}'}


def jax_is_up(folder):
  """JAX, imported by whoever has started the worker."""
  folder.mkdir()
  (folder / 'early.py').write_text('import jax\njax.devices()\n')
  preload = f'["{folder / "early.py"}"]'
  return {'DASK_DISTRIBUTED__WORKER__PRELOAD': preload}


def without_package(folder):
  """Another one of this name, since this one may be installed."""
  (folder / 'lstm_jax').mkdir(parents=True)
  text = 'raise ModuleNotFoundError("No module named \'lstm_jax\'")\n'
  (folder / 'lstm_jax' / '__init__.py').write_text(text)
  return {'PYTHONPATH': str(folder)}


@pytest.mark.parametrize(
  'make, line',
  [
    (other_code, 'other code: lstm_jax/tasks/adding.py'),
    (other_version, 'numpy is 1.0.0 there and '),
    (jax_is_up, 'JAX was imported there without the XLA flags of this run'),
    (without_package, "No module named 'lstm_jax'"),
  ],
)
def test_a_worker_that_is_another_program_is_refused_by_name(
  make, line, reference, tmp_path
):
  out = tmp_path / 'run'
  with clusters.cluster(tmp_path / 'dask') as cluster:
    cluster.worker('odd', **make(tmp_path / 'odd'))
    done = clusters.run(LONG, out, '--engine=dask', cluster.flag, returns=2)
    assert f'Dask worker odd is not used: {line}' in done.stderr
    assert not (out / 'plan.json').exists()
    cluster.worker('even')
    # The odd one alone would be refused again.
    cluster.await_workers(2)
    clusters.run(LONG, out, '--engine=dask', cluster.flag)
  clusters.assert_same(out, reference)


def test_a_scheduler_without_the_package_is_one_line(tmp_path):
  bare = without_package(tmp_path / 'bare')
  with clusters.cluster(tmp_path / 'dask', 'a', **bare) as cluster:
    how = '--engine=dask', cluster.flag
    done = clusters.run(LONG, tmp_path / 'run', *how, returns=2)
  assert 'the Dask scheduler cannot import what this command' in done.stderr
  assert 'Traceback' not in done.stderr


def test_nobody_answers(tmp_path):
  how = '--engine=dask', '--scheduler=127.0.0.1:9'
  done = clusters.run(LONG, tmp_path / 'run', *how, returns=75)
  line = '--scheduler=127.0.0.1:9: no Dask scheduler answers at 127.0.0.1:9'
  assert line in done.stderr and done.stderr.count('\n') <= 2
