"""Named grids: data files that carry the published row beside the setting.

`grids/NAME.toml`:

  title = 'one line'                source = 'Table 7'
  command = 'the command that runs it'
  expected_seconds = 0              measured wall time on 2 cores; 0: unknown
  include = ['table7']              instead of rows: those of other grids
  include_role = 'chosen'           and of these the ones with this role
  [defaults]                        what every row starts from
  [groups.rtrl]                     what rows with group = 'rtrl' start from
  [[row]]
  name = 'T100-linear'              one line of the table under one reading
  group = 'rtrl'                    without: defaults
  line = 'T=100'                    the line of the table; without: the name
  source = 'Table 7'                whose line, where it is not the grid's
  reading = 'linear output'         which reading of the paper
  roles = ['literal']               what it is to the grids that include it
  tried = 13                        readings of the table that were searched
  task, cell, learner, length, window, hidden, blocks, block_size,
  learning_rate                     axes: a value, or a list for every value
  set.task.output = 'linear'        an option, as `--set task.output=linear`
  set.cell.input_gate_bias = '-3:-6'   a number, one per block
  seeds, budget                     as the flags
  expected_sequences = 0            mean of a trial, where measured
  expected_trial_seconds = 0        mean of a trial on one core, where measured
  published = {success_after = 74000, ...}   the paper's figures

A row's keys replace those of `defaults`; `set` is merged name by name. An
included row is called GRID.NAME. A grid that includes may hold readings, each
tried on every included row (or those of some sources), and seeds for them all:

  seeds = '1000-1007'
  [[try]]
  name = 'no-cell-bias'             the row is called GRID.NAME+no-cell-bias
  reading = 'no cell bias'
  sources = ['Table 7']             without: any
  set.cell.bias = 'gates'
"""

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from experiments import values
from lstm_jax.catalog import KINDS, unknown
from lstm_jax.store import files
from lstm_jax.store.faults import StoreError

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
_FOLDER = Path(__file__).parent / 'grids'
_NAME = re.compile('[A-Za-z0-9_][A-Za-z0-9_-]{0,59}')
_LONGEST = 2**24  # bytes of a grid
_GRID_KEYS = {
  'title': str,
  'source': str,
  'command': str,
  'expected_seconds': int | float,
  'include': list,
  'include_role': str,
  'seeds': int | str,
  'try': list,
  'defaults': dict,
  'groups': dict,
  'row': list,
}
_OPTIONAL = ('include', 'include_role', 'seeds', 'try')
_OPTIONAL += ('defaults', 'groups', 'row')
_TRY_KEYS = {'name': str, 'reading': str, 'sources': list, 'set': dict}
_ROW_KEYS = {
  'name': str,
  'group': str,
  'line': str,
  'source': str,
  'reading': str,
  'roles': list,
  'tried': int,
  'set': dict,
  'seeds': int | str,
  'budget': int,
  'expected_sequences': int | float,
  'expected_trial_seconds': int | float,
  'published': dict,
} | dict.fromkeys(AXES, str | int | float | list)


class Axis(NamedTuple):
  """The values of one dotted name, as written, and who wrote them.

  Attributes:
    name: 'task', 'cell', 'learner' or e.g. 'cell.blocks'.
    values: text or TOML values, at least one.
    source: what an error message calls it: `--length`, or file and key.
  """

  name: str
  values: tuple[Any, ...]
  source: str


class Row(NamedTuple):
  """One row of a grid: a product of axes and what was published for it."""

  name: str
  line: str
  source: str
  reading: str
  roles: tuple[str, ...]
  tried: int
  axes: tuple[Axis, ...]
  seeds: tuple[int, ...]
  budget: int
  expected_sequences: float
  expected_trial_seconds: float
  published: tuple[tuple[str, Any], ...]


class Grid(NamedTuple):
  """A named plan. `expected_seconds` is on 2 cores, 0 where unknown."""

  name: str
  title: str
  source: str
  command: str
  expected_seconds: float
  rows: tuple[Row, ...]


def names(folder=_FOLDER):
  """The names of all grids, sorted."""
  found = [
    name.removesuffix('.toml')
    for name in files.names(folder, '.toml')
    if (folder / name).is_file()
  ]
  # What editors and systems leave beside them is named otherwise.
  return tuple(name for name in found if _NAME.fullmatch(name))


def load(name, folder=_FOLDER):
  """Reads and checks a grid.

  Raises:
    Refused: no such grid; a file with an unknown or missing key or a value of
      the wrong type, named with the file and the row.
  """
  known = names(folder)
  if name not in known:
    raise values.Refused(f'--grid={name}: {unknown(name, known)}')
  where = f'grids/{name}.toml'
  try:
    table = tomllib.loads(_text(name, folder, where))
  except (ValueError, RecursionError, StoreError) as error:
    raise values.Refused(f'{where}: {error}') from None
  _check(table, _GRID_KEYS, where)
  for key in _GRID_KEYS:
    if key not in table and key not in _OPTIONAL:
      raise values.Refused(f'{where}: the key {key} is missing')
  if ('include' in table) == ('row' in table):
    raise values.Refused(f'{where}: write either rows or include')
  if 'include' in table:
    role = table.get('include_role')
    rows = _included(table['include'], role, folder, where)
    if 'try' in table:
      rows = [new for row in rows for new in _tried(row, table['try'], where)]
    if 'seeds' in table:
      seeds = values.seeds(table['seeds'], f'{where}: seeds')
      rows = [row._replace(seeds=seeds) for row in rows]
  else:
    rows = _own_rows(table, where)
  listed = [row.name for row in rows]
  if len(set(listed)) < len(listed) or not listed:
    raise values.Refused(f'{where}: rows must have names of their own')
  return Grid(
    name,
    table['title'],
    table['source'],
    table['command'],
    float(table['expected_seconds']),
    tuple(rows),
  )


