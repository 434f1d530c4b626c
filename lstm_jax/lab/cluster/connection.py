"""Connects to a Dask scheduler, or makes a cluster of this machine's cores."""

import contextlib
import importlib
import importlib.util
import json
import logging
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from lstm_jax.extras import EXTRAS
from lstm_jax.lab.cluster.messages import Ending
from lstm_jax.lab.plan import values
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.store import faults, files, machine

if TYPE_CHECKING:
  from distributed import Client, Future

_EXTRA = 'cluster'
_ADDRESS = re.compile(r'([a-z]+://)?[^/\s]+:\d+')
_TIMEOUT = 20.0  # seconds
# Deaths of a worker, none of whose trials got anywhere, until it is left out.
MOST_DEATHS = 3
# A worker that trains is busy for hours with one task: what Dask looks at many
# times a second elsewhere would take a tenth of a core for each.
_QUIET = {
  'distributed.worker.profile.enabled': False,
  'distributed.worker.memory.monitor-interval': '1s',
  'distributed.admin.tick.interval': '1s',
  'distributed.admin.tick.limit': '1h',
  'distributed.admin.system-monitor.interval': '5s',
  'distributed.scheduler.work-stealing': False,
  'distributed.scheduler.active-memory-manager.start': False,
  # Ctrl-C is the command's, and of the whole group of processes.
  'distributed.worker.preload': ['lstm_jax.lab.cluster.worker'],
}


T = TypeVar('T')


class NoScheduler(faults.StoreError):
  """There is no scheduler, or it has gone; run again."""

  exit_code = faults.Exit.STOPPED


def check(options: Run) -> None:
  """Refuses flags that Dask cannot follow; connects to nothing.

  Args:
    options: of `--engine=dask`.

  Raises:
    Refused: in one line.
  """
  for module, extra in EXTRAS.items():
    if extra == _EXTRA and importlib.util.find_spec(module) is None:
      raise values.Refused(
        f"--engine=dask needs {module}: pip install 'lstm_jax[{extra}]'"
      )
  if options.shard[1] > 1:
    raise values.Refused(
      f'--engine=dask with part {options.shard[0]} of {options.shard[1]} '
      f'({options.shard_reason}): the engine deals the whole plan to its '
      'workers; start it once, without --shard and outside of an array job'
    )
  if options.distributed:
    raise values.Refused(
      '--engine=dask with --distributed: each worker of Dask is a JAX program '
      'of its own; choose one of them'
    )
  if options.devices and options.scheduler:
    raise values.Refused(
      f'--devices={options.devices} with --scheduler: workers have the threads '
      'that they were started with (--nthreads of dask worker); leave one out'
    )
  if options.scheduler:
    _address_of(options.scheduler)
  elif machine.may_have_accelerator():
    raise values.Refused(
      "--engine=dask without --scheduler makes a cluster of this machine's "
      'cores, and JAX has an accelerator here: --engine=local uses all of '
      'them; or set JAX_PLATFORMS=cpu'
    )


def _address_of(scheduler: str) -> str:
  """The address of a scheduler, from its file where it is one.

  Raises:
    Refused: it is neither an address nor the file of a scheduler.
  """
  if _ADDRESS.fullmatch(scheduler):
    return scheduler
  try:
    address = json.loads(files.read_text(scheduler))['address']
    if isinstance(address, str):
      return address
  except OSError as error:
    reason = error.strerror or 'it cannot be read'
  except (faults.StoreError, ValueError, KeyError, TypeError):
    reason = 'it is not the file of a Dask scheduler'
  else:
    reason = 'it holds no address'
  raise values.Refused(
    f'--scheduler={scheduler}: {reason}; give HOST:PORT, tls://HOST:PORT or '
    'the file that dask scheduler --scheduler-file=FILE has written'
  )


@contextlib.contextmanager
def connected(options: Run) -> 'Iterator[Client]':
  """A client of the scheduler that was asked for, or of a cluster of its own.

  Args:
    options: of which `scheduler` and `devices` count.

  Raises:
    NoScheduler: nobody answers.
  """
  with (
    _silent(),
    _outside(options.scheduler)
    if options.scheduler
    else _of_this_machine(options.devices or machine.cores()) as client,
  ):
    yield client


@contextlib.contextmanager
def _silent():
  """A context in which Dask logs nothing: this program says what matters."""
  import distributed  # which sets up its loggers

  names = [
    name
    for name in logging.root.manager.loggerDict
    if name.partition('.')[0] == distributed.__name__
  ]
  levels = {name: logging.getLogger(name).level for name in names}
  for name in names:
    logging.getLogger(name).setLevel(logging.CRITICAL)
  try:
    yield
  finally:
    for name, level in levels.items():
      logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def _outside(scheduler):
  """A client of somebody's scheduler, by Dask's own configuration."""
  from distributed import Client

  address = _address_of(scheduler)
  with warnings.catch_warnings():
    # Which versions count is looked at by worker.
    warnings.simplefilter('ignore')
    try:
      client = Client(
        address, timeout=_TIMEOUT, set_as_default=False, name='lstm-jax'
      )
    except (OSError, ValueError, RuntimeError, TypeError) as error:
      lines = str(error).splitlines() or [type(error).__name__]
      raise NoScheduler(
        f'--scheduler={scheduler}: no Dask scheduler answers at {address} '
        f'({lines[0][:200]}); start it, or give the address of one that runs'
      ) from error
  try:
    yield client
  finally:
    _close(client)


