"""From names and text to a checked `Setting`, or every reason against it."""

import functools
import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lstm_jax.choices import choose, listed, unknown
from lstm_jax.lab.plan import catalog, entry_points, own_data, values
from lstm_jax.lab.store.setting import Setting
from lstm_jax.ops import conditions

_ROLE = {kind: one for one, kinds in catalog.ROLES.items() for kind in kinds}


class RawValue(NamedTuple):
  """A value as written, and who wrote it: a flag, or a file and its key."""

  value: object
  source: str

  def __str__(self) -> str:
    return f'{self.source}={self.value}'


def setting(
  raw_values: Mapping[str, RawValue], make: Callable[..., Setting]
) -> Setting:
  """One setting.

  Args:
    raw_values: dotted name -> `RawValue`; 'task', 'cell' and 'learner' must be
      among the names, anything else is e.g. 'cell.blocks'.
    make: `Setting` with the fields that need no checking.

  Returns:
    The `Setting`, every option and number at its default unless given; without
    those options of `LATER` that are at their default.

  Raises:
    Refused: with all reasons.
  """
  reasons: list[str] = []

  def attempt(function, *args):
    try:
      return function(*args)
    except values.Refused as refused:
      reasons.extend(refused.args)

  def stop_if_refused():
    if reasons:
      raise values.Refused(*reasons)

  entries = {
    one: attempt(_entry, one, raw_values[one]) for one in catalog.ROLES
  }
  stop_if_refused()
  reasons.extend(_mismatched(raw_values, entries))
  stop_if_refused()

  options = {
    one: {name: option.default for name, option in entry.options.items()}
    for one, entry in entries.items()
  }
  numbers = {one: dict(entry.numbers) for one, entry in entries.items()}
  following: dict[tuple[str, str], RawValue] = {}
  for dotted, (value, source) in raw_values.items():
    one, _, name = whose(dotted, entries).partition('.')
    if not name:
      continue
    if name in options[one]:
      option = entries[one].options[name]
      options[one][name] = attempt(values.option, option, value, source)
    elif name in numbers[one] and _follows_lag(name, value):
      following[one, name] = raw_values[dotted]
    elif name in numbers[one]:
      numbers[one][name] = attempt(values.number, name, value, source)
    else:
      reasons.append(_absent(entries[one], name, raw_values[dotted]))
  stop_if_refused()
  for (one, name), written in following.items():
    if isinstance(length := numbers['task'].get('length'), int):
      numbers[one][name] = values.bias_of_lag(length)
    else:
      reasons.append(f'{written}: task {entries["task"].name} has no length')
  stop_if_refused()
  reasons.extend(_conflicts(raw_values, entries, options, numbers))
  stop_if_refused()
  for one, entry in entries.items():
    for name in entry.later:
      if options[one][name] == entry.options[name].default:
        del options[one][name]
  length = numbers['task'].pop('length', None)
  task = entries['task'].name
  if own_data.factory_of(raw_values['task'].value):
    own = attempt(_located, raw_values['task'])
    stop_if_refused()
    task, options['task'] = own.name, options['task'] | dict(own.digests)
  return make(
    task=task,
    cell=entries['cell'].name,
    learner=entries['learner'].name,
    length=length,
    task_options=tuple(sorted(options['task'].items())),
    cell_options=tuple(sorted(options['cell'].items())),
    learner_options=tuple(sorted(options['learner'].items())),
    numbers=tuple(
      sorted(pair for pairs in numbers.values() for pair in pairs.items())
    ),
    outside={one: entry for one, entry in entries.items() if entry.place},
  )


def _entry(role, written):
  """The task, cell or learner that a name stands for."""
  name, source = catalog.name_of(written.value), written.source
  if catalog.kind_of(role, name):
    try:
      return catalog.find(role, name)
    except catalog.Broken as why:
      place = getattr(name, 'place', name)
      raise values.Refused(f'{source}={place}: {why}') from None
  kinds = catalog.ROLES[role]
  choices = [n for kind in kinds for n in catalog.names(kind)]
  for kind in kinds:
    choices += [point.name for point in entry_points.entry_points_of(kind)]
  words = unknown(str(name), dict.fromkeys(choices))
  if role == 'task' and os.path.isdir(str(name)):
    words = f'the folder of that name is written ./{name}; else {words}'
  raise values.Refused(f'{source}={name}: {words}')


def _located(raw_values):
  """Data of one's own, read."""
  try:
    return own_data.located(str(raw_values.value))
  except ValueError as why:
    raise values.Refused(f'{raw_values}: {why}') from None


