"""Finds the source files that a program runs, and a digest of each.

A result comes from the code that made it. The modules of a program are found
by following imports from a few of them, read by `ast`: nothing is imported,
and a module that no import leads to does not count.

The digest of a Python module is of what it does: comments, docstrings, blanks
and line breaks do not matter, nor do the ranges that tuning draws from. That
of a C++ file is of its bytes. Modules of the standard library are left out; of
an installed package that is not ours its version stands for it. Of somebody
else's project that a trial names, its own modules count as ours do, by their
names within it, wherever it lies.
"""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from lstm_jax import public
from lstm_jax.lab.store import seal
from lstm_jax.lab.store.files import read
from lstm_jax.lab.store.projects import Project, project_of
from lstm_jax.lab.store.provenance import PACKAGES

_PACKAGE = public.__package__
_INSTALLED = ('site-packages', 'dist-packages')
_NATIVE = f'{_PACKAGE}/nn/native/'
# What a parser says of the text alone, and not of what it does.
_IDLE = ('ctx', 'kind', 'type_comment')
# A literal that says what is searched and nothing of what runs.
_RANGES = 'RANGES'


class Module(NamedTuple):
  """A module that was read.

  Attributes:
    name: its file, from the folder of its package on; 'package NAME' where
      only the version counts.
    digest: of what it does, or the version.
    imports: names of modules, or of things in them, that it imports.
  """

  name: str
  digest: str
  imports: tuple[str, ...]


def of_modules(
  modules: Iterable[str], cache: dict[str, Module | None] | None = None
) -> dict[str, str]:
  """File -> digest of the modules that these import, themselves included.

  Args:
    modules: dotted names.
    cache: a dict that keeps what was read, for the next call.
  """
  cache = {} if cache is None else cache
  queue = [part for module in modules for part in _packages_above(module)]
  return _follow(queue, cache, _read_module)


def _follow(queue, cache, read_module):
  """File -> digest of modules and of all that they import."""
  visited, digests = set(), {}
  while queue:
    module = queue.pop()
    # The table of public names decides nothing: another name in it is no other
    # code of a trial.
    if module in visited or module in (_PACKAGE, public.__name__):
      continue
    visited.add(module)
    if module not in cache:
      cache[module] = read_module(module)
    if read_one := cache[module]:
      digests[read_one.name] = read_one.digest
      queue += read_one.imports
  return dict(sorted(digests.items()))


def of_place(
  place: str, cache: dict[str, Module | None] | None = None
) -> dict[str, str]:
  """File -> digest of what somebody else's factory runs; {} if it is gone.

  Args:
    place: where it is, see `projects`.
    cache: as for `of_modules`.
  """
  project = project_of(place)
  if project is None or project.path is None:
    return {}
  modules_of_project = _modules_of(project)
  libraries = [
    module for module, one in modules_of_project.items() if one is None
  ]
  files = {
    module.name: module.digest
    for module in modules_of_project.values()
    if module
  }
  return of_modules(libraries, cache) | dict(sorted(files.items()))


def join(
  files: Mapping[str, str], other_files: Mapping[str, str], whose: str
) -> dict[str, str]:
  """Both, where another file of one name is called by whose it is, too."""
  return {
    **files,
    **{
      name
      if files.get(name, digest) == digest
      else f'{name} of {whose}': digest
      for name, digest in other_files.items()
    },
  }


def own_files(project: Project) -> tuple[str, ...]:
  """Names within a project of the files that its module runs, itself first."""
  return tuple(
    dict.fromkeys(
      module.name for module in _modules_of(project).values() if module
    )
  )


def _modules_of(project):
  """Module -> `Module` of a project, and of all that it imports: None."""

  def read_module(module):
    path = project.file_of(module)
    if path is None or path.is_dir():
      return None
    return _module(path, project.name_of(path), module)

  first = _module(project.path, project.name_of(project.path), project.module)
  modules: dict[str, Module | None] = {project.module: first}
  _follow(_packages_above(project.module), modules, read_module)
  return modules


def of_module(module: str, cache: dict[str, Module | None]) -> dict[str, str]:
  """File -> digest of one module, without what it imports."""
  if module not in cache:
    cache[module] = _read_module(module)
  read_one = cache[module]
  return {read_one.name: read_one.digest} if read_one else {}


def of_native() -> dict[str, str]:
  """File -> digest of the C++ sources of the compiled loops."""
  folder = Path(public.__file__).parent / 'nn' / 'native'
  queue, digests = ['ffi_calls.cc'], {}
  while queue:
    name = queue.pop()
    if _NATIVE + name not in digests and (folder / name).is_file():
      data = read(folder / name)
      digests[_NATIVE + name] = hashlib.sha256(data).hexdigest()[:16]
      queue += re.findall(r'#include "([^"]+)"', data.decode())
  return digests


def code_of(files: Mapping[str, str]) -> str:
  """One name for what `of_modules` found: 16 hexadecimal digits."""
  return seal.digest(dict(files))[:16]


def differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
  """The files that are not in both, or not the same in both, sorted."""
  return sorted(
    name for name in {**old, **new} if old.get(name) != new.get(name)
  )


def is_native(files: Mapping[str, str]) -> bool:
  """Tells whether the C++ sources are among the files."""
  return f'{_NATIVE}ffi_calls.cc' in files


