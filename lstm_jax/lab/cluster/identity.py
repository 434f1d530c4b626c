"""Tells whether a worker is the same program as the command that uses it."""

import hashlib
import importlib.metadata
from collections.abc import Iterable, Mapping
from pathlib import Path

from lstm_jax import public
from lstm_jax.choices import count_of
from lstm_jax.lab.store import differences, files, sources
from lstm_jax.lab.store.documents import Plan
from lstm_jax.lab.store.provenance import PACKAGES

_ENDINGS = ('.py', '.cc', '.h')
_MOST_NAMES = 3


def files_of(places: Iterable[str]) -> dict[str, str]:
  """File -> digest of this package, and of other people's code.

  Args:
    places: where that lies, see `projects`.
  """
  root = Path(public.__file__).parent
  digests = {
    path.relative_to(root.parent).as_posix(): hashlib.sha256(
      files.read(path)
    ).hexdigest()[:16]
    for path in files.tree(root, _ENDINGS)
  }
  for place in places:
    for name, digest in sources.of_place(place).items():
      digests[f'{place}: {name}'] = digest
  return digests


def versions() -> dict[str, object]:
  """Package -> version, of those that results depend on."""
  version_of: dict[str, object] = {}
  for name in PACKAGES:
    try:
      version_of[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      version_of[name] = None
  return version_of


def other_files(expected: Mapping[str, str], found: Mapping[str, str]) -> str:
  """One line on files that are not the same; '' if all are.

  Example:
    >>> other_files({'a.py': '1', 'b.py': '2'}, {'a.py': '1'})
    'other code: b.py'
  """
  names = sources.differing(expected, found)
  if not names:
    return ''
  num_more = len(names) - _MOST_NAMES
  more = f' and {count_of(num_more, "more file")}' if num_more > 0 else ''
  return f'other code: {", ".join(names[:_MOST_NAMES])}{more}'


def drift_of(
  expected: Mapping[str, object], found: Mapping[str, object]
) -> dict[str, tuple[object, object]]:
  """Provenance that is not the same: name -> (expected, found).

  Args:
    expected: of the folder; of what it does not say nothing is expected.
    found: of the worker.

  Example:
    >>> drift_of({'jax': '0.10.2'}, {'jax': '0.10.1', 'cpu': 'x'})
    {'jax': ('0.10.2', '0.10.1')}
  """
  old: Plan = {'provenance': dict(expected)}
  new: Plan = {
    'provenance': {key: found.get(key) for key in expected},
  }
  return differences.drift_of(old, new)


def drift_line(drift: Mapping[str, tuple[object, object]]) -> str:
  """One line on a drift.

  Example:
    >>> drift_line({'jax': ('0.10.2', '0.10.1')})
    'jax is 0.10.1 there and 0.10.2 here'
  """
  return ', '.join(
    f'{name} is {new} there and {old} here'
    for name, (old, new) in drift.items()
  )