def _follows_lag(name, value):
  """Tells whether a bias is to follow the task's length."""
  return name.endswith('_bias') and value == 'lag'


def whose(dotted: str, entries: Mapping[str, catalog.Entry]) -> str:
  """The dotted name that a written one stands for.

  A window is the learner's, but for a data set, whose own it is: each says what
  it means.

  Args:
    dotted: as 'learner.window'.
    entries: role -> `catalog.Entry`.
  """
  task = entries['task']
  if dotted == 'learner.window' and task.kind == 'datasets':
    return 'task.window'
  return dotted


def _mismatched(raw_values, entries):
  """Refuses what a data set cannot have: a learner of tasks, two windows."""
  task, learner = entries['task'], entries['learner']
  window = raw_values.get('learner.window')
  if task.kind == 'datasets' and window and 'task.window' in raw_values:
    yield (
      f'{window} with {raw_values["task.window"]}: two values for one thing; '
      'choose one of them'
    )
  collected, batches = task.kind == 'datasets', learner.kind == 'trainers'
  if collected == batches:
    return
  fit = catalog.names('trainers' if collected else 'learners')
  reason = 'is a data set' if collected else 'draws its sequences'
  yield (
    f'{raw_values["learner"]}: cannot learn task {task.name}, which {reason}; '
    f'{choose(fit)}'
  )


def _absent(entry, name, written):
  """Says why an entry has no such option, and which one has."""
  one = _ROLE[entry.kind]
  entries = catalog.readable(entry.kind)
  names_having = [
    o.name for o in entries if name in o.options or name in o.numbers
  ]
  if names_having:
    tail = f'{one}s with one: {listed(names_having)}'
  else:
    tail = unknown(name, (*entry.options, *entry.numbers))
  return f'{written}: {one} {entry.name} has no {name}; {tail}'


def _conflicts(raw_values, entries, options, numbers):
  """Reasons why values that are each allowed do not go together."""
  length = numbers['task'].get('length')
  if length is not None:
    yield from _too_short(
      raw_values, entries['task'], options['learner'], length
    )
  yield from _unmet(raw_values, entries, options)
  for name, value in numbers['cell'].items():
    if isinstance(value, tuple):
      yield from _miscounted(raw_values, name, value, options['cell'])
  for name in numbers['cell'].keys() & numbers['learner'].keys():
    yield (
      f'{raw_values["cell"]} with {raw_values["learner"]}: both have a number '
      f'{name}; they reach a trial under one name, so rename one'
    )
  for one, entry in entries.items():
    values = options[one] | numbers[one]
    for names, reason in conditions.refused(entry.refuses, values):
      words = ' with '.join(
        str(raw_values.get(f'{one}.{name}', f'{name}={values[name]}'))
        for name in names
      )
      yield f'{words}: {one} {entry.name}: {reason}'


def _too_short(raw_values, task, options, length):
  written = raw_values.get('task.length', f'length={length}')
  if length < task.shortest:
    yield f'{written}: task {task.name} needs at least {task.shortest}'
  window = options.get('window')
  if window is not None and window > length:
    source = raw_values.get('learner.window', f'window={window}')
    yield (
      f'{source}: is more than {written}; for the whole sequence write full'
    )


def _unmet(raw_values, entries, all_options):
  learner = entries['learner']
  for one, verb, needs in (
    ('cell', 'train', learner.needs),
    ('task', 'learn', learner.task_needs),
  ):
    has = functools.partial(entries[one].has, options=all_options[one])
    options = all_options['learner']
    all_parts = {n.part for n in needs if conditions.holds(n.when, options)}
    for part, reason in conditions.unmet(needs, options, has):
      yield (
        f'{raw_values["learner"]}: cannot {verb} {one} {entries[one].name}: '
        f'{reason}; {_having(entries[one], part, all_parts)}'
      )


def _having(entry, part, all_parts):
  """Says who has the part that an entry lacks, and all others asked for."""
  kind, one, what = entry.kind, _ROLE[entry.kind], part.replace('_', ' ')
  condition = entry.provides.get(part)
  if condition is None:
    others = catalog.readable(kind)
    fit = [other.name for other in others if other.provides.keys() >= all_parts]
    return f'{kind} with {what}: {listed(fit)}'
  words = (
    f'{name}={values.text_of(name, value)}' for name, value in condition.items()
  )
  return f'{one} {entry.name} has {what} with {", ".join(words)}'


def _miscounted(raw_values, name, value, options):
  for size in ('blocks', 'hidden'):
    if size in options:
      if options[size] != len(value):
        source = raw_values.get(f'cell.{name}', f'{name}={value}')
        yield f'{source}: {len(value)} values for {size}={options[size]}'
      return
