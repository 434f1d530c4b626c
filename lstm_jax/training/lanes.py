"""Trials on-line, side by side in the lanes of compiled programs.

A trial that has ended is tested and handed over, and its lane may be given to
another one. Where few are left, the lanes move to a narrower program. Which
lane, width or device a trial has does not change it.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple, cast

import numpy as np

from lstm_jax.training import kept_networks, learning_curve, online
from lstm_jax.training.compilation import Compiled, width_for
from lstm_jax.training.loop import (
  Advanced,
  Job,
  Loop,
  Outcome,
  TrialState,
  named,
)
from lstm_jax.training.trial_columns import (
  columns_of,
  first_trials,
  fresh_score,
  net_in,
  net_of,
  stack,
  trial_of,
)

TEST_SEQUENCES = 2560
# Compiling a narrower width costs seconds; it has to be earned first.
NARROW_AFTER_SECONDS = 60.0


class Build(NamedTuple):
  """A program, and what is the same for its trials.

  Attributes:
    program: the program.
    numbers: name -> default of the numbers of one trial.
    weights: weights that a network has and that are trained.
    carried: numbers that a network carries from step to step.
  """

  program: online.Program
  numbers: Mapping[str, np.ndarray]
  weights: int | None = None
  carried: int = 0

  def loop(
    self,
    name: str,
    compiled: Compiled,
    widths: tuple[int, ...],
    tests: int = TEST_SEQUENCES,
  ) -> Loop:
    """The `Loop` of trials of this program, see `loop_of`."""
    return loop_of(name, self, compiled, widths, tests)


class Lanes(NamedTuple):
  """Trials between two updates.

  Attributes:
    jobs: of the trials, in the order of their lanes.
    columns: of each; None while they are on the device.
    trials: `online.Trials` of `width` lanes on the device; None while they are
      columns.
    structure: an `online.Trials`, for its tree.
    networks: of each, those kept along its way; () where none are.
    seconds: `[n]` device time of each.
    has_ended: `[n]` bool.
    width: lanes of the program that runs.
    seconds_spent: device time since the start.
  """

  jobs: tuple[Job, ...]
  columns: tuple[TrialState, ...] | None
  trials: online.Trials | None
  structure: online.Trials | None
  networks: tuple[kept_networks.Networks, ...]
  seconds: np.ndarray
  has_ended: np.ndarray
  width: int
  seconds_spent: float


def loop_of(
  name: str,
  build: Build,
  compiled: Compiled,
  widths: tuple[int, ...],
  tests: int = TEST_SEQUENCES,
) -> Loop:
  """Trials of one program and one length, as a `Loop`.

  Args:
    name: of the program.
    build: its `Build`.
    compiled: the `Compiled` of the device.
    widths: lane widths that may be compiled, ascending.
    tests: fresh sequences of the test after success, at least; 0: none.
  """
  join = functools.partial(_join, name, build, compiled, widths)
  nothing = Lanes(
    (), (), None, None, (), np.zeros(0), np.zeros(0, bool), 0, 0.0
  )
  return Loop(
    start=functools.partial(join, nothing),
    advance=functools.partial(_advance, name, build, compiled, widths),
    charge=_charge,
    snapshot=_snapshot,
    results=functools.partial(_results, name, build, compiled, tests),
    num_free=_num_free,
    join=join,
    first=16,
  )


def _num_free(lanes):
  return max(lanes.width - len(lanes.jobs), 0)


def _snapshot(lanes):
  """Job id -> `TrialState`, with the networks that are kept."""
  return {
    job.id: _with_networks(column, nets_kept)
    for job, column, nets_kept in zip(
      lanes.jobs, _columns(lanes), lanes.networks, strict=True
    )
  }


def _with_networks(column, nets_kept):
  return column._replace(
    leaves=column.leaves | kept_networks.leaves_of(nets_kept)
  )


def _going_on(leaves):
  """The leaves of a trial; one that has now more budget than it spent runs."""
  if leaves['status'] == online.BUDGET and leaves['seen'] < leaves['budget']:
    return leaves | {'status': np.full_like(leaves['status'], online.RUNNING)}
  return leaves


def _columns(lanes):
  if lanes.columns is not None:
    return lanes.columns
  return tuple(columns_of(lanes.trials, lanes.seconds))


def _join(name, build, compiled, widths, lanes, jobs, states):
  """More trials: those that go on from `states`, the others from the start."""
  columns, structure = first_trials(
    compiled, name, build.program, build.numbers, jobs, widths[-1]
  )
  networks = [
    kept_networks.first(net_of(column, structure)) if job.keep else ()
    for job, column in zip(jobs, columns, strict=True)
  ]
  for i, job in enumerate(jobs):
    if job.id in states:
      leaves, networks[i] = kept_networks.taken_from(states[job.id].leaves)
      columns[i] = states[job.id]._replace(leaves=_going_on(leaves))
  durations = np.array([column.seconds for column in columns])
  return lanes._replace(
    jobs=(*lanes.jobs, *jobs),
    columns=(*_columns(lanes), *columns),
    trials=None,
    structure=structure,
    networks=(*lanes.networks, *networks),
    seconds=np.concatenate((lanes.seconds, durations)),
    has_ended=np.concatenate((lanes.has_ended, np.zeros(len(jobs), bool))),
  )


def _advance(name, build, compiled, widths, lanes, updates):
  """At most so many training sequences of each trial."""
  count, width, trials = len(lanes.jobs), lanes.width, lanes.trials
  # A program of another width is compiled: that has to be earned.
  if lanes.seconds_spent > NARROW_AFTER_SECONDS or count > width:
    width = width_for(widths, count)
  if trials is None or width != lanes.width:
    trials = stack(_columns(lanes), lanes.structure, width)
  (trials, work), has_compiled = compiled(
    name, build.program.advance, trials, np.int32(updates)
  )
  has_ended = np.asarray(trials.status)[:count] != online.RUNNING
  seen = np.asarray(trials.seen)[:count].tolist()
  networks = tuple(
    nets_kept
    if is_over or not kept_networks.is_due(nets_kept, n)
    else kept_networks.with_network(nets_kept, n, net_in(trials, i))
    for i, (nets_kept, n, is_over) in enumerate(
      zip(lanes.networks, seen, has_ended, strict=True)
    )
  )
  lanes = lanes._replace(
    columns=None,
    trials=trials,
    networks=networks,
    has_ended=has_ended,
    width=width,
  )
  return lanes, Advanced(
    seen={job.id: n for job, n in zip(lanes.jobs, seen, strict=True)},
    has_ended=bool(has_ended.any()),
    is_complete=not has_ended.any(),
    has_compiled=has_compiled,
    sequences=float(work.sequences),
    useful=float(work.useful),
    executed=float(work.executed),
  )


def _charge(lanes, seconds):
  share = seconds / max(len(lanes.jobs), 1)
  return lanes._replace(
    seconds=lanes.seconds + share, seconds_spent=lanes.seconds_spent + seconds
  )


def errors_of(state: object) -> dict[str, float]:
  """Job id -> mean absolute error of its last training sequences.

  Args:
    state: of a `Loop` of this module.
  """
  lanes = cast(Lanes, state)
  if lanes.structure is None:
    return {}  # nothing has begun
  if lanes.trials is not None:
    errors = np.asarray(lanes.trials.error.absolute)
  else:
    trials = (trial_of(column, lanes.structure) for column in _columns(lanes))
    errors = np.array([trial.error.absolute for trial in trials])
  return {job.id: float(e) for job, e in zip(lanes.jobs, errors, strict=False)}


def outcomes_now(loop: Loop, state: object) -> list[Outcome]:
  """The outcomes of trials as if they had ended; 'running' is their status.

  Args:
    loop: of this module.
    state: its state.
  """
  lanes = cast(Lanes, state)
  has_ended = np.ones(len(lanes.jobs), bool)
  return loop.results(lanes._replace(has_ended=has_ended))[1]


def _results(name, build, compiled, tests, lanes):
  """Takes out the trials that have ended, tested where they are solved."""
  columns = _columns(lanes)
  outcome_of = functools.partial(
    _outcome, name, build, compiled, tests, lanes.structure
  )
  outcomes = [
    outcome_of(lanes.jobs[i], columns[i], lanes.networks[i])
    for i in np.flatnonzero(lanes.has_ended)
  ]
  stay = np.flatnonzero(~lanes.has_ended)
  lanes = lanes._replace(
    jobs=tuple(lanes.jobs[i] for i in stay),
    columns=tuple(columns[i] for i in stay),
    trials=None,
    networks=tuple(lanes.networks[i] for i in stay),
    seconds=lanes.seconds[stay],
    has_ended=lanes.has_ended[stay],
  )
  return lanes, outcomes


def _outcome(name, build, compiled, tests, structure, job, column, nets_kept):
  """The outcome of a trial that has ended, with its test if it was solved."""
  trial = trial_of(column, structure)
  status, seen = online.STATUS[int(trial.status)], int(trial.seen)
  net = {path: np.asarray(w) for path, w in named(trial.learner.params)}
  score = None
  if status == 'solved' and tests:
    score = fresh_score(compiled, name, build.program, column, structure, tests)
  metrics = {
    'weights': build.weights,
    'sequences_to_success': seen if status == 'solved' else None,
    'sequences_seen': seen,
    'first_passed': int(trial.first_passed) or None,
    'train_absolute': float(trial.error.absolute),
  }
  if score:
    metrics |= {f'test_{k}': value for k, value in score._asdict().items()}
  return Outcome(
    job.id,
    status,
    seen,
    column.seconds,
    metrics,
    learning_curve.lists(trial.curve),
    net=net,
    networks=kept_networks.with_last(nets_kept, seen, net),
    final_state=_with_networks(column, nets_kept)
    if status == 'budget'
    else None,
  )