def _read_module(module):
  """The `Module` of a dotted name; None where there is nothing to read."""
  top, *parts = module.split('.')
  if top in sys.stdlib_module_names:
    return None
  path, root = _place(top)
  if path is None:
    return None
  if top != _PACKAGE and any(part in path.parts for part in _INSTALLED):
    version = None if top in PACKAGES else _version(top)
    return version and Module(f'package {top}', version, ())
  for part in parts:
    folder = path.parent if path.name == '__init__.py' else path
    choices = (folder / f'{part}.py', folder / part / '__init__.py')
    path = next((c for c in choices if c.is_file()), folder / part)
    if path.suffix != '.py' and not path.is_dir():
      return None  # a name within the module, or compiled
  if path.is_dir():
    return None  # a package without a file of its own
  return _module(path, path.relative_to(root).as_posix(), module)


def _module(path, name, module):
  """The `Module` of a file."""
  return _module_of(read(path), name, module, path.name == '__init__.py')


@functools.lru_cache(maxsize=1024)
def _module_of(source, name, module, is_package):
  """The `Module` of a source, which a process parses once: it takes long."""
  try:
    tree = ast.parse(source)
  except (SyntaxError, ValueError):
    # Whoever imports it will say what is wrong.
    return Module(name, hashlib.sha256(source).hexdigest()[:16], ())
  package = module if is_package else module.rpartition('.')[0]
  imports = dict.fromkeys(_imports(tree, package.split('.')))
  tree.body = [node for node in tree.body if not _is_ranges(node)]
  text = json.dumps(_is_plain(tree), separators=(',', ':'))
  digest = hashlib.sha256(text.encode()).hexdigest()[:16]
  return Module(name, digest, tuple(imports))


def _place(top):
  """(file or folder, folder that its name counts from) of a top module."""
  if top == _PACKAGE:
    path = Path(public.__file__).with_name('__init__.py')
    return path, path.parent.parent
  try:
    spec = importlib.util.find_spec(top)
  except (ImportError, ValueError):
    return None, None
  if spec is None:
    return None, None
  folders = list(spec.submodule_search_locations or ())
  if spec.origin and spec.origin.endswith('.py'):
    path = Path(spec.origin)
    return path, path.parent.parent if folders else path.parent
  # A package of the folder alone has no file.
  return (Path(folders[0]), Path(folders[0]).parent) if folders else (None,) * 2


def _version(package):
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return None


def _imports(tree, package):
  """Dotted names of all that is imported, the packages above included."""
  yield from _public_names(tree)
  for node in _walk_what_runs(tree):
    if isinstance(node, ast.Import):
      for alias in node.names:
        yield from _packages_above(alias.name)
    elif isinstance(node, ast.ImportFrom):
      base = package[: len(package) + 1 - node.level] if node.level else []
      name = '.'.join([*base, *(node.module or '').split('.')]).strip('.')
      yield from _packages_above(name)
      yield from (f'{name}.{alias.name}' for alias in node.names)
      if name == _PACKAGE:
        yield from (name for a in node.names for name in _where(a.name))


def _public_names(tree):
  """Modules of ours whose public names are used as attributes, `lj.gru`."""
  names = {
    alias.asname or alias.name
    for node in ast.walk(tree)
    if isinstance(node, ast.Import)
    for alias in node.names
    if alias.name == _PACKAGE
  }
  for node in ast.walk(tree):
    match node:
      case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in names:
        yield from _where(attr)


def _where(name):
  """The module of ours that has a public name, with the packages above."""
  if name in public.NAMES:
    module = public.NAMES[name].partition(':')[0] or name
    yield from _packages_above(f'{_PACKAGE}.{module}')


def _walk_what_runs(node):
  """The nodes below a node, without what is there for type checkers alone."""
  for child in ast.iter_child_nodes(node):
    if isinstance(child, ast.If) and _is_for_types(child.test):
      runs = child.orelse
    else:
      runs = [child]
    for one in runs:
      yield one
      yield from _walk_what_runs(one)


def _is_for_types(test):
  name = getattr(test, 'attr', getattr(test, 'id', None))
  return name == 'TYPE_CHECKING'


def _packages_above(name):
  parts = name.split('.')
  return ['.'.join(parts[:n]) for n in range(1, len(parts) + 1)]


def _is_plain(node):
  """A syntax tree as lists, without docstrings; equal for all Pythons."""
  if isinstance(node, list):
    return [_is_plain(item) for item in node]
  if not isinstance(node, ast.AST):
    return repr(node)
  fields = dict(ast.iter_fields(node))
  if 'body' in fields and _is_text(fields['body']):
    fields['body'] = fields['body'][1:]
  # Fields that a newer parser adds are empty where nothing new is written.
  return [
    type(node).__name__,
    *(
      [name, _is_plain(value)]
      for name, value in fields.items()
      if value not in (None, []) and name not in _IDLE
    ),
  ]


def _is_ranges(node):
  """Tells whether a statement is the literal of a module's ranges."""
  match node:
    case ast.Assign(targets=[ast.Name(id=name)]) if name == _RANGES:
      return True
  return False


def _is_text(body):
  """Tells whether a body begins with a docstring."""
  return (
    isinstance(body, list)
    and bool(body)
    and isinstance(body[0], ast.Expr)
    and isinstance(body[0].value, ast.Constant)
    and isinstance(body[0].value.value, str)
  )
