"""Selects combinations of a grid by flags, and changes what flags change."""

import itertools
from collections.abc import Sequence

from lstm_jax.lab.plan import catalog, values
from lstm_jax.lab.plan import points as points_lib
from lstm_jax.lab.plan.flags import Request
from lstm_jax.lab.plan.grid import Axis, Grid
from lstm_jax.lab.plan.points import Point
from lstm_jax.lab.plan.resolve import Given
from lstm_jax.lab.store.setting import Setting


def selected(
  points: Sequence[Point],
  settings: Sequence[Setting],
  request: Request,
  table: Grid,
) -> list[int]:
  """Positions of the points of the chosen rows that have the values of every
  axis flag."""
  listed = tuple(row.name for row in table.rows)
  for name in request.rows:
    if name not in listed:
      raise values.Refused(f'--row={name}: {catalog.unknown(name, listed)}')
  held = [values_of(setting) for setting in settings]
  kept = [
    i
    for i, point in enumerate(points)
    if not request.rows or point.row.name in request.rows
  ]
  for axis in request.axes:
    there = {held[i][axis.name] for i in kept if axis.name in held[i]}
    wanted = {canonical(str(value)): value for value in axis.values}
    for key, value in wanted.items():
      if key not in there:
        words = ', '.join(str(v) for v in sorted(there, key=_rank))
        raise values.Refused(
          f'{axis.source}={value}: no row of grid {table.name} has it'
          f'{" under the other flags" if len(request.axes) > 1 else ""}; '
          f'choose from {words or "(none)"}'
        )
    kept = [i for i in kept if held[i].get(axis.name) in wanted]
  return kept


def values_of(setting: Setting) -> dict[str, str]:
  """Dotted name -> canonical value of everything that a setting has."""
  held = {name: getattr(setting, name) for name in ('task', 'cell', 'learner')}
  if setting.length is not None:
    held['task.length'] = str(setting.length)
  for one in ('task', 'cell', 'learner'):
    for name, value in getattr(setting, f'{one}_options'):
      held[f'{one}.{name}'] = values.written(name, value)
  for one in catalog.ROLES:
    for name in catalog.of(setting, one).numbers:
      if name != 'length':
        value = dict(setting.numbers)[name]
        held[f'{one}.{name}'] = values.written(name, value)
  if 'task.window' in held:
    held['learner.window'] = held['task.window']  # see `resolve.whose`
  return {name: canonical(value) for name, value in held.items()}


def canonical(text: str) -> str:
  """One spelling of a number: 0.50 and 0.5 select the same rows."""
  try:
    return values.written('', float(text))
  except ValueError:
    return text


def _rank(text):
  try:
    return (0, float(text), text)
  except ValueError:
    return (1, 0.0, text)


def changed_by(
  changes: Sequence[Axis], points: Sequence[Point], settings: Sequence[Setting]
) -> str:
  """Says what flags change in how many rows; refused where in none."""
  said = []
  for axis in changes:
    flag = f'{axis.source}={",".join(map(str, axis.values))}'
    rows = {
      point.row.name
      for point, setting in zip(points, settings, strict=True)
      if axis.name in values_of(setting)
    }
    if not rows:
      given = {axis.name: Given(axis.values[0], axis.source)}
      points_lib.settings_of(
        [points[0]._replace(given=points[0].given | given)]
      )
    count = len({point.row.name for point in points})
    said.append(flag + f' in {len(rows)} of {count} rows' * (len(rows) < count))
  return f'; changed: {", ".join(said)}' if said else ''


def overridden(
  points: Sequence[Point],
  settings: Sequence[Setting],
  changes: Sequence[Axis],
  request: Request,
  partial: bool = False,
) -> list[Point]:
  """The points with other values in place of their own.

  A value that a point has already changes nothing, its name included.

  Args:
    points: the points.
    settings: of the points.
    changes: axes that override.
    request: whose seeds and budget override.
    partial: leave alone what has no such axis.
  """
  changed: dict[tuple[str, str], Point] = {}
  for point, setting in zip(points, settings, strict=True):
    row = point.row._replace(
      seeds=request.seeds or point.row.seeds,
      budget=request.budget or point.row.budget,
    )
    held = values_of(setting)
    mine = [axis for axis in changes if axis.name in held or not partial]
    for combination in itertools.product(*(axis.values for axis in mine)):
      given, words, reading = dict(point.given), dict(point.words), []
      for axis, value in zip(mine, combination, strict=True):
        same = held.get(axis.name) == canonical(str(value))
        if same and len(axis.values) == 1:
          continue
        given[axis.name] = Given(value, axis.source)
        words.pop(axis.name, None)
        words[axis.name] = f'{axis.name}={value}'
        reading.append(words[axis.name])
      reading = ', '.join(filter(None, (row.reading, *reading)))
      new = points_lib.Point(row._replace(reading=reading), words, given)
      changed.setdefault((row.name, new.label), new)
  found = list(changed.values())
  points_lib.check_size((len(p.row.seeds) for p in found), request.yes)
  return found
