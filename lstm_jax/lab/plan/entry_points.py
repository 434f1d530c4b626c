"""Cells, tasks and learners that installed packages declare by name.

A package says in its metadata, in a group such as 'lstm_jax.cells', which of
its functions are cells: `leaky = my_package.cells:leaky`. The metadata is read;
nothing is imported.
"""

import functools
import importlib.metadata
from typing import NamedTuple

GROUP = 'lstm_jax.{}'


class EntryPoint(NamedTuple):
  """A name that a package has declared.

  Attributes:
    name: the short name.
    place: 'package.module:factory', its full name.
    package: who has declared it.
  """

  name: str
  place: str
  package: str


@functools.cache
def entry_points_of(kind: str) -> tuple[EntryPoint, ...]:
  """Names that packages declare of a kind, sorted; each once."""
  names = {
    EntryPoint(point.name, _place(point), _package(point))
    for point in importlib.metadata.entry_points(group=GROUP.format(kind))
  }
  return tuple(sorted(names))


def _place(point):
  """The place of an entry point, without the extras that may stand behind."""
  return point.value.partition('[')[0].replace(' ', '')


def _package(point):
  """The package of an entry point."""
  return point.dist.name if point.dist else '?'
