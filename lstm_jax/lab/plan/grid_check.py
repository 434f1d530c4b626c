"""Checks what a grid file holds, as a whole: a line for every mistake.

`docs/grids.md` says it for readers.
"""

import math
from collections.abc import Callable, Mapping

from lstm_jax.choices import unknown
from lstm_jax.lab.plan import tuning_size, values

# Flag -> the dotted name it stands for. The order is that of products.
AXES = {
  'task': 'task',
  'cell': 'cell',
  'learner': 'learner',
  'length': 'task.length',
  'window': 'learner.window',
  'hidden': 'cell.hidden',
  'blocks': 'cell.blocks',
  'block_size': 'cell.block_size',
  'learning_rate': 'learner.learning_rate',
}
ROLES = ('task', 'cell', 'learner')
# Characters of a name, '+' and what an included row gets before it apart.
LONGEST_NAME = 80
FORMULA = ('=', '+', '-', '@')
_TEXT, _NUMBER, _COUNT = 'text', 'a finite number from 0', 'an integer from 0'
_NAMES, _TABLE = 'a list of words', 'a table'
_GRID = {
  'title': _TEXT,
  'source': _TEXT,
  'command': _TEXT,
  'expected_seconds': _NUMBER,
  'include': _NAMES,
  'include_role': _TEXT,
  'sizes': _TABLE,
  'entry': 'tables, written as [[entry]]',
  'entries': _TABLE,
  'seeds': 'seeds',
  'try': 'tables, written as [[try]]',
  'defaults': _TABLE,
  'groups': _TABLE,
  'row': 'tables, written as [[row]]',
}
_REQUIRED_KEYS = ('title', 'source', 'command', 'expected_seconds')
_TRY = {'name': 'name', 'reading': _TEXT, 'sources': _NAMES, 'set': 'set'}
_ROW = {
  'name': 'name',
  'group': _TEXT,
  'line': _TEXT,
  'source': _TEXT,
  'reading': _TEXT,
  'roles': _NAMES,
  'tried': _COUNT,
  'set': 'set',
  'seeds': 'seeds',
  'budget': 'budget',
  'tune': 'tune',
  'tune_seeds': 'tune_seeds',
  'futility': 'futility',
  'expected_sequences': _NUMBER,
  'expected_trial_seconds': _NUMBER,
  'published': 'published',
  'sizes': _NAMES,
} | dict.fromkeys(AXES, 'axis')
# Keys of a row that a size may say otherwise.
_OF_SIZE = {
  key: kind
  for key, kind in _ROW.items()
  if key in ('seeds', 'budget', 'tune', 'tune_seeds', 'futility', 'set')
}
_ENTRY = {'name': 'name', 'sizes': _NAMES, 'set': 'set'} | {
  flag: 'axis' for flag, name in AXES.items() if not name.startswith('task')
}
_ENTRIES = {
  key: kind for key, kind in _ENTRY.items() if key not in ('name', 'sizes')
}
_ROW_NEEDED = ('name', *ROLES, 'seeds', 'budget')
_READERS: dict[str, Callable[..., object]] = {
  'seeds': values.seeds,
  'budget': values.integer,
  'tune': tuning_size.settings,
  'tune_seeds': tuning_size.seeds,
  'futility': tuning_size.futility,
}
_PUBLISHED_KEYS = {
  'success_after': _NUMBER,
  'success_percent': 'a number from 0, or text as <1',
  'trials': _COUNT,
  'wrong': _NUMBER,
  'of': _NUMBER,
  'st1': _NUMBER,
  'fraction': _NUMBER,
  'absolute': _NUMBER,
  'difference': _NUMBER,
  'accuracy': _NUMBER,
  'valid_accuracy': _NUMBER,
  'best_valid_accuracy': _NUMBER,
  'loss': _NUMBER,
  'weights': _COUNT,
  'epochs': _NUMBER,
  'low': _NUMBER,
  'high': _NUMBER,
  'also': _TEXT,
}


