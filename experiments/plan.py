"""From what was asked to an ordered list of trials, checked before any runs."""

import dataclasses
import itertools
import math
from typing import NamedTuple

from experiments import defaults, estimate, grid, resolve, values
from experiments.grid import AXES, Axis
from experiments.resolve import Given
from experiments.setting import Setting, digest, programs, trial_id
from lstm_jax import catalog

MAX_TRIALS = 10_000_000
ASK_ABOVE = 100_000
_FLAG_OF = {name: flag for flag, name in AXES.items()}
# What a plan made of flags alone starts from.
_DEFAULTS = {'task': 'adding', 'cell': 'lstm1997'}
# The grid that flags change which do not say what is to be trained.
_START = 'quickstart'
_ELSEWHERE = (
  ' (in the quick start; for another plan say --task=NAME, --cell=NAME or '
  '--learner=NAME)'
)

_LEARNER, _LEARNER_FOR_ALL = 'truncated1997', 'bptt'
_TRAINER = 'minibatch'  # where the task is a data set


class Plan(NamedTuple):
  """What will run, in order.

  Attributes:
    grid: name of the grid, 'flags' where flags alone made the plan.
    title: one line about it.
    source: the table or figure it reproduces.
    trials: the settings, no two with the same id.
    duplicates: how many were left out because they were there already.
    seconds: estimated wall time.
    cores: the cores it is estimated for.
    out: the folder it runs in unless another is given.
  """

  grid: str
  title: str
  source: str
  trials: tuple[Setting, ...]
  duplicates: int
  seconds: float
  cores: int
  out: str


class _Point(NamedTuple):
  """One combination of a row's axes.

  Attributes:
    row: the row.
    words: dotted name -> what the label says of it; of axes that vary.
    given: dotted name -> what was given.
  """

  row: grid.Row
  words: dict[str, str]
  given: dict[str, Given]

  @property
  def label(self):
    """The row's name and what varies in it."""
    return ' '.join((self.row.name, *self.words.values()))


def expand(request):
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
  cores = request.run.devices or estimate.cores()
  if request.grid is None and not _names_a_setting(request):
    plan = _from_grid(_START, request, cores, partial=True)
  elif request.grid is None:
    plan = _from_flags(request, cores)
  else:
    plan = _from_grid(request.grid, request, cores)
  kinds = {trial.is_comparison: trial.task for trial in plan.trials}
  if len(kinds) == 2:
    raise values.Refused(
      f'--task={kinds[False]} draws its sequences and {kinds[True]} is a data '
      'set: one run has either; make two'
    )
  return plan


def _names_a_setting(request):
  """Whether flags say what is trained, not only what to change in it."""
  return any(axis.name in catalog.ROLES for axis in request.axes)


def _from_flags(request, cores):
  """The plan that flags alone make."""
  row = _flag_row(request)
  said = {axis.name for axis in row.axes}
  points = _points((row,), request.yes)
  points = _one_length([_completed(point) for point in points], said)
  settings = _settings(points)
  trials, duplicates = _trials('flags', settings, points)
  title = 'Settings from flags, not the quick start'
  if left_open := _left_open(request, row, points):
    title += f'; not said and so: {left_open}'
  return Plan(
    grid='flags',
    title=title,
    source='',
    trials=tuple(trials.values()),
    duplicates=duplicates,
    seconds=_formula(settings, points, cores),
    cores=cores,
    out=_folder('flags', trials),
  )


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
  table = grid.load(name)
  name = table.name  # of a file, which was named by its path
  points = own = _points(table.rows, request.yes)
  settings = original = _settings(points)
  _check_distinct(settings, points)
  scale = _scale(table, settings, points)
  title = table.title
  if partial:
    changes = (*request.axes, *request.sets)
    try:
      title += _changed_by(changes, points, settings)
      points = _overridden(points, settings, changes, request, partial)
      settings = _settings(points)
    except values.Refused as refused:
      raise values.Refused(refused.args[0] + _ELSEWHERE) from None
  else:
    chosen = _selected(points, settings, request, table)
    points = [points[i] for i in chosen]
    settings = [settings[i] for i in chosen]
    points = _overridden(points, settings, request.sets, request)
    settings = _settings(points)
  trials, duplicates = _trials(name, settings, points)
  whole_plan, repeated = _trials(name, original, own, like=trials)
  whole = whole_plan.keys() == trials.keys()
  if whole:
    points, settings, title = own, original, table.title
    trials, duplicates = whole_plan, repeated
  if lost := _without_trials(trials, points):
    title += f'; left out, as other rows have their settings: {lost}'
  return Plan(
    grid=name,
    title=title,
    source=table.source,
    trials=tuple(trials.values()),
    duplicates=duplicates,
    seconds=scale * _formula(settings, points, cores),
    cores=cores,
    out=f'runs/{name}' if whole else _folder(name, trials),
  )


