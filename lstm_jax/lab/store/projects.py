"""Finds the files of somebody else's project, without importing any.

A place is `folder/file.py:factory` or `package.module:factory`. The module that
it names belongs to a project: the package that the module lies in, or the
folder of a file that lies in none. Of what the module imports the modules of
its project are its own; everything else is a library.
"""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple

_PACKAGE = 'lstm_jax'
_INSTALLED = ('site-packages', 'dist-packages')


class Project(NamedTuple):
  """The module that a place names, and where its own modules lie.

  Attributes:
    module: its dotted name from the folder `roots[0]` on.
    path: its file; None where it has none that can be read.
    roots: folders that dotted names count from, in order.
    package: the package that the module lies in; '' for a file in none.
  """

  module: str
  path: Path | None
  roots: tuple[Path, ...]
  package: str

  def file_of(self, module: str) -> Path | None:
    """The file of one of the project's own modules, by its dotted name.

    None where the project has no such module; a package without a file of its
    own is given as its folder.
    """
    first, *parts = module.split('.')
    if first != self.package and (self.package or first == _PACKAGE):
      return None
    for root in self.roots:
      path = _module_file(root, first)
      if path == root / first and library_of(first) not in (
        None,
        path.resolve(),
      ):
        continue  # a folder that is called as a module is no module then
      for part in parts:
        if path is None:
          break
        folder = path.parent if path.name == '__init__.py' else path
        path = _module_file(folder, part) if folder.is_dir() else None
      if path is not None:
        return path
    return None

  def name_of(self, path: Path) -> str:
    """The file's name within the project, the same wherever that lies."""
    root = next(root for root in self.roots if path.is_relative_to(root))
    return path.relative_to(root).as_posix()


def is_file(place: str) -> bool:
  """Tells whether a place names a file, not a module."""
  module = place.rpartition(':')[0]
  return '/' in module or module.endswith('.py')


def project_of(place: str, cwd: Path | None = None) -> Project | None:
  """The project of a place; None where nothing is found there.

  Args:
    place: of a `Reference`; a path counts from the working folder.
    cwd: the working folder; None: that of the process.
  """
  cwd = cwd or Path.cwd()
  module = place.rpartition(':')[0]
  if is_file(place):
    path = cwd / Path(module).expanduser()
    return _of_file(path.resolve(), cwd) if path.is_file() else None
  top = module.partition('.')[0]
  spec = _spec(top, cwd)
  if spec is None:
    return None
  folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
  if not folders:
    path = Path(spec.origin or '')
    if path.suffix != '.py' or '.' in module:
      return Project(module, None, (), top)
    roots = (path.parent,) if _installed(path) else (path.parent, cwd)
    return Project(module, path, roots, top if _installed(path) else '')
  project = Project(module, None, tuple(f.parent for f in folders), top)
  path = project.file_of(module)
  if path is not None and path.is_dir():
    path = None
  if path is None and _is_source(spec):
    return None
  return project._replace(path=path)


def _of_file(path, cwd):
  """The `Project` of a file that is there."""
  root, module = path.parent, [path.stem] * (path.name != '__init__.py')
  while (root / '__init__.py').is_file() and root.name.isidentifier():
    module.insert(0, root.name)
    root = root.parent
  if root == path.parent or not all(map(str.isidentifier, module)):
    roots = dict.fromkeys((path.parent, cwd.resolve()))
    return Project(path.stem, path, tuple(roots), '')
  return Project('.'.join(module), path, (root,), module[0])


def _module_file(folder, name):
  """A module of a folder: its file, or the folder of a package without one."""
  for path in (folder / name / '__init__.py', folder / f'{name}.py'):
    if path.is_file():
      return path
  return folder / name if (folder / name).is_dir() else None


def library_of(module: str) -> Path | None:
  """The file, or folder, that a top module has besides the projects.

  As Python finds it now: of its own, of what is installed, of what has been
  imported. None where there is none, or it has no file.
  """
  spec = _spec(module, None)
  if spec is None:
    return None
  if spec.origin and spec.has_location:
    return Path(spec.origin).resolve()
  folders = list(spec.submodule_search_locations or ())
  return Path(folders[0]).resolve() if folders else Path(spec.origin or module)


def _spec(top, cwd):
  """The spec of a top module, which importlib finds without importing it."""
  try:
    spec = importlib.util.find_spec(top)
  except (ImportError, ValueError):
    spec = None
  if spec is None and cwd is not None:
    # A console command does not look into the working folder by itself.
    spec = importlib.machinery.PathFinder.find_spec(top, [str(cwd)])
  return spec


def _is_source(spec):
  """Tells whether a package lies in files, not in an archive."""
  origin = spec.origin
  return origin is None or origin.endswith('.py')


def _installed(path):
  return any(part in path.parts for part in _INSTALLED)


def is_python(module: str) -> bool:
  """Tells whether a module is Python's own."""
  return module.partition('.')[0] in sys.stdlib_module_names
