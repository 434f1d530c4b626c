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
  tune = 16, tune_seeds = 5         as the flags: what no key says is chosen of
                                    so many settings, on so many seeds
  futility = 5                      seeds of a row that solves none of those
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
from typing import NamedTuple

from lstm_jax.choices import unknown
from lstm_jax.lab.plan import grid_check, grid_rows, values
from lstm_jax.lab.plan.grid_rows import Entry, Row
from lstm_jax.lab.plan.references import Axis
from lstm_jax.lab.store import files
from lstm_jax.lab.store.faults import StoreError

_FOLDER = Path(__file__).parent / 'grids'
_NAME = re.compile('[A-Za-z0-9_][A-Za-z0-9_-]{0,59}')
_LONGEST = 2**24  # bytes of a grid
# In place of a size: rows and entries of all of them.
EVERY_SIZE = '*'


class Grid(NamedTuple):
  """A named plan.

  Attributes:
    name: its own.
    title: one line about it.
    source: the table or figure that it reproduces.
    command: that runs it.
    expected_seconds: on 2 cores, of its first size; 0: unknown.
    rows: all of it, with entries each row of each.
    sizes: names, () where it has one.
    courses: rows as the entries meet them; () without entries.
    entries: of the size.
    start: what entries start from, those that flags bring, too.
  """

  name: str
  title: str
  source: str
  command: str
  expected_seconds: float
  rows: tuple[Row, ...]
  sizes: tuple[str, ...] = ()
  courses: tuple[Row, ...] = ()
  entries: tuple[Entry, ...] = ()
  start: tuple[Axis, ...] = ()


def names(folder: Path = _FOLDER) -> tuple[str, ...]:
  """The names of all grids, sorted."""
  stems = [
    name.removesuffix('.toml')
    for name in files.names(folder, '.toml')
    if (folder / name).is_file()
  ]
  # What editors and systems leave beside them is named otherwise.
  return tuple(name for name in stems if _NAME.fullmatch(name))


def load(name: str, folder: Path = _FOLDER, size: str = '') -> Grid:
  """Reads and checks a grid, whole.

  Args:
    name: of a grid in `folder`, or the path of a file that ends in .toml.
    folder: where named grids are.
    size: one of the grid's; '': its first; `EVERY_SIZE`.

  Raises:
    Refused: no such grid; with a line for everything that is wrong in it or in
      one that it includes, each with the file, the row and the key.
  """
  if _is_path(name):
    path = Path(name).expanduser()
    if not _NAME.fullmatch(path.stem) or path.stem in names():
      raise values.Refused(
        f'--grid={name}: a grid of your own is called by its file; name that '
        'by letters, digits, - and _, and not as one of --list'
      )
    table = _table_of(path, f'--grid={name}')
    where, home = str(name), path.parent
  else:
    choices = names(folder)
    if name not in choices:
      raise values.Refused(
        f'--grid={name}: {unknown(name, choices)}; or the path of a file .toml'
      )
    where, home = f'grids/{name}.toml', folder
    path = folder / f'{name}.toml'
    table = _table_of(path, where)
  _refuse(grid_check.mistakes(table, where))
  sizes = tuple(table.get('sizes', ()))
  if size not in ('', EVERY_SIZE, *sizes):
    said = unknown(size, sizes) if sizes else f'{name} has one size'
    raise values.Refused(f'--size={size}: {said}')
  rows = _rows(table, where, home, size)
  row_names = [row.name for row in rows]
  duplicates = sorted({name for name in row_names if row_names.count(name) > 1})
  if duplicates or not row_names:
    fault = (
      f'; twice: {", ".join(duplicates)}' if duplicates else '; there is none'
    )
    raise values.Refused(f'{where}: rows must have names of their own{fault}')
  courses = (
    grid_rows.courses_of(table, where, home, size) if 'entry' in table else ()
  )
  return Grid(
    path.stem,
    table['title'],
    table['source'],
    table['command'],
    float(table['expected_seconds']) if size in ('', *sizes[:1]) else 0.0,
    tuple(rows),
    sizes,
    tuple(courses),
    tuple(grid_rows.entries_of(table, where, home, size)),
    grid_rows.start_of(table, where, home, size),
  )


def _is_path(name):
  return '/' in name or name.endswith('.toml')


def _table_of(path, where):
  """Reads a TOML file."""
  try:
    return tomllib.loads(files.read_text(path, _LONGEST))
  except FileNotFoundError:
    raise values.Refused(f'{where}: no such file') from None
  except (ValueError, RecursionError, StoreError) as error:
    reason = 'nested too deeply' if isinstance(error, RecursionError) else error
    raise values.Refused(f'{where}: {reason}') from None


def _refuse(reasons):
  if reasons:
    raise values.Refused(*reasons)


def _rows(table, where, home, size):
  """The rows of a grid that has no mistakes: its own, or those of others."""
  if 'row' in table:
    return grid_rows.own_rows(table, where, home, size)
  rows = _included(table['include'], table.get('include_role'), home, where)
  if 'try' in table:
    rows = [
      new
      for row in rows
      for new in grid_rows.readings_of(row, table['try'], where)
    ]
  if 'seeds' in table:
    seeds = values.seeds(table['seeds'], f'{where}: seeds')
    rows = [row._replace(seeds=seeds) for row in rows]
  return rows


def _included(names_of_others, role, home, where):
  """The rows of other grids, or those with a role, under names of their own.

  A name is a grid beside this one, else one of the program's; a path is taken
  from the folder of this one.
  """
  rows = []
  for name in names_of_others:
    place = f'{where}: include={name}'
    if _is_path(name):
      path = home / Path(name).expanduser()
    elif name in names(home):
      path = home / f'{name}.toml'
    elif name in names():
      path = _FOLDER / f'{name}.toml'
    else:
      raise values.Refused(
        f'{place}: {unknown(name, names(home))}; or a grid of --list'
      )
    table = _table_of(path, place)
    if 'include' in table:
      raise values.Refused(f'{place}: it includes others')
    _refuse(grid_check.mistakes(table, place))
    rows += [
      row._replace(name=f'{path.stem}.{row.name}')
      for row in grid_rows.own_rows(table, place, path.parent)
      if role is None or role in row.roles
    ]
  return rows