def _check_distinct(settings, points):
  """Refuses a grid in which two rows are one setting: one would vanish."""
  rows, reasons = {}, []
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
  kept = {trial.row for trial in trials.values()}
  return ', '.join(p.label for p in points if p.label not in kept)


def _folder(name, trials):
  """The run folder of a plan that is not a grid's own."""
  return f'runs/{name}-{digest(sorted(trials))[:8]}'


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
  trials = {}
  count = sum(len(point.row.seeds) for point in points)
  if like is not None and count < len(like):
    return trials, 0
  for setting, point in zip(settings, points, strict=True):
    for seed in point.row.seeds:
      trial = dataclasses.replace(setting, grid=name, seed=seed)
      trials.setdefault(trial_id(trial), trial)
  return trials, count - len(trials)


def _flag_row(request):
  """The row that flags alone make; the rest follows from its cells."""
  axes = {axis.name: axis for axis in (*request.axes, *request.sets)}
  for name, value in _DEFAULTS.items():
    axes.setdefault(name, Axis(name, (value,), f'--{name}'))
  datasets = catalog.names('datasets')
  collected = all(task in datasets for task in axes['task'].values)
  if collected:
    axes.setdefault('learner', Axis('learner', (_TRAINER,), '--learner'))
  known = set(catalog.names('cells'))
  needs = catalog.describe('learners', _LEARNER).needs
  needs = {name for name, need in needs.items() if not need.when}
  trainable = all(
    needs <= set(catalog.describe('cells', cell).provides)
    for cell in known & set(axes['cell'].values)
  )
  plain = trainable and 'learner.window' not in axes
  learner = _LEARNER if plain else _LEARNER_FOR_ALL
  axes.setdefault('learner', Axis('learner', (learner,), '--learner'))
  order = {name: i for i, name in enumerate(AXES.values())}
  seeds, budget = request.seeds, request.budget
  return grid.Row(
    name='flags',
    line='flags',
    source='',
    reading='',
    roles=(),
    tried=0,
    axes=tuple(sorted(axes.values(), key=lambda a: order.get(a.name, 99))),
    seeds=seeds
    or tuple(range(defaults.TRAINER_SEEDS if collected else defaults.SEEDS)),
    budget=budget or (defaults.EPOCHS if collected else defaults.BUDGET),
    expected_sequences=0.0,
    expected_trial_seconds=0.0,
    published=(),
  )


def _completed(point):
  """A point with the defaults of a first try for what no flag says."""
  names = [str(point.given[one].value) for one in catalog.ROLES]
  if not all(map(catalog.kind_of, catalog.ROLES, names)):
    return point  # a name that does not exist is refused elsewhere
  said = {name: given.value for name, given in point.given.items()}
  more = {
    name: Given(value, f'--{_FLAG_OF.get(name, f"set={name}")}')
    for name, value in defaults.of(*names, said).items()
  }
  return point._replace(given=point.given | more)


def _one_length(points, said):
  """The points with one default length, the longest: cells are compared."""
  if 'task.length' in said:
    return points
  lengths = {}
  for point in points:
    if length := point.given.get('task.length'):
      task = point.given['task'].value
      lengths[task] = max(lengths.get(task, length), length)
  return [
    point._replace(
      given=point.given | {'task.length': lengths[point.given['task'].value]}
    )
    if 'task.length' in point.given
    else point
    for point in points
  ]


def _left_open(request, row, points):
  """What flags do not say, as the flags that would."""
  said = {axis.name for axis in (*request.axes, *request.sets)}
  held = {}
  for point in points:
    for name, given in point.given.items():
      if name not in said:
        held.setdefault(name, {})[str(given)] = given
  found = [
    f'{next(iter(one.values())).source}='
    + '|'.join(str(given.value) for given in one.values())
    for one in held.values()
  ]
  found += [f'--seeds={len(row.seeds)}'] * (request.seeds is None)
  found += [f'--budget={row.budget}'] * (request.budget is None)
  return ' '.join(found)


