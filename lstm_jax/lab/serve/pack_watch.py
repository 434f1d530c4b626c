"""Reads the packs of a folder again and again, each line of them once."""

from pathlib import Path

from lstm_jax.lab.store import faults, files, record_packs
from lstm_jax.lab.store.record_packs import Line

# What is large of a record is read when it is asked for.
_LARGE = ('curves', 'details')
_NOTHING: dict[str, object] = {}


class PackWatch:
  """The lines of the packs of a folder, as far as they have been written."""

  def __init__(self) -> None:
    # Name -> (signature of the file, its lines, where the next will begin).
    self._known: dict[str, tuple[object, list[Line], int]] = {}
    self._by_trial: dict[str, Line] = {}
    self._counting: tuple[list[Line], list[Line]] = ([], [])

  def read(self, place: Path) -> tuple[list[Line], list[Line]]:
    """Returns what `record_packs.read` does, without curves and details."""
    names, is_new = record_packs.names(place), False
    for name in self._known.keys() - {*names}:
      del self._known[name]
      is_new = True
    for name in names:
      path = place / name
      signature = files.signature(path)
      known = self._known.get(name)
      if known is None or known[0] != signature:
        self._known[name] = (signature, *_lines(path, known, signature))
        is_new = True
    if is_new:
      lines = [line for name in names for line in self._known[name][1]]
      self._counting = record_packs.counting(lines)
      self._by_trial = {}
      for line in self._counting[0]:
        self._by_trial.setdefault(line.trial, line)
    return self._counting

  def line_of(self, trial: str) -> Line | None:
    """The first line that is the record of a trial."""
    return self._by_trial.get(trial)


def _lines(path, known, signature):
  """(lines of a file, where the next will begin); read on where it has grown.

  One that is another file, is no longer or has a fault is read from its start.
  """
  lines, start = [], 0
  if known and signature and known[0] and signature[0] == known[0][0]:
    has_grown = signature[1] > known[0][1]
    if has_grown and not any(line.fault for line in known[1]):
      _, lines, start = known
  try:
    last = max((line.number for line in lines), default=-1)
    new_lines, end = record_packs.lines_of(path, start, last=last, keep=_light)
  except FileNotFoundError:
    return [], 0
  except faults.Corrupt as error:
    return [Line(path.name, 0, 0, '', 0, '', None, str(error))], 0
  return [*lines, *new_lines], end


def _light(content):
  """A record without what is large of it; what it lacks stays so."""
  if isinstance(content, dict):
    for name in _LARGE:
      if isinstance(content.get(name), dict):
        content[name] = _NOTHING
  return content
