"""TFDS builders that need no TensorFlow.

The one path that works without it: own builders, `array_record` files, read by
`as_data_source`. Shards are written one by one in the order given
(`ShardBasedBuilder`): the order of the published files is kept, and memory
holds a shard, where `GeneratorBasedBuilder` sorts a whole split in memory and,
above a gigabyte, through TensorFlow's files.

The classes are what TFDS asks for; all that differs between them is a name.
"""

import contextlib
import grp
import hashlib
import itertools
import pwd
import shutil
import time
import types
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.files.published import PUBLISHED, Download

# Records a shard: clips are large, and what is in a shard is in memory.
_SHARD = {'imdb': 5_000, 'urban_sound': 100, 'esc10': 100, 'esc50': 100}
_EVERY = 2.0  # seconds between two lines of progress
# TFDS keeps a list of all builders, in which names are taken.
_UNREGISTERED = {'skip_registration': True}
_PATIENCE = 20.0  # seconds until a server that is silent is none


class Written(NamedTuple):
  """Records that were written.

  Attributes:
    checksum: SHA-256 of all records in their order.
    counts: split -> number of records of each class.
    seconds: split -> seconds of sound; of text 0.
  """

  checksum: str
  counts: dict[str, list[int]]
  seconds: dict[str, float]


# Field -> bytes, a number or an array of them.
Record = Mapping[str, object]


class Split(NamedTuple):
  """Records to be written to a split.

  Attributes:
    total: how many records there will be at most.
    records: their iterator; None stands for one left out.
  """

  total: int
  records: Iterator[Record | None]


def _features(name):
  of = tfds.features
  label = of.ClassLabel(names=PUBLISHED[name].classes)
  if name == 'imdb':
    return {'text': of.Text(), 'label': label, 'id': np.int32}
  samples = lambda dtype: of.Tensor(
    shape=(None,), dtype=dtype, encoding=of.Encoding.BYTES
  )
  return {
    'int16': samples(np.int16),
    'float32': samples(np.float32),
    'channels': np.int32,
    'rate': np.int32,
    'label': label,
    'fold': np.int32,
    'name': of.Text(),
    'group': np.int64,
  }


class _Collected(tfds.core.ShardBasedBuilder, **_UNREGISTERED):
  """Writes the splits that it is given, in their order."""

  VERSION = tfds.core.Version('1.0.0')

  def __init__(
    self, splits: Mapping[str, Split] | None = None, **kwargs: object
  ) -> None:
    self._splits = splits or {}
    super().__init__(file_format='array_record', **kwargs)

  def _info(self):
    published = PUBLISHED[self.name]
    return tfds.core.DatasetInfo(
      builder=self,
      description=published.title,
      features=tfds.features.FeaturesDict(_features(self.name)),
      homepage=published.page,
      citation=published.citation,
      license=published.licence,
      disable_shuffling=True,
    )

  def _shard_iterators_per_split(self, dl_manager):
    del dl_manager
    size = _SHARD[self.name]
    return {
      split: _shards(given, size) for split, given in self._splits.items()
    }

  def _log_download_bytes(self):
    """Says nothing: TFDS would print."""

  def _log_download_done(self):
    """Says nothing."""


class Imdb(_Collected, **_UNREGISTERED):
  """Reviews of films: text, label, id."""

  name = 'imdb'


class UrbanSound(_Collected, **_UNREGISTERED):
  """UrbanSound8K, a split a fold."""

  name = 'urban_sound'


class Esc10(_Collected, **_UNREGISTERED):
  """The ten classes of ESC-50 that are ESC-10, a split a fold."""

  name = 'esc10'


class Esc50(_Collected, **_UNREGISTERED):
  """ESC-50, a split a fold."""

  name = 'esc50'


_BUILDERS = {made.name: made for made in (Imdb, UrbanSound, Esc10, Esc50)}


