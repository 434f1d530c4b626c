"""The state that a worker keeps between tasks, and its checks before any.

A worker that is another program than the command that uses it, or whose JAX was
set up by somebody else, would not give the same bits: it refuses.
"""

import contextlib
import dataclasses
import hashlib
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from distributed import Worker, WorkerPlugin

from lstm_jax.lab.cluster import identity
from lstm_jax.lab.cluster.messages import Session
from lstm_jax.lab.run import (
  builds,
  compile_cache,
  groups,
  jax_options,
  recorder,
  xla_flags,
)
from lstm_jax.lab.store import faults, files, folder, provenance
from lstm_jax.lab.store.folder import Folder
from lstm_jax.lab.store.record_packs import Writer

if TYPE_CHECKING:
  import jax

  from lstm_jax.lab.run.queue import Maker
  from lstm_jax.training.compilation import ProgramsByWorker

_NAME = 'lstm_jax'
# A shared file system may show what was written elsewhere some seconds later.
_PATIENCE = 10.0
_MOST_RUNS = 4
# A program takes some 30 MB; bundles of one come one after another.
_MOST_PROGRAMS = 32


class Refusal(Exception):
  """This worker cannot run anything of a run; the message is one line."""


class Memory(WorkerPlugin):
  """Holds what a worker keeps between tasks; Dask tells it when it closes."""

  def __init__(self) -> None:
    self.lock = threading.Lock()
    self.closing = threading.Event()
    self.profile = ''
    self.files: dict[str, str] = {}
    self.devices: list[jax.Device] = []
    self.runs: dict[str, OpenRun] = {}
    # Token -> programs on-line that were built to prepare a plan.
    self.makers: dict[str, dict[str, Maker]] = {}

  def teardown(self, worker: Worker) -> None:
    """Has trials saved: the worker closes, for whatever reason."""
    del worker
    self.closing.set()


class OpenRun:
  """The state that a worker keeps of one run."""

  def __init__(
    self, opened: Folder, session: Session, makers: 'Mapping[str, Maker]'
  ) -> None:
    self.opened, self.session = opened, session
    self.name = os.urandom(6).hex()  # no other process has it
    self.stop = threading.Event()
    self.released: set[int] = set()  # numbers of bundles to hand back
    self.lock = threading.Lock()
    self.makers = dict(makers)
    self.build = groups.builder(session.options)
    self.levels = groups.levels_of()
    self.programs: ProgramsByWorker = {}
    # Programs that bundles have run, the last one last, and those at work.
    self.recent: dict[str, None] = {}
    self.busy: Counter[str] = Counter()
    self.writers: dict[int, Writer] = {}
    self.states: dict[int, recorder.RunState] = {}

  @contextlib.contextmanager
  def at_work(self, name: str) -> Iterator[None]:
    """A bundle of a program is at work; then lets go of what was run long ago.

    Args:
      name: of the program.
    """
    with self.lock:
      self.busy[name] += 1
      self.recent.pop(name, None)
      self.recent[name] = None
    try:
      yield
    finally:
      with self.lock:
        self.busy[name] -= 1
        idle = [one for one in self.recent if not self.busy[one]]
        for one in idle[: max(len(self.recent) - _MOST_PROGRAMS, 0)]:
          del self.recent[one], self.busy[one]
          self.makers.pop(one, None)
          for programs in self.programs.values():
            programs.drop(one)


def memory_of(worker: Worker) -> Memory:
  """The `Memory` of a worker; the first caller makes it.

  Args:
    worker: of Dask.
  """
  return cast(Memory, worker.plugins.setdefault(_NAME, Memory()))


def open_run(
  memory: Memory, token: str, session: Session | None
) -> OpenRun | None:
  """The run of a session, which the first caller opens.

  Args:
    memory: of this worker.
    token: of the session.
    session: the run; None for a worker that was told of it.

  Returns:
    It; None where the worker was not.

  Raises:
    Refusal: this worker cannot run it.
  """
  with memory.lock:
    if token not in memory.runs:
      if session is None:
        return None
      latest = [*memory.runs.items()][1 - _MOST_RUNS :]
      memory.runs = {**dict(latest), token: _open(memory, session)}
    return memory.runs[token]


