"""Entries that flags bring to a grid in which entries meet all rows."""

import itertools

from lstm_jax.lab.plan import catalog, grid_rows
from lstm_jax.lab.plan.flags import Request
from lstm_jax.lab.plan.grid import Grid
from lstm_jax.lab.plan.grid_check import AXES
from lstm_jax.lab.plan.grid_rows import Entry
from lstm_jax.lab.plan.references import Axis
from lstm_jax.lab.store.setting import Setting

_ROLES = ('cell', 'learner')
_MARK = '+'
# Flags that say what is entered, not what it meets.
_OF_ENTRY = tuple(name for name in AXES.values() if not name.startswith('task'))


def course_of(setting: Setting) -> str:
  """The course that a setting is of; '' for one that is of none.

  Its row is called COURSE.ENTRY, its reading ENTRY, with what flags changed.
  """
  entry = setting.reading.partition(', ')[0]
  name = setting.row_name
  is_entry = bool(entry) and name.endswith(f'.{entry}')
  return name.removesuffix(f'.{entry}') if is_entry else ''


def with_flags(table: Grid, request: Request) -> tuple[Grid, Request]:
  """A grid with the entry that flags bring, in place of its own.

  `--cell` and `--learner` select among the entries of a grid, as of any grid.
  Where none has what they name, they are an entry: what else it is the flags
  say, or what all entries start from, or it is at its default.

  Args:
    table: of `grid.load`.
    request: a `flags.Request`, names of others being references.

  Returns:
    The grid, and the request without the flags that have become the entry's;
    both as they were where the flags bring none.
  """
  flags_given = {
    axis.name: axis for axis in request.axes if axis.name in _OF_ENTRY
  }
  roles = [flags_given[name] for name in _ROLES if name in flags_given]
  if not ({*_ROLES} <= {axis.name for axis in table.start} and roles):
    return table, request
  entries: list[Entry] = []
  for words in itertools.product(*(axis.values for axis in roles)):
    named = dict(zip((axis.name for axis in roles), words, strict=True))
    alike = [one for one in table.entries if _has(one, named)]
    entries += [one for one in alike if one not in entries] or [
      _newcomer(table, named, flags_given)
    ]
  if all(one in table.entries for one in entries):
    return table, request
  rows = tuple(grid_rows.entered(table.courses, entries))
  left = tuple(axis for axis in request.axes if axis.name not in flags_given)
  return (
    table._replace(rows=rows, entries=tuple(entries)),
    request._replace(axes=left),
  )


def _has(entry, named):
  """Tells whether an entry has a cell, a learner."""
  own = {axis.name: axis.values for axis in entry.axes}
  return all(own[name] == (value,) for name, value in named.items())


def _newcomer(table, named, flags_given):
  """The entry of a cell, a learner that no other has."""
  own = flags_given | {
    name: Axis(name, (value,), f'--{name}') for name, value in named.items()
  }
  axes = grid_rows.started(table.start, tuple(own.values()))
  words = {axis.name: str(catalog.name_of(axis.values[0])) for axis in axes}
  return Entry(_MARK.join(words[role] for role in _ROLES), axes)
