"""The combinations of a grid's rows, and their settings."""

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lstm_jax.lab.plan import grid_rows, resolve, values
from lstm_jax.lab.plan.grid_check import AXES
from lstm_jax.lab.plan.resolve import RawValue
from lstm_jax.lab.store.setting import Setting

MAX_TRIALS = 10_000_000
ASK_ABOVE = 100_000
FLAG_OF = {name: flag for flag, name in AXES.items()}


class Point(NamedTuple):
  """One combination of a row's axes.

  Attributes:
    row: the row.
    words: dotted name -> what the label says of it; of axes that vary.
    raw_values: dotted name -> what was given.
  """

  row: grid_rows.Row
  words: dict[str, str]
  raw_values: dict[str, RawValue]

  @property
  def label(self) -> str:
    """The row's name and what varies in it."""
    return ' '.join((self.row.name, *self.words.values()))


def points_of(rows: Sequence[grid_rows.Row], yes: bool) -> list[Point]:
  """Every combination of every row, labelled by the axes that vary."""
  check_size(
    (len(r.seeds) * math.prod(len(a.values) for a in r.axes) for r in rows),
    yes,
  )
  points = []
  for row in rows:
    for combination in itertools.product(*(a.values for a in row.axes)):
      raw_values, words = {}, {}
      for axis, value in zip(row.axes, combination, strict=True):
        raw_values[axis.name] = RawValue(value, axis.source)
        if len(axis.values) > 1:
          words[axis.name] = f'{FLAG_OF.get(axis.name, axis.name)}={value}'
      points.append(Point(row, words, raw_values))
  return points


def check_size(counts: Iterable[int], yes: bool) -> None:
  """Refuses more trials than a plan may have, or than is asked for."""
  count = sum(counts)
  if count > MAX_TRIALS:
    raise values.Refused(f'{count} trials: a plan has at most {MAX_TRIALS}')
  if count > ASK_ABOVE and not yes:
    raise values.Refused(
      f'{count} trials: more than {ASK_ABOVE}; give --yes to run them all'
    )


def settings_of(points: Iterable[Point]) -> list[Setting]:
  """Resolves every point, or refuses with all reasons at once."""
  reasons: dict[str, None] = {}
  settings = []
  for point in points:
    try:
      settings.append(
        resolve.setting(
          point.raw_values,
          functools.partial(
            Setting,
            grid='',
            row=point.label,
            axes=tuple(point.words.values()),
            seed=0,
            budget=point.row.budget,
            line=point.row.line,
            source=point.row.source,
            reading=point.row.reading,
            tried=point.row.tried,
            published=point.row.published,
            expected_sequences=point.row.expected_sequences,
            expected_trial_seconds=point.row.expected_trial_seconds,
          ),
        )
      )
    except values.Refused as refused:
      # A dictionary keeps the order and drops what was said before.
      reasons |= dict.fromkeys(refused.args)
  if reasons:
    raise values.Refused(*reasons)
  return settings
