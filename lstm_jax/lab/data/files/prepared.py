"""Data sets prepared once and read from then on.

  data_dir/                    what the user has put there, see `published`
    lstm_jax/imdb/1.0.0/       prepared: TFDS's files, and `whole.json`

Where `data_dir` cannot be written to, what is there already is read, and what
has to be prepared goes to `$XDG_CACHE_HOME/lstm_jax/prepared/`. `whole.json` is
written last, durably: it lists the files with sizes and checksums, so that
nothing half-made, cut, mixed or damaged is taken for a data set.

A set is made in a folder next to it (`.imdb.x1y2/`) and takes its place by a
rename; the one before it goes last. A kill, a full disk or a bad file at any
moment leaves the old one or the new, and what is left over goes with the next
preparation.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from lstm_jax.choices import one_of
from lstm_jax.lab.data.files import making, sources
from lstm_jax.lab.data.files.opened import Prepared, opened, state_of
from lstm_jax.lab.data.files.published import PUBLISHED
from lstm_jax.lab.store import files, messages, places
from lstm_jax.lab.store.faults import Unusable, printable

NAMES = tuple(PUBLISHED)


def tell(line: str) -> None:
  """Prints a line of progress on stderr."""
  messages.tell(line)


def load(
  name: str,
  data_dir: str | Path | None = None,
  *,
  skip_bad: bool = False,
  say: Callable[[str], None] = tell,
) -> Prepared:
  """Opens a data set, prepared before or now.

  What is prepared already is read without writing anything, and needs its
  sources no more; where they are there and have changed, it is prepared again.

  Args:
    name: one of `NAMES`.
    data_dir: folder of the data; None: `sources.default_folder()`.
    skip_bad: go on without bad files and name them in `left_out`.
    say: is called with lines of progress.

  Returns:
    `Prepared`.

  Raises:
    ValueError: an unknown name.
    Missing: the data set is not there; the message says how to get it.
    BadData: a file is bad, or was when this was prepared, and `skip_bad` is
      not set.
    StoreError: nothing can be written where prepared files go.
  """
  folders, path, data_dir = _places(name, data_dir)
  for folder in folders:
    with files.storage(folder):
      state, _ = state_of(name, folder, path, skip_bad)
    if state:
      return opened(name, folder, state)
  return prepare(name, data_dir, skip_bad=skip_bad, say=say)


def prepare(
  name: str,
  data_dir: str | Path | None = None,
  *,
  skip_bad: bool = False,
  say: Callable[[str], None] = tell,
) -> Prepared:
  """Prepares a data set unless that has been done, alone among processes.

  Args, returns and raises as `load`.
  """
  folders, path, data_dir = _places(name, data_dir)
  folder, source_set = folders[-1], PUBLISHED[name]
  if path is None and name != 'imdb' and not making.leftovers(name, folder):
    whys = [state_of(name, place, path, skip_bad)[1] for place in folders]
    raise sources.missing(name, source_set, data_dir, max(whys, key=len))
  with files.storage(folder):
    try:
      folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
      raise Unusable(f'{printable(folder)}: is a file, not a folder') from None
  with files.storage(folder), making.alone(folder / f'{name}.lock', say):
    making.tidy(name, folder)
    state, why = state_of(name, folder, path, skip_bad)
    if state is None:
      if path is None and name != 'imdb':
        raise sources.missing(name, source_set, data_dir, why)
      source = path or making.download(name, folder, data_dir, say)
      state = making.make(name, folder, source, path, skip_bad, say)
  return opened(name, folder, state)


def _places(name, data_dir):
  """Finds where to look for prepared files, sources or None, the data folder.

  The last of the folders is where files can be written.
  """
  if name not in PUBLISHED:
    raise ValueError(f'name={name!r} {one_of(NAMES)}')
  data_dir = Path(data_dir) if data_dir else sources.default_folder()
  data_dir = places.expanded(data_dir).absolute()
  with files.storage(data_dir):
    path = sources.find(PUBLISHED[name], data_dir)
    folder = data_dir / 'lstm_jax'
    parent = next((p for p in (folder, data_dir) if p.exists()), None)
  if parent is None or os.access(parent, os.W_OK):
    return (folder,), path, data_dir
  of = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
  return (folder, places.cache() / 'prepared' / of), path, data_dir
