"""Writes the files of a report, where they are not there already."""

import hashlib
import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lstm_jax import public
from lstm_jax.lab.report import drawing, html_page
from lstm_jax.lab.store import faults, files, seal
from lstm_jax.lab.store.folder import Folder

LEFT_OUT = (
  "No figures: matplotlib is not installed (pip install 'lstm_jax[plot]')."
)
# Behind it stand the checksums of all files of a report.
_MARK = b'<!-- sha256 '


def directory(folders: Sequence[Folder], out: str | Path | None) -> Path:
  """Makes the folder that the report goes to."""
  if out is None:
    if len(folders) > 1:
      raise ValueError(f'out must be given for {len(folders)} folders.')
    return folders[0].path
  out = Path(out)
  real = os.path.realpath
  is_own = len(folders) == 1 and real(out) == real(folders[0].path)
  if os.path.lexists(out / 'plan.json') and not is_own:
    raise faults.Refused(
      f'{out}: holds a run, whose own report would be lost; name another --out'
    )
  files.make_directory(out)
  return out


def key(content: object) -> str:
  """Hash of all that a report is made from.

  Args:
    content: plain values: what was read of the run folders. The sources, and
      whether figures can be drawn, are added.
  """
  sources = [
    [path.name, hashlib.sha256(files.read(path)).hexdigest()]
    for path in files.tree(Path(public.__file__).parent, ('.py', '.toml'))
  ]
  made_from = [
    content,
    can_draw(),
    sources,
  ]
  return seal.digest(made_from)


def published_files(out: Path, made_from: str) -> list[Path]:
  """The files of a report made from the same, html first, or none.

  None either where one of them is not what was written: edited, cut, gone.
  """
  try:
    page, mark, digest_text = files.read(out / 'report.html').rpartition(_MARK)
    if not mark or html_page.key(made_from).encode() not in page:
      return []
    digests = json.loads(digest_text.partition(b' -->')[0])
    names = [
      'report.html',
      *(name for name in digests if name != 'report.html'),
    ]
    data = {name: files.read(out / name) for name in names[1:]}
    is_same = _digests({'report.html': page} | data) == digests
  except (
    OSError, faults.StoreError, ValueError, TypeError, RecursionError
  ):  # fmt: skip
    return []
  return [out / name for name in names] if is_same else []


def _digests(contents):
  """Name -> SHA-256 of what is in it."""
  return {
    name: hashlib.sha256(data).hexdigest() for name, data in contents.items()
  }


def can_draw() -> bool:
  """Tells whether matplotlib is installed."""
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
  linked, svg_files = {}, {}
  for name, (caption, svg) in pictures.items():
    file = f'figures/report-{name.replace(":", "-")}.svg'
    linked[name] = caption, file
    svg_files[file] = drawing.standalone(svg)
  contents = {
    'report.html': page.encode(),
    'report.md': document(linked).encode(),
    **svg_files,
  }
  digest_text = json.dumps(_digests(contents)).encode()
  contents['report.html'] += _MARK + digest_text + b' -->\n'
  for name, data in contents.items():
    files.write(out / name, data, disk)
  return [out / name for name in contents]
