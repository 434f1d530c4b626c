"""Conditions on options, and what a learner needs: written once, read by all.

A plan has names and options and asks before JAX is imported; a factory has its
cell and its task in hand. Both read the literals of the same modules with the
functions here, and so refuse the same in the same words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from lstm_jax.choices import with_article


class Need(NamedTuple):
  """A part that a learner needs of its cell or its task.

  Attributes:
    part: its name, see `ops.parts`.
    why: the reason, for messages.
    when: the learner's options under which it does; {} always.
  """

  part: str
  why: str = ''
  when: Mapping[str, object] = {}


def holds(
  condition: Mapping[str, object], options: Mapping[str, object]
) -> bool:
  """Tells whether `options` meet a condition on some of them.

  Args:
    condition: name -> value; the value `...` asks for anything but None.
    options: name -> value. A condition on one that is not there is not met.
  """
  return condition.keys() <= options.keys() and all(
    _is(options[name], value) for name, value in condition.items()
  )


def _is(value, condition):
  if condition is ...:
    return value is not None
  # True is no 1.
  return (type(value) is bool, value) == (type(condition) is bool, condition)


def needs_of(literal: object) -> tuple[Need, ...]:
  """The needs that a `NEEDS` or `TASK_NEEDS` of a module names.

  Args:
    literal: names; or name -> reason, `(reason, condition)`, or a list of such
      where it is needed for several.

  Raises:
    TypeError: it is something else.

  Example:
    >>> needs_of({'readout': ('it reads the outputs', {'form': 'deep'})})
    (Need(part='readout', why='it reads the outputs', when={'form': 'deep'}),)
  """
  if not isinstance(literal, Mapping):
    if isinstance(literal, str) or not isinstance(literal, Iterable):
      raise TypeError(f'{literal!r} is no tuple of names')
    return tuple(map(Need, literal))
  needs = []
  for part, reasons in literal.items():
    for reason in reasons if isinstance(reasons, list) else [reasons]:
      why, when = (reason, {}) if isinstance(reason, str) else reason
      needs.append(Need(part, why, when))
  return tuple(needs)


def unmet(
  needs: Iterable[Need],
  options: Mapping[str, object],
  has: Callable[[str], bool],
) -> Iterator[tuple[str, str]]:
  """The needs that are not met.

  Args:
    needs: of a learner.
    options: name -> value of its options.
    has: part -> whether the cell, or the task, has it.

  Yields:
    `(part, reason)`.
  """
  for part, why, when in needs:
    if holds(when, options) and not has(part):
      yield part, why or f'it needs {with_article(part.replace("_", " "))}'


def refused(
  refuses: Iterable[tuple[Mapping[str, object], str]],
  options: Mapping[str, object],
) -> Iterator[tuple[tuple[str, ...], str]]:
  """The options that do not go together.

  Args:
    refuses: `(condition, reason)` pairs, `REFUSES` of a module.
    options: name -> value.

  Yields:
    `(names, reason)`.
  """
  for condition, reason in refuses:
    if holds(condition, options):
      yield tuple(condition), reason
