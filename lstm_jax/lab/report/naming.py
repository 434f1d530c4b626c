"""Finds the trials of a reading, the readings of a published row; names them.

Nothing here depends on the grid where a table and its line are named, so the
readings of one published row meet whatever grids they were run from.
"""

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from lstm_jax.lab.plan.values import text_of
from lstm_jax.lab.report.summaries import FIELDS, parts
from lstm_jax.lab.store import seal
from lstm_jax.lab.store.setting import Setting, resolved


class Trial(NamedTuple):
  """A trial of a plan: its id there, and its setting."""

  id: str
  setting: Setting


def alike(setting: Setting) -> str:
  """Returns what the trials of one reading share: all but seed and origin."""
  return seal.canonical(seal.to_plain({**resolved(setting), 'seed': 0}))


def _by_family(of):
  """A function of settings, computed once for all seeds of one."""
  values: dict[object, object] = {}

  def value(setting):
    if setting.family not in values:
      values[setting.family] = of(setting)
    return values[setting.family]

  return value


def place(setting: Setting) -> tuple[object, ...]:
  """Returns what the readings of one published row have in common."""
  figures = setting.figures
  if not figures:
    return setting.grid, setting.task, None
  if setting.line:
    return source_of(setting), setting.line, setting.length
  figure_words = sorted((name, repr(value)) for name, value in figures.items())
  return (
    source_of(setting), setting.task, setting.learner, setting.length,
    *figure_words,
  )  # fmt: skip


def groups(trials: Mapping[str, Setting]) -> list[list[Trial]]:
  """The trials of each published row, those with figures first.

  A trial without figures belongs to the published row that has its setting, if
  there is one, else to the first place that has it.

  Returns:
    Lists of trials: published rows in the order of their tables' numbers,
    then all others in the order in which they come.
  """
  places: dict[str, tuple[object, ...]] = {}
  by_place: dict[tuple[object, ...], list[Trial]] = {}

  @_by_family
  def group_of(setting):
    first = places.setdefault(alike(setting), place(setting))
    return by_place.setdefault(place(setting) if setting.figures else first, [])

  all_trials = [Trial(*pair) for pair in trials.items()]
  for trial in sorted(
    all_trials, key=lambda trial: not trial.setting.published
  ):
    group_of(trial.setting).append(trial)
  return sorted(by_place.values(), key=_order)


def named_readings(group: list[Trial]) -> list[tuple[str, list[Trial]]]:
  """The readings of a published row.

  Args:
    group: trials, of `groups`.

  Returns:
    `(name, trials)` pairs, no two of one name: where two would have the same,
    what their settings differ in is part of it.
  """
  alike_of = _by_family(alike)
  by_setting = parts(group, lambda trial: alike_of(trial.setting))
  trial_groups = list(by_setting.values())
  settings = [trial.setting for trial, *_ in trial_groups]
  names = [trial.reading or trial.row for trial in settings]
  pairs = []
  for name, setting, trials in zip(names, settings, trial_groups, strict=True):
    other_settings = [
      o for n, o in zip(names, settings, strict=True) if n == name
    ]
    words = differences(setting, other_settings)
    pairs.append((f'{name} ({words})' if words else name, trials))
  return pairs


def source_of(setting: Setting) -> str:
  """The published table, or the name of the grid."""
  return setting.source or setting.grid


def row_names(groups: list[list[Trial]]) -> list[str]:
  """A name for each group that tells it from the others of its table."""
  short_names = [_short_name(group) for group in groups]
  tables = [source_of(group[0].setting) for group in groups]
  places = list(zip(tables, short_names, strict=True))
  return [
    name if places.count(place) == 1 else group[0].setting.row
    for name, place, group in zip(short_names, places, groups, strict=True)
  ]


def _short_name(group):
  """The line of a group, or what its row names begin with in whole words."""
  setting = group[0].setting
  if setting.figures and setting.line:
    return setting.line
  rows = list(parts(group, lambda trial: trial.setting.row))
  if not setting.figures:
    return setting.task if len(rows) > 1 else rows[0]
  if len(rows) == 1:
    return rows[0]
  words = [re.findall(r'[^-_ ]+[-_ ]*', row) for row in rows]
  characters = []
  for column in zip(*words, strict=False):
    stripped = {word.rstrip('-_ ') for word in column}
    if len(stripped) > 1:
      break
    characters.append(column[0])
  return ''.join(characters).rstrip('-_ ') or rows[0]


def anchor(text: str, anchors: Collection[str]) -> str:
  """A name for links that is not among those used."""
  name = re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-') or 'row'
  number = 2
  stem = name
  while name in anchors:
    name, number = f'{stem}-{number}', number + 1
  return name


def _order(group):
  """Sort key: tables by their numbers, what is not published last."""
  setting = group[0].setting
  if not setting.figures:
    return True, []
  words = re.split(r'(\d+)', source_of(setting))
  words[1::2] = map(int, words[1::2])
  return False, words


def differences(setting: Setting, others: list[Setting]) -> str:
  """Says what a setting has that not all of those like it have."""
  values, *other_values = map(_flatten, (setting, *others))
  names = dict.fromkeys(
    name for values_of_one in other_values for name in values_of_one
  )
  return ', '.join(
    f'{name}={values[name]}' if name in values else f'no {name}'
    for name in names
    if len({values_of_one.get(name) for values_of_one in other_values}) > 1
  )


def _flatten(setting) -> dict[str, object]:
  """Name -> text of everything that a setting has."""
  values = {name: getattr(setting, name) for name in (*FIELDS, 'budget')}
  values |= setting.options
  return {name: text_of(name, value) for name, value in values.items()}
