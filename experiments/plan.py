"""From what was asked to an ordered list of trials, checked before any runs."""

import dataclasses
import itertools
import math
from typing import NamedTuple

from experiments import estimate, grid, resolve, values
from experiments.grid import AXES, Axis
from experiments.resolve import Given
from experiments.setting import Setting, digest, programs, trial_id
from lstm_jax import catalog

MAX_TRIALS = 10_000_000
ASK_ABOVE = 100_000
_FLAG_OF = {name: flag for flag, name in AXES.items()}
# What a plan made of flags alone starts from.
_DEFAULTS = {'task': 'adding', 'cell': 'lstm1997'}
_LEARNER, _LEARNER_FOR_ALL = 'truncated1997', 'bptt'
_SEEDS, _BUDGET = 10, 100_000
# Where the task is a data set.
_TRAINER, _TRAINER_SEEDS, _EPOCHS = 'minibatch', 5, 10


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
  """One combination of a row's axes: dotted name -> what was given."""

  row: grid.Row
  label: str
  given: dict[str, Given]


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
  if request.grid is None:
    table = grid.Grid('flags', 'Settings from flags', '', '', 0.0, ())
    points = _points((_flag_row(request),), request.yes)
    settings = _settings(points)
    scale = 1.0
  else:
    table = grid.load(request.grid)
    points = _points(table.rows, request.yes)
    settings = _settings(points)
    scale = _scale(table, settings, points)
    points = _selected(points, settings, request, table)
    points = _overridden(points, request)
    settings = _settings(points)

  trials, count = {}, 0
  for setting, point in zip(settings, points, strict=True):
    for seed in point.row.seeds:
      trial = dataclasses.replace(setting, grid=table.name, seed=seed)
      trials.setdefault(trial_id(trial), trial)
      count += 1
  kinds = {trial.is_comparison: trial.task for trial in trials.values()}
  if len(kinds) == 2:
    raise values.Refused(
      f'--task={kinds[False]} draws its sequences and {kinds[True]} is a data '
      'set: one run has either; make two'
    )
  whole = request.grid is not None and not (
    request.axes
    or request.sets
    or request.rows
    or request.seeds
    or request.budget
  )
  tail = '' if whole else f'-{digest(sorted(trials))[:8]}'
  return Plan(
    grid=table.name,
    title=table.title,
    source=table.source,
    trials=tuple(trials.values()),
    duplicates=count - len(trials),
    seconds=scale * _formula(settings, points, cores),
    cores=cores,
    out=f'runs/{table.name}{tail}',
  )


def _flag_row(request):
  """The row that flags alone make, with defaults for what was not said."""
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
  return grid.Row(
    name='flags',
    line='flags',
    source='',
    reading='',
    roles=(),
    tried=0,
    axes=tuple(sorted(axes.values(), key=lambda a: order.get(a.name, 99))),
    seeds=request.seeds
    or tuple(range(_TRAINER_SEEDS if collected else _SEEDS)),
    budget=request.budget or (_EPOCHS if collected else _BUDGET),
    expected_sequences=0.0,
    expected_trial_seconds=0.0,
    published=(),
  )


def _points(rows, yes):
  """Every combination of every row, labelled by the axes that vary."""
  _check_size(
    (len(r.seeds) * math.prod(len(a.values) for a in r.axes) for r in rows),
    yes,
  )
  points = []
  for row in rows:
    for combination in itertools.product(*(a.values for a in row.axes)):
      given, words = {}, [row.name]
      for axis, value in zip(row.axes, combination, strict=True):
        given[axis.name] = Given(value, axis.source)
        if len(axis.values) > 1:
          words.append(f'{_FLAG_OF.get(axis.name, axis.name)}={value}')
      points.append(_Point(row, ' '.join(words), given))
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
  """The points of the chosen rows that have the values of every axis flag."""
  listed = tuple(row.name for row in table.rows)
  for name in request.rows:
    if name not in listed:
      raise values.Refused(f'--row={name}: {catalog.unknown(name, listed)}')
  held = [_held(setting) for setting in settings]
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
  return [points[i] for i in kept]


def _held(setting):
  """Dotted name -> canonical value of everything that a setting has."""
  held = {name: getattr(setting, name) for name in ('task', 'cell', 'learner')}
  if setting.length is not None:
    held['task.length'] = str(setting.length)
  for one in ('task', 'cell', 'learner'):
    for name, value in getattr(setting, f'{one}_options'):
      held[f'{one}.{name}'] = values.written(name, value)
  for name, value in setting.numbers:
    held[f'learner.{name}'] = values.written(name, value)
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


def _overridden(points, request):
  """The points with `--set`, `--seeds` and `--budget` in place of their own."""
  changed = []
  for point in points:
    row = point.row._replace(
      seeds=request.seeds or point.row.seeds,
      budget=request.budget or point.row.budget,
    )
    for combination in itertools.product(*(a.values for a in request.sets)):
      given, words = dict(point.given), []
      for axis, value in zip(request.sets, combination, strict=True):
        given[axis.name] = Given(value, axis.source)
        words.append(f'{axis.name}={value}')
      reading = ', '.join(filter(None, (row.reading, *words)))
      label = ' '.join((point.label, *words))
      changed.append(_Point(row._replace(reading=reading), label, given))
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
