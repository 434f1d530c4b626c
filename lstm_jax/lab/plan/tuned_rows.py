"""The rows of a plan that are tuned: among which values.

A row is one combination of a grid's axes. What a flag or a grid says of an
option is fixed; what nobody says is drawn, if its cell or learner declares a
range. A number whose range belongs to an option, as a rate's to its optimizer,
keeps that option where it is fixed itself.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from lstm_jax.lab.plan import automatic, catalog, ranges, values
from lstm_jax.lab.plan import points as points_lib
from lstm_jax.lab.plan.grid_rows import Row
from lstm_jax.lab.plan.points import Point
from lstm_jax.lab.plan.resolve import RawValue
from lstm_jax.lab.store.catalog_entry import Range
from lstm_jax.lab.store.documents import Value
from lstm_jax.lab.store.setting import Setting

SOURCE = 'tuning'
# A choice, or a number, by dotted name.
Values = Mapping[str, Value]


class TunedRow(NamedTuple):
  """A row and what is searched for it.

  Attributes:
    point: the combination, with the values that are not searched.
    space: dotted name -> `Range`; where it depends on an option, that is
      searched too.
  """

  point: Point
  space: Mapping[str, Range]


def rows_of(
  points: Sequence[Point],
  settings: Sequence[Setting],
  given: Collection[str] | None = None,
  is_tuned: Callable[[Row], bool] = lambda row: True,
) -> list[TunedRow]:
  """The rows of points, and what is to be searched for each.

  Args:
    points: the points.
    settings: of the points.
    given: dotted names that are fixed; None: all that a point says.
    is_tuned: whether anything of a row is to be searched.
  """
  return [
    TunedRow(
      point,
      _space(point, setting, given or point.raw_values)
      if is_tuned(point.row)
      else {},
    )
    for point, setting in zip(points, settings, strict=True)
  ]


def _space(point, setting, given):
  """Dotted name -> `Range` of what is not given."""
  space: dict[str, Range] = {}
  for role in ('cell', 'learner'):
    entry = catalog.of(setting, role)
    fixed = {name for name in entry.ranges if f'{role}.{name}' in given}
    # A rate that is fixed is that of one optimizer.
    fixed |= {entry.ranges[name].by for name in fixed}
    free = {
      name: allowed
      for name, one in entry.ranges.items()
      if name not in fixed and (allowed := _allowed(point, role, name, one))
    }
    held = {name: o.default for name, o in entry.options.items()}
    held |= dict(getattr(setting, f'{role}_options'))
    for name, one in free.items():
      choices = free[one.by].choices if one.by in free else (held.get(one.by),)
      cases = {c: one.cases[c] for c in choices if c in one.cases}
      if one.by in free:
        one = one._replace(cases=cases)
      if not one.by or one.by in free:
        space[f'{role}.{name}'] = one
      elif cases:
        (space[f'{role}.{name}'],) = cases.values()
  return space


def _allowed(point, role, name, one):
  """A range without what does not go with the rest of a point; None: empty."""
  if one.by:
    return one  # by what goes with the option that it belongs to
  if one.choices:
    choices = tuple(c for c in one.choices if _fits(point, role, name, c))
    return one._replace(choices=choices) if len(choices) > 1 else None
  return one if _fits(point, role, name, one.low) else None


def _fits(point, role, name, value):
  try:
    setting_of(point, {f'{role}.{name}': value})
  except values.Refused:
    return False
  return True


def setting_of(
  point: Point, drawn: Values, budget: int = 0, is_named: bool = False
) -> Setting:
  """The setting of a point with some values in place of its own.

  Args:
    point: the point.
    drawn: dotted name -> value.
    budget: another one than the row's; 0: that.
    is_named: whether its row is called by the values, too.

  Raises:
    Refused: they do not go together.
  """
  raw_values = {
    name: RawValue(values.text_of(name.partition('.')[2], value), SOURCE)
    for name, value in drawn.items()
  }
  words = {name: f'{name}={raw.value}' for name, raw in raw_values.items()}
  point = point._replace(
    raw_values=point.raw_values | raw_values,
    words=point.words | words if is_named else point.words,
    row=point.row._replace(budget=budget or point.row.budget),
  )
  (setting,) = points_lib.settings_of([automatic.chosen(point)])
  return setting


def judged(point: Point, setting: Setting) -> Point:
  """A point with the seeds that it is judged on, all or as many as futile.

  Args:
    point: of a row.
    setting: what was chosen for it, and by what search.
  """
  count = dict(setting.tuned).get('futility')
  seeds = point.row.seeds[: int(count)] if count else point.row.seeds
  return point._replace(row=point.row._replace(seeds=seeds))


def drawn_space(space: Mapping[str, Range]) -> dict[str, Range]:
  """The space without cases: `learner.learning_rate[adam]` for each of them.

  Example:
    >>> rate = Range(by='rule', cases={'sgd': Range(0.1, 1.0, 'log')})
    >>> drawn_space({'learner.rate': rate})
    {'learner.rate[sgd]': Range(low=0.1, high=1.0, scale='log', choices=(),
    by='', cases={})}
  """
  flat: dict[str, Range] = {}
  for name, one in space.items():
    if not one.by:
      flat[name] = one
    else:
      flat |= {f'{name}[{case}]': of for case, of in one.cases.items()}
  return flat


def plain_space(space: Mapping[str, Range], drawn: Values) -> dict[str, Range]:
  """The ranges that count where values are drawn, by dotted name."""
  plain: dict[str, Range] = {}
  for role in dict.fromkeys(name.partition('.')[0] for name in space):
    of_role = {
      name.partition('.')[2]: one
      for name, one in space.items()
      if name.startswith(f'{role}.')
    }
    held = {
      name.partition('.')[2]: value
      for name, value in drawn.items()
      if name.startswith(f'{role}.')
    }
    plain |= {
      f'{role}.{name}': one
      for name, one in ranges.of_values(of_role, held).items()
    }
  return plain
