"""The row of a plan that flags alone make."""

from collections.abc import Collection, Iterable, Sequence

from lstm_jax.lab.plan import catalog, defaults, grid_rows, own_data
from lstm_jax.lab.plan import points as points_lib
from lstm_jax.lab.plan.flags import Request
from lstm_jax.lab.plan.grid_check import AXES
from lstm_jax.lab.plan.points import Point
from lstm_jax.lab.plan.references import Axis
from lstm_jax.lab.plan.resolve import RawValue

# What a plan made of flags alone starts from.
_DEFAULTS = {'task': 'adding', 'cell': 'lstm1997'}
_LEARNER, _LEARNER_FOR_ALL = 'truncated1997', 'bptt'
_TRAINER = 'minibatch'  # where the task is a data set


def row_of(request: Request) -> grid_rows.Row:
  """The row that flags alone make; the rest follows from its cells."""
  axes = {axis.name: axis for axis in (*request.axes, *request.sets)}
  tasks = axes['task'].values if 'task' in axes else ()
  is_own_data = bool(tasks) and all(map(own_data.factory_of, tasks))
  if is_own_data:
    axes.setdefault('cell', Axis('cell', own_data.CELLS, '--cell'))
  for name, value in _DEFAULTS.items():
    axes.setdefault(name, Axis(name, (value,), f'--{name}'))
  kinds = {_kind('task', task) for task in axes['task'].values}
  collected = kinds == {'datasets'}
  if collected:
    axes.setdefault('learner', Axis('learner', (_TRAINER,), '--learner'))
  needs = catalog.describe('learners', _LEARNER).needs
  needs = {need.part for need in needs if not need.when}
  trainable = all(
    needs <= set(catalog.find('cell', cell).provides)
    for cell in map(catalog.name_of, axes['cell'].values)
    if _is_readable('cell', cell)
  )
  default_only = trainable and 'learner.window' not in axes
  learner = _LEARNER if default_only else _LEARNER_FOR_ALL
  axes.setdefault('learner', Axis('learner', (learner,), '--learner'))
  order = {name: i for i, name in enumerate(AXES.values())}
  seeds, budget = request.seeds, request.budget
  return grid_rows.Row(
    name='flags',
    line='flags',
    source='',
    reading='',
    roles=(),
    tried=0,
    axes=tuple(sorted(axes.values(), key=lambda a: order.get(a.name, 99))),
    seeds=seeds
    or tuple(range(defaults.TRAINER_SEEDS if collected else defaults.SEEDS)),
    budget=budget or defaults.budget_of(collected, is_own_data),
    expected_sequences=0.0,
    expected_trial_seconds=0.0,
    published=(),
  )


def _kind(role, value):
  return catalog.kind_of(role, catalog.name_of(value))


def _is_readable(role, name):
  """Tells whether there is an entry of a name that can be read."""
  try:
    return catalog.find(role, name) is not None
  except ValueError:
    return False


def completed(point: Point) -> Point:
  """A point with the defaults of a first try for what no flag says."""
  names = [
    catalog.name_of(point.raw_values[role].value) for role in catalog.ROLES
  ]
  if not all(map(_is_readable, catalog.ROLES, names)):
    return point  # a name that does not exist is refused elsewhere
  words = {name: raw.value for name, raw in point.raw_values.items()}
  extra_words = {
    name: RawValue(value, f'--{points_lib.FLAG_OF.get(name, f"set={name}")}')
    for name, value in defaults.of(names[0], names[1], names[2], words).items()
  }
  return point._replace(raw_values=point.raw_values | extra_words)


def one_length(
  points: Sequence[Point], flag_names: Collection[str]
) -> Sequence[Point]:
  """The points with one default length, the longest: cells are compared."""
  if 'task.length' in flag_names:
    return points
  lengths: dict[object, RawValue] = {}
  for point in points:
    if length := point.raw_values.get('task.length'):
      task = point.raw_values['task'].value
      lengths[task] = max(lengths.get(task, length), length)
  return [
    point._replace(
      raw_values=point.raw_values
      | {'task.length': lengths[point.raw_values['task'].value]}
    )
    if 'task.length' in point.raw_values
    else point
    for point in points
  ]


def left_open(
  request: Request,
  row: grid_rows.Row,
  points: Iterable[Point],
  tuned: Collection[str] = (),
) -> str:
  """Returns what flags do not say, as the flags that would.

  Args:
    request: the flags.
    row: of the plan.
    points: of the row.
    tuned: dotted names that are searched, which nobody is to say.
  """
  names = {axis.name for axis in (*request.axes, *request.sets)} | {*tuned}
  by_name: dict[str, dict[str, RawValue]] = {}
  for point in points:
    for name, raw in point.raw_values.items():
      if name not in names:
        by_name.setdefault(name, {})[str(raw)] = raw
  flags_left = [
    f'{next(iter(choices.values())).source}='
    + '|'.join(str(raw.value) for raw in choices.values())
    for choices in by_name.values()
  ]
  flags_left += [f'--seeds={len(row.seeds)}'] * (request.seeds is None)
  flags_left += [f'--budget={row.budget}'] * (request.budget is None)
  return ' '.join(flags_left)