def set_up(memory: Memory, session: Session) -> None:
  """Checks the code, sets the flags and imports JAX, once a process.

  Args:
    memory: of this worker.
    session: the run.

  Raises:
    Refusal: another program, or a JAX that has other flags.
  """
  found = identity.files_of(session.places)
  if line := identity.other_files(session.files, found):
    raise Refusal(line)
  drift = identity.drift_of(
    {name: session.provenance.get(name) for name in provenance.PACKAGES},
    identity.versions(),
  )
  if drift and not session.options.allow_drift:
    raise Refusal(identity.drift_line(drift))
  if memory.devices:
    if memory.profile != session.profile:
      raise Refusal(
        f'its XLA has the flags of --xla_profile={memory.profile}, of another '
        'run: start it anew'
      )
    changed = identity.other_files(
      {name: memory.files.get(name, '') for name in found}, found
    )
    if changed and memory.files.keys() & found.keys():
      raise Refusal(
        f'it still runs {changed.replace("other", "older")}: start it anew'
      )
    return
  is_new = xla_flags.flags_of(session.profile) != os.environ.get(
    'XLA_FLAGS', ''
  )
  if 'jax' in sys.modules and is_new:
    raise Refusal(
      'JAX was imported there without the XLA flags of this run: start it '
      'anew, or give --xla_profile=none'
    )
  xla_flags.set_flags(session.profile)
  devices = xla_flags.devices()
  jax_options.pin()
  compile_cache.set_up(session.options.compile_cache)
  memory.profile, memory.files, memory.devices = (
    session.profile,
    found,
    devices,
  )


def made_by(memory: Memory, facts: provenance.Facts) -> dict[str, object]:
  """Provenance of this process, see `provenance.provenance`.

  Args:
    memory: of this worker.
    facts: which data and loops it has.
  """
  return provenance.provenance(
    memory.devices[0].device_kind,
    len(memory.devices),
    jax_config=jax_options.recorded(),
    **facts,
  )


def check_provenance(
  session: Session, found: Mapping[str, object]
) -> dict[str, object]:
  """Returns what differs from the folder, where that is allowed.

  Args:
    session: the run.
    found: of `made_by`.

  Raises:
    Refusal: it is not.
  """
  expected = {
    name: session.provenance[name]
    for name in provenance.COMPARED
    if name in session.provenance
  }
  drift = identity.drift_of(expected, found)
  if drift and not session.options.allow_drift:
    raise Refusal(identity.drift_line(drift))
  return {name: new for name, (_, new) in drift.items()}


def _open(memory, session):
  """Opens the folder of a run, once this worker is found to be the same."""
  set_up(memory, session)
  expected = session.provenance
  compiler = None
  if expected.get('compiler'):
    builds.compile_loops()
    compiler = builds.native_compiler()
  drift = check_provenance(
    session,
    made_by(
      memory,
      {
        'data': cast(dict[str, str], expected.get('data')),
        'layer_code': cast(dict[str, str], expected.get('layer_code')),
        'compiler': compiler,
      },
    ),
  )
  path = Path(session.path)
  end = time.monotonic() + _PATIENCE
  while not _has_plan(path, session.plan_digest):
    if time.monotonic() > end:
      raise Refusal(
        f'{path} is not the folder there that it is here: workers need a file '
        'system that they share'
      )
    time.sleep(0.5)
  opened = folder.open_folder(path)
  return OpenRun(
    dataclasses.replace(
      opened, drift=drift, code=session.code, drifted=session.drifted
    ),
    session,
    memory.makers.pop(session.token, {}),
  )


def _has_plan(path, digest):
  """Tells whether a folder has the plan that the command has seen."""
  try:
    data = files.read(path / 'plan.json')
  except (FileNotFoundError, faults.StoreError):
    return False
  return hashlib.sha256(data).hexdigest() == digest