def mistakes(table: Mapping[str, object], where: str) -> list[str]:
  """Lines that name what is wrong in a grid, each with the file and the key.

  Args:
    table: what the TOML file holds.
    where: what the lines call the file.

  Returns:
    A list, empty where everything is of the kind that it must be. Whether
    tasks, cells and their options exist is not looked at.
  """
  faults = list(_keys(table, _GRID, where))
  faults += [
    f'{where}: the key {key} is missing'
    for key in _REQUIRED_KEYS
    if key not in table
  ]
  if ('include' in table) == ('row' in table):
    faults.append(f'{where}: write either rows or include')
  for key in ('try', 'include_role', 'seeds'):
    if key in table and 'include' not in table:
      faults.append(f'{where}: {key}: only a grid that includes others has it')
  readings = table.get('try')
  if isinstance(readings, list) and _is_tables(readings):
    for i, reading in enumerate(readings):
      place = f'{where}, try {_name(reading, i)}'
      faults += _keys(reading, _TRY, place)
      faults += [
        f'{place}: the key {key} is missing'
        for key in ('name', 'reading', 'set')
        if key not in reading
      ]
  if 'row' in table:
    faults += _rows(table, where)
  faults += _entries(table, where)
  return faults


def _entries(table, where):
  """The lines on entries, and on sizes: of the file, of rows, of entries."""
  for key in ('sizes', 'entry', 'entries'):
    if key in table and 'row' not in table:
      yield f'{where}: {key}: only a grid with rows has it'
  entries = table.get('entry', [])
  if 'entries' in table and not entries:
    yield f'{where}: entries: only a grid with entries has it'
  sizes = table['sizes'] if isinstance(table.get('sizes'), dict) else {}
  for name, size in sizes.items():
    if isinstance(size, dict):
      place = f'{where}, sizes.{name}'
      yield from _keys(size, _OF_SIZE, place)
      if 'task' in (size['set'] if isinstance(size.get('set'), dict) else {}):
        yield f'{place}: set.task: what is trained on is said by rows'
    else:
      yield f'{where}: sizes.{name} must be a table'
  if isinstance(table.get('entries'), dict):
    place = f'{where}, entries'
    yield from _keys(table['entries'], _ENTRIES, place)
    for key in ('cell', 'learner'):
      if key not in table['entries']:
        yield f'{place}: the key {key} is missing'
  entries = entries if _is_tables(entries) else []
  for i, entry in enumerate(entries):
    place = f'{where}, entry {_name(entry, i)}'
    yield from _keys(entry, _ENTRY, place)
    for key in ('name', 'cell', 'learner'):
      if key not in entry:
        yield f'{place}: the key {key} is missing'
    if '+' in str(entry.get('name')):
      yield f'{place}: name: + is for entries that flags bring, CELL+LEARNER'
    if 'task' in (entry['set'] if isinstance(entry.get('set'), dict) else {}):
      yield f'{place}: set.task: what is trained on is said by rows'
  rows = table.get('row', [])
  for kind, tables in (('row', rows), ('entry', entries)):
    for i, one in enumerate(tables if _is_tables(tables) else []):
      for size in one['sizes'] if _is(one.get('sizes'), _NAMES) else ():
        if size not in sizes:
          yield (
            f'{where}, {kind} {_name(one, i)}: sizes={size}: '
            f'{unknown(size, tuple(sizes))}'
          )


def _rows(table, where):
  groups = {'': table.get('defaults', {})}
  if isinstance(table.get('groups'), dict):
    groups |= table['groups']
  for name, group in groups.items():
    place = f'{where}, {f"groups.{name}" if name else "defaults"}'
    if isinstance(group, dict):
      yield from _keys(group, _ROW, place)
    elif name:
      yield f'{place} must be a table'
  if not _is_tables(table['row']):
    return
  for i, row in enumerate(table['row']):
    place = f'{where}, row {_name(row, i)}'
    yield from _keys(row, _ROW, place)
    group = row.get('group', '')
    if group not in groups if isinstance(group, str) else False:
      group_names = tuple(filter(None, groups))
      yield f'{place}: group={group}: {unknown(group, group_names)}'
    elif isinstance(group, str) and isinstance(groups[group], dict):
      for key in _needed(table):
        if key not in row and key not in groups[group]:
          yield f'{place}: the key {key} is missing'


