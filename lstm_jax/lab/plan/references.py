"""Names of what others have written, as flags and grid files give them.

  path/to/file.py:factory    from the working folder, in a grid file from the
                             grid's; with blanks, with `~`
  package.module:factory     installed, or in the working folder
  name                       what a package declares, see `entry_points`

A short name stands in tables, pictures and trials: `file.py:factory`, with as
many folders before it as tell two files of a plan apart. It is the same
wherever the file lies.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from lstm_jax.lab.plan import catalog, entry_points, values
from lstm_jax.lab.plan.grid_check import FORMULA
from lstm_jax.lab.store import projects
from lstm_jax.lab.store.catalog_entry import Reference

_FORMS = 'write path/to/file.py:factory or package.module:factory'


class Axis(NamedTuple):
  """The values of one dotted name, as written, and who wrote them.

  Attributes:
    name: 'task', 'cell', 'learner' or e.g. 'cell.blocks'.
    values: text or TOML values, at least one; a `Reference` where text names
      what others have written.
    source: what an error message calls it: `--length`, or file and key.
  """

  name: str
  values: tuple[object, ...]
  source: str


def of_axis(axis: Axis, home: Path | None = None) -> Axis:
  """An axis whose names of what others have written are references.

  Args:
    axis: of any name.
    home: the folder that paths count from; None: the working folder.

  Raises:
    Refused: see `of`.
  """
  if axis.name not in catalog.ROLES:
    return axis
  references = (
    of(axis.name, value, axis.source, home) for value in axis.values
  )
  return axis._replace(values=tuple(references))


def of(
  role: str, value: object, source: str, home: Path | None = None
) -> object:
  """A name as written, or the `Reference` that it is.

  Args:
    role: 'task', 'cell' or 'learner'.
    value: text, as the flag or the file has it.
    source: what an error message calls that.
    home: the folder that paths count from; None: the working folder.

  Returns:
    `value` where it names one of ours or nobody's.

  Raises:
    Refused: what can be no name, or is that of two packages.
  """
  if not isinstance(value, str) or catalog.kind_of(role, value):
    return value
  if ':' not in value:
    if '/' in value or value.endswith('.py'):
      raise values.Refused(f'{source}={value}: names no factory; {_FORMS}')
    return _from_package(role, value, source)
  module, _, factory = value.rpartition(':')
  if not module or not factory.isidentifier() or not value.isprintable():
    raise values.Refused(f'{source}={value}: is no name; {_FORMS}')
  if projects.is_file(value):
    path = _path(module, source, home)
    if path.name.startswith(FORMULA):
      raise values.Refused(
        f'{source}={value}: the name of a file does not begin with one of '
        f'{" ".join(FORMULA)}, which a spreadsheet takes for a formula'
      )
    return Reference(f'{path.name}:{factory}', f'{_short_path(path)}:{factory}')
  if not all(map(str.isidentifier, module.split('.'))):
    raise values.Refused(f'{source}={value}: {module} is no module; {_FORMS}')
  return Reference(value, value)


def _from_package(role, name, source):
  """The `Reference` of a name that one package declares."""
  packages = {
    point.place: point.package
    for kind in catalog.ROLES[role]
    for point in entry_points.entry_points_of(kind)
    if point.name == name
  }
  if len(packages) > 1:
    words = ' or '.join(f'{place} ({of})' for place, of in packages.items())
    raise values.Refused(
      f'{source}={name}: {len(packages)} packages have one; write {words}'
    )
  for place, package in packages.items():
    if ':' not in place:
      raise values.Refused(
        f'{source}={name}: package {package} declares it as {place}, which '
        'names no factory: it must be package.module:factory'
      )
    return of(role, place, source)
  return name


def _path(text, source, home):
  """The absolute path of a file as written."""
  path = Path(home or '', values.place(text, source))
  return Path(os.path.abspath(path))


def _short_path(path):
  """A path as a plan stores it: from the working folder, or from the home."""
  cwd, home = Path.cwd(), Path(os.path.expanduser('~'))
  if path.is_relative_to(cwd):
    text = path.relative_to(cwd).as_posix()
    return text if text.endswith('.py') else f'./{text}'
  if path.is_relative_to(home):
    return f'~/{path.relative_to(home).as_posix()}'
  return path.as_posix()


def told_apart(axes: Iterable[Axis]) -> Callable[[Axis], Axis]:
  """Gives references of a plan longer names, where two would have the same.

  Args:
    axes: all of the plan.

  Returns:
    The function that does it to an axis: names have as many folders of their
    paths before the file as it takes.
  """
  alike: dict[str, set[Reference]] = {}
  for value in (value for axis in axes for value in axis.values):
    if isinstance(value, Reference):
      alike.setdefault(value.name, set()).add(value)
  new_names: dict[object, Reference] = {}
  for references in alike.values():
    paths = {
      value: Path(value.place).expanduser().absolute() for value in references
    }
    depth = 1
    while len({p.parts[-depth:] for p in paths.values()}) < len(paths):
      depth += 1
    if depth > 1:
      for value, path in paths.items():
        new_names[value] = value._replace(name='/'.join(path.parts[-depth:]))

  def renamed(axis):
    return axis._replace(
      values=tuple(
        new_names.get(value, value) if isinstance(value, Reference) else value
        for value in axis.values
      )
    )

  return renamed
