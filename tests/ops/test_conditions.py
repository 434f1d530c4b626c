"""What a learner needs is written once: plans and factories refuse the same."""

import functools
import itertools

import pytest

from lstm_jax.lab.plan import catalog, resolve, values
from lstm_jax.lab.plan.resolve import RawValue
from lstm_jax.ops import conditions, parts
from lstm_jax.ops.checked import checked

PARTS = {'cells': parts.OF_CELLS, 'tasks': parts.OF_TASKS}


def test_a_condition_holds_where_every_value_does():
  holds = conditions.holds
  assert holds({}, {})
  assert holds({'a': 1, 'b': ...}, {'a': 1, 'b': 0, 'c': 2})
  assert not holds({'a': 1, 'b': ...}, {'a': 1, 'b': None})
  assert not holds({'a': 1}, {'a': 2})
  assert not holds({'a': 1}, {'b': 1})
  assert not holds({'a': 1}, {'a': True}) and not holds({'a': True}, {'a': 1})


@pytest.mark.parametrize('literal', ['name', 3, {'name': 3}, {'name': ('a',)}])
def test_what_says_no_needs_is_refused(literal):
  with pytest.raises((TypeError, ValueError)):
    conditions.needs_of(literal)


def test_a_part_of_no_known_name_is_for_plans_alone():
  """Somebody else's part: its cell says in PROVIDES that it has it."""
  namespace = {'NEEDS': {'spikes': 'it counts them'}, 'checked': checked}
  exec('@checked\ndef made(cell, task): return cell', namespace)
  assert namespace['made']('a cell', 'a task') == 'a cell'
  reasons = list(
    conditions.unmet(conditions.needs_of(('spikes',)), {}, lambda part: False)
  )
  assert reasons == [('spikes', 'it needs a spikes')]


def variants(kind, name, wanted):
  """The defaults, then each wanted option alone at each other value."""
  yield {}
  for option in catalog.describe(kind, name).options.values():
    if option.name in wanted:
      words = option.choices
      words += (True, False) if 'bool' in option.types else ()
      yield from ({option.name: w} for w in words if w != option.default)


def conditional(kind, name):
  """Names of the options on which a part, or the need of one, depends."""
  entry = catalog.describe(kind, name)
  named = [*entry.provides.values()]
  named += [need.when for need in (*entry.needs, *entry.task_needs)]
  return set().union(*named)


@functools.cache
def made(kind, name, options, sizes=()):
  return catalog.build(kind, name, *sizes, **dict(options))


@pytest.mark.parametrize(
  ('kind', 'name'), [(k, n) for k in PARTS for n in catalog.names(k)]
)
def test_a_cell_or_a_task_has_the_parts_that_its_module_names(kind, name):
  entry = catalog.describe(kind, name)
  for options in variants(kind, name, entry.options):
    sizes = (3, 2) if kind == 'cells' else ()
    value = made(kind, name, (*options.items(),), sizes)
    full = {o.name: o.default for o in entry.options.values()} | options
    has = {part for part, is_there in PARTS[kind].items() if is_there(value)}
    assert has == {p for p in entry.provides if entry.has(p, full)}, options


def planned(learner, how, cell, of_cell, task, of_task):
  """Reasons of a plan against a learner for this cell and this task."""
  given = {
    'learner': RawValue(learner, '--learner'),
    'cell': RawValue(cell, '--cell'),
    'task': RawValue(task, '--task'),
  }
  for role, options in (('learner', how), ('cell', of_cell), ('task', of_task)):
    for name, value in options.items():
      given[f'{role}.{name}'] = RawValue(
        values.text_of(name, value), f'--set={role}.{name}'
      )
  try:
    resolve.setting(given, lambda **fields: fields)
  except values.Refused as refused:
    return [line for line in refused.args if ': cannot ' in line]
  return []


def refused(learner, how, cell, of_cell, task, of_task):
  """The reason of a factory against its cell or task; '' for none."""
  entry = catalog.describe('learners', learner)
  task = made('tasks', task, (*of_task.items(),))
  sizes = task.num_inputs, task.num_outputs
  cell = made('cells', cell, (*of_cell.items(),), sizes)
  static = {'length': 10} if 'length' in entry.static else {}
  try:
    catalog.build('learners', learner, cell, task, **how, **static)
  except ValueError as error:
    needs = (*entry.needs, *entry.task_needs)
    reasons = {f'{learner}: {need.why}': need.why for need in needs}
    return reasons.get(str(error), '')
  return ''


# Those that need something.
DEMANDING = [
  learner
  for learner in catalog.names('learners')
  for entry in [catalog.describe('learners', learner)]
  if entry.needs or entry.task_needs
]


@pytest.mark.parametrize('learner', DEMANDING)
def test_plan_and_factory_refuse_the_same_in_the_same_words(learner):
  """Every cell with a task that fits it, every task with a cell that does."""
  cells, tasks = (
    [
      (name, options)
      for name in catalog.names(kind)
      for options in variants(kind, name, conditional(kind, name))
    ]
    for kind in PARTS
  )
  outcomes = set()
  for how in variants('learners', learner, conditional('learners', learner)):
    pairs = [
      *itertools.product(cells, [('reber', {}), ('adding', {})]),
      *itertools.product([('cascaded', {}), ('lstm1997', {})], tasks),
    ]
    for (cell, of_cell), (task, of_task) in pairs:
      case = learner, how, cell, of_cell, task, of_task
      reasons, refusal = planned(*case), refused(*case)
      assert bool(refusal) == bool(reasons), (*case, refusal, reasons)
      # A factory says the first of what a plan says all of.
      assert not refusal or refusal in reasons[0], case
      outcomes.add(bool(refusal))
  assert outcomes == {True, False}
