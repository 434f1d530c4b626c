"""Runs a plan by Dask's workers: what the command itself does of it.

The command prepares the folder, holds its lock, and deals what is left. Workers
write records and snapshots into the folder, as any process that runs a part of
a plan does; whatever happens to Dask, the same command goes on from there.
"""

import hashlib
import itertools
import os
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from lstm_jax.choices import count_of
from lstm_jax.lab.cluster import bundles, connection, identity, worker
from lstm_jax.lab.cluster.dispatch import Dispatch
from lstm_jax.lab.cluster.messages import Prepared, Session
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.run import (
  ending,
  mains,
  parts,
  preparation,
  recorder,
  remaining,
  renewal,
  signals,
)
from lstm_jax.lab.run.engine import Work
from lstm_jax.lab.store import (
  checkpoints,
  faults,
  files,
  folder,
  lock,
  trial_records,
)
from lstm_jax.lab.store.folder import Folder

if TYPE_CHECKING:
  from distributed import Client

_POLL_SECONDS = 0.25
# Without a worker for so long, a line says so.
_LONELY_SECONDS = 10.0


def run(work: Work) -> tuple[Folder, Collection[str]]:
  """Runs what is left of a plan by Dask's workers.

  Args:
    work: what is to be run.

  Returns:
    The open folder, and the ids of the plan's trials.

  Raises:
    StoreError: what `engine.complete_run` raises; no scheduler; no worker that
      is the same program.
    Stopped: at a signal, after workers have saved.
  """
  options = work.options
  part = parts.next_part(work.plan.trials, options.xla_profile, True)
  if part.all_profiles:
    raise faults.Refused(
      '--engine=dask: tasks and data sets need other flags of XLA, which a '
      'worker reads once; run one kind at a time, or give --xla_profile=none'
    )
  mains.tell(
    work.plan.title,
    f'{count_of(len(work.trials), "trial")} in {work.path}',
  )
  with work.stop.polled(), connection.connected(options) as client:
    mains.tell(f'Dask: {client.dashboard_link}')
    return _run(work, client, part.profile)


def _run(work, client, profile):
  session = _session(work, profile)
  prepared = _prepare(client, session, work)
  opened = folder.create_or_open(
    work.path,
    preparation.plan_content(
      work.plan.grid,
      work.path.name,
      work.trials,
      work.entries,
      prepared.provenance,
    ),
    work.options.allow_drift,
    sources=prepared.code,
  )
  mains.note('sweep', *opened.notes)
  with lock.lock(opened):
    remaining.remove_leftovers(opened)
    opened, records, saved = remaining.what_counts(
      opened, work.options, None, prepared.code
    )
    session = session._replace(
      path=str(opened.path.resolve()),
      provenance=opened.plan['provenance'],
      plan_digest=hashlib.sha256(
        files.read(opened.path / 'plan.json')
      ).hexdigest(),
      code=opened.code,
      drifted=opened.drifted,
    )
    dispatch = Dispatch(
      client,
      opened,
      session,
      records,
      _checkpoints_of(opened, saved),
      _pieces(prepared, work.trials, records),
    )
    try:
      dispatch.run(work.stop)
    finally:
      dispatch.board.display.close()
    ended = trial_records.ended(opened)
    if len(ended) == len(opened.trials):
      checkpoints.drop_all(opened, but=recorder.SPENT)
    if work.stop.exit_code is not None:
      print(recorder.stop_line(len(work.trials) - len(ended)))
      records, _ = trial_records.read_records(opened)
      ending.say_failures(records)
      raise signals.Stopped(work.stop.exit_code, is_told=True)
    dispatch.check()
  return opened, frozenset(work.trials)


