"""The clips of UrbanSound8K and ESC, as their tables list them."""

import collections
import concurrent.futures
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from lstm_jax.lab.data.files import audio, faults, tables
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.files.published import ESC10_TARGETS, PUBLISHED, SOUND
from lstm_jax.lab.data.files.sources import Source
from lstm_jax.lab.store import machine

_LARGEST_ID = 2**40
_URBAN_NAME = re.compile(r'(\d+)-(\d+)-\d+-\d+\.\w+', re.ASCII)


class Row(NamedTuple):
  """A clip, as a table says.

  Attributes:
    name: its file name.
    path: its file, from the folder of the set.
    fold: from 1.
    label: place in the classes of the set.
    group: number of the recording that it was cut from; clips of one recording
      must not be in two parts.
  """

  name: str
  path: str
  fold: int
  label: int
  group: int


def listed(
  name: str, source: Source, report: faults.Report = faults.stop
) -> dict[str, list[Row]]:
  """The clips that are both in the table and there.

  Args:
    name: 'urban_sound', 'esc10' or 'esc50'.
    source: the files.
    report: is given bad rows, files listed but absent, and files present but
      not listed.

  Returns:
    'fold1', ... -> list of `Row` in the order of the table.

  Raises:
    BadData: there is no table, or it cannot be read; or `report` raises it.
  """
  table = PUBLISHED[name].marker
  if table not in source.sizes:
    raise BadData(f'{source.path}/{table}: is not there')
  of = _urban_rows if name == 'urban_sound' else _esc_rows
  rows, named = of(name, source, table, report)
  report(
    [
      f'{source.path}/{row.path}: is listed in {PurePosixPath(table).name}, '
      'but is not there'
      for row in rows
      if row.path not in source.sizes
    ]
  )
  report(
    [
      f'{source.path}/{path}: is not listed in {PurePosixPath(table).name}'
      for path in sorted(source.sizes)
      if path.lower().endswith(SOUND)
      and path.startswith('audio/')
      and PurePosixPath(path).name not in named
    ]
  )
  folds = collections.defaultdict(list)
  for row in rows:
    if row.path in source.sizes:
      folds[row.fold].append(row)
  return {f'fold{fold}': folds[fold] for fold in sorted(folds)}


def _urban_rows(name, source, table, report):
  """The rows that agree with themselves, and every file name of the table."""
  classes = PUBLISHED[name].classes
  table_rows, named = tables.read(
    source.read(table),
    f'{source.path}/{table}',
    {
      'slice_file_name': tables.file_name,
      'fsID': tables.integer(0, _LARGEST_ID),
      'start': tables.any_text,
      'end': tables.any_text,
      'salience': tables.any_text,
      'fold': tables.integer(1, 10),
      'classID': tables.integer(0, len(classes) - 1),
      'class': tables.choice({word: i for i, word in enumerate(classes)}),
    },
    'slice_file_name',
    report,
  )
  rows, faults = [], []
  for row in table_rows:
    file = str(row['slice_file_name'])
    label, group, fold, kind = (
      int(row[key]) for key in ('classID', 'fsID', 'fold', 'class')
    )
    name_match = _URBAN_NAME.fullmatch(file)
    name_match = name_match and tuple(map(int, name_match.groups()))
    if kind == label and name_match == (group, label):
      path = f'audio/fold{fold}/{file}'
      rows.append(Row(file, path, fold, label, group))
    else:
      faults.append(
        f'{source.path}/{table}: {file} with fsID {group}, classID {label}, '
        f'class {classes[kind]}: these contradict each other'
      )
  report(faults)
  return rows, named


def _esc_rows(name, source, table, report):
  """As `_urban_rows`; of ESC-50 the rows that belong to the set `name`."""
  every = PUBLISHED['esc50'].classes
  targets = ESC10_TARGETS if name == 'esc10' else tuple(range(len(every)))
  table_rows, named = tables.read(
    source.read(table),
    f'{source.path}/{table}',
    {
      'filename': tables.file_name,
      'fold': tables.integer(1, 5),
      'target': tables.integer(0, len(every) - 1),
      'category': tables.choice({word: i for i, word in enumerate(every)}),
      'esc10': tables.choice({'True': True, 'False': False}),
      'src_file': tables.integer(0, _LARGEST_ID),
      'take': tables.any_text,
    },
    'filename',
    report,
  )
  rows, faults = [], []
  for row in table_rows:
    file, ten = str(row['filename']), row['esc10']
    target, fold, kind, group = (
      int(row[key]) for key in ('target', 'fold', 'category', 'src_file')
    )
    if kind != target or ten != (target in ESC10_TARGETS):
      faults.append(
        f'{source.path}/{table}: {file} with target {target}, category '
        f'{every[kind]}, esc10 {ten}: these contradict each other'
      )
    elif target in targets:
      label = targets.index(target)
      path = f'audio/{file}'
      rows.append(Row(file, path, fold, label, group))
  report(faults)
  return rows, named


def records(
  source: Source, rows: Sequence[Row], report: faults.Report = faults.stop
) -> Iterator[dict[str, object] | None]:
  """Decodes clips, on all cores, a few ahead of the reader.

  Args:
    source: the files.
    rows: of `listed`.
    report: is given the files that are no whole clips.

  Yields:
    A record for each row, None for a file left out: 'int16' and 'float32'
    `[n * channels]`, one of them empty (what has 16 bits or fewer, and what was
    lossy, is kept as int16), 'channels', 'rate', 'label', 'fold', 'name',
    'group'.

  Raises:
    BadData: `report` raises it.
  """
  cores = machine.cores()
  pool = concurrent.futures.ThreadPoolExecutor(cores)
  try:
    ahead: collections.deque[concurrent.futures.Future[dict[str, object]]] = (
      collections.deque()
    )
    for row in rows:
      ahead.append(pool.submit(_record, source, row))
      if len(ahead) > 2 * cores:
        yield _result(ahead.popleft(), report)
    while ahead:
      yield _result(ahead.popleft(), report)
  finally:  # of what is waiting, nothing is wanted where this ends early
    pool.shutdown(cancel_futures=True)


def _result(future, report):
  try:
    return future.result()
  except BadData as error:
    report([str(error)])
    return None


def _record(source, row):
  clip = audio.decode(source.read(row.path), f'{source.path}/{row.path}')
  samples = clip.samples.reshape(-1)
  is_16_bit = clip.bits <= 16
  integers = (
    np.clip(np.rint(samples * 32768), -32768, 32767)
    if is_16_bit
    else samples[:0]
  )
  return {
    'int16': integers.astype(np.int16),
    'float32': samples[:0] if is_16_bit else samples,
    'channels': clip.samples.shape[1],
    'rate': clip.rate,
    'label': row.label,
    'fold': row.fold,
    'name': row.name,
    'group': row.group,
  }
