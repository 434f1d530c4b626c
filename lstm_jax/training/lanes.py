"""Trials on-line, side by side in the lanes of compiled programs.

A trial that has ended is tested and handed over, and its lane may be given to
another one. Where few are left, the lanes move to a narrower program. Which
lane, width or device a trial has does not change it.

On a CPU sixteen lanes run until one of them has ended. Accelerators have
hundreds and thousands, spread over all devices of a process, of which some end
at almost every look: those that have ended wait, in as few updates as leave
nearly all others at work, and are taken out and replaced together.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple, cast

import numpy as np

from lstm_jax.training import kept_networks, learning_curve, online
from lstm_jax.training.compilation import CPU_WIDTH, Compiled, width_for
from lstm_jax.training.loop import (
  Advanced,
  Job,
  Loop,
  Outcome,
  TrialState,
)
from lstm_jax.training.trial_columns import (
  column_of,
  columns_of,
  first_trials,
  fresh_score,
  joined,
  net_in,
  net_of,
  on_host,
  padded,
  taken,
  trial_of,
  with_column,
)
from lstm_jax.training.trials import BUDGET, RUNNING, STATUS, Trials

TEST_SEQUENCES = 2560
# Compiling a narrower width costs seconds; it has to be earned first.
NARROW_AFTER_SECONDS = 60.0
# Of many lanes so many may have ended and wait until the others are looked at:
# with more of them updates come in smaller pieces, with fewer in larger ones.
_MOST_ENDED = 1 / 16
_FEW_ENDED = 1 / 64
_FIRST_UPDATES = 16


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
    trials: `Trials`: of `width` lanes on the device, or of a lane a job
      on the host; None where there are no jobs yet.
    is_on_device: which of them.
    networks: of each, those kept along its way; () where none are.
    seconds: `[n]` device time of each.
    has_ended: `[n]` bool.
    width: lanes of the program that runs.
    seconds_spent: device time since the start.
    most_updates: at a time, where lanes that have ended wait.
  """

  jobs: tuple[Job, ...]
  trials: Trials | None
  is_on_device: bool
  networks: tuple[kept_networks.Networks, ...]
  seconds: np.ndarray
  has_ended: np.ndarray
  width: int
  seconds_spent: float
  most_updates: int = _FIRST_UPDATES


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
    compiled: the `Compiled` of the device, or of all that lanes go over.
    widths: lane widths that may be compiled, ascending.
    tests: fresh sequences of the test after success, at least; 0: none.
  """
  join = functools.partial(_join, name, build, compiled, widths)
  nothing = Lanes((), None, False, (), np.zeros(0), np.zeros(0, bool), 0, 0.0)
  return Loop(
    start=functools.partial(join, nothing),
    advance=functools.partial(_advance, name, build, compiled, widths),
    charge=_charge,
    snapshot=_snapshot,
    results=functools.partial(_results, name, build, compiled, tests),
    num_free=_num_free,
    join=join,
    first=_FIRST_UPDATES,
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
  if leaves['status'] == BUDGET and leaves['seen'] < leaves['budget']:
    return leaves | {'status': np.full_like(leaves['status'], RUNNING)}
  return leaves


def _columns(lanes):
  return columns_of(_held(lanes), lanes.seconds) if lanes.jobs else []


def _held(lanes):
  """The trials on the host, a lane a job."""
  if lanes.is_on_device:
    return on_host(lanes.trials, len(lanes.jobs))
  return lanes.trials


def _join(name, build, compiled, widths, lanes, jobs, states):
  """More trials: those that go on from `states`, the others from the start."""
  trials = first_trials(
    compiled, name, build.program, build.numbers, jobs, widths[-1]
  )
  networks = [
    kept_networks.first(net_in(trials, i)) if job.keep else ()
    for i, job in enumerate(jobs)
  ]
  seconds = np.zeros(len(jobs))
  for i, job in enumerate(jobs):
    if job.id in states:
      seconds[i] = states[job.id].seconds
      leaves, networks[i] = kept_networks.taken_from(states[job.id].leaves)
      column = TrialState(_going_on(leaves), seconds[i])
      trials = with_column(trials, i, column)
  if lanes.jobs:
    trials = joined(_held(lanes), trials)
  return lanes._replace(
    jobs=(*lanes.jobs, *jobs),
    trials=trials,
    is_on_device=False,
    networks=(*lanes.networks, *networks),
    seconds=np.concatenate((lanes.seconds, seconds)),
    has_ended=np.concatenate((lanes.has_ended, np.zeros(len(jobs), bool))),
  )


def _advance(name, build, compiled, widths, lanes, updates):
  """At most so many training sequences of each trial."""
  count, width, trials = len(lanes.jobs), lanes.width, lanes.trials
  # A program of another width is compiled: that has to be earned.
  if lanes.seconds_spent > NARROW_AFTER_SECONDS or count > width:
    width = width_for(widths, count)
  if not lanes.is_on_device or width != lanes.width:
    trials = padded(_held(lanes), width)
  waits = width > CPU_WIDTH
  program = build.program
  (trials, work), has_compiled = compiled.over_lanes(
    name,
    program.advance_all if waits else program.advance,
    trials,
    np.int32(min(updates, lanes.most_updates) if waits else updates),
  )
  has_ended = np.asarray(trials.status)[:count] != RUNNING
  seen = np.asarray(trials.seen)[:count].tolist()
  networks = tuple(
    nets_kept
    if is_over or not kept_networks.is_due(nets_kept, n)
    else kept_networks.with_network(nets_kept, n, net_in(trials, i))
    for i, (nets_kept, n, is_over) in enumerate(
      zip(lanes.networks, seen, has_ended, strict=True)
    )
  )
  is_cut = updates > lanes.most_updates if waits else bool(has_ended.any())
  lanes = lanes._replace(
    trials=trials,
    is_on_device=True,
    networks=networks,
    has_ended=has_ended,
    width=width,
    most_updates=_updates_after(lanes.most_updates, float(has_ended.mean())),
  )
  return lanes, Advanced(
    seen={job.id: n for job, n in zip(lanes.jobs, seen, strict=True)},
    has_ended=bool(has_ended.any()),
    is_complete=not is_cut,
    has_compiled=has_compiled,
    sequences=float(np.sum(work.sequences)),
    useful=float(np.sum(work.useful)),
    # All devices wait for the one that is done last.
    executed=float(np.max(work.executed)) * compiled.num_devices,
  )


def _updates_after(updates, ended):
  """Updates of the next piece, by the part of the lanes that has ended."""
  if ended > _MOST_ENDED:
    return max(updates // 2, 1)
  return min(updates * 2, 10**6) if ended < _FEW_ENDED else updates


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
  if lanes.trials is None:
    return {}  # nothing has begun
  errors = np.asarray(lanes.trials.error.absolute)
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
  trials = _held(lanes)
  outcome_of = functools.partial(_outcome, name, build, compiled, tests, trials)
  outcomes = [
    outcome_of(
      lanes.jobs[i],
      column_of(trials, i, float(lanes.seconds[i])),
      lanes.networks[i],
    )
    for i in np.flatnonzero(lanes.has_ended).tolist()
  ]
  stay = np.flatnonzero(~lanes.has_ended)
  lanes = lanes._replace(
    jobs=tuple(lanes.jobs[i] for i in stay),
    trials=taken(trials, stay),
    is_on_device=False,
    networks=tuple(lanes.networks[i] for i in stay),
    seconds=lanes.seconds[stay],
    has_ended=lanes.has_ended[stay],
  )
  return lanes, outcomes


def _outcome(name, build, compiled, tests, structure, job, column, nets_kept):
  """The outcome of a trial that has ended, with its test if it was solved."""
  trial = trial_of(column, structure)
  status, seen = STATUS[int(trial.status)], int(trial.seen)
  net = net_of(column, structure)
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
