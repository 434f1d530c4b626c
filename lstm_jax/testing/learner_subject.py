"""The subject of checks of a learner: what it trains, and lanes of it."""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import NamedTuple, cast

import jax
import numpy as np
from jax.typing import DTypeLike

from lstm_jax import public
from lstm_jax.ops.conditions import holds
from lstm_jax.ops.prng import Key
from lstm_jax.testing.broken import must_be
from lstm_jax.testing.numeric import key_of
from lstm_jax.testing.promises import build
from lstm_jax.types import (
  Cell,
  Episode,
  Judgement,
  Learner,
  LearnerState,
  Task,
)

# Learning rates of the lanes; one does not learn.
RATES = (0.5, 0.0, 0.25)
LANES = (len(RATES),)
# Asked for in each lane: sequences of different lengths side by side.
SHORTENED_BY = (0, 3, 1)


class Subject(NamedTuple):
  """A learner under examination, with what it trains.

  Attributes:
    learner: the learner.
    cell, task: what it trains, and what that learns.
    length: T.
    numbers: name -> default, of the learner and of the cell.
    own_numbers: names of those of the learner.
    is_exact: whether an update goes down the full gradient.
    traces: an entry for each time that `run` was compiled.
    run: `(state, episode) -> (state, judgement of update, of judge)`.
    run_alone: `update`, compiled apart.
  """

  learner: Learner
  cell: Cell
  task: Task
  length: int
  numbers: dict[str, np.ndarray]
  own_numbers: tuple[str, ...]
  is_exact: bool
  traces: list[int]
  run: Callable[..., tuple[LearnerState, Judgement, Judgement]]
  run_alone: Callable[..., tuple[LearnerState, Judgement]]


def subject_of(
  factory: Callable[..., Learner] | Learner,
  name: str,
  cell: Cell | None,
  task: Task | None,
  length: int,
  options: Mapping[str, object],
  numbers: Mapping[str, object] | None,
  exact: bool | None,
) -> Subject:
  """The subject that `check_learner` is asked to look at.

  Args:
    factory: of a learner, or a learner.
    name: for messages.
    cell, task, length, options, numbers, exact: of `check_learner`.

  Raises:
    Broken: it is no learner.
  """
  module = sys.modules.get(getattr(factory, '__module__', ''))
  task = _default_task() if task is None else task
  cell = _default_cell(task) if cell is None else cell
  own_numbers = numbers or getattr(module, 'NUMBERS', {'learning_rate': 0.1})
  options_of = dict(options)
  if 'length' in getattr(module, 'STATIC', ()):
    options_of.setdefault('length', length)
  if exact is None:
    exact = _claims_exactness(factory, module, options_of)
  learner = build(factory, Learner, f'learner {name}', cell, task, **options_of)
  must_be(f'learner {name}', learner, Learner)
  traces: list[int] = []

  @jax.jit
  def run(state, episode):
    traces.append(1)
    return *learner.update(state, episode), learner.judge(state.params, episode)

  all_numbers = {**own_numbers, **dict(cell.numbers)}
  return Subject(
    learner, cell, task, length,
    {n: np.asarray(v, np.float64) for n, v in all_numbers.items()},
    tuple(own_numbers), exact, traces, run, jax.jit(learner.update),
  )  # fmt: skip


def _claims_exactness(
  factory: object, module: ModuleType | None, options: Mapping[str, object]
) -> bool:
  """Tells whether PROVIDES names the exact gradient under these options."""
  provides = getattr(module, 'PROVIDES', ())
  if 'exact_gradient' not in provides or not callable(factory):
    return False
  parameters = inspect.signature(factory).parameters.values()
  values = {
    parameter.name: parameter.default for parameter in parameters
  } | dict(options)
  condition = provides['exact_gradient'] if isinstance(provides, dict) else {}
  return holds(condition, values)


def _default_task() -> Task:
  factory = cast(Callable[..., Task], public.value_of('adding'))
  return factory()


def _default_cell(task: Task) -> Cell:
  factory = cast(Callable[..., Cell], public.value_of('lstm1997'))
  return factory(task.num_inputs, task.num_outputs, bias='gates')


def numbers_of(
  subject: Subject, rate: float, dtype: DTypeLike = np.float64
) -> dict[str, np.ndarray]:
  """Numbers of one network, rates replaced and weights large."""
  numbers = {n: np.asarray(v, dtype) for n, v in subject.numbers.items()}
  for name in numbers:
    if name.endswith('_rate'):
      numbers[name] = np.asarray(rate, dtype)
    if name.endswith('_range'):
      numbers[name] = np.asarray(0.5, dtype)
  return numbers


def states_of(subject: Subject) -> LearnerState:
  """States of networks from keys of their own, a lane each."""
  states = [
    subject.learner.init(key_of(i), numbers_of(subject, rate))
    for i, rate in enumerate(RATES)
  ]
  return jax.tree.map(lambda *a: np.stack(a, axis=-1), *states)


def episodes_of(subject: Subject, seed: int = 7) -> Episode:
  """Sequences of the task, a lane each, of different lengths."""
  words = np.arange(2 * LANES[0], dtype=np.uint32).reshape(2, *LANES) + seed
  lengths = (subject.length - np.array(SHORTENED_BY)).astype(np.int32)
  return drawer(subject.task.fresh)(Key(*words), lengths)


@functools.lru_cache(maxsize=8)
def drawer(draw: Callable[..., Episode]) -> Callable[..., Episode]:
  """`Task.fresh`, compiled once a task, however many learners meet it."""
  return jax.jit(draw)
