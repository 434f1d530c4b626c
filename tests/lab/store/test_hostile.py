"""Hostile files: a typed error or the right value, and a line from the main.

The default run takes some of the cases; `--all` takes every one.
"""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import report
from lstm_jax.lab.report import publishing
from lstm_jax.lab.store import (
  checkpoints,
  faults,
  files,
  nets,
  results_table,
  seal,
  trial_records,
)
from lstm_jax.lab.store.folder import open_folder
from tests.hostile import sealed

# Done, another version, done but for damage, damaged, no run here.
CODES = (0, 2, 3, 65, 73)
EVERY = (*sealed.KINDS, 'tensors', 'checkpoint')


@pytest.fixture
def opened(tmp_path, monkeypatch):
  monkeypatch.setattr(publishing, 'can_draw', lambda: False)
  return sealed.folder(tmp_path / 'run')


def reported(opened, capsys):
  """The exit code of the report, what it says; nothing raw is among it."""
  code = report.main(['report', str(opened.path)])
  said = capsys.readouterr()
  assert code in CODES, said.err
  assert code == 0 or said.err, code
  for line in (said.out + said.err).splitlines():
    assert line.isprintable() and 'Traceback' not in line, line
  return code


def some(cases, request, number):
  """Every case with `--all`, else about `number`, evenly spaced."""
  cases = list(cases)
  if request.config.getoption('--all'):
    return cases
  return cases[:: max(1, len(cases) // number)]


@pytest.mark.parametrize('kind', EVERY)
def test_in_place_of_a_file(opened, kind, capsys):
  path = sealed.file_of(opened, kind)
  whole = path.read_bytes()
  assert reported(opened, capsys) == 0
  for name in sealed.in_place_of(path):
    code = reported(opened, capsys)
    want = {'plan': (65, 2), 'record': (3, 2)}.get(kind, (0,))
    assert code in want, name
    if kind == 'checkpoint':
      found, problems = (), ['']
      try:
        found, problems = checkpoints.load(opened)
      except faults.Refused:
        pass
      assert not found and len(problems) == 1, name
      for bad in path.parent.glob('*.bad*'):
        sealed.remove(bad)
  path.write_bytes(whole)
  assert reported(opened, capsys) == 0


@pytest.mark.parametrize('kind', sealed.KINDS)
def test_sealed_anew(opened, kind, capsys, request):
  path, content = (f(opened, kind) for f in (sealed.file_of, sealed.content_of))
  cases = [(at, new) for at in sealed.paths_in(content) for new in sealed.WRONG]
  for at, new in some(cases, request, 16):
    bad = sealed.replaced(content, at, new)
    path.write_bytes(seal.seal_json(kind, bad))
    reported(opened, capsys)


def test_sealed_checkpoints(opened, request):
  path = sealed.file_of(opened, 'checkpoint')
  whole = path.read_bytes()
  for name, data in some(sealed.checkpoints_of(opened), request, 60):
    path.write_bytes(data)
    found, problems = checkpoints.load(opened)
    for _, meta, arrays in found:  # what is let through can be gone on from
      for key, of in meta.get('programs', {}).items():
        assert all(
          array.shape[-1] == len(of)
          for at, array in arrays.items()
          if at.startswith(f'{key}/')
        ), name
    assert len(found) + len(problems) == 1, name
    for bad in path.parent.glob('*.bad*'):
      bad.unlink()
  path.write_bytes(whole)
  assert len(checkpoints.load(opened)[0]) == 1


def test_sealed_tensors(opened):
  path = sealed.file_of(opened, 'tensors')
  for name, data in sealed.tensors_of(opened):
    path.write_bytes(data)
    kept = nets.load_one(opened, path.stem)
    if name == 'right':
      assert list(kept) == ['w'] and kept['w'].tolist() == [1, 1]
    elif kept:  # what is let through is a network of this trial
      assert all(np.isfinite(w).all() for w in kept.values()), name
  # A word of it is never wrong in silence.
  refused = [
    name for name, data in sealed.tensors_of(opened)
    if path.write_bytes(data) and not nets.load_one(opened, path.stem)
  ]  # fmt: skip
  assert len(refused) > 100 and {'nan', 'inf', 'F64', 'BF16'} <= {*refused}


values = st.recursive(
  st.none()
  | st.booleans()
  | st.integers(-(2**70), 2**70)
  | st.floats(allow_nan=False, allow_infinity=False)
  | st.text(max_size=9),
  lambda inner: (
    st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3)
  ),
  max_leaves=6,
)


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
  return sealed.folder(tmp_path_factory.mktemp('hostile') / 'run')


@settings(max_examples=60)
@given(data=st.data(), kind=st.sampled_from(sealed.KINDS))
def test_readers_of_sealed_values(shared, data, kind):
  path, content = (f(shared, kind) for f in (sealed.file_of, sealed.content_of))
  whole = path.read_bytes()
  at = data.draw(st.sampled_from(list(sealed.paths_in(content))))
  bad = sealed.replaced(content, at, data.draw(values))
  path.write_bytes(seal.seal_json(kind, bad))
  try:
    opened = open_folder(shared.path)
    records, problems = trial_records.read_records(opened)
    assert len(records) + len(problems) <= 2
    results_table.rows(opened, records)
    nets.load(opened)
  except faults.StoreError:
    pass
  finally:
    path.write_bytes(whole)


@settings(max_examples=60)
@given(data=st.data(), kind=st.sampled_from(EVERY))
def test_readers_of_damaged_bytes(shared, data, kind):
  path = sealed.file_of(shared, kind)
  whole = path.read_bytes()
  at = data.draw(st.integers(0, len(whole) - 1))
  if data.draw(st.booleans()):
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
  else:
    changed = whole[:at] + data.draw(st.binary(max_size=9))
  path.write_bytes(changed)
  try:
    with pytest.raises(faults.StoreError):
      if kind == 'plan':
        open_folder(shared.path)
      elif kind == 'record':
        trial_records.read(shared, path)
      elif kind in ('net', 'tensors'):
        assert path.stem not in nets.load(shared)
        raise faults.Corrupt('left out')
      else:
        found, (problem,) = checkpoints.load(shared)
        assert not found
        raise faults.Corrupt(problem)
  finally:
    for bad in path.parent.glob('*.bad*'):
      bad.unlink()
    path.write_bytes(whole)


def test_parts_of_a_folder_that_are_files_or_gone(opened, capsys):
  """Nothing is lost: what cannot be read is said, and no report is changed."""
  assert reported(opened, capsys) == 0
  page = (opened.path / 'report.md').read_bytes()
  for part, code in (
    ('records', 73),
    ('nets', 73),
    ('checkpoints', 0),
    ('figures', 0),
    ('results.csv', 0),
  ):
    place = opened.path / part
    aside = place.with_name('aside')
    if os.path.lexists(place):
      place.rename(aside)
    place.write_bytes(b'x')
    assert reported(opened, capsys) == code, part
    assert (opened.path / 'report.md').read_bytes() == page
    place.unlink()
    if os.path.lexists(aside):
      aside.rename(place)


def test_a_folder_travels(opened, capsys, monkeypatch):
  """Empty parts are lost by git and by buckets."""
  for name in files.names(opened.path / 'checkpoints'):
    (opened.path / 'checkpoints' / name).unlink()
  (opened.path / 'checkpoints').rmdir()
  again = open_folder(opened.path)
  assert checkpoints.load(again) == ([], [])
  checkpoints.drop_all(again)
  assert reported(opened, capsys) == 0
  # Its report made again, into a place of its own, of one nobody may write to.
  for name in files.names(opened.path / 'nets'):
    (opened.path / 'nets' / name).unlink()
  (opened.path / 'nets').rmdir()
  out = opened.path.parent / 'out'
  assert report.main(['report', str(opened.path), f'--out={out}']) == 0
  assert (out / 'report.md').stat().st_size > 500


def test_records_that_cannot_be_read(opened, capsys, monkeypatch):
  assert reported(opened, capsys) == 0
  before = {p: p.read_bytes() for p in opened.path.glob('report.*')}
  listed = os.listdir

  def refused(place):
    if os.path.basename(place) == 'records':
      raise PermissionError(13, 'Permission denied', str(place))
    return listed(place)

  monkeypatch.setattr(os, 'listdir', refused)
  assert reported(opened, capsys) == 73
  assert {p: p.read_bytes() for p in before} == before


def test_a_report_that_was_edited_is_made_again(opened, capsys):
  assert reported(opened, capsys) == 0
  before = {p: p.read_bytes() for p in opened.path.glob('report.*')}
  for path, text in before.items():
    assert b'2/2' in text or b'0/2' in text or b'1/2' in text
    path.write_bytes(text.replace(b'/2', b'/9'))
    assert reported(opened, capsys) == 0
    path.write_bytes(text[:-100])
    assert reported(opened, capsys) == 0
    assert {p: p.read_bytes() for p in before} == before
    stat = path.stat()
    assert reported(opened, capsys) == 0
    assert path.stat().st_mtime_ns == stat.st_mtime_ns