def _needed(table):
  """The keys that each row must have; cells and learners may be of entries."""
  of_entries = ('cell', 'learner') if 'entry' in table else ()
  return [key for key in _ROW_NEEDED if key not in of_entries]


def _keys(table, kinds, where):
  for key, value in table.items():
    if key not in kinds:
      yield f'{where}: key {key}: {unknown(key, tuple(kinds))}'
    else:
      yield from _value(key, value, kinds[key], where)


def _value(key, value, kind, where):
  """The lines on one key whose value is not of its kind."""
  place = f'{where}: {key}'
  if kind == 'set':
    yield from _set(value, where)
  elif kind == 'published':
    if isinstance(value, dict):
      yield from _keys(value, _PUBLISHED_KEYS, f'{where}, published')
    else:
      yield f'{place} has the wrong type: {value!r}; write a table'
  elif kind == 'axis':
    yield from _axis(value, place)
  elif kind == 'name':
    yield from _name_of(value, where)
  elif kind in _READERS:
    reader = _READERS[kind]
    try:
      if isinstance(value, bool) or not isinstance(
        value, int | str if kind == 'seeds' else int
      ):
        yield f'{place} has the wrong type: {value!r}'
      else:
        reader(value, place)
    except values.Refused as refused:
      yield from refused.args
  elif not _is(value, kind):
    yield f'{place} has the wrong type: {value!r}; write {kind}'


def _is(value, kind):
  number = isinstance(value, int | float) and not isinstance(value, bool)
  number = number and 0 <= value < math.inf
  if kind == _TEXT:
    return isinstance(value, str) and len(value) < 10_000
  if kind == _NUMBER:
    return number
  if kind == _COUNT:
    return number and isinstance(value, int) and value <= values.MAX_INT
  if kind == _NAMES:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)
  if kind == _TABLE:
    return isinstance(value, dict)
  if kind.startswith('tables'):
    return _is_tables(value)
  return number or isinstance(value, str)


def _is_tables(value):
  return isinstance(value, list) and all(isinstance(v, dict) for v in value)


def _name_of(value, where):
  if not isinstance(value, str):
    yield f'{where}: name has the wrong type: {value!r}; write text'
  elif not value or not value.isprintable() or set(value) & set(', '):
    yield (
      f'{where}: name={value}: a row name has no comma and no space, and '
      'nothing that cannot be printed'
    )
  elif value.startswith(FORMULA):
    yield (
      f'{where}: name={value}: a name does not begin with one of '
      f'{" ".join(FORMULA)}, which a spreadsheet takes for a formula'
    )
  elif len(value) > LONGEST_NAME:
    yield (
      f'{where}: name: {len(value)} characters, at most {LONGEST_NAME}; say '
      'the rest in line or reading'
    )


def _axis(value, place):
  items = value if isinstance(value, list) else [value]
  if not items or not all(map(_is_scalar, items)):
    yield f'{place}: must be a value or a list of values, got {value!r}'
  for i, item in enumerate(items):
    if item in items[:i]:
      yield f'{place}: {item} is listed twice'


def _is_scalar(value):
  if isinstance(value, float):
    return math.isfinite(value)
  if isinstance(value, int):  # bool, too
    return abs(value) <= 10**18
  return isinstance(value, str) and len(value) < 1000


def _set(value, where):
  if not isinstance(value, dict):
    yield f'{where}: set has the wrong type: {value!r}; write set.KIND.NAME'
    return
  for kind, inner in value.items():
    if kind not in ROLES or not isinstance(inner, dict):
      yield (
        f'{where}: set.{kind}: write set.KIND.NAME with KIND one of '
        f'{", ".join(ROLES)}'
      )
      continue
    for name, items in inner.items():
      yield from _axis(items, f'{where}: set.{kind}.{name}')


def _name(table, i):
  name = table.get('name', i + 1)
  return str(name)[:LONGEST_NAME]
