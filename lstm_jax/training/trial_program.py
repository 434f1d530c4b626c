"""From what `train` is given to a compiled loop of trials, made once."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from lstm_jax.choices import type_words, unknown, with_article
from lstm_jax.dataset import Dataset
from lstm_jax.learners._optimizer import Optimizer, has_own_rate
from lstm_jax.ops.initial import check_numbers
from lstm_jax.training import lanes, online
from lstm_jax.training.admission import admit_parts, admit_rule
from lstm_jax.training.compilation import Compiled, task_on
from lstm_jax.training.made_learner import check_made_for
from lstm_jax.types import Cell, Learner, Params, Task

# Programs that are kept for the next call with equal arguments.
_KEPT = 16
_OUTSIDE = (
  'train runs trials to their end, call it outside of jax.jit, jax.vmap and '
  'jax.grad'
)
_DISABLED = 'jax_disable_jit'
_FAR = 2**20  # a length at which every task that has one is long


class Wanted(NamedTuple):
  """A value, or the factory that makes it with some options.

  Attributes:
    value: a `Task`, `Cell`, `Learner` or a function.
    options: sorted `(keyword, value)` pairs for the function.
    kinds: the types of their values: True is no 1.
  """

  value: object
  options: tuple[tuple[str, object], ...] = ()
  kinds: tuple[type, ...] = ()

  @property
  def name(self) -> str:
    """The name of the factory, for messages."""
    return getattr(self.value, '__name__', type(self.value).__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class TrialProgram:
  """A task, a cell and a learner that fit, and their compiled loop.

  Attributes:
    task, cell, learner: what is trained.
    length: the task's T; 1 where it has none.
    build: the loop.
    compiled: its programs.
    params: the weights of a network in the learner's state, as shapes.
    has_own_rate: whether the optimizer has its learning rate in it.
    needed: names of numbers that have no default.
  """

  task: Task
  cell: Cell
  learner: Learner
  length: int
  build: lanes.Build
  compiled: Compiled
  params: Params
  has_own_rate: bool
  needed: tuple[str, ...]

  def numbers_for(
    self,
    learning_rate: float | None,
    numbers: Mapping[str, ArrayLike | None] | None,
  ) -> dict[str, ArrayLike]:
    """The numbers of a trial by name, those not given at their defaults.

    Raises:
      ValueError: a name that neither cell nor learner has, another shape, a
        rate that is no positive number, or one too many.
    """
    given = _mapping('numbers', numbers)
    if learning_rate is not None:
      if self.has_own_rate:
        raise ValueError(
          f'learning_rate={learning_rate} with an optimizer of optax, which '
          'has its own: give it there'
        )
      if 'learning_rate' in given:
        raise ValueError('learning_rate is given twice, also in numbers')
      given['learning_rate'] = learning_rate
    known = self.build.numbers
    for name, value in given.items():
      refuse_traced(name, value)
      if name not in known:
        raise ValueError(
          f'{name!r} is no number of this cell and learner: '
          f'{unknown(str(name), tuple(known))}'
        )
    if missing := [name for name in self.needed if name not in given]:
      where = 'it' if missing[0] == 'learning_rate' else 'it in numbers'
      raise ValueError(
        f'{missing[0]!r} is a number that this learner needs and has no '
        f'default for: give {where}'
      )
    if 'learning_rate' in given:
      rate = given['learning_rate']
      number = np.asarray(np.nan if isinstance(rate, bool) else rate)
      if number.dtype.kind not in 'iuf' or number.shape or not number > 0:
        raise ValueError(f'learning_rate={rate!r} must be a number above 0')
    return dict(check_numbers(given, known))


def trial_program(
  task: Task | Callable[..., Task],
  cell: Cell | Callable[..., Cell],
  learner: Learner | Callable[..., Learner],
  length: int | None,
  optimizer: Optimizer | None,
  task_options: Mapping[str, object] | None,
  cell_options: Mapping[str, object] | None,
  learner_options: Mapping[str, object] | None,
) -> TrialProgram:
  """The program of what `train` is given, made once for equal arguments.

  Raises:
    ValueError: an argument that does not fit, by its name.
  """
  parts = (
    _wanted('task', task, task_options),
    _wanted('cell', cell, cell_options),
    _wanted('learner', learner, learner_options),
  )
  if length is not None:
    refuse_traced('length', length)
    if isinstance(length, bool) or not isinstance(length, int | np.integer):
      raise ValueError(f'length={length!r} must be an integer')
    if length < 1:
      raise ValueError(f'length={length} must be at least 1')
  if optimizer is not None:
    parts = (*parts[:2], _with_optimizer(parts[2], optimizer))
  if getattr(jax.config, _DISABLED):
    raise ValueError(f'{_DISABLED}: train compiles its trials, call it without')
  # What a program belongs to besides.
  try:
    (device,) = jax.device_put(0.0).devices()
  except jax.errors.ConcretizationTypeError as error:
    raise ValueError(f'JAX is tracing: {_OUTSIDE}') from error
  dtype = str(jax.dtypes.canonicalize_dtype(float))
  make = _remembered
  try:
    hash(parts)
  except TypeError:
    make = _remembered.__wrapped__
  return make(parts, length, dtype, device)


def refuse_traced(name: str, value: object) -> None:
  """Raises ValueError, which names a value, where JAX traces it."""
  if isinstance(value, jax.core.Tracer):
    raise ValueError(f'{name} is traced: {_OUTSIDE}')


def _wanted(
  role: str, value: object, options: Mapping[str, object] | None
) -> Wanted:
  """A `Wanted`; what a `functools.partial` holds are options too."""
  given = _mapping(f'{role}_options', options)
  if isinstance(value, functools.partial) and not value.args:
    return _wanted(role, value.func, {**value.keywords, **given})
  kind = {'task': Task, 'cell': Cell, 'learner': Learner}[role]
  if isinstance(value, kind):
    if given:
      raise ValueError(
        f'{role}_options={given}: the {role} is made already; give its factory'
      )
  elif isinstance(value, Dataset):
    _refuse_dataset()
  elif not callable(value):
    raise ValueError(
      f'{role} is {type_words(value)}; must be {with_article(kind.__name__)}, '
      'or a function that makes one'
    )
  else:
    _check_options(role, value, given)
  return _with_options(value, given)


def _mapping(name, value):
  """A dictionary of names, empty for None."""
  if value is None:
    return {}
  if not isinstance(value, Mapping):
    raise ValueError(
      f'{name} is {type_words(value)}; must be a dictionary by name'
    )
  return dict(value)


def _check_options(role, factory, options):
  """Raises ValueError for a keyword that a factory does not take."""
  try:
    parameters = list(inspect.signature(factory).parameters.values())
  except (TypeError, ValueError):  # one that does not say
    return
  if any(p.kind is p.VAR_KEYWORD for p in parameters):
    return
  handed = {'task': 0, 'cell': 2, 'learner': 2}[role]
  known = tuple(p.name for p in parameters[handed:])
  for name in options:
    if name not in known:
      raise ValueError(
        f'{role}_options: {name!r} is no option of {Wanted(factory).name}: '
        f'{unknown(str(name), known)}'
      )


def _with_options(value, options):
  """A `Wanted` of a factory and its options."""
  pairs = tuple(sorted(options.items(), key=lambda pair: pair[0]))
  return Wanted(value, pairs, tuple(type(one) for _, one in pairs))


def _refuse_dataset():
  raise ValueError(
    'task: a data set is trained on in epochs: '
    "lstm_jax.sweep(task='NAME', cell='NAME')"
  )


def _with_optimizer(learner, optimizer):
  """The learner's factory with an optimizer among its options."""
  if isinstance(learner.value, Learner):
    raise ValueError(
      'optimizer: the learner is made already; give its factory, or give the '
      'optimizer to that'
    )
  if not _takes(learner.value, 'optimizer'):
    raise ValueError(f'optimizer: learner {learner.name} takes none')
  options = dict(learner.options)
  if 'optimizer' in options:
    raise ValueError('optimizer is given twice, also in learner_options')
  options['optimizer'] = optimizer
  return _with_options(learner.value, options)


