"""The cells, learners and tasks that exist, read from their source.

The catalog is the folders themselves: `lstm_jax/cells/gru.py` with a public
function `gru` is the cell `gru`. What it is stands in its file
(`factory_source`). What others have written is found where a `Reference` says
(`outside`). Only `build` imports, and what a source of others does not say.
"""

import contextlib
import functools
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, overload

from lstm_jax import public
from lstm_jax.choices import one_of, unknown
from lstm_jax.lab.plan import factory_source, outside, own_data
from lstm_jax.lab.plan.factory_source import Broken
from lstm_jax.lab.store import files
from lstm_jax.lab.store.catalog_entry import (
  Entry,
  Option,
  Reference,
)
from lstm_jax.lab.store.setting import Setting

if TYPE_CHECKING:
  from lstm_jax.dataset import Dataset
  from lstm_jax.training.trainer import Trainer
  from lstm_jax.types import Cell, Learner, Task

__all__ = [
  'FOLDERS',
  'KINDS',
  'ROLES',
  'Broken',
  'Entry',
  'Option',
  'Reference',
  'build',
  'describe',
  'find',
  'kind_of',
  'module_of',
  'name_of',
  'names',
  'of',
  'readable',
]

# What takes part in a trial -> the kinds that can. Data sets are trained on by
# trainers, tasks by learners.
ROLES = {
  'task': ('tasks', 'datasets'),
  'cell': ('cells',),
  'learner': ('learners', 'trainers'),
}
# Where the files of a kind are, from the package on.
FOLDERS = {
  'tasks': 'tasks',
  'datasets': 'lab/data',
  'cells': 'cells',
  'learners': 'learners',
  'trainers': 'training/trainers',
}
KINDS = tuple(FOLDERS)
_ROOT = Path(public.__file__).parent


def names(kind: str, root: Path = _ROOT) -> tuple[str, ...]:
  """The names of one kind, sorted: the public module files of its folder."""
  if kind not in KINDS:
    raise ValueError(f'kind={kind!r} {one_of(KINDS)}')
  folder = root / FOLDERS[kind]
  try:
    mtime = folder.stat().st_mtime_ns
  except OSError:
    mtime = None  # `files` says why
  return _names_in(folder, mtime)


@functools.lru_cache(maxsize=64)
def _names_in(folder, mtime):
  """`names` of a folder as it was at a time: a plan asks for them often."""
  del mtime
  stems = [
    name.removesuffix('.py')
    for name in files.names(folder, '.py')
    if (folder / name).is_file()
  ]
  # What editors and systems leave beside them can be no name of a module.
  return tuple(name for name in stems if name.isidentifier() and name[0] != '_')


def module_of(kind: str, name: str) -> str:
  """The dotted name of an entry's module."""
  if kind == 'datasets' and own_data.factory_of(name):
    return own_data.module_of(name)
  return f'{public.__package__}.{FOLDERS[kind].replace("/", ".")}.{name}'


def kind_of(role: str, name: str | Reference, root: Path = _ROOT) -> str | None:
  """The kind in which a role has this name; None where it has not."""
  if isinstance(name, Reference):
    try:
      return find(role, name).kind
    except Broken:
      return ROLES[role][0]  # whoever finds it will say why not
  if role == 'task' and own_data.factory_of(name):
    return 'datasets'
  return next((k for k in ROLES[role] if name in names(k, root)), None)


def name_of(value: object) -> str | Reference:
  """A value of a plan's axis as the name that it is."""
  return value if isinstance(value, Reference) else str(value)


def find(role: str, name: str | Reference) -> Entry:
  """The entry that plays a role under this name.

  Raises:
    ValueError: no kind of the role has it.
    Broken: it cannot be read; says where.
  """
  if isinstance(name, Reference):
    return outside.describe(ROLES[role], name)
  kind = kind_of(role, name)
  if kind is None:
    choices = [n for kind in ROLES[role] for n in names(kind)]
    raise ValueError(f'{role} {name!r} is unknown: {unknown(name, choices)}')
  return describe(kind, name)


def of(setting: Setting, role: str) -> Entry:
  """The entry that plays a role in a trial.

  Raises:
    ValueError: this version has none of that name.
  """
  if role in setting.outside:
    return setting.outside[role]
  return _own_entry(role, getattr(setting, role))


@functools.cache
def _own_entry(role: str, name: str) -> Entry:
  """`find`, which lists folders, once for all trials of a plan."""
  return find(role, name)


@functools.cache
def describe(kind: str, name: str, root: Path = _ROOT) -> Entry:
  """Reads one entry from its source, once, without importing it.

  Args:
    kind: one of `KINDS`.
    name: the entry.
    root: folder that holds the folders of all kinds.

  Returns:
    The `Entry`.

  Raises:
    ValueError: an unknown kind or name.
    Broken: a file that is no Python, without its factory, or with an option or
      literal that cannot be read.
    MemoryError, OSError: the machine is at fault, not the file.
  """
  factory = own_data.factory_of(name) if kind == 'datasets' else None
  if factory:
    where = f'{FOLDERS[kind]}/own/{factory}.py'
    entry = factory_source.entry(kind, factory, _ROOT / where, where)
    return entry._replace(name=name)
  choices = names(kind, root)
  if name not in choices:
    raise ValueError(
      f'{kind[:-1]} {name!r} is unknown: {unknown(name, choices)}'
    )
  where = f'{FOLDERS[kind]}/{name}.py'
  return factory_source.entry(kind, name, root / where, where)


def readable(kind: str, root: Path = _ROOT) -> Iterator[Entry]:
  """The entries of a kind, without those that are broken."""
  for name in names(kind, root):
    with contextlib.suppress(Broken):
      yield describe(kind, name, root)


@overload
def build(
  kind: Literal['cells'], name: str | Entry, *args: object, **options: object
) -> 'Cell': ...


@overload
def build(
  kind: Literal['tasks'], name: str | Entry, *args: object, **options: object
) -> 'Task': ...


@overload
def build(
  kind: Literal['learners'], name: str | Entry, *args: object, **options: object
) -> 'Learner': ...


@overload
def build(
  kind: Literal['datasets'], name: str | Entry, *args: object, **options: object
) -> 'Dataset': ...


@overload
def build(
  kind: Literal['trainers'], name: str | Entry, *args: object, **options: object
) -> 'Trainer': ...


def build(
  kind: str, name: str | Entry, *args: object, **options: object
) -> object:
  """Imports an entry's module and calls its factory.

  Args:
    kind: one of `KINDS`.
    name: the entry, or its name.
    *args: the factory's positional arguments.
    **options: its keywords.

  Returns:
    What the factory makes: a `Cell`, `Learner`, `Task`, `Dataset`, `Trainer`.

  Raises:
    ValueError: an unknown kind or name, or what the factory refuses.
  """
  if isinstance(name, Entry):
    if name.place:
      return outside.make(name, *args, **options)
    name = name.name
  if kind == 'datasets' and own_data.factory_of(name):
    paths = cast(Mapping[str, str], options.pop('paths'))
    return own_data.build(name, paths, **options)
  choices = names(kind)
  if name not in choices:
    raise ValueError(
      f'{kind[:-1]} {name!r} is unknown: {unknown(name, choices)}'
    )
  module = importlib.import_module(module_of(kind, name))
  return getattr(module, name)(*args, **options)
