"""Levels that a predictor without memory reaches on a task."""

from collections.abc import Mapping
from typing import TypedDict, cast

from lstm_jax.lab.plan import catalog
from lstm_jax.ops import conditions

_SHORT_LENGTH = 50  # steps below which the levels of T = 100 do not hold


class Trivial(TypedDict, total=False):
  """The best constant predictor of a task.

  Attributes:
    predictor: words for it.
    absolute, squared, wrong: its mean errors, and the share that is wrong.
  """

  predictor: str
  absolute: float
  squared: float
  wrong: float


def trivial(
  task: str, options: Mapping[str, object], length: int | None
) -> Trivial | None:
  """Error levels of the best constant predictor.

  Args:
    task: its name.
    options: of the task, name -> value.
    length: T, None for a task that has none.

  Returns:
    `predictor` in words and `absolute`, the mean error; None where it is not
    known.
  """
  try:
    entry = catalog.describe('tasks', task)
  except ValueError:
    return None  # a task of another version
  fitting = (
    levels
    for condition, levels in entry.trivial
    if conditions.holds(condition, options)
  )
  levels = cast(Trivial | None, next(fitting, None))
  if levels is None:
    return None
  if task == 'adding' and length and length != 100:
    return {**levels, 'absolute': _of_adding(length)}
  if task == 'copying' and options.get('scored') == 'every_step' and length:
    return {**levels, 'absolute': levels['absolute'] * 120 / (length + 20)}
  if task == 'multiplication' and (length or 0) < _SHORT_LENGTH:
    return None
  return levels


def _of_adding(length):
  """Mean error of 1/2: of |X1 + X2| / 4, with X1 = 0 if the first is marked."""
  half = max(length // 2, 2)
  first = 1 / min(10, half)
  zero = first + (1 - first) / (half - 1)
  return (1 - zero) / 6 + zero / 8
