"""A network trained on a task in one call: seeds side by side, to the end.

The loop is that of the laboratory (`online`, `lanes`): a trial with the same
setting and seed is the same trial, to the bit where XLA has the same flags.
"""

from collections.abc import Callable, Iterable, Mapping

import jax
import numpy as np
from jax.typing import ArrayLike

from lstm_jax.learners._optimizer import Optimizer
from lstm_jax.training import lanes
from lstm_jax.training.compilation import widths_of
from lstm_jax.training.loop import Job, Loop, Outcome, restored
from lstm_jax.training.train_result import Progress, TrainResult, result_of
from lstm_jax.training.trial_program import (
  TrialProgram,
  refuse_traced,
  trial_program,
)
from lstm_jax.types import Cell, Learner, Task

_MAX_SEED = 2**31 - 1


def train(
  task: Task | Callable[..., Task],
  cell: Cell | Callable[..., Cell],
  learner: Learner | Callable[..., Learner],
  *,
  length: int | None = None,
  seeds: int | Iterable[int] = 10,
  max_sequences: int = 100_000,
  learning_rate: float | None = None,
  optimizer: Optimizer | None = None,
  numbers: Mapping[str, ArrayLike | None] | None = None,
  task_options: Mapping[str, object] | None = None,
  cell_options: Mapping[str, object] | None = None,
  learner_options: Mapping[str, object] | None = None,
  callback: Callable[[Progress], bool | None] | None = None,
  callback_every: int = 1000,
  test_sequences: int = lanes.TEST_SEQUENCES,
) -> TrainResult:
  """Trains networks on a task until each has learned it or spent its budget.

  Every seed is a trial of its own: its weights and its sequences follow from
  the seed alone. Trials run side by side in one compiled loop, which is
  compiled once for equal arguments (an optimizer or a function that is made
  anew is another one). Nothing is printed or written.

  Args:
    task: a `Task`, or a factory of one, as `lstm_jax.adding`.
    cell: a `Cell` for the inputs and outputs of the task, or a factory
      `(num_inputs, num_outputs, **options) -> Cell`, as `lstm_jax.lstm1997`.
    learner: a `Learner` made for them, or a factory
      `(cell, task, **options) -> Learner`, as `lstm_jax.truncated1997`.
    length: the task's T, in steps; needed unless the task has none.
    seeds: n for 0, ..., n - 1, or the seeds themselves, from 0 to 2**31 - 1.
    max_sequences: training sequences that a trial may be shown.
    learning_rate: alpha; None: the learner's default.
    optimizer: an option of gradient rules: 'sgd', 'adam', 'rmsprop' or
      'normalised' with this learning rate, or any `GradientTransformation` of
      optax, which has its own; every seed has its own state of it. None: the
      learner's default.
    numbers: name -> value of what cell and learner take when weights are drawn,
      as `{'forget_bias': 1.0}`; a bias that is None is drawn too.
    task_options, cell_options, learner_options: keywords of the factories.
    callback: called with a `Progress` about every `callback_every` sequences
      and when a trial has ended; what it returns ends the training where it is
      true, and trials that have not ended are 'stopped'.
    callback_every: training sequences of each trial between two calls.
    test_sequences: fresh sequences on which a solved network is tested, at
      least; 0: none.

  Returns:
    A `TrainResult`, which prints as `solved k/n`.

  Raises:
    ValueError: an argument that cannot be, by its name; what a factory refuses;
      a data set, which is trained on in epochs by `sweep`.

  Example:
    >>> import lstm_jax as lj
    >>> result = lj.train(
    ...   lj.adding, lj.lstm1997, lj.truncated1997, length=10, seeds=2,
    ...   max_sequences=64, test_sequences=0,
    ... )
    >>> print(result)
    solved 0/2 (95 %: 0 to 66 %) within 64 sequences
    >>> result.status, result.sequences.tolist()
    (('budget', 'budget'), [64, 64])
  """
  of_seeds = _seeds(seeds)
  for name, value, least in (
    ('max_sequences', max_sequences, 1),
    ('callback_every', callback_every, 1),
    ('test_sequences', test_sequences, 0),
  ):
    _check_integer(name, value, least)
  if callback is not None and not callable(callback):
    raise ValueError(f'callback={callback!r} must be a function')
  program = trial_program(
    task, cell, learner, length, optimizer, task_options, cell_options,
    learner_options,
  )  # fmt: skip
  values = program.numbers_for(learning_rate, numbers)
  jobs = [
    Job(str(i), 'train', seed, values, program.length, max_sequences)
    for i, seed in enumerate(of_seeds)
  ]
  outcomes = _run(program, jobs, test_sequences, callback, callback_every)
  params = [restored(program.params, outcome.net or {}) for outcome in outcomes]
  return result_of(
    program.task, program.cell, program.learner, program.length, of_seeds,
    max_sequences, outcomes, params,
  )  # fmt: skip


