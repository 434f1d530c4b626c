"""Results of training from Python: arrays, one entry a seed."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lstm_jax.ops.intervals import Interval, solved_words, wilson
from lstm_jax.training.loop import Outcome
from lstm_jax.types import Cell, Learner, Params, Task


class Progress(NamedTuple):
  """The state of a training, for a callback.

  Attributes:
    seen: `[n]` training sequences that each trial was shown so far.
    solved: trials that have learned the task.
    running: trials that have not ended.
    error: `[n]` mean absolute error of each over about its last 100 training
      sequences; nan before the first.
    trials: n.
  """

  seen: np.ndarray
  solved: int
  running: int
  error: np.ndarray
  trials: int


class LearningCurve(NamedTuple):
  """Training errors of one trial, interval by interval.

  Attributes:
    sequences: `[p]` the last training sequence of each interval.
    train_error: `[p]` mean absolute error over it, before learning from each.
    train_right: `[p]` share of its sequences within the task's tolerance.
  """

  sequences: np.ndarray
  train_error: np.ndarray
  train_right: np.ndarray


class Tests(NamedTuple):
  """Solved networks on fresh sequences; nan where a trial has no test.

  Attributes:
    wrong, total: `[n]` sequences outside the tolerance, and all.
    absolute, squared: `[n]` mean errors.
  """

  wrong: np.ndarray
  total: np.ndarray
  absolute: np.ndarray
  squared: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class TrainResult:
  """Trials of one setting, in the order of their seeds.

  Attributes:
    task, cell, learner: what was trained.
    length: the task's T.
    seeds: `[n]`.
    max_sequences: the budget of a trial.
    status: how each ended: 'solved', 'budget' (spent), 'given_up' (cannot
      succeed any more), 'diverged' (a number is not finite) or 'stopped' (by
      the callback).
    sequences: `[n]` training sequences that each was shown.
    sequences_to_success: `[n]` the same of solved trials; infinite for others.
    error: `[n]` mean absolute error of the last training sequences.
    curves: a `LearningCurve` each.
    params: the weights of each at its end, without lanes, as `lstm_jax.layer`
      and `cell.step` take them.
    tests: a `Tests`.
  """

  task: Task
  cell: Cell
  learner: Learner
  length: int
  seeds: np.ndarray
  max_sequences: int
  status: tuple[str, ...]
  sequences: np.ndarray
  sequences_to_success: np.ndarray
  error: np.ndarray
  curves: tuple[LearningCurve, ...]
  params: tuple[Params, ...]
  tests: Tests

  @property
  def trials(self) -> int:
    """n."""
    return len(self.seeds)

  @property
  def solved(self) -> int:
    """k, the trials that have learned the task."""
    return self.status.count('solved')

  @property
  def interval(self) -> Interval:
    """Wilson's 95 % interval of the probability to solve."""
    return wilson(self.solved, self.trials)

  @property
  def median(self) -> float:
    """Median sequences to success of all trials; infinite if half failed."""
    return float(np.median(self.sequences_to_success))

  def __repr__(self) -> str:
    text = solved_words(self.solved, self.trials, self.median)
    if not np.isfinite(self.median):
      text += f' within {self.max_sequences:,} sequences'
    ends = [s for s in self.status if s not in ('solved', 'budget')]
    counts = (f'{ends.count(s)} {s}' for s in dict.fromkeys(ends))
    return '; '.join((text, *counts))


def result_of(
  task: Task,
  cell: Cell,
  learner: Learner,
  length: int,
  seeds: Sequence[int],
  max_sequences: int,
  outcomes: Sequence[Outcome],
  params: Sequence[Params],
) -> TrainResult:
  """The result of outcomes, one a seed."""
  column = lambda name: np.array(
    [_number(outcome.metrics, name) for outcome in outcomes]
  )
  waits = column('sequences_to_success')
  return TrainResult(
    task=task,
    cell=cell,
    learner=learner,
    length=length,
    seeds=np.array(seeds),
    max_sequences=int(max_sequences),
    status=tuple(outcome.status for outcome in outcomes),
    sequences=np.array([int(outcome.seen) for outcome in outcomes]),
    sequences_to_success=np.where(np.isnan(waits), np.inf, waits),
    error=column('train_absolute'),
    curves=tuple(
      LearningCurve(
        *(np.array(outcome.curves[name]) for name in LearningCurve._fields)
      )
      for outcome in outcomes
    ),
    params=tuple(params),
    tests=Tests(*(column(f'test_{name}') for name in Tests._fields)),
  )


def _number(metrics: Mapping[str, float | None], name: str) -> float:
  value = metrics.get(name)
  return np.nan if value is None else float(value)