def _session(work, profile):
  """The session of a run whose folder need not be there yet."""
  settings = work.trials.values()
  places = tuple(
    dict.fromkeys(
      entry.place
      for setting in settings
      for entry in setting.outside.values()
      if entry.place
    )
  )
  try:
    expected = folder.open_folder(work.path).plan['provenance']
    # What a data set holds and which code runs it is asked for again.
    expected = {k: v for k, v in expected.items() if k not in _OF_FACTS}
  except faults.StoreError:
    expected = identity.versions()
  return Session(
    os.urandom(4).hex(),
    _absolute(work.options),
    profile,
    identity.files_of(places),
    places,
    expected,
  )


_OF_FACTS = ('data', 'layer_code', 'compiler')


def _absolute(options: Run) -> Run:
  """The options, with paths that hold in any working folder."""
  place = lambda text: text and str(Path(text).absolute())
  cache = options.compile_cache
  return options._replace(
    data_dir=place(options.data_dir),
    compile_cache=cache if cache in ('', 'auto', 'off') else place(cache),
    paths=tuple((name, place(path)) for name, path in options.paths),
  )


def _prepare(client: 'Client', session: Session, work: Work) -> Prepared:
  """Has the first worker that is the same program prepare the plan.

  Raises:
    Refused: none is; a setting that is refused.
    StoreError: no worker comes, or what the worker raises.
  """
  refused: dict[str, str] = {}  # address or name -> why
  deaths: Counter[str] = Counter()
  is_sick = False
  since, is_told = time.monotonic(), False
  for number in itertools.count():
    work.stop.check()
    workers = connection.workers_of(client)
    free = [
      address
      for address, one in workers.items()
      if not refused.keys() & {address, one.name}
    ]
    if not free:
      if refused:
        lines = '\n'.join(refused.values())
        raise faults.Machine(lines) if is_sick else faults.Refused(lines)
      if not is_told and time.monotonic() - since > _LONELY_SECONDS:
        mains.note('sweep', 'the Dask scheduler has no worker yet; waiting')
        is_told = True
      time.sleep(_POLL_SECONDS)
      continue
    address = free[0]
    probe = connection.probe(client, address)
    _await(client, probe, address, work.stop)
    if lack := connection.lack_of(probe):
      refused[address] = connection.refusal_line(workers[address].name, lack)
      continue
    future = client.submit(
      worker.prepare,
      session,
      dict(work.trials),
      key=f'prepare-{session.token}-{number}',
      workers=[address],
      allow_other_workers=False,
      pure=False,
    )
    _await(client, future, address, work.stop)
    answer = connection.answer_of(future)
    if isinstance(answer, Prepared):
      return answer
    name = workers[address].name
    if answer is None:
      future.cancel()
      deaths[name] += 1
      if deaths[name] == connection.MOST_DEATHS:
        refused[name], is_sick = connection.death_line(name), True
    elif answer.refusal or answer.is_machine:
      refused[address] = connection.refusal_line(
        name, answer.refusal or answer.fault
      )
      is_sick = is_sick or answer.is_machine
    else:
      raise connection.fault_of(answer)
  raise AssertionError('counted to the end')


def _await(client, future, address, stop):
  """Waits until a task has ended, or its worker has gone."""
  while future.status == 'pending' and address in connection.workers_of(client):
    stop.check()
    time.sleep(_POLL_SECONDS)


def _pieces(prepared, trials, records):
  """Pieces of what is left of the plan."""
  keys = {
    name: key for key, names in prepared.members.items() for name in names
  }
  left = {
    name
    for unit in prepared.units
    if not records.keys() >= {*unit}
    for name in unit
  }
  groups = [
    tuple(name for name in group if name in left) for group in prepared.groups
  ]
  return bundles.pieces_of(groups, trials, keys)


def _checkpoints_of(opened, saved):
  """Trial -> names of the checkpoints that it may go on from."""
  successor = renewal.successors(opened)
  places: dict[str, list[str]] = {}
  for checkpoint, meta, _ in saved:
    for lanes in meta.get('programs', {}).values():
      for trial, _ in lanes:
        for name in {trial, successor.get(trial, trial)}:
          places.setdefault(name, []).append(checkpoint)
  return places
