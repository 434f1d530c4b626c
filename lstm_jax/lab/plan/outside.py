"""Finds, imports and calls what others have written; see `references`."""

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lstm_jax.choices import listed, type_words, with_article
from lstm_jax.lab.plan import outside_source
from lstm_jax.lab.plan.factory_source import Broken
from lstm_jax.lab.store import machine, projects, sources
from lstm_jax.lab.store.catalog_entry import Entry, Reference
from lstm_jax.ops import parts


def describe(kinds: Sequence[str], reference: Reference) -> Entry:
  """The entry of somebody else's cell, task or learner.

  Args:
    kinds: what it may make, by the catalog's kinds.
    reference: its name and place.

  Raises:
    Broken: nothing is there, or not such a factory; says where.
  """
  project = _project(reference.place)
  file = project.path
  stat = file and file.stat()
  stamp = stat and (stat.st_mtime_ns, stat.st_size)
  return _described(tuple(kinds), reference, project, stamp)


@functools.lru_cache(maxsize=256)
def _described(kinds, reference, project, stamp):
  """`describe` of a file as it was at a time: a plan asks for it often."""
  del stamp
  where, _, factory = reference.place.rpartition(':')
  try:
    if project.path is None:
      raise outside_source.Untold
    entry = outside_source.read(kinds, factory, project.path, where)
  except outside_source.Untold:
    module = _load(project, where)
    value = _attribute(module, factory, where)
    entry = outside_source.entry_of(kinds, factory, value, module, where)
  return entry._replace(name=reference.name, place=reference.place)


def summary(kinds: Sequence[str], reference: Reference) -> str:
  """One line on somebody else's cell, task or learner; nothing is imported.

  Args:
    kinds, reference: as of `describe`.

  Raises:
    Broken: nothing is there, or its source cannot be read.
  """
  project = _project(reference.place)
  where, _, factory = reference.place.rpartition(':')
  try:
    if project.path is None:
      raise outside_source.Untold
    return outside_source.read(kinds, factory, project.path, where).summary
  except outside_source.Untold:
    return reference.place


def make(entry: Entry, *args: object, **options: object) -> object:
  """Imports somebody else's factory and calls it.

  Args:
    entry: of `describe`.
    *args: the factory's positional arguments.
    **options: its keywords; `source` where it takes one.

  Raises:
    Broken: it cannot be imported, raises, or gives something else.
  """
  where, _, name = entry.place.rpartition(':')
  project = _project(entry.place)
  factory = _attribute(_load(project, where), name, where)
  if (
    'source' in options
    and 'source' not in inspect.signature(factory).parameters
  ):
    del options['source']
  with _reraise(project, where, name):
    product = factory(*args, **options)
  _check(entry, product, options, where)
  return product


def _project(place):
  """The project of a place.

  Raises:
    Broken: nothing is there.
  """
  project = projects.project_of(place)
  if project is None:
    module = place.rpartition(':')[0]
    place_kind = 'file' if projects.is_file(place) else 'module'
    where = f'; {Path.cwd()} is the working folder' * (
      place_kind == 'file' and not module.startswith(('/', '~'))
    )
    raise Broken(f'{module}: there is no such {place_kind}{where}')
  return project


def _attribute(module, name, where):
  if not hasattr(module, name):
    raise Broken(f'{where} has no {name}')
  return getattr(module, name)


def _load(project, where):
  """The module of a project, imported once a process."""
  _check_names(project, where)
  for root in map(str, project.roots):
    if root not in sys.path:
      sys.path.append(root)
  importlib.invalidate_caches()
  with _reraise(project, where):
    if project.path is None or project.package:
      return importlib.import_module(project.module)
    return _load_file(project.path)


def _load_file(path):
  """The module of a file that lies in no package."""
  mark = hashlib.sha256(str(path).encode()).hexdigest()[:12]
  name = f'_outside_{mark}_{path.stem}'
  if name in sys.modules:
    return sys.modules[name]
  spec = importlib.util.spec_from_file_location(name, path)
  if spec is None or spec.loader is None:
    raise ImportError(f'{path.name} is no module')
  module = importlib.util.module_from_spec(spec)
  sys.modules[name] = module
  try:
    spec.loader.exec_module(module)
  except BaseException:
    del sys.modules[name]
    raise
  return module