@contextlib.contextmanager
def _of_this_machine(workers):
  """A client of a cluster whose keys nobody else has."""
  import dask
  from distributed import Client, LocalCluster, Security

  with dask.config.set(_QUIET), warnings.catch_warnings():
    warnings.simplefilter('ignore')
    cluster = LocalCluster(
      n_workers=workers,
      threads_per_worker=1,
      processes=True,
      host='127.0.0.1',
      dashboard_address='127.0.0.1:0',
      security=Security.temporary(),
      memory_limit=0,
      silence_logs=logging.CRITICAL,
    )
    client = None
    try:
      client = Client(cluster, set_as_default=False, name='lstm-jax')
      yield client
    finally:
      if client is not None:
        _close(client)
      cluster.close(timeout=10)


def _close(client):
  """Leaves the scheduler, which may be gone."""
  with contextlib.suppress(Exception):
    client.close(timeout=5)


class DaskWorker(NamedTuple):
  """A worker, as the scheduler knows it.

  Attributes:
    name: that its user has given it, else its address.
    threads: trials of so many bundles run side by side.
    is_running: whether it takes more.
  """

  name: str
  threads: int
  is_running: bool


def workers_of(client: 'Client') -> dict[str, DaskWorker]:
  """Address -> worker, of all that the scheduler has now.

  Raises:
    NoScheduler: it has gone.
  """
  check_scheduler(client)
  try:
    workers = client.scheduler_info(n_workers=-1)['workers']
  except (OSError, TypeError, RuntimeError, AttributeError) as error:
    raise _gone(client) from error
  return {
    address: DaskWorker(
      str(facts['name']), facts['nthreads'], facts['status'] == 'running'
    )
    for address, facts in workers.items()
  }


def probe(client: 'Client', address: str) -> 'Future[object]':
  """A task that imports this package where a worker is.

  It is made of nothing else: what a worker cannot read ends it, without a word
  to anybody but its own log.

  Args:
    client: of Dask.
    address: of the worker.
  """
  return client.submit(
    importlib.import_module,
    f'{__package__}.worker',
    workers=[address],
    allow_other_workers=False,
    pure=False,
  )


def lack_of(probe: 'Future[object]') -> str:
  """The reason for which a worker cannot import this package, '' for none."""
  if probe.status != 'error':
    return ''
  return ' '.join(str(probe.exception()).split())


def check_scheduler(client: 'Client') -> None:
  """Raises `NoScheduler` where the scheduler has gone."""
  if client.status != 'running':
    raise _gone(client)


def _gone(client):
  where = client.scheduler.address if client.scheduler else 'its address'
  return NoScheduler(
    f'the Dask scheduler at {where} has gone: what was saved is safe; run the '
    'same command again, with a scheduler or without'
  )


def answer_of(future: 'Future[T]') -> T | Ending | None:
  """The value of a task; None where its worker was lost.

  A worker that cannot even take the task, since it lacks this package, is one
  that refuses.

  Args:
    future: of a task that has ended, or whose worker has gone.

  Raises:
    Refused: the scheduler lacks this package.
    Exception: what the task has raised.
  """
  if future.status == 'finished':
    return future.result()
  if future.status != 'error':
    return None
  error = future.exception()
  if type(error).__name__ == 'KilledWorker':
    return None
  if isinstance(error, ImportError):
    return Ending(refusal=' '.join(str(error).split()))
  if 'deserialization of the task graph' in str(error):
    # Dask's scheduler reads what it passes on.
    raise faults.Refused(
      'the Dask scheduler cannot import what this command sends: start it with '
      'the Python and the packages that workers have'
    )
  raise error


def refusal_line(name: str, reason: str) -> str:
  """One line on a worker that runs nothing, or nothing more."""
  return f'Dask worker {name} is not used: {reason}'


def death_line(name: str) -> str:
  """One line on a worker that dies again and again."""
  return refusal_line(
    name,
    f'it has died {MOST_DEATHS} times before its trials got anywhere, most '
    'likely for want of memory',
  )


def fault_of(ending: Ending) -> faults.StoreError:
  """The error of a bundle that something stood in the way of."""
  error = faults.StoreError(ending.fault)
  error.exit_code = faults.Exit(ending.exit_code)
  return error
