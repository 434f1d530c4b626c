"""Messages between the command and Dask's workers, in plain values.

What counts is in the run folder, which all of them share. Over Dask goes which
trials a worker is to run, and how that has ended.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.store.setting import Setting

# Id, status and updates of a trial that has ended.
Ended = tuple[str, str, float]


class Session(NamedTuple):
  """A run, as a worker is told of it once.

  Attributes:
    token: names it among others.
    options: a `flags.Run`; its paths are absolute.
    profile: which flags XLA has, see `xla_flags.set_flags`.
    files: file -> digest of the code that the command has.
    places: where other people's code lies that the plan names.
    provenance: that of the folder; where there is no folder yet, versions of
      packages alone.
    path: absolute, of the folder; '' where there is none yet.
    plan_digest: of its plan.json.
    code: trial -> name of the code that runs it.
    drifted: as of `folder.Folder`.
  """

  token: str
  options: Run
  profile: str
  files: Mapping[str, str]
  places: tuple[str, ...]
  provenance: Mapping[str, object]
  path: str = ''
  plan_digest: str = ''
  code: Mapping[str, str] = {}
  drifted: Mapping[str, Sequence[str]] = {}


class Prepared(NamedTuple):
  """A plan that a worker has prepared.

  Attributes:
    provenance: of its process, see `provenance.provenance`.
    code: trial -> the files that run it.
    members: name of a program -> ids of its trials.
    units: ids that are run together or not at all.
    groups: units that one worker runs, as ids.
  """

  provenance: dict[str, object]
  code: dict[str, dict[str, str]]
  members: dict[str, list[str]]
  units: tuple[tuple[str, ...], ...]
  groups: tuple[tuple[str, ...], ...]


class Bundle(NamedTuple):
  """Trials of one program that a worker runs.

  Attributes:
    number: of the bundle; none has that of another.
    slot: which thread of its worker runs it.
    program: name of the program.
    names: ids of the trials.
    ended: ids of those of them that have a record.
    checkpoint: name of its checkpoint.
    resume: names of the checkpoints that its trials may be in.
  """

  number: int
  slot: int
  program: str
  names: tuple[str, ...]
  ended: tuple[str, ...]
  checkpoint: str
  resume: tuple[str, ...]


class Ending(NamedTuple):
  """The end of a bundle, or why there is none.

  Attributes:
    is_complete: whether all of its trials have; if not they were saved.
    ended: those that have.
    work: (sequences, useful, executed), as of `queue.Progress`.
    is_unknown: the worker was never told of the session.
    refusal: why this worker runs nothing of this run, in one line.
    fault: what stood in the way, in one line.
    exit_code: of the fault.
    is_machine: whether another machine may do better.
  """

  is_complete: bool = False
  ended: tuple[Ended, ...] = ()
  work: tuple[float, float, float] = (0.0, 0.0, 0.0)
  is_unknown: bool = False
  refusal: str = ''
  fault: str = ''
  exit_code: int = 0
  is_machine: bool = False


class Report(NamedTuple):
  """The progress of a bundle.

  Attributes:
    number: of the bundle.
    ended: trials that have ended since the last report.
    seen: trial -> updates, of those under way.
    work: (sequences, useful, executed), as of `queue.Progress`.
    compiling: programs being compiled.
  """

  number: int
  ended: tuple[Ended, ...]
  seen: Mapping[str, float]
  work: tuple[float, float, float]
  compiling: int


# Id -> setting.
Trials = Mapping[str, Setting]
