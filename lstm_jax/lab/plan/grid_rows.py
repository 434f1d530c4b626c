"""Rows of a grid file: its own, or each of its entries on each of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from lstm_jax.lab.plan import catalog, references, tuning_size, values
from lstm_jax.lab.plan.grid_check import AXES
from lstm_jax.lab.plan.references import Axis

# Role -> option -> value or list, as a file writes it.
Written = Mapping[str, Mapping[str, object]]


class Keys(TypedDict, total=False):
  """A row, an entry or a reading as a file holds it, besides its axes."""

  name: str
  group: str
  line: str
  source: str
  reading: str
  roles: Sequence[str]
  tried: int
  sizes: Sequence[str]
  sources: Sequence[str]
  set: Written
  seeds: int | str
  budget: int
  expected_sequences: float
  expected_trial_seconds: float
  published: Mapping[str, float | str]
  tune: int
  tune_seeds: int
  futility: int


class Table(TypedDict, total=False):
  """A grid file without mistakes, see `grid_check`."""

  source: str
  sizes: Mapping[str, Keys]
  defaults: Keys
  groups: Mapping[str, Keys]
  row: Sequence[Keys]
  entry: Sequence[Keys]
  entries: Keys


class Row(NamedTuple):
  """One row of a grid: a product of axes and what was published for it.

  It is tuned by `tune` settings on `tune_seeds` seeds; 0: not. Where they solve
  none of those it has `futility` seeds; 0: all.
  """

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
  published: tuple[tuple[str, float | str], ...]
  tune: int = 0
  tune_seeds: int = tuning_size.SEEDS
  futility: int = 0


class Entry(NamedTuple):
  """A cell with its learner, which meets every row of a grid."""

  name: str
  axes: tuple[Axis, ...]


def own_rows(table: Table, where: str, home: Path, size: str = '') -> list[Row]:
  """The rows written in a grid file without mistakes, of one size.

  Args:
    table: what the file holds.
    where: what error messages call it.
    home: the folder that paths in it count from.
    size: '' for its first.
  """
  courses = courses_of(table, where, home, size)
  if 'entry' not in table:
    return courses
  return entered(courses, entries_of(table, where, home, size))


def courses_of(
  table: Table, where: str, home: Path, size: str = ''
) -> list[Row]:
  """The rows as they are written, which entries meet; see `own_rows`."""
  groups = {'': table.get('defaults', {}), **table.get('groups', {})}
  return [
    _row(
      {'source': table['source']}
      | groups[row.get('group', '')]
      | _size_keys(table, row, size),
      row,
      f'{where}, row {row["name"]}',
      home,
    )
    for row in _of_size(table, 'row', size)
  ]


def entries_of(
  table: Table, where: str, home: Path, size: str = ''
) -> list[Entry]:
  """The entries of a grid file, [] where it has none; see `own_rows`."""
  start = start_of(table, where, home, size)
  return [
    Entry(
      entry['name'],
      started(
        start, _entry_axes(entry, f'{where}, entry {entry["name"]}', home)
      ),
    )
    for entry in _of_size(table, 'entry', size)
  ]


def start_of(
  table: Table, where: str, home: Path, size: str = ''
) -> tuple[Axis, ...]:
  """The axes that every entry of a size starts from; see `own_rows`."""
  axes = _entry_axes(table.get('entries', {}), f'{where}, entries', home)
  sizes = table.get('sizes', {})
  name = size or next(iter(sizes), '')
  of_size = _entry_axes(sizes.get(name, {}), f'{where}, sizes.{name}', home)
  return _in_order((*axes, *of_size))


def started(start: Sequence[Axis], own: Sequence[Axis]) -> tuple[Axis, ...]:
  """The axes of an entry with those that it starts from, as far as it has them.

  Args:
    start: of `start_of`.
    own: of the entry; its cell and its learner are among them, or in `start`.
  """
  axes = {axis.name: axis for axis in (*start, *own)}
  names = {'cell', 'learner', *(axis.name for axis in own)}
  for role in ('cell', 'learner'):
    names |= _names_of(axes[role])
  return _in_order([axis for axis in axes.values() if axis.name in names])


def entered(courses: Iterable[Row], entries: Iterable[Entry]) -> list[Row]:
  """Rows of each entry on each course.

  Args:
    courses: rows that say what is trained on.
    entries: what is trained.
  """
  entries = list(entries)
  return [
    course._replace(
      name=f'{course.name}.{entry.name}',
      reading=entry.name,
      axes=_in_order((*course.axes, *entry.axes)),
    )
    for course in courses
    for entry in entries
  ]


def readings_of(
  row: Row, readings: Sequence[Keys], where: str
) -> Iterator[Row]:
  """A row under each of the readings that are meant for its source.

  Args:
    row: of another grid.
    readings: the tables `try` of a grid file.
    where: what error messages call the file.
  """
  for reading in readings:
    place = f'{where}, try {reading["name"]}'
    if row.source not in reading.get('sources', (row.source,)):
      continue
    axes = {axis.name: axis for axis in row.axes}
    for name, value in _dotted(reading['set']).items():
      axes[name] = Axis(name, _as_list(value), f'{place}: set.{name}')
    yield row._replace(
      name=f'{row.name}+{reading["name"]}',
      reading=reading['reading'],
      axes=tuple(axes.values()),
      expected_sequences=0.0,
      expected_trial_seconds=0.0,
    )


def _names_of(axis):
  """Dotted names of the options and numbers of a cell or a learner."""
  try:
    entry = catalog.find(axis.name, catalog.name_of(axis.values[0]))
  except ValueError:
    return set()  # refused where all reasons are given
  return {f'{axis.name}.{name}' for name in (*entry.options, *entry.numbers)}


def _entry_axes(keys, where, home):
  return _axes(keys, where, home, _dotted(keys.get('set', {})))


def _axes(keys, where, home, settings):
  """The axes of a row, or of an entry.

  Args:
    keys: as it is written, with its defaults.
    where: what error messages call it.
    home: the folder that paths count from.
    settings: dotted name -> value of its options.
  """
  axes = [
    references.of_axis(
      Axis(name, _as_list(keys[flag]), f'{where}: {flag}'), home
    )
    for flag, name in AXES.items()
    if flag in keys
  ]
  axes += [
    Axis(name, _as_list(value), f'{where}: set.{name}')
    for name, value in settings.items()
  ]
  return tuple(axes)


def _size_keys(table, row, size):
  """Keys of a row that a size says: of all, the first that the row is in."""
  sizes = table.get('sizes', {})
  first = next((one for one in sizes if one in row.get('sizes', sizes)), '')
  keys = sizes.get(size, sizes.get(first, {}))
  return {key: value for key, value in keys.items() if key != 'set'}


def _of_size(table, key, size):
  """Rows or entries of a size: '' for the first, none that there is for all."""
  sizes = table.get('sizes', ())
  size = size or next(iter(sizes), '')
  return [
    one
    for one in table.get(key, ())
    if size not in sizes or size in one.get('sizes', sizes)
  ]


def _in_order(axes):
  """Axes in the order of products; of two of one name the last counts."""
  merged = {axis.name: axis for axis in axes}
  order = {name: place for place, name in enumerate(AXES.values())}
  return tuple(
    sorted(merged.values(), key=lambda axis: order.get(axis.name, len(order)))
  )


def _row(defaults, row, where, home):
  keys = defaults | row
  settings = _dotted(defaults.get('set', {})) | _dotted(row.get('set', {}))
  return Row(
    name=keys['name'],
    line=keys.get('line', keys['name']),
    source=keys['source'],
    reading=keys.get('reading', ''),
    roles=tuple(keys.get('roles', ())),
    tried=keys.get('tried', 0),
    axes=_axes(keys, where, home, settings),
    seeds=values.seeds(keys['seeds'], f'{where}: seeds'),
    budget=values.integer(keys['budget'], f'{where}: budget'),
    expected_sequences=float(keys.get('expected_sequences', 0)),
    expected_trial_seconds=float(keys.get('expected_trial_seconds', 0)),
    published=tuple(sorted(keys.get('published', {}).items())),
    tune=keys.get('tune', 0),
    tune_seeds=keys.get('tune_seeds', tuning_size.SEEDS),
    futility=keys.get('futility', 0),
  )


def _dotted(table):
  """`{'cell': {'g': x}}` as `{'cell.g': x}`."""
  return {
    f'{kind}.{name}': value
    for kind, inner in table.items()
    for name, value in inner.items()
  }


def _as_list(value):
  return tuple(value) if isinstance(value, list) else (value,)
