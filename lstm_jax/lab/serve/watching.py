"""Looks at a run folder again and again while others work in it.

Nothing is written, no lock is taken, and a file that has not changed is not
read twice; however many readers there are, a folder is looked at once a second
at most. A folder that is absent, unfinished or damaged is looked at too: what
is wrong with it is part of the look.
"""

import datetime
import threading
import time
from pathlib import Path

from lstm_jax.lab.plan.programs import unit_of
from lstm_jax.lab.serve import under_way
from lstm_jax.lab.serve.look import Look
from lstm_jax.lab.serve.pack_watch import PackWatch
from lstm_jax.lab.serve.under_way import Curves, Networks, UnderWay
from lstm_jax.lab.store import (
  checkpoints,
  faults,
  files,
  lock,
  lost,
  nets,
  record_packs,
  rounds,
  trial_records,
)
from lstm_jax.lab.store.documents import Details, Record
from lstm_jax.lab.store.folder import Folder, open_folder

_EVERY = 1.0  # seconds between two looks at a folder
_CHECKPOINTS_EVERY = 5.0  # and at its checkpoints, which are large
_LARGEST = 2**27  # bytes of checkpoints that are read while trials run
_RESULTS = 256  # trials whose curves are kept in memory
_NETWORKS = 8  # trials whose networks are kept in memory


