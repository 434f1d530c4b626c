"""The control groups of a process, by which a container limits it on Linux."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path('/sys/fs/cgroup')
OWN = Path('/proc/self/cgroup')


def folders(
  controller: str, root: Path = ROOT, own: Path = OWN
) -> Iterator[tuple[int, Path]]:
  """The folders that may say what a controller leaves to this process.

  A container sees its own group as the root, or the path that it has outside;
  both are looked at, and all groups on the way up.

  Args:
    controller: 'cpu', 'memory'.
    root: where control groups are mounted.
    own: the file that names the groups of this process.

  Yields:
    `(version of the interface, folder)`; the folder may not be there. Nothing
    where there are no control groups.
  """
  try:
    lines = own.read_text().splitlines()
  except OSError:  # not Linux
    return
  for line in lines:
    _, controllers, path = (line.split(':', 2) + ['', ''])[:3]
    if not controllers:
      version, bases = 2, (root, root / 'unified')
    elif controller in controllers.split(','):
      version, bases = 1, (root / controllers, root / controller)
    else:
      continue
    parts = Path(path.lstrip('/'))
    for base in bases:
      yield version, base / parts
      for part in parts.parents:
        yield version, base / part
