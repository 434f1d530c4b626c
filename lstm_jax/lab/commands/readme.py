"""Makes the figures of README.md from kept results.

What stands between `<!-- from: FILE -->` and `<!-- end -->` in README.md and in
docs/reproduction.md is made from that file; nobody writes a figure there by
hand.

  docs/quickstart.csv   trials of the quick start, taken from a run folder
  docs/paper1997.csv    the rows of `--grid=paper1997`, see docs/reproduction.md
"""

import csv
import io
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from absl import flags

from lstm_jax import public
from lstm_jax.lab.plan import parsers, run_folders, values
from lstm_jax.lab.report import (
  headline,
  reproduction,
  summaries,
  terminal,
  verdict_words,
)
from lstm_jax.lab.run import command, mains
from lstm_jax.lab.store import faults, files

_HELP = """\
Makes the figures of README.md, and the table of docs/reproduction.md, from the
results that are kept in docs/.

  python -m experiments.readme                 writes both pages
  python -m experiments.readme --run=FOLDER    before that, takes the trials of
                                               a quick start for docs/
  python -m experiments.readme --paper=FOLDER  likewise the rows of a run of
                                               --grid=paper1997
  python -m experiments.readme --check         changes nothing; 3 where
                                               a page is not what it writes

"""
ROOT = Path(public.__file__).parent.parent
_QUICKSTART, _PAPER = 'docs/quickstart.csv', 'docs/paper1997.csv'
# Columns of results.csv that its table is made from.
_COLUMNS = ('trial', 'grid', 'row', *summaries.FIELDS, 'seed', 'budget')
_COLUMNS += ('status', 'sequences_to_success', 'train_absolute')
_BLOCK = re.compile(r'(<!-- from: (\S+) -->\n).*?(<!-- end -->)', re.DOTALL)
_WIDTH = 80


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  return command.run(_COMMAND, argv)


def define() -> flags.FlagValues:
  """The flags in a new `FlagValues`."""
  flag_values = flags.FlagValues()
  for name, words in (
    ('run', 'run folder of the quick start'),
    ('paper', 'run folder of --grid=paper1997'),
  ):
    parsers.define(flag_values, name, 'place', values.place, words)
  parsers.switch(flag_values, 'check', 'change nothing')
  parsers.switch(flag_values, 'help', 'print this')
  return flag_values


def _read(flag_values, words):
  parsers.no_words(words)
  given = {name: flag_values[name].value for name in ('run', 'paper')}
  paths = [
    path and run_folders.path_of(path, f'--{name}')
    for name, path in given.items()
  ]
  return *paths, flag_values['check'].value


def _act(request):
  run_folder, paper_folder, check = request
  if run_folder:
    _write(ROOT / _QUICKSTART, quickstart_of(Path(run_folder)))
  if paper_folder:
    _write(ROOT / _PAPER, reproduction.markdown_kept(Path(paper_folder)))
  code = faults.Exit.OK
  for page, makers in PAGES.items():
    old = files.read(ROOT / page).decode()
    new = filled(old, ROOT, makers)
    if new != old and check:
      mains.say('readme', f'{page}: its figures are not those of docs/')
      code = faults.Exit.FAILED
    elif new != old:
      _write(ROOT / page, new)
  return int(code)


def filled(
  text: str,
  root: Path,
  makers: Mapping[str, Callable[[list[dict[str, str]]], str]],
) -> str:
  """A text with every marked block made anew from its file.

  Args:
    text: of a page.
    root: where the files are.
    makers: file -> what makes a block of its rows.

  Raises:
    Refused: a block of a file that none is made from.
  """

  def block(match):
    if match[2] not in makers:
      raise faults.Refused(f'no block of a page is made from {match[2]}')
    rows = csv.DictReader(io.StringIO(files.read(root / match[2]).decode()))
    return f'{match[1]}{makers[match[2]](list(rows))}{match[3]}'

  return _BLOCK.sub(block, text)


def quickstart(rows: Sequence[Mapping[str, str]]) -> str:
  """Writes what the quick start prints, and the sentence that it shows."""
  summary = summaries.summarize(rows)
  parts = terminal.text(summary, _WIDTH).split('\n\n')
  # Without the head on what is common and the legend: --help has room for it.
  body = '\n\n'.join(part for part in parts if not _aside(part))
  shows = '\n'.join(textwrap.wrap(headline.sentence(summary), _WIDTH))
  return f'```\n{body}\n\n{shows}\n```\n'


def paper(rows: Sequence[Mapping[str, str]]) -> str:
  """Says how many rows are reproduced; of each table one under each verdict."""
  count = sum(row['verdict'] == verdict_words.REPRODUCED for row in rows)
  lines = [
    f'{count} of {len(rows)} rows are reproduced. Of each table, the first row '
    'under each verdict:',
    '',
    '| row | reading | published | ours: solved, mean | verdict |',
    '|---|---|---:|---:|---|',
  ]
  keys = set()
  for row in rows:
    if (key := (row['source'], row['verdict'])) in keys:
      continue
    keys.add(key)
    mean = f', {float(row["mean"]):,.0f}' if row['mean'] else ''
    lines.append(
      f'| {row["source"]}, {row["line"]} | {row["reading"]} '
      f'| {float(row["published"]):,.0f} '
      f'| {row["solved"]}/{row["trials"]}{mean} | {row["verdict"]} |'
    )
  return '\n'.join(lines) + '\n'


PAGES: dict[str, dict[str, Callable[[list[dict[str, str]]], str]]] = {
  'README.md': {_QUICKSTART: quickstart, _PAPER: paper},
  'docs/reproduction.md': {_PAPER: reproduction.table},
}


def quickstart_of(folder: Path) -> str:
  """The trials of a run folder, in the columns that README needs."""
  rows = csv.DictReader(
    io.StringIO(files.read(folder / 'results.csv').decode())
  )
  text = io.StringIO()
  writer = csv.DictWriter(
    text, _COLUMNS, lineterminator='\n', extrasaction='ignore'
  )
  writer.writeheader()
  writer.writerows(rows)
  return text.getvalue()


def _aside(part):
  return part.startswith(('All:', 'Options:', 'solved:'))


def _write(path, text):
  files.publish(path, text.encode(), overwrite=True)


_COMMAND = command.Command(
  'readme', define, lambda: _HELP + faults.EXIT_CODES, _read, _act
)