def _check_names(project, where):
  """Refuses a module of the project that Python would find elsewhere.

  Of two that have one name Python imports the first, and only that.
  """
  if project.path is None:
    return
  tops = {project.package} if project.package else _own_tops(project)
  for top in sorted(tops):
    project_file, other = project.file_of(top), projects.library_of(top)
    loaded_file = getattr(sys.modules.get(top), '__file__', None)
    other = Path(loaded_file).resolve() if loaded_file else other
    if project_file and other and not _same_place(project_file, other):
      origin = 'a module of Python' if projects.is_python(top) else str(other)
      raise Broken(
        f'{where}: imports {top}, which is {origin} and not {project_file}: '
        'two modules of one name; rename one'
      )


def _own_tops(project):
  """Names of the modules beside a file that it, or one of them, imports."""
  return {
    Path(name).parts[0].removesuffix('.py')
    for name in sources.own_files(project)
  } - {project.module}


def _same_place(path, other):
  """Tells whether two paths are of one module; a package may be its folder."""
  folder_of = lambda p: p.parent if p.name == '__init__.py' else p
  return folder_of(path.resolve()) == folder_of(other)


@contextlib.contextmanager
def _reraise(project, where, name=''):
  """Raises what somebody else's code raises as `Broken`, with its line."""
  try:
    yield
  except (Exception, SystemExit) as error:
    if isinstance(error, Exception) and machine.fault(error):
      raise  # says nothing about the code
    message = f'{type(error).__name__}: {error}'
    place = _line(project, error) or where
    if isinstance(error, SyntaxError):
      message = error.msg
    elif name:
      message = f'{name} raises {message}'
    raise Broken(' '.join(f'{place}: {message}'.split())[:500]) from error


def _line(project, error):
  """The file and line of the project that an error comes from; '' for none."""
  if isinstance(error, SyntaxError):
    frames = [(error.filename or '', error.lineno)]
  else:
    trace = traceback.extract_tb(error.__traceback__)
    frames = [(frame.filename, frame.lineno) for frame in trace]
  for file, line in reversed(frames):
    path = Path(file)
    for root in project.roots:
      if path.is_relative_to(root):
        return f'{path.relative_to(root)}, line {line}'
  return ''


# Kind -> part that a learner may need -> whether it is there.
_PARTS: Mapping[str, Mapping[str, Callable[..., bool]]] = {
  'cells': parts.OF_CELLS,
  'tasks': parts.OF_TASKS,
}


def _check(entry, product, options, where):
  """Refuses what is not what the factory is said to make."""
  type_needed = _type_of(entry.kind)
  if not isinstance(product, type_needed):
    raise Broken(
      f'{where}: {entry.place.rpartition(":")[2]} returns '
      f'{type_words(product)}, must return {with_article(type_needed.__name__)}'
    )
  values = {n: o.default for n, o in entry.options.items()} | options
  for part, is_there in _PARTS.get(entry.kind, {}).items():
    if entry.has(part, values) and not is_there(product):
      raise Broken(
        f'{where}: PROVIDES names {part}, and the '
        f'{type(product).__name__.lower()} does not have it'
      )
  if entry.kind != 'cells':
    return
  if product.numbers.keys() != entry.numbers.keys():
    has, says = (listed(n) for n in (product.numbers, entry.numbers))
    raise Broken(
      f'{where}: the numbers of the cell are {has}, NUMBERS of its module '
      f'names {says}; write NUMBERS = {{name: default, ...}}'
    )


def _type_of(kind):
  """The type of what a kind of factory makes."""
  from lstm_jax.dataset import Dataset
  from lstm_jax.training.trainer import Trainer
  from lstm_jax.types import Cell, Learner, Task

  return {
    'cells': Cell,
    'tasks': Task,
    'learners': Learner,
    'datasets': Dataset,
    'trainers': Trainer,
  }[kind]
