"""Selects combinations of a grid by flags, and changes what flags change."""

import itertools
from collections.abc import Sequence

from lstm_jax.choices import choose, unknown
from lstm_jax.lab.plan import automatic, catalog, values
from lstm_jax.lab.plan import points as points_lib
from lstm_jax.lab.plan.flags import Request
from lstm_jax.lab.plan.grid import Grid
from lstm_jax.lab.plan.points import Point
from lstm_jax.lab.plan.references import Axis
from lstm_jax.lab.plan.resolve import RawValue
from lstm_jax.lab.store.setting import Setting


def indices_of(
  points: Sequence[Point],
  settings: Sequence[Setting],
  request: Request,
  table: Grid,
) -> list[int]:
  """Positions of the points of the chosen rows that have the values of every
  axis flag."""
  row_names = tuple(row.name for row in table.rows)
  for name in request.rows:
    if name not in row_names:
      raise values.Refused(f'--row={name}: {unknown(name, row_names)}')
  held = [values_of(setting) for setting in settings]
  indices = [
    i
    for i, point in enumerate(points)
    if not request.rows or point.row.name in request.rows
  ]
  for axis in request.axes:
    present_values = {
      held[i][axis.name] for i in indices if axis.name in held[i]
    }
    choices = {canonical(str(value)): value for value in axis.values}
    for key, value in choices.items():
      if key not in present_values:
        raise values.Refused(
          f'{axis.source}={value}: no row of grid {table.name} has it'
          f'{" under the other flags" if len(request.axes) > 1 else ""}; '
          f'{choose(sorted(present_values, key=_rank), axis.name)}'
        )
    indices = [i for i in indices if held[i].get(axis.name) in choices]
  return indices


def values_of(setting: Setting) -> dict[str, str]:
  """Dotted name -> canonical value of everything that a setting has."""
  values_by_name = {
    name: getattr(setting, name) for name in ('task', 'cell', 'learner')
  }
  if setting.length is not None:
    values_by_name['task.length'] = str(setting.length)
  for role in ('task', 'cell', 'learner'):
    for name, value in getattr(setting, f'{role}_options'):
      values_by_name[f'{role}.{name}'] = values.text_of(name, value)
  for role in catalog.ROLES:
    for name in catalog.of(setting, role).numbers:
      if name != 'length':
        value = dict(setting.numbers)[name]
        values_by_name[f'{role}.{name}'] = values.text_of(name, value)
  if 'task.window' in values_by_name:
    # See `resolve.whose`.
    values_by_name['learner.window'] = values_by_name['task.window']
  return {name: canonical(value) for name, value in values_by_name.items()}


def canonical(text: str) -> str:
  """One spelling of a number: 0.50 and 0.5 select the same rows."""
  try:
    return values.text_of('', float(text))
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
  phrases = []
  for axis in changes:
    flag = f'{axis.source}={",".join(map(str, axis.values))}'
    rows = {
      point.row.name
      for point, setting in zip(points, settings, strict=True)
      if axis.name in values_of(setting)
    }
    if not rows:
      raw_values = {axis.name: RawValue(axis.values[0], axis.source)}
      points_lib.settings_of(
        [points[0]._replace(raw_values=points[0].raw_values | raw_values)]
      )
    count = len({point.row.name for point in points})
    phrases.append(
      flag + f' in {len(rows)} of {count} rows' * (len(rows) < count)
    )
  return f'; changed: {", ".join(phrases)}' if phrases else ''


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
    points: the points, `auto` in them as it is written.
    settings: of the points.
    changes: axes that override.
    request: whose seeds and budget override.
    partial: leave alone what has no such axis.
  """
  new_points: dict[tuple[str, str], Point] = {}
  for point, setting in zip(points, settings, strict=True):
    row = point.row._replace(
      seeds=request.seeds or point.row.seeds,
      budget=request.budget or point.row.budget,
    )
    old_values = values_of(setting)
    own_axes = [
      axis for axis in changes if axis.name in old_values or not partial
    ]
    for combination in itertools.product(*(axis.values for axis in own_axes)):
      raw_values, words, reading = dict(point.raw_values), dict(point.words), []
      changed_values = automatic.resolved(
        raw_values
        | {
          axis.name: RawValue(value, axis.source)
          for axis, value in zip(own_axes, combination, strict=True)
        }
      )
      for axis in own_axes:
        value = changed_values[axis.name].value
        is_same = old_values.get(axis.name) == canonical(str(value))
        if is_same and len(axis.values) == 1:
          continue
        raw_values[axis.name] = changed_values[axis.name]
        words.pop(axis.name, None)
        words[axis.name] = f'{axis.name}={value}'
        reading.append(words[axis.name])
      reading = ', '.join(filter(None, (row.reading, *reading)))
      new = automatic.chosen(
        points_lib.Point(row._replace(reading=reading), words, raw_values)
      )
      new_points.setdefault((row.name, new.label), new)
  points = list(new_points.values())
  points_lib.check_size((len(p.row.seeds) for p in points), request.yes)
  return points