def _takes(function, name):
  """Tells whether a function takes a keyword."""
  parameters = inspect.signature(function).parameters.values()
  return any(p.name == name or p.kind is p.VAR_KEYWORD for p in parameters)


@functools.lru_cache(maxsize=_KEPT)
def _remembered(parts, length, dtype, device):
  """A `TrialProgram`, the same for the same arguments."""
  del dtype  # belongs to what is remembered
  task, cell, learner = parts
  of_task = _call('task', task, Task)
  of_length = length_of(of_task, length)
  of_cell = _call('cell', cell, Cell, of_task.num_inputs, of_task.num_outputs)
  for name in ('num_inputs', 'num_outputs'):
    own, wanted = getattr(of_cell, name), getattr(of_task, name)
    if own != wanted:
      raise ValueError(f'cell has {name}={own}; the task has {wanted}')
  admit_parts(cell.name, of_cell, task.name, of_task, of_length)
  of_task = task_on(of_task, device.platform)
  static = _static_length(learner, of_length)
  of_learner = _call('learner', learner, Learner, of_cell, of_task, **static)
  own_rate = has_own_rate(dict(learner.options).get('optimizer', 'sgd'))
  numbers = _rule_numbers(learner, own_rate) | dict(of_cell.numbers)
  numbers, needed = _all_numbers(of_learner, numbers)
  admit_rule(learner.name, of_learner, of_cell, of_task, numbers)
  if isinstance(learner.value, Learner):
    check_made_for(of_learner, of_cell, of_task, of_length, numbers)
  weights = sum(int(np.sum(mask)) for mask in jax.tree.leaves(of_cell.mask))
  key = jax.random.key(0, impl='threefry2x32')
  params = jax.eval_shape(of_learner.init, key, numbers).params
  carry = jax.eval_shape(lambda: of_cell.initial_carry((), np.float32))
  build = lanes.Build(
    online.program(of_task, of_learner),
    numbers,
    weights + of_learner.extra_weights,
    sum(leaf.size for leaf in jax.tree.leaves(carry)),
  )
  return TrialProgram(
    of_task, of_cell, of_learner, of_length, build, Compiled(device),
    params, own_rate, needed,
  )  # fmt: skip


