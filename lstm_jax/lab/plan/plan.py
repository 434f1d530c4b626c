"""From what was asked to an ordered list of trials, checked before any runs."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from lstm_jax.lab.plan import (
  automatic,
  catalog,
  entries,
  estimate,
  flag_row,
  grid,
  own_data,
  references,
  selection,
  tuned_rows,
  tuning,
  values,
)
from lstm_jax.lab.plan import points as points_lib
from lstm_jax.lab.plan.flags import Request
from lstm_jax.lab.plan.programs import programs
from lstm_jax.lab.plan.tuned_rows import TunedRow
from lstm_jax.lab.store import machine, seal
from lstm_jax.lab.store.setting import Setting, by_id, trial_id, with_seed

# The grid that flags change which do not say what is to be trained.
_START = 'quickstart'
_ELSEWHERE = (
  ' (in the quick start; for another plan say --task=NAME, --cell=NAME or '
  '--learner=NAME)'
)


class Plan(NamedTuple):
  """The trials that will run, in order.

  Attributes:
    grid: name of the grid, 'flags' where flags alone made the plan.
    title: one line about it.
    source: the table or figure it reproduces.
    trials: the settings, no two with the same id.
    duplicates: how many were left out because they were there already.
    seconds: estimated wall time.
    cores: the cores it is estimated for.
    out: the folder it runs in unless another is given.
    paths: where data of one's own lie: name of the task -> path.
    tuned_rows: the rows, where some of them are tuned; `trials` has them as
      they are before anything was chosen.
    search_size: of their search.
  """

  grid: str
  title: str
  source: str
  trials: tuple[Setting, ...]
  duplicates: int
  seconds: float
  cores: int
  out: str
  paths: dict[str, str] = {}
  tuned_rows: tuple[TunedRow, ...] = ()
  search_size: tuning.Tuning = tuning.Tuning()


def expand(request: Request) -> Plan:
  """The plan that a command line asks for.

  Args:
    request: a `flags.Request`.

  Returns:
    The `Plan`: rows in the order of the file, axes in the order of
    `grid.AXES`, seeds innermost.

  Raises:
    Refused: with every reason why some combination cannot run, one line each;
      a selection that matches nothing; a plan too large to run unasked.
  """
  cores = request.run.devices or machine.cores()
  axes = (_with_places(axis, request.run.data_dir) for axis in request.axes)
  request = request._replace(axes=tuple(map(references.of_axis, axes)))
  if request.grid is None and not _names_a_setting(request):
    plan = _from_grid(_START, request, cores, partial=True)
  elif request.grid is None:
    plan = _from_flags(request, cores)
  else:
    plan = _from_grid(request.grid, request, cores)
  return plan


def _names_a_setting(request):
  """Tells whether flags say what is trained, not only what to change in it."""
  return any(axis.name in catalog.ROLES for axis in request.axes)


def _from_flags(request, cores):
  """The plan that flags alone make."""
  rename = references.told_apart(request.axes)
  request = request._replace(axes=tuple(map(rename, request.axes)))
  row = flag_row.row_of(request)
  flag_names = {axis.name for axis in row.axes}
  points = points_lib.points_of((row,), request.yes)
  points = flag_row.one_length(
    [flag_row.completed(point) for point in points], flag_names
  )
  points = [automatic.chosen(point) for point in points]
  settings = points_lib.settings_of(points)
  trials, duplicates = _trials('flags', settings, points)
  plan = Plan(
    grid='flags',
    title=automatic.outcome(row.axes, settings),
    source='',
    trials=tuple(trials.values()),
    duplicates=duplicates,
    seconds=_formula(settings, points, cores),
    cores=cores,
    out=_folder('flags', trials),
    paths=_paths(points),
  )
  # Defaults of a first try are nobody's wish.
  given = {axis.name for axis in (*request.axes, *request.sets)}
  plan = _tuned(plan, points, settings, request, given)
  tuned_names = {name for of in plan.tuned_rows for name in of.space}
  title = 'Settings from flags, not the quick start'
  if left_open := flag_row.left_open(request, row, points, tuned_names):
    title += f'; not said and so: {left_open}'
  return plan._replace(title=title + plan.title)


def _from_grid(name, request, cores, partial=False):
  """The plan of a grid, as the flags select from it and change it.

  Flags that say what the grid says already leave its plan as it is.

  Args:
    name: of the grid.
    request: a `flags.Request`.
    cores: of the machine.
    partial: every axis flag changes the rows that have such an axis, and leaves
      the others as they are; otherwise axis flags select.
  """
  # A row is named once, whatever sizes it is in.
  size = request.size or grid.EVERY_SIZE * bool(request.rows)
  loaded = grid.load(name, size=size)
  table, request = entries.with_flags(loaded, request)
  name = table.name  # of a file, which was named by its path
  rename = references.told_apart(
    (*request.axes, *(axis for row in table.rows for axis in row.axes))
  )
  request = request._replace(axes=tuple(map(rename, request.axes)))
  rows = [row._replace(axes=tuple(map(rename, row.axes))) for row in table.rows]
  points = points_lib.points_of(rows, request.yes)
  own_points = [automatic.chosen(point) for point in points]
  settings = own_settings = points_lib.settings_of(own_points)
  is_tuned = lambda point: bool(request.tune or point.row.tune)
  # What a row that is tuned comes to is not known yet.
  fixed = [not is_tuned(point) for point in own_points]
  _check_distinct(
    itertools.compress(settings, fixed), itertools.compress(own_points, fixed)
  )
  scale = _scale(loaded, request.yes)
  title = table.title
  if partial:
    changes = (*request.axes, *request.sets)
    try:
      title += selection.changed_by(changes, points, settings)
      points = selection.overridden(points, settings, changes, request, partial)
      settings = points_lib.settings_of(points)
    except values.Refused as refused:
      raise values.Refused(refused.args[0] + _ELSEWHERE) from None
  else:
    indices = selection.indices_of(points, settings, request, table)
    points = [points[i] for i in indices]
    settings = [settings[i] for i in indices]
    points = selection.overridden(points, settings, request.sets, request)
    settings = points_lib.settings_of(points)
  trials, duplicates = _trials(name, settings, points)
  whole_plan, own_duplicates = _trials(
    name, own_settings, own_points, like=trials
  )
  is_whole = table is loaded and whole_plan.keys() == trials.keys()
  # Rows of all sizes that are chosen by name are a selection.
  is_whole &= not (table.sizes and size == grid.EVERY_SIZE)
  if is_whole:
    points, settings, title = own_points, own_settings, table.title
    trials, duplicates = whole_plan, own_duplicates
  row_axes = (axis for row in rows for axis in row.axes)
  title += automatic.outcome((*request.sets, *row_axes), settings)
  if labels := _without_trials(
    trials, [point for point in points if not is_tuned(point)]
  ):
    title += f'; left out, as other rows have their settings: {labels}'
  plan = Plan(
    grid=name,
    title=title,
    source=table.source,
    trials=tuple(trials.values()),
    duplicates=duplicates,
    seconds=scale * _formula(settings, points, cores),
    cores=cores,
    out=_own_folder(table, size) if is_whole else _folder(name, trials),
    paths=_paths(points),
  )
  return _tuned(plan, points, settings, request)


def _tuned(plan, points, settings, request, given=None):
  """A plan with the search of its rows, where flags or rows ask for one."""
  asked = request.tune, request.tune_seeds, request.futility
  size = tuning.size_of(points, *asked)
  if size is None:
    return plan
  is_tuned = lambda row: bool(request.tune or row.tune)
  rows = tuned_rows.rows_of(points, settings, given, is_tuned)
  tuning.check(rows, settings, size)
  num_trials = tuning.num_trials(rows, size)
  points_lib.check_size((num_trials, len(plan.trials)), request.yes)
  out = plan.out
  if any(asked):
    names = (trial_id(setting) for setting in plan.trials)
    out = _folder(plan.grid, (*names, f'tuned {size}'))
  return plan._replace(
    title=plan.title + tuning.words_of(rows, size),
    seconds=plan.seconds + tuning.seconds(rows, size, plan.cores),
    out=out,
    tuned_rows=tuple(rows),
    search_size=size,
  )


def with_settings(plan: Plan, settings: Sequence[Setting]) -> Plan:
  """A plan that was tuned, with what was chosen.

  Args:
    plan: with its rows.
    settings: of the rows.
  """
  points = [
    tuned_rows.judged(row.point, setting)
    for row, setting in zip(plan.tuned_rows, settings, strict=True)
  ]
  trials, duplicates = _trials(plan.grid, settings, points)
  return plan._replace(
    trials=tuple(trials.values()), duplicates=duplicates, tuned_rows=()
  )


def _with_places(axis, data_dir):
  """An axis of tasks with the folders of those that TFDS has prepared."""
  if axis.name != 'task':
    return axis
  places = (own_data.place_of(value, data_dir) for value in axis.values)
  return axis._replace(values=tuple(places))


def _paths(points):
  """Places of data of one's own, by the names of their tasks.

  Raises:
    Refused: two files of one name are not one.
  """
  paths: dict[str, str] = {}
  for raw_value in dict.fromkeys(point.raw_values['task'] for point in points):
    if own_data.factory_of(raw_value.value):
      place = own_data.located(str(raw_value.value))
      earlier = paths.setdefault(place.name, str(place.path))
      if earlier != str(place.path):
        raise values.Refused(
          f'{raw_value}: {earlier} is called {place.name} as well; rename one '
          'of them'
        )
  return paths


def _check_distinct(settings, points):
  """Refuses a grid in which two rows are one setting: one would vanish."""
  rows: dict[str, points_lib.Point] = {}
  reasons = []
  for setting, point in zip(settings, points, strict=True):
    first = rows.setdefault(trial_id(setting), point)
    if first.row.name != point.row.name and {*first.row.seeds} & {
      *point.row.seeds
    }:
      reasons.append(
        f'rows {first.label} and {point.label}: one setting and the same '
        'seeds, so that their trials are the same; keep one of the rows'
      )
  if reasons:
    raise values.Refused(*reasons)


def _without_trials(trials, points):
  """Labels of the points of which all trials count for others, as text."""
  rows = {trial.row for trial in trials.values()}
  return ', '.join(p.label for p in points if p.label not in rows)


def _own_folder(table, size):
  """The run folder of a whole grid, or of one of its sizes."""
  is_other = size in table.sizes[1:]
  return f'runs/{table.name}' + f'-{size}' * is_other


def _folder(name, trials):
  """The run folder of a plan that is not a grid's own."""
  return f'runs/{name}-{seal.digest(sorted(trials))[:8]}'


