"""Where a report goes, whether it is there already, and its files."""

import hashlib
import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from experiments.report import drawing, html_page
from lstm_jax import catalog
from lstm_jax.store import faults, files, seal

LEFT_OUT = 'No figures: matplotlib is not installed (pip install ".[plot]").'
_EXPERIMENTS = Path(__file__).parent.parent


def directory(folders, out: str | Path | None) -> Path:
  """Where the report goes, which is there afterwards."""
  if out is None:
    if len(folders) > 1:
      raise ValueError(f'out must be given for {len(folders)} folders.')
    return folders[0].path
  out = Path(out)
  real = os.path.realpath
  own = len(folders) == 1 and real(out) == real(folders[0].path)
  if os.path.lexists(out / 'plan.json') and not own:
    raise faults.Refused(
      f'{out}: holds a run, whose own report would be lost; name another --out'
    )
  _make_directory(out)
  return out


def _make_directory(path):
  with files.storage(path):
    try:
      path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
      raise faults.Unusable(f'{path}: not a directory') from None


def key(held: Any) -> str:
  """Hash of all that a report is made from.

  Args:
    held: plain values: what was read of the run folders. The sources, and
      whether figures can be drawn, are added.
  """
  sources = [
    [path.name, hashlib.sha256(path.read_bytes()).hexdigest()]
    for package in (_EXPERIMENTS, Path(catalog.__file__).parent)
    for pattern in ('*.py', '*.toml')
    for path in sorted(package.rglob(pattern))
  ]
  made_from = [
    held,
    can_draw(),
    sources,
  ]
  return seal.digest(seal.plain(made_from))


def there(out: Path, made_from: str) -> list[Path]:
  """The files of a report made from the same, html first, or none."""
  first = [out / name for name in ('report.html', 'report.md')]
  if not all(path.is_file() for path in first):
    return []
  if html_page.key(made_from) not in first[0].read_text('utf-8', 'replace'):
    return []
  return [*first, *sorted((out / 'figures').glob('report-*.svg'))]


def can_draw() -> bool:
  """Whether matplotlib is installed."""
  try:
    importlib.import_module('matplotlib')
  except ImportError:
    return False
  return True


def publish(
  out: Path,
  disk: files.Disk,
  pictures: Mapping[str, tuple[str, str]],
  page: str,
  document: Callable[[dict[str, tuple[str, str]]], str],
) -> list[Path]:
  """Writes what has changed of a report.

  Args:
    out: of `directory`.
    disk: the calls that change the disk.
    pictures: of `drawing.rendered`.
    page: the page of HTML.
    document: name -> (caption, file relative to the document) to Markdown.

  Returns:
    The files, report.html and report.md first.
  """
  linked, drawn = {}, {}
  for name, (caption, svg) in pictures.items():
    file = f'figures/report-{name.replace(":", "-")}.svg'
    linked[name] = caption, file
    drawn[file] = drawing.standalone(svg)
  texts = {
    'report.html': page.encode(),
    'report.md': document(linked).encode(),
  }
  return [
    _publish(out / name, data, disk) for name, data in (texts | drawn).items()
  ]


def _publish(path, data, disk):
  _make_directory(path.parent)
  if not path.is_file() or files.read(path) != data:
    files.publish(path, data, overwrite=True, disk=disk)
  return path
