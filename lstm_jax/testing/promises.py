"""Promises: what is looked at, one after the other, and what is said of it."""

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Generic, NamedTuple, TypeVar, cast

import jax

from lstm_jax.choices import unknown
from lstm_jax.testing.broken import Broken, must_be

Subject = TypeVar('Subject')
Kind = TypeVar('Kind')


class Promise(NamedTuple, Generic[Subject]):
  """Something that a cell, a learner, a task or a data set promises.

  Attributes:
    name: a word for it.
    where: the part that keeps or breaks it, where to look.
    check: `subject -> None`, raises `Broken`.
  """

  name: str
  where: str
  check: Callable[[Subject], None]


class Failure(NamedTuple):
  """A promise that is broken.

  Attributes:
    promise: its name.
    message: what is wrong and where to look, one line.
  """

  promise: str
  message: str


def build(
  factory: Callable[..., Kind] | Kind,
  kind: type[Kind],
  title: str,
  /,
  *args: object,
  **options: object,
) -> Kind:
  """The subject of checks: itself where it is given, or made by its factory.

  Args:
    factory: one of the kind, or what makes one.
    kind: `Cell`, `Learner`, `Task` or `Dataset`.
    title: of the checked part, for the message.
    *args: of the factory.
    **options: of the factory.

  Raises:
    Broken: it is neither.
  """
  if isinstance(factory, kind):
    return factory
  if inspect.isclass(factory) or not callable(factory):
    must_be(title, factory, kind)
  return cast('Callable[..., Kind]', factory)(*args, **options)


def hold(
  title: str,
  promises: Sequence[Promise[Subject]],
  subject: Subject,
  without: Collection[str],
  raises: bool,
) -> tuple[Failure, ...]:
  """Holds a subject to its promises.

  The first promise is what the others lean on: where it is broken, they are not
  looked at.

  Args:
    title: of the checked part, for messages.
    promises: what is looked at.
    subject: what the promises are of.
    without: names of promises that are left out.
    raises: whether failures are raised, or returned.

  Returns:
    The failures, () for none.

  Raises:
    Broken: all failures, a line each, where `raises`.
    ValueError: a name in `without` that is no promise.
  """
  names = [promise.name for promise in promises]
  for name in without:
    if name not in names:
      raise ValueError(f'without={name!r}: {unknown(name, names)}')
  failures = []
  with jax.enable_x64(True), jax.numpy_rank_promotion('raise'):
    for i, promise in enumerate(promises):
      if promise.name in without:
        continue
      if fault := _fault_of(promise, subject):
        message = (
          f'{title}: {fault.removeprefix(f"{title}: ")} ({promise.where})'
        )
        failures.append(Failure(promise.name, message))
        if i == 0:
          break
  if failures and raises:
    head = '' if len(failures) == 1 else f'{len(failures)} broken promises\n'
    raise Broken(head + '\n'.join(f'{f.message}' for f in failures))
  return tuple(failures)


def _fault_of(promise, subject):
  """One line on what breaks a promise; '' where it is kept."""
  try:
    promise.check(subject)
    return ''
  except Broken as error:
    fault = str(error)
  except jax.errors.ConcretizationTypeError as error:
    fault = (
      'cannot be compiled: Python looks at values that are known only when the '
      f'program runs: {str(error).partition(chr(10))[0]}'
    )
  except jax.errors.UnexpectedTracerError:
    fault = 'keeps what it computed in one call for another: it is not pure'
  except Exception as error:  # of the code that is looked at
    fault = f'raises {type(error).__name__}: {error}'
  return ' '.join(fault.split())[:600]
