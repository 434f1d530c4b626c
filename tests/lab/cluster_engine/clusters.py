"""Dask clusters of real processes, and sweeps that run on them."""

import contextlib
import csv
import os
import signal
import subprocess
from pathlib import Path

from lstm_jax.lab.store import result_columns, results_table
from lstm_jax.lab.store.folder import open_folder
from tests import children

# Two programs; some trials are solved, some not, some diverge.
PLAN = (
  '--task=adding --cell=srn --learner=elman,bptt --length=10 --hidden=4'
  ' --learning_rate=0.05,1e30 --budget=20000 --seeds=4'
  ' --set=task.output=linear --set=task.streak=30 --set=task.tolerance=0.25'
  ' --set=task.mean_error=0.2'
).split()
# Long under way, and soon compiled.
LONG = (
  '--task=adding --cell=srn --learner=elman --length=10 --hidden=4'
  ' --learning_rate=1e-9 --set=learner.optimizer=sgd --seeds=20'
  ' --budget=300000'
).split()
QUIET = {
  'DASK_LOGGING__DISTRIBUTED': 'warning',
  'DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED': 'False',
}


def environ(**more):
  """The environment of a process: nobody's flags."""
  foreign = 'XLA_', 'JAX_', 'SLURM_', 'DASK_'
  variables = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
  variables['PYTHONPATH'] = str(children.ROOT)
  return variables | QUIET | more


def words(plan, out, *more):
  """The command line of a sweep."""
  return [
    *('-m', 'lstm_jax', 'sweep', *plan, f'--out={out}'),
    *('--checkpoint_seconds=0.5', '--progress=plain', *more),
  ]


def run(plan, out, *more, returns=0, **variables):
  """Runs a sweep to its end."""
  return children.python(
    *words(plan, out, *more), returns=returns, env=environ(**variables)
  )


def start(plan, out, *more, **variables):
  """Starts a sweep."""
  return children.start(*words(plan, out, *more), env=environ(**variables))


class Cluster:
  """A scheduler and workers, as a user starts them.

  Args:
    folder: where its scheduler file and logs are.
  """

  def __init__(self, folder, **variables):
    self.folder = folder
    self.file = folder / 'scheduler.json'
    self.flag = f'--scheduler={self.file}'
    self.processes = []
    self.scheduler = self._start(
      'scheduler', '--host=127.0.0.1', '--port=0', '--no-dashboard',
      f'--scheduler-file={self.file}', **variables,
    )  # fmt: skip
    children.await_that(self.scheduler, self.file.exists)

  def worker(self, name, *more, **variables):
    """Starts a worker, in a nanny as Dask does it by itself."""
    return self._start(
      'worker', f'--scheduler-file={self.file}', f'--name={name}',
      '--nthreads=1', '--no-dashboard', '--memory-limit=0',
      f'--local-directory={self.folder}', *more, **variables,
    )  # fmt: skip

  def await_workers(self, count):
    """Waits until the scheduler has so many workers."""
    code = (
      'import sys\n'
      'from distributed import Client\n'
      'with Client(scheduler_file=sys.argv[1]) as client:\n'
      '  client.wait_for_workers(int(sys.argv[2]))\n'
    )
    children.python('-c', code, self.file, count, env=environ())

  def _start(self, *command, **variables):
    log = open(self.folder / f'log-{len(self.processes)}', 'w')
    with log:
      process = children.start(
        '-m', 'dask', *command, cwd=self.folder, env=environ(**variables),
        stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
      )  # fmt: skip
    self.processes.append(process)
    return process

  def kill(self, process):
    """Kills a process and its children at once, as a machine goes."""
    with contextlib.suppress(ProcessLookupError):
      os.killpg(process.pid, signal.SIGKILL)
    process.wait(children.PATIENCE)

  def close(self):
    for process in reversed(self.processes):
      self.kill(process)


@contextlib.contextmanager
def cluster(folder, *names, **variables):
  """A cluster of workers of these names; of its scheduler's environment."""
  folder.mkdir()
  started = Cluster(folder, **variables)
  try:
    for name in names:
      started.worker(name)
    yield started
  finally:
    started.close()


def table(out):
  """The result columns of results.csv, as text."""
  with open(out / 'results.csv', newline='') as file:
    return [
      [row[name] for name in ('trial', *result_columns.RESULT_COLUMNS)]
      for row in csv.DictReader(file)
    ]


def assert_same(out, reference):
  """Both folders hold the same results, and nothing is left over."""
  assert table(out) == table(reference)
  digests = [
    results_table.results_digest(open_folder(path)) for path in (out, reference)
  ]
  assert digests[0] == digests[1]
  left = [p for p in out.rglob('*') if '.tmp' in p.name or '.bad' in p.name]
  assert left == []
  states = [path.name for path in (out / 'checkpoints').iterdir()]
  assert all(name.startswith('spent') for name in states)


def num_records(out):
  """The number of sealed records."""
  return sum(
    path.read_bytes().count(b'\n') for path in out.glob('records/*.jsonl')
  )


def has_snapshot(out):
  return any(out.glob('checkpoints/state-*'))


def children_of(process):
  """The processes that a process has started, and those that they have."""
  for thread in Path(f'/proc/{process}/task').glob('*/children'):
    with contextlib.suppress(OSError):  # it has just ended
      for child in thread.read_text().split():
        yield int(child)
        yield from children_of(int(child))