def _points(rows, yes):
  """Every combination of every row, labelled by the axes that vary."""
  _check_size(
    (len(r.seeds) * math.prod(len(a.values) for a in r.axes) for r in rows),
    yes,
  )
  points = []
  for row in rows:
    for combination in itertools.product(*(a.values for a in row.axes)):
      given, words = {}, {}
      for axis, value in zip(row.axes, combination, strict=True):
        given[axis.name] = Given(value, axis.source)
        if len(axis.values) > 1:
          words[axis.name] = f'{_FLAG_OF.get(axis.name, axis.name)}={value}'
      points.append(_Point(row, words, given))
  return points


def _check_size(counts, yes):
  count = sum(counts)
  if count > MAX_TRIALS:
    raise values.Refused(f'{count} trials: a plan has at most {MAX_TRIALS}')
  if count > ASK_ABOVE and not yes:
    raise values.Refused(
      f'{count} trials: more than {ASK_ABOVE}; give --yes to run them all'
    )


def _settings(points):
  """Resolves every point, or refuses with all reasons at once."""
  reasons, settings = {}, []
  for point in points:
    try:
      settings.append(
        resolve.setting(
          point.given,
          grid='',
          row=point.label,
          seed=0,
          budget=point.row.budget,
          line=point.row.line,
          source=point.row.source,
          reading=point.row.reading,
          tried=point.row.tried,
          published=point.row.published,
          expected_sequences=point.row.expected_sequences,
          expected_trial_seconds=point.row.expected_trial_seconds,
        )
      )
    except values.Refused as refused:
      # A dictionary keeps the order and drops what was said before.
      reasons |= dict.fromkeys(refused.args)
  if reasons:
    raise values.Refused(*reasons)
  return settings


def _selected(points, settings, request, table):
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
    wanted = {_canonical(value): value for value in axis.values}
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


def values_of(setting):
  """Dotted name -> canonical value of everything that a setting has."""
  held = {name: getattr(setting, name) for name in ('task', 'cell', 'learner')}
  if setting.length is not None:
    held['task.length'] = str(setting.length)
  for one in ('task', 'cell', 'learner'):
    for name, value in getattr(setting, f'{one}_options'):
      held[f'{one}.{name}'] = values.written(name, value)
  for one in catalog.ROLES:
    for name in catalog.find(one, getattr(setting, one)).numbers:
      if name != 'length':
        value = dict(setting.numbers)[name]
        held[f'{one}.{name}'] = values.written(name, value)
  if 'task.window' in held:
    held['learner.window'] = held['task.window']  # see `resolve.whose`
  return {name: _canonical(value) for name, value in held.items()}


def _canonical(text):
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


def _changed_by(changes, points, settings):
  """What flags change in how many rows, for a title; refused where in none."""
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
      _settings([points[0]._replace(given=points[0].given | given)])
    count = len({point.row.name for point in points})
    said.append(flag + f' in {len(rows)} of {count} rows' * (len(rows) < count))
  return f'; changed: {", ".join(said)}' if said else ''


def _overridden(points, settings, changes, request, partial=False):
  """The points with other values in place of their own.

  A value that a point has already changes nothing, its name included.

  Args:
    points: the points.
    settings: of the points.
    changes: axes that override.
    request: whose seeds and budget override.
    partial: leave alone what has no such axis.
  """
  changed = {}
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
        same = held.get(axis.name) == _canonical(str(value))
        if same and len(axis.values) == 1:
          continue
        given[axis.name] = Given(value, axis.source)
        words.pop(axis.name, None)
        words[axis.name] = f'{axis.name}={value}'
        reading.append(words[axis.name])
      reading = ', '.join(filter(None, (row.reading, *reading)))
      new = _Point(row._replace(reading=reading), words, given)
      changed.setdefault((row.name, new.label), new)
  changed = list(changed.values())
  _check_size((len(p.row.seeds) for p in changed), request.yes)
  return changed


def _formula(settings, points, cores):
  counts = [len(point.row.seeds) for point in points]
  pairs = zip(settings, counts, strict=True)
  return estimate.seconds(pairs, len(programs(settings)), cores)


def _scale(table, settings, points):
  """Measured seconds of the whole grid over what the formula says of it."""
  if not table.expected_seconds:
    return 1.0
  formula = _formula(settings, points, estimate.REFERENCE_CORES)
  return table.expected_seconds / formula