def _shards(split, size):
  """Makers of the iterators of a split's shards, to be called in turn."""
  numbered = enumerate(r for r in split.records if r is not None)
  shard = lambda: itertools.islice(numbered, size)
  return [shard] * -(-split.total // size)


def write(
  name: str,
  folder: Path,
  splits: Mapping[str, Split],
  say: Callable[[str], None],
) -> Written:
  """Prepares a data set by TFDS.

  TFDS writes under another name and renames: what a killed process leaves is
  not taken for a data set.

  Args:
    name: of the data set.
    folder: the TFDS data folder; files go to `folder/name/VERSION`.
    splits: what goes into it; none is empty.
    say: is called with a line of progress every couple of seconds.

  Returns:
    `Written`.
  """
  digest, classes = hashlib.sha256(), PUBLISHED[name].classes
  counts = {split: [0] * len(classes) for split in splits}
  seconds = dict.fromkeys(splits, 0.0)
  tick = _ticker(name, sum(split.total for split in splits.values()), say)

  def watched(split, records):
    for record in records:
      if record is not None:
        _add(digest, split, record)
        counts[split][record['label']] += 1
        seconds[split] += _seconds(record)
      tick()
      yield record

  builder = _BUILDERS[name](
    splits={
      split: Split(split_of.total, watched(split, split_of.records))
      for split, split_of in splits.items()
    },
    data_dir=folder,
  )
  with _no_progress_bars(), _owners():
    builder.download_and_prepare(
      # Or TFDS asks a server of its own whether it has the set.
      download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
  return Written(digest.hexdigest(), counts, seconds)


def sources(name: str, folder: Path) -> dict[str, Sequence[dict[str, object]]]:
  """Opens what `write` wrote: split -> TFDS data source, no empty splits."""
  builder = _BUILDERS[name](data_dir=folder)
  return {
    split: builder.as_data_source(split)
    for split, info in builder.info.splits.items()
    if info.num_examples
  }


def fetch(download: Download, folder: Path) -> Path:
  """Downloads a file, once.

  Args:
    download: what and from where.
    folder: where downloads are kept.

  Returns:
    Its `Path`; TFDS names it.

  Raises:
    BadData: what came is another file than the published one.
    OSError: nothing came.
  """
  # TFDS would try for minutes where there is no network.
  head = urllib.request.Request(download.url, method='HEAD')
  try:
    urllib.request.urlopen(head, timeout=_PATIENCE).close()
  except urllib.error.HTTPError as error:
    error.close()
    raise
  download_lib = tfds.core.download
  url_info = download_lib.checksums.UrlInfo(
    download.size, download.sha256, download.name
  )
  manager = download_lib.DownloadManager(
    download_dir=folder, url_infos={download.url: url_info}
  )
  try:
    return manager.download(download.url)
  except BaseException as error:
    # What came is kept nowhere, or it would be there for good.
    shutil.rmtree(folder, ignore_errors=True)
    if not isinstance(error, Exception):
      raise  # a stop
    message = ' '.join(str(error).split())
    if isinstance(
      error, download_lib.download_manager.NonMatchingChecksumError
    ):
      raise BadData(f'{download.url}: wrong checksum: {message}') from error
    if isinstance(error, download_lib.DownloadError):
      raise ConnectionError(message) from error
    raise


def _add(digest, split, record):
  """Adds a record to a hash, with names and lengths."""
  digest.update(split.encode())
  for key in sorted(record):
    value = record[key]
    data = value if isinstance(value, bytes) else np.asarray(value)
    data = getattr(data, 'tobytes', lambda data=data: data)()
    digest.update(f' {key} {len(data)} '.encode())
    digest.update(data)


def _seconds(record):
  if 'rate' not in record:
    return 0.0
  numbers = len(record['int16']) + len(record['float32'])
  return numbers / record['channels'] / record['rate']


def _ticker(name, total, say):
  """A function to call for each record; says how far it is, now and then."""
  done, start = 0, time.monotonic()
  last = start

  def tick():
    nonlocal done, last
    done += 1
    clock = time.monotonic()
    if clock - last >= _EVERY or done == total:
      last = clock
      say(f'{name}: {done:,} of {total:,} files, {clock - start:.0f} s')

  return tick


@contextlib.contextmanager
def _owners():
  """With names for owners of files that have none.

  A container's user may have no entry in passwd; TFDS asks for the name of each
  file's owner, through etils, and fails without one.
  """

  def named(ask, field):
    def answer(number):
      try:
        return ask(number)
      except KeyError:
        return types.SimpleNamespace(**{field: str(number)})

    return answer

  users, groups = pwd.getpwuid, grp.getgrgid
  pwd.getpwuid = named(users, 'pw_name')
  grp.getgrgid = named(groups, 'gr_name')
  try:
    yield
  finally:
    pwd.getpwuid, grp.getgrgid = users, groups


@contextlib.contextmanager
def _no_progress_bars():
  """Without TFDS's bars, a dozen a split."""
  was_active = getattr(tfds.core.utils.tqdm_utils, '_active', True)
  tfds.display_progress_bar(False)
  try:
    yield
  finally:
    tfds.display_progress_bar(was_active)
