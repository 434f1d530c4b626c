"""Prepares data sets and says what is there; nothing here imports JAX."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags

from lstm_jax.choices import unknown
from lstm_jax.lab.data.files import prepared, sources
from lstm_jax.lab.data.files.errors import BadData, Missing
from lstm_jax.lab.data.files.published import PUBLISHED
from lstm_jax.lab.plan import parsers, values
from lstm_jax.lab.plan.text_columns import aligned, item, show
from lstm_jax.lab.run import command, mains
from lstm_jax.lab.store import faults
from lstm_jax.lab.store.faults import Exit, StoreError, printable

_HELP = """\
Prepares data sets once, and prints what each holds.

  lstm-jax data                 every set that is there
  lstm-jax data imdb esc10 --data_dir=~/data
  lstm-jax data --list          where each can be got

Names: {names}.
The first use of a data set by a sweep prepares it too.
"""
_FLAGS = {
  'data_dir': (
    'FOLDER',
    'where the data sets lie, unpacked or as tar (the environment variable '
    'LSTM_JAX_DATA, else TFDS_DATA_DIR, else ~/tensorflow_datasets)',
  ),
  'skip_bad': (None, 'go on without bad files, and name them'),
  'list': (None, 'print the sets and where they are; prepare nothing'),
  'help': (None, 'print this'),
}


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  return command.run(_COMMAND, argv)


def define() -> flags.FlagValues:
  """The flags in a new `FlagValues`."""
  flag_values = flags.FlagValues()
  for name, (placeholder, text) in _FLAGS.items():
    if placeholder is None:
      parsers.switch(flag_values, name, text)
    else:
      parsers.define(flag_values, name, 'place', values.place, text)
  return flag_values


class Request(NamedTuple):
  """A command line, read.

  Attributes:
    names: of data sets, () for all.
    data_dir: the data folder.
    list: whether the sets are listed and none is prepared.
    skip_bad: whether bad files are left out.
  """

  names: tuple[str, ...]
  data_dir: Path
  list: bool
  skip_bad: bool


def _read(flag_values, words):
  for name in words:
    if name not in PUBLISHED:
      near = unknown(name, prepared.NAMES)
      raise values.Refused(f'{name}: no such data set; {near}')
  place = flag_values['data_dir'].value
  return Request(
    tuple(words),
    sources.default_folder() if place is None else Path(place),
    flag_values['list'].value,
    flag_values['skip_bad'].value,
  )


def _act(request):
  names = request.names or prepared.NAMES
  if request.list:
    return show(listing(names, request.data_dir))
  codes = [_prepare(name, request.data_dir, request.skip_bad) for name in names]
  if not request.names and Exit.OK in codes:
    # What is not there was not asked for.
    codes = [code for code in codes if code != Exit.NO_DATA]
  return int(max(codes))


def usage() -> str:
  """The text of `--help`."""
  lines = [_HELP.format(names=', '.join(prepared.NAMES))]
  for name, (placeholder, text) in _FLAGS.items():
    head = f'  --{name}' + (f'={placeholder}' if placeholder else '')
    lines += item(head, text, 0, 24)
  return '\n'.join([*lines, '', faults.EXIT_CODES])


def listing(names: Iterable[str], data_dir: Path) -> str:
  """The text of `--list`.

  Args:
    names: of data sets.
    data_dir: `Path` of the data folder.
  """
  lines = []
  for name in names:
    source = PUBLISHED[name]
    path = sources.find(source, data_dir)
    lines += [
      f'{name}: {source.title}',
      f'  {"in " + str(path) if path else "not in " + str(data_dir)}',
      f'  get {source.page}',
      *item('  put', source.layout, 0, 8),
      f'  licence: {source.licence}',
      *item('  cite', source.citation, 0, 8),
      '',
    ]
  return '\n'.join(lines[:-1])


def described(dataset: prepared.Prepared) -> str:
  """Describes what a data set holds, for a terminal.

  Args:
    dataset: the data set.

  Returns:
    Text: counts a split and class, seconds, terms, what was left out.
  """
  rows = [('', *dataset.counts, 'all')]
  for label, word in enumerate(dataset.classes):
    counts = [split[label] for split in dataset.counts.values()]
    rows.append((word, *(f'{n:,}' for n in (*counts, sum(counts)))))
  totals = [sum(split) for split in dataset.counts.values()]
  rows.append(('all', *(f'{n:,}' for n in (*totals, sum(totals)))))
  seconds = list(dataset.seconds.values())
  if any(seconds):
    rows.append(('seconds', *(f'{s:,.0f}' for s in (*seconds, sum(seconds)))))
  lines = [f'{dataset.name}: {PUBLISHED[dataset.name].title}', *aligned(rows)]
  lines += [
    f'licence: {dataset.licence}',
    *item('cite:', dataset.citation, 0, 9),
  ]
  lines.append(f'checksum: {dataset.checksum}')
  if dataset.left_out:
    lines.append(f'left out: {len(dataset.left_out):,}')
    lines += [f'  {line}' for line in dataset.left_out]
  return '\n'.join(lines)


def _prepare(name, data_dir, skip_bad):
  """Prepares and prints one data set; returns the exit code."""
  try:
    text = described(prepared.load(name, data_dir, skip_bad=skip_bad))
  except Missing as error:
    return _say(error, Exit.NO_DATA)
  except BadData as error:
    hint = '' if skip_bad else '; --skip_bad leaves out bad files and rows'
    return _say(f'{error}{hint}', Exit.BAD_DATA)
  except StoreError as error:
    return _say(error, error.exit_code)
  show(printable(text, keep='\n') + '\n')
  return Exit.OK


def _say(text, code):
  mains.say('data', text)
  return code


_COMMAND = command.Command('data', define, usage, _read, _act)
