"""Trials as columns: the arrays of one, into the lanes of a program and out.

A column is what a trial has between two updates, wherever it goes on.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence

import jax
import numpy as np

from lstm_jax.ops import prng
from lstm_jax.training import online
from lstm_jax.training.compilation import Compiled
from lstm_jax.training.loop import (
  FreshScore,
  Job,
  OtherSnapshot,
  TrialState,
  named,
)
from lstm_jax.training.trials import IDLE, Trials

_TEST_LANES = 32


def columns_of(trials: Trials, seconds: Iterable[float]) -> list[TrialState]:
  """The lanes of `trials`, one `TrialState` for each entry of `seconds`."""
  leaves = [(name, np.asarray(x)) for name, x in named(trials)]
  return [
    TrialState({name: np.array(x[..., i]) for name, x in leaves}, spent)
    for i, spent in enumerate(seconds)
  ]


def column_of(trials: Trials, lane: int, seconds: float = 0.0) -> TrialState:
  """A lane of `trials` as a column."""
  leaves = {name: np.array(x[..., lane]) for name, x in named(trials)}
  return TrialState(leaves, seconds)


def stack(
  columns: Sequence[TrialState], structure: Trials, width: int
) -> Trials:
  """`Trials` of `width` lanes from columns; lanes to spare are idle copies.

  Args:
    columns: at most `width` columns.
    structure: `Trials` of the same program, for its tree.
    width: lanes.

  Raises:
    OtherSnapshot: a column of another program.
  """
  for column in columns:
    _check(column, structure)
  leaves = [
    np.stack([column.leaves[name] for column in columns], axis=-1)
    for name, _ in named(structure)
  ]
  return padded(
    jax.tree.unflatten(jax.tree.structure(structure), leaves), width
  )


def _check(column, structure):
  """Raises OtherSnapshot unless a column fits into the lanes of `structure`."""
  kinds = {name: (x.shape[:-1], x.dtype) for name, x in named(structure)}
  of_column = {name: (x.shape, x.dtype) for name, x in column.leaves.items()}
  if of_column != kinds:
    raise OtherSnapshot('a column does not have the arrays of this program')


def on_host(trials: Trials, count: int) -> Trials:
  """The first `count` lanes of `trials`, as arrays of NumPy."""
  return jax.tree.map(lambda x: np.asarray(x)[..., :count], trials)


def padded(trials: Trials, width: int) -> Trials:
  """`Trials` on the host with `width` lanes, those added idle copies."""
  count = trials.status.shape[-1]
  lanes = np.where(np.arange(width) < count, np.arange(width), 0)
  trials = taken(trials, lanes)
  trials.status[count:] = IDLE
  return trials


def taken(trials: Trials, lanes: np.ndarray) -> Trials:
  """Some lanes of `trials` on the host, in the order of `lanes`."""
  return jax.tree.map(lambda x: np.take(x, lanes, axis=-1), trials)


def joined(trials: Trials, more: Trials) -> Trials:
  """The lanes of two `Trials` on the host, one after the other."""
  return jax.tree.map(
    lambda x, y: np.concatenate((x, y), axis=-1), trials, more
  )


def with_column(trials: Trials, lane: int, column: TrialState) -> Trials:
  """`Trials` on the host with another column in a lane.

  Raises:
    OtherSnapshot: a column of another program.
  """
  _check(column, trials)
  leaves = []
  for name, x in named(trials):
    leaf = np.array(x)
    leaf[..., lane] = column.leaves[name]
    leaves.append(leaf)
  return jax.tree.unflatten(jax.tree.structure(trials), leaves)


def first_trials(
  compiled: Compiled,
  name: str,
  program: online.Program,
  numbers: Mapping[str, np.ndarray],
  jobs: Sequence[Job],
  width: int,
) -> Trials:
  """The first `Trials` of jobs, on the host.

  Args:
    compiled: the programs of a device, or of some.
    name: of the program.
    program: of the trials.
    numbers: name -> default of the numbers of one trial.
    jobs: of the trials, a lane each.
    width: lanes of the program that makes them, at most so many at a time.
  """
  parts = []
  for at in range(0, len(jobs), width):
    some = jobs[at : at + width]
    padded_jobs = [*some, *[some[-1]] * (width - len(some))]
    given = {
      number: np.stack(
        [
          np.broadcast_to(job.numbers.get(number, default), default.shape)
          for job in padded_jobs
        ],
        axis=-1,
      ).astype(np.float32)
      for number, default in numbers.items()
    }
    trials, _ = compiled.over_lanes(
      name,
      program.start,
      prng.keys_of([job.seed for job in padded_jobs]),
      given,
      np.array([job.length for job in padded_jobs], np.int32),
      np.array([job.budget for job in padded_jobs], np.int32),
    )
    parts.append(on_host(trials, len(some)))
  return functools.reduce(joined, parts)


def fresh_score(
  compiled: Compiled,
  name: str,
  program: online.Program,
  column: TrialState,
  structure: Trials,
  sequences: int,
) -> FreshScore:
  """The test of a column's network on at least `sequences` fresh sequences."""
  one = stack([column], structure, 1)
  wide = lambda x: np.repeat(x, _TEST_LANES, axis=-1)
  rounds = -(-sequences // _TEST_LANES)
  judged, _ = compiled(
    name,
    program.test,
    wide(one.length),
    jax.tree.map(wide, one.key),
    jax.tree.map(wide, one.learner.params),
    np.int32(rounds),
  )
  total = rounds * _TEST_LANES
  return FreshScore(
    total - int(np.sum(np.asarray(judged.right))),
    total,
    float(np.mean(np.asarray(judged.absolute), dtype=np.float64)),
    float(np.mean(np.asarray(judged.squared), dtype=np.float64)),
  )


def net_of(column: TrialState, structure: Trials) -> dict[str, np.ndarray]:
  """A column's weights: path in the params -> array."""
  weights = named(trial_of(column, structure).learner.params)
  return {name: np.asarray(leaf) for name, leaf in weights}


def trial_of(column: TrialState, structure: Trials) -> Trials:
  """`Trials` of one column, without lanes."""
  values = [column.leaves[name] for name, _ in named(structure)]
  return jax.tree.unflatten(jax.tree.structure(structure), values)


def net_in(trials: Trials, lane: int) -> dict[str, np.ndarray]:
  """The weights of a lane: path in the params -> array."""
  return {
    name: np.array(np.asarray(leaf)[..., lane])
    for name, leaf in named(trials.learner.params)
  }