def _included(others, role, folder, where):
  """The rows of other grids, or those with a role, under names of their own."""
  rows = []
  for name in others:
    if not isinstance(name, str):
      raise values.Refused(f'{where}: include has the wrong type: {name!r}')
    if 'include' in tomllib.loads(_text(name, folder, where)):
      raise values.Refused(f'{where}: include={name}: it includes others')
    rows += [
      row._replace(name=f'{name}.{row.name}')
      for row in load(name, folder).rows
      if role is None or role in row.roles
    ]
  return rows


def _tried(row, readings, where):
  """A row under each of the readings that are meant for its source."""
  for reading in readings:
    here = f'{where}, try {reading.get("name", "?")}'
    _check(reading, _TRY_KEYS, here)
    for key in ('name', 'reading', 'set'):
      if key not in reading:
        raise values.Refused(f'{here}: the key {key} is missing')
    if row.source not in reading.get('sources', (row.source,)):
      continue
    axes = {axis.name: axis for axis in row.axes}
    for name, value in _dotted(reading['set'], here).items():
      source = f'{here}: set.{name}'
      axes[name] = Axis(name, _listed(value, source), source)
    yield row._replace(
      name=f'{row.name}+{reading["name"]}',
      reading=reading['reading'],
      axes=tuple(axes.values()),
      expected_sequences=0.0,
      expected_trial_seconds=0.0,
    )


def _text(name, folder, where):
  known = names(folder)
  if name not in known:
    raise values.Refused(f'{where}: include={name}: {unknown(name, known)}')
  return files.read_text(folder / f'{name}.toml', _LONGEST)


def _own_rows(table, where):
  """The rows written in the file."""
  groups = {'': table.get('defaults', {}), **table.get('groups', {})}
  for name, group in groups.items():
    here = f'{where}, {f"groups.{name}" if name else "defaults"}'
    if not isinstance(group, dict):
      raise values.Refused(f'{here} must be a table')
    _check(group, _ROW_KEYS, here)
  rows = []
  for i, row in enumerate(table['row']):
    if not isinstance(row, dict):
      raise values.Refused(f'{where}: row must be written as [[row]]')
    here = f'{where}, row {row.get("name", i + 1)}'
    _check(row, _ROW_KEYS, here)
    group = row.get('group', '')
    if group not in groups:
      known = tuple(filter(None, groups))
      raise values.Refused(f'{here}: group={group}: {unknown(group, known)}')
    rows.append(_row({'source': table['source']} | groups[group], row, here))
  return rows


def _row(defaults, row, where):
  merged = defaults | row
  for key in ('name', 'task', 'cell', 'learner', 'seeds', 'budget'):
    if key not in merged:
      raise values.Refused(f'{where}: the key {key} is missing')
  if set(merged['name']) & set(', '):
    raise values.Refused(f'{where}: a row name has no comma and no space')
  settings = _dotted(defaults.get('set', {}), where)
  settings |= _dotted(row.get('set', {}), where)
  axes = [
    Axis(name, _listed(merged[flag], f'{where}: {flag}'), f'{where}: {flag}')
    for flag, name in AXES.items()
    if flag in merged
  ]
  for name, value in settings.items():
    source = f'{where}: set.{name}'
    axes.append(Axis(name, _listed(value, source), source))
  return Row(
    name=merged['name'],
    line=merged.get('line', merged['name']),
    source=merged['source'],
    reading=merged.get('reading', ''),
    roles=tuple(merged.get('roles', ())),
    tried=merged.get('tried', 0),
    axes=tuple(axes),
    seeds=values.seeds(merged['seeds'], f'{where}: seeds'),
    budget=values.integer(merged['budget'], f'{where}: budget'),
    expected_sequences=float(merged.get('expected_sequences', 0)),
    expected_trial_seconds=float(merged.get('expected_trial_seconds', 0)),
    published=tuple(sorted(merged.get('published', {}).items())),
  )


def _dotted(table, where):
  """`{'cell': {'g': x}}` as `{'cell.g': x}`."""
  kinds = tuple(kind[:-1] for kind in KINDS)
  for kind, inner in table.items():
    if kind not in kinds or not isinstance(inner, dict):
      raise values.Refused(
        f'{where}: set.{kind}: write set.KIND.NAME with KIND one of '
        f'{", ".join(kinds)}'
      )
  return {
    f'{kind}.{name}': value
    for kind, inner in table.items()
    for name, value in inner.items()
  }


def _listed(value, source):
  if not isinstance(value, list):
    return (value,)
  if not value or any(isinstance(v, list | dict) for v in value):
    raise values.Refused(f'{source}: must be a value or a list of values')
  return tuple(value)


def _check(table, keys, where):
  for key, value in table.items():
    if key not in keys:
      raise values.Refused(f'{where}: key {key}: {unknown(key, tuple(keys))}')
    if not isinstance(value, keys[key]) or isinstance(value, bool):
      raise values.Refused(f'{where}: {key} has the wrong type: {value!r}')
