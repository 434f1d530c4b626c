"""Folders of the user: home, caches. There may be none."""

import os
from collections.abc import Mapping
from pathlib import Path

from lstm_jax.lab.store.faults import Unusable, printable


def expanded(path: str | Path) -> Path:
  """A path whose `~` is written out.

  Raises:
    Unusable: there is no such home.
  """
  try:
    return Path(path).expanduser()
  except (RuntimeError, KeyError):
    raise Unusable(
      f'{printable(path)}: there is no such home folder; write the path out, '
      'or set HOME'
    ) from None


def cache(environ: Mapping[str, str] = os.environ) -> Path:
  """The folder of what can be made again.

  `$XDG_CACHE_HOME/lstm_jax`, or under `~/.cache`.

  Raises:
    Unusable: neither is there.
  """
  xdg_home = environ.get('XDG_CACHE_HOME', '')
  root = Path(xdg_home) if os.path.isabs(xdg_home) else expanded('~/.cache')
  return root / 'lstm_jax'