def _trials(name, settings, points, like=None):
  """The trials of some points.

  Args:
    name: of the grid.
    settings: of the points.
    points: the points.
    like: ids of other trials: where those are not as many, nothing is made.

  Returns:
    (id -> `Setting`, how many more had the id of another).
  """
  count = sum(len(point.row.seeds) for point in points)
  if like is not None and count < len(like):
    return {}, 0
  of_grid = (dataclasses.replace(setting, grid=name) for setting in settings)
  trials = by_id(
    with_seed(setting, seed)
    for setting, point in zip(of_grid, points, strict=True)
    for seed in point.row.seeds
  )
  return trials, count - len(trials)


def _formula(settings, points, cores):
  counts = [len(point.row.seeds) for point in points]
  pairs = zip(settings, counts, strict=True)
  return estimate.seconds(pairs, len(programs(settings)), cores)


def _scale(loaded, is_agreed):
  """Measured seconds of the whole grid over what the formula says of it.

  Of all of its own rows: an entry from outside is no whole grid.
  """
  if not loaded.expected_seconds:
    return 1.0
  points = points_lib.points_of(loaded.rows, is_agreed)
  settings = points_lib.settings_of(map(automatic.chosen, points))
  formula = _formula(settings, points, estimate.REFERENCE_CORES)
  return loaded.expected_seconds / formula