class Watch:
  """Looks at one folder; may be asked from many threads.

  While a run is tuned it looks at the round that is under way.

  Args:
    path: of the folder, which may not be there yet.
  """

  def __init__(self, path: str | Path) -> None:
    self._run = Path(path)
    self._turn = threading.RLock()
    self._look: Look | None = None
    self._looked = -1e9
    self._go_to(self._run)

  def _go_to(self, path):
    """Looks at another folder from now on."""
    self._path = path
    self._read_checkpoints = -1e9
    self._opened: tuple[object, Folder] | None = None
    # name -> (nanoseconds when written, signature, what is in the file)
    self._record_files: dict[
      str, tuple[int, object, Record | faults.Corrupt]
    ] = {}
    self._packs = PackWatch()
    self._begun: tuple[object, dict[str, UnderWay], list[str]] = (None, {}, [])
    self._large: dict[str, Record] = {}
    self._networks: dict[str, tuple[object, Networks]] = {}

  def look(self) -> Look:
    """Returns the folder as it is now, or was at most a second ago."""
    with self._turn:
      clock = time.monotonic()
      if self._look is None or clock - self._looked >= _EVERY:
        self._look = self._now()
        self._looked = time.monotonic()
      return self._look

  def curves(self, trial: str) -> Curves:
    """The learning curves of a trial, {} where it has none that can be read."""
    with self._turn:
      look = self.look()
      if trial not in look.records:
        trial_state = look.under_way.get(trial)
        return trial_state.curves if trial_state else {}
      return self._results(trial).get('curves', {})

  def details(self, trial: str) -> Details:
    """The confusion matrix of a trial and its classes, of those that it has."""
    with self._turn:
      self.look()
      return self._results(trial).get('details', {})

  def _results(self, trial):
    """Parts of a trial's record that are large; {} where it cannot be read."""
    if trial not in self._large:
      try:
        opened, line = self._folder(), self._packs.line_of(trial)
        if line is None:
          record = trial_records.read(opened, self._record_path(trial))
        else:
          path = self._path / 'records' / line.pack
          line = record_packs.read_line(path, line.offset, line.size)
          record = trial_records.checked(opened, line)
      except (faults.StoreError, FileNotFoundError):
        return Record()
      while len(self._large) >= _RESULTS:
        del self._large[next(iter(self._large))]
      details = Details()
      if counts := record['details'].get('confusion'):
        details['confusion'] = counts
        details['classes'] = record['details'].get('classes', [])
      self._large[trial] = Record(curves=record['curves'], details=details)
    return self._large[trial]

  def networks(self, trial: str) -> Networks:
    """The networks of a trial, from its start to its end or as far as it is.

    Raises:
      Corrupt: the file that keeps them is damaged.
    """
    with self._turn:
      look = self.look()
      if trial in look.under_way:
        return look.under_way[trial].networks
      if trial not in look.trials:
        return ()
      place = self._path / 'nets'
      signature = tuple(
        files.signature(place / f'{trial}{ending}') for ending in nets.ENDINGS
      )
      if self._networks.get(trial, ('',))[0] != signature:
        while len(self._networks) >= _NETWORKS:
          del self._networks[next(iter(self._networks))]
        self._networks[trial] = (signature, self._kept(look, trial))
      return self._networks[trial][1]

  def _kept(self, look, trial):
    """The networks of a trial that has ended, from the files that keep them."""
    opened = self._folder()
    if way := nets.load_way(opened, trial):
      return tuple(way)
    last = nets.load_one(opened, trial)
    metrics = look.records.get(trial, Record()).get('metrics', {})
    seen = metrics.get('sequences_seen')
    if unit_of(look.trials[trial]) == 'epochs':
      seen = metrics.get('best_epoch') or look.trials[trial].budget
    return ((int(seen or 0), last),) if last else ()

  def _record_path(self, trial):
    return self._path / 'records' / f'{trial}.json'

  def _now(self):
    path = rounds.current(self._run)
    if path != self._path:
      self._go_to(path)
    try:
      opened = self._folder()
    except faults.StoreError as error:
      self._opened = None
      return self._unopened(str(error))
    problems: list[str] = []
    records: dict[str, Record] = {}
    try:
      records, problems_of_records = trial_records.read_records(
        opened, self._read_record, self._packs.read(opened.path / 'records')
      )
      problems += [problem.reason for problem in problems_of_records]
    except faults.StoreError as error:
      problems.append(str(error))
    states, lines = self._under_way(opened)
    problems += lines
    holders = self._holders(opened)
    trials_kept = {
      name.partition('.')[0]
      for name in _entries(opened.path / 'nets', problems)
    }
    # A trial of a larger budget may have taken over from one of a smaller.
    look = Look(
      path=str(self._path),
      trials=opened.trials,
      records=records,
      ended={trial: self._ended(trial) for trial in records},
      under_way={
        trial: state
        for trial, state in states.items()
        if trial in opened.trials and trial not in records
      },
      holders=tuple(holders),
      began=min((_seconds(state.since) for state in holders), default=None),
      kept=tuple(trial for trial in opened.trials if trial in trials_kept),
      problems=tuple(problems),
    )
    return look._replace(stamp=self._stamp(look))

  def _ended(self, trial):
    """Seconds since the epoch at which a trial has ended."""
    if entry := self._record_files.get(f'{trial}.json'):
      return entry[0] / 1e9
    line = self._packs.line_of(trial)
    return line.at if line else 0

  def _unopened(self, problem):
    """The look at a folder whose plan cannot be read."""
    problems = [problem]
    try:
      names, _ = lost.recorded(self._path)
    except faults.StoreError as error:
      problems, names = [*problems, str(error)], set()
    if names:
      problems.append(
        f'{len(names):,} whole records are there; without the plan nobody '
        'knows of which settings'
      )
    return Look(
      str(self._path), problems=tuple(problems), stamp=str(hash(problem))
    )

  def _folder(self):
    """The open folder; its plan is read again when the file is another one."""
    signature = files.signature(self._path / 'plan.json')
    if self._opened is None or self._opened[0] != signature:
      self._opened = (signature, open_folder(self._path))
    return self._opened[1]

  def _read_record(self, opened, path):
    """The record in a file, read once as long as the file stays."""
    signature = files.signature(path), opened.identity
    entry = self._record_files.get(path.name)
    if entry is None or entry[1] != signature:
      write_time = signature[0][2] if signature[0] else 0
      try:
        record = trial_records.read(opened, path)
        # What is large of it is read when it is asked for.
        content = record | {'curves': {}, 'details': {}}
      except faults.Corrupt as error:
        content = error
      self._large.pop(path.stem, None)
      entry = self._record_files[path.name] = (write_time, signature, content)
    if isinstance(entry[2], faults.Corrupt):
      raise entry[2]
    return entry[2]

  def _under_way(self, opened):
    """(id -> `UnderWay`, lines on what is damaged) of the checkpoints."""
    place = opened.path / 'checkpoints'
    problems: list[str] = []
    names = _entries(place, problems)
    signatures = [(name, files.signature(place / name)) for name in names]
    sizes = sum(signature[1] for _, signature in signatures if signature)
    clock = time.monotonic()
    is_early = clock - self._read_checkpoints < _CHECKPOINTS_EVERY
    if self._begun[0] == signatures or (is_early and names):
      return self._begun[1], self._begun[2]
    states: dict[str, UnderWay] = {}
    if sizes > _LARGEST:
      problems.append(
        f'{place}: {sizes:,} bytes of checkpoints, which are not read while '
        'trials run: of those under way nothing is shown'
      )
    else:
      try:
        saved_trials, lines = checkpoints.load(opened, repair=False)
        problems += lines
        states = under_way.trials_of(saved_trials)
      except (faults.StoreError, ValueError, KeyError, TypeError) as error:
        problems.append(f'{place}: {error}')
    self._begun, self._read_checkpoints = (signatures, states, problems), clock
    return states, problems

  def _holders(self, opened):
    try:
      return lock.holders(opened)
    except faults.StoreError:
      return []

  def _stamp(self, look):
    return str(
      hash(
        (
          tuple(look.ended.items()),
          len(look.trials),
          look.holders,
          look.kept,
          look.problems,
          *((name, state.seen) for name, state in look.under_way.items()),
        )
      )
    )


def _entries(place, problems):
  """The names in a part of a folder; what hinders is added to `problems`."""
  try:
    return files.names(place)
  except faults.StoreError as error:
    problems.append(str(error))
    return []


def _seconds(moment):
  """Seconds since the epoch of a moment in ISO 8601."""
  try:
    return datetime.datetime.fromisoformat(moment).timestamp()
  except (ValueError, TypeError):
    return time.time()
