"""Files of one's own are read as what they say, or refused in one line."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.own import (
  arrays,
  folder,
  loading,
  parts,
  sequences,
  table,
)
from tests import own_data

ARRAYS = own_data.bad_arrays()
ZIPS = own_data.bad_zips()
TABLES = own_data.bad_tables()
FOLDERS = own_data.bad_folders()


def refused(read, path, words):
  with pytest.raises(BadData, match=words) as error:
    read(path)
  said = str(error.value)
  assert said.startswith(str(path.parent)), said
  assert said.isprintable() and len(said) < 600, said


def quoted(words):
  import re

  return re.escape(words)


def drawn(path):
  """Reads a file and draws its parts."""
  held = loading.load(path)
  return parts.parts_of(str(path), held, 0.15, 0.15, 0)


@pytest.mark.parametrize('case', ARRAYS)
def test_arrays_that_nobody_could_learn_from(case, tmp_path):
  changes, words = ARRAYS[case]
  refused(drawn, own_data.npz(tmp_path / 'a.npz', **changes), quoted(words))


@pytest.mark.parametrize('case', ZIPS)
def test_archives_that_nobody_means_well_with(case, tmp_path):
  content, words = ZIPS[case]
  path = tmp_path / 'a.npz'
  path.write_bytes(content() if callable(content) else content)
  refused(arrays.read, path, words)


@pytest.mark.parametrize('case', TABLES)
def test_tables_that_are_not_right(case, tmp_path):
  lines, words = TABLES[case]
  refused(table.read, own_data.csv(tmp_path / 'a.csv', lines), quoted(words))


@pytest.mark.parametrize('case', FOLDERS)
def test_folders_of_sounds_that_are_not_right(case, tmp_path):
  spoil, words = FOLDERS[case]
  place = own_data.sounds(tmp_path / 'birds')
  spoil(place)
  with pytest.raises(BadData, match=quoted(words)) as error:
    held = folder.load(place)
    list(held.splits['all'])
  assert str(error.value).isprintable()


@pytest.mark.parametrize('ending', ['npz', 'csv'])
def test_what_is_no_regular_file(ending, tmp_path):
  path = tmp_path / f'a.{ending}'
  read = loading.READERS[path.suffix]
  refused(read, path, 'No such file')
  path.symlink_to('nowhere')
  refused(read, path, 'a link to nothing')
  path.unlink()
  os.mkfifo(path)
  refused(read, path, 'a FIFO')
  path.unlink()
  path.mkdir()
  refused(read, path, 'a directory')
  path.rmdir()
  # A link to a file that is right is as good as the file.
  make = {'npz': own_data.npz, 'csv': own_data.csv}[ending]
  path.symlink_to(make(tmp_path / f'real.{ending}'))
  assert len(read(path).lengths) == own_data.COUNT


def test_a_file_in_latin_1(tmp_path):
  path = tmp_path / 'a.csv'
  path.write_bytes('id,time,x,label\n1,1,1,caf\xe9\n'.encode('latin-1'))
  refused(table.read, path, 'not UTF-8 at byte 25')


@given(
  st.lists(st.tuples(st.integers(0, 2**13), st.integers(0, 255)), max_size=5),
  st.integers(0, 300),
)
def test_whatever_bits_a_file_has_it_is_read_or_refused(
  tmp_path_factory, edits, cut
):
  path = tmp_path_factory.getbasetemp() / 'fuzzed.npz'
  content = bytearray(own_data.npz(path).read_bytes())
  for at, value in edits:
    content[at % len(content)] = value
  path.write_bytes(bytes(content[: len(content) - cut]))
  try:
    held = arrays.read(path)
  except BadData as error:
    assert str(error).isprintable() and str(error).startswith(str(path))
  else:
    assert np.isfinite(held.inputs).all() and len(held.lengths) >= 10


def same(one, other):
  assert sequences.digests(one) == sequences.digests(other)
  assert np.array_equal(one.inputs, other.inputs)
  assert np.array_equal(one.lengths, other.lengths)
  assert np.array_equal(one.targets, other.targets)
  assert one.classes == other.classes and one.every_step == other.every_step


def test_padded_joined_packed_and_fortran_are_one(tmp_path):
  x = own_data.inputs()
  padded = arrays.read(own_data.npz(tmp_path / 'a.npz'))
  past = x.copy()
  past[np.arange(own_data.LONGEST) >= own_data.lengths()[:, None]] = np.nan
  for changes in (
    {'inputs': own_data.joined(x)},
    {'inputs': past},  # what lies past an end is not looked at
    {'inputs': np.asfortranarray(x), 'packed': True},
    {'inputs': x.astype('>f8'), 'lengths': own_data.lengths().astype('u1')},
    {'targets': own_data.classes().astype(bool),
     'classes': np.array(['0', '1'])},
    {'targets': own_data.classes().astype(str)},
    {'targets': own_data.classes().astype('S')},
  ):  # fmt: skip
    same(arrays.read(own_data.npz(tmp_path / 'b.npz', **changes)), padded)
  assert padded.inputs.shape == (own_data.lengths().sum(), own_data.FEATURES)


@pytest.mark.parametrize(
  ('asked', 'every_step', 'classes'),
  [
    ('label', False, ('a', 'b')),
    ('target', False, ()),
    ('step_label', True, ('no', 'yes')),
    ('step_target', True, ()),
  ],
)
def test_a_table_says_what_is_asked(asked, every_step, classes, tmp_path):
  path = own_data.csv(tmp_path / 'a.csv', asked=asked)
  held = table.read(path)
  assert (held.every_step, held.classes) == (every_step, classes)
  assert held.features == ('x', 'y')
  assert np.allclose(held.inputs, own_data.joined(own_data.inputs()))
  assert len(held.targets) == (len(held.inputs) if every_step else 24)
  # Lines of several sequences may be mixed, if those of each are in order.
  head, *rest = own_data.lines(asked)
  mixed = [head, *sorted(rest, key=lambda line: int(line.split(',')[1]))]
  again = table.read(own_data.csv(tmp_path / 'b.csv', mixed))
  same(again, held)


def test_times_may_be_dates(tmp_path):
  head, *rest = own_data.lines()
  dated = [
    line.replace(f',{t},', f',2024-02-{10 + int(t)}T12:00:00+01:00,', 1)
    for line in rest
    for t in [line.split(',')[1]]
  ]
  held = table.read(own_data.csv(tmp_path / 'a.csv', [head, *dated]))
  assert len(held.lengths) == own_data.COUNT
  dated[3] = dated[3].replace('+01:00', '')
  with pytest.raises(BadData, match='is no date like the first'):
    table.read(own_data.csv(tmp_path / 'b.csv', [head, *dated]))


def test_what_arrays_ask_follows_from_their_shape(tmp_path):
  x, n = own_data.inputs(), own_data.lengths()
  steps = (x[..., 0] > 0).astype(int)
  whole = own_data.joined(x)
  for changes, every_step, shape in (
    ({'targets': x[:, 0, 0]}, False, (24, 1)),
    ({'targets': x[:, 0]}, False, (24, 2)),
    ({'targets': x[..., :1]}, True, (n.sum(), 1)),
    ({'targets': x}, True, (n.sum(), 2)),
    ({'targets': steps}, True, (n.sum(),)),
    ({'inputs': whole, 'targets': whole[:, 0]}, True, (n.sum(), 1)),
    ({'inputs': whole, 'targets': own_data.joined(steps)}, True, (n.sum(),)),
    ({'lengths': None}, False, (24,)),
  ):
    held = arrays.read(own_data.npz(tmp_path / 'a.npz', **changes))
    assert (held.every_step, held.targets.shape) == (every_step, shape)