def _seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
  """The seeds, each once."""
  refuse_traced('seeds', seeds)
  if isinstance(seeds, jax.Array) and jax.dtypes.issubdtype(
    seeds.dtype, jax.dtypes.prng_key
  ):
    raise ValueError('seeds is a key of JAX; must be a count, or integers')
  if isinstance(seeds, np.ndarray | jax.Array):
    seeds = np.asarray(seeds)[()]
  if isinstance(seeds, int | np.integer):
    _check_integer('seeds', seeds, 1)
    return tuple(range(int(seeds)))
  if not isinstance(seeds, Iterable):
    raise ValueError(f'seeds={seeds!r} must be a count, or integers one by one')
  listed = tuple(seeds)
  for seed in listed:
    _check_integer('seeds', seed, 0)
    if seed > _MAX_SEED:
      raise ValueError(f'seeds={seed} must be at most {_MAX_SEED}')
  if not listed or len(set(listed)) < len(listed):
    raise ValueError(f'seeds={list(listed)} must be at least one, each once')
  return tuple(map(int, listed))


def _check_integer(name, value, least):
  """Raises ValueError unless a value is an integer that is large enough."""
  refuse_traced(name, value)
  if isinstance(value, bool) or not isinstance(value, int | np.integer):
    raise ValueError(f'{name}={value!r} must be an integer')
  if not least <= value <= _MAX_SEED:
    raise ValueError(f'{name}={value} must be from {least} to {_MAX_SEED}')


def _run(
  program: TrialProgram,
  jobs: list[Job],
  tests: int,
  callback: Callable[[Progress], bool | None] | None,
  every: int,
) -> list[Outcome]:
  """The outcome of each job, in their order."""
  widths = widths_of(program.compiled.device, program.build.carried)
  loop = program.build.loop('train', program.compiled, widths, tests)
  place = {job.id: i for i, job in enumerate(jobs)}
  seen = np.zeros(len(jobs), int)
  error = np.full(len(jobs), np.nan)
  outcomes: dict[str, Outcome] = {}
  waiting = jobs[widths[-1] :]
  state = loop.start(jobs[: widths[-1]], {})
  while len(outcomes) < len(jobs):
    state, advanced = loop.advance(state, every)
    state, ended = loop.results(state) if advanced.has_ended else (state, [])
    outcomes |= {outcome.id: outcome for outcome in ended}
    for job, count in advanced.seen.items():
      seen[place[job]] = count
    for job, value in lanes.errors_of(state).items():
      if seen[place[job]]:
        error[place[job]] = value
    for outcome in ended:
      error[place[outcome.id]] = outcome.metrics['train_absolute'] or np.nan
    if callback is not None and _is_end(
      callback(_progress(seen, error, outcomes))
    ):
      outcomes |= _stopped(loop, state, waiting, widths[-1])
    elif waiting and loop.num_free(state):
      free = loop.num_free(state)
      state = loop.join(state, waiting[:free], {})
      waiting = waiting[free:]
  return [outcomes[job.id] for job in jobs]


def _is_end(answer):
  """Tells whether what a callback returns ends the training."""
  if np.ndim(answer):
    raise ValueError(
      f'callback returned an array of shape {np.shape(answer)}; must be true '
      'or false, as .all() or .any() of it'
    )
  return bool(answer)


def _progress(seen, error, outcomes):
  statuses = [outcome.status for outcome in outcomes.values()]
  solved = statuses.count('solved')
  return Progress(
    seen.copy(), solved, len(seen) - len(outcomes), error.copy(), len(seen)
  )


def _stopped(
  loop: Loop, state: object, waiting: list[Job], width: int
) -> dict[str, Outcome]:
  """The outcomes of trials that are ended where they are."""
  outcomes = lanes.outcomes_now(loop, state)
  for at in range(0, len(waiting), width):
    state = loop.start(waiting[at : at + width], {})
    outcomes += lanes.outcomes_now(loop, state)
  return {one.id: one._replace(status='stopped') for one in outcomes}
