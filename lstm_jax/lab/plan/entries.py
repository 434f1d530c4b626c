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


def is_newcomer(setting: Setting) -> bool:
  """Tells whether flags brought the entry that a setting is of.

  Its reading is CELL+LEARNER then; no entry of a grid has a plus in its name.
  """
  name = setting.reading.partition(', ')[0]
  return name == _MARK.join((setting.cell, setting.learner))


def with_flags(table: Grid, request: Request) -> tuple[Grid, Request]:
  """A grid with the entry that flags bring, in place of its own.

  `--cell` and `--learner` select among the entries of a grid, as of any grid.
  Where none has what they name, they are an entry: what else it is the flags
  say, or `newcomer` does, or it is at its default.

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
  if not (table.newcomer and roles):
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
  roles = {
    axis.name: axis for axis in table.newcomer if axis.name in _ROLES
  } | {name: Axis(name, (value,), f'--{name}') for name, value in named.items()}
  known = set().union(*map(_names_of, roles.values()))
  axes = {axis.name: axis for axis in table.newcomer if axis.name in known}
  axes |= flags_given | roles
  name = '+'.join(str(catalog.name_of(axes[role].values[0])) for role in _ROLES)
  return Entry(name, tuple(axes.values()))


def _names_of(axis):
  """Dotted names of the options and numbers of a cell or a learner."""
  try:
    entry = catalog.find(axis.name, catalog.name_of(axis.values[0]))
  except ValueError:
    return ()  # refused where all reasons are given
  return (f'{axis.name}.{name}' for name in (*entry.options, *entry.numbers))