def _call(role, wanted, kind, *args, **more):
  """Calls a factory; a value that was given is returned."""
  if isinstance(wanted.value, kind):
    return wanted.value
  product = wanted.value(*args, **dict(wanted.options), **more)
  if isinstance(product, Dataset):
    _refuse_dataset()
  if not isinstance(product, kind):
    raise ValueError(
      f'{role}: {wanted.name} made {type_words(product)}; must be '
      f'{with_article(kind.__name__)}'
    )
  return product


def length_of(task: Task, length: int | None) -> int:
  """The task's T, which must be given where there is one; else 1.

  Raises:
    ValueError: none is given to a task that needs one, one to a task that has
      none, one that the task cannot have.
  """
  try:
    has_none = task.longest(1) == task.longest(_FAR)
  except ValueError:
    has_none = False
  if length is None:
    if not has_none:
      raise ValueError('length=None: this task needs its T, as length=100')
    return 1
  if has_none:
    raise ValueError(f'length={length}: this task has no length; leave it out')
  task.longest(length)  # refuses a length that it cannot have
  return int(length)


def _static_length(learner, length):
  """The length as a keyword, where the learner is made for one."""
  if isinstance(learner.value, Learner) or 'length' in dict(learner.options):
    return {}
  parameters = inspect.signature(learner.value).parameters
  if 'length' not in parameters:
    return {}
  static = _globals(learner.value).get('STATIC', ())
  options = {name: p.default for name, p in parameters.items()}
  options |= dict(learner.options)
  when = static.get('length') if isinstance(static, dict) else {}
  needs = 'length' in static and all(
    options.get(name) == value for name, value in (when or {}).items()
  )
  needs = needs or parameters['length'].default is inspect.Parameter.empty
  return {'length': length} if needs else {}


def _rule_numbers(learner, own_rate):
  """Name -> default of the numbers that a learner's module says it takes."""
  if isinstance(learner.value, Learner):
    return {}
  numbers = _globals(learner.value).get('NUMBERS', {})
  return {
    name: np.full((), np.nan if value is None else value, np.float32)
    for name, value in numbers.items()
    if not (own_rate and name == 'learning_rate')
  }


def _globals(function):
  """The module of a function, as a dictionary."""
  return getattr(inspect.unwrap(function), '__globals__', {})


def _all_numbers(learner, numbers):
  """`(numbers, those that must be given)` that a learner reads."""
  numbers = dict(numbers)
  needed: list[str] = []
  key = jax.random.key(0, impl='threefry2x32')
  while True:
    try:
      jax.eval_shape(learner.init, key, numbers)
      return numbers, tuple(needed)
    except KeyError as missing:
      name = missing.args[0]
      if not isinstance(name, str) or name in numbers:
        raise
      numbers[name] = np.full((), np.nan, np.float32)
      needed.append(name)
