"""Trials as columns: the arrays of one, into the lanes of a program and out.

A column is what a trial has between two updates, wherever it goes on.
"""

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

_TEST_LANES = 32


def columns_of(
  trials: online.Trials, seconds: Iterable[float]
) -> list[TrialState]:
  """The lanes of `trials`, one `TrialState` for each entry of `seconds`."""
  leaves = [(name, np.asarray(x)) for name, x in named(trials)]
  return [
    TrialState({name: np.array(x[..., i]) for name, x in leaves}, spent)
    for i, spent in enumerate(seconds)
  ]


def stack(
  columns: Sequence[TrialState], structure: online.Trials, width: int
) -> online.Trials:
  """`Trials` of `width` lanes from columns; lanes to spare are idle copies.

  Args:
    columns: at most `width` columns.
    structure: `Trials` of the same program, for its tree.
    width: lanes.

  Raises:
    OtherSnapshot: a column of another program.
  """
  kinds = {name: (x.shape[:-1], x.dtype) for name, x in named(structure)}
  for column in columns:
    of_column = {name: (x.shape, x.dtype) for name, x in column.leaves.items()}
    if of_column != kinds:
      raise OtherSnapshot('a column does not have the arrays of this program')
  spare = [columns[0]] * (width - len(columns))
  leaves = [
    np.stack([column.leaves[name] for column in (*columns, *spare)], axis=-1)
    for name in kinds
  ]
  trials = jax.tree.unflatten(jax.tree.structure(structure), leaves)
  trials.status[len(columns) :] = online.IDLE
  return trials


def first_trials(
  compiled: Compiled,
  name: str,
  program: online.Program,
  numbers: Mapping[str, np.ndarray],
  jobs: Sequence[Job],
  width: int,
) -> tuple[list[TrialState], online.Trials]:
  """The first `Trials` of jobs, `width` at a time.

  Args:
    compiled: the programs of a device.
    name: of the program.
    program: of the trials.
    numbers: name -> default of the numbers of one trial.
    jobs: of the trials.
    width: lanes.

  Returns:
    `(columns, trials)`: a column a job, and one of the `Trials`.
  """
  columns = []
  for at in range(0, len(jobs), width):
    some = jobs[at : at + width]
    padded = [*some, *[some[-1]] * (width - len(some))]
    given = {
      number: np.stack(
        [
          np.broadcast_to(job.numbers.get(number, default), default.shape)
          for job in padded
        ],
        axis=-1,
      ).astype(np.float32)
      for number, default in numbers.items()
    }
    high, low = zip(*(prng.key_of(job.seed) for job in padded), strict=True)
    trials, _ = compiled(
      name,
      program.start,
      (np.array(high), np.array(low)),
      given,
      np.array([job.length for job in padded], np.int32),
      np.array([job.budget for job in padded], np.int32),
    )
    columns += columns_of(trials, [0.0] * len(some))
  return columns, trials


def fresh_score(
  compiled: Compiled,
  name: str,
  program: online.Program,
  column: TrialState,
  structure: online.Trials,
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


def net_of(
  column: TrialState, structure: online.Trials
) -> dict[str, np.ndarray]:
  """A column's weights: path in the params -> array."""
  weights = named(trial_of(column, structure).learner.params)
  return {name: np.asarray(leaf) for name, leaf in weights}


def trial_of(column: TrialState, structure: online.Trials) -> online.Trials:
  """`Trials` of one column, without lanes."""
  values = [column.leaves[name] for name, _ in named(structure)]
  return jax.tree.unflatten(jax.tree.structure(structure), values)


def net_in(trials: online.Trials, lane: int) -> dict[str, np.ndarray]:
  """The weights of a lane: path in the params -> array."""
  return {
    name: np.array(np.asarray(leaf)[..., lane])
    for name, leaf in named(trials.learner.params)
  }
